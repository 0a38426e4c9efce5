"""conntrack(8) itself and ``fastct conntrack --snapshot``: random command lines, the same output and exit status.

The kernel's table is filled by ``conntrack -I``, the snapshot by the same words. Lines are compared without their order
(a hash's), seconds of timeout as they were set (the kernel's run on), and ids as ids.

Meant to differ: what conntrack forgets to print of an update of several entries (it loses answers), its failure when an
update names no family or meets an entry in a zone or with a fixed timeout, and its crash at an unknown SCTP state.
"""
import contextlib
import io
import os
import random
import re
import subprocess

import pytest

import fastct
from fastct.cli.conntrack import main
from tests.kernel.kernel import write_sysctl
from tests.kernel.namespace import isolated, unavailable

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "available")]

COMMANDS = int(os.environ.get("FASTCT_KERNEL_COMMANDS", "400"))
SEED = int(os.environ.get("FASTCT_KERNEL_SEED", random.randrange(1 << 32)))
RULES = "table inet t { chain c { type filter hook prerouting priority 0; ct state new accept; }; }"
STEP = 10_000       # seconds between the timeouts in use: what has run off since does not matter

ADDRESSES = {4: ("10.0.0.1", "10.0.0.2", "10.0.1.1", "192.168.7.9"), 6: ("fd00::1", "fd00::2", "2001:db8::1:0")}
PORTS = ("1000", "1001", "80", "53")
TCP_STATES = ("SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE",
              "SYN_SENT2", "NONE", "LISTEN")
SCTP_STATES = ("CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT", "SHUTDOWN_RECD",
               "SHUTDOWN_ACK_SENT")
STATUS = ("ASSURED", "SEEN_REPLY", "SEEN_REPLY,ASSURED", "FIXED_TIMEOUT", "UNSET", "assured", "UNREPLIED", "EXPECTED",
          "FOO", "")
OUTPUTS = ("extended", "id", "extended,id", "xml", "xml,id", "save", "timestamp", "ktimestamp", "foo", "save,xml", "")
SECONDS = re.compile(r"(?<= )\d{3,}(?= (?:src|[A-Z_0-9]+ src))|(?<=-t )\d+|(?<=<timeout>)\d+")
IDS = re.compile(r"(?<= id=)\d{3,}$|(?<= id=)\d+$|(?<=<id>)\d+")


def protocol_words(rng, family):
    """A protocol and options that name a connection of it in full."""
    name = rng.choice(("tcp", "tcp", "udp", "udp", "icmp" if family == 4 else "icmpv6", "gre", "udplite", "sctp", "50"))
    if name.startswith("icmp"):
        kind = rng.choice(("8", "0", "13", "3") if family == 4 else ("128", "129", "1"))
        return name, [f"--{name}-type", kind, f"--{name}-code", rng.choice("01"), f"--{name}-id", rng.choice("12")]
    if name == "gre":
        return name, ["--srckey", rng.choice("12"), "--dstkey", rng.choice("12")]
    if name == "50":
        return name, []
    return name, ["--sport", rng.choice(PORTS), "--dport", rng.choice(PORTS)]


def create(rng):
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
    if rng.random() < 0.4:
        words += ["-u", rng.choice(STATUS[:8] if name == "50" else [word for word in STATUS[:8] if word[0] != "F"])]
    if rng.random() < 0.3:
        words += ["-m", rng.choice(("5", "0x10", "7"))]
    if name == "udplite" and rng.random() < 0.5:
        words += ["-w", "7"]
    return words


