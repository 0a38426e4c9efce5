"""Random command lines of conntrack(8), right and wrong ones, the same for a seed."""
import random

STEP = 10_000       # seconds between the timeouts in use: what has run off since does not matter
ADDRESSES = {4: ("10.0.0.1", "10.0.0.2", "10.0.1.1", "192.168.7.9"), 6: ("fd00::1", "fd00::2", "2001:db8::1:0")}
PORTS = ("1000", "1001", "80", "53")
TCP_STATES = ("SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE",
              "SYN_SENT2", "NONE", "LISTEN")
SCTP_STATES = ("CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT", "SHUTDOWN_RECD",
               "SHUTDOWN_ACK_SENT")
STATUS = ("ASSURED", "SEEN_REPLY", "SEEN_REPLY,ASSURED", "UNSET", "assured", "UNREPLIED", "EXPECTED", "FIXED_TIMEOUT",
          "FOO", "", "ASS", "!ASSURED", "!SEEN_REPLY,ASSURED", "UNREPLIED,ASSURED", "unreplied", "FOO,ASSURED",
          "SRC_NAT", "s", ",ASSURED", "ASSURED,", "!")
OUTPUTS = ("extended", "id", "extended,id", "xml", "xml,id", "save", "timestamp", "ktimestamp", "foo", "save,xml", "",
           "labels", "labels,id", "xml,labels", "ext", "la", "userspace", "save,userspace", "d")
LABEL_FILE = ("0 eth0-in\n5\tfoo\n6 foo\n5 second\n# 7 none\n 9 two words \n0x10 hex\n17 a_b\n64 mid\n127 last\n"
              "128 over\n")
LABELS = ("eth0-in", "foo", "two words", "hex", "mid", "last", "foo,last", "eth0-in,mid,hex")
ODD_LABELS = ("over", "foo,over", "second", "a_b", "", "foo,", "5", "7")
ODD_LINES = (
    "-C", "-C expect", "-L expect", "-L dying", "-L unconfirmed", "-L foo", "-L -D", "-F -p tcp", "-C -s 10.0.0.1",
    "-S -n", "-L -L", "-V", "-I", "-G", "-D dying", "-L -s", "-L -p", "-L conn", "-p tcp", "-S", "-S expect",
    "-U expect", "-A expect", "-I expect", "-D expect", "-G expect", "-L exp -o xml", "-L e -f ipv6",
    "-C expect -f ipv4", "-F expect -f ipv4", "-F dying", "-L dying -p tcp -o xml", "-L -i 5", "-i 5", "-a 5 -L",
    "-D -i 4000000000", "-U -i 4000000000 -m 5", "-L -c 5", "-I -c 5", "--count", "--counter", "-R", "-L -R x",
    "--load-file=x", "-R /nonexistent/file", "-L -f ipv4x", "-D expect -p tcp -s 10.0.0.1 -d 10.0.0.2",
    "-D expect -p tcp -s 10.0.0.1 -d 10.0.0.2 --sport 1 --dport 2", "-L expect -p tcp", "-L expect -o save,xml",
    "-L expect -o timestamp,foo", "-D expect -p icmp -s 10.0.0.1 -d 10.0.0.2 --icmp-type 8", "-E -t 5",
    "-E expect -p 6",
    "-G expect -p 50 -s 10.0.0.1 -d 10.0.0.2", "-I expect -p 50 -s 10.0.0.1 -d 10.0.0.2 -t 5", "-L -L expect",
    "-h -s 1.1.1.1", "-V -s 1.1.1.1", "-L -u", "-L --mask-src 255.0.0.0", "-L -p tcp --mask-port-src 5",
    "-L -p sctp --orig-vtag 5", "-L -p udp --tuple-port-src 5", "-L -p tcp --role client", "-L -p dccp --role foo",
)


