"""PPTP for the comparison: the messages, a conversation to be told what to do, and random ones.

Clients and servers are few, so that calls of several control connections meet in the keymap.
"""

import struct

from tests import packets as p
from tests.kernel.generator import CLIENT, SERVER, Flow, Packet
from tests.kernel.stepped import Stepped

GRE, PORT = 47, 1723
COOKIE = 0x1A2B3C4D
# name: number, length of the body, who sends it
MESSAGES = {
    "start request": (1, 144, CLIENT),
    "start reply": (2, 144, SERVER),
    "stop request": (3, 4, CLIENT),
    "stop reply": (4, 4, SERVER),
    "echo request": (5, 4, CLIENT),
    "echo reply": (6, 8, SERVER),
    "out request": (7, 156, CLIENT),
    "out reply": (8, 20, SERVER),
    "in request": (9, 208, SERVER),
    "in reply": (10, 12, CLIENT),
    "in connect": (11, 16, SERVER),
    "clear": (12, 4, CLIENT),
    "disconnect": (13, 136, SERVER),
    "wan error": (14, 28, SERVER),
    "link info": (15, 12, CLIENT),
}


def message(name, *fields, result=1, cookie=COOKIE, kind=1, cut=0):
    """A control message; ``fields`` are the 16-bit words that its body begins with, ``result`` a byte behind them."""
    number, size, _ = MESSAGES[name]
    at = {"start reply": 1, "stop reply": 0, "out reply": 2, "in reply": 2}.get(name)
    words = [*fields, 0, 0][: len(fields) if at is None else at]
    body = struct.pack(f"!{len(words)}H", *words) + (b"" if at is None else bytes((result,)))
    body = body.ljust(size, b"\0")
    return (struct.pack("!HHIHH", 12 + size, kind, cookie, number, 0) + body)[: 12 + size - cut]


class Control(Stepped):
    """A control connection, in step."""

    def __init__(self, client, server, port):
        super().__init__(client, server, port, PORT)

    def say(self, name, *fields, side=None, again=False, **wrong):
        """A message, from the side that sends such ones."""
        side = MESSAGES[name][2] if side is None else side
        label = f"{name} {fields} {wrong or ''}"
        return self.segment(side, p.ACK | p.PSH, message(name, *fields, **wrong), label, again)

    def session(self):
        """A handshake, and the session confirmed."""
        yield from self.handshake()
        yield self.say("start request", 256)
        yield self.say("start reply", 256)

    def gre(self, side, call, sender_call=0, version=1, protocol=0x880B):
        """A GRE packet to a call of its receiver; ``sender_call``: under which tuple its entry is asked for."""
        src, dst = self.ends[side][0], self.ends[1 - side][0]
        body = struct.pack("!HHHHI", 0x3000 | version, protocol, 4, call, 1) + b"data"
        ids = (sender_call, call) if version == 1 else (0, 0)
        flow = Flow(p.address(src), p.address(dst), GRE, *ids)
        return Packet(side, p.ip(src, dst, GRE, body), flow, f"GRE to call {call:#x} (of {sender_call:#x})")

    def unreachable(self, side, call, sender_call=0):
        """An ICMP error from the receiver of such a packet."""
        about = self.gre(side, call, sender_call)
        src, dst = self.ends[1 - side][0], self.ends[side][0]
        error = p.icmp(src, dst, 3, 1, bytes(4) + about.data[:40])
        return Packet(1 - side, error, about.flow, f"ICMP error about {about.label}")


def hosts(rng):
    """A client and a server; the ranges of addresses have some of the clients."""
    return f"10.1.{rng.choice((0, 0, 64))}.{rng.randrange(1, 3)}", f"10.2.0.{rng.randrange(1, 3)}"


def conversation(rng, number):
    """One control connection, and the calls that it makes."""
    talk = Talk(rng, Control(*hosts(rng), number % 60000 + 1024))
    while not talk.over and rng.random() < 0.98:
        yield from talk.step()


def random_packets(rng, count):
    """Control connections that get most of it right, and GRE packets of their calls and of others."""
    port, active, sent = 2000, [], 0
    while sent < count:
        if len(active) < 4:
            port += 1
            control = Control(*hosts(rng), port % 60000 + 1024)
            active.append((control, Talk(rng, control)))
        control, talk = rng.choice(active)
        for packet in talk.step():
            sent += 1
            yield packet
        if talk.over:
            active.remove((control, talk))


