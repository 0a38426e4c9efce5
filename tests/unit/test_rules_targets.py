"""Targets: what is read, refused, saved and listed; the kernel tests have the same from iptables itself."""
import json
import shlex

import pytest

from fastct.rules.extension import TARGETS
from fastct.rules.model import TABLES, Chain
from fastct.rules.save import rule_line
from fastct.rules.sets import Sets
from fastct.rules.words import Failure, Refused, split
from tests import ruletext
from tests.shared_data import shared

# Rules of filter's FORWARD (or as the table says): what is saved, and listed with -n, behind the target's name.
TEXTS = """\
LOG --log-level err || log level "err" unknown
LOG --log-prefix a.b --log-uid --log-level error \
| --log-prefix "a.b" --log-level 3 --log-uid | LOG flags 8 level 3 prefix "a.b"
NFLOG --nflog-group 0 --nflog-threshold 0 | |
NFQUEUE --queue-balance :5 --queue-bypass | --queue-balance 0:5 --queue-bypass | NFQUEUE balance 0:5 bypass
NFQUEUE --queue-balance 5:5 || 5 should be less than 5
NFQUEUE --queue-balance 0:65535 || Invalid argument. Run `dmesg' for more information.
MARK || MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required
MARK --set-mark 0xff/0xf | --set-xmark 0xff/0xff | MARK or 0xff
MARK --and-mark 0xf0 | --set-xmark 0x0/0xffffff0f | MARK and 0xf0
MARK --set-mark 1 --or-mark 2 || MARK: option "--set-mark" cannot be used together with "--or-mark".
CONNMARK --ctmask 3 --set-mark 5 | --set-xmark 0x5/0xffffffff | CONNMARK set 0x5
CONNMARK --set-mark 5 --mask 3 | --set-xmark 0x5/0x3 | CONNMARK xset 0x5/0x3
CONNMARK --restore-mark --nfmask 3 | --restore-mark --nfmask 0x3 --ctmask 0xffffffff \
| CONNMARK restore ctmask 0xffffffff nfmask ~0x3
CONNMARK --save-mark --right-shift-mark 32 || Invalid argument. Run `dmesg' for more information.
CLASSIFY --set-class 12345:-1 | --set-class 2345:ffff | CLASSIFY set 2345:ffff
REJECT --reject-with host-p | --reject-with icmp-host-prohibited | reject-with icmp-host-prohibited
REJECT --reject-with tcp || Invalid argument. Run `dmesg' for more information.
TEE --gateway 1.2.3.4 --oif eth0 | --gateway 1.2.3.4 --oif eth0 | TEE gw:1.2.3.4 oif=eth0
TEE --gateway 0.0.0.0 || Invalid argument. Run `dmesg' for more information.
IDLETIMER --timeout 0 --label a || Invalid argument. Run `dmesg' for more information.
RATEEST --rateest-name a --rateest-interval 3s --rateest-ewmalog 5s \
| --rateest-name a --rateest-interval 4.0s --rateest-ewmalog 8.0s | name a interval 4.0s ewmalog 8.0s
RATEEST || RATEEST: ewmalog value is out of range
HMARK --hmark-tuple ct,src --hmark-mod 4 --hmark-rnd 1 \
| --hmark-src-prefix 32 --hmark-rnd 0x00000001 --hmark-mod 4 --hmark-tuple ct | HMARK mod 4 ct, src-prefix 32 rnd 0x1
LED --led-trigger-id a || No chain/target/match by that name.
""".replace("\\\n", "").splitlines()


@pytest.mark.parametrize("row", TEXTS)
def test_texts(row):
    words, saved, listed = (part.strip() for part in row.split("|", 2))
    try:
        rule = ruletext.read(["-j", *shlex.split(words)])
        ruletext.check(rule, "filter", "FORWARD")
    except Failure as failure:
        assert (str(failure), saved) == (listed, "")
        return
    name = words.split()[0]
    assert rule_line(Chain("C"), rule, 4) == f"-A C -j {name} {saved}".strip()
    assert ruletext.listed(rule, True).strip() == listed


def _saves_again(words, family):
    rule = ruletext.read(words, family)
    again = ruletext.read(split(rule_line(Chain("C"), rule, family))[2:], family)
    return rule, again


@pytest.mark.parametrize("words", [
    "-p tcp -j DNAT --to-destination [fd00::1-fd00::9]:10-20/30 --persistent", "-j CONNMARK --save-mark --mask 0xf",
    "-j TOS --set-tos Minimize-Cost", "-p tcp -j ECN --ecn-tcp-cwr 1", "-j CT --zone-orig 5",
    "-j NETMAP --to fd00::/48", "-j LOG --log-prefix a\\'b --log-macdecode", "-p udp -j TPROXY --on-port 70000",
    "-j HMARK --hmark-tuple spi,dst --hmark-mod 5 --hmark-rnd 7", "-j SNPT --src-pfx fd00::/48 --dst-pfx fd01::/64"])
def test_what_is_saved_is_the_same_rule(words):
    words = shlex.split(words)
    rule, again = _saves_again(words, 4 if "ECN" in words else 6)
    assert rule == again


