"""Names and addresses as iptables reads and prints them."""
import ipaddress
import re
import socket
from functools import lru_cache

from fastct.rules.kinds import number
from fastct.rules.model import Network
from fastct.rules.words import Failure

BITS = {4: 32, 6: 128}
INTERFACE_MAX = 15
SOCKET_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}

# Protocols by number: the name that is printed first. IANA's numbers, with the names that systems have for them.
_PROTOCOLS = {
    0: ("all",), 1: ("icmp",), 2: ("igmp",), 3: ("ggp",), 4: ("ipencap",), 5: ("st",), 6: ("tcp",), 8: ("egp",),
    9: ("igp",), 12: ("pup",), 17: ("udp",), 20: ("hmp",), 22: ("xns-idp",), 27: ("rdp",), 29: ("iso-tp4",),
    33: ("dccp",), 36: ("xtp",), 37: ("ddp",), 38: ("idpr-cmtp",), 41: ("ipv6",), 43: ("ipv6-route",),
    44: ("ipv6-frag",), 45: ("idrp",), 46: ("rsvp",), 47: ("gre",), 50: ("esp", "ipsec-esp"), 51: ("ah", "ipsec-ah"),
    57: ("skip",), 58: ("ipv6-icmp", "icmpv6"), 59: ("ipv6-nonxt",), 60: ("ipv6-opts",), 73: ("rspf", "cphb"),
    81: ("vmtp",), 88: ("eigrp",), 89: ("ospf", "ospfigp"), 93: ("ax.25",), 94: ("ipip",), 97: ("etherip",),
    98: ("encap",), 103: ("pim",), 108: ("ipcomp",), 112: ("vrrp",), 115: ("l2tp",), 124: ("isis",), 132: ("sctp",),
    133: ("fc",), 135: ("mobility-header", "ipv6-mh", "mh"), 136: ("udplite",), 137: ("mpls-in-ip",), 138: ("manet",),
    139: ("hip",), 140: ("shim6",), 141: ("wesp",), 142: ("rohc",), 143: ("ethernet",),
}
PROTOCOL_NUMBERS = {name: value for value, names in _PROTOCOLS.items() for name in names}
OWN_PROTOCOLS = (0, 1, 6, 17, 50, 51, 58, 132, 135, 136)      # those iptables knows without the system's list


def interface(text, warn):
    """The name of an interface, or the beginning of one and ``+``; raises Failure."""
    if len(text) > INTERFACE_MAX:
        raise Failure(f"interface name `{text}' must be shorter than IFNAMSIZ ({INTERFACE_MAX})", word=text)
    if "/" in text or " " in text:
        warn(f"Warning: weird character in interface `{text}' ('/' and ' ' are not allowed by the kernel).")
    return str(text)


def protocol(text):
    """The number of a protocol's name or number; raises Failure."""
    value, rest = number(text)
    if value is not None and not rest and value <= 255:
        return value
    found = PROTOCOL_NUMBERS.get(text.lower())
    if found is None:
        raise Failure(f'unknown protocol "{text.lower()}" specified', word=text)
    return found


def counter(text):
    """The number that a text begins with, as a counter of 64 bits; None without one. (sscanf's ``%llu``.)"""
    found = re.match(r"\s*([-+]?)(\d+)", text, re.ASCII)
    if not found:
        return None
    value = min(int(found[2]), (1 << 64) - 1)
    return -value % (1 << 64) if found[1] == "-" else value


def protocol_name(value):
    """The name of a protocol, or its number as text."""
    return _PROTOCOLS.get(value, (str(value),))[0]


def known_protocol(value):
    """The name of a protocol that iptables knows by itself, or its number as text."""
    return protocol_name(value) if value in OWN_PROTOCOLS else str(value)


def service_name(value, protocol_=None):
    """The name of a port, or its number as text."""
    try:
        return socket.getservbyport(value, protocol_) if protocol_ else socket.getservbyport(value)
    except OSError:
        return str(value)


