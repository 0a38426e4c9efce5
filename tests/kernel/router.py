"""What the conntrack of a router says of a dialogue that passes it."""
import contextlib
import re
import subprocess
import time

from tests.kernel.ctnetlink import NETLINK_NETFILTER, Conntrack
from tests.kernel.kernel import helper_rules
from tests.kernel.namespace import inside
from tests.waiting import until

CLASSES = ("NEW", "ESTABLISHED", "RELATED", "INVALID")
PROGRAMS = ("iptables-legacy", "ip6tables-legacy")
COUNTED = re.compile(r"--ctstate (\w+) -c (\d+)")
SETTLE_S = 0.1      # from an event that was read to the line about it


class Router:
    """Conntrack of a ``network.Host`` that forwards; helpers as ``fastct.Tracker`` takes them."""

    def __init__(self, host, helpers):
        self._host = host
        host.run("sysctl", "-qw", "net.netfilter.nf_conntrack_acct=1")
        for command in helper_rules(helpers):
            host.run(*command)
        # Rules that only count, and by which conntrack is at work.
        for program in PROGRAMS:
            for name in CLASSES:
                host.run(program, "--wait", "-A", "FORWARD", "-m", "conntrack", "--ctstate", name)
        with inside(host.name):
            self.conntrack = Conntrack()

    def _waiting(self):
        """Bytes that wait for each program that listens to events."""
        sockets = (line.split() for line in self._host.run("cat", "/proc/net/netlink").stdout.splitlines()[1:])
        return [int(waiting) for _, protocol, _, groups, waiting, *_ in sockets
                if int(protocol) == NETLINK_NETFILTER and int(groups, 16)]

    @contextlib.contextmanager
    def told(self):
        """Lists that hold, when it is left, what conntrack(8) said meanwhile of connections and of expectations."""
        logs = [self._host.start("conntrack", "-E", *what, stdout=subprocess.PIPE, text=True)
                for what in ((), ("expect",))]
        assert until(lambda: len(self._waiting()) == len(logs))
        lines = [], []
        yield lines
        assert until(lambda: not any(self._waiting()))
        time.sleep(SETTLE_S)
        for log, heard in zip(logs, lines, strict=True):
            self._host.stop(log)
            heard += log.stdout.read().splitlines()

    def classes(self):
        """How many forwarded packets were in each class."""
        counts = dict.fromkeys(CLASSES, 0)
        for program in PROGRAMS:
            for name, packets in COUNTED.findall(self._host.run(program, "--wait", "-v", "-S", "FORWARD").stdout):
                counts[name] += int(packets)
        return counts

    def listing(self, *words):
        """What conntrack(8) lists of both families."""
        return [line for family in ("ipv4", "ipv6")
                for line in self._host.run("conntrack", "-L", *words, "-f", family).stdout.splitlines()]
