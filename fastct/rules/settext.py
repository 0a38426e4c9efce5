"""The text of ``ipset save``: read into sets, and written back."""
from dataclasses import replace

from fastct.rules import names
from fastct.rules.kinds import number
from fastct.rules.setelements import element_text, keys, spans
from fastct.rules.sets import BITS, TYPES, Entry, Set, SetFailure, Sets
from fastct.rules.words import split

NAME_MAX = 31
TIMEOUT_MAX = 2147483
FAMILIES = {"inet": 4, "inet6": 6, "ipv4": 4, "ipv6": 6, "-4": 4, "-6": 6}
FAMILY_NAMES = {4: "inet", 6: "inet6"}
# Options of ``create`` in the order in which they are written, and whether each has an argument. ``forceadd`` is not
# written: ipset 7.17 gives it to the kernel and forgets it.
CREATE = {"range": True, "family": True, "markmask": True, "hashsize": True, "maxelem": True, "size": True,
          "netmask": True, "bitmask": True, "timeout": True, "counters": False, "comment": False, "skbinfo": False,
          "forceadd": False, "bucketsize": True, "initval": True}
COMMON = {"timeout", "counters", "comment", "skbinfo"}
# What a type takes besides: by its kind and by its name.
OWN = {"hash": {"family", "hashsize", "maxelem", "forceadd", "bucketsize", "initval"}, "bitmap": {"range"},
       "list": {"size"}, "bitmap:ip": {"netmask"}, "hash:ip,mark": {"markmask"},
       **dict.fromkeys(("hash:ip", "hash:ip,port", "hash:net,net"), {"netmask", "bitmask"})}
DEFAULTS = {"hash": {"hashsize": 1024, "maxelem": 65536, "bucketsize": 12}, "list": {"size": 8}, "bitmap": {}}
HASHSIZE_LEAST = 64
WITHOUT_FAMILY = ("bitmap:port", "hash:mac", "list:set")


def _syntax(text):
    return SetFailure(f"Syntax error: {text}")


def _number(text, low, high):
    value, rest = number(text)
    if value is None or rest:
        raise _syntax(f"'{text}' is invalid as number")
    if not low <= value <= high:
        raise _syntax(f"'{text}' is out of range {low}-{high}")
    return value


def _range(text, set_type, family):
    if set_type == "bitmap:port":
        low, dash, high = text.partition("-")
        ends = sorted(_number(end, 0, 0xFFFF) for end in (low, high or low))
        return tuple(ends)
    ranges = spans(text, family)
    if ranges[1] - ranges[0] >= 65536:
        raise SetFailure("The range you specified exceeds the size limit of the set type")
    return ranges


def _netmask(text, bits):
    value, rest = number(text)
    if value is None or rest or not 1 <= value <= bits:
        raise _syntax(f"netmask is out of the inclusive range of 1-{bits}")
    return value


# How the arguments of ``create`` are read: functions of the text, the type and the family.
READ = {
    "range": _range,
    "netmask": lambda text, _, family: _netmask(text, BITS[family]),
    "bitmask": lambda text, _, family: names.address(text, family),
    "timeout": lambda text, *_: _number(text, 0, TIMEOUT_MAX),
    "initval": lambda text, *_: _number(text, 0, 0xFFFFFFFF),
    "markmask": lambda text, *_: _number(text, 1, 0xFFFFFFFF),
    "hashsize": lambda text, *_: max(HASHSIZE_LEAST, 1 << (_number(text, 0, 0xFFFFFFFF) - 1).bit_length()),
}


def _create(sets, words):
    name, set_type, *rest = words
    if len(name) > NAME_MAX:
        raise _syntax(f"setname '{name}' is longer than {NAME_MAX} characters")
    if set_type not in TYPES:
        raise _syntax(f"typename '{set_type}' is unknown")
    kind, given = set_type.partition(":")[0], {}
    known = COMMON | OWN[kind] | OWN.get(set_type, set())
    while rest:
        option = rest.pop(0)
        if option not in known:
            raise SetFailure(f"Unknown argument: `{option}'")
        if CREATE[option] and not rest:
            raise SetFailure(f"Missing mandatory argument of option `{option}'")
        given[option] = rest.pop(0) if CREATE[option] else True
    if given.get("family", "inet") not in FAMILIES:
        raise _syntax(f"unknown inet family {given['family']}")
    family = FAMILIES[given.pop("family", "inet")]
    if kind == "bitmap" and "range" not in given:
        raise SetFailure("Mandatory option `range' is missing")
    options = dict(DEFAULTS[kind])
    for option, text in given.items():
        read = READ.get(option, lambda text, *_: _number(text, 0, 0xFFFFFFFF))
        options[option] = read(text, set_type, family) if CREATE[option] else True
    if name in sets:
        raise SetFailure("Set cannot be created: set with the same name already exists")
    sets[str(name)] = Set(str(name), set_type, None if set_type in WITHOUT_FAMILY else family, options)


def _skbmark(text):
    value, slash, mask = text.partition("/")
    if value[:2].lower() != "0x":
        raise _syntax("Invalid skbmark format, it should be:  MARK/MASK or MARK (see manpage)")
    return int(value, 16), int(mask, 16) if slash else 0xFFFFFFFF


def _skbprio(text):
    major, _, minor = text.partition(":")
    return int(major, 16) << 16 | int(minor, 16)


