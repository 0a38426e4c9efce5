"""Rules that are asked about packets in words: where packets come from and go to, sequences, and pytest's plugin."""
import datetime
import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import fastct
from fastct.errors import ConfigError, PacketError
from fastct.rules import Ruleset
from fastct.trial import Trial

RULES = """*raw
-A PREROUTING -p udp --dport 9 -j NOTRACK
COMMIT
*filter
:INPUT DROP
:FORWARD DROP
:OUTPUT ACCEPT
-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -i eth0 -p tcp --dport 80 -j ACCEPT
-A INPUT -p tcp --dport 113 -j REJECT
-A INPUT -m mark --mark 7 -j ACCEPT
-A FORWARD -i eth0 -o eth1 -j ACCEPT
-A FORWARD -i eth1 -s 192.168.0.0/16 -m time --timestart 08:00 --timestop 17:00 -j ACCEPT
-A OUTPUT -o eth1 -j DROP
COMMIT
"""
WEB = "tcp 10.0.0.1:1000 > 10.0.0.2:80"
BACK = "tcp 10.0.0.2:80 > 10.0.0.1:1000"


@pytest.fixture
def trial():
    return Trial(Ruleset.parse(RULES))


@pytest.mark.parametrize(("packet", "outcome"), [
    (f"in=eth0 {WEB}", "ACCEPT filter/INPUT/3"), (f"in=eth1 {WEB}", "DROP filter/INPUT/policy"),
    (f"in=eth0 out=eth1 {WEB}", "ACCEPT filter/FORWARD/1"), (f"in=eth1 out=eth0 {WEB}", "DROP filter/FORWARD/policy"),
    (WEB, "DROP filter/FORWARD/policy"), (f"out=eth0 {BACK} syn", "ACCEPT filter/OUTPUT/policy"),
    (f"out=eth1 {BACK} syn", "DROP filter/OUTPUT/1"), ("in=lo udp 127.0.0.1:1 > 127.0.0.2:2", "ACCEPT filter/INPUT/2"),
    ("in=x tcp 10.0.0.1:1 > 10.0.0.2:113", "REJECT filter/INPUT/4"),
    ("in=x udp 10.0.0.1:1 > 10.0.0.2:2 mark=7", "ACCEPT filter/INPUT/5"),
    ("in=x udp [2001:db8::1]:1 > [2001:db8::2]:1", "ACCEPT"),
    (f"in=eth0 out=eth1 {WEB} ttl=1", "DROP route ttl_exceeded"),
])
def test_where_packets_go(trial, packet, outcome):
    assert str(trial.outcome(packet)) == outcome


def test_questions(trial):
    assert trial.accepts(f"in=eth0 {WEB}") and not trial.drops(f"in=eth0 {WEB}")
    assert trial.drops(f"in=eth1 {WEB}") and not trial.accepts(f"in=eth1 {WEB}")
    assert trial.rejects("in=x tcp 10.0.0.1:1 > 10.0.0.2:113")
    assert trial.decided(f"in=eth0 {WEB}") == "filter/INPUT/3"
    assert repr(trial.accepts(f"in=eth1 {WEB}")) == "<False: DROP filter/INPUT/policy>"


def test_a_sequence_is_on_one_table_and_the_next_on_another(trial):
    said = [f"in=eth0 {WEB} syn", f"out=eth0 {BACK} syn ack", f"in=eth0 {WEB} ack", f"in=eth0 {WEB} psh ack len=9"]
    assert [(outcome.row["ctstate"], outcome.decided) for outcome in trial.outcomes(*said)] == [
        ("NEW", "filter/INPUT/3"), ("ESTABLISHED", "filter/OUTPUT/policy"), ("ESTABLISHED", "filter/INPUT/1"),
        ("ESTABLISHED", "filter/INPUT/1")]
    assert trial.decided(said[-1]) == "filter/INPUT/3"          # picked up as NEW
    assert trial.outcome("in=x udp 10.0.0.1:9 > 10.0.0.2:9").row["ctstate"] == "UNTRACKED"


def test_time_goes_on(trial):
    ask, answer = "out=x udp 10.0.0.2:5 > 10.0.0.1:53", "in=x udp 10.0.0.1:53 > 10.0.0.2:5"
    assert trial.accepts(ask, f"{answer} at=29") and trial.drops(ask, f"{answer} at=31")
    guest = "in=eth1 out=eth0 udp 192.168.0.1:1 > 10.0.0.1:1"
    assert trial.drops(guest) and trial.accepts(guest, f"{guest} at=43200")
    assert trial.outcomes(guest, start=datetime.datetime(2025, 6, 2, 9, tzinfo=datetime.UTC))[0].verdict == "ACCEPT"


