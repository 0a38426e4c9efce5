"""The words of conntrack(8): what is an option, what may go with which command, and what each means.

The texts of errors and the order in which they are found are those of conntrack 1.4.7. Numbers are read as C reads
them: as many digits as there are, so that ``foo`` is 0.
"""
import re
import socket
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from fastct.records import STATES

COMMANDS = "LIUDGEFASChV"       # by their letters
NO_TABLE_ARGUMENT = "hV"
TABLES = ("conntrack", "expect", "dying", "unconfirmed")

# Options: letter, takes an argument (1: always, 2: perhaps), long names; the first is the one errors use.
# Their order is that in which conntrack checks them.
OPTIONS = (
    ("s", 1, "src", "orig-src"), ("d", 1, "dst", "orig-dst"), ("r", 1, "reply-src"), ("q", 1, "reply-dst"),
    ("p", 1, "protonum", "proto"), ("t", 1, "timeout"), ("u", 1, "status"), ("z", 0, "zero"), ("e", 1, "event-mask"),
    ("[", 1, "tuple-src"), ("]", 1, "tuple-dst"), ("{", 1, "mask-src"), ("}", 1, "mask-dst"), ("m", 1, "mark"),
    ("f", 1, "family"), ("n", 2, "src-nat"), ("g", 2, "dst-nat"), ("o", 1, "output"), ("c", 1, "secmark"),
    ("b", 1, "buffer-size"), ("j", 2, "any-nat"), ("w", 1, "zone"), ("(", 1, "orig-zone"), (")", 1, "reply-zone"),
)
LONG_COMMANDS = {"dump": "L", "create": "I", "update": "U", "delete": "D", "get": "G", "event": "E", "flush": "F",
                 "add": "A", "stats": "S", "count": "C", "help": "h", "version": "V"}

# What a command does not take, and what it must have.
ILLEGAL = {
    "L": "te[]b", "G": "tuze[]{}mfngcbjw()", "D": "ze[]cbj", "I": "ze[]{}focbj", "A": "ze[]{}focbj", "U": "ze[]cbjw()",
    "F": "sdrqptuze[]{}mngocbjw()", "C": "sdrqptuze[]{}mfngocbjw()", "S": "sdrqptuze[]{}mfngocbjw()",
    "E": "tuz[]", "L expect": "sdrqptuze[]{}mngcbjw()",
    "": "sdrqptuze[]{}mfngocbjw()",
}
REQUIRED = {"G": "p", "I": "pt", "A": "pt"}
FILTERS = "sdrqpu{}mfngjw()"    # what -z does not go with

PORTS = {"orig-port-src": "sport", "sport": "sport", "orig-port-dst": "dport", "dport": "dport",
         "reply-port-src": "reply_sport", "reply-port-dst": "reply_dport"}
ICMP = {"icmp-type": "icmp_type", "icmp-code": "icmp_code", "icmp-id": "icmp_id"}
# Options that come with a protocol: long name to what it means.
PROTOCOL_OPTIONS = {
    "tcp": PORTS | {"state": "state"},
    "udp": PORTS,
    "udplite": PORTS,
    "dccp": PORTS | {"state": "state", "role": "role"},
    "sctp": PORTS | {"state": "state", "orig-vtag": "orig_vtag", "reply-vtag": "reply_vtag"},
    "icmp": ICMP,
    "icmpv6": {name.replace("icmp", "icmpv6"): meaning for name, meaning in ICMP.items()},
    "gre": {"srckey": "sport", "dstkey": "dport", "reply-key-src": "reply_sport", "reply-key-dst": "reply_dport"},
}
# What naming one connection takes, by protocol: two that go together, or one after the other.
NEEDED_PAIR = {"tcp": ("sport", "dport"), "udp": ("sport", "dport"), "udplite": ("sport", "dport"),
               "dccp": ("sport", "dport"), "sctp": ("sport", "dport"), "gre": ("srckey", "dstkey")}
NEEDED = {"icmp": ("icmp-type", "icmp-code"), "icmpv6": ("icmpv6-type", "icmpv6-code")}
NEEDED_NEW = {"tcp": ("state",), "sctp": ("state", "orig-vtag", "reply-vtag"), "dccp": ("state",)}

