"""Which connections a command is about: a boolean array over their rows."""
import numpy as np

from fastct import control
from fastct.cli.conntrack.labels import LABELS, label_bytes
from fastct.export.fields import DST_NAT_DONE, ICMP, SRC_NAT_DONE
from fastct.records import ZONE_DIRS

SIDES = {"s": "orig_src", "d": "orig_dst", "r": "reply_src", "q": "reply_dst"}
MASKS = {"s": "{", "d": "}"}
ZONES = {"w": "", "(": "orig", ")": "reply"}

# What makes conntrack compare the options with an entry: without one of them, a timeout is not looked at.
COMPARED = set("sdrqpmucwil()")


def _bytes(address):
    return np.frombuffer(address.packed.ljust(16, b"\0"), dtype=np.uint8)


def _address_fits(request, letter, rows):
    """Whether an address of the rows is the one asked for, where the mask has ones."""
    address, mask = request.addresses[letter], request.addresses.get(MASKS.get(letter))
    bits = _bytes(mask) if mask is not None else np.uint8(0xFF)
    same = ((rows[SIDES[letter]] ^ _bytes(address)) & bits == 0).all(axis=1)
    return same & (rows["l3proto"] == address.version)


# ---- translation: as libnetfilter_conntrack sees it, which compares what stands in the two tuples

def _ends(rows, orig, reply, icmp_orig, icmp_reply):
    """A port of each direction; of ICMP, what the kernel has in its place."""
    icmp = np.isin(rows["l4proto"], ICMP)
    return np.where(icmp, icmp_orig, rows[orig]), np.where(icmp, icmp_reply, rows[reply])


def _type_code(rows, types):
    return types.astype("u4") | rows["icmp_code"].astype("u4") << 8


def _answers(rows):
    """The types of the ICMP rows' replies."""
    return np.array([control.answer(int(row["l3proto"]), int(row["icmp_type"])) or 0 for row in rows], dtype="u1")


def _source_fits(rows, asked):
    orig, reply = _ends(rows, "orig_sport", "reply_dport", _swapped(rows["icmp_id"]),
                        _type_code(rows, _answers(rows)))
    return _translation_fits(rows, asked, SRC_NAT_DONE, ("orig_src", "reply_dst"), orig, reply)


def _destination_fits(rows, asked):
    orig, reply = _ends(rows, "orig_dport", "reply_sport", _type_code(rows, rows["icmp_type"]),
                        _swapped(rows["reply_icmp_id"]))
    return _translation_fits(rows, asked, DST_NAT_DONE, ("orig_dst", "reply_src"), orig, reply)


def _swapped(ids):
    """As type and code: in the order of the network, read in the machine's."""
    return ids.byteswap()


def _translation_fits(rows, asked, done, addresses, port, other_port):
    """Whether rows are translated, and to the address (of IPv6, any will do) and port asked for."""
    address, wanted = asked or (None, None)
    there, back = (rows[name] for name in addresses)
    translated = (rows["status"] & done != 0) & (there != back).any(axis=1)
    mapped = (rows["status"] & done != 0) & (port != other_port)
    found = translated | mapped
    if address is not None and address.version == 4:
        found = translated & (back == _bytes(address)).all(axis=1)
    elif wanted is not None:
        found = mapped
    return found if wanted is None else found & mapped & (other_port == wanted)


def _nat_fits(request, rows):
    """Whether the rows are translated as asked for: with ``-j``, either way."""
    if "j" in request.nat:
        return _source_fits(rows, request.nat["j"]) | _destination_fits(rows, request.nat["j"])
    fits = np.ones(len(rows), dtype=bool)
    if "n" in request.nat:
        fits &= _source_fits(rows, request.nat["n"])
    if "g" in request.nat:
        fits &= _destination_fits(rows, request.nat["g"])
    return fits


# ---- the rest

def _labels_fit(request, rows):
    wanted = np.frombuffer(label_bytes(bit for bit in request.labels if bit < LABELS), dtype=np.uint8)
    return (rows["labels"] & wanted == wanted).all(axis=1) & all(bit < LABELS for bit in request.labels)


def _values_fit(request, rows):
    """What ``-U`` sets and the others look for: mark, status, state, timeout, zone."""
    fits = np.ones(len(rows), dtype=bool)
    if request.mark is not None:
        value, mask = request.mark
        fits &= rows["mark"] & np.uint32(mask) == value
    if request.status is not None:
        fits &= rows["status"] & request.status == request.status
        if request.command == "L":       # conntrack asks the kernel, and only there
            fits &= rows["status"] & request.status_mask == request.status
    if request.timeout is not None and request.letters & COMPARED:
        fits &= rows["timeout"] == request.timeout
    if "state" in request.fields:
        fits &= rows["state"] == request.fields["state"]
    if "unknown_state" in request.fields:        # of a protocol that Linux does not follow
        fits &= False
    for letter, zone in request.zones.items():
        fits &= np.where(rows["zone_dir"] == ZONE_DIRS.index(ZONES[letter]), rows["zone"], 0) == zone
    return fits


def selected(request, rows):
    """Which rows the options of a request name."""
    fits = np.ones(len(rows), dtype=bool)
    if request.family is not None:
        fits &= rows["l3proto"] == request.family
    if request.protocol is not None:
        fits &= rows["l4proto"] == request.protocol
    for letter in SIDES:
        if letter in request.addresses:
            fits &= _address_fits(request, letter, rows)
    if request.nat:
        fits &= _nat_fits(request, rows)
    if request.labels:
        fits &= _labels_fit(request, rows)
    if request.id is not None:
        fits &= rows["conn"] & np.uint64(0xFFFFFFFF) == request.id
    for name, value in request.fields.items() if request.protocol_name != "gre" else ():    # conntrack ignores keys
        column = f"orig_{name}" if name in ("sport", "dport") else name
        if column in rows.dtype.names and name != "state":
            fits &= rows[column] == value
    return fits & _values_fit(request, rows) if request.command != "U" else fits
