"""Targets that decide what becomes of a packet."""
from fastct.rules.extension import Option, Target, by_family
from fastct.rules.kinds import Kind
from fastct.rules.words import Failure, Refused


class RejectWith(Kind):
    """One of the answers, by the beginning of its name or short name."""
    count = 1

    def read(self, words, context):
        begin = words[0].lower()
        for answer in ANSWERS[context.family]:
            if any(name.startswith(begin) for name in answer):
                return answer[0]
        if context.family == 4 and any(name.startswith(begin) for name in ("echo-reply", "echoreply")):
            context.warn("--reject-with echo-reply no longer supported")
        raise Failure(f'unknown reject type "{words[0]}"', word=words[0])

    def write(self, value):
        return (value,)


# Answers by family: name and short name, in the order in which a beginning is looked up.
ANSWERS = {
    4: (("icmp-net-unreachable", "net-unreach"), ("icmp-host-unreachable", "host-unreach"),
        ("icmp-proto-unreachable", "proto-unreach"), ("icmp-port-unreachable", "port-unreach"),
        ("icmp-net-prohibited", "net-prohib"), ("icmp-host-prohibited", "host-prohib"),
        ("tcp-reset", "tcp-rst"), ("icmp-admin-prohibited", "admin-prohib")),
    6: (("icmp6-no-route", "no-route"), ("icmp6-adm-prohibited", "adm-prohibited"),
        ("icmp6-addr-unreachable", "addr-unreach"), ("icmp6-port-unreachable", "port-unreach"),
        ("tcp-reset", "tcp-reset"), ("icmp6-policy-fail", "policy-fail"), ("icmp6-reject-route", "reject-route")),
}
# The type of an answer by family, and the code of each.
UNREACHABLE = {4: 3, 6: 1}
CODES = {"icmp-net-unreachable": 0, "icmp-host-unreachable": 1, "icmp-proto-unreachable": 2, "icmp-port-unreachable": 3,
         "icmp-net-prohibited": 9, "icmp-host-prohibited": 10, "icmp-admin-prohibited": 13,
         "icmp6-no-route": 0, "icmp6-adm-prohibited": 1, "icmp6-addr-unreachable": 3, "icmp6-port-unreachable": 4,
         "icmp6-policy-fail": 5, "icmp6-reject-route": 6}
DEFAULT_ANSWER = {4: "icmp-port-unreachable", 6: "icmp6-port-unreachable"}


@by_family("REJECT")
class Reject(Target):
    """``reject-with`` is the full name of an answer."""
    terminates, tables, hooks = True, ("filter",), ("INPUT", "FORWARD", "OUTPUT")

    @staticmethod
    def options_for(family):
        return (Option("reject-with", RejectWith()),)

    def finish(self, use, rule):
        use.values.setdefault("reject-with", DEFAULT_ANSWER[self.family])

    def check(self, use, rule, place):
        if use.get("reject-with") == "tcp-reset" and (rule.header.protocol != 6 or "protocol" in rule.header.inverted):
            raise Refused

    def show(self, use, numeric):
        return f"reject-with {use.get('reject-with')}"

    def compile(self, use, out):
        if use.get("reject-with") == "tcp-reset":
            out.effect("reset")
        else:
            out.effect("reject", UNREACHABLE[self.family], CODES[use.get("reject-with")])
