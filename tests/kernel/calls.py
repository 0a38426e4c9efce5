"""Dialogues of helpers through the kernel and through fastct, compared after every packet: packets, entries, and what
is expected."""

from tests.kernel.kernel import Kernel
from tests.kernel.subject import Subject

MOST_SHOWN = 12


def run(packets, helpers, sysctls=None):
    """Send packets through both; returns differences as text and counts. In a namespace of its own."""
    kernel, subject = Kernel(), Subject(helpers=helpers)
    kernel.assign(helpers)
    kernel.configure(sysctls or {})
    subject.configure(sysctls or {})
    differences, recent, classes, number, most = [], [], {}, 0, 0
    for number, packet in enumerate(packets, 1):
        theirs, now = kernel.send(packet)
        ours = subject.send(packet, now)
        classes[theirs.ctstate] = classes.get(theirs.ctstate, 0) + 1
        most = max(most, len(theirs.expectations))
        line = f"{number} side {packet.side} {packet.label}: kernel {tuple(theirs)}"
        if theirs.differs(ours):
            differences.append("\n".join([*recent[-8:], line, f"    fastct {tuple(ours)}", f"    {packet.data.hex()}",
                                          *theirs.unlike(ours)]))
            if len(differences) == MOST_SHOWN:
                break
        recent.append(line)
    return {"packets": number, "differences": differences, "classes": classes, "most": most}
