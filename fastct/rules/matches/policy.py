"""The match on the IPsec policy of a packet."""
from fastct.rules import names
from fastct.rules.extension import Match, Option, by_family
from fastct.rules.kinds import Choice, Number
from fastct.rules.matches.address import HostMask, only_at
from fastct.rules.matches.state import Protocol
from fastct.rules.words import Failure

DEPTH_MAX = 4
PROTOCOLS = (50, 51, 108)
MODES = ("transport", "tunnel")
# Options of an element in the order in which they are written.
ELEMENT = ("reqid", "spi", "proto", "mode", "tunnel-dst", "tunnel-src")


class PolicyProtocol(Protocol):
    """One of IPsec's protocols."""

    def read(self, words, context):
        value = super().read(words, context)
        if value not in PROTOCOLS:
            raise Failure("policy match: protocol must be ah/esp/ipcomp")
        return value

    def write(self, value):
        return (names.protocol_name(value),)


@by_family("policy")
class Policy(Match):
    """``elements``: a tuple of tuples of (name, value, inverted), in the order of ELEMENT; none with ``pol`` none."""

    @staticmethod
    def options_for(family):
        """Those of an element may be given for each."""
        return (
            Option("dir", Choice(("in", "out"), 'policy_match: invalid dir "{}"')),
            Option("pol", Choice(("none", "ipsec"), 'policy match: invalid policy "{}"')), Option("strict"),
            Option("reqid", Number(), invert=True, repeat=True),
            Option("spi", Number(form="0x{:x}"), invert=True, repeat=True),
            *(Option(name, HostMask(family), invert=True, repeat=True) for name in ("tunnel-src", "tunnel-dst")),
            Option("proto", PolicyProtocol(), invert=True, repeat=True),
            Option("mode", Choice(MODES, 'policy match: invalid mode "{}"'), invert=True, repeat=True),
            Option("next", requires=("strict",), repeat=True),
        )

    def take(self, use, option, value, invert):
        elements = use.values.setdefault("elements", [{}])
        if option.name == "next":
            if len(elements) == DEPTH_MAX:
                raise Failure("policy match: maximum policy depth reached")
            elements.append({})
        elif option.name in ELEMENT:
            if option.name in elements[-1]:
                raise Failure(f"policy match: double --{option.name} option")
            elements[-1][option.name] = (value, invert)
        super().take(use, option, value, invert)

    def verify(self, use, rule):
        elements = use.get("elements", [{}])
        if "dir" not in use:
            raise Failure("policy match: neither --dir in nor --dir out specified")
        if use.get("pol") == "none":
            if "strict" in use:
                raise Failure("policy match: policy none but --strict given")
            return
        for place, element in enumerate(elements):
            if "strict" in use and not element:
                raise Failure(f"policy match: empty policy element {place}. --strict is in effect, but at least one of "
                              "reqid, spi, tunnel-src, tunnel-dst, proto or mode is required.")
            mode, inverted = element.get("mode", ("transport", False))
            if ("tunnel-src" in element or "tunnel-dst" in element) and (mode == "tunnel") == inverted:
                raise Failure("policy match: --tunnel-src/--tunnel-dst is only valid in tunnel mode")

    def finish(self, use, rule):
        given = use.values
        use.values = {name: given[name] for name in ("dir", "strict") if name in given}
        use.values["pol"] = given.get("pol", "ipsec")
        elements = [] if use.get("pol") == "none" else given["elements"]
        use.values["elements"] = tuple(tuple((name, *element[name]) for name in ELEMENT if name in element)
                                       for element in elements)
        use.inverted = frozenset()

    def check(self, use, rule, place):
        only_at(place, incoming=use.get("dir") == "in", outgoing=use.get("dir") == "out")

    def _words(self, element, prefix, numeric=False):
        for name, value, inverted in element:
            text = str(value) if name == "proto" and numeric else self.option(name).kind.write(value)[0]
            yield f"{'! ' if inverted else ''}{prefix}{name} {text}"

    def save(self, use):
        words = ["--dir", use.get("dir"), "--pol", use.get("pol"), *(["--strict"] if "strict" in use else [])]
        for place, element in enumerate(use.get("elements")):
            words += [*(["--next"] if place else []), *self._words(element, "--")]
        return words

    def show(self, use, numeric):
        words = [f"policy match dir {use.get('dir')} pol {use.get('pol')}", *(["strict"] if "strict" in use else [])]
        elements = use.get("elements")
        for place, element in enumerate(elements):
            words += [*([f"[{place}]"] if len(elements) > 1 else []), *self._words(element, "", numeric)]
        return " ".join(words)

    def compile(self, use, out):
        out.note("policy: no packet comes from or goes to IPsec")
        out.constant(use.get("pol") == "none")