def protocol_words(rng, family):
    """A protocol and options that name a connection of it in full."""
    name = rng.choice(("tcp", "tcp", "udp", "udp", "icmp" if family == 4 else "icmpv6", "gre", "udplite", "sctp", "50",
                       "dccp"))
    if name.startswith("icmp"):
        kind = rng.choice(("8", "0", "13", "3") if family == 4 else ("128", "129", "1"))
        return name, [f"--{name}-type", kind, f"--{name}-code", rng.choice("01"), f"--{name}-id", rng.choice("12")]
    if name == "gre":
        return name, ["--srckey", rng.choice(("1", "0x2")), "--dstkey", rng.choice("12")]
    if name == "50":
        return name, []
    return name, ["--sport", rng.choice(PORTS), "--dport", rng.choice(PORTS)]


def _fresh(rng, family):
    """An address that nobody else has."""
    return f"10.77.{rng.randrange(256)}.{rng.randrange(256)}" if family == 4 else f"fd77::{rng.randrange(1 << 16):x}"


def _with_port(rng, address):
    port = rng.choice((80, 5000, 0))
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def translation(rng, family, src):
    """Options that translate. Where several connections could want the same tuple, Linux chooses a port at random:
    so each source has an address of its own."""
    words = []
    if rng.random() < 0.7:
        own = f"10.66.{src.replace('.', '')[-4:-2]}.{src[-1]}" if family == 4 else f"fd66::{src[-3:].strip(':')}"
        address = rng.choice((own, own, _fresh(rng, family), _with_port(rng, _fresh(rng, family)),
                              _with_port(rng, "10.55.0.1" if family == 4 else "fd55::1")))
        words += ["-n", address]
    if rng.random() < 0.4 or not words:
        address = _fresh(rng, family)
        words += ["-g", rng.choice((address, _with_port(rng, address)))]
    return words


def reply(rng, family, name):
    """Options that name the reply's tuple, in full or nearly."""
    words = ["-r", rng.choice(ADDRESSES[family]), "-q", rng.choice(ADDRESSES[family])]
    if name in ("tcp", "udp", "udplite", "sctp", "dccp"):
        words += ["--reply-port-src", rng.choice(PORTS), "--reply-port-dst", rng.choice(PORTS)]
    if name == "gre":
        words += ["--reply-key-src", rng.choice("12"), "--reply-key-dst", rng.choice("12")]
    if rng.random() < 0.2:
        gone = rng.randrange(0, len(words), 2)
        del words[gone:gone + 2]
    return words


def create(rng, extras=True):
    """``-I`` of some connection."""
    family = rng.choice((4, 4, 6))
    name, words = protocol_words(rng, family)
    src, dst = rng.sample(ADDRESSES[family], 2)
    words = [rng.choice(("-I", "-I", "-A")), "-p", name, "-s", src, "-d", dst, *words,
             "-t", str(STEP * rng.randrange(1, 9))]
    if name == "tcp":
        words += ["--state", rng.choice(TCP_STATES)]
    if name == "sctp":
        words += ["--state", rng.choice(SCTP_STATES), "--orig-vtag", "1", "--reply-vtag", "2"]
    if name == "dccp":
        words += ["--state", "OPEN", "--role", rng.choice(("client", "s", "server"))]
    if rng.random() < 0.4:
        words += ["-u", rng.choice(STATUS[:8] if name == "50" else STATUS[:7])]
    if rng.random() < 0.3:
        words += ["-m", rng.choice(("5", "0x10", "7"))]
    if name == "udplite" and rng.random() < 0.5:
        words += ["-w", "7"]
    if extras and rng.random() < 0.3:
        words += translation(rng, family, src)
    if extras and rng.random() < 0.15:
        more = reply(rng, family, name)
        words = words + more if rng.random() < 0.5 else [words[0], *more[:4], *words[1:], *more[4:]]
        if rng.random() < 0.2:
            for option in ("-s", "-d"):
                del words[words.index(option):words.index(option) + 2]
    if extras and rng.random() < 0.2:
        words += ["--label-add", rng.choice(LABELS if rng.random() < 0.85 else ODD_LABELS)]
    return words


