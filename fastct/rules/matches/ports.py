"""Matches on the transport header: ports and what stands beside them."""
from fastct.rules import names
from fastct.rules.extension import Match, Option
from fastct.rules.kinds import Kind, Number, PortRange
from fastct.rules.words import Failure

FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG")
EVERY_FLAG = 0x3F


def _flags(text):
    if text in ("ALL", "NONE"):
        return EVERY_FLAG if text == "ALL" else 0
    mask = 0
    for name in text.split(","):
        if name.upper() not in (*FLAGS, "ALL", "NONE"):
            raise Failure(f"Unknown TCP flag `{name}'", word=text)
        mask |= _flags(name.upper()) if name.upper() in ("ALL", "NONE") else 1 << FLAGS.index(name.upper())
    return mask


def flags_text(mask):
    """The names of TCP flags; NONE without any."""
    return ",".join(name for bit, name in enumerate(FLAGS) if mask >> bit & 1) or "NONE"


class TcpFlags(Kind):
    """``MASK COMPARED``, two words: a pair of numbers."""
    count = 2

    def read(self, words, context):
        return (_flags(words[0]), _flags(words[1]))

    def write(self, value):
        return tuple(flags_text(part) for part in value)


def ports_text(use, option, label, numeric, protocol):
    """``dpt:80``, ``dpts:!80:90`` … or "" when the option was not given."""
    if option not in use:
        return ""
    low, high = use.get(option)
    ends = [str(end) if numeric else names.service_name(end, protocol) for end in (low, high)]
    return f"{label}{'' if low == high else 's'}:{use.bang(option)}{ends[0] if low == high else ':'.join(ends)}"


class Tcp(Match):
    name, protocols = "tcp", (6,)
    options = (
        Option("sport", PortRange("tcp"), invert=True, alias=("source-port",)),
        Option("dport", PortRange("tcp"), invert=True, alias=("destination-port",)),
        Option("tcp-option", Number(8, low=1), invert=True),
        Option("tcp-flags", TcpFlags(), invert=True),
        Option("syn", invert=True, as_option="tcp-flags"),
    )

    def finish(self, use, rule):
        if use.get("tcp-flags") is True:      # --syn
            use.values["tcp-flags"] = (_flags("SYN,RST,ACK,FIN"), _flags("SYN"))

    def show(self, use, numeric):
        parts = ["tcp", ports_text(use, "sport", "spt", numeric, "tcp"), ports_text(use, "dport", "dpt", numeric, "tcp")]
        if "tcp-option" in use:
            parts.append(f"option={use.bang('tcp-option')}{use.get('tcp-option')}")
        if "tcp-flags" in use:
            texts = [f"0x{part:02X}" if numeric else flags_text(part) for part in use.get("tcp-flags")]
            parts.append(f"flags:{use.bang('tcp-flags')}{'/'.join(texts)}")
        return " ".join(part for part in parts if part)


class Udp(Match):
    name, protocols = "udp", (17,)
    options = (
        Option("sport", PortRange("udp"), invert=True, alias=("source-port",)),
        Option("dport", PortRange("udp"), invert=True, alias=("destination-port",)),
    )

    def show(self, use, numeric):
        parts = ["udp", ports_text(use, "sport", "spt", numeric, "udp"), ports_text(use, "dport", "dpt", numeric, "udp")]
        return " ".join(part for part in parts if part)