NUMBERS = {"tcp": 6, "udp": 17, "udplite": 136, "dccp": 33, "sctp": 132, "icmp": 1, "icmpv6": 58, "gre": 47}
NAMES = {number: name for name, number in NUMBERS.items()}
STATE_NAMES = {"tcp": ("NONE", *STATES[1:10]), "sctp": ("NONE", *STATES[11:19])}
STATE_SYNONYMS = {"LISTEN": "SYN_SENT2"}
STATE_BASE = {"tcp": 0, "sctp": 10}
FAMILIES = {"ipv4": 4, "ipv6": 6}
OUTPUTS = ("xml", "extended", "timestamp", "id", "ktimestamp", "labels", "save", "userspace")
# Words of -u: bits that must be set; UNREPLIED: one that must not.
STATUS_BITS = {"ASSURED": 4, "SEEN_REPLY": 2, "UNSET": 0, "FIXED_TIMEOUT": 1 << 10, "EXPECTED": 1, "OFFLOAD": 1 << 14,
               "HW_OFFLOAD": 1 << 15}
UNREPLIED = "UNREPLIED"


class Failure(Exception):
    """What conntrack says, and its exit status."""

    OTHER, USAGE = 1, 2

    def __init__(self, message, status=USAGE):
        super().__init__(message)
        self.status = status


@dataclass
class Request:
    """A parsed command line. Addresses are pairs of ip_address and network (or None)."""
    command: str = ""
    table: str = "conntrack"
    letters: set = field(default_factory=set)       # the options that were given
    protocol: int | None = None
    family: int | None = None
    addresses: dict = field(default_factory=dict)   # of "sdrq[]{}" to ip_address
    networks: dict = field(default_factory=dict)    # of "sd" to ip_network
    nat: dict = field(default_factory=dict)         # of "ngj" to (ip_address or None, port or None)
    fields: dict = field(default_factory=dict)      # what a protocol's option means, to a number
    given: set = field(default_factory=set)         # the names of a protocol's options that were given
    mark: tuple | None = None                       # value, mask
    zones: dict = field(default_factory=dict)       # of "w()" to a number
    timeout: int | None = None
    status: int | None = None
    unreplied: bool = False
    output: set = field(default_factory=set)

    @property
    def protocol_name(self):
        """The protocol as its options know it, or None."""
        return NAMES.get(self.protocol)


# ---- values

def number(text, base=10):
    """As strtoul reads it: digits at the front, 0 without any; base 0 knows 0x and 0."""
    if base == 0:
        found = re.match(r"\s*([+-]?)(?:0[xX]([0-9a-fA-F]+)|(\d+))", text)
        if not found:
            return 0
        if found[2]:
            value = int(found[2], 16)
        else:
            digits = found[3]
            octal = re.match(r"0[0-7]*", digits)
            value = int(octal[0], 8) if octal else int(digits)
        return -value if found[1] == "-" else value
    found = re.match(r"\s*[+-]?\d+", text)
    return int(found[0]) if found else 0


def _saturated(text):
    """32 bits of a number as atoi gives it."""
    value = number(text)
    return -1 & 0xFFFFFFFF if value >= 2**63 else value & 0xFFFFFFFF


def _address(text):
    """An address; of IPv4 all that inet_aton takes."""
    try:
        return ip_address(socket.inet_aton(text)) if text and ":" not in text else ip_address(text)
    except (OSError, ValueError):
        raise Failure(f"Invalid IP address `{text}'") from None


def _protocol(text):
    name = text.lower()
    if name in NUMBERS:
        return NUMBERS[name]
    if re.fullmatch(r"0[xX][0-9a-fA-F]+|\d+", text) and number(text, 0) <= 255:
        return number(text, 0)
    try:
        return socket.getprotobyname(text)
    except OSError:
        raise Failure(f"`{text}' unsupported protocol") from None


# ---- options, by letter

def _set_family(request, family):
    if request.family not in (None, family):
        raise Failure("mismatched address family")
    request.family = family


def _set_address(request, letter, text):
    plain, slash, length = text.partition("/")
    address = _address(plain)
    _set_family(request, address.version)
    if slash and letter not in "sd":
        names = {row[0]: row[2] for row in OPTIONS}
        raise Failure(f"CIDR notation unavailable for `--{names[letter]}'")
    request.addresses[letter] = address
    if slash:
        bits = number(length)
        if (length and not length.isdigit()) or bits > address.max_prefixlen:
            raise Failure("Invalid netmask")
        request.networks[letter] = ip_network((address, bits), strict=False)
        request.letters.add({"s": "{", "d": "}"}[letter])