def filters(rng):
    """Options that choose connections, some of them wrong."""
    family = rng.choice((4, 4, 6))
    words = []
    if rng.random() < 0.7:
        name, more = protocol_words(rng, family)
        words += ["-p", rng.choice((name, name, name, name.upper(), "foo", "300"))]
        pairs = [more[i:i + 2] for i in range(0, len(more), 2)]
        for pair in rng.sample(pairs, rng.randrange(len(pairs) + 1)):
            words += pair
        if name == "tcp" and rng.random() < 0.4:
            words += ["--state", rng.choice((*TCP_STATES, "established", ""))]
    for letter in "sdrq":
        if rng.random() < 0.2:
            address = rng.choice(ADDRESSES[rng.choice((family, family, family, 10 - family))])
            words += [f"-{letter}", address + rng.choice(("", "", "/24", "/8", "/0", "/129", "/x"))]
    choices = [("-f", ("ipv4", "ipv6", "foo")), ("-m", ("5", "0x10/0x10", "7/1", "foo", "5/0")), ("-u", STATUS),
               ("-w", ("0", "7", "0x7", "foo")), ("--orig-zone", ("7",)), ("-t", ("5", "foo")),
               ("--mask-src", ("255.255.0.0", "ffff::", "foo")), ("-e", ("NEW",)), ("-b", ("100",)),
               ("--sport", ("1000",)), ("--state", ("CLOSE",)), ("--foo", ("1",))]
    for option, values in choices:
        if rng.random() < 0.07:
            words += [option, rng.choice(values)]
    for option in ("-n", "-g", "-j", "-x"):
        if rng.random() < 0.03:
            words += [option, *rng.choice(([], ["10.0.0.1"], ["foo"]))]
    return words


def command_line(rng):
    """A random command line."""
    kind = rng.choices(("-I", "-L", "-D", "-G", "-U", "other"), (30, 40, 8, 10, 8, 4))[0]
    if kind == "-I":
        words = create(rng)
        if rng.random() < 0.15:
            gone = rng.randrange(1, len(words))
            if words[gone - 1] != "-t":         # a timeout of 0: Linux still counts what is over already
                del words[gone]
        return words
    if kind == "-G":
        words = ["-G", *create(rng)[1:]]
        for option in ("-t", "-u", "-m", "-w", "--orig-vtag", "--reply-vtag"):
            if option in words and rng.random() < 0.95:
                del words[words.index(option):words.index(option) + 2]
        return words + (["-o", rng.choice(OUTPUTS)] if rng.random() < 0.3 else [])
    if kind == "-U":        # of one connection, whose answer conntrack does not lose
        words = create(rng)
        while {"gre", "udplite", "50", "EXPECTED"} & set(words):
            words = create(rng)
        words[words.index("-t") + 1] = str(STEP * rng.randrange(10, 10_000))     # not what it has already
        return ["-U", *words[1:]]
    if kind == "other":
        return rng.choice((["-C"], ["-C", "expect"], ["-L", "expect"], ["-L", "dying"], ["-L", "foo"], ["-L", "-D"],
                           ["-F", "-p", "tcp"], ["-C", "-s", "10.0.0.1"], ["-S", "-n"], ["-L", "-L"], ["-V"], ["-I"],
                           ["-G"], ["-D", "dying"], ["-L", "-s"], ["-L", "-p"], ["-L", "conn"], ["-p", "tcp"]))
    return [kind, *filters(rng), *(["-o", rng.choice(OUTPUTS)] if rng.random() < 0.4 else [])]


def plain(text):
    """Text without what is meant to differ."""
    text = SECONDS.sub(lambda match: str(-(-int(match[0]) // STEP) * STEP), text)
    return sorted(IDS.sub("ID", line) for line in text.splitlines())


def theirs(words):
    done = subprocess.run(["conntrack", *words], capture_output=True, text=True)
    return done.returncode, plain(done.stdout), done.stderr.splitlines()


def ours(words, path):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([*words, "--snapshot", path])
    return status, plain(out.getvalue()), err.getvalue().splitlines()


def only(one, other):
    """Exit status, what ``one`` alone has printed, and said."""
    return one[0], [line for line in one[1] if line not in other[1]], one[2]


def compared(seed, n, path):
    """Run command lines through both; the differences."""
    rng = random.Random(seed)
    subprocess.run(["nft", "-f", "-"], input=RULES, text=True, check=True)
    write_sysctl("netfilter.nf_conntrack_acct", 1)
    fastct.Tracker(seed=1).save(path)
    differences = []
    for turn in range(n):
        words = create(rng) if turn < 40 else command_line(rng)
        expected, got = theirs(words), ours(words, path)
        if expected != got and expected[0] >= 0:
            differences.append(f"conntrack {' '.join(words)}\n  kernel {only(expected, got)}\n  "
                               f"fastct {only(got, expected)}")
    return differences


def test_random_command_lines(tmp_path):
    print(f"seed {SEED}")
    differences = isolated(compared, SEED, COMMANDS, str(tmp_path / "state.fct"))
    assert differences == [], f"seed {SEED}\n" + "\n".join(differences[:10])
