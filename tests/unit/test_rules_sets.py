"""ipsets: their text, what is in them, and rules that name them. The kernel tests ask ipset the same."""
import pytest

from fastct.rules.sets import EXISTS, FULL, MISSING, TYPES, Entry, Set, SetFailure, Sets
from fastct.rules.settext import load, save
from fastct.rules.words import Failure
from tests import ruletext
from tests.settexts import ACCEPTED, PROBES, REFUSED, SETS_OF_RULES

# Types that not every kernel has; as ipset's manual shows them.
OTHERS = """\
create m hash:mac hashsize 1024 maxelem 65536 bucketsize 12
add m 00:11:22:33:44:AA
create im hash:ip,mac family inet hashsize 1024 maxelem 65536 bucketsize 12
add im 1.2.3.4,00:11:22:33:44:AA
create mark hash:ip,mark family inet markmask 0x0000ff00 hashsize 1024 maxelem 65536 bucketsize 12
add mark 1.2.3.4,0x00001200
create nn hash:net,net family inet6 hashsize 1024 maxelem 65536 bucketsize 12
add nn fd00::/16,fd01::/32 nomatch
add nn fd00::/8,fd01::1
create npn hash:net,port,net family inet hashsize 1024 maxelem 65536 bucketsize 12
add npn 1.0.0.0/8,tcp:80,2.0.0.0/16
"""


@pytest.fixture(scope="module")
def sets():
    return load("\n".join(ACCEPTED))


def test_text_of_text_is_the_same(sets):
    lines = list(save(sets))
    assert list(save(load("\n".join(lines)))) == lines
    assert ('add bits 10.0.0.1 timeout 1000 packets 5 bytes 6 comment "a b" skbmark 0x1/0xff skbprio 1:10 skbqueue 3'
            in lines)
    assert ("create hosts hash:ip family inet hashsize 1024 maxelem 100 netmask 24 timeout 600 counters comment "
            "skbinfo bucketsize 4") in lines
    assert "add nets 10.0.0.8/31 packets 0 bytes 0" in lines
    assert "add services 1.2.3.4,icmp:host-unreachable" in lines


def test_other_types():
    assert list(save(load(OTHERS))) == OTHERS.splitlines()
    assert {line.split()[2] for line in (*ACCEPTED, *OTHERS.splitlines()) if line.startswith("create")} == set(TYPES)


@pytest.mark.parametrize(("name", "values", "inside"), [
    ("m", (0x11223344AA,), True), ("m", (0x11223344AB,), False), ("im", (0x01020304, 0x11223344AA), True),
    ("im", (0x01020304, 1), False), ("mark", (0x01020304, 0x1234), True), ("mark", (0x01020304, 0x1334), False),
    ("nn", (0xFD00 << 112, 0xFD01 << 112 | 2), False), ("nn", (0xFD00 << 112, 0xFD01 << 112 | 1), False),
    ("nn", (0xFD80 << 112, 0xFD01 << 112 | 1), True), ("npn", (0x01020304, 6 << 16 | 80, 0x02000001), True),
    ("npn", (0x01020304, 17 << 16 | 80, 0x02000001), False)])
def test_membership_of_other_types(name, values, inside):
    assert load(OTHERS).contains(name, values) is inside


@pytest.mark.parametrize(("line", "message"), REFUSED)
def test_refusals(line, message):
    with pytest.raises(SetFailure) as refused:
        load("\n".join([*ACCEPTED, line]))
    assert str(refused.value).replace(f"line {len(ACCEPTED) + 1}: ", "line 1: ").removeprefix(
        "" if message.startswith("Error") else "Error in line 1: ").startswith(message)


@pytest.mark.parametrize(("name", "element", "values", "inside"), PROBES)
def test_membership(sets, name, element, values, inside):
    assert sets.contains(name, values) is inside


def test_nomatch_is_found_when_asked_for(sets):
    inside = 0x01020382        # 1.2.3.130
    assert not sets.contains("nets", (inside,))
    assert sets.contains("nets", (inside,), return_nomatch=True)
    assert not sets.contains("nets", (0x01020305,), return_nomatch=True)


