"""What the applications behind the helpers say, right and wrong: for the helpers' tests, live and not, and for fuzzing.

Every payload is made for two addresses; ``{c}``, ``{s}`` are the client's and the server's in the helper's own writing.
"""
import random
from ipaddress import ip_address

PROTOCOLS = {"ftp": "tcp", "tftp": "udp", "irc": "tcp", "sane": "tcp", "amanda": "udp", "netbios-ns": "udp"}
PORTS = {"ftp": 21, "tftp": 69, "irc": 6667, "sane": 6566, "amanda": 10080, "netbios-ns": 137}


def commas(address, port):
    """FTP's six numbers."""
    return ",".join([*address.split("."), str(port >> 8), str(port & 255)])


def number(address):
    """IRC's address."""
    return str(int(ip_address(address)))


def port_of(rng):
    """A port to announce: small ones are met again, and that is of interest."""
    return rng.choice((0, 1, 20000, 20001, 20001, 20002, 65535, 65536 + 7, rng.randrange(65536), 21, 6667))


def mangled(rng, text):
    """A payload with something wrong, or merely odd, about it."""
    kind = rng.randrange(8)
    at = rng.randrange(len(text) + 1)
    if kind == 0:
        return text[:at]
    if kind == 1:
        return text.lower() if rng.random() < 0.5 else text.swapcase()
    if kind == 2:
        return text[:at] + bytes((rng.choice(b"\0\n\r\xff :,|()0159 \x01"),)) + text[at:]
    if kind == 3:
        return text[:at] + text[at + 1:]
    if kind == 4 and at < len(text):
        return text[:at] + bytes((rng.randrange(256),)) + text[at + 1:]
    if kind == 5:
        return text.replace(b"\r\n", rng.choice((b"\n", b"\r", b"", b"\n\r\n")))
    if kind == 6:
        return text + text[:at]
    return text[:at] + rng.randbytes(rng.randrange(1, 20)) + text[at:]


def ftp_command(rng, ends, third):
    """What an FTP client says to announce something, or otherwise."""
    client = ends[0] if rng.random() < 0.85 else third
    port = port_of(rng)
    if ":" in client:
        delimiter = rng.choice("||||!~5 a")
        said = f"EPRT {delimiter}{rng.choice('22221')}{delimiter}{client}{delimiter}{port}{delimiter}"
    elif rng.random() < 0.6:
        said = f"PORT {commas(client, port & 65535)}"
    else:
        delimiter = rng.choice("||||!~5 a")
        said = f"EPRT {delimiter}{rng.choice('11112')}{delimiter}{client}{delimiter}{port}{delimiter}"
    other = rng.choice(("PASV", "EPSV", "USER anonymous", "LIST", "", "P", "POR", "PORT", "EPRT ", "NOOP"))
    return (said if rng.random() < 0.6 else other).encode() + b"\r\n"


def ftp_answer(rng, ends, third):
    """What an FTP server says."""
    server = ends[1] if rng.random() < 0.85 else third
    port = port_of(rng)
    if ":" not in server and rng.random() < 0.6:
        said = rng.choice(("227 Entering Passive Mode ({}).", "227 {}", "227 =({})", "227-{}", "227 1 {}", "227 {}x"))
        said = said.format(commas(server, port & 65535))
    else:
        d = rng.choice("||||!1 ")
        said = rng.choice(("229 Entering Extended Passive Mode ({})", "229 ({})", "229 {}", "229({})"))
        said = said.format(f"{d}{d}{d}{port}{d}")
    other = rng.choice(("220 hi", "200 ok", "226 done", "22", "227", "227 ", "229 x", "", "230-", "(|||7|)"))
    return (said if rng.random() < 0.6 else other).encode() + b"\r\n"


def tftp_request(rng, ends, third):
    """A TFTP packet of any kind."""
    code = rng.choice((0, 1, 1, 1, 2, 2, 3, 4, 5, 6, 256, 257))
    return code.to_bytes(2, "big") + rng.choice((b"file\0octet\0", b"", b"\0\1"))


