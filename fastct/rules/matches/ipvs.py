"""The match on connections of the kernel's load balancer: iptables reads it, a kernel without refuses it."""
from fastct.rules.extension import Match, Option, by_family
from fastct.rules.kinds import Choice, Service
from fastct.rules.matches.address import HostMask
from fastct.rules.matches.state import DIRECTIONS, Protocol
from fastct.rules.words import Failure, Refused

METHODS = ("GATE", "IPIP", "MASQ")


@by_family("ipvs")
class Ipvs(Match):
    absent = 0

    @staticmethod
    def options_for(family):
        """All may be inverted but the direction."""
        return (
            Option("ipvs", invert=True), Option("vproto", Protocol(), invert=True),
            Option("vaddr", HostMask(family), invert=True), Option("vport", Service(), invert=True),
            Option("vdir", Choice(DIRECTIONS, fold=True)), Option("vmethod", Choice(METHODS, fold=True), invert=True),
            Option("vportctl", Service(), invert=True),
        )

    def verify(self, use, rule):
        if not use.values:
            raise Failure("IPVS: At least one option is required")
        if "ipvs" in use.inverted and len(use.values) > 1:
            raise Failure("! --ipvs cannot be together with other options")

    def check(self, use, rule, place):
        raise Refused(Refused.ABSENT)

    def show(self, use, numeric):
        return " ".join(word.removeprefix("--") for word in self.save(use))