def _nat_filter(rng):
    """A filter by translation, without what conntrack itself makes of ``-j ADDRESS`` among other filters."""
    if rng.random() < 0.3:
        return ["-j"]
    address = rng.choice(("10.55.0.1", "10.55.0.1:80", "10.55.0.1:5000", "[fd55::1]:80", "fd55::1", "10.66.00.1", "foo",
                          "10.0.0.1", "10.0.0.1:", "10.0.0.1:x", "10.0.0.1:99999", "[fd00::1", "[]:5", "10.0.0.1/8",
                          "[fd00::1]", "!", ":80"))
    words = [rng.choice(("-n", "-g", "--src-nat", "--dst-nat")), *([address] if rng.random() < 0.5 else [])]
    return [f"{words[0]}={words[1]}"] if len(words) == 2 and words[0][1] == "-" and rng.random() < 0.3 else words


def filters(rng):
    """Options that choose connections, some of them wrong."""
    family = rng.choice((4, 4, 6))
    words = []
    if rng.random() < 0.6:
        name, more = protocol_words(rng, family)
        words += ["-p", rng.choice((name, name, name, name.upper(), "foo", "300"))]
        pairs = [more[i:i + 2] for i in range(0, len(more), 2)]
        if name in ("tcp", "udp", "sctp"):
            pairs += [["--reply-port-src", rng.choice(PORTS)], ["--reply-port-dst", rng.choice(PORTS)]]
        for pair in rng.sample(pairs, rng.randrange(len(pairs) + 1)):
            words += pair
        if name == "tcp" and rng.random() < 0.4:
            words += ["--state", rng.choice((*TCP_STATES, "established", ""))]
        if name == "dccp" and rng.random() < 0.4:
            words += ["--state", rng.choice(("OPEN", "NONE", "CLOSE", "INVALID", "IGNORE"))]
    for letter in "sdrq":
        if rng.random() < 0.2:
            address = rng.choice(ADDRESSES[rng.choice((family, family, family, 10 - family))])
            words += [f"-{letter}", address + rng.choice(("", "", "/24", "/8", "/0", "/129", "/x", "/32"))]
    choices = [("-f", ("ipv4", "ipv6", "foo")), ("-m", ("5", "0x10/0x10", "7/1", "foo", "5/0")), ("-u", STATUS),
               ("-w", ("0", "7", "0x7", "foo")), ("--orig-zone", ("7",)), ("-t", ("5", "foo")),
               ("--mask-src", ("255.255.0.0", "ffff::", "foo")), ("-e", ("NEW", "foo")), ("-b", ("100",)),
               ("--sport", ("1000",)), ("--state", ("CLOSE",)), ("--foo", ("1",)), ("-l", LABELS), ("-l", ODD_LABELS),
               ("-c", ("5", "0")), ("-i", ("4000000000",)), ("--label-add", LABELS), ("--label-del", LABELS)]
    for option, values in choices:
        if rng.random() < 0.06:
            words += [option, rng.choice(values)]
    if rng.random() < 0.15:
        words += _nat_filter(rng)
    if rng.random() < 0.02:
        words += ["-z"]
    return words


def update(rng):
    """``-U`` of one connection, whose answer conntrack does not lose."""
    words = create(rng, extras=False)
    while {"gre", "udplite", "50", "dccp"} & set(words):
        words = create(rng, extras=False)
    timeout = words.index("-t")
    if rng.random() < 0.5:
        words[timeout + 1] = str(STEP * rng.randrange(10, 10_000))     # not what it has already
    else:
        del words[timeout:timeout + 2]
        name = rng.choice((*LABELS, "over"))
        words += rng.choice((["--label-add", name], ["--label-del", name], ["--label-del"], ["-m", "9"],
                             ["--label-add", "foo", "--label-del", "foo"]))
    if rng.random() < 0.1:
        words += rng.choice((["-l", rng.choice(LABELS)], ["-n"], ["-g"], ["-n", "10.55.0.1"], ["-j"]))
    if rng.random() < 0.3:
        words += ["-o", rng.choice(OUTPUTS)]
    return ["-U", *words[1:]]


