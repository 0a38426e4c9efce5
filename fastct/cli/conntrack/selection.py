"""Which connections a command is about: a boolean array over their rows."""
import numpy as np

from fastct.records import ZONE_DIRS

SIDES = {"s": "orig_src", "d": "orig_dst", "r": "reply_src", "q": "reply_dst"}
MASKS = {"s": "{", "d": "}"}
EXPECTED_PORTS = {"n": ("reply_dst", "orig_src", "reply_dport"), "g": ("reply_src", "orig_dst", "reply_sport")}

ZONES = {"w": "", "(": "orig", ")": "reply"}

# A timeout is looked at only if one of these is given, too.
COMPARED = set("sdrqpmuw()")


def _bytes(address):
    return np.frombuffer(address.packed.ljust(16, b"\0"), dtype=np.uint8)


def _address_fits(request, letter, rows):
    """Whether an address of the rows is the one asked for, where the mask has ones."""
    address, mask = request.addresses[letter], request.addresses.get(MASKS.get(letter))
    if mask is None:
        network = request.networks.get(letter)
        mask = network.netmask if network else None
    bits = _bytes(mask) if mask is not None else np.uint8(0xFF)
    same = ((rows[SIDES[letter]] ^ _bytes(address)) & bits == 0).all(axis=1)
    return same & (rows["l3proto"] == address.version)


def _nat_fits(request, letter, rows):
    """Whether the rows are translated in a way, and to the address and port asked for."""
    if letter == "j":
        address, port = request.nat["j"]
        return np.logical_or.reduce([_translated(rows, each, address, port) for each in "ng"])
    return _translated(rows, letter, *request.nat[letter])


def _translated(rows, letter, address, port):
    name, other, port_name = EXPECTED_PORTS[letter]
    found = (rows[name] != rows[other]).any(axis=1)
    if address is not None:
        found &= (rows[name] == _bytes(address)).all(axis=1)
    return found & (rows[port_name] == port) if port is not None else found


def _values_fit(request, rows):
    """What ``-U`` sets and the others look for: mark, status, state, timeout, zone."""
    fits = np.ones(len(rows), dtype=bool)
    if request.mark is not None:
        value, mask = request.mark
        fits &= rows["mark"] & np.uint32(mask) == value
    if request.status is not None:
        fits &= rows["status"] & request.status == request.status
    if request.unreplied and request.command == "L":       # conntrack asks the kernel, and only there
        fits &= rows["status"] & 2 == 0
    if request.timeout is not None and request.letters & COMPARED:
        fits &= rows["timeout"] == request.timeout
    if "state" in request.fields:
        fits &= rows["state"] == request.fields["state"]
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
    for letter in request.nat:
        fits &= _nat_fits(request, letter, rows)
    for name, value in request.fields.items() if request.protocol_name != "gre" else ():    # conntrack ignores keys
        column = f"orig_{name}" if name in ("sport", "dport") else name
        if column in rows.dtype.names and name != "state":
            fits &= rows[column] == value
    return fits & _values_fit(request, rows) if request.command != "U" else fits
