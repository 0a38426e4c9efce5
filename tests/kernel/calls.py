"""The kernel and fastct with helpers: besides packets and entries, what is expected is compared after every packet."""

import re
import subprocess
from ipaddress import ip_address

import fastct
from fastct.records import HELPERS
from tests.kernel.kernel import Kernel
from tests.kernel.subject import Subject

GRE = 47
EXPECTED = "/proc/self/net/nf_conntrack_expect"
TIMEOUT = re.compile(r"^(\d+) +l3proto = (\d+) proto=(\d+) (.*)$")
FLAGS = ("PERMANENT", "INACTIVE", "USERSPACE")
CLASSES = {"sip": ("signalling", "audio", "video", "image")}
MOST_SHOWN = 12


class CallKernel(Kernel):
    """The kernel, with rules of the raw table that give new connections their helper."""

    def __init__(self, helpers):
        super().__init__()
        for where, name in helpers.items():
            protocol, port = where.split("/")
            for program in ("iptables",) if name == "pptp" else ("iptables", "ip6tables"):
                rule = f"-t raw -A PREROUTING -p {protocol} --dport {port} -j CT --helper {name}"
                subprocess.run([program, "-w", *rule.split()], check=True)

    @staticmethod
    def expectations():
        """What is expected: lines without their timeout, and the timeouts."""
        with open(EXPECTED) as file:
            found = [TIMEOUT.match(line.rstrip()) for line in file]
        return sorted((f"{m[2]} {m[3]} {m[4].strip()}", int(m[1])) for m in found)


class CallSubject(Subject):
    """fastct, with the same helpers."""

    def __init__(self, helpers, keep_events=False):
        super().__init__(keep_events)
        self._tracker = fastct.Tracker(checksum="on", seed=1, keep_events=keep_events, helpers=helpers)

    def send(self, packet, now):
        """As ``Subject.send``; a packet that a helper dropped has not got through."""
        dropped = self._tracker.stats["reason_helper_dropped"]
        seen = super().send(packet, now)
        if self._tracker.stats["reason_helper_dropped"] != dropped:
            return seen._replace(ctstate="", direction="")
        return seen

    def expectations(self):
        """As ``CallKernel.expectations``."""
        return sorted((expected_line(row), int(row["timeout"])) for row in self._tracker.expectations())


def expected_line(row):
    """An expectation as /proc prints it, less its timeout."""
    size = 4 if row["l3proto"] == 4 else 16
    src, dst = (ip_address(row[name].tobytes()[:size]) for name in ("src", "dst"))
    if size == 16:
        src, dst = src.exploded, dst.exploded
    if row["l4proto"] == GRE:
        ids = f"srckey={row['sport']:#x} dstkey={row['dport']:#x}"
    else:
        ids = f"sport={row['sport']} dport={row['dport']}"
    flags = ",".join(name for bit, name in enumerate(FLAGS) if row["flags"] >> bit & 1)
    helper = HELPERS[row["helper"]]
    classes = CLASSES.get(helper)
    words = [f"src={src}", f"dst={dst}", ids, flags, f"{helper}/{classes[row['kind']]}" if classes else helper]
    return " ".join([str({4: 2, 6: 10}[int(row["l3proto"])]), str(row["l4proto"]), *filter(None, words)])


def same(theirs, ours):
    """Whether two lists of expectations differ by no more than a second of timeout."""
    return [line for line, _ in theirs] == [line for line, _ in ours] and all(
        abs(a - b) <= 1 for (_, a), (_, b) in zip(theirs, ours, strict=True)
    )


def run(packets, helpers, sysctls=None):
    """Send packets through both; returns differences as text and counts. In a namespace of its own."""
    kernel, subject = CallKernel(helpers), CallSubject(helpers)
    kernel.configure(sysctls or {})
    subject.configure(sysctls or {})
    differences, recent, classes, number, most = [], [], {}, 0, 0
    for number, packet in enumerate(packets, 1):
        theirs, now = kernel.send(packet)
        ours = subject.send(packet, now)
        their_list, our_list = kernel.expectations(), subject.expectations()
        classes[theirs.ctstate] = classes.get(theirs.ctstate, 0) + 1
        most = max(most, len(their_list))
        line = f"{number} side {packet.side} {packet.label}: kernel {tuple(theirs)}"
        if theirs.differs(ours) or not same(their_list, our_list):
            differences.append("\n".join([*recent[-8:], line, f"    fastct {tuple(ours)}", f"    {packet.data.hex()}",
                                          *(f"    kernel expects {one}" for one in their_list if one not in our_list),
                                          *(f"    fastct expects {one}" for one in our_list if one not in their_list)]))
            if len(differences) == MOST_SHOWN:
                break
        recent.append(line)
    return {"packets": number, "differences": differences, "classes": classes, "most": most}