def _expectation_words(rng, family):
    """What is expected, and by a connection that has a helper, if it is one of the first."""
    here = "127.0.0.1" if family == 4 else "::1"
    port = rng.choice(("1001", "1001", "1002"))
    expected = ("10.0.0.1", "10.0.0.2") if family == 4 else ("fd00::1", "fd00::2")
    mask = rng.choice(("255.255.255.0", "255.255.255.255") if family == 4 else ("ffff::", "ffff:ffff::"))
    full = "255.255.255.255" if family == 4 else "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
    return (["-s", here, "-d", here, "--sport", port, "--dport", rng.choice(("69", "69", "70"))],
            ["--tuple-src", rng.choice(expected), "--tuple-dst", rng.choice(expected),
             "--mask-src", mask, "--mask-dst", full,
             "--tuple-port-src", rng.choice("56"), "--tuple-port-dst", rng.choice(PORTS),
             "--mask-port-src", rng.choice(("65535", "0")), "--mask-port-dst", "65535"])


def expect(rng):
    """A command about expectations."""
    family = rng.choice((4, 4, 6))
    if rng.random() < 0.3:
        return ["-L", "expect", *rng.choice(([], ["-f", "ipv6"])), *rng.choice(([], ["-o", rng.choice(OUTPUTS)]))]
    if rng.random() < 0.5:
        master, expected = _expectation_words(rng, family)
        name = rng.choice(("udp", "udp", "udp", "udplite", "50"))
        words = ["-I", "expect", "-t", "100", "-p", name, *master, *expected]
        if "50" in words:
            words = [word for at, word in enumerate(words) if "port" not in word and "port" not in words[at - 1]]
    else:
        src, dst = rng.sample(ADDRESSES[family], 2)
        words = [rng.choice(("-G", "-D")), "expect", "-p", rng.choice(("udp", "udp", "tcp")), "-s", src, "-d", dst,
                 "--sport", rng.choice("56"), "--dport", rng.choice(PORTS), "--reply-port-src", "1",
                 "--reply-port-dst", "2"]
    if rng.random() < 0.15:
        gone = rng.randrange(2, len(words))
        del words[gone:gone + 2]
    return words


def load_file(rng):
    """The lines of a file for ``-R``."""
    lines = []
    for _ in range(rng.randrange(4)):
        words = create(rng)
        if "--label-add" in words:          # conntrack frees their names after each line
            at = words.index("--label-add")
            del words[at:at + 2]
        lines.append(" ".join(f'"{word}"' if " " in word or not word else word for word in words))
    lines += rng.sample(("# a comment", "", "  \t# another", "-D -s 10.0.0.1", "-D -p tcp", "-L", "-L expect", "-C",
                         "-I", "-p tcp", '-D "-p" udp', "-U -f ipv6 -s fd00::1 -d fd00::7 -m 3"), rng.randrange(2))
    rng.shuffle(lines)
    return "".join(f"{line}\n" for line in lines)


def command_line(rng):
    """A random command line."""
    kind = rng.choices(("-I", "-L", "-D", "-G", "-U", "expect", "odd"), (30, 36, 7, 10, 9, 8, 8))[0]
    if kind == "-I":
        words = create(rng)
        if rng.random() < 0.15:
            gone = rng.randrange(1, len(words))
            if words[gone - 1] != "-t":         # a timeout of 0: Linux still counts what is over already
                del words[gone]
        return words
    if kind == "-G":
        words = ["-G", *create(rng, extras=False)[1:]]
        for option in ("-t", "-u", "-m", "-w", "--orig-vtag", "--reply-vtag", "--role"):
            if option in words and rng.random() < 0.95:
                del words[words.index(option):words.index(option) + 2]
        words += ["-l", rng.choice(LABELS)] if rng.random() < 0.1 else []
        return words + (["-o", rng.choice(OUTPUTS)] if rng.random() < 0.3 else [])
    if kind == "odd":
        return rng.choice(ODD_LINES).split()
    if kind in ("-U", "expect"):
        return update(rng) if kind == "-U" else expect(rng)
    return [kind, *filters(rng), *(["-o", rng.choice(OUTPUTS)] if rng.random() < 0.4 else [])]


def generator(seed):
    """The source of a run's command lines."""
    return random.Random(seed)
