"""The words of conntrack(8): what was asked for, once it is known to go together.

The texts of errors and the order in which they are found are those of conntrack 1.4.7.
"""
import sys
from dataclasses import dataclass, field
from ipaddress import ip_network

from fastct.cli.conntrack import values
from fastct.cli.conntrack.labels import parse_labels, read_names
from fastct.cli.conntrack.options import (
    ALLOWED,
    BITS,
    COMMANDS,
    EITHER_DIRECTION,
    EVENT_MASKS,
    FAMILIES,
    FILTERS,
    IGNORED,
    KINDS_ALLOWED,
    KINDS_REQUIRED,
    LONG_COMMANDS,
    NAMES,
    NAMES_OF_OPTIONS,
    NO_STATE,
    NO_TABLE_ARGUMENT,
    OPTIONS,
    OUTPUTS,
    PAIRS,
    PROTOCOL_OPTIONS,
    REQUIRED,
    STATE_BASE,
    STATE_NAMES,
    STATE_SYNONYMS,
    TABLES,
    WITHOUT_EXPECTATIONS,
)
from fastct.cli.conntrack.values import Failure


@dataclass
class Request:
    """A parsed command line. Addresses are ip_address, labels sets of numbers."""
    command: str = ""
    table: str = "conntrack"
    letters: set = field(default_factory=set)       # the options that were given
    protocol: int | None = None
    family: int | None = None
    addresses: dict = field(default_factory=dict)   # by letter of "sdrq[]{}"
    nat: dict = field(default_factory=dict)         # by letter of "ngj": address and port, or None
    fields: dict = field(default_factory=dict)      # what a protocol's option means, to a number
    given: set = field(default_factory=set)         # the places of a protocol's options that were given
    reply_protocol: bool = False                    # an option said that the reply is of the protocol, too
    mark: tuple | None = None                       # value, mask
    id: int | None = None
    zones: dict = field(default_factory=dict)       # of "w()" to a number
    timeout: int | None = None
    status: int | None = None
    status_mask: int = 0                            # the bits that a listing is about
    labels: set = field(default_factory=set)
    label_changes: set | None = None
    label_names: dict = field(default_factory=dict)
    output: set = field(default_factory=set)

    @property
    def protocol_name(self):
        """The protocol as its options know it, or None."""
        return NAMES.get(self.protocol)

    @property
    def key(self):
        """The command as the tables of what goes with what know it."""
        return f"{self.command} expect" if self.table == "expect" else self.command


# ---- options, by letter

def _set_family(request, family):
    if request.family not in (None, family):
        raise Failure("mismatched address family")
    request.family = family


def _set_address(request, letter, text):
    plain, slash, length = text.partition("/")
    try:
        address = values.address(plain)
    except Failure:
        raise Failure(f"Invalid IP address `{text}'") from None
    _set_family(request, address.version)
    mask = {"s": "{", "d": "}", "[": "{", "]": "}"}.get(letter)
    if slash and mask is None:
        raise Failure(f"CIDR notation unavailable for `--{NAMES_OF_OPTIONS[letter]}'")
    request.addresses[letter] = address
    if slash:
        bits = values.number(length)
        if (length and not length.isdigit()) or bits > address.max_prefixlen:
            raise Failure("Invalid netmask")
        if bits < address.max_prefixlen:
            request.addresses[mask] = ip_network((address, bits), strict=False).netmask
            request.letters.add(mask)


def _set_nat(request, letter, text):
    request.nat[letter] = None
    if text is not None:
        plain, port = values.translation(text)
        _set_address(request, letter, plain)
        request.nat[letter] = request.addresses.pop(letter), port


def _set_status(request, letter, text):
    wanted, mask = values.status(text)
    request.status = (request.status or 0) | wanted
    request.status_mask |= mask


def _set_output(request, letter, text):
    for word in values.meanings(text, OUTPUTS):
        request.output.add(word)
    if "labels" in request.output and not request.label_names:
        request.label_names = read_names()
    if "save" in request.output and len(request.output - {"userspace"}) > 1:
        raise Failure("cannot combine save output with any other output type, use -o save only", Failure.OTHER)


