"""Targets that hand the packet, or a copy, to somebody else: a queue, another host, a local socket."""
import re
import socket

from fastct.rules import names
from fastct.rules.extension import Option, Target, by_family
from fastct.rules.kinds import Kind, Mask, Number, NumberRange, Text
from fastct.rules.words import Failure, Refused

TCP, UDP = 6, 17


class Balance(NumberRange):
    """A range of queues: a pair, the first the lower."""

    def read(self, words, context):
        if ":" not in words[0]:
            raise Failure(f'Bad range "{words[0]}"', word=words[0])
        low, high = super().read(words, context)
        if low >= high:
            raise Failure(f"{low} should be less than {high}", word=words[0])
        return low, high

    def write(self, value):
        return ("{}:{}".format(*value),)


class Nfqueue(Target):
    """Either ``queue-num`` (the default, 0) or ``queue-balance``."""
    name, terminates = "NFQUEUE", True
    options = (Option("queue-num", Number(16), excludes=("queue-balance",)), Option("queue-balance", Balance(16)),
               Option("queue-bypass"), Option("queue-cpu-fanout", requires=("queue-balance",)))

    def finish(self, use, rule):
        if "queue-balance" not in use:
            use.values.setdefault("queue-num", 0)

    def check(self, use, rule, place):
        if use.get("queue-balance") == (0, 0xFFFF):      # the kernel counts the queues in 16 bits
            raise Refused

    def show(self, use, numeric):
        return " ".join(["NFQUEUE", *(word.removeprefix("--").removeprefix("queue-") for word in self.save(use))])

    def compile(self, use, out):
        out.effect("bypass" if "queue-bypass" in use else "queue")
        if "queue-bypass" in use:
            out.note("NFQUEUE: nobody listens, so --queue-bypass lets packets pass")


class Address(Kind):
    """A host's address as a number."""
    count = 1

    def __init__(self, family):
        self.family = family

    def read(self, words, context):
        return names.resolve(words[0], self.family)

    def write(self, value):
        return (names.address_text(value, self.family),)


@by_family("TEE")
class Tee(Target):
    """Copies packets to ``gateway``."""

    @staticmethod
    def options_for(family):
        return (Option("gateway", Address(family), needed=True), Option("oif", Text(cut=15, raw=True)))

    def finish(self, use, rule):
        if use.get("oif") == "":
            del use.values["oif"]

    def check(self, use, rule, place):
        if use.get("gateway") == 0:
            raise Refused

    def show(self, use, numeric):
        gateway = use.get("gateway")
        text = names.address_text(gateway, self.family) if numeric else names.host_name(gateway, self.family)
        return f"TEE gw:{text}" + (f" oif={use.get('oif')}" if "oif" in use else "")

    def compile(self, use, out):
        out.effect("tee", *divmod(use.get("gateway"), 1 << 64))


class OnPort(Kind):
    """A decimal number, of which 16 bits count, or a service; "" is 0."""
    count = 1

    def read(self, words, context):
        if re.fullmatch(r"\d*", words[0]):
            return int(words[0] or 0) & 0xFFFF
        try:
            return socket.getservbyname(words[0])
        except OSError:
            raise Failure(f'Port "{words[0]}" does not resolve to anything.\n', word=words[0]) from None

    def write(self, value):
        return (str(value),)


@by_family("TPROXY")
class Tproxy(Target):
    """``on-ip`` is 0 for the address of the interface; ``tproxy-mark`` a pair, (0, 0) changes nothing."""
    terminates, tables, hooks = True, ("mangle",), ("PREROUTING",)

    @staticmethod
    def options_for(family):
        return (Option("on-port", OnPort(), needed=True), Option("on-ip", Address(family)),
                Option("tproxy-mark", Mask(always=True)))

    def finish(self, use, rule):
        use.values.setdefault("on-ip", 0)
        use.values.setdefault("tproxy-mark", (0, 0))

    def check(self, use, rule, place):
        if rule.header.protocol not in (TCP, UDP) or "protocol" in rule.header.inverted:
            raise Refused

    def show(self, use, numeric):
        port, address, mark = (word for word in self.save(use) if not word.startswith("--"))
        return f"TPROXY redirect {address}:{port} mark {mark}"

    def compile(self, use, out):
        out.note("TPROXY: there are no sockets, so packets are dropped")
        out.effect("drop")
