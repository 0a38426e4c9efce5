"""``fastct test``: expectations of packets in words and of captures, what is wrong with files of them."""
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fastct.checkfile import load
from fastct.errors import Error, TextError

ROOT = Path(__file__).parents[2]
CAPTURE = ROOT / "pcaps" / "host_10.1.1.2.pcap"
RULES = """*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT
-A INPUT -i eth0 -p tcp -m tcp --dport 21 -j ACCEPT
COMMIT
"""
SETTINGS = 'interfaces = { eth0 = "10.1.1.2/24" }\n'
WEB = "tcp 10.1.1.9:1234 > 10.1.1.2:80 syn"


def run(*args, **options):
    return subprocess.run([sys.executable, "-m", "fastct", "test", *map(str, args)], capture_output=True, text=True,
                          timeout=60, **options)


@pytest.fixture
def checked(tmp_path):
    """What comes of tests in TOML, by the command line: exit status, lines, standard error."""
    (tmp_path / "fw.rules").write_text(RULES)
    (tmp_path / "host.pcap").symlink_to(CAPTURE)

    def check(text, *args, settings=SETTINGS):
        (tmp_path / "tests.toml").write_text(settings + text)
        done = run(tmp_path / "fw.rules", tmp_path / "tests.toml", *args)
        return done.returncode, done.stdout.splitlines(), done.stderr
    return check


def test_expectations_that_are_met(checked):
    status, lines, summary = checked(f"""
[[test]]
name = "web"
packet = "in=eth0 {WEB}"
expect = "accept"
decided = "filter/INPUT/2"
[[test]]
name = "answers"
packets = ["udp 10.1.1.2:5353 > 10.1.1.53:53",
           {{ packet = "udp 10.1.1.53:53 > 10.1.1.2:5353", expect = "Accept", ctstate = "established" }},
           "udp 10.1.1.53:53 > 10.1.1.2:5354"]
expect = ["drop", "reject"]
reason = ""
[[test]]
packet = "in=eth9 tcp 10.1.1.9:1234 > 10.1.1.2:21"
decided = "filter/*/policy"
mark = 0
""")
    assert (status, lines) == (0, ["ok    web", "ok    answers", "ok    in=eth9 tcp 10.1.1.9:1234 > 10.1.1.2:21"])
    assert summary == "tests        3: 3 passed, 0 failed\n"


def test_expectations_that_are_not(checked):
    status, lines, summary = checked(f"""
[[test]]
name = "web"
packet = "in=eth0 {WEB}"
expect = ["drop", "reject"]
decided = "filter/INPUT/3"
ctdir = "reply"
[[test]]
name = "first"
packets = [{{ packet = "{WEB}", expect = "drop" }}, "{WEB}"]
expect = "accept"
""")
    assert status == 1
    assert lines == [
        "FAIL  web", f"      in=eth0 {WEB}: expected DROP or REJECT, filter/INPUT/3, ctdir REPLY, got ACCEPT "
        "filter/INPUT/2, ctdir ORIGINAL",
        "FAIL  first", f"      {WEB}: expected DROP, got ACCEPT filter/INPUT/2"]
    assert summary.endswith("2: 0 passed, 2 failed\n")


def test_captures(checked):
    status, lines, _ = checked("""
[[test]]
capture = "host.pcap"
where = { orig_src = "10.1.1.9/32", orig_dport = 21, ctdir = "original" }
expect = "accept"
count = 16
[[test]]
name = "dropped"
capture = "host.pcap"
where = { verdict = "drop" }
ctstate = "new"
count = 2
[[test]]
name = "too few"
capture = "host.pcap"
where = { l4proto = ["udp", "sctp"] }
count = 1
[[test]]
name = "none"
capture = "host.pcap"
where = { packet = 1000 }
expect = "accept"
[[test]]
name = "nothing is dropped"
capture = "host.pcap"
expect = "accept"
""")
    assert status == 1
    assert lines == [
        "ok    host.pcap", "ok    dropped", "FAIL  too few", "      expected 1 packet, got 2", "FAIL  none",
        "      no packet is as where says", "FAIL  nothing is dropped",
        "      2 of 62 packets: expected ACCEPT; the first is packet 30: DROP filter/INPUT/policy"]


