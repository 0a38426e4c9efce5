"""Ops of matches with state, against slow and obvious models; time is whatever hypothesis says."""
import struct
from collections import OrderedDict

from hypothesis import given, settings
from hypothesis import strategies as st

from fastct import Tracker
from fastct.rules import settext
from fastct.rules.compile import compile_ruleset
from fastct.rules.estate import Estate
from fastct.rules.model import Ruleset
from fastct.rules.restore import restore
from fastct.rules.route import Routes
from tests import packets as p

S, START, RAW = 10**9, 1_700_000_000 * 10**9, 101
HOSTS = [f"10.1.0.{n}" for n in range(1, 6)]
# (host, gap in ns, bytes of payload) of each packet
TRAFFIC = st.lists(st.tuples(st.integers(0, 4), st.one_of(st.just(0), st.integers(0, 3 * S)), st.integers(0, 400)),
                   min_size=1, max_size=60)


class Rules:
    """Rules of mangle's PREROUTING that count, in a tracker."""

    def __init__(self, *words, sets=None, estate=None, tracker=None, seed=1):
        ruleset = Ruleset(4, sets)
        text = "".join(f"-A PREROUTING {line}\n" for line in words)
        outcome = restore(f"*mangle\n{text}COMMIT\n", ruleset)
        assert not outcome.status, outcome.err
        self.program = compile_ruleset(ruleset, estate, seed)
        self.program.number({})
        self.tracker = tracker or Tracker(seed=1)
        self.tracker._engine.rules(self.program, None, Routes())
        self.n, self.before = len(words), [0] * len(words)

    def send(self, packet, now):
        """Which of the rules take a packet."""
        self.tracker.process_bytes([packet], [now], linktype=RAW)
        counts = self.program.counters()[:self.n, 0].tolist()
        taken = [count - before for count, before in zip(counts, self.before, strict=True)]
        self.before = counts
        return [bool(one) for one in taken]


def datagrams(traffic):
    """(packet, its source, time) of each."""
    now = START
    for host, gap, size in traffic:
        now += gap
        yield p.udp(HOSTS[host], "10.2.0.1", 1000 + host, 53, bytes(size)), HOSTS[host], now


def answers(rules, traffic):
    return [rules.send(packet, now) for packet, _, now in datagrams(traffic)]


@given(TRAFFIC, st.sampled_from(("2/s", "7/s", "30/min")), st.integers(1, 6))
@settings(deadline=None, max_examples=60)
def test_limit(traffic, rate, burst):
    count, unit = rate.split("/")
    period = {"s": 10_000, "min": 600_000}[unit] // int(count)           # of 1/10000 s
    cost, most = period * 32_000 // 10_000, period * burst * 32_000 // 10_000
    credit, last, expected = most, None, []
    for _, _, now in datagrams(traffic):
        ticks = now * 32_000 // S
        credit = min(most, credit + (ticks - (ticks if last is None else last)))
        last = ticks
        expected.append(credit >= cost)
        credit -= cost * expected[-1]
    got = answers(Rules(f"-m limit --limit {rate} --limit-burst {burst}"), traffic)
    assert [one for one, in got] == expected


@given(TRAFFIC, st.integers(0, 3000), st.integers(1, 7))
@settings(deadline=None, max_examples=40)
def test_quota_and_nth(traffic, quota, every):
    left, expected = quota, []
    for number, (packet, _, _) in enumerate(datagrams(traffic)):
        enough = left >= len(packet)
        left = left - len(packet) if enough else 0
        expected.append([enough, not enough, number % every == every - 1])
    rules = Rules(f"-m quota --quota {quota}", f"-m quota ! --quota {quota}",
                  f"-m statistic --mode nth --every {every} --packet {every - 1}")
    assert answers(rules, traffic) == expected


def test_chance_is_seeded_and_fair():
    packets = [(0, 1000, 0)] * 2000
    runs = [answers(Rules("-m statistic --mode random --probability 0.25", seed=seed), packets) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]
    assert 400 < sum(one for one, in runs[0]) < 600


