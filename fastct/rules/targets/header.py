"""Targets that write into the packet's headers."""
from fastct.rules.extension import Option, Target, by_family, exclusive
from fastct.rules.kinds import Kind, Mask, Number, number
from fastct.rules.targets.marks import bit_options, operation
from fastct.rules.words import Failure, Refused

TCP = 6
SYN = 0x02

TOS_NAMES = {"Minimize-Delay": 0x10, "Maximize-Throughput": 0x08, "Maximize-Reliability": 0x04, "Minimize-Cost": 0x02,
             "Normal-Service": 0x00}
TOS_NAME_MASK = 0x3F


class SetTos(Mask):
    """``VALUE[/MASK]``, or a name, which has a mask of its own."""

    def read(self, words, context):
        text, slash, mask_text = words[0].partition("/")
        value, rest = number(text)
        if value is None or value > 0xFF:
            named = {name.lower(): bits for name, bits in TOS_NAMES.items()}.get(words[0].lower())
            if named is None:
                raise Failure(f'Symbolic name "{words[0]}" is unknown', word=words[0])
            return named, TOS_NAME_MASK
        mask, mask_rest = number(mask_text) if slash else (0xFF, "")
        if rest or mask_rest or mask is None or mask > 0xFF:
            raise Failure(f'Illegal value: "{words[0]}"', word=words[0])
        return value, mask


class Tos(Target):
    """``set-tos``: value and mask; the field becomes (field & ~mask) ^ value."""
    name, tables = "TOS", ("mangle",)
    options = exclusive(Option("set-tos", SetTos(8, digits=2, always=True)), *bit_options("tos", "set-tos", 8))

    def verify(self, use, rule):
        if not use.values:
            raise Failure("TOS: An action is required")

    def show(self, use, numeric):
        value, mask = use.get("set-tos")
        text = f"set {value:#04x}/{mask:#04x}"
        if numeric:
            return f"TOS {text}"
        if mask == TOS_NAME_MASK and value in TOS_NAMES.values():
            name = next(name for name, bits in TOS_NAMES.items() if bits == value)
            return f" TOS set{name}"               # the spaces are as iptables has them
        return f"TOS {operation(value, mask, 0xFF, '{:#04x}') or text}"

    def compile(self, use, out):
        out.effect("tos", *use.get("set-tos"))


# DSCP classes: CS0-CS7, AF11-AF43, expedited forwarding and best effort.
DSCP_CLASSES = {**{f"CS{n}": n << 3 for n in range(8)}, "BE": 0, "EF": 0x2E,
                **{f"AF{n}{drop}": n << 3 | drop << 1 for n in range(1, 5) for drop in range(1, 4)}}


class DscpClass(Kind):
    """A class by its name."""
    count = 1

    def read(self, words, context):
        if words[0].upper() not in DSCP_CLASSES:
            raise Failure(f"Invalid DSCP value `{words[0]}'", word=words[0])
        return DSCP_CLASSES[words[0].upper()]


class Dscp(Target):
    name, tables = "DSCP", ("mangle",)
    options = exclusive(Option("set-dscp", Number(6, form="{:#04x}")),
                        Option("set-dscp-class", DscpClass(), as_option="set-dscp"))

    def verify(self, use, rule):
        if not use.values:
            raise Failure("DSCP target: Parameter --set-dscp is required")

    def show(self, use, numeric):
        return f"DSCP set {use.get('set-dscp'):#04x}"

    def compile(self, use, out):
        out.effect("dscp", use.get("set-dscp"))


class _Hops(Target):
    """Sets, raises or lowers TTL or hop limit: one of the three options."""
    tables, verbs = ("mangle",), (("set", "set to"), ("dec", "decrement by"), ("inc", "increment by"))

    def verify(self, use, rule):
        if not use.values:
            raise Failure(f"{self.name}: You must specify an action")

    def show(self, use, numeric):
        (option, value), = use.values.items()
        return f"{self.name} {dict(self.verbs)[option.partition('-')[2]]} {value}"

    def compile(self, use, out):
        (option, value), = use.values.items()
        verb = option.partition("-")[2]
        out.effect("hops", verb != "set", (-value if verb == "dec" else value) % (1 << 64))


def _hop_options(prefix):
    raised, lowered = f"{prefix}-inc", f"{prefix}-dec"
    return (Option(f"{prefix}-set", Number(8), excludes=(raised, lowered)),
            Option(lowered, Number(8, low=1), excludes=(raised,)), Option(raised, Number(8, low=1)))


class Ttl(_Hops):
    name, families, options = "TTL", (4,), _hop_options("ttl")


class Hl(_Hops):
    name, families, options = "HL", (6,), _hop_options("hl")