def test_settings(checked):
    ftp = '[[test]]\ncapture = "host.pcap"\nwhere = { ctstate = "related" }\nexpect = "accept"\ncount = 2\n'
    assert checked(ftp)[0] == 1
    assert checked(ftp, settings=SETTINGS + 'helpers = { "tcp/21" = "ftp" }\n')[0] == 0
    assert checked(ftp, settings=SETTINGS + "auto_helpers = true\n")[0] == 0
    loose = f'[[test]]\npacket = "{WEB[:-3]}ack"\nctstate = "new"\n'
    assert checked(loose)[0] == 0
    assert checked(loose, settings=SETTINGS + "sysctls = { nf_conntrack_tcp_loose = 0 }\n")[0] == 1
    routed = '[[test]]\npacket = "tcp 192.168.0.1:9 > 10.1.1.2:21"\nexpect = "accept"\n'
    assert checked(routed)[0] == 0
    assert checked(routed, settings=SETTINGS + 'routes = { "192.168.0.0/16" = "eth1" }\n')[0] == 1
    own = '[[test]]\npacket = "udp 10.1.1.2:9 > 10.1.1.7:9"\ndecided = "filter/OUTPUT/policy"\n'
    assert checked(own, settings='local = ["10.1.1.2"]\n')[0] == 0 and checked(own, settings="")[0] == 1


def test_json_and_quiet(checked):
    status, lines, summary = checked(f'[[test]]\npacket = "{WEB}"\nexpect = "drop"\n', "--json", "--quiet")
    found, = map(json.loads, lines)
    assert (status, summary, found["passed"], found["name"], found["line"]) == (1, "", False, WEB, 2)
    assert found["faults"] == [f"{WEB}: expected DROP, got ACCEPT filter/INPUT/2"]


def test_ipv6_rules(checked, tmp_path):
    (tmp_path / "fw6").write_text("*filter\n:INPUT DROP\n-A INPUT -p ipv6-icmp -j ACCEPT\nCOMMIT\n")
    text = '[[test]]\npacket = "in=x udp [2001:db8::1]:1 > [2001:db8::2]:2"\nexpect = "drop"\n'
    assert checked(text)[0] == 1 and checked(text, "--rules6", str(tmp_path / "fw6"))[0] == 0


@pytest.mark.parametrize(("text", "line", "message", "token"), [
    ("", None, "no [[test]]", None),
    ("[[test]\n", 1, "expected ']]' at the end of an array declaration", None),
    ('[[test]]\npacket = "x', 2, "", None),
    ("test = 3\n", 1, "expected [[test]]", None),
    ("foo = 3\n[[test]]\n", 1, "unknown key", "foo"),
    ("local = 3\n[[test]]\n", 1, "expected an array, got a number", None),
    ("\nlocal = [3]\n[[test]]\n", 2, "expected a text, got a number", None),
    ("[[test]]\nname = 'a'\n", 1, "expected one of packet, packets, capture", None),
    ("[[test]]\n\npackte = 'a'\n", 3, "unknown key", "packte"),
    ("[[test]]\npacket = 'udp'\ncapture = 'x'\n", 1, "expected one of packet", None),
    (f"[[test]]\npacket = '{WEB}'\n", 1, "nothing is expected", None),
    ("[[test]]\npackets = []\nexpect = 'drop'", 1, "nothing is expected", None),
    ("[[test]]\ncapture = 'x'\n", 1, "nothing is expected", None),
    (f"[[test]]\npacket = '{WEB}'\nexpect = 'acept'\n", 3, "expected one of accept, drop", "acept"),
    (f"[[test]]\npacket = '{WEB}'\nexpect = 3\n", 3, "expected a text, got a number", None),
    (f"[[test]]\npacket = '{WEB}'\nmark = -1\n", 3, "expected 0 to", "-1"),
    (f"[[test]]\npacket = '{WEB}'\nexpect = 'drop'\ncount = 3\n", 4, "count is for a capture", None),
    ("[[test]]\ncapture = 'x'\ncount = 1\nwhere = { dport = 3 }\n", 4, "unknown column", "dport"),
    ("[[test]]\ncapture = 'x'\ncount = 1\nwhere = { orig_src = '10.0.0' }\n", 4, "expected ADDRESS", "10.0.0"),
    (f"[[test]]\npackets = [3, '{WEB}']\nexpect = 'drop'\n", 2, "packets: expected a text", None),
    (f"[[test]]\npackets = [{{ packet = '{WEB}', what = 3 }}]\nexpect = 'drop'\n", 2, "packets: expected", None),
])
def test_what_is_wrong_with_a_file(tmp_path, text, line, message, token):
    (tmp_path / "t.toml").write_text(text)
    with pytest.raises(TextError) as caught:
        load(tmp_path / "t.toml")
    error = caught.value
    assert message in str(error)
    assert (error.path, error.line, error.token) == (str(tmp_path / "t.toml"), line, token)