def _set_events(request, letter, text):
    list(values.meanings(text, EVENT_MASKS))


def _set_mark(request, letter, text):
    request.mark = values.mark(text)


def _set_protocol(request, letter, text):
    request.protocol = values.protocol(text)
    request.reply_protocol |= request.protocol_name is None


def _set_named_family(request, letter, text):
    name = next((name for name in FAMILIES if text.startswith(name)), None)
    if name is None:
        raise Failure(f"`{text}' unsupported protocol")
    _set_family(request, FAMILIES[name])


def _set_timeout(request, letter, text):
    request.timeout = values.saturated(text)


def _set_id(request, letter, text):
    request.id = values.number(text, 0) & 0xFFFFFFFF


def _set_zone(request, letter, text):
    request.zones[letter] = values.number(text, 0) & 0xFFFF


def _set_labels(request, letter, text):
    if not request.label_names:
        request.label_names = read_names()
    if {"<", ">"} <= request.letters:
        raise Failure("cannot use --label-add and --label-del at the same time", Failure.OTHER)
    if text is None:
        return
    bits = parse_labels(text, request.label_names)
    if letter == "l":
        request.labels |= bits
    else:
        request.label_changes = (request.label_changes or set()) | bits


SETTERS = (dict.fromkeys("sdrq{}[]", _set_address) | dict.fromkeys("ngj", _set_nat) | dict.fromkeys("w()", _set_zone)
           | dict.fromkeys("l<>", _set_labels)
           | {"i": _set_id, "u": _set_status, "o": _set_output, "m": _set_mark, "p": _set_protocol,
              "f": _set_named_family, "t": _set_timeout, "e": _set_events})


def _set_protocol_option(request, place, text):
    """An option of the protocol, by its place among them."""
    name = request.protocol_name
    kind, meaning, *_ = PROTOCOL_OPTIONS[name][place]
    request.given.add(place)
    request.reply_protocol |= kind.startswith("reply") or bool(request.letters & set("rq") and kind in ("type", "id"))
    if meaning == "role":
        if not any(role.startswith(text.lower()) for role in ("client", "server")):
            raise Failure(f"Unknown DCCP role `{text}'")
    elif meaning == "state":
        word = STATE_SYNONYMS.get(text, text)
        if word not in STATE_NAMES[name]:
            raise Failure(f"{NO_STATE[name]} `{text}'")
        meaning = "state" if name in STATE_BASE else "unknown_state"
        request.fields[meaning] = STATE_NAMES[name].index(word) + STATE_BASE.get(name, 0)
    else:
        value = values.number(text, 0) if name == "gre" else values.saturated(text)
        request.fields[meaning] = value & ((1 << BITS.get(meaning, 16)) - 1)


# ---- words into options, as getopt_long does it

class _Words:
    """The words of a command line, taken from the front."""

    def __init__(self, words):
        self._words, self._at = words, 0
        self._long = LONG_COMMANDS | {name: row[0] for row in OPTIONS for name in row[2:]}
        self._takes = dict.fromkeys(COMMANDS, 2) | dict.fromkeys(NO_TABLE_ARGUMENT, 0) | {
            row[0]: row[1] for row in OPTIONS}

    def options(self, request):
        """Yield letter (or place of a protocol's option) and argument; words that are none are passed over."""
        while self._at < len(self._words):
            word = self._words[self._at]
            self._at += 1
            if word == "--":
                return
            if word.startswith("--"):
                yield self._long_option(word, request)
            elif word.startswith("-") and word != "-":
                yield from self._short_options(word)

    def perhaps(self):
        """The word behind an option that need not have an argument, if it looks like one."""
        if self._at == len(self._words) or self._words[self._at][:1] in ("-", "!"):
            return None
        self._at += 1
        return self._words[self._at - 1]

    def _required(self, name):
        if self._at == len(self._words):
            raise Failure(f"option `{name}' requires an argument")
        self._at += 1
        return self._words[self._at - 1]

    def _long_option(self, word, request):
        name, equals, value = word[2:].partition("=")
        own = {each: place for place, (_, _, *names) in enumerate(PROTOCOL_OPTIONS.get(request.protocol_name, ()))
               for each in names}
        known = self._long | own
        fitting = [name] if name in known else [each for each in known if each.startswith(name)]
        if len({known[each] for each in fitting}) != 1:
            raise Failure(f"unknown option `{word}'")
        letter = known[fitting[0]]
        if self._takes.get(letter, 1) == 1 and not equals:
            value = self._required(word)
        elif not equals:
            value = None
        return letter, value

    def _short_options(self, word):
        for at, letter in enumerate(word[1:], 1):
            takes = self._takes.get(letter)
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
        if isinstance(letter, int):
            _set_protocol_option(request, letter, value)
        elif letter in COMMANDS:
            _set_command(request, letter, value, stream)
        elif letter in IGNORED:
            print(f"WARNING: ignoring -{letter}, deprecated option.", file=sys.stderr)
        else:
            request.letters.add(letter)
            if letter in "ngj>":        # what is joined to them is not looked at
                value = None if value is not None else stream.perhaps()
            SETTERS.get(letter, lambda *_: None)(request, letter, value)
    _check(request)
    return request


