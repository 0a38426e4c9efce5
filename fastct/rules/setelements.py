"""The elements of ipsets as text: ``10.0.0.0/24,tcp:80`` ⇄ keys."""
import re
import socket
from itertools import product

from fastct.rules import names
from fastct.rules.kinds import number
from fastct.rules.matches.icmp import ICMP, ICMPV6
from fastct.rules.sets import ANY_MAC, EVERYTHING, SetFailure, net_mask

ICMP_PROTOCOL, TCP, ICMPV6_PROTOCOL = 1, 6, 58
# Names of the rules' ICMP that ipset has not.
UNKNOWN = {"any", "beyond-scope", "failed-policy", "reject-route", "neighbor-solicitation", "neighbor-advertisement"}


def _one_code(table):
    """Names of one type and code: those of a whole type only where its codes have none."""
    parted = {kind for _, (kind, low, high) in table if low == high}
    return {name: (kind, low) for name, (kind, low, high) in table
            if name not in UNKNOWN and (low == high or kind not in parted)}


ICMP_NAMES = {ICMP_PROTOCOL: _one_code(ICMP), ICMPV6_PROTOCOL: _one_code(ICMPV6)}
BAD_PREFIX = "The value of the CIDR parameter of the IP address is invalid"


def _syntax(text):
    return SetFailure(f"Syntax error: {text}")


def _address(text, family):
    found = names.address(text, family)
    if found is None:
        raise _syntax(f"cannot parse {text}: resolving to IPv{family} address failed")
    return found


def _prefix(text, family):
    """``ADDRESS[/LENGTH]`` as first address and length; None without a length."""
    host, slash, length = text.partition("/")
    if not slash:
        return _address(host, family), None
    value, rest = number(length)
    if value is None or rest:
        raise _syntax(f"'{length}' is invalid as number")
    if value > names.BITS[family]:
        raise _syntax(f"'{length}' is out of range 0-{names.BITS[family]}")
    return _address(host, family) & net_mask(value, family), value


def spans(text, family):
    """The first and last address of ``ADDRESS``, ``ADDRESS/LENGTH`` or ``ADDRESS-ADDRESS``."""
    first, dash, last = text.partition("-")
    if dash:
        return tuple(sorted((_address(first, family), _address(last, family))))
    address, length = _prefix(text, family)
    return address, address + (0 if length is None else ~net_mask(length, family) & names.every(family))


def _hosts(target, text, first):
    """Keys of an ``ip``: each address, or one of each net of the set's netmask."""
    if (target.family == 6 or not first or "mac" in target.parts) and re.search("[/-]", text):
        raise _syntax(f"plain IP address must be supplied: {text}")
    if text.endswith("/0"):
        raise SetFailure(BAD_PREFIX)
    low, high = spans(text, target.family)
    step = 1 << names.BITS[target.family] - target.options.get("netmask", names.BITS[target.family]) if first else 1
    return [(address,) for address in range(low & -step, high + 1, step)]


def _blocks(target, text):
    """Keys of a ``net``: a prefix, or those that make up a range."""
    bits = names.BITS[target.family]
    if "-" not in text:
        address, length = _prefix(text, target.family)
        if length == 0 and target.type not in EVERYTHING:
            raise SetFailure(BAD_PREFIX)
        return [(address, bits if length is None else length)]
    low, high = spans(text, target.family)
    found = []
    while low <= high:
        size = min(low & -low or 1 << bits, 1 << (high - low + 1).bit_length() - 1)
        found.append((low, bits - size.bit_length() + 1))
        low += size
    return found


def _service(text, protocol):
    value, rest = number(text)
    if value is not None and not rest and value <= 0xFFFF:
        return value
    try:
        return socket.getservbyname(text, names.protocol_name(protocol))
    except OSError:
        raise _syntax(f"cannot parse '{text}' as a {names.protocol_name(protocol)} port") from None


def _icmp(text, protocol):
    if text in ICMP_NAMES[protocol]:
        kind, code = ICMP_NAMES[protocol][text]
    else:
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        if not found or max(int(part) for part in found.groups()) > 255:
            raise SetFailure(f"Cannot parse {text} as an ICMP{'v6' if protocol == ICMPV6_PROTOCOL else ''} type/code.")
        kind, code = map(int, found.groups())
    return [kind << 8 | code]