def irc_message(rng, ends, third):
    """What an IRC client says, with an offer more often than not."""
    if ":" not in ends[0] and rng.random() < 0.4:
        return f"PRIVMSG bob :\x01DCC SEND file.txt {number(ends[0])} {port_of(rng)}\x01\r\n".encode()
    client = ends[0] if ":" not in ends[0] and rng.random() < 0.85 else "192.0.2.1"
    verb = rng.choice(("SEND", "CHAT", "MOVE", "TSEND", "SCHAT", "SEND", "send", "RESUME", "SEND CHAT MOVE", "XSEND"))
    name = rng.choice(("t", "file.txt", "chat", "two words", "", "CHAT x", "\x01", "f" * 70))
    address = rng.choice((number(client),) * 6 + (client, f"0{number(client)}", str(int(number(client)) + (1 << 32))))
    blanks = rng.choice((" ", " ", " ", "  ", "", "\t"))
    offer = f"\x01DCC {verb} {name} {address}{blanks}{port_of(rng)}" + rng.choice(("\x01", "", " 1234\x01", "\x01x"))
    if rng.random() < 0.2:
        offer = f"\x01DCC {rng.choice(('FOO x 5 5', 'SEND x 5 5', 'SEND', 'x' * 30))} :{offer}"
    before = rng.choice(("", "", "", " ", "\r\n", "\n  ", ":nick ", "x" * 30))
    target = rng.choice(("bob", "b", "#channel", "a,b,c", "", "bob x"))
    command = rng.choice(("PRIVMSG", "PRIVMSG", "PRIVMSG", "privmsg", "NOTICE", "PRIVMSGS"))
    said = f"{before}{command} {target} :{offer}" + rng.choice(("\r\n", "\r\n", "\n", "", "\r"))
    if rng.random() < 0.15:
        said = rng.choice(("PING :x\r\n", "NICK a\r\n", "PRIVMSG bob :hello, this is me speaking\r\n", "\r\n"))
    if rng.random() < 0.03:
        said = "PRIVMSG " + "b" * rng.randrange(4000, 4100) + f" :{offer}\r\n"
    return said.encode("latin-1")


def sane_request(rng, ends, third):
    """A request to saned, most often to start."""
    if rng.random() < 0.4:
        return b"\0\0\0\7\0\0\0\0"
    code = rng.choice((7, 7, 7, 7, 0, 1, 8, 7 << 24))
    return code.to_bytes(4, "big") + rng.randbytes(rng.choice((4, 4, 4, 4, 3, 5, 0, 12)))


def sane_answer(rng, ends, third):
    """An answer of saned."""
    if rng.random() < 0.4:
        return bytes(6) + (port_of(rng) & 65535).to_bytes(2, "big")
    status = rng.choice((0, 0, 0, 0, 1, 1 << 24)).to_bytes(4, "big")
    zero = rng.choice((0, 0, 0, 0, 1, 256)).to_bytes(2, "big")
    return (status + zero + (port_of(rng) & 65535).to_bytes(2, "big")
            + rng.randbytes(rng.choice((0, 4, 40))))[:rng.choice((99, 99, 99, 8, 7, 4))]


def amanda_answer(rng, ends, third):
    """An answer of amandad, with ports more often than not."""
    names = rng.choices(("DATA", "MESG", "INDEX", "STATE", "data", "OTHER"), (5, 5, 5, 5, 1, 1), k=rng.randrange(6))
    blank = rng.choice((" ", " ", " ", "  ", ""))
    ports = " ".join(f"{name}{blank}{port_of(rng) if rng.random() < 0.9 else 'x'}" for name in names)
    before = rng.choice(("Amanda 2.6 REP HANDLE 000 SEQ 1\n", "", "CONNECT", "CONNECT \n", "DATA 7\n", "connect "))
    return (before + rng.choice(("CONNECT ", "CONNECT ", "CONNECT ", "CONNECT\n", ""))
            + ports + rng.choice(("\n", "\n", "\n", "", "\nOPTIONS features=x;\nDATA 9\n"))).encode()


def noise(rng, ends, third):
    """Nothing in particular."""
    return rng.randbytes(rng.choice((0, 1, 2, 8, 30)))


# By helper: what the client says, what the server says.
SAYS = {
    "ftp": (ftp_command, ftp_answer),
    "tftp": (tftp_request, tftp_request),
    "irc": (irc_message, irc_message),
    "sane": (sane_request, sane_answer),
    "amanda": (noise, amanda_answer),
    "netbios-ns": (noise, noise),
}


def says(rng: random.Random, helper, side, ends, third, wrong=0.2):
    """A payload of one side of a helper's dialogue; ``third``: an address that is neither's."""
    payload = SAYS[helper][side](rng, ends, third)
    return mangled(rng, payload) if rng.random() < wrong else payload