def test_a_packets_place(tmp_path):
    good = f"[[test]]\npacket = '{WEB}'\nexpect = 'accept'\n"
    (tmp_path / "t.toml").write_text(good + "[[test]]\npackets = ['udp 1.2.3.4:1 > 1.2.3.4:2',\n"
                                     "           'udp 1.2.3.4:1 > 1.2.3:2']\nexpect = 'drop'\n")
    with pytest.raises(TextError) as caught:
        load(tmp_path / "t.toml")
    error = caught.value
    assert (error.line, error.column, error.token) == (6, 29, "1.2.3:2")


def test_unusable_input(checked, tmp_path):
    good = f'[[test]]\npacket = "{WEB}"\nexpect = "accept"\n'
    rules = tmp_path / "fw.rules"
    assert checked(good)[0] == 0

    def refused(*args):
        done = run(*args)
        assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
        return done.stderr

    assert "no such file" in refused(tmp_path / "none", tmp_path / "tests.toml")
    assert "no such file" in refused(rules, tmp_path / "none")
    assert "is a directory" in refused(rules, tmp_path)
    (tmp_path / "bad").write_text(RULES.replace("--dport 80", "--dport 80000"))
    assert f"{tmp_path / 'bad'}:6:" in refused(tmp_path / "bad", tmp_path / "tests.toml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert "not a text in UTF-8" in refused(rules, tmp_path / "binary")
    (tmp_path / "empty").write_text("")
    assert f"{tmp_path / 'empty'}: no [[test]]" in refused(rules, tmp_path / "empty")
    status, lines, error = checked(good.replace('"\nexpect', '"\ncapture = "x"\nexpect').replace("packet =", "# "))
    assert (status, lines) == (2, []) and "x: no such file" in error
    status, _, error = checked(f'[[test]]\npackets = ["in=a {WEB}", "in=b {WEB}"]\nexpect = "drop"\n')
    assert status == 2 and "tests.toml:2: 10.1.1.9 is behind a and behind b" in error
    status, _, error = checked(good, settings='interfaces = { eth0 = "10.1.1" }\n')
    assert status == 2 and "tests.toml: local: expected ADDRESS" in error


def test_a_damaged_capture(checked, tmp_path):
    (tmp_path / "cut.pcap").write_bytes(CAPTURE.read_bytes()[:-10])
    status, lines, error = checked('[[test]]\ncapture = "cut.pcap"\ncount = 61\n')
    assert (status, lines) == (1, ["ok    cut.pcap"])
    assert "cut.pcap: " in error and "after packet 61" in error


def test_interrupt_and_closed_pipe(checked, tmp_path):
    checked("".join(f'[[test]]\npacket = "{WEB} seq={i}"\nexpect = "accept"\n' for i in range(3000)))
    command = [sys.executable, "-m", "fastct", "test", str(tmp_path / "fw.rules"), str(tmp_path / "tests.toml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.stderr.read() == "fastct: interrupted\n"
    assert process.returncode == 130
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.stdout.close()
        error = process.stderr.read()
    assert (process.returncode, error) == (0, "")


def test_errors_of_files_are_fastcts(tmp_path):
    with pytest.raises(Error):
        load(os.fspath(tmp_path / "none"))