def test_values_are_canonical():
    """Options that stand for others leave no trace."""
    same = ("--or-mark 5", "--set-xmark 5/5", "--set-mark 5/0", "--set-mark 0x5/4")
    rules = [ruletext.read(["-j", "MARK", *words.split()]) for words in same]
    assert rules.count(rules[0]) == len(same)
    assert rules[0].target.values == {"set-xmark": (5, 5)}
    rule = ruletext.read(["-p", "tcp", "-j", "SNAT", "--to-source", "10.0.0.1:80-90"])
    assert rule.target.values == {"to-source": ((0x0A000001,) * 2, (80, 90, None))}


@pytest.mark.parametrize(("words", "hooks"), [
    ("-p tcp --syn -j TCPMSS --clamp-mss-to-pmtu", ("FORWARD", "OUTPUT", "POSTROUTING")),
    ("-p tcp --tcp-flags SYN SYN -j TCPMSS --set-mss 5", TABLES["mangle"]),
    ("-p tcp ! --syn -j TCPMSS --set-mss 5", ()), ("-p tcp -j TCPMSS --set-mss 5", ()),
    ("-p tcp -j TPROXY --on-port 5", ("PREROUTING",)), ("! -p tcp -j TPROXY --on-port 5", ()),
    ("-j CLASSIFY --set-class 1:1", ("FORWARD", "OUTPUT", "POSTROUTING")), ("-j REJECT", ())])
def test_where_the_kernel_takes_it(words, hooks):
    rule = ruletext.read(words.split())
    for hook in TABLES["mangle"]:
        if hook in hooks:
            ruletext.check(rule, "mangle", hook)
        else:
            with pytest.raises(Refused):
                ruletext.check(rule, "mangle", hook)


@pytest.mark.parametrize(("words", "family", "message"), [
    ("-p tcp -j CT --helper ftp", 4, ""), ("-p udp -j CT --helper ftp", 4, Refused.ABSENT),
    ("-j CT --helper ftp", 4, Refused.ABSENT), ("-p tcp -j CT --helper irc", 6, Refused.ABSENT),
    ("-p tcp -j CT --helper nosuch", 4, Refused.ABSENT), ("-j CT --helper nosuch --notrack", 4, ""),
    ("-p tcp -j CT --timeout nosuch", 4, Refused.ABSENT), ("-j CT --timeout nosuch", 4, Refused.INVALID)])
def test_helpers_and_timeouts_of_ct(words, family, message):
    rule, said = ruletext.read(words.split(), family), ""
    try:
        ruletext.check(rule, "raw", "PREROUTING", family)
    except Refused as refused:
        said = str(refused)
    assert said == message


def test_every_target_has_texts_of_its_own():
    assert len(TARGETS) > 60
    for (name, family), extension in TARGETS.items():
        assert extension.name == name
        assert family in extension.families
        assert type(extension).show is not type(extension).__mro__[-2].show


def _rows_of_t():
    for path in sorted(shared("iptables-t").glob("lib*_[A-Z]*.t")):
        table, chains = "filter", []
        kind, name = path.stem.split("_")
        for line in path.read_text().splitlines():
            if line.startswith(":"):
                chains = line[1:].split(",")
            elif line.startswith("*"):
                table = line[1:]
            elif line and line[0] not in "#@":
                rule, saved, result, *_ = line.split(";")
                for family in {"libipt": (4,), "libip6t": (6,), "libxt": (4, 6)}[kind]:
                    yield name, family, table, chains, rule, rule if saved == "=" else saved, result


def _takes(words, family, table, chains):
    """The line that is saved, or None where the rule is refused."""
    try:
        rule = ruletext.read(words, family, Sets())
        for chain in chains:
            if TARGETS[rule.jump, family].absent is None:
                ruletext.check(rule, table, chain, family)
    except Failure:
        return None
    return rule_line(Chain("C"), rule, family).removeprefix("-A C ")


# Rows of IPv4 addresses that libxt files have for both families.
ONLY_IPV4 = {("TEE", 6), ("TPROXY", 6)}


def test_rows_of_iptables_own_tests():
    seen = 0
    for name, family, table, chains, rule, saved, result in _rows_of_t():
        if (name, family) in ONLY_IPV4:
            continue
        seen += 1
        # The one rule of CLUSTERIP that is to fail is refused by the kernel, which has it no more.
        wanted = None if result == "FAIL" and name != "CLUSTERIP" else saved
        got = _takes(shlex.split(rule), family, table, chains)
        assert got == wanted, (name, family, rule)
    assert seen > 250


def test_vectors():
    seen = 0
    for row in json.loads(shared("vectors", "iptables_rules.json").read_text()):
        words = shlex.split(row["input"])
        jump = words[words.index("-j") + 1] if "-j" in words else ""
        if (jump, row["family"]) not in TARGETS or "-m" in words:
            continue
        seen += 1
        got = _takes(words, row["family"], row["table"], [row["chain"]])
        assert (got is None) == bool(row["rc"]), row["input"]
        if got is None:
            continue
        assert [f"-A {row['chain']} {got}"] == row["save"]
        rule = ruletext.read(words, row["family"])
        for numeric, key in ((True, "list_n"), (False, "list")):
            line = row[key][0]
            assert line.rstrip().endswith(ruletext.listed(rule, numeric).rstrip()), line
    assert seen > 90
