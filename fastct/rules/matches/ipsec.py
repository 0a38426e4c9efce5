"""Matches on the headers of IPsec and IPComp."""
from fastct.rules.extension import Match, Option
from fastct.rules.kinds import Number, NumberRange

EVERY = (0, 0xFFFFFFFF)


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


class Ah4(Match):
    name, families, protocols = "ah", (4,), (51,)
    options = (Option("ahspi", NumberRange(), invert=True),)
    unwritten = {"ahspi": EVERY}

    def show(self, use, numeric):
        return f"ah {spi_text(use, 'ahspi')}"


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


class Ipcomp(Match):
    name, protocols = "ipcomp", (108,)
    options = (Option("ipcompspi", NumberRange(), invert=True), Option("compres"))
    unwritten = {"ipcompspi": EVERY}

    def finish(self, use, rule):
        use.values.setdefault("ipcompspi", (0, 0))

    def show(self, use, numeric):
        return f"comp {spi_text(use, 'ipcompspi')}{' reserved' if 'compres' in use else ''}"
