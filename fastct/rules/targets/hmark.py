"""The target that makes a mark of a hash of the packet's addresses and ports."""
from fastct.rules import names
from fastct.rules.extension import Option, Target, by_family
from fastct.rules.kinds import Kind, Number
from fastct.rules.words import Failure, Refused


class Tuple(Kind):
    """A list of what is hashed."""
    count = 1

    def read(self, words, context):
        given = words[0].split(",")
        if "" in given:
            raise Failure('"--hmark-tuple" requires a list of types with no spaces, e.g. src,dst,sport,dport,proto')
        for name in given:
            if name not in WHOLE and name != "ct":
                raise Failure(f'Bad type "{name}"', word=words[0])
        return tuple(given)

    def write(self, value):
        return (",".join(value),)


class Prefix(Kind):
    """The length of a prefix."""
    count = 1

    def __init__(self, family):
        self.family = family

    def read(self, words, context):
        return names.length(words[0], self.family, context)

    def write(self, value):
        return (str(value),)


# What --hmark-tuple's words stand for: the option that they give, with all bits (None: of the family's addresses).
WHOLE = {"src": ("hmark-src-prefix", None), "dst": ("hmark-dst-prefix", None),
         "sport": ("hmark-sport-mask", 0xFFFF), "dport": ("hmark-dport-mask", 0xFFFF),
         "proto": ("hmark-proto-mask", 0xFFFF), "spi": ("hmark-spi-mask", 0xFFFFFFFF)}
PORT_MASKS = ("hmark-sport-mask", "hmark-dport-mask")


@by_family("HMARK")
class Hmark(Target):
    """The mark becomes hash % ``hmark-mod`` + ``hmark-offset``. ``hmark-tuple`` is there, as ("ct",), if the hash is of
    the connection's tuple instead of the packet's; what it is of, the prefixes and masks say."""

    @staticmethod
    def options_for(family):
        def hexadecimal(digits, bits):
            return Number(bits, form=f"{{:#0{digits + 2}x}}")
        return (Option("hmark-src-prefix", Prefix(family)), Option("hmark-dst-prefix", Prefix(family)),
                Option("hmark-sport-mask", hexadecimal(4, 16)), Option("hmark-dport-mask", hexadecimal(4, 16)),
                Option("hmark-spi-mask", hexadecimal(8, 32)), Option("hmark-sport", hexadecimal(4, 16)),
                Option("hmark-dport", hexadecimal(4, 16)), Option("hmark-spi", hexadecimal(8, 32)),
                Option("hmark-proto-mask", hexadecimal(2, 16)), Option("hmark-rnd", hexadecimal(8, 32)),
                Option("hmark-mod", Number(low=1)), Option("hmark-offset", Number()), Option("hmark-tuple", Tuple()))

    def accept(self, use, option, invert, context):
        if option.name in {WHOLE[name][0] for name in use.get("hmark-tuple", ()) if name in WHOLE}:
            raise context.failure('option "--{}" can only be used once.')
        super().accept(use, option, invert, context)

    def verify(self, use, rule):
        given = use.values.pop("hmark-tuple", ())
        for name in given:
            if name in WHOLE:
                option, value = WHOLE[name]
                use.values[option] = names.BITS[self.family] if value is None else value
        if "ct" in given:
            use.values["hmark-tuple"] = ("ct",)
        for option in ("hmark-mod", "hmark-rnd"):
            if option not in use:
                raise Failure(f"--{option} is mandatory")
        if "hmark-spi-mask" in use and any(mask in use for mask in PORT_MASKS):
            raise Failure("you cannot use --hmark-spi-mask and --hmark-?port-mask,at the same time")
        if not set(use.values) - {"hmark-mod", "hmark-rnd", "hmark-offset"}:
            raise Failure("you have to specify --hmark-tuple at least")

    def check(self, use, rule, place):
        if "hmark-spi" in use and ("hmark-sport" in use or "hmark-dport" in use):
            raise Refused

    def compile(self, use, out):
        def mask(name):
            return use.get(f"hmark-{name}", 0)
        ports = (mask("spi-mask") or mask("sport-mask") << 16 | mask("dport-mask")) << 32
        ports |= mask("spi") or mask("sport") << 16 | mask("dport")
        out.effect("hmark", mask("src-prefix") | mask("dst-prefix") << 8 | ("hmark-tuple" in use) << 16
                   | mask("proto-mask") << 32, ports, mask("rnd"), mask("mod") << 32 | mask("offset"))

    def _words(self, use):
        yield f"HMARK mod {use.get('hmark-mod')}"
        if "hmark-offset" in use:
            yield f"+ {use.get('hmark-offset'):#x}"
        if "hmark-tuple" in use:
            yield "ct,"
        for option in self.options[:-3]:
            if option.name in use:
                value, name = use.get(option.name), option.name.removeprefix("hmark-")
                if name.endswith("prefix"):      # the whole of an IPv6 address is listed as nothing
                    yield f"{name} {'' if value == names.BITS[6] else value}"
                else:
                    yield f"{name} 0x{value:x}"

    def show(self, use, numeric):
        return " ".join([*self._words(use), ""])