def _parts4(text):
    """``10``, ``10.1``, ``0x0a.1.2``: parts from the left, nought for what is missing; None if it is no such thing."""
    try:
        return int.from_bytes(socket.inet_pton(socket.AF_INET, text), "big")    # as nearly all are written
    except (OSError, ValueError):
        values = [number(part) for part in text.split(".")]
    if len(values) > 4 or any(value is None or rest or value > 255 for value, rest in values):
        return None
    return int.from_bytes(bytes(value for value, _ in values).ljust(4, b"\0"), "big")


def _whole4(text):
    """``167772161``, ``10.0.258``: the C library's forms, in which the last part fills what is left. Or None."""
    try:
        return int.from_bytes(socket.inet_aton(text), "big") if text.strip() == text else None
    except OSError:
        return None


def host(text, family):
    """The address of a host of a rule's ``-s`` or ``-d`` as a number, or None. Names are not looked up."""
    if family == 6:
        return address(text, 6)
    found = _parts4(text)
    return _whole4(text) if found is None else found


def address(text, family):
    """A host's address as a number, or None; of an IPv4 address the end may be missing."""
    if family == 4:
        return _parts4(text)
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return int(found) if found.version == family else None


def address_text(value, family):
    """The text of an address."""
    size = BITS[family] // 8
    return socket.inet_ntop(SOCKET_FAMILY[family], value.to_bytes(size, "big"))


def resolve(text, family):
    """A host's address as getaddrinfo(3) has it, by its number or its name; raises Failure."""
    try:
        answers = socket.getaddrinfo(text or None, None, SOCKET_FAMILY[family], socket.SOCK_RAW)
    except (OSError, UnicodeError) as error:
        raise Failure(f"getaddrinfo: {getattr(error, 'strerror', error)}\n", word=text) from None
    return address(answers[0][4][0], family)


def host_name(value, family):
    """The name of a host, or its address as text."""
    text = address_text(value, family)
    try:
        return socket.gethostbyaddr(text)[0]
    except OSError:
        return text


def every(family):
    """The mask of one address."""
    return (1 << BITS[family]) - 1


def prefix_mask(length, family):
    """The mask of a prefix of that length."""
    return every(family) ^ ((1 << (BITS[family] - length)) - 1)


def prefix_length(mask, family):
    """The length of a mask that is a prefix, else None."""
    inverse = ~mask & every(family)
    return None if inverse & (inverse + 1) else BITS[family] - inverse.bit_length()


def length(text, family, context, holes=None):
    """The length of a prefix: itself, or as an address (one with holes is ``holes``, or a host's); raises Failure."""
    value, rest = number(text)
    if value is not None and not rest and value <= BITS[family]:
        return value
    try:        # IPv4 has addresses of fewer parts, too
        packed = socket.inet_aton(text) if family == 4 else socket.inet_pton(socket.AF_INET6, text)
    except OSError:
        raise context.failure('bad value for option "--{}", neither a valid network mask nor valid CIDR '
                              f"(0-{BITS[family]}).") from None
    found = prefix_length(int.from_bytes(packed, "big"), family)
    return found if found is not None else holes or BITS[family]


def mask(text, family):
    """A mask: a length, or an address; raises Failure."""
    value, rest = number(text)
    if value is not None and not rest:
        if value <= BITS[family]:
            return prefix_mask(value, family)
    else:
        found = address(text, family)
        if found is not None:
            return found
    raise Failure(f"invalid mask `{text}' specified", word=text)


@lru_cache(4096)
def networks(text, family):
    """The networks of ``ADDRESS[/MASK][,…]``, host bits cleared; raises Failure."""
    found = []
    for part in text.split(","):
        part = part.lstrip(" ")
        name, slash, mask_text = part.rpartition("/") if "/" in part else (part, "", "")
        bits = mask(mask_text, family) if slash else every(family)
        value = host(name, family) if bits else 0
        if value is None:
            raise Failure(f"host/network `{name}' not found", word=text)
        found.append(Network(value & bits, bits))
    return tuple(found)


def network_text(network, family, always_length=True):
    """``ADDRESS/LENGTH``, or with a mask that is no prefix ``ADDRESS/MASK``; one host without a length on wish."""
    length = prefix_length(network.mask, family)
    text = address_text(network.address, family)
    if length is None:
        return f"{text}/{address_text(network.mask, family)}"
    return text if length == BITS[family] and not always_length else f"{text}/{length}"
