"""Snapshots: what is restored goes on as if there had been no break; what is damaged is refused, and changes nothing.
Forgeries at random are for ``tests/fuzz``.
"""
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import fastct
from fastct import snapshot
from fastct.capture.frames import frames_from_bytes
from tests import packets as p
from tests.kernel import pptp
from tests.kernel.fragments import random_fragments
from tests.kernel.generator import random_packets

RAW, S = 101, 10**9
KILLS = int(os.environ.get("FASTCT_KILLS", "20"))
STEPS_NS = (1000, 1000, 1000, S // 10, S, 3 * S, 40 * S, 130 * S)     # between packets: some let timeouts run out
KEEP = {"keep_ended": True, "keep_events": True}


def traffic(seed, n):
    """Random packets of every kind, and their times."""
    rng = random.Random(seed)
    now, times, packets = 1_700_000_000 * S, [], []
    for packet in random_packets(seed, n):
        now += rng.choice(STEPS_NS)
        times.append(now)
        packets.append(packet.data)
    return packets, times


def said(tracker):
    """All that a tracker has to say."""
    return [tracker.drain_ended(), tracker.drain_events(), tracker.connections(), tracker.drain_ended(),
            tracker.drain_events()]


def figures(tracker):
    """All counters but memory that was once taken: a snapshot is of what is in use."""
    return {name: value for name, value in tracker.stats.items() if name != "fragment_held"}


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


FTP, DATA = "10.9.0.1", "10.9.0.2"


def dialogue(port):
    """An FTP control connection from ``port``, which announces data connections both ways, and the first of those."""
    def segment(side, seq, ack, flags, data=b""):
        ends = (FTP, DATA, port, 21) if side == 0 else (DATA, FTP, 21, port)
        return p.tcp(*ends, seq, ack, flags, data=data)
    first, second = f"PORT 10,9,0,1,{port >> 8},{port & 255}\r\n".encode(), b"PASV\r\n"
    passive = f"227 Entering (10,9,0,2,{port >> 8},{port & 255})\r\n".encode()
    welcome, user = b"220 hello\r\n", b"USER me\r\n"
    begin = 1 + len(user)
    at = begin + len(first)
    return [segment(0, 0, 0, p.SYN), segment(1, 0, 1, p.SYN | p.ACK), segment(0, 1, 1, p.ACK),
            segment(1, 1, 1, p.ACK, welcome), segment(0, 1, 1 + len(welcome), p.ACK, user),
            segment(0, begin, 1 + len(welcome), p.ACK, first),
            p.tcp(DATA, FTP, 20, port, 7, 0, p.SYN),
            segment(0, at, 1 + len(welcome), p.ACK, second),
            segment(1, 1 + len(welcome), at + len(second), p.ACK, passive),
            p.tcp(FTP, DATA, port + 1, port, 9, 0, p.SYN)]


def helped(n, seed):
    """Dialogues, interleaved."""
    rng = random.Random(seed)
    left = [dialogue(2000 + 7 * i) for i in range(n)]
    packets = []
    while any(left):
        packets.append(rng.choice([each for each in left if each]).pop(0))
    return packets, [1_700_000_000 * S + i * S for i in range(len(packets))]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.fct"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A tracker with connections of every kind, and its snapshot."""
    tracker = fastct.Tracker(seed=1, sysctls={"nf_conntrack_tcp_loose": 0}, auto_helpers=True, max_entries=1000)
    tracker.process_bytes(*traffic(3, 400), RAW)
    zone = fastct.Template(zone=7, timeouts={"nf_conntrack_udp_timeout": 77})
    tracker.process_bytes([p.udp(FTP, DATA, 5, 6)], [tracker.now], RAW, template=zone)
    for zone_dir in ("orig", "reply"):
        half = fastct.Template(zone=8, zone_dir=zone_dir)
        tracker.process_bytes([p.udp(FTP, DATA, 7, 8), p.udp("fd00::1", "fd00::2", 7, 8)], [tracker.now] * 2, RAW,
                              template=half)
    for i in range(4):
        tracker.process_bytes(dialogue(2000 + 7 * i)[:6 + i % 2 * 3], [tracker.now] * (6 + i % 2 * 3), RAW)
    assert len(tracker.expectations()) == 4
    control = pptp.Control("10.1.0.1", "10.2.0.1", 1000)
    call = [*control.session(), control.say("out request", 0x11), control.say("out reply", 0x22, 0x11)]
    tracker.process_bytes([packet.data for packet in call], [tracker.now] * len(call), RAW)
    assert len(tracker.expectations()) == 6
    held = [packet.data[:300] for packet in random_fragments(3, 60) if len(packet.data) < 300][:24]
    tracker.process_bytes(held, [tracker.now] * len(held), RAW)
    assert tracker.stats["fragment_queues"] > 2
    path = tmp_path_factory.mktemp("snapshot") / "state.fct"
    tracker.save(path)
    return tracker, path.read_bytes()


# ---- exact

@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 32), n=st.integers(1, 400), share=st.floats(0, 1), limit=st.sampled_from((0, 5, 40)),
       checksum=st.sampled_from(("auto", "on", "off")))
