"""Events of the kernel, as conntrack(8) prints them."""

import re
import subprocess
import tempfile
import time

from tests.waiting import until

BUFFER = str(64 << 20)
SETTLE_S = 0.3  # from a packet to the line about it
ASKED = re.compile(r" \[USERSPACE\] portid=.*")
SECONDS = re.compile(r"(\] \w+ +\d+ )(\d+) ")


class EventLog:
    """``conntrack -E`` of the namespace this process is in, from now on."""

    def __init__(self):
        self._file = tempfile.TemporaryFile("w+")
        self._program = subprocess.Popen(["conntrack", "-E", "-b", BUFFER], stdout=self._file, stderr=subprocess.PIPE)
        until(self._listens)

    def _listens(self):
        with open("/proc/net/netlink") as file:
            return any(line.split()[1:3] == ["12", str(self._program.pid)] for line in file)

    def close(self):
        """What was told: lines, without those about marks that were set from outside."""
        time.sleep(SETTLE_S)
        self._program.terminate()
        said = self._program.communicate()[1].decode()
        if "ENOBUFS" in said:
            raise RuntimeError(said)
        self._file.seek(0)
        lines = self._file.read().splitlines()
        return [ASKED.sub("", line) for line in lines if not ("[UPDATE]" in line and ASKED.search(line))]


def agree(theirs, ours):
    """Whether two events are the same but for a second of timeout."""
    seconds = [int(match[2]) if (match := SECONDS.search(line)) else 0 for line in (theirs, ours)]
    return SECONDS.sub(r"\1", theirs) == SECONDS.sub(r"\1", ours) and abs(seconds[0] - seconds[1]) <= 1


def in_order(events):
    """Events, with the ends of connections sorted and at the end: when many are met, that is in any order."""
    ends = [SECONDS.sub(r"\1", line) for line in events if "[DESTROY]" in line]
    return [*(line for line in events if "[DESTROY]" not in line), *sorted(ends)]


def unlike(theirs, ours):
    """Where two logs part: lines of both, or nothing."""
    pairs = enumerate(zip(theirs, ours, strict=False))
    at = next((at for at, pair in pairs if not agree(*pair)), min(len(theirs), len(ours)))
    if at == len(theirs) == len(ours):
        return []
    return [f"event {at + 1}"] + [f"    {who}: {line}" for who, log in (("kernel", theirs), ("fastct", ours))
                                  for line in log[max(0, at - 2) : at + 3]]
