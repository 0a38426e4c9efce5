"""conntrack(8) itself and ``fastct conntrack --snapshot``: random command lines, the same output and exit status.

The kernel's table is filled by ``conntrack -I``, the snapshot by the same words; connections with a helper begin with
a datagram. Lines are compared without their order (a hash's), seconds of timeout as they were set (the kernel's run
on), and ids as ids.

Meant to differ: what conntrack forgets to print of an update of several entries (it loses answers), its failure when an
update names no family or meets an entry in a zone, its crash at an unknown SCTP state, the protocol of an expectation,
which for TCP, SCTP and DCCP it takes from a port, and what it makes of ``-j ADDRESS`` beside another filter (nothing
fits).
"""
import contextlib
import ctypes
import io
import os
import random
import re
import socket
import subprocess

import pytest

import fastct
from fastct.cli.conntrack import main
from tests.kernel.conntrack_lines import LABEL_FILE, STEP, command_line, create, generator, load_file
from tests.kernel.kernel import write_sysctl
from tests.kernel.namespace import isolated, unavailable

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "available")]

COMMANDS = int(os.environ.get("FASTCT_KERNEL_COMMANDS", "400"))
SEED = int(os.environ.get("FASTCT_KERNEL_SEED", random.randrange(1 << 32)))
RULES = """table inet t {
    ct helper tftp { type "tftp" protocol udp; }
    chain c { type filter hook prerouting priority 0; ct state new accept; ct label 1 accept; }
    chain o { type filter hook output priority 0; udp dport 69 ct helper set "tftp"; }
}"""
HELPED = ((socket.AF_INET, "127.0.0.1", 1001), (socket.AF_INET, "127.0.0.1", 1002), (socket.AF_INET6, "::1", 1001))
CLONE_NEWNS = 0x20000
ROUND = 150         # commands, in much less than an expectation lives
SECONDS = re.compile(r"(?<= )\d{3,}(?= (?:src|[A-Z_0-9]+ src))|(?<=-t )\d+|(?<=<timeout>)\d+")
IDS = re.compile(r"(?<= id=)\d{3,}(?=$| labels)|(?<= id=)\d+(?=$| labels)|(?<=<id>)\d+")
# Of an expectation the seconds; when it was printed; counters, of as many processors as there are.
MOMENT = re.compile(r"^(\[\d+\s*\.\d+\s*\]\t)?(\d+(?= proto=))?|<when>.*</when>|<timeout>\d+</timeout>(?=<class>)")


def plain(text):
    """Text without what is meant to differ."""
    lines = [IDS.sub("ID", MOMENT.sub("", line)) for line in text.splitlines()]
    lines = [SECONDS.sub(lambda match: str(-(-int(match[0]) // STEP) * STEP), line) for line in lines]
    counters = {re.sub(r"\d+ *", "N", line) for line in lines if line.startswith("cpu=")}
    return sorted([line for line in lines if not line.startswith("cpu=")] + list(counters))


def theirs(words):
    done = subprocess.run(["conntrack", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode, plain(done.stdout), done.stderr.splitlines()


def ours(words, path):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([*words, "--snapshot", path])
    return status, plain(out.getvalue()), err.getvalue().splitlines()


def only(one, other):
    """Exit status, what ``one`` alone has printed, and said."""
    return one[0], [line for line in one[1] if line not in other[1]], one[2]


def name_labels(folder):
    """Give both programs names of labels, for this process and its children alone."""
    if ctypes.CDLL(None).unshare(CLONE_NEWNS):
        raise OSError("unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
    for name in ("upper/xtables", "work"):
        os.makedirs(f"{folder}/{name}")
    with open(f"{folder}/upper/xtables/connlabel.conf", "w") as file:
        file.write(LABEL_FILE)
    subprocess.run(["mount", "-t", "overlay", "-o", f"lowerdir=/etc,upperdir={folder}/upper,workdir={folder}/work",
                    "none", "/etc"], check=True)


def helped(path):
    """A datagram of every connection that has a helper, to both; what is expected is forgotten."""
    tracker = fastct.Tracker.from_snapshot(path)
    for family, address, port in HELPED:
        with socket.socket(family, socket.SOCK_DGRAM) as server, socket.socket(family, socket.SOCK_DGRAM) as client:
            server.bind((address, 69))
            client.bind((address, port))
            client.sendto(b"x", (address, 69))
        packed = socket.inet_pton(family, address)
        udp = port.to_bytes(2, "big") + b"\0\x45\0\x09\0\0x"
        header = (b"\x45\0\0\x1d\0\0\0\0\x40\x11\0\0" if family == socket.AF_INET else b"\x60\0\0\0\0\x09\x11\x40")
        tracker.process_bytes([header + packed * 2 + udp], linktype=101)
    tracker.save(path)
    lines = ["-F expect"]
    lines += [f"-U -p udp -s {address} --sport {port} --dport 69 -t 50000" for _, address, port in HELPED]
    return [difference for line in lines if (difference := compare(line.split(), path))]


def compare(words, path):
    """What differs of a command, as text."""
    expected, got = theirs(words), ours(words, path)
    if expected == got or expected[0] < 0:
        return ""
    return f"conntrack {' '.join(words)}\n  kernel {only(expected, got)}\n  fastct {only(got, expected)}"


def compared(seed, n, folder):
    """Run command lines through both; the differences."""
    rng, path = generator(seed), f"{folder}/state.fct"
    os.makedirs(f"{folder}/etc")
    name_labels(f"{folder}/etc")
    subprocess.run(["nft", "-f", "-"], input=RULES, text=True, check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    write_sysctl("netfilter.nf_conntrack_acct", 1)
    fastct.Tracker(seed=1, helpers={"udp/69": "tftp"}, checksum="off").save(path)
    differences = []
    for turn in range(n):
        if turn % ROUND == 0:
            differences += helped(path)
        words = create(rng) if turn % ROUND < 30 else command_line(rng)
        if rng.random() < 0.02:
            with open(f"{folder}/lines", "w") as file:
                file.write(load_file(rng))
            words = [rng.choice(("-R", "--load-file")), f"{folder}/lines"]
        difference = compare(words, path)
        if difference and words[-1].endswith("/lines"):
            difference += f"\n{open(words[-1]).read()}"
        differences += [f"{turn}: {difference}"] if difference else []
    return differences


def test_random_command_lines(tmp_path):
    print(f"seed {SEED}")
    differences = isolated(compared, SEED, COMMANDS, str(tmp_path))
    assert differences == [], f"seed {SEED}\n" + "\n".join(differences[:25])