def test_list_has_what_one_of_its_sets_has(sets):
    assert [key for key, in sets["both"].entries] == ["hosts", "services", "nets"]
    assert sets.contains("both", (0x0A000009,))
    assert not sets.contains("both", (0x0A00000A,))
    assert sets.contains("both", (0x01020304 + 0x01000000, 6 << 16 | 80)) is False
    assert sets.contains("both", (0x01020304, 6 << 16 | 80))


def test_entries_expire():
    sets = load("create s hash:ip timeout 10\nadd s 1.1.1.1\nadd s 1.1.1.2 timeout 0\nadd s 1.1.1.3 timeout 5", now=100)
    values = {last: (0x01010100 | last,) for last in (1, 2, 3)}
    assert [sets.contains("s", values[last], now=104) for last in values] == [True, True, True]
    assert [sets.contains("s", values[last], now=105) for last in values] == [True, True, False]
    assert [sets.contains("s", values[last], now=110) for last in values] == [False, True, False]
    assert list(save(sets, now=106))[1:] == ["add s 1.1.1.1 timeout 4", "add s 1.1.1.2 timeout 0"]


def test_adding_and_taking_away():
    found = Set("s", "hash:net", 4, {"maxelem": 2})
    key = (0x0A000001, 24)
    found.add(key, Entry())
    with pytest.raises(SetFailure, match=EXISTS):
        found.add((0x0A000002, 24), Entry())
    found.add(key, Entry(comment="new"), exist=True)
    assert found.find((0x0A0000FF,)).comment == "new"
    found.add((0x0B000000, 8), Entry(expires=5.0))
    with pytest.raises(SetFailure, match=FULL):
        found.add((0x0C000000, 8), Entry(), now=4.0)
    found.add((0x0C000000, 8), Entry(), now=5.0)       # there is room again
    assert [dict(counter) for counter in found.lengths] == [{24: 1, 8: 1}]
    found.delete(key)
    with pytest.raises(SetFailure, match=MISSING):
        found.delete(key)
    found.delete(key, exist=True)
    assert found.find((0x0A0000FF,)) is None
    assert [dict(counter) for counter in found.lengths] == [{8: 1}]


@pytest.mark.parametrize(("words", "family", "message"), [
    ("-m set --match-set missing src", 4, "Set missing doesn't exist.\n"),
    ("-m set --match-set hash6 src", 4, "The protocol family of set hash6 is IPv6, which is not applicable.\n"),
    ("-j SET --add-set hash4 src", 6, "The protocol family of set hash4 is IPv4, which is not applicable.\n"),
    ("-m set --match-set list src", 6, None), ("-m set ! --match-set hash4 src,dst", 4, None),
    ("-m set --match-set hash4 src,", 4, "You must spefify (the comma separated list of) 'src' or 'dst'."),
    ("-m set --match-set hash4" + " src" + ",dst" * 6, 4, "Can't be more src/dst options than 6."),
    ("-m set --match-set hash4", 4, "--match-set requires two args."),
    ("-m set", 4, "You must specify `--match-set' with proper arguments"),
    ("-m set --match-set hash4 src --set hash4 dst", 4, "--match-set can be specified only once"),
    ("-m set --match-set hash4 src --packets-eq 1 --packets-gt 2", 4,
     "only one of the --packets-[eq|lt|gt] is allowed"),
    ("-j SET --del-set hash4 src --exist", 4, "Flag `--exist' can be used with `--add-set' only"),
    ("-j SET --map-set info4 src", 4, "You must specify flags `--map-mark' or '--map-prio` or `--map-queue'")])
def test_rules_that_name_sets(words, family, message):
    sets, said = load(SETS_OF_RULES), None
    try:
        ruletext.read(words.split(), family, sets)
    except Failure as failure:
        said = failure.text
    assert said == message


def test_without_sets_any_name_will_do():
    words = ["-m", "set", "--match-set", "any", "src,dst"]
    assert ruletext.read(words).matches[0].get("match-set") == ("any", ("src", "dst"))
    with pytest.raises(Failure, match="doesn't exist"):
        ruletext.read(words, 4, Sets())
