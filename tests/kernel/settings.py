"""What both trackers are told before the first packet: sysctls, helpers by port, and what the raw table does by
address."""

from functools import cache
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from fastct import Template
from fastct.conntrack.opts import SYSCTLS
from tests.dialogues import PORTS, PROTOCOLS

SHORT, LASTING = range(1, 4), range(60, 2000)  # seconds: so that something expires in a run, or nothing does
SWITCHES = ("tcp_loose", "tcp_be_liberal", "tcp_ignore_invalid_rst", "checksum")
TIMEOUTS = tuple(name for name in SYSCTLS if "_timeout" in name) + ("ipfrag_time",)
ALL_HELPERS = {f"{PROTOCOLS[name]}/{PORTS[name]}": name for name in ("ftp", "tftp", "irc", "sane", "amanda")}
ALL_HELPERS |= {"tcp/1723": "pptp", "tcp/5060": "sip", "udp/5060": "sip"}


@cache
def _within(address, networks):
    return any(ip_address(address) in ip_network(network) for network in networks)


class Range(NamedTuple):
    """Addresses of each family, as the source's or the destination's, and what their packets get."""

    networks: tuple
    zone: int = 0
    notrack: bool = False

    def has(self, *addresses):
        """Whether one of some addresses (bytes) is among them."""
        return any(_within(each, self.networks) for each in addresses)

    def options(self):
        """Of the CT target."""
        return ["--notrack"] if self.notrack else ["--zone", str(self.zone)]

    def template(self):
        """The same for fastct."""
        return Template(zone=self.zone, notrack=self.notrack)


# The hosts of tests.kernel.flows.addresses, by the first number that tells them apart: half of them are in no range.
RANGES = (
    Range(("10.1.64.0/18", "fd00:1::40:0/106"), zone=5),
    Range(("10.1.128.0/19", "fd00:1::80:0/107"), zone=65535),
    Range(("10.1.240.0/20", "fd00:1::f0:0/108"), notrack=True),
)


class Settings(NamedTuple):
    """All of them."""

    sysctls: dict = {}
    helpers: dict = {}
    ranges: tuple = ()

    def range_of(self, *addresses):
        """The first range with one of some addresses (bytes), or None."""
        return next((each for each in self.ranges if each.has(*addresses)), None)

    def template_of(self, data):
        """What the raw table gives a packet, or None."""
        if not self.ranges:
            return None
        at, size = (12, 4) if data[0] >> 4 == 4 else (8, 16)
        found = self.range_of(data[at : at + size], data[at + size : at + 2 * size])
        return found and found.template()

    def zone_of(self, flow):
        """The zone of a tuple's packets."""
        found = self.range_of(flow.src, flow.dst)
        return found.zone if found else 0


NOTHING = Settings()


def lasting(sysctls):
    """Sysctls as they are, but with no timeout that might run out within a run: when Linux notices, and what was
    expected goes with its master, is left to chance."""
    kept = {name: value for name, value in (SYSCTLS | sysctls).items() if name in TIMEOUTS}
    return sysctls | {name: 3600 for name, value in kept.items() if value < LASTING.start}


def drawn(rng, seconds=LASTING):
    """Sysctls at random. Not all of the kernel's can be told to a namespace, and limits are another test's."""
    settings = {f"nf_conntrack_{name}": rng.randrange(2) for name in SWITCHES}
    settings["nf_conntrack_tcp_max_retrans"] = rng.randrange(6)
    for name in TIMEOUTS:
        if seconds is SHORT or rng.random() < 0.7:
            settings[name] = rng.choice(seconds)
    return settings if seconds is SHORT else lasting(settings)