@given(TRAFFIC, st.integers(1, 5), st.sampled_from((0, 1, 2)))
@settings(deadline=None, max_examples=60)
def test_hashlimit(traffic, burst, expire):
    """2 packets per second and source; idle keys are thrown out at full seconds."""
    cost = 500_000 * 137_438_953
    keys, expected = {}, []
    life = (expire or 1) * S
    for _, source, now in datagrams(traffic):
        credit, last, expires = keys.get(source, (cost * burst, now, None))
        if expires is not None and expires <= now - now % S:
            credit, last = cost * burst, now
        credit = min(cost * burst, credit + (now - last) * 2**31 // 15625)
        expected.append(credit >= cost)
        keys[source] = credit - cost * expected[-1], now, now + life
    words = f"-m hashlimit --hashlimit-upto 2/s --hashlimit-burst {burst} --hashlimit-mode srcip --hashlimit-name a"
    got = answers(Rules(words + (f" --hashlimit-htable-expire {expire * 1000}" if expire else "")), traffic)
    assert [one for one, in got] == expected


def test_a_full_table_drops():
    rules = Rules("-m hashlimit --hashlimit-upto 2/s --hashlimit-mode srcip --hashlimit-name a "
                  "--hashlimit-htable-size 2 --hashlimit-htable-max 2", "-m comment --comment seen")
    got = [rules.send(packet, now) for packet, _, now in datagrams([(n, 0, 0) for n in (0, 1, 2, 0)])]
    assert got == [[True, True], [True, True], [False, False], [True, True]]


@given(TRAFFIC, st.sampled_from(("rcheck", "update")), st.integers(1, 4), st.integers(1, 4))
@settings(deadline=None, max_examples=60)
def test_recent(traffic, action, seconds, hits):
    seen, expected = OrderedDict(), []
    for _, source, now in datagrams(traffic):
        asked = sum(stamp >= now - seconds * S for stamp in seen.get(source, ())) >= hits
        if source in seen and asked and action == "update":
            seen[source].append(now)
        expected.append([source in seen and asked, True])
        seen.setdefault(source, []).append(now)
        seen[source] = seen[source][-32:]
    rules = Rules(f"-m recent --{action} --seconds {seconds} --hitcount {hits} --name x", "-m recent --set --name x")
    assert answers(rules, traffic) == expected


def test_lists_in_words():
    estate = Estate()
    rules = Rules("-m recent --set --name x", estate=estate)
    for packet, _, now in datagrams([(0, 0, 0), (1, S, 0), (0, S, 0)]):
        rules.send(packet, now)
    seen, first = estate["recent", "x"], START // 4_000_000
    assert list(seen.lines()) == [
        f"src=10.1.0.2 ttl: 64 last_seen: {first + 250} oldest_pkt: 1 {first + 250}",
        f"src=10.1.0.1 ttl: 64 last_seen: {first + 500} oldest_pkt: 2 {first}, {first + 500}"]
    seen.write("-10.1.0.2", START)
    seen.write("+10.9.0.1", START)
    assert [line.split()[0] for line in seen.lines()] == ["src=10.1.0.1", "src=10.9.0.1"]
    seen.write("/", START)
    assert list(seen.lines()) == []


def test_names_outlive_a_ruleset_that_is_replaced():
    estate = Estate()
    rules = Rules("-m recent --set --name x", estate=estate)
    (packet, _, now), = datagrams([(0, 0, 0)])
    rules.send(packet, now)
    other = Rules("-m recent --rcheck --name x", estate=estate, tracker=rules.tracker)
    del rules
    assert other.send(packet, now) == [True]
    tracker = other.tracker
    del other
    tracker._engine.rules(None, None, Routes())
    assert ("recent", "x") not in estate


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(1, 3)), min_size=1, max_size=40))
@settings(deadline=None, max_examples=40)
def test_connlimit_counts_what_lives(opened):
    """Connections of hosts that are never closed: 0.1 s apart, none expires."""
    rules = Rules("-m connlimit --connlimit-upto 2 --connlimit-mask 32",
                  "-m connlimit --connlimit-above 3 --connlimit-mask 24")
    known, now = set(), START
    for host, port, _ in opened:
        now += S // 10
        known.add((host, port))
        own = sum(one == host for one, _ in known)
        packet = p.udp(HOSTS[host], "10.2.0.1", 1000 + port, 53, b"")
        assert rules.send(packet, now) == [own <= 2, len(known) > 3]


