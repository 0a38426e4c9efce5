"""Targets that drive something beside the packet: timers, lamps, estimators of rates, shares of a cluster."""
import math
import re
from dataclasses import dataclass

from fastct.rules.extension import Option, Target
from fastct.rules.kinds import Kind, Number, Text, number
from fastct.rules.ops.rateest import Estimator
from fastct.rules.words import Failure, Refused

# What a label, a name in sysfs, may not be; the longest timeout is one in milliseconds of 31 bits.
TAKEN_LABELS = ("", "power", "subsystem", "uevent")
TIMEOUT_MAX = (1 << 31) // 1000 - 1


class Idletimer(Target):
    name = "IDLETIMER"
    options = (Option("timeout", Number(), needed=True), Option("label", Text(cut=27, raw=True), needed=True),
               Option("alarm"))

    def check(self, use, rule, place):
        if not 0 < use.get("timeout") <= TIMEOUT_MAX or use.get("label") in TAKEN_LABELS or "/" in use.get("label"):
            raise Refused

    def show(self, use, numeric):
        return f"timeout:{use.get('timeout')} label:{use.get('label')}" + (" alarm" if "alarm" in use else "")

    def compile(self, use, out):
        out.note("IDLETIMER: there is no timer to see")


class Delay(Kind):
    """Milliseconds, or "inf"."""
    count = 1

    def read(self, words, context):
        value, rest = number(words[0])
        if words[0] != "inf" and (value is None or rest or value > 0xFFFFFFFF):
            raise Failure("Delay value must be within range 0..4294967295")
        return words[0] if words[0] == "inf" else value

    def write(self, value):
        return (str(value),)


class Led(Target):
    name, absent = "LED", 0          # kernels without lamps have not got it
    options = (Option("led-trigger-id", Text(most=16, always=True), needed=True), Option("led-delay", Delay()),
               Option("led-always-blink"))

    def finish(self, use, rule):
        if use.get("led-delay") == 0:
            del use.values["led-delay"]

    def show(self, use, numeric):
        delay = use.get("led-delay", 0)
        return (f'led-trigger-id:"{use.get("led-trigger-id")}" led-delay:{delay}{"" if delay == "inf" else "ms"}'
                + (" led-always-blink" if "led-always-blink" in use else ""))


TIME_UNITS = {"": 1, **dict.fromkeys(("us", "usec", "usecs"), 1), **dict.fromkeys(("ms", "msec", "msecs"), 10**3),
              **dict.fromkeys(("s", "sec", "secs"), 10**6)}
QUARTER_SECOND = 250_000


@dataclass(frozen=True)
class Time(Kind):
    """A time with a unit; without one, microseconds. The value is in microseconds."""
    what: str = "interval"
    count = 1

    def read(self, words, context):
        found = re.fullmatch(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([a-zA-Z]*)", words[0])
        if not found or found[2].lower() not in TIME_UNITS:
            raise Failure(f'RATEEST: bad {self.what} value "{words[0]}"', word=words[0])
        return int(float(found[1]) * TIME_UNITS[found[2].lower()]) & 0xFFFFFFFF

    def write(self, value):
        value &= 0xFFFFFFFF            # iptables counts in 32 bits
        for unit, name in ((10**6, "s"), (10**3, "ms")):
            if value >= unit:
                return (f"{value / unit:.1f}{name}",)
        return (f"{value}us",)


class Rateest(Target):
    """``rateest-interval`` and ``rateest-ewmalog`` are the times in microseconds that the kernel makes of those given:
    quarters of a second times a power of 2, and that times a power of 2."""
    name = "RATEEST"
    options = (Option("rateest-name", Text(cut=15, raw=True), needed=True),
               Option("rateest-interval", Time(), needed=True), Option("rateest-ewmalog", Time("ewmalog"), needed=True))

    def _powers(self, use):
        """The exponents of 2 of both times; raises Failure."""
        interval, average = use.get("rateest-interval", 0), use.get("rateest-ewmalog", 0)
        power = next((power for power in range(6) if interval <= QUARTER_SECOND << power), None)
        if power is None:
            raise Failure("RATEEST: interval value is too large")
        # The weight of the newest sample is 1/2**n: the largest n with which the average is not too slow.
        n = next((n for n in range(1, 31) if interval / -math.log(1 - 1 / (1 << n)) > average), 32) - 1
        if not 0 < n < 31:
            raise Failure("RATEEST: ewmalog value is out of range")
        return power, n

    def verify(self, use, rule):
        self._powers(use)

    def finish(self, use, rule):
        power, n = self._powers(use)
        use.values["rateest-interval"] = QUARTER_SECOND << power
        use.values["rateest-ewmalog"] = QUARTER_SECOND << power << n

    def show(self, use, numeric):
        return " ".join(word.removeprefix("--").removeprefix("rateest-") for word in self.save(use))

    def compile(self, use, out):
        interval = use.get("rateest-interval")
        estimator = out.state(("rateest", use.get("rateest-name")), Estimator)
        estimator.measure((interval // QUARTER_SECOND).bit_length() - 1,
                          (use.get("rateest-ewmalog") // interval).bit_length() - 1)
        out.effect("feed_rateest", key=estimator)


class HashMode(Kind):
    """What of a connection is hashed."""
    count = 1
    modes = ("sourceip", "sourceip-sourceport", "sourceip-sourceport-destport")

    def read(self, words, context):
        if words[0] not in self.modes:
            raise Failure(f'Unknown hashmode "{words[0]}"', word=words[0])
        return words[0]

    def write(self, value):
        return (value,)


class ClusterMac(Kind):
    """A multicast address of Ethernet, as 6 bytes."""
    count = 1

    def read(self, words, context):
        if not re.fullmatch(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}", words[0]):
            raise Failure("Invalid MAC address specified.", word=words[0])
        value = bytes(int(part, 16) for part in words[0].split(":"))
        if not value[0] & 1:
            raise Failure("MAC has to be a multicast ethernet address", word=words[0])
        return value

    def write(self, value):
        return (value.hex(":").upper(),)


class Clusterip(Target):
    name, families, absent = "CLUSTERIP", (4,), 0        # taken out of Linux in 6.3
    options = (Option("new"), Option("hashmode", HashMode()), Option("clustermac", ClusterMac()),
               Option("total-nodes", Number(high=16)), Option("local-node", Number(high=16)),
               Option("hash-init", Number()))

    def verify(self, use, rule):
        whole = all(name in use for name in ("new", "hashmode", "clustermac", "total-nodes", "local-node"))
        if use.values and not whole:
            raise Failure("CLUSTERIP target: Invalid parameter combination")

    def show(self, use, numeric):
        words = ["CLUSTERIP"]
        if "new" in use:
            words += [f"hashmode={use.get('hashmode')}", f"clustermac={use.get('clustermac').hex(':').upper()}",
                      f"total_nodes={use.get('total-nodes')}", f"local_node={use.get('local-node')}",
                      f"hash_init={use.get('hash-init', 0)}"]
        return " ".join(words)
