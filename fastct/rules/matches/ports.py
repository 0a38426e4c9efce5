"""Matches on the transport header: ports and what stands beside them."""
from fastct.rules import names
from fastct.rules.extension import Match, Option
from fastct.rules.kinds import Kind, Number, PortRange, ServiceRange, bits_text, number, port, range_text
from fastct.rules.words import Failure

FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG")
FLAG_BITS = {name: 1 << bit for bit, name in enumerate(FLAGS)} | {"ALL": 0x3F, "NONE": 0}
# The protocols that have ports, by number: their names in the list of services.
WITH_PORTS = {6: "tcp", 17: "udp", 136: "udplite", 132: "sctp", 33: "dccp"}
DCCP_TYPES = ("REQUEST", "RESPONSE", "DATA", "ACK", "DATAACK", "CLOSEREQ", "CLOSE", "RESET", "SYNC", "SYNCACK",
              "INVALID")
ANY_PORT = (0, 0xFFFF)
DCCP_INVALID = 0xFC00       # the types from 10 on
LIVE = "live_"              # conditions on a header that conntrack does not look at


def _flags(text):
    mask = 0
    for name in filter(None, text.split(",")):
        if name.upper() not in FLAG_BITS:
            raise Failure(f"Unknown TCP flag `{name}'", word=text)
        mask |= FLAG_BITS[name.upper()]
    return mask


def flags_text(mask):
    """The names of TCP flags; NONE without any."""
    return bits_text(mask, FLAGS) or "NONE"


class TcpFlags(Kind):
    """``MASK COMPARED``, two words: a pair of numbers."""
    count = 2
    wants = "--tcp-flags requires two args."

    def read(self, words, context):
        return (_flags(words[0]), _flags(words[1]))

    def write(self, value):
        return tuple(flags_text(part) for part in value)


class TcpOption(Number):
    """The number of a TCP option."""

    def read(self, words, context):
        value, rest = number(words[0])
        if value is None or rest or not 0 < value < 256:
            raise Failure(f'Bad TCP option "{words[0]}"', word=words[0])
        return value


def service(value, numeric, protocol):
    """A port's number or name."""
    return str(value) if numeric else names.service_name(value, protocol)


def ports_text(use, option, label, numeric, protocol):
    """``dpt:80``, ``dpts:!80:90`` … or "" when any port will do."""
    if option not in use or _any_port(use, option):
        return ""
    low, high = use.get(option)
    text = service(low, numeric, protocol)
    if low != high:
        text += f":{service(high, numeric, protocol)}"
    return f"{label}{'' if low == high else 's'}:{use.bang(option)}{text}"


def _any_port(use, option):
    return use.get(option) == ANY_PORT and option not in use.inverted


def port_options(kind, again=""):
    """--sport and --dport; ``again``: the error when one is given twice."""
    return tuple(Option(letter + "port", kind, invert=True, alias=(f"{name}-port",), said=f"{name}-port",
                        again=again.format(f"{name}-port"))
                 for letter, name in (("s", "source"), ("d", "destination")))


class Ports(Match):
    """A match that has --sport and --dport. ``header``: bytes that there must be of it."""
    header = 8
    live = ""

    def show(self, use, numeric):
        ends = (ports_text(use, f"{end}port", f"{end}pt", numeric, self.name) for end in "sd")
        return " ".join([self.name, *filter(None, ends), *self.beside(use, numeric)])

    def beside(self, use, numeric):
        """The texts of what the protocol has beside the ports."""
        return ()

    def compile(self, use, out):
        out.test(f"{self.live}header", self.header)
        for name in ("sport", "dport"):
            if name in use:
                out.test(f"{self.live}{name}", *use.get(name), invert=name in use.inverted)


class _PlainPorts(Ports):
    """One to which a port option that any port meets is as if it had not been given."""
    unwritten = {"sport": ANY_PORT, "dport": ANY_PORT}

    def finish(self, use, rule):
        for option in ("sport", "dport"):
            if _any_port(use, option):
                del use.values[option]


class Tcp(_PlainPorts):
    name, protocols, header = "tcp", (6,), 20
    options = (
        *port_options(PortRange("tcp"), "Only one `--{}' allowed"),
        Option("tcp-option", TcpOption(), invert=True, again="Only one `--tcp-option' allowed"),
        Option("tcp-flags", TcpFlags(), invert=True, again="Only one of `--syn' or `--tcp-flags'  allowed"),
        Option("syn", invert=True, as_option="tcp-flags", again="Only one of `--syn' or `--tcp-flags'  allowed"),
    )

    def accept(self, use, option, invert, context):
        if "syn" in use and option.name == "tcp-flags" or "tcp-flags" in use and option.name == "syn":
            raise Failure(option.again)
        super().accept(use, option, invert, context)

    def take(self, use, option, value, invert):
        if option.name == "syn":
            value = (_flags("SYN,RST,ACK,FIN"), _flags("SYN"))
        super().take(use, option, value, invert)

    def _hidden(self, use):
        """Whether the flags are none to look at, which iptables does not write, whatever they should be."""
        return use.get("tcp-flags", (0, 0))[0] == 0 and "tcp-flags" not in use.inverted

    def save(self, use):
        words = super().save(use)
        return words[:-3] if "tcp-flags" in use and self._hidden(use) else words

    def beside(self, use, numeric):
        if "tcp-option" in use:
            yield f"option={use.bang('tcp-option')}{use.get('tcp-option')}"
        if not self._hidden(use):
            texts = [f"0x{part:02X}" if numeric else flags_text(part) for part in use.get("tcp-flags")]
            yield f"flags:{use.bang('tcp-flags')}{'/'.join(texts)}"

    def compile(self, use, out):
        super().compile(use, out)
        if "tcp-flags" in use:
            mask, compared = use.get("tcp-flags")
            alike = sum(1 << flags for flags in range(64) if flags & mask == compared)
            out.test("tcp_flags", mask, compared, alike, invert="tcp-flags" in use.inverted)
        if "tcp-option" in use:
            out.test("tcp_option", use.get("tcp-option"), invert="tcp-option" in use.inverted)


