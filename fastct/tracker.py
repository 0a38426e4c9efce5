"""``Tracker``: the Python face of the engine. Arguments are checked here, arrays come out."""
import os
import random
import socket
import struct
from dataclasses import dataclass, field
from ipaddress import ip_address

import numpy as np

from fastct.capture.frames import LINKTYPE_ETHERNET, frames_from_bytes
from fastct.conntrack.opts import SYSCTLS
from fastct.control import (
    change,
    expect,
    find_expectation,
    flush_expectations,
    forget_expectation,
    handles_of,
    insert,
    zero_counters,
)
from fastct.errors import ConfigError
from fastct.face import Engine
from fastct.records import DECIDERS
from fastct.snapshot import load, save

SECRET_BYTES = 64

# What `find` takes as a protocol, besides numbers.
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "icmpv6": 58, "sctp": 132, "udplite": 136}


def secret_from(seed):
    """64 bytes of hash key: random, or the same for the same seed."""
    if seed is None:
        return os.urandom(SECRET_BYTES)
    return random.Random(seed).randbytes(SECRET_BYTES)


@dataclass(frozen=True)
class Template:
    """What packets are given before they are tracked, as by the CT target of the raw table.

    Attributes
    ----------
    zone : int or "mark"
        0 to 65535: the same tuple in another zone is another connection. "mark": the low 16 bits of the packets' mark.
    zone_dir : {"", "orig", "reply"}
        The direction in which the zone counts; in the other it is 0 then. "": in both.
    mark : int
        Of the packets.
    notrack : bool
        The packets are UNTRACKED, whatever is wrong with them.
    helper : str
        Of the connections that the packets begin; "": none but what ``Tracker`` assigns.
    timeouts : dict
        Of the connections that the packets begin, by the sysctls' names, instead of those in force.
    """
    zone: int | str = 0
    notrack: bool = False
    helper: str = ""
    timeouts: dict = field(default_factory=dict)
    zone_dir: str = ""
    mark: int = 0

    def settled(self):
        """What the engine is told: the zone by its number."""
        return vars(self) | ({"zone": self.mark & 0xFFFF} if self.zone == "mark" else {})


class GarbageCollector:
    """The sweep that frees expired connections.

    Expiry is exact without it: a connection is gone for every packet from its deadline on. The sweep only gives
    memory back. The engine runs a bounded step every 64 packets; this is for looking and for more.
    """

    def __init__(self, engine):
        self._engine = engine

    @property
    def budget(self):
        """Buckets of the index that a step visits at most (8 places each)."""
        return self._engine.gc_budget

    @budget.setter
    def budget(self, buckets):
        if not 0 < buckets <= 1 << 20:
            raise ConfigError(f"budget: expected 1 to {1 << 20} buckets, got {buckets}")
        self._engine.gc_budget = buckets

    def step(self, buckets=None):
        """Visit ``buckets`` (default: the budget); returns how many connections had expired."""
        return self._engine.gc(self.budget if buckets is None else buckets)

    def advance(self, now):
        """Let packet time go on to ``now`` (ns) where no packets do, and take a step; returns how many had expired."""
        self._engine.advance(now)
        return self.step()

    def sweep(self, now=None):
        """Visit everything, after letting packet time go on to ``now`` (ns); returns how many had expired."""
        if now is not None:
            self._engine.advance(now)
        return self._engine.gc()

    def expiring(self, before):
        """Live connections whose deadline lies before packet time ``before`` (ns): CONNECTION_DTYPE array."""
        rows = self._engine.rows(self._engine.order())
        left = (before - self._engine.now) / 1e9
        return rows[rows["timeout"] < left]

    @property
    def figures(self):
        """``scanned`` places, ``expired`` connections, finished ``sweeps``, ``lag_ns`` of the oldest visit."""
        return self._engine.gc_figures()