def _set_command(request, letter, value, stream):
    word = None if value is not None else stream.perhaps()
    table = "conntrack" if word is None else next((table for table in TABLES if table.startswith(word)), None)
    if table is None:
        raise Failure(f"unknown type `{word}'")
    if table in TABLES[2:] and letter != "L":
        raise Failure(f"Can't do that command with tables `{TABLES[2]}' and `{TABLES[3]}'")
    if table == "expect" and letter in WITHOUT_EXPECTATIONS:
        raise Failure(f"Can't do --{WITHOUT_EXPECTATIONS[letter]} on expectations")
    if request.command:
        raise Failure("Invalid commands combination")
    request.command, request.table = letter, table


# ---- what goes with what

def _check(request):
    command, letters = request.command, request.letters
    if "j" in letters and letters & {"n", "g"}:
        raise Failure("cannot specify `--src-nat' or `--dst-nat' with `--any-nat'")
    allowed = ALLOWED.get(request.key, ALLOWED.get(command, "") if request.table != "expect" else "")
    for letter, _, name, *_ in OPTIONS:
        if letter in letters and letter not in allowed:
            raise Failure(f"Illegal option `--{name}' with this command")
        if letter not in letters and letter in REQUIRED.get(request.key, ""):
            raise Failure(f"You need to supply the `--{name}' option for this command")
    if request.key in EITHER_DIRECTION and request.key:
        _check_either(set("sd") & letters, set("rq") & letters,
                      ("`--src' and `--dst'", "`--reply-src' and `--reply-dst'"))
    if command not in ("", "h") and request.protocol_name:
        _check_protocol(request)
    if request.table in ("conntrack", "expect"):
        for mask, address, name in (("{", "s", "src"), ("}", "d", "dst")):
            if mask in letters and address not in letters:
                raise Failure(f"Can't use --mask-{name} without --{name}")
    if request.key == "L" and request.table == "conntrack" and "z" in letters and letters & set(FILTERS):
        raise Failure("Can't use -z with filtering parameters")


def _check_either(orig, reply, names):
    """One direction has to be there in full."""
    if len(orig) < 2 and len(reply) < 2:
        raise Failure(f"you have to specify {names[not orig and bool(reply)]}")


def _check_protocol(request):
    """Whether the command takes the protocol's options that there are, and has those that it needs."""
    options = PROTOCOL_OPTIONS[request.protocol_name]
    required, allowed = KINDS_REQUIRED.get(request.key, ()), KINDS_ALLOWED.get(request.key, ())
    for place, (kind, _, name, *_) in enumerate(options):
        if place in request.given and kind not in required and kind not in allowed:
            raise Failure(f"Illegal option `--{name}' with this command")
        if place not in request.given and kind in required:
            raise Failure(f"You need to supply the `--{name}' option for this command")
    if request.key in EITHER_DIRECTION and request.protocol_name in PAIRS:
        _check_either({0, 1} & request.given, {2, 3} & request.given, PAIRS[request.protocol_name])