def _set_mask(request, letter, text):
    address = _address(text)
    _set_family(request, address.version)
    request.addresses[letter] = address


def _set_nat(request, letter, text):
    address = port = None
    if text is not None:
        address, port = _translation(text)
        _set_family(request, address.version)
    request.nat[letter] = address, port


def _translation(text):
    """An address and its port, or None."""
    plain, colon, port = text.rpartition(":") if text.count(":") == 1 else (text, "", "")
    if colon and not (port.isdigit() and int(port) < 65536):
        raise Failure(f"Invalid port `{port}'")
    return _address(plain), int(port) if colon else None


def _set_status(request, letter, text):
    for word in text.split(","):
        if word.upper() == UNREPLIED:
            request.unreplied = True
        elif word.upper() in STATUS_BITS:
            request.status = (request.status or 0) | STATUS_BITS[word.upper()]
        else:
            raise Failure(f"Bad parameter `{word}'")


def _set_output(request, letter, text):
    for word in text.split(","):
        if word.lower() not in OUTPUTS:
            raise Failure(f"Bad parameter `{word}'")
        request.output.add(word.lower())
    if "save" in request.output and len(request.output) > 1:
        raise Failure("cannot combine save output with any other output type, use -o save only", Failure.OTHER)


def _set_mark(request, letter, text):
    value, slash, mask = text.partition("/")
    request.mark = number(value, 0) & 0xFFFFFFFF, number(mask, 0) & 0xFFFFFFFF if slash else 0xFFFFFFFF


def _set_protocol(request, letter, text):
    request.protocol = _protocol(text)


def _set_named_family(request, letter, text):
    if text not in FAMILIES:
        raise Failure(f"`{text}' unsupported protocol")
    _set_family(request, FAMILIES[text])


def _set_timeout(request, letter, text):
    request.timeout = _saturated(text)


def _set_zone(request, letter, text):
    request.zones[letter] = number(text, 0) & 0xFFFF


SETTERS = (dict.fromkeys("sdrq", _set_address) | dict.fromkeys("{}[]", _set_mask) | dict.fromkeys("ngj", _set_nat)
           | dict.fromkeys("w()", _set_zone)
           | {"u": _set_status, "o": _set_output, "m": _set_mark, "p": _set_protocol, "f": _set_named_family,
              "t": _set_timeout})
NUMERIC_BITS = {"sport": 16, "dport": 16, "reply_sport": 16, "reply_dport": 16, "icmp_type": 8, "icmp_code": 8,
                "icmp_id": 16, "orig_vtag": 32, "reply_vtag": 32}


def _set_protocol_option(request, name, text):
    meaning = PROTOCOL_OPTIONS[request.protocol_name][name]
    request.given.add(name)
    if meaning == "state" and request.protocol_name in STATE_NAMES:
        words = STATE_NAMES[request.protocol_name]
        word = STATE_SYNONYMS.get(text, text)
        if word not in words:
            raise Failure(f"unknown {request.protocol_name.upper()} state `{text}'")
        request.fields["state"] = words.index(word) + STATE_BASE[request.protocol_name]
    elif meaning in NUMERIC_BITS:
        request.fields[meaning] = _saturated(text) & ((1 << NUMERIC_BITS[meaning]) - 1)


# ---- words into options, as getopt_long does it

