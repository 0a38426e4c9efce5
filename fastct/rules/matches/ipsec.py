"""Matches on the headers of IPsec and IPComp."""
from fastct.rules.extension import Match, Option
from fastct.rules.kinds import Number, NumberRange

EVERY = (0, 0xFFFFFFFF)


class Extension6:
    """Conditions on an extension header of IPv6, for an Assembler.

    ``size``: bytes that there must be; ``whole``: all of it must be there; ``drops``: one damaged there is.
    """

    def __init__(self, out, header, size, whole=False, drops=True):
        self._out, self._header = out, header
        out.test("extension", header, size, whole, drops)

    def byte(self, place, ends, invert=False):
        """A byte is between two numbers."""
        self._out.test("extension_byte", self._header, place, *ends, invert=invert)

    def word(self, place, ends, invert=False):
        """Four bytes are."""
        self._out.test("extension_word", self._header, place, *ends, invert=invert)

    def bits(self, place, mask, value):
        """Some bits of four bytes are so."""
        self._out.test("extension_bits", self._header, place, mask, value)

    def length(self, size, invert, unit=8, more=1):
        """The header has so many bytes."""
        count, rest = divmod(size, unit)
        if rest or not 0 <= count - more <= 0xFF:
            self._out.constant(invert)
        else:
            self.byte(1, (count - more, count - more), invert)


def spi_text(use, option, label="spi"):
    """``spi:5``, ``spis:!5:9``, or "" when any will do."""
    if option not in use or (use.get(option) == EVERY and option not in use.inverted):
        return ""
    low, high = use.get(option)
    return f"{label}{'' if low == high else 's'}:{use.bang(option)}{low if low == high else f'{low}:{high}'}"


class Esp(Match):
    name, protocols = "esp", (50,)
    options = (Option("espspi", NumberRange(), invert=True),)
    unwritten = {"espspi": EVERY}

    def show(self, use, numeric):
        return " ".join(filter(None, ("esp", spi_text(use, "espspi"))))

    def compile(self, use, out):
        out.test("live_header", 8)
        out.test("spi", 0, *use.get("espspi", EVERY), invert="espspi" in use.inverted)


class Ah4(Match):
    name, families, protocols = "ah", (4,), (51,)
    options = (Option("ahspi", NumberRange(), invert=True),)
    unwritten = {"ahspi": EVERY}

    def show(self, use, numeric):
        return f"ah {spi_text(use, 'ahspi')}"

    def compile(self, use, out):
        out.test("live_header", 12)
        out.test("spi", 4, *use.get("ahspi", EVERY), invert="ahspi" in use.inverted)


class Ah6(Match):
    name, families = "ah", (6,)
    options = (Option("ahspi", NumberRange(), invert=True), Option("ahlen", Number(), invert=True), Option("ahres"))
    unwritten = {"ahspi": EVERY}

    def finish(self, use, rule):
        # A length of 0 is any length.
        if use.get("ahlen") == 0 and "ahlen" not in use.inverted:
            del use.values["ahlen"]

    def show(self, use, numeric):
        length = f"length:{use.bang('ahlen')}{use.get('ahlen')}" if "ahlen" in use else ""
        return f"ah {spi_text(use, 'ahspi')}{length}{' reserved' if 'ahres' in use else ''}"

    def compile(self, use, out):
        extension = Extension6(out, 51, 12, whole=True)
        extension.word(4, use.get("ahspi", EVERY), "ahspi" in use.inverted)
        if use.get("ahlen"):
            # Four bytes each, but for the first two.
            extension.length(use.get("ahlen"), "ahlen" in use.inverted, unit=4, more=2)
        if "ahres" in use:
            extension.bits(0, 0xFFFF, 0)


class Ipcomp(Match):
    name, protocols = "ipcomp", (108,)
    options = (Option("ipcompspi", NumberRange(), invert=True), Option("compres"))
    unwritten = {"ipcompspi": EVERY}

    def finish(self, use, rule):
        use.values.setdefault("ipcompspi", (0, 0))

    def show(self, use, numeric):
        return f"comp {spi_text(use, 'ipcompspi')}{' reserved' if 'compres' in use else ''}"

    def compile(self, use, out):
        # The kernel does not look at what is reserved.
        out.test("live_header", 4)
        out.test("cpi", *use.get("ipcompspi"), invert="ipcompspi" in use.inverted)