COUNTER_MAX = (1 << 64) - 1
COUNTERS = "Packet/byte counters cannot be used: set was created without counter support"
SKBINFO = "Skbinfo mapping cannot be used: set was created without skbinfo support"
# Options of ``add``: how each is read, the attribute of Entry, what the set needs for it, and what is said without.
ADD = {
    "packets": (lambda text: _number(text, 0, COUNTER_MAX), "packets", "counters", COUNTERS),
    "bytes": (lambda text: _number(text, 0, COUNTER_MAX), "bytes", "counters", COUNTERS),
    "comment": (str, "comment", "comment", "Comment cannot be used: set was created without comment support"),
    "skbmark": (_skbmark, "mark", "skbinfo", SKBINFO), "skbprio": (_skbprio, "priority", "skbinfo", SKBINFO),
    "skbqueue": (lambda text: _number(text, 0, 0xFFFF), "queue", "skbinfo", SKBINFO),
}


def _add(sets, words, now):
    name, element, *rest = words
    if name not in sets:
        raise SetFailure("The set with the given name does not exist")
    target = sets[name]
    entry, timeout, wildcard, beside = Entry(), target.options.get("timeout"), 0, None
    while rest:
        option = rest.pop(0)
        if option == "nomatch" and target.lengths:
            entry.nomatch = True
        elif option == "wildcard" and "iface" in target.parts:
            wildcard = 1
        elif option in ("before", "after") and target.is_list:
            beside = option, (rest.pop(0),)
        elif option == "timeout" or option in ADD:
            if not rest or rest[0] == "":
                raise SetFailure(f"Missing mandatory argument of option `{option}'")
            text = rest.pop(0)
            if option == "timeout":
                if timeout is None:
                    raise SetFailure("Timeout cannot be used: set was created without timeout support")
                timeout = _number(text, 0, TIMEOUT_MAX)
                continue
            read, attribute, needs, refusal = ADD[option]
            value = read(text)
            if needs not in target.options:
                raise SetFailure(refusal)
            setattr(entry, attribute, value)
        else:
            raise SetFailure(f"Unknown argument: `{option}'")
    entry.expires = now + timeout if timeout else None
    if target.is_list:
        _add_member(sets, target, element, entry, beside)
        return
    for key in keys(target, element, wildcard):
        target.add(key, replace(entry), now)


def _add_member(sets, target, member, entry, beside):
    if member not in sets:
        raise SetFailure("Set to be added/deleted/tested as element does not exist.")
    if sets[member].is_list:
        raise SetFailure("Sets with list:set type cannot be added to the set.")
    target.add((str(member),), entry)
    if beside:
        where, other = beside
        if other not in target.entries:
            raise SetFailure("Set to which the element should be added before or after does not exist")
        order = [key for key in target.entries if key != (member,)]
        order.insert(order.index(other) + (where == "after"), (member,))
        target.entries = {key: target.entries[key] for key in order}


def load(text, now=0.0):
    """The Sets that a text of ``ipset save`` makes; raises SetFailure, with ipset's words and the line.

    now : the time at which timeouts in the text begin.
    """
    sets = Sets()
    for line_number, line in enumerate(text.splitlines(), 1):
        words = [str(word) for word in split(line)]
        if not words or words[0].startswith("#"):
            continue
        try:
            if words[0] in ("create", "-N", "-n") and len(words) > 2:
                _create(sets, words[1:])
            elif words[0] in ("add", "-A", "-a") and len(words) > 2:
                _add(sets, words[1:], now)
            else:
                raise SetFailure(f"Syntax error: cannot interpret `{line}'")
        except SetFailure as failure:
            raise SetFailure(f"Error in line {line_number}: {failure}") from None
    return sets


def _create_words(target):
    given = dict(target.options)
    if target.type.startswith("hash:") and target.family:
        given["family"] = FAMILY_NAMES[target.family]
    for option, argument in CREATE.items():
        if option not in given or option == "forceadd":
            continue
        yield option
        if argument:
            value = given[option]
            if option == "range":
                low, high = (element_text(target, end) for end in value)
                value = f"{low}-{high}"
            elif option == "bitmask":
                value = names.address_text(value, target.family)
            elif option in ("initval", "markmask"):
                value = f"0x{value:08x}"
            yield str(value)


def _entry_words(target, key, entry, now):
    if "timeout" in target.options:
        yield f"timeout {0 if entry.expires is None else int(entry.expires - now)}"
    if entry.nomatch:
        yield "nomatch"
    if "iface" in target.parts and key[-1]:
        yield "wildcard"
    if "counters" in target.options:
        yield f"packets {entry.packets} bytes {entry.bytes}"
    if entry.comment:
        yield f'comment "{entry.comment}"'
    if entry.mark != (0, 0):
        value, mask = entry.mark
        yield f"skbmark {value:#x}" + ("" if mask == 0xFFFFFFFF else f"/{mask:#x}")
    if entry.priority:
        yield f"skbprio {entry.priority >> 16:x}:{entry.priority & 0xFFFF:x}"
    if entry.queue:
        yield f"skbqueue {entry.queue}"


def save(sets, now=0.0):
    """The lines of ``ipset save``: lists come behind the sets that they are of."""
    for target in sorted(sets.values(), key=lambda target: target.is_list):
        yield " ".join(["create", target.name, target.type, *_create_words(target)])
        for key, entry in target.entries.items():
            if target.get(key, now) is not None:
                yield " ".join(["add", target.name, element_text(target, *key), *_entry_words(target, key, entry, now)])