class Talk:
    """What one control connection says, mostly in an order that makes sense."""

    ORDER = {
        "": ("handshake",),
        "handshake": ("start request",),
        "start request": ("start reply",),
        "start reply": ("out request", "out request", "in request"),
        "out request": ("out reply",),
        "out reply": ("gre", "gre", "gre", "clear", "disconnect"),
        "in request": ("in reply",),
        "in reply": ("in connect",),
        "in connect": ("gre", "gre", "gre", "clear", "disconnect"),
        "gre": ("gre", "gre", "gre", "clear", "stop request", "close", "out request", "out reply"),
        "clear": ("disconnect",),
        "disconnect": ("out request", "gre", "stop request", "close"),
        "stop request": ("stop reply",),
        "stop reply": ("close", "start request", "gre"),
    }

    def __init__(self, rng, control):
        self.rng, self.control, self.last, self.over = rng, control, "", False
        self.pns, self.pac = rng.randrange(4), rng.randrange(4)

    def fields(self, name):
        """The call ids of a message."""
        if self.rng.random() < 0.1:
            return self.rng.randrange(4), self.rng.randrange(4)
        return {"out request": (self.pns,), "out reply": (self.pac, self.pns), "in request": (self.pac,),
                "in reply": (self.pns, self.pac), "in connect": (self.pns,), "clear": (self.pns,),
                "disconnect": (self.pac,)}.get(name, (256,))

    def step(self):
        """Some packets."""
        rng, control = self.rng, self.control
        name = rng.choice(self.ORDER[self.last])
        odd = rng.random()
        if odd < 0.12:
            name = rng.choice(list(MESSAGES))
        elif odd < 0.22:
            name = "gre"
        if self.last == "":
            name = "handshake"
        self.last = name if name in self.ORDER else self.last
        if name == "handshake":
            yield from control.handshake()
        elif name == "gre":
            yield self.gre()
        elif name == "close":
            self.over = True
            yield control.segment(rng.randrange(2), rng.choice((p.RST, p.RST | p.ACK, p.FIN | p.ACK)))
        else:
            yield from self.message(name)

    def message(self, name):
        """A message: as it should be, twice, cut, with something wrong, from the wrong side or in two pieces."""
        rng, control = self.rng, self.control
        if name in ("out request", "in request") and rng.random() < 0.7:
            self.pns, self.pac = rng.randrange(4), rng.randrange(4)
        fields, result = self.fields(name), rng.choice((1, 1, 1, 1, 1, 1, 2))
        kind = rng.random()
        if kind < 0.04:
            yield control.say(name, *fields, cut=rng.randrange(1, 16))
        elif kind < 0.06:
            yield control.say(name, *fields, cookie=rng.randrange(1 << 32))
        elif kind < 0.08:
            yield control.say(name, *fields, kind=2)
        elif kind < 0.12:
            yield control.say(name, *fields, side=rng.randrange(2))
        elif kind < 0.16:
            whole, side = message(name, *fields), MESSAGES[name][2]
            at = rng.randrange(1, len(whole))
            yield control.segment(side, p.ACK, whole[:at], f"{name}, first {at}")
            yield control.segment(side, p.ACK, whole[at:], f"{name}, rest")
        elif kind < 0.20:
            data = message(name, *fields) + message(rng.choice(list(MESSAGES)), *fields)
            yield control.segment(MESSAGES[name][2], p.ACK, data, f"{name} and more")
        elif kind < 0.22:
            yield control.segment(rng.randrange(2), p.ACK, rng.randbytes(rng.randrange(200)), "garbage")
        elif kind < 0.24:
            data = bytearray(message(name, *fields))
            data[rng.randrange(len(data))] = rng.randrange(256)
            yield control.segment(MESSAGES[name][2], p.ACK, bytes(data), f"{name}, a byte of it")
        else:
            if rng.random() < 0.15:
                yield control.say(name, *fields, result=result, again=True)
            yield control.say(name, *fields, result=result)

    def gre(self):
        """A packet of the call, or of one that is like it, or an error about one."""
        rng = self.rng
        side = rng.randrange(2)
        mine, other = (self.pns, self.pac) if side == CLIENT else (self.pac, self.pns)
        kind = rng.random()
        if kind < 0.1:
            other = rng.randrange(4)
        if kind < 0.2:
            return self.control.unreachable(side, other, mine)
        if kind < 0.25:
            return self.control.gre(side, other, mine, version=0)
        if kind < 0.28:
            return self.control.gre(side, other, mine, protocol=0x800)
        return self.control.gre(side, other, rng.choice((mine, mine, mine, 0)))