def test_as_if_without_a_break(tmp_path_factory, seed, n, share, limit, checksum):
    path = tmp_path_factory.mktemp("snapshot") / "state.fct"
    packets, times = traffic(seed, n)
    cut = int(len(packets) * share)
    whole = fastct.Tracker(seed=seed, max_entries=limit, checksum=checksum, **KEEP)
    whole.process_bytes(packets[:cut], times[:cut], RAW)
    whole.drain_ended(), whole.drain_events()
    whole.save(path)
    again = fastct.Tracker.from_snapshot(path, **KEEP)
    assert again._engine.selfcheck() == []
    rows = [tracker.process_bytes(packets[cut:], times[cut:], RAW) for tracker in (whole, again)]
    assert np.array_equal(*rows)
    assert figures(whole) == figures(again)
    assert whole.gc.figures == again.gc.figures
    assert same(said(whole), said(again))
    assert again._engine.selfcheck() == []


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1 << 32), n=st.integers(1, 300))
def test_with_another_key(tmp_path_factory, seed, n):
    path = tmp_path_factory.mktemp("snapshot") / "state.fct"
    packets, times = traffic(seed, n)
    n = len(packets)
    whole = fastct.Tracker(seed=seed)
    whole.process_bytes(packets[:n // 2], times[:n // 2], RAW)
    whole.save(path)
    again = fastct.Tracker.from_snapshot(path, new_key=True)
    assert again._engine.selfcheck() == []
    rows = [tracker.process_bytes(packets[n // 2:], times[n // 2:], RAW) for tracker in (whole, again)]
    assert np.array_equal(*rows)
    assert np.array_equal(whole.connections(), again.connections())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 32), n=st.integers(1, 9), share=st.floats(0, 1), limit=st.sampled_from((4096, 3)))
def test_helpers_masters_and_marks(tmp_path_factory, seed, n, share, limit):
    path = tmp_path_factory.mktemp("snapshot") / "state.fct"
    packets, times = helped(n, seed)
    cut = int(len(packets) * share)
    whole = fastct.Tracker(seed=seed, helpers={"tcp/21": "ftp"}, sysctls={"nf_conntrack_expect_max": limit}, **KEEP)
    whole.process_bytes(packets[:cut], times[:cut], RAW)
    for port in range(2000, 2000 + 7 * n, 21):
        handle = whole.find("tcp", FTP, DATA, port, 21)
        if handle is not None:
            whole.mark(handle, port)
            whole.label(handle, bytes(range(16)))
    template = fastct.Template(zone=7, helper="ftp", timeouts={"nf_conntrack_tcp_timeout_established": 77})
    other, _ = helped(3, seed)
    whole.process_bytes(other[:9], [times[-1]] * 9, RAW, template=template)
    whole.drain_ended(), whole.drain_events()
    whole.save(path)
    again = fastct.Tracker.from_snapshot(path, **KEEP)
    assert again._engine.selfcheck() == []
    for tracker in (whole, again):
        tracker.process_bytes(other[9:], [times[-1]] * len(other[9:]), RAW, template=template)
    for tracker in (whole, again):
        tracker.process_bytes(packets[cut:], times[cut:], RAW)
    expected = [sorted(row.tobytes() for row in tracker.expectations()) for tracker in (whole, again)]
    assert expected[0] == expected[1]
    assert figures(whole) == figures(again)
    assert same(said(whole), said(again))
    for tracker in (whole, again):
        tracker.gc.sweep(tracker.now + 1000 * S)
        assert len(tracker.expectations()) == 0
    assert same(said(whole), said(again))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 32), n=st.integers(1, 300), share=st.floats(0, 1), new_key=st.booleans(),
       sysctls=st.sampled_from(({}, {"ipfrag_max_dist": 3, "ipfrag_high_thresh": 20000}, {"ipfrag_max_dist": 0})))
@example(seed=0, n=192, share=1.0, new_key=True, sysctls={})                  # what has expired long ago, and waits
@example(seed=1324829, n=269, share=0.875, new_key=False, sysctls={})       # a whole one that nobody has noticed
def test_fragments_wait_on(tmp_path_factory, seed, n, share, new_key, sysctls):
    path = tmp_path_factory.mktemp("snapshot") / "state.fct"
    rng = random.Random(seed)
    packets = [packet.data for packet in random_fragments(seed, n)]
    times = np.cumsum([rng.choice((0, S // 10, S, 20 * S)) for _ in packets]) + 1_700_000_000 * S
    cut = int(len(packets) * share)
    whole = fastct.Tracker(seed=seed, checksum="on", sysctls=sysctls, keep_leaving=True)
    whole.process_bytes(packets[:cut], times[:cut], RAW)
    whole.save(path)
    again = fastct.Tracker(keep_leaving=True)
    again.restore(path, new_key=new_key)
    again.save(path)
    again.restore(path)
    frames = frames_from_bytes(packets[cut:], [int(time) for time in times[cut:]], RAW)
    rows = [tracker.process(frames) for tracker in (whole, again)]
    assert np.array_equal(*rows)
    left = [[bytes(data) for _, data, *_ in tracker.leaving(frames, each)]
            for tracker, each in zip((whole, again), rows, strict=True)]
    assert left[0] == left[1]
    for tracker in (whole, again):
        tracker.gc.sweep()          # with another key it comes by in another order
    assert figures(whole) == figures(again)
    assert np.array_equal(whole.connections(), again.connections())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 32), n=st.integers(1, 300), share=st.floats(0, 1))
def test_calls(tmp_path_factory, seed, n, share):
    """PPTP: what the keymap knows is known afterwards, and goes with its control connection."""
    path = tmp_path_factory.mktemp("snapshot") / "state.fct"
    packets = [packet.data for packet in pptp.random_packets(random.Random(seed), n)]
    times = [1_700_000_000 * S + i * S // 4 for i in range(len(packets))]
    cut = int(len(packets) * share)
    whole = fastct.Tracker(seed=seed, helpers={"tcp/1723": "pptp"}, **KEEP)
    whole.process_bytes(packets[:cut], times[:cut], RAW)
    whole.save(path)
    other_key = fastct.Tracker.from_snapshot(path, new_key=True)
    assert np.array_equal(other_key.connections(), fastct.Tracker.from_snapshot(path).connections())
    again = fastct.Tracker.from_snapshot(path, **KEEP)
    rows = [tracker.process_bytes(packets[cut:], times[cut:], RAW) for tracker in (whole, again)]
    assert np.array_equal(*rows)
    assert figures(whole) == figures(again)
    assert np.array_equal(whole.connections(), again.connections())


def many(n):
    """A tracker with so many UDP connections."""
    tracker = fastct.Tracker(checksum="off")
    head = bytes.fromhex("4500001c000000004011000000000000") + bytes((10, 0, 0, 1))
    for begin in range(0, n, 50_000):
        tracker.process_bytes([head[:12] + struct.pack("!I", i) + head[16:20] + bytes.fromhex("03e8003500080000")
                               for i in range(begin, min(n, begin + 50_000))], None, RAW)
    return tracker


def test_candidates_outlive_all_connections(path):
    """Their places are kept though no slot is in use; that nobody reads one then, only the sanitizers see."""
    tracker = fastct.Tracker(checksum="off", max_entries=1000)
    tracker.process_bytes([p.udp("10.0.0.1", "10.0.0.2", 1, 2)], [S], RAW)
    assert tracker.gc.sweep(1000 * S) == 1
    tracker.save(path)
    saved = path.read_bytes()
    again = fastct.Tracker.from_snapshot(path)
    again.save(path)
    assert path.read_bytes() == saved
    again.process_bytes([p.udp("10.0.0.1", "10.0.0.2", 1, 2)], [1001 * S], RAW)
    assert len(again.connections()) == 1


def test_many_blocks(path):
    tracker = many(50_000)
    tracker.save(path)
    again = fastct.Tracker.from_snapshot(path)
    assert np.array_equal(tracker.connections(), again.connections())
    assert again._engine.selfcheck() == []
    assert path.read_bytes().count(b"CONN") >= 3


def test_settings_come_back(written, path):
    path.write_bytes(written[1])
    again = fastct.Tracker.from_snapshot(path)
    assert again.sysctls == written[0].sysctls
    assert again.now == written[0].now


def test_the_same_state_is_the_same_file(written, path):
    path.write_bytes(written[1])
    fastct.Tracker.from_snapshot(path).save(path)
    assert path.read_bytes() == written[1]


def test_a_lowered_limit(path):
    tracker = many(100)
    tracker.sysctls = {"nf_conntrack_max": 10}
    tracker.save(path)
    assert len(fastct.Tracker.from_snapshot(path)) == 100


def test_an_empty_tracker(path):
    fastct.Tracker().save(path)
    assert len(fastct.Tracker.from_snapshot(path)) == 0


# ---- the file

def test_only_the_owner_may_read_it(written, path):
    written[0].save(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_older_one_is_replaced(written, path):
    path.write_bytes(b"old")
    link = path.with_suffix(".link")
    link.symlink_to(path)
    written[0].save(link)
    assert link.is_symlink()
    assert path.read_bytes() == written[1]
    assert len(list(path.parent.iterdir())) == 2


@pytest.mark.parametrize("where", ["missing/state.fct", "."])
def test_unwritable(written, tmp_path, where):
    with pytest.raises(fastct.SnapshotError) as caught:
        written[0].save(tmp_path / where)
    assert caught.value.reason.startswith("cannot be written: ")
    assert list(tmp_path.iterdir()) == []


def test_full_disk(written, path):
    path.write_bytes(b"old")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with pytest.raises(fastct.SnapshotError):
            written[0].save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def keep_saving(trackers, path):
    """A process that saves one after the other without end; its id."""
    child = os.fork()
    if child == 0:
        try:
            while True:
                for tracker in trackers:
                    tracker.save(path)
        finally:
            os._exit(1)
    return child


def test_killed_while_writing(written, path):
    """What carries the name is always one whole snapshot or the other."""
    trackers = [written[0], many(3000)]
    whole = []
    for tracker in trackers:
        tracker.save(path)
        whole.append(path.read_bytes())
    found, parts, rng = [0, 0], 0, random.Random(1)
    for _ in range(KILLS):
        child = keep_saving(trackers, path)
        time.sleep(rng.random() / 20)
        os.kill(child, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        found[whole.index(path.read_bytes())] += 1
        left = list(path.parent.glob("*.part"))
        parts += bool(left)
        for each in left:
            each.unlink()
    assert len(fastct.Tracker.from_snapshot(path)) > 0
    print(f"{KILLS} kills: {parts} in the middle of writing, {found} whole of each kind")


def fill_up(data, folder):
    """Save into a file system that is too small; what becomes of the file there. In a mount namespace of its own."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], check=True)
    path = os.path.join(folder, "state.fct")
    with open(path, "wb") as file:
        file.write(data)
    try:
        many(20_000).save(path)
    except fastct.SnapshotError as error:
        reason = error.reason
    with open(path, "rb") as file:
        return reason, file.read() == data, os.listdir(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
def test_full_file_system(written, tmp_path):
    code = ("import sys; from tests.unit import test_snapshot as t; "
            "print(t.fill_up(sys.stdin.buffer.read(), sys.argv[1]))")
    done = subprocess.run(["unshare", "--mount", sys.executable, "-c", code, tmp_path], input=written[1],
                          capture_output=True, check=True)
    assert done.stdout.decode().strip() == str(("cannot be written: no space left on device", True, ["state.fct"]))



# ---- damage

def refused(data, path):
    """The reason why a snapshot with these bytes is refused; the tracker is as it was."""
    path.write_bytes(data)
    tracker = fastct.Tracker(seed=5)
    engine = tracker._engine
    with pytest.raises(fastct.SnapshotError) as caught:
        tracker.restore(path)
    assert caught.value.path == str(path)
    assert tracker._engine is engine and len(tracker) == 0 and tracker.sysctls == fastct.SYSCTLS
    return caught.value.reason


def test_cut_anywhere(written, path):
    data = written[1]
    for length in sorted({*range(60), *range(0, len(data), max(1, len(data) // 300)), len(data) - 1}):
        assert "cut" in (reason := refused(data[:length], path)) or reason == "not a snapshot"


def test_every_flipped_bit(written, path):
    data = written[1]
    for at in sorted({*range(40), *range(0, len(data), max(1, len(data) // 500))}):
        flipped = bytearray(data)
        flipped[at] ^= 1 << at % 8
        refused(flipped, path)


@pytest.mark.parametrize(("change", "reason"), [
    (lambda data: b"", "not a snapshot"),
    (lambda data: b"tcp      6 119 TIME_WAIT src=10.1.1.2\n", "not a snapshot"),
    (lambda data: data[:20] + struct.pack("=I", 2) + data[24:], "version 2 of the format"),
    (lambda data: data[:16] + data[16:20][::-1] + data[20:], "another byte order"),
    (lambda data: data + b"\0", "something follows"),
    (lambda data: b"".join(part for part in sections(data) if part[:4] != b"RING"), "sections are missing"),
])
def test_told_by_name(written, path, change, reason):
    assert reason in refused(change(written[1]), path)


def test_missing_file(path):
    with pytest.raises(fastct.SnapshotError, match="cannot be read: no such file"):
        fastct.Tracker.from_snapshot(path)


# ---- files made to do harm: every checksum is right

def sections(data):
    """The preamble, and the sections with their heads."""
    at = snapshot.PREAMBLE.size
    yield data[:at]
    while at < len(data):
        length = struct.unpack_from("=I", data, at + 4)[0] + snapshot.SECTION.size
        yield data[at:at + length]
        at += length


def forged(data, change):
    """A snapshot whose sections went through ``change(tag, payload)``, with all checksums made anew."""
    parts = list(sections(data))
    made, sums = [parts[0]], 0
    for part in parts[1:-1]:
        payload = bytes(change(part[:4], bytearray(part[12:])))
        total = zlib.crc32(payload, zlib.crc32(struct.pack("=4sI", part[:4], len(payload))))
        made.append(struct.pack("=4sII", part[:4], len(payload), total) + payload)
        sums = zlib.crc32(struct.pack("=I", total), sums)
    end = snapshot.END.pack(len(made) - 1, sums)
    total = zlib.crc32(end, zlib.crc32(struct.pack("=4sI", b"END ", len(end))))
    return b"".join(made) + struct.pack("=4sII", b"END ", len(end), total) + end


def test_forged_without_change(written):
    assert forged(written[1], lambda tag, payload: payload) == written[1]


@pytest.mark.parametrize(("old", "new", "reason"), [
    (b'"count": ', b'"count": 1', "announced"),
    (b'"checksum": "auto"', b'"checksum": "deep"', "expected on, off or auto"),
    (b'"now": 1', b'"now": -1', "now: expected 0 to"),
    (b'"created": ', b'"created": 0.', "created: expected"),
    (b'"reasons": {', b'"reasons": {"worse": 1, ', "reasons: not counters of this version"),
    (b'"nf_conntrack_tcp_loose": 0', b'"nf_conntrack_tcp_loose": 7', "nf_conntrack_tcp_loose: expected 0 to 1"),
    (b'{"now"', b'["now"', "not JSON"),
    (b'"record_bytes": [', b'"record_bytes": [1, ', "another layout"),
])
def test_forged_head(written, path, old, new, reason):
    assert old in written[1]
    assert reason in refused(forged(written[1], lambda tag, payload: payload.replace(old, new, 1)), path)


def test_a_connection_twice(path):
    many(3).save(path)      # IPv4: records only

    def double(tag, payload):
        return payload[:12] + payload[12:156] * 2 + payload[300:] if tag == b"CONN" else payload
    assert "there already" in refused(forged(path.read_bytes(), double), path)