def test_places_that_are_known():
    trial = Trial(Ruleset.parse(RULES), interfaces=[("eth1", "192.168.0.1/16"), ("eth0", "10.0.0.2/24")])
    assert trial.decided(WEB) == "filter/INPUT/3"               # eth0 by its network
    assert trial.decided("tcp 10.0.0.1:1 > 192.168.0.9:80") == "filter/FORWARD/1"
    assert trial.decided(f"in=eth1 {WEB}") == "filter/INPUT/policy"            # spoofed
    assert trial.decided("in=eth0 tcp 10.0.0.1:1 > 192.168.0.9:80") == "filter/FORWARD/1"
    assert trial.decided("in=ppp0 out=eth1 tcp 8.8.8.8:1 > 9.9.9.9:80") == "filter/FORWARD/policy"
    assert trial.decided("in=eth0 udp 10.0.0.1:1 > 172.16.0.1:1") == "filter/FORWARD/policy"       # not to the host
    with pytest.raises(PacketError, match=r"10\.0\.0\.2 is the host's own"):
        trial.decided("in=eth1 tcp 10.0.0.2:1 > 10.0.0.1:1")


def test_what_cannot_be(trial, tmp_path):
    with pytest.raises(PacketError, match="is behind eth0 and behind eth1"):
        trial.outcomes(f"in=eth0 {WEB}", f"in=eth1 {WEB}")
    with pytest.raises(PacketError, match="is the host's own"):
        trial.outcomes(f"in=eth0 {WEB}", f"in=eth0 {BACK}")
    for loop in ("127.0.0.1:1 > 127.0.0.1:2", "[::1]:1 > [::1]:2"):
        with pytest.raises(PacketError, match="on lo, take another"):
            trial.outcomes(f"in=lo udp {loop}")
    with pytest.raises(ConfigError):
        trial.outcomes()
    with pytest.raises(ConfigError):
        Trial(tmp_path / "none")
    with pytest.raises(ConfigError):
        Trial(local=["10.0.0"])
    with pytest.raises(fastct.RuleError):
        Trial(Ruleset.load(_written(tmp_path / "bad", "*filter\n-A INPUT -j NOWHERE\nCOMMIT\n")))


def _written(path, text):
    path.write_text(text)
    return path


TESTS = f"""
def test_web(fastct_firewall):
    assert fastct_firewall.accepts("in=eth0 {WEB} syn")

def test_shut(fastct_firewall):
    assert fastct_firewall.accepts("in=eth1 {WEB} syn")
"""


def run(path, *args):
    """pytest with the plugin, installed or not, and no other."""
    return subprocess.run([sys.executable, "-m", "pytest", "-p", "fastct.pytest_plugin", "-p", "no:cacheprovider", "-q",
                           *args], cwd=path, capture_output=True, text=True, timeout=60,
                          env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})


@pytest.fixture
def project(tmp_path):
    _written(tmp_path / "test_it.py", TESTS)
    _written(tmp_path / "fw.rules", RULES)
    return tmp_path


def test_plugin(project):
    done = run(project, "--fastct-rules", "fw.rules")
    assert done.returncode == 1 and "1 failed, 1 passed" in done.stdout
    assert "<False: DROP filter/INPUT/policy>" in done.stdout
    (project / "sub").mkdir()
    _written(project / "pytest.ini", "[pytest]\nfastct_rules = fw.rules\nfastct_interfaces =\n    eth9=10.0.0.2/24\n")
    done = run(project / "sub", "-c", "../pytest.ini", "..", "-k", "web")
    assert done.returncode == 0 and "1 passed" in done.stdout


def test_plugin_is_installed():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    module, = project["entry-points"]["pytest11"].values()
    assert importlib.import_module(module).fastct_firewall


@pytest.mark.parametrize(("ini", "message"), [
    ("", "--fastct-rules FILE"), ("fastct_rules = none", "cannot read"),
    ("fastct_rules = bad.rules", "bad.rules:2:"), ("fastct_rules = fw.rules\nfastct_routes = eth0", "PREFIX=NAME")])
def test_plugin_without_rules(project, ini, message):
    _written(project / "bad.rules", "*filter\n-A INPUT -p tcp --dport x -j DROP\nCOMMIT\n")
    _written(project / "pytest.ini", f"[pytest]\n{ini}\n")
    done = run(project, "-k", "web")
    assert done.returncode == 1 and message in done.stdout and "1 error" in done.stdout


def test_places_of_one_family_say_nothing_of_the_other():
    six = Ruleset.parse("*filter\n:INPUT DROP\nCOMMIT\n", 6)
    trial = Trial(Ruleset.parse(RULES), six, local=["10.0.0.2"])
    assert trial.decided("in=x udp [2001:db8::1]:1 > [2001:db8::2]:1") == "filter/INPUT/policy"