class Ecn(Target):
    """``ecn-tcp-ece``, ``ecn-tcp-cwr``, ``ecn-ip-ect``: what the bits become; --ecn-tcp-remove is both of TCP's 0."""
    name, families, tables = "ECN", (4,), ("mangle",)
    tcp = ("ecn-tcp-ece", "ecn-tcp-cwr")
    options = (Option("ecn-tcp-remove", excludes=("ecn-tcp-cwr", "ecn-tcp-ece")),
               *(Option(name, Number(1)) for name in tcp), Option("ecn-ip-ect", Number(2)))
    bits = {"ecn-tcp-ece": 0x40, "ecn-tcp-cwr": 0x80}          # of the flags' byte
    labels = {"ecn-tcp-ece": "ECE=", "ecn-tcp-cwr": "CWR=", "ecn-ip-ect": "ECT codepoint="}

    def verify(self, use, rule):
        if not use.values:
            raise Failure("ECN target: An operation is required")

    def finish(self, use, rule):
        given, use.values = use.values, {}
        for name, value in given.items():
            if name == "ecn-tcp-remove":      # forgets what was before it
                use.values = dict.fromkeys(self.tcp, 0)
            else:
                use.values[name] = value

    def check(self, use, rule, place):
        if any(name in use for name in self.tcp) and (rule.header.protocol != TCP
                                                      or "protocol" in rule.header.inverted):
            raise Refused

    def _removes(self, use):
        return use.values == dict.fromkeys(self.tcp, 0)

    def save(self, use):
        return ["--ecn-tcp-remove"] if self._removes(use) else super().save(use)

    def show(self, use, numeric):
        if self._removes(use):
            return "ECN TCP remove"
        return " ".join(["ECN", *(f"{label}{use.get(name)}" for name, label in self.labels.items() if name in use)])

    def compile(self, use, out):
        given = {name: bit for name, bit in self.bits.items() if name in use}
        out.effect("ecn", sum(given.values()), sum(bit for name, bit in given.items() if use.get(name)),
                   "ecn-ip-ect" in use, use.get("ecn-ip-ect", 0))


@by_family("TCPMSS")
class Tcpmss(Target):
    """``set-mss``, or ``clamp-mss-to-pmtu``: the later one counts."""
    protocols = (TCP,)
    # The longest packet less the shortest headers.
    most = {4: 65535 - 20, 6: 65535 - 40}

    @classmethod
    def options_for(cls, family):
        return (Option("set-mss", Number(high=cls.most[family])), Option("clamp-mss-to-pmtu"))

    def verify(self, use, rule):
        if not use.values:
            raise Failure("TCPMSS target: At least one parameter is required")

    def finish(self, use, rule):
        use.values = dict([use.values.popitem()])

    def check(self, use, rule, place):
        if "clamp-mss-to-pmtu" in use and not set(place.hooks) <= {"FORWARD", "OUTPUT", "POSTROUTING"}:
            raise Refused
        flags = [match for match in rule.matches if match.extension.name == "tcp" and "tcp-flags" in match
                 and "tcp-flags" not in match.inverted]
        if not any(match.get("tcp-flags")[1] & SYN for match in flags):
            raise Refused

    def show(self, use, numeric):
        return "TCPMSS clamp to PMTU" if "clamp-mss-to-pmtu" in use else f"TCPMSS set {use.get('set-mss')}"

    def compile(self, use, out):
        out.effect("tcpmss", use.get("set-mss", 0), "set-mss" not in use)


TCP_OPTIONS = {"mss": 2, "wscale": 3, "sack-permitted": 4, "sack": 5, "timestamp": 8, "md5": 19}
_TCP_OPTION_NAMES = {value: name for name, value in TCP_OPTIONS.items()}


class TcpOptions(Kind):
    """A list of TCP options by name or number: a sorted tuple."""
    count = 1

    def read(self, words, context):
        found = set()
        for text in words[0].split(","):
            value, rest = number(text)
            if text in TCP_OPTIONS:
                value = TCP_OPTIONS[text]
            elif value is None or rest or value > 0xFF:
                raise Failure(f'Bad TCP option value "{text}"', word=words[0])
            if value < 2:
                raise Failure("Option value may not be 0 or 1", word=words[0])
            if value in found:
                raise Failure(f'Option "{text}" already specified', word=words[0])
            found.add(value)
        return tuple(sorted(found))

    def write(self, value):
        return (",".join(map(str, value)),)


class Tcpoptstrip(Target):
    name, tables, protocols = "TCPOPTSTRIP", ("mangle",), (TCP,)
    options = (Option("strip-options", TcpOptions()),)

    def show(self, use, numeric):
        if not use.values:
            return ""
        names = {} if numeric else _TCP_OPTION_NAMES
        return f"TCPOPTSTRIP options {','.join(names.get(value, str(value)) for value in use.get('strip-options'))}"

    def compile(self, use, out):
        options = use.get("strip-options", ())
        out.effect("tcpoptstrip", blob=sum(1 << option for option in options).to_bytes(32, "little"))


class Checksum(Target):
    name, tables = "CHECKSUM", ("mangle",)
    options = (Option("checksum-fill", needed=True),)

    def show(self, use, numeric):
        return "CHECKSUM fill"

    def compile(self, use, out):
        out.effect("checksum")