def _ports(target, text):
    """Keys of a ``port``: ``[PROTOCOL:]PORT[-PORT]``, or ICMP's type and code."""
    name, colon, rest = text.partition(":")
    protocol = TCP
    if colon:
        value, tail = number(name)
        protocol = value if value is not None and not tail else names.PROTOCOL_NUMBERS.get(name.lower())
        if protocol is None:
            raise _syntax(f"cannot parse '{name}' as a protocol")
    text = rest if colon else text
    if protocol in ICMP_NAMES:
        found = _icmp(text, protocol)
    else:
        low, dash, high = text.partition("-")
        first, last = sorted(_service(end, protocol) for end in (low, high if dash else low))
        found = range(first, last + 1)
    high_bits = 0 if target.type.startswith("bitmap:") else protocol << 16
    return [(high_bits | port,) for port in found]


def _mac(text):
    if not re.fullmatch(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}", text):
        raise _syntax(f"cannot parse '{text}' as ethernet address")
    return [(int("".join(part.zfill(2) for part in text.split(":")), 16),)]


def _mark(text):
    value, rest = number(text)
    if value is None or rest or value > 0xFFFFFFFF:
        raise _syntax(f"'{text}' is invalid as number")
    return [(value,)]


def keys(target, text, wildcard=0):
    """The keys of an element, of which a range makes many; raises SetFailure."""
    texts = text.split(",")
    if len(texts) > len(target.parts):
        if len(target.parts) == 1:
            raise _syntax(f"Elem separator in {text}, but settype {target.type} supports none.")
        raise _syntax(f"Elem separator in {text}, but settype {target.type} supports only {len(target.parts)} parts.")
    if target.type == "bitmap:ip,mac" and len(texts) == 1:
        texts.append(None)
    if len(texts) < len(target.parts):
        raise _syntax(f"{('Second', 'Third')[len(texts) - 1]} element is missing from {text}.")
    choices = []
    for at, (part, piece) in enumerate(zip(target.parts, texts, strict=True)):
        if part == "iface":
            name = piece.removeprefix("physdev:")
            choices.append([(name, int(name != piece), wildcard)])
        elif part == "mac":
            choices.append([(ANY_MAC,)] if piece is None else _mac(piece))
        elif part == "mark":
            choices.append(_mark(piece))
        elif part == "ip":
            choices.append(_hosts(target, piece, at == 0))
        else:
            choices.append({"net": _blocks, "port": _ports}[part](target, piece))
    return [sum(columns, ()) for columns in product(*choices)]


def _port_text(target, value):
    if target.type.startswith("bitmap:"):
        return str(value)
    protocol, port = value >> 16, value & 0xFFFF
    text = str(port)
    if protocol in ICMP_NAMES:
        pair = port >> 8, port & 0xFF
        text = next((name for name, known in ICMP_NAMES[protocol].items() if known == pair), "{}/{}".format(*pair))
    return f"{names.protocol_name(protocol)}:{text}"


def _interface_text(name, physical, wildcard):
    return f"physdev:{name}" if physical else name


def element_text(target, *key):
    """The text of a key, or of its beginning."""
    texts = []
    for part, columns in target.columns(key):
        if not columns:
            break
        if part == "ip":
            texts.append(names.address_text(columns[0], target.family))
        elif part == "net":
            address, length = columns
            whole = length == names.BITS[target.family]
            texts.append(names.address_text(address, target.family) + ("" if whole else f"/{length}"))
        elif part == "port":
            texts.append(_port_text(target, columns[0]))
        elif part == "mac" and columns[0] != ANY_MAC:
            texts.append(columns[0].to_bytes(6, "big").hex(":").upper())
        elif part == "mark":
            texts.append(f"0x{columns[0]:08x}")
        elif part == "iface":
            texts.append(_interface_text(*columns))
        elif part == "set":
            texts.append(columns[0])
    return ",".join(texts)