class Udp(_PlainPorts):
    name, protocols = "udp", (17,)
    options = port_options(ServiceRange())


class DccpTypes(Kind):
    """``TYPE[,TYPE…]`` as bits, by the number of the type."""
    count = 1

    def read(self, words, context):
        bits = 0
        for name in filter(None, words[0].split(",")):
            if name.upper() not in DCCP_TYPES:
                raise Failure(f"Unknown DCCP type `{name}'", word=words[0])
            bits |= DCCP_INVALID if name.upper() == "INVALID" else 1 << DCCP_TYPES.index(name.upper())
        return bits

    def write(self, value):
        return (bits_text(value & 0x7FF, DCCP_TYPES),)


class Dccp(Ports):
    name, protocols, header, live = "dccp", (33,), 12, LIVE
    options = (
        *port_options(ServiceRange()),
        Option("dccp-types", DccpTypes(), invert=True),
        Option("dccp-option", Number(8, low=1), invert=True),
    )

    def beside(self, use, numeric):
        if "dccp-types" in use:
            bits = use.get("dccp-types")
            yield use.bang("dccp-types", "! ") + (bits_text(bits, map(str, range(16))) if numeric
                                                  else bits_text(bits & 0x7FF, DCCP_TYPES))
        if "dccp-option" in use:
            yield f"option={use.bang('dccp-option')}{use.get('dccp-option')}"

    def compile(self, use, out):
        super().compile(use, out)
        for name, op in (("dccp-types", "dccp_types"), ("dccp-option", "dccp_option")):
            if name in use:
                out.test(op, use.get(name), invert=name in use.inverted)


class PortList(Kind):
    """``PORT[:PORT][,…]``, at most 15 ports: a tuple of pairs."""
    count = 1
    most = 15

    def read(self, words, context):
        if context.protocol == 0 and not context.protocol_inverted:
            raise Failure("multiport needs `-p tcp', `-p udp', `-p udplite', `-p sctp' or `-p dccp'")
        if context.protocol not in WITH_PORTS or context.protocol_inverted:
            raise Failure("multiport only works with TCP, UDP, UDPLITE, SCTP and DCCP")
        ranges, taken = [], 0
        for text in words[0].split(","):
            ends = [self._port(end, context) for end in text.split(":", 1)]
            taken += len(ends)
            if taken > self.most:
                raise Failure("too many ports specified")
            if len(ends) == 2 and ends[0] >= ends[1]:
                raise Failure("invalid portrange specified")
            ranges.append((ends[0], ends[-1]))
        return tuple(ranges)

    def _port(self, text, context):
        value = port(text, WITH_PORTS[context.protocol]) if text else None
        if value is None:
            raise Failure(f"invalid port/service `{text}' specified", word=text)
        return value

    def write(self, value):
        return (",".join(map(range_text, value)),)


class Multiport(Match):
    name = "multiport"
    options = (
        Option("sports", PortList(), invert=True, alias=("source-ports",), said="source-ports",
               excludes=("dports", "ports")),
        Option("dports", PortList(), invert=True, alias=("destination-ports",), said="destination-ports",
               excludes=("sports", "ports")),
        Option("ports", PortList(), invert=True, excludes=("sports", "dports")),
    )

    def verify(self, use, rule):
        if not use.values:
            raise Failure("multiport expection an option")

    def finish(self, use, rule):
        use.values["protocol"] = rule.header.protocol

    def show(self, use, numeric):
        name = next(option.name for option in self.options if option.name in use)
        protocol = WITH_PORTS[use.get("protocol")]
        texts = [":".join(service(end, numeric, protocol) for end in dict.fromkeys(pair)) for pair in use.get(name)]
        return f"multiport {name} {use.bang(name, ' !')}{','.join(texts)}"

    def compile(self, use, out):
        live = LIVE if use.get("protocol") == Dccp.protocols[0] else ""
        name = next(option.name for option in self.options if option.name in use)
        ranges = use.get(name)
        out.test(f"{live}header", 4)
        out.test(f"{live}{name}", len(ranges), blob=b"".join(end.to_bytes(2, "big") for pair in ranges for end in pair),
                 invert=name in use.inverted)
