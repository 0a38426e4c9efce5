"""Targets that decide what becomes of a packet."""
from fastct.rules.extension import Option, Target
from fastct.rules.kinds import Kind
from fastct.rules.words import Failure, Refused


class RejectWith(Kind):
    """One of the answers, by its name."""
    count = 1

    def read(self, words, context):
        answers = ANSWERS[context.family]
        found = next((name for name, short in answers if words[0] in (name, short)), None)
        if found is None:
            raise Failure(f'unknown reject type "{words[0]}"', word=words[0])
        return found

    def write(self, value):
        return (value,)


# Answers by family: name and short name; the first is the default.
ANSWERS = {
    4: (("icmp-port-unreachable", "port-unreach"), ("icmp-net-unreachable", "net-unreach"),
        ("icmp-host-unreachable", "host-unreach"), ("icmp-proto-unreachable", "proto-unreach"),
        ("icmp-net-prohibited", "net-prohib"), ("icmp-host-prohibited", "host-prohib"),
        ("icmp-admin-prohibited", "admin-prohib"), ("tcp-reset", "tcp-rst")),
    6: (("icmp6-port-unreachable", "port-unreach"), ("icmp6-no-route", "no-route"),
        ("icmp6-adm-prohibited", "adm-prohibited"), ("icmp6-addr-unreachable", "addr-unreach"),
        ("icmp6-policy-fail", "policy-fail"), ("icmp6-reject-route", "reject-route"), ("tcp-reset", "tcp-reset")),
}


class _Reject(Target):
    terminates, tables, hooks = True, ("filter",), ("INPUT", "FORWARD", "OUTPUT")
    options = (Option("reject-with", RejectWith()),)
    family = 0

    def finish(self, use, rule):
        use.values.setdefault("reject-with", ANSWERS[self.family][0][0])

    def check(self, use, rule, place):
        if use.get("reject-with") == "tcp-reset" and (rule.header.protocol != 6 or "protocol" in rule.header.inverted):
            raise Refused

    def show(self, use, numeric):
        return f"reject-with {use.get('reject-with')}"


class Reject4(_Reject):
    name, families, family = "REJECT", (4,), 4


class Reject6(_Reject):
    name, families, family = "REJECT", (6,), 6
