"""Targets that rewrite addresses and ports."""
from fastct.rules import names
from fastct.rules.extension import Option, Target, by_family
from fastct.rules.kinds import Kind, number, port
from fastct.rules.words import Failure, Refused

# Protocols with which iptables takes a port: ICMP has an identifier instead.
WITH_PORTS = (1, 6, 17, 33, 132)
PORT_MAX = 0xFFFF


def _port(text, least=0):
    """A number at the front of a text and the rest, or a service; raises Failure."""
    value, rest = number(text)
    if value is not None and least <= value <= PORT_MAX:
        return value, rest, False
    value = None if value is not None and not rest else port(text)
    if value is None:
        raise Failure(f"Port `{text}' not valid", word=text)
    return value, "", True


def ports(text, protocol, shift=None):
    """``PORT[-PORT[/BASE]]`` as (lowest, highest, base or None). ``shift``: what the base is taken for."""
    if protocol not in WITH_PORTS:
        raise Failure("Need TCP, UDP, SCTP or DCCP with port specification")
    low, rest, by_name = _port(text)
    if not rest:
        return low, low, None
    if rest[0] == ":":
        raise Failure("Invalid port:port syntax - use dash")
    if rest[0] != "-":
        raise Failure(f"Garbage after port value: `{rest}'", word=text)
    text = rest[1:]
    high, rest = number(text)
    if high is None or high > PORT_MAX:
        raise Failure(f"Port `{text}' not valid", word=text)
    if high < low:
        raise Failure(f"Port range `{text}' funky", word=text)
    if not rest:
        return low, high, None
    if rest[0] != "/":
        raise Failure(f"Garbage after port range: `{rest}'", word=text)
    base = _port(rest[1:], least=1)[0]
    return low, high, base if shift is None else shift(base)


def ports_text(value):
    """The text of ports."""
    low, high, base = value
    return (str(low) if low == high else f"{low}-{high}") + ("" if base is None else f"/{base}")


def _no_base(base):
    """SNAT and MASQUERADE read a base and forget it."""
    return 0


def _refuse_base(base):
    raise Failure("Shifted portmap ranges not supported with this kernel")


class Ports(Kind):
    """Ports alone."""
    count = 1

    def __init__(self, shift):
        self.shift = shift

    def read(self, words, context):
        return ports(words[0], context.protocol, self.shift)

    def write(self, value):
        return (ports_text(value),)


class Range(Kind):
    """``[ADDRESS[-ADDRESS]][:PORTS]``: a pair of (first, last address) and (lowest, highest port, base), or None."""
    count = 1

    def __init__(self, family, shift=None):
        self.family, self.shift = family, shift

    def _split(self, text):
        """The texts of the addresses and of the ports (None: none)."""
        if text.startswith("["):
            inner, bracket, rest = text[1:].partition("]")
            if not bracket or self.family == 4:
                raise Failure("Invalid address format", word=text)
            return inner, rest[1:] if rest.startswith(":") else None
        # Without brackets one colon is that of the ports, more are an address' own.
        addresses, colon, rest = text.partition(":")
        return (addresses, rest) if colon and ":" not in rest else (text, None)

    def read(self, words, context):
        addresses, port_text = self._split(words[0])
        found = None if port_text is None else ports(port_text, context.protocol, self.shift)
        if not addresses and port_text is not None:
            return None, found
        ends = addresses.split("-", 1)
        values = [names.address(end, self.family) for end in ends]
        if None in values:
            raise Failure(f'Bad IP address "{ends[values.index(None)]}"', word=words[0])
        return (values[0], values[-1]), found

    def write(self, value):
        addresses, found = value
        text = ""
        if addresses:
            low, high = (names.address_text(end, self.family) for end in addresses)
            text = low if low == high else f"{low}-{high}"
            if found and self.family == 6:
                text = f"[{text}]"
        return (text + (f":{ports_text(found)}" if found else ""),)


class _Nat(Target):
    """Its range, and flags by their options' names."""
    terminates, tables, label = True, ("nat",), ""

    def show(self, use, numeric):
        range_option, *flags = self.options
        given = use.get(range_option.name)
        words = [] if given is None else [self.label + range_option.kind.write(given)[0]]
        return " ".join(words + [flag.name for flag in flags if flag.name in use])

    def compile(self, use, out):
        """The decision, which is remembered; addresses are not rewritten."""
        out.effect("accept")


@by_family("SNAT")
class Snat(_Nat):
    hooks, label = ("INPUT", "POSTROUTING"), "to:"

    @staticmethod
    def options_for(family):
        return (Option("to-source", Range(family, _no_base), needed=True),
                *map(Option, ("random", "random-fully", "persistent")))


@by_family("DNAT")
class Dnat(_Nat):
    hooks, label = ("PREROUTING", "OUTPUT"), "to:"

    @staticmethod
    def options_for(family):
        return (Option("to-destination", Range(family), needed=True), *map(Option, ("random", "persistent")))


class Masquerade(_Nat):
    name, hooks, label = "MASQUERADE", ("POSTROUTING",), "masq ports: "
    options = (Option("to-ports", Ports(_no_base)), *map(Option, ("random", "random-fully")))


class Redirect(_Nat):
    name, hooks, label = "REDIRECT", ("PREROUTING", "OUTPUT"), "redir ports "
    options = (Option("to-ports", Ports(_refuse_base)), Option("random"))


class Prefix(Kind):
    """``ADDRESS[/LENGTH or /MASK]`` as address and length; ``clear``: host bits go."""
    count = 1

    def __init__(self, family, clear=False):
        self.family, self.clear = family, clear

    def read(self, words, context):
        host, slash, mask_text = words[0].partition("/")
        bits = names.BITS[self.family]
        address = names.resolve(host, self.family)
        length = names.length(mask_text, self.family, context) if slash else bits
        return address & names.prefix_mask(length, self.family) if self.clear else address, length

    def write(self, value):
        return (f"{names.address_text(value[0], self.family)}/{value[1]}",)


@by_family("NETMAP")
class Netmap(_Nat):
    """``to``: address and length of the prefix."""
    hooks, label = ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"), "to:"

    @staticmethod
    def options_for(family):
        return (Option("to", Prefix(family, clear=True), needed=True),)


def adjustment(before, after):
    """What is to be added to a word of an address so that its sum stays the same when a prefix changes."""
    words = [sum(value >> 16 * n & 0xFFFF for n in range(8)) for value in (before, after)]
    return (words[0] - words[1]) % 0xFFFF or 0xFFFF


class _Npt(Target):
    """``src-pfx`` and ``dst-pfx``: address and length."""
    families, tables = (6,), ("mangle",)
    options = (Option("src-pfx", Prefix(6), needed=True), Option("dst-pfx", Prefix(6), needed=True))

    def check(self, use, rule, place):
        for address, length in use.values.values():
            if length > 64 or address & ~names.prefix_mask(length, 6):
                raise Refused

    def show(self, use, numeric):
        return " ".join([self.name, *(word.removeprefix("--") for word in self.save(use))])

    def compile(self, use, out):
        (source, source_len), (new, new_len) = use.get("src-pfx"), use.get("dst-pfx")
        out.effect("npt", max(source_len, new_len), adjustment(source, new), self.destination, source_len,
                   blob=new.to_bytes(16, "big") + source.to_bytes(16, "big") + bytes(1))


class Snpt(_Npt):
    name, hooks, destination = "SNPT", ("INPUT", "POSTROUTING"), False


class Dnpt(_Npt):
    name, hooks, destination = "DNPT", ("PREROUTING", "OUTPUT"), True