SETS = """create n hash:net family inet counters
add n 10.1.0.0/24
add n 10.1.0.2 nomatch
create p hash:ip,port family inet timeout 2
add p 10.1.0.1,udp:53
add p 10.1.0.3,udp:53 timeout 0
create l list:set
add l p
add l n
"""


def test_sets():
    sets = settext.load(SETS)
    rules = Rules("-m set --match-set n src", "-m set --match-set n src --return-nomatch",
                  "-m set --match-set p src,dst",
                  "-m set ! --match-set l src,dst", "-m set --match-set n src ! --update-counters --packets-gt 9",
                  sets=sets)
    got = answers(rules, [(0, 0, 0), (1, S, 0), (2, 2 * S, 0), (0, 0, 0)])
    assert got == [[True, False, True, False, False], [False, True, False, True, False],
                   [True, False, True, False, False], [True, False, False, False, False]]


@given(st.lists(st.tuples(st.integers(0, 2**10 - 1), st.integers(22, 32), st.booleans()), max_size=30),
       st.lists(st.integers(0, 2**10 - 1), min_size=1, max_size=20))
@settings(deadline=None, max_examples=60)
def test_nets_as_the_model_finds_them(nets, asked):
    sets, base = settext.load("create n hash:net family inet"), 10 << 24
    text, added = "create n hash:net family inet\n", set()
    for host, length, nomatch in nets:
        network = (base + host) >> 32 - length << 32 - length
        if (network, length) not in added:
            added.add((network, length))
            dotted = ".".join(map(str, struct.pack("!I", network)))
            text += f"add n {dotted}/{length}{' nomatch' if nomatch else ''}\n"
    sets = settext.load(text)
    rules = Rules("-m set --match-set n src", sets=sets)
    for host in asked:
        source = ".".join(map(str, struct.pack("!I", base + host)))
        assert rules.send(p.udp(source, "10.2.0.1", 1, 53, b""), START) == [sets.contains("n", (base + host,))]


def test_conntrack_without_a_connection():
    """With a ctstate that fits, nothing else is asked; without one it never holds."""
    rules = Rules("-m conntrack --ctstate INVALID --ctproto 17", "-m conntrack --ctproto 6",
                  "-m conntrack ! --ctproto 17", "-m conntrack --ctstate NEW ! --ctproto 17", "-m connmark ! --mark 1")
    packet = p.tcp(HOSTS[0], "10.2.0.1", 1000, 80, 1, 1, p.SYN | p.FIN, 1000, b"", b"")
    assert rules.send(packet, START) == [True, False, False, False, False]


def test_rateest():
    """100 packets per second for 3 s, looked at every 250 ms, the newest weighing a half."""
    rules = Rules("-j RATEEST --rateest-name e --rateest-interval 250ms --rateest-ewmalog 500ms",
                  "-m rateest --rateest e --rateest-gt --rateest-pps 90",
                  "-m rateest --rateest e --rateest-lt --rateest-pps 50")
    got = answers(rules, [(0, S // 100, 0)] * 300)
    assert got[0] == [True, False, True]
    assert got[-1] == [True, True, False]
    later = rules.send(p.udp(HOSTS[0], "10.2.0.1", 1000, 53, b""), START + 3600 * S)
    assert later == [True, False, True]
