"""SIP for the comparison: messages, signalling connections over UDP and TCP, and random conversations.

Phones and proxies are few, so that calls of several signalling connections announce the same media.
"""

from tests import packets as p
from tests.kernel.generator import CLIENT, SERVER, Flow, Packet
from tests.kernel.stepped import Stepped

PORT = 5060
PARAMS = ("", ";expires=600", ";expires=0", ";expires=", ";expires=4294967295", ";expires=17179870", ";transport=udp",
          ";transport=TCP;expires=500", ";transport=sctp")
# Linux takes a UDP conversation for a stream when it is 2 s old, give or take a tick: let none grow so old.
STEPS = 60
METHODS = ("INVITE", "UPDATE", "ACK", "PRACK", "BYE", "REGISTER", "CANCEL", "OPTIONS")


def written(address):
    """An address as a URI has it."""
    return f"[{address}]" if ":" in address else address


def contact(address, port=None, params="", user="u@"):
    """The value of a Contact header."""
    return f"<sip:{user}{written(address)}{'' if port is None else f':{port}'}>{params}"


def sdp(address, media=(("audio", 4000),), session=True, own=()):
    """A description: an address for the session, media as (type, port), own addresses of some of them."""
    kind = "IP6" if ":" in address else "IP4"
    lines = ["v=0", f"o=- 1 1 IN {kind} {address}", "s=-"]
    if session:
        lines.append(f"c=IN {kind} {address}")
    lines.append("t=0 0")
    for number, (name, port) in enumerate(media):
        lines.append(f"m={name} {port} RTP/AVP 0")
        if number < len(own) and own[number]:
            lines.append(f"c=IN {kind} {own[number]}")
    return "\r\n".join([*lines, ""]).encode()


