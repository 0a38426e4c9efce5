"""The index of a chain gives the rules that a walk over all of them gives."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastct.rules.classify import CONDITION_DTYPE, FIELD_NAMES, FIELDS_DTYPE, NONE, Classifier

WIDTHS = {"src": 32, "dst": 32, "sport": 16, "dport": 16, "protocol": 8, "in_interface": 32, "out_interface": 32,
          "ctstate": 3, "mark": 32}
LOW64 = (1 << 64) - 1


def width(field, ipv6):
    return 128 if ipv6 and field in ("src", "dst") else WIDTHS[field]


def index(rules, ipv6=False):
    """The Classifier of rules: for each a dictionary of fields, each a list of pairs (low, high)."""
    rows = [(number, FIELD_NAMES.index(field), low >> 64, low & LOW64, high >> 64, high & LOW64)
            for number, rule in enumerate(rules) for field, pairs in rule.items() for low, high in pairs]
    return Classifier(len(rules), np.array(rows, CONDITION_DTYPE), ipv6)


def as_array(packets, ipv6=False):
    array = np.zeros(len(packets), FIELDS_DTYPE)
    for row, packet in zip(array, packets, strict=True):
        for field, value in packet.items():
            if width(field, ipv6) == 128:
                row[f"{field}_hi"], row[f"{field}_lo"] = value >> 64, value & LOW64
            else:
                row[field] = value
    return array


def first_rule(rules, packet, start):
    """The slow obvious answer."""
    for number in range(start, len(rules)):
        if all(any(low <= packet[field] <= high for low, high in pairs) for field, pairs in rules[number].items()):
            return number
    return NONE


def all_rules(classifier, packets):
    """For each packet the list of rules that one is led to when no rule ends the chain."""
    lists, starts = [[] for _ in packets], np.zeros(len(packets), np.uint32)
    while True:
        found = classifier.find(packets, starts)
        if (found == NONE).all():
            return lists
        for rules, number in zip(lists, found.tolist(), strict=True):
            if number != NONE:
                rules.append(number)
        starts = np.where(found == NONE, NONE, found + 1).astype(np.uint32)


def expected(rules, packets):
    return [[number for number, rule in enumerate(rules)
             if all(any(low <= packet[field] <= high for low, high in pairs) for field, pairs in rule.items())]
            for packet in packets]


def inverted(low, high, bits):
    """What is not in an interval: two of them, one, or one that holds nothing."""
    most = (1 << bits) - 1
    pairs = [pair for pair in ((0, low - 1), (high + 1, most)) if 0 <= pair[0] <= pair[1]]
    return pairs or [(1, 0)]


@st.composite
def values(draw, bits, ends):
    """A value of a field: near an end of an interval, near a limit of the field, or any."""
    most = (1 << bits) - 1
    near = draw(st.sampled_from([*ends, 0, most])) + draw(st.integers(-1, 1))
    return draw(st.sampled_from([min(max(near, 0), most), draw(st.integers(0, most))]))


@st.composite
def conditions(draw, bits):
    """The intervals of a field: prefixes, ranges, several, what is not in one, none at all."""
    most = (1 << bits) - 1
    kind = draw(st.sampled_from(["range", "prefix", "point", "many", "not", "nothing"]))
    if kind == "nothing":
        return [(1, 0)]
    if kind == "prefix":
        mask = most >> draw(st.integers(0, bits))
        low = draw(st.integers(0, most)) & ~mask
        return [(low, low | mask)]
    highest = min(most, draw(st.sampled_from([7, 300, most])))
    ends = sorted(draw(st.lists(st.integers(0, highest), min_size=2, max_size=16)))
    if kind == "point":
        return [(ends[0], ends[0])]
    if kind == "many":
        return list(zip(ends[::2], ends[1::2], strict=False))
    return [(ends[0], ends[-1])] if kind == "range" else inverted(ends[0], ends[-1], bits)


@st.composite
def chains(draw):
    """Rules, the packets to ask for, and the family."""
    ipv6 = draw(st.booleans())
    fields = draw(st.lists(st.sampled_from(FIELD_NAMES), unique=True))
    known = {field: draw(st.lists(conditions(width(field, ipv6)), min_size=1, max_size=6)) for field in fields}
    rule = st.fixed_dictionaries({}, optional={field: st.sampled_from(known[field]) for field in fields})
    rules = draw(st.lists(rule, max_size=150))
    ends = {field: [end for pairs in known.get(field, ()) for pair in pairs for end in pair] for field in FIELD_NAMES}
    packet = st.fixed_dictionaries({field: values(width(field, ipv6), ends[field]) for field in FIELD_NAMES})
    return rules, draw(st.lists(packet, min_size=1, max_size=40)), ipv6


@settings(max_examples=300, deadline=None)
@given(chains())
def test_every_rule_in_order(chain):
    rules, packets, ipv6 = chain
    assert all_rules(index(rules, ipv6), as_array(packets, ipv6)) == expected(rules, packets)


@settings(max_examples=100, deadline=None)
@given(chains(), st.data())
def test_from_any_rule(chain, data):
    rules, packets, ipv6 = chain
    starts = data.draw(st.lists(st.integers(0, len(rules) + 70), min_size=len(packets), max_size=len(packets)))
    found = index(rules, ipv6).find(as_array(packets, ipv6), np.array(starts, np.uint32))
    assert found.tolist() == [first_rule(rules, *pair) for pair in zip(packets, starts, strict=True)]


def packet_of(**fields):
    return as_array([fields])


def test_empty_chain():
    classifier = index([])
    assert classifier.find(packet_of()).tolist() == [NONE] and classifier.memory == 0
    assert classifier.find(packet_of()[:0]).tolist() == []


def test_rules_that_ask_nothing():
    rules = [{}, {}, {"dport": [(80, 80)]}]
    assert all_rules(index(rules[:2]), packet_of()) == [[0, 1]]
    assert all_rules(index(rules), packet_of(dport=81)) == [[0, 1]]
    assert all_rules(index(rules), packet_of(dport=80)) == [[0, 1, 2]]


def test_a_field_that_nobody_asks_about_costs_nothing():
    few = [{"dport": [(port, port)]} for port in range(100)]
    more = [rule | {"sport": [(1, 2)]} for rule in few]
    assert index(few).memory < index(more).memory


@pytest.mark.parametrize("field", FIELD_NAMES)
@pytest.mark.parametrize("ipv6", [False, True])
def test_both_ends_of_a_field(field, ipv6):
    most = (1 << width(field, ipv6)) - 1
    rules = [{field: [(0, 0)]}, {field: [(most, most)]}, {field: [(0, most)]}, {field: inverted(0, most, 8)},
             {field: inverted(0, 0, width(field, ipv6))}, {field: [(1, 2), (4, 5)]}]
    packets = [dict.fromkeys(FIELD_NAMES, 0) | {field: value} for value in (0, 1, 3, 4, most - 1, most)]
    assert all_rules(index(rules, ipv6), as_array(packets, ipv6)) == expected(rules, packets)


@pytest.mark.parametrize("n", [1, 63, 64, 65, 127, 4095, 4096, 4097, 16383, 16384, 16385, 32768, 32769])
def test_ends_of_words_and_blocks(n):
    """Each rule is found alone, and the last one behind all others."""
    rules = [{"src": [(number * 3, number * 3)]} for number in range(n - 1)] + [{}]
    classifier = index(rules)
    packets = np.zeros(n - 1, FIELDS_DTYPE)
    packets["src"] = np.arange(n - 1) * 3
    assert (classifier.find(packets) == np.arange(n - 1)).all()
    assert (classifier.find(packets, np.arange(1, n)) == n - 1).all()
    packets["src"] += 1
    assert (classifier.find(packets) == n - 1).all()
    assert (classifier.find(packets, np.full(n - 1, n)) == NONE).all()


def test_blocks_without_conditions():
    """A block in which no rule asks anything lies between two that do."""
    n = 16384
    rules = [{"mark": [(7, 7)]}] * n + [{}] * n + [{"mark": [(8, 8)]}] * n
    packets = as_array([{"mark": 7}, {"mark": 8}, {"mark": 8}, {"mark": 9}, {"mark": 7}])
    starts = np.array([5, 5, 2 * n - 1, 2 * n, n - 1], np.uint32)
    classifier = index(rules)
    assert classifier.find(packets, starts).tolist() == [5, n, 2 * n - 1, NONE, n - 1]
    assert classifier.find(packets, starts + 1).tolist() == [6, n, 2 * n, NONE, n]


def test_more_different_words_than_a_byte_counts():
    """Many ports in each rule: 64 rules with over 256 different answers."""
    rng = np.random.default_rng(5)
    rules = [{"dport": [(port, port) for port in rng.integers(0, 65536, 15).tolist()]} for _ in range(200)]
    packets = [{"dport": port + step} for rule in rules for port, _ in rule["dport"] for step in (-1, 0, 1)]
    packets = [packet for packet in packets if 0 <= packet["dport"] < 65536]
    assert all_rules(index(rules), as_array(packets)) == expected(rules, packets)


def big_chain(rng, n, ipv6):
    """Rules such as large rulesets have, and packets at their ends."""
    rules = []
    for _ in range(n):
        rule = {}
        for field in ("src", "dst"):
            bits = width(field, ipv6)
            if rng.random() < 0.7:
                mask = (1 << int(rng.integers(0, 17))) - 1
                low = (int(rng.integers(0, 40)) << (bits - 8) | int(rng.integers(0, 1 << 12))) & ~mask
                rule[field] = [(low, low | mask)] if rng.random() < 0.9 else inverted(low, low | mask, bits)
        if rng.random() < 0.6:
            rule["dport"] = [(port, port) for port in rng.integers(1, 1024, rng.integers(1, 4)).tolist()]
        if rng.random() < 0.3:
            low = int(rng.integers(0, 256)) * 256 + int(rng.integers(-1, 2)) & 0xFFFF
            rule["sport"] = [(low, min(low + int(rng.integers(0, 600)), 0xFFFF))]
        for field, most in (("protocol", 20), ("in_interface", 9), ("ctstate", 7)):
            if rng.random() < 0.3:
                value = int(rng.integers(0, most))
                rule[field] = [(value, value)]
        rules.append(rule)
    packets = []
    for number in rng.integers(0, n, 120 if n < 10_000 else 25).tolist():
        packet = {field: int(rng.integers(0, 8)) for field in FIELD_NAMES}
        packets.append(packet | {field: pairs[-1][number % 2] for field, pairs in rules[number].items()})
    return rules, packets


@pytest.mark.parametrize("ipv6", [False, True])
@pytest.mark.parametrize("n", [300, 3000, 17000])
def test_big_chains(n, ipv6):
    rules, packets = big_chain(np.random.default_rng(n), n, ipv6)
    found = all_rules(index(rules, ipv6), as_array(packets, ipv6))
    assert found == expected(rules, packets)
    assert sum(map(len, found)) > 100


def test_memory_is_not_quadratic():
    n = 50_000
    conditions = np.zeros(2 * n, CONDITION_DTYPE)
    conditions["rule"] = np.arange(n).repeat(2)
    conditions["field"] = np.tile([0, 1], n)
    conditions["low_lo"] = conditions["high_lo"] = np.random.default_rng(1).permutation(1 << 20)[:2 * n]
    classifier = Classifier(n, conditions)
    assert classifier.memory <= 32 << 20
    packets = np.zeros(n, FIELDS_DTYPE)
    packets["src"], packets["dst"] = conditions["low_lo"][::2], conditions["low_lo"][1::2]
    assert (classifier.find(packets) == np.arange(n)).all()


@pytest.mark.parametrize("change", [{"rule": 2}, {"field": 9}])
def test_conditions_about_what_there_is_not(change):
    conditions = np.zeros(2, CONDITION_DTYPE)
    for name, value in change.items():
        conditions[name][1] = value
    with pytest.raises(ValueError, match="rules and fields that there are"):
        Classifier(2, conditions)


def test_conditions_out_of_order():
    conditions = np.zeros(2, CONDITION_DTYPE)
    conditions["rule"] = (1, 0)
    with pytest.raises(ValueError, match="in order of"):
        Classifier(2, conditions)


def test_as_many_starts_as_packets():
    with pytest.raises(ValueError, match="one start"):
        index([{}]).find(packet_of(), np.zeros(2, np.uint32))
