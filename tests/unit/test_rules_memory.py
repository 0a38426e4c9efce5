"""What is remembered of packets' paths never shows: rows and counters are those of a tracker that remembers nothing."""
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastct
from fastct.firewall import Firewall
from fastct.rules.compiled import Program
from fastct.rules.ruleset import Ruleset
from tests.kernel.gateway import OWN, Gateway
from tests.kernel.generator import KINDS, conversation, interleaved
from tests.kernel.rulesets_random import RandomRulesets

FAMILIES = (4, 6)
NOTHING, LITTLE, MUCH = (0, 0), (4, 4), (1 << 16, 1 << 20)
STEP_NS = 3_000_000
# What recording has to give up on: more rules than a trail holds, more callers than a tail keeps.
LONG = "*filter\n:FORWARD DROP [0:0]\n" + "-A FORWARD\n" * 60 + "-A FORWARD -p tcp -j ACCEPT\nCOMMIT\n"
DEEP = ("*filter\n:FORWARD ACCEPT [0:0]\n" + "".join(f":d{n} - [0:0]\n" for n in range(12)) + "-A FORWARD -j d0\n"
        + "".join(f"-A d{n} -j d{n + 1}\n" for n in range(11))
        + "-A d11 -p tcp -m tcp --tcp-option 3 -j ACCEPT\n-A d3 -g d5\n"
        + "-A FORWARD -p tcp -m tcp --tcp-option 8 -j DROP\nCOMMIT\n")


PLAIN = ("*filter\n-A FORWARD -p tcp -m state --state ESTABLISHED -j ACCEPT\n-A FORWARD -p tcp -m tcp --dport 80\n"
         "-A FORWARD -p udp\n-A FORWARD -d 10.2.0.32/255.255.0.32\nCOMMIT\n")


class Behind:
    """A tracker behind rules that change, and how much of paths it remembers."""

    def __init__(self, limits):
        self.limits = limits
        self.tracker = fastct.Tracker(seed=1, keep_ended=True, keep_events=True)
        interfaces = [(name, own) for name, owns in OWN.items() for own in owns]
        self.firewall = Firewall(self.tracker._engine, interfaces=interfaces)
        self.rows, self.counts, self.left = [], [], ()
        self.forgotten = 0

    def load(self, texts):
        """Have packets run through other rules from now on."""
        self.read()
        for family, text in texts.items():
            self.firewall.rulesets[family].replace(Ruleset.parse(text, family))
            self.firewall._programs[family].remember(*self.limits)

    def read(self):
        """Note what the counters say now."""
        for family, program in self.firewall._programs.items():
            if isinstance(program, Program):
                self.counts.append(self.firewall.rulesets[family].text(counters=True))
                self.forgotten += program.forgotten

    def finish(self):
        """Note what is there in the end."""
        self.read()
        self.left = self.tracker.connections(), self.tracker.drain_ended(), self.tracker.drain_events()

    def run(self, frames, ts):
        """Packets go through."""
        self.rows.append(self.tracker.process_bytes(frames, ts))


def frames_of(rng, count):
    """Frames of random conversations."""
    kinds = tuple(KINDS)
    packets = interleaved(rng.getrandbits(32), count, rng.choice((2, 8, 30)),
                          lambda draw, number: conversation(draw, number, kinds, True))
    return [Gateway.frame(packet) for packet in packets]


def texts_of(rng):
    """Rules of both families."""
    return {family: rng.choice((LONG, DEEP)) if rng.random() < 0.05 else RandomRulesets(rng, family).text()
            for family in FAMILIES}


def play(rng, limits, count):
    """The same packets, cut into blocks, through trackers that remember as much as ``limits`` say."""
    behind = [Behind(each) for each in limits]
    frames, at = frames_of(rng, count), 0
    while at < count:
        if at == 0 or rng.random() < 0.1:
            texts = texts_of(rng)
            for each in behind:
                each.load(texts)
        size = rng.choice((1, 2, 31, 32, 33, 64, 200))
        block = frames[at:at + size]
        ts = [(at + number) * STEP_NS for number in range(1, len(block) + 1)]
        for each in behind:
            each.run(block, ts)
        if rng.random() < 0.2:
            for each in behind:
                each.read()
        at += size
    for each in behind:
        each.finish()
    return behind


def assert_alike(one, other):
    np.testing.assert_array_equal(np.concatenate(one.rows), np.concatenate(other.rows))
    assert one.counts == other.counts
    for mine, yours in zip(one.left, other.left, strict=True):
        np.testing.assert_array_equal(mine, yours)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32))
def test_what_is_remembered_does_not_show(seed):
    nothing, little, much = play(random.Random(seed), (NOTHING, LITTLE, MUCH), 400)
    assert_alike(nothing, much)
    assert_alike(nothing, little)


def behind_one(text):
    """Trackers that remember nothing, little and much, after many packets behind one ruleset."""
    frames = frames_of(random.Random(1), 600)
    behind = [Behind(limits) for limits in (NOTHING, LITTLE, MUCH)]
    for each in behind:
        each.load({4: text})
        each.run(frames, [number * STEP_NS for number in range(1, len(frames) + 1)])
        each.finish()
    return behind


@pytest.mark.parametrize("text", (LONG, DEEP), ids=("long", "deep"))
def test_rules_that_cannot_be_remembered(text):
    nothing, _, much = behind_one(text)
    assert_alike(nothing, much)


def test_a_small_memory_is_full_now_and_then():
    nothing, little, much = behind_one(PLAIN)
    assert_alike(nothing, little)
    assert_alike(nothing, much)
    assert little.forgotten > 5
    assert much.forgotten == 0