class Tracker:
    """A connection tracker: packets in, verdicts out, connections kept between calls.

    One tracker is used by one thread at a time; many trackers are many threads.

    Parameters
    ----------
    sysctls : dict, optional
        Linux' settings by name, e.g. ``{"nf_conntrack_tcp_loose": 0}``; see ``fastct.SYSCTLS``.
    max_entries : int
        Most connections at a time, as ``nf_conntrack_max``; 0: no limit. When it is reached, a new connection takes
        the place of one nearby that has expired or is not ASSURED; never of one that is.
    on_full : {"drop", "untracked"}
        What becomes of a packet whose connection finds no place: dropped as by Linux, or let through UNTRACKED.
    checksum : {"auto", "on", "off"}
        ``auto`` verifies until a packet shows that its sender leaves checksums to the network card.
    seed : int, optional
        Makes the hash key, and with it every choice that Linux leaves to chance, repeatable.
    personality : {"6.18", "6.12", "rfc"}
        What to be like where kernels, or Linux and the standards, differ.
    keep_ended, keep_events : bool
        Keep rows of connections that end, and events, for ``drain_ended`` and ``drain_events``.
    keep_leaving : bool
        Keep fragments of datagrams for ``leaving``.
    helpers : dict, optional
        Which new connections get a helper, as the raw table's CT target would give it to them:
        ``{"tcp/21": "ftp", "udp/69": "tftp"}``. Without one, nothing is RELATED but ICMP errors.
    auto_helpers : bool
        Every helper on its usual port, too: what Linux did before 6.0.
    local : sequence of str
        Addresses of the host that the packets were captured on, with the length of their network's prefix:
        ``["10.1.1.2/24"]``. With rules, what they send passes OUTPUT and what is sent to them INPUT; everything else
        passes FORWARD. The helper netbios-ns needs it, too: of a broadcast question of this host's it expects answers
        from the whole network.
    rules, rules6 : str, os.PathLike or fastct.rules.Ruleset, optional
        Tables that packets run through: a file of iptables-save, of ip6tables-save. Without, everything is accepted.
    interfaces : sequence of (str, str)
        Interfaces by name, each with an own address and its network: ``[("eth0", "10.1.1.2/24")]``.
    routes : sequence of (str, str)
        Prefixes and the interface each is behind: ``[("192.168.0.0/16", "eth1")]``; what none covers is behind the
        last interface. A packet's ``-i`` is the interface of its source, its ``-o`` that of its destination.

    Raises
    ------
    ConfigError
        For an unknown setting or a value out of range.
    RuleError
        For the first rule that iptables-restore would refuse: with path, line, column and token.
    """

    def __init__(self, *, sysctls=None, max_entries=0, checksum="auto", seed=None, personality="6.18",
                 keep_ended=False, keep_events=False, helpers=None, auto_helpers=False, on_full="drop",
                 keep_leaving=False, local=(), rules=None, rules6=None, interfaces=(), routes=()):
        self._sysctls = dict(sysctls or {})
        if max_entries:
            self._sysctls["nf_conntrack_max"] = max_entries
        self._keep = {"keep_ended": keep_ended, "keep_events": keep_events}
        self._made = {"personality": personality, "helpers": dict(helpers or {}), "auto_helpers": bool(auto_helpers),
                      "on_full": on_full,
                      "local": [str(each) for each in (*local, *(address for _, address in interfaces))]}
        self._engine = Engine(secret_from(seed), self._sysctls, checksum=checksum, **self._keep, **self._made)
        self._template, self._n_named = None, 0
        self._engine.keep_leaving = keep_leaving
        self.gc = GarbageCollector(self._engine)
        self._places = {"local": [str(each) for each in local], "interfaces": list(interfaces), "routes": list(routes),
                        "seed": seed}
        self._firewall = None
        if rules is not None or rules6 is not None:
            self._firewall = self._make_firewall(rules, rules6)

    def _make_firewall(self, rules=None, rules6=None):
        from fastct.firewall import Firewall
        return Firewall(self._engine, rules, rules6, **self._places)

    @property
    def firewall(self):
        """The tables that packets run through: a ``fastct.firewall.Firewall``."""
        if self._firewall is None:
            self._firewall = self._make_firewall()
        return self._firewall

    @property
    def notes(self):
        """What whoever gave the rules should know: list of str."""
        return [] if self._firewall is None else self._firewall.notes

    @property
    def firewalled(self):
        """Whether there are tables."""
        return self._firewall is not None

    @property
    def rules(self):
        """iptables' tables: a Ruleset whose counters count, and whose changes take effect with the next packet.
        ``rules.replace(other)`` swaps all of it at once."""
        return self.firewall.rulesets[4]

    @property
    def rules6(self):
        """The same for IPv6."""
        return self.firewall.rulesets[6]

    @property
    def deciders(self):
        """The words behind the column ``decided``: steps of the engine, then rules and policies."""
        return DECIDERS if self._firewall is None else self._firewall.deciders

    @classmethod
    def from_snapshot(cls, path, *, new_key=False, keep_ended=False, keep_events=False):
        """A tracker as ``save`` left it; see ``restore``."""
        tracker = cls(keep_ended=keep_ended, keep_events=keep_events)
        tracker.restore(path, new_key=new_key)
        return tracker

    def save(self, path):
        """Write the whole state to a snapshot file: connections, packet time, counters, settings, hash key.

        The file appears under its name when it is complete and safe on the disk. Ended connections and events that
        wait to be drained are not part of it.

        Raises
        ------
        SnapshotError
            If it cannot be written.
        """
        save(path, self._engine, {"sysctls": self._sysctls} | self._made)

    def restore(self, path, *, new_key=False):
        """Go on from a snapshot: the same packets give the same rows as if there had been no break.

        What this tracker knew is forgotten, with all handles; ``keep_ended`` and ``keep_events`` stay as they are.

        Parameters
        ----------
        path : str or os.PathLike
        new_key : bool
            Take a new random hash key, not the one in the file. Then a full table may give up other connections than
            it would have.

        Raises
        ------
        SnapshotError
            If the file cannot be read, is damaged, or is of another version. The tracker is as it was then.
        """
        leaving = self._engine.keep_leaving
        engine, settings = load(path, secret_from(None) if new_key else None, **self._keep)
        self._engine, self._sysctls = engine, settings["sysctls"]
        self._made = {name: settings[name] for name in self._made}
        self.gc._engine, engine.keep_leaving = engine, leaving
        if self._firewall is not None:
            self._firewall.attach(engine)
        self._template, self._n_named = None, 0

    def __len__(self):
        return self._engine.count

    @property
    def sysctls(self):
        """The settings in force, by name; assign a dict to change some of them."""
        return SYSCTLS | self._sysctls

    @sysctls.setter
    def sysctls(self, changes):
        settings = self._sysctls | changes
        self._engine.configure(settings, self._made["personality"])
        self._sysctls = settings

    @property
    def now(self):
        """Packet time, ns since the epoch."""
        return self._engine.now

    def process(self, frames, rows=True, template=None):
        """Track a block of frames.

        Parameters
        ----------
        frames : Frames
            As ``fastct.open`` yields them; only read, not kept.
        rows : bool
            Without, nothing is returned and the engine is a little faster.
        template : Template, optional
            What the packets are given before they are tracked: a zone, a helper, timeouts, or no tracking at all.

        Returns
        -------
        numpy.ndarray or None
            One row per frame, ``fastct.PACKET_DTYPE``. Bad packets never raise: they have ctstate INVALID
            and a reason.

        Raises
        ------
        ConfigError
            For a template that cannot be used.
        """
        self._use(template)
        return self._engine.run(frames, rows)

    def _use(self, template):
        if template != self._template:
            self._engine.template(**(template or Template()).settled())
            self._template = template

    def name_interfaces(self, names):
        """What the interfaces are called that the next blocks' frames are from: ``Capture.interfaces``.

        A rule's ``-i`` is about that, where it is known, rather than about the route of the packet's source.
        """
        if len(names) != self._n_named:
            self._engine.name_interfaces(tuple(names))
            self._n_named = len(names)

    def explain(self, frames, template=None):
        """As ``process``, with an account of every packet: which rules it met, what they asked and what it had, what
        conntrack made of it, and why it was let through or not. Counters count, connections live on as they would.

        It takes milliseconds for a packet, more where there are many connections.

        Parameters
        ----------
        frames : Frames
        template : Template, optional

        Returns
        -------
        list of fastct.Explanation
        """
        self._use(template)
        with self.firewall.unremembered():
            return [self.firewall.explain(frames.part(place, place + 1), self.connections)
                    for place in range(len(frames))]

    def leaving(self, frames, rows):
        """The frames of a block that leave: those that were accepted, as they are.

        A datagram leaves as the fragments it came in, by offset, when the last of them has come and at its time.

        Parameters
        ----------
        frames : Frames
            The block that was given to ``process`` last.
        rows : numpy.ndarray
            What that returned.

        Returns
        -------
        Frames
            Nothing is copied: valid as long as ``frames``, and until the next call of ``process``.
        """
        return self._engine.leaving(frames, rows)

    def process_bytes(self, packets, ts=None, linktype=LINKTYPE_ETHERNET, template=None):
        """Track packets that are in memory: any bytes-like objects (dpkt, scapy: ``bytes(packet)``).

        Parameters
        ----------
        packets : sequence of bytes-like
        ts : sequence of int, optional
            ns since the epoch; without it packet time stands still.
        linktype : int
            LINKTYPE_* number: 1 Ethernet, 101 bare IP packets.
        template : Template, optional
            As for ``process``.

        Returns
        -------
        numpy.ndarray
            As ``process``.

        Raises
        ------
        ConfigError
            If there are not as many times as packets.
        UnsupportedLinkType
            If fastct does not read the link type.
        """
        if ts is None:
            ts = [self.now] * len(packets)
        return self.process(frames_from_bytes(packets, ts, linktype), template=template)

    def connections(self):
        """The live connections in order of creation: CONNECTION_DTYPE array."""
        self._engine.gc()
        return self._engine.rows(self._engine.order())

    def connection_blocks(self, size=16384):
        """The live connections in order of creation, ``size`` at a time: for tables too large to copy."""
        self._engine.gc()
        slots = self._engine.slots_in_order
        order = self._engine.order() if slots is None else range(slots)     # an array only if there must be one
        for begin in range(0, len(order), size):
            yield self._engine.rows(np.array(order[begin:begin + size], dtype=np.uint64))

    def find(self, proto, src, dst, sport=0, dport=0, *, type=8, code=0, id=0, zone=0):
        """The handle of the live connection that a packet with this tuple belongs to, or None.

        Either direction's tuple finds it. A handle is an int that never means another connection.

        Parameters
        ----------
        proto : str or int
            A name from ``PROTOCOLS``, or the IP protocol number.
        src, dst : str
            Addresses, both of one family.
        sport, dport : int
            Ports, where the protocol has some.
        type, code, id : int
            Of ICMP and ICMPv6.
        zone : int

        Raises
        ------
        ConfigError
            For what is no address, protocol, port, type, code or id.
        """
        try:
            source, target = ip_address(src), ip_address(dst)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        if source.version != target.version:
            raise ConfigError(f"addresses of two families: {src} and {dst}")
        number = PROTOCOLS.get(proto, proto)
        if not isinstance(number, int) or not 0 <= number <= 255:
            raise ConfigError(f"unknown protocol {proto!r}")
        head = (b"\x45" + bytes(11)) if source.version == 4 else (b"\x60" + bytes(7))
        try:
            if number in (socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6):
                ids = struct.pack("!BB2xH2x", type, code, id)
            else:
                ids = struct.pack("!HH4x", sport, dport)
        except struct.error as error:
            raise ConfigError(f"find: {error}") from None
        return self._engine.find(head + source.packed + target.packed, number, ids, zone)

    def find_tuple(self, header, l4proto, ids, zone=0):
        """As ``find``, of a tuple in the form of packet headers: see ``Engine.find``."""
        return self._engine.find(header, l4proto, ids, zone)

    def handles(self):
        """The handles of the live connections, in the order of ``connections``: uint64 array."""
        self._engine.gc()
        return handles_of(self._engine, self._engine.order())

    def insert_tuple(self, orig, l4proto, *, reply=None, zone=0, reply_zone=None, timeout, status=0, state=0, mark=0,
                     tags=(0, 0), labels=None):
        """Make a connection without a packet, as ``conntrack -I`` does.

        Parameters
        ----------
        orig, reply : (bytes, bytes)
            Its tuples, header and ids as for ``Engine.find``; ``reply``: None, the inverse.
        l4proto : int
        zone, reply_zone : int
            Of the original tuple, and of the reply's if that is another; one of them is 0 then.
        timeout : int
            Seconds.
        status, state, mark : int
            IPS_* bits that a user may set, and those of a translation; index into ``records.STATES``.
        tags : pair of int
            Verification tags of SCTP, by direction.
        labels : bytes, optional
            16 bytes.

        Returns
        -------
        str
            Empty, or the name of the errno that Linux gives.
        """
        return insert(self._engine, orig, reply, l4proto, zone, zone if reply_zone is None else reply_zone, timeout,
                      status, state, mark, tags, labels)

    def update(self, handle, *, timeout=None, status=0, state=None, mark=None, labels=None):
        """Change a connection as ``conntrack -U`` does; ``status``: bits to set; ``labels``: 16 bytes.

        Returns
        -------
        str
            Empty, or the name of the errno that Linux gives.
        """
        if self._engine.slot_of(handle) is None:
            return "ENOENT"
        why = change(self._engine, handle, timeout, status, state)
        if not why and mark is not None:
            self.mark(handle, mark)
        if not why and labels is not None:
            self.label(handle, labels)
        return why

    def get(self, handle):
        """The row of a connection, or None when it is gone."""
        slot = self._engine.slot_of(handle)
        if slot is None:
            return None
        return self._engine.rows(np.array([slot], dtype=np.uint64))[0]

    def sctp_tags(self, handle):
        """The verification tags that packets of an SCTP association carry, original and reply direction (0: not known);
        None when it is gone or of another protocol."""
        return self._engine.sctp_tags(handle)

    def delete(self, handle):
        """End a connection; False when it is gone already."""
        return self._engine.delete(handle)

    def mark(self, handle, mark):
        """Set the mark of a connection, 0 to 0xffffffff; False when it is gone."""
        return self._engine.mark(handle, mark)

    def label(self, handle, labels):
        """Set the 128 labels of a connection, as 16 bytes; False when it is gone."""
        return self._engine.label(handle, labels)

    def expectations(self):
        """The connections that helpers expect now: EXPECTATION_DTYPE array, in no particular order."""
        return self._engine.expectations()

    def find_expectation(self, ends, l4proto):
        """What a connection with a tuple, as for ``insert_tuple``, would fulfil: array of one row or none."""
        return find_expectation(self._engine, ends, l4proto)

    def forget_expectation(self, ends, l4proto):
        """Expect what ``find_expectation`` finds no more; False if it finds nothing."""
        return forget_expectation(self._engine, ends, l4proto)

    def expect(self, ends, l4proto, mask, sport_mask, master):
        """Have the helper of a connection expect something, as ``conntrack -I expect`` does.

        Parameters
        ----------
        ends, l4proto
            Its tuple, as for ``insert_tuple``.
        mask, sport_mask : bytes, int
            Which bits of the source's address (16 bytes) and port count.
        master : int
            The handle of the connection.

        Returns
        -------
        str
            Empty, or the name of the errno that Linux gives.
        """
        return expect(self._engine, ends, l4proto, mask, sport_mask, master)

    def zero_counters(self, family=0):
        """Count the packets and bytes of all connections, or those of a family (4 or 6), from 0 again."""
        zero_counters(self._engine, family)

    def flush_expectations(self):
        """Nothing is expected any more."""
        flush_expectations(self._engine)

    def drain_ended(self):
        """Connections that ended since the last call (``keep_ended``): CONNECTION_DTYPE array."""
        return self._engine.drain_ended()

    def drain_events(self):
        """Events since the last call (``keep_events``): EVENT_DTYPE array, in the order they were noticed."""
        return self._engine.drain_events()

    def drain_expect_events(self):
        """Events of expectations since the last call (``keep_events``): EXPECT_EVENT_DTYPE array, in the order they
        were noticed. ``after`` counts the events of connections before each, from the beginning on."""
        return self._engine.drain_expect_events()

    def drain_log(self):
        """What rules wrote to the log since the last call (LOG, NFLOG, TRACE), in order: list of
        ``rules.linetext.Line``. Lines for which there was no room are counted as ``lost_lines``."""
        return self._engine.drain_log()

    @property
    def stats(self):
        """Counters by name: packets by ctstate and reason, connections by how they ended."""
        return self._engine.stats()