class _Words:
    """The words of a command line, taken from the front."""

    def __init__(self, words):
        self._words, self._at = words, 0
        self._long = LONG_COMMANDS | {name: row[0] for row in OPTIONS for name in row[2:]}
        self._takes = dict.fromkeys(COMMANDS, 2) | dict.fromkeys("hV", 0) | {row[0]: row[1] for row in OPTIONS}

    def options(self, request):
        """Yield letter (or the name of a protocol's option) and argument; words that are none are passed over."""
        while self._at < len(self._words):
            word = self._words[self._at]
            self._at += 1
            if word == "--":
                return
            if word.startswith("--"):
                yield self._long_option(word, request)
            elif word.startswith("-") and word != "-":
                yield from self._short_options(word)

    def table(self):
        """The word behind a command, if it is none that begins with a dash."""
        if self._at < len(self._words) and not self._words[self._at].startswith("-"):
            return self._words[self._at]
        return None

    def perhaps(self):
        """The argument behind an option that need not have one."""
        word = self.table()
        self._at += word is not None
        return word

    def _required(self, name):
        if self._at == len(self._words):
            raise Failure(f"option `{name}' requires an argument")
        self._at += 1
        return self._words[self._at - 1]

    def _long_option(self, word, request):
        name, equals, value = word[2:].partition("=")
        own = PROTOCOL_OPTIONS.get(request.protocol_name, {})
        known = [*self._long, *own]
        fitting = [name] if name in known else [each for each in known if each.startswith(name)]
        if len({self._long.get(each, own.get(each)) for each in fitting}) != 1:
            raise Failure(f"unknown option `{word}'")
        letter = self._long.get(fitting[0], fitting[0])
        if self._takes.get(letter, 1) == 1 and not equals:
            value = self._required(word)
        elif not equals:
            value = None
        return letter, value

    def _short_options(self, word):
        for at, letter in enumerate(word[1:], 1):
            takes = self._takes.get(letter) if letter not in "[]{}()" else None
            rest = word[at + 1:]
            if takes is None:
                raise Failure(f"unknown option `{self._words[self._at - 2] if rest else word}'")
            if takes:
                yield letter, (rest or None) if takes == 2 else rest or self._required(word)
                return
            yield letter, None


def parse(words):
    """A command line as a Request.

    Raises
    ------
    Failure
        With what conntrack says about it.
    """
    request = Request()
    stream = _Words(words)
    for letter, value in stream.options(request):
        if letter in COMMANDS and len(letter) == 1:
            _set_command(request, letter, value, stream)
        elif len(letter) > 1:
            _set_protocol_option(request, letter, value)
        else:
            if letter in "ngj" and value is None:
                value = stream.perhaps()
            request.letters.add(letter)
            SETTERS.get(letter, lambda *_: None)(request, letter, value)
    _check(request)
    return request


def _set_command(request, letter, value, stream):
    if request.command:
        raise Failure("Invalid commands combination")
    request.command = letter
    word = None if value is not None or letter in NO_TABLE_ARGUMENT else stream.table()
    if word is None:
        return
    request.table = next((table for table in TABLES if table.startswith(word)), None)
    if request.table is None:
        raise Failure(f"unknown type `{word}'")


def _check(request):
    """What goes with what."""
    command, letters = request.command, request.letters
    if "j" in letters and letters & {"n", "g"}:
        raise Failure("cannot specify `--src-nat' or `--dst-nat' with `--any-nat'")
    if request.table in TABLES[2:] and command not in "L":
        raise Failure(f"Can't do that command with tables `{TABLES[2]}' and `{TABLES[3]}'")
    illegal = ILLEGAL.get(f"{command} {request.table}", ILLEGAL.get(command, ""))
    for letter, _, name, *_ in OPTIONS:
        if letter in letters and letter in illegal:
            raise Failure(f"Illegal option `--{name}' with this command")
        if letter not in letters and letter in REQUIRED.get(command, ""):
            raise Failure(f"You need to supply the `--{name}' option for this command")
    for mask, address, name in (("{", "s", "src"), ("}", "d", "dst")):
        if mask in letters and address not in letters:
            raise Failure(f"Can't use --mask-{name} without --{name}")
    if command == "L" and "z" in letters and letters & set(FILTERS):
        raise Failure("Can't use -z with filtering parameters")
    if command in ("G", "I", "A") and request.table == "conntrack":
        _check_tuple(request)


def _check_tuple(request):
    """Commands that name one connection have to name it in full."""
    sides = ("s", "d", "--src", "--dst"), ("r", "q", "--reply-src", "--reply-dst")
    if not any(set(side[:2]) <= request.letters for side in sides):
        raise Failure("you have to specify `--src' and `--dst'")
    name = request.protocol_name
    if name in NEEDED_PAIR:
        meanings = [PROTOCOL_OPTIONS[name][each] for each in NEEDED_PAIR[name]]
        if not (set(meanings) <= request.fields.keys()
                or {f"reply_{meaning}" for meaning in meanings} <= request.fields.keys()):
            first, second = NEEDED_PAIR[name]
            raise Failure(f"you have to specify `--{first}' and `--{second}'")
    needed = NEEDED.get(name, ()) + (NEEDED_NEW.get(name, ()) if request.command != "G" else ())
    for each in needed:
        if each not in request.given:
            raise Failure(f"You need to supply the `--{each}' option for this command")