def message(first, headers=(), body=b"", length=True, newline="\r\n"):
    """A message: its first line, headers, a Content-Length unless there is to be none, and a body."""
    lines = [first, *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return (newline.join([*lines, "", ""])).encode("latin-1") + body


def request(method, cseq, *headers, body=b"", target="10.2.0.1", **more):
    """A request."""
    return message(f"{method} sip:{written(target)} SIP/2.0", (f"CSeq: {cseq} {method}", *headers), body, **more)


def answer(code, method, cseq, *headers, body=b"", **more):
    """An answer to a request."""
    return message(f"SIP/2.0 {code} x", (f"CSeq: {cseq} {method}", *headers), body, **more)


class Signalling(Stepped):
    """A signalling connection; over TCP its segments are in step."""

    def __init__(self, client, server, port, proto=p.UDP, dport=PORT):
        super().__init__(client, server, port, dport, proto)
        self.proto = proto

    def handshake(self):
        """What comes first: nothing over UDP."""
        return super().handshake() if self.proto == p.TCP else iter(())

    def say(self, side, data, label="", again=False):
        """Bytes from a side."""
        label = label or data[:60].decode("latin-1")
        if self.proto == p.TCP:
            return self.segment(side, p.ACK | p.PSH, data, label, again)
        me, peer = self.ends[side], self.ends[1 - side]
        return Packet(side, p.udp(*(me[0], peer[0], me[1], peer[1]), data), self.flow, f"{self.ends[0][1]} {label}")

    def media(self, side, port, sport=9000):
        """A datagram to a port of the other side."""
        src, dst = self.ends[side][0], self.ends[1 - side][0]
        flow = Flow(p.address(src), p.address(dst), p.UDP, sport, port)
        return Packet(side, p.udp(src, dst, sport, port, b"media"), flow, f"media to {port}")


def hosts(rng):
    """A phone and a proxy, of either family; the ranges of addresses have one each."""
    number = rng.randrange(1, 3)
    if rng.random() < 0.6:
        return f"10.1.{rng.choice((0, 0, 64))}.{number}", "10.2.0.1"
    return f"fd00:1::{rng.choice((0, 0, 0x40)):x}:{number}", "fd00:2::1"


class Talk:
    """What one signalling connection says: mostly in an order that makes sense, often somewhat odd."""

    def __init__(self, rng, client, server, port, proto):
        self.rng = rng
        self.line = Signalling(client, server, port, proto)
        self.hosts = (client, server)
        self.cseq, self.asked, self.over, self.steps = rng.randrange(3), "", False, 0

    def step(self):
        """Some packets."""
        self.steps += 1
        if self.steps == 1:
            yield from self.line.handshake()
            return
        rng = self.rng
        kind = rng.choices(("request", "answer", "media", "call", "close"), (36, 36, 22, 4, 2))[0]
        if self.steps == STEPS:
            kind = "close"
        if kind == "media":
            yield self.line.media(rng.randrange(2), rng.choice((4000, 4001, 4002, 4003, 5002, 5003, 6000)), 9000
                                  + rng.randrange(3))
        elif kind == "call":
            yield from self.call()
        elif kind == "close":
            self.over = True
            if self.line.proto == p.TCP:
                yield self.line.segment(rng.randrange(2), rng.choice((p.RST | p.ACK, p.FIN | p.ACK)))
        else:
            side = CLIENT if rng.random() < 0.8 else SERVER
            side = side if kind == "request" else 1 - side
            yield from self.sent(side, self.odd(self.text(kind, side)))

    def call(self):
        """The registrar calls a phone."""
        rng = self.rng
        src, dst = self.hosts[::-1]
        line = Signalling(src, dst, rng.choice((5060, 7000)), self.line.proto, rng.choice((5060, 5062)))
        line.next = [rng.randrange(1 << 31), 0]
        for packet in [*line.handshake(), line.say(CLIENT, self.odd(self.text("request", SERVER)))]:
            yield packet._replace(side=1 - packet.side)

    def sent(self, side, data):
        """A message on its way: in one packet, or over TCP in several, or with others."""
        rng = self.rng
        if self.line.proto == p.TCP:
            kind = rng.random()
            if kind < 0.1 and len(data) > 2:
                at = rng.randrange(1, len(data))
                yield self.line.say(side, data[:at])
                yield self.line.say(side, data[at:])
                return
            while kind < 0.3 and len(data) < 3000:
                kind = rng.random()
                data += self.odd(self.text(rng.choice(("request", "answer")), side))
        if rng.random() < 0.05:
            yield self.line.say(side, data, again=True)
        yield self.line.say(side, data)

    def text(self, kind, side):
        """A request or an answer."""
        rng = self.rng
        if kind == "request":
            self.asked = rng.choices(METHODS, (10, 2, 3, 2, 3, 10, 1, 1))[0]
            if rng.random() < 0.7:
                self.cseq += 1
            cseq = self.cseq if rng.random() < 0.95 else rng.choice((0, 1, 4294967295, 4294967296, "", "x"))
            method = self.asked
        else:
            cseq = self.cseq if rng.random() < 0.9 else rng.randrange(4)
            method = self.asked or "INVITE"
            if rng.random() < 0.05:
                method = rng.choice(METHODS)
        host = self.hosts[side if kind == "request" or method != "REGISTER" else 1 - side]
        headers = [f"Via: SIP/2.0/{'UDP' if self.line.proto == p.UDP else 'TCP'} {written(self.hosts[0])}:5060"]
        body = b""
        if method == "REGISTER":
            headers += self.contacts(host)
        elif rng.random() < 0.75:
            body = self.description(host)
        rng.shuffle(headers)
        more = {"length": rng.random() < 0.9, "newline": rng.choice(("\r\n",) * 9 + ("\n",))}
        if kind == "request":
            return request(method, cseq, *headers, body=body, target=self.hosts[1], **more)
        code = rng.choices((100, 180, 200, 300, 404, 487, 0, 99, "", 4294967497), (5, 5, 20, 1, 3, 3, 1, 1, 1, 1))[0]
        return answer(code, method, cseq, *headers, body=body, **more)

    def contacts(self, host):
        """Contact and Expires headers."""
        rng = self.rng

        def one():
            address = host if rng.random() < 0.85 else rng.choice(("10.1.0.9", "fd00:1::9", "host", "10.1.0.", "[::1"))
            port = rng.choices((None, 5060, 5062, 80, 65536, 99999999), (6, 6, 6, 1, 1, 1))[0]
            params = rng.choices(PARAMS, (10, 6, 2, 1, 1, 1, 3, 3, 1))[0]
            value = contact(address, port, params, rng.choice(("u@", "", "u:x@", "a,b@")))
            return value.replace("[[", "[") if "[[" in value else value

        found = []
        for _ in range(rng.choices((0, 1, 2), (1, 10, 2))[0]):
            values = ", ".join(one() for _ in range(rng.choices((1, 2, 3), (10, 2, 1))[0]))
            name = rng.choice(("Contact: ", "Contact: ", "contact:", "m: ", "m:", "Contact :", "Contact:\r\n "))
            found.append(name + values)
        if rng.random() < 0.7:
            found.append(rng.choice(("Expires: 100", "Expires: 100", "Expires: 0", "expires:  700", "Expires:\t300",
                                     "Expires: x", "Expires: 99999999999", "Expires:\r\n 400", "Expires")))
        return found

    def description(self, host):
        """An SDP body."""
        rng = self.rng
        media = []
        for _ in range(rng.choices((0, 1, 2, 3, 4, 5), (1, 12, 6, 3, 2, 1))[0]):
            name = rng.choices(("audio", "video", "image", "text", "Audio", ""), (12, 5, 3, 2, 1, 1))[0]
            port = rng.choices((4000, 4001, 4002, 5002, 0, 80, 65535, 70000, "", "x"),
                               (12, 2, 6, 6, 2, 1, 1, 1, 1, 1))[0]
            media.append((name, port))
        address = host if rng.random() < 0.85 else rng.choice(("10.9.9.9", "fd00:9::1", "host", "10.1.0.1/24"))
        own = [rng.choice((None, None, None, host, self.hosts[0], "10.9.9.9", "bad")) for _ in media]
        body = sdp(address, media, rng.random() < 0.85, own)
        return body.replace(b"\r\n", b"\n") if rng.random() < 0.1 else body

    def odd(self, data):
        """Most messages as they are; of some a byte is changed, a piece is lost, doubled, folded or put elsewhere."""
        rng = self.rng
        kind = rng.random()
        if kind > 0.2 or len(data) < 4:
            return data
        at, other = sorted((rng.randrange(len(data)), rng.randrange(len(data))))
        if kind < 0.05:
            return data[:at] + bytes((rng.choice(b"\r\n \t:;,@<>[]./0159afmvcSIP\0\xff\xe4"),)) + data[at + 1 :]
        if kind < 0.08:
            return data[:at] + data[other:]
        if kind < 0.10:
            return data[:other] + data[at:]
        if kind < 0.13:
            return data.replace(b", ", b",\r\n ", 1).replace(b";", b"\r\n\t;", 1)
        if kind < 0.16:
            return data[:at]
        if kind < 0.18:
            return data.swapcase()
        return data[:at] + rng.choice((b"\r\n", b"\n", b"\r", b" ", b",sip:", b"@", b"::")) + data[at:]


def conversation(rng, number):
    """One signalling connection."""
    talk = Talk(rng, *hosts(rng), number % 60000 + 1024, rng.choice((p.UDP, p.TCP)))
    for _ in range(rng.choice((5, 10, 20))):
        yield from talk.step()
        if talk.over:
            return


def random_packets(rng, count):
    """Signalling connections of both families and protocols, media, and calls of registrars."""
    port, active, sent = 2000, [], 0
    while sent < count:
        if len(active) < 5:
            port += 1
            active.append(Talk(rng, *hosts(rng), port % 60000 + 1024, rng.choice((p.UDP, p.TCP))))
        talk = rng.choice(active)
        for packet in talk.step():
            sent += 1
            yield packet
        if talk.over:
            active.remove(talk)
