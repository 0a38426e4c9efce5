"""The socket of a receive ring: AF_PACKET, TPACKET_V3. What it needs is set up here; ``ring.pyx`` reads the ring.

The socket hears nothing until it is bound, which comes last: no packet gets in before the filter does.
"""
import ctypes
import mmap
import shutil
import socket
import struct
import subprocess
from dataclasses import dataclass

from fastct.errors import ConfigError

SOL_PACKET = 263
PACKET_ADD_MEMBERSHIP, PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION = 1, 5, 6, 10
PACKET_RESERVE, PACKET_FANOUT, PACKET_IGNORE_OUTGOING = 12, 18, 23
PACKET_MR_PROMISC = 1
TPACKET_V3 = 2
SO_ATTACH_FILTER = 26
ETH_P_ALL = 3
BPF_RET = 6
VLAN_TAG = 4                    # bytes kept free in front of every frame
FRAME = 2048                    # unit of the ring's size; frames themselves lie close together

# ARPHRD_* of interfaces and the link type that their frames have.
ETHERNET, RAW = 1, 101
LINKTYPES = {1: ETHERNET, 772: ETHERNET, 512: RAW, 519: RAW, 65534: RAW, 768: RAW, 769: RAW, 776: RAW, 778: RAW}
LOOPBACK = 772
DLT_NAMES = {ETHERNET: "EN10MB", RAW: "RAW"}        # to tcpdump

# How a group shares its packets: PACKET_FANOUT_*. By hash: of whole datagrams, so that a connection stays together.
FANOUTS = {"hash": 0x8000, "cpu": 2, "rollover": 3}


@dataclass(frozen=True)
class RingOptions:
    """How a ring is made.

    block_size : bytes of a block, a power of two of pages; it is also the longest frame
    blocks : how many; together they are what the kernel can fill while nobody reads
    timeout_ms : a block that is not full is handed over after so long
    snaplen : bytes of a frame that are kept
    promiscuous : whether frames for other hosts are taken as well
    filter : an expression of tcpdump(8), "": all
    fanout : (group, way), the way one of FANOUTS, to share packets with the other sockets of the group; None: alone
    """
    block_size: int = 1 << 20
    blocks: int = 64
    timeout_ms: int = 20
    snaplen: int = 262144
    promiscuous: bool = True
    filter: str = ""
    fanout: tuple[int, str] | None = None

    def __post_init__(self):
        if self.block_size < mmap.PAGESIZE or self.block_size & self.block_size - 1:
            raise ConfigError(f"block size: expected a power of two from {mmap.PAGESIZE} on, got {self.block_size}")
        for name, least, most in (("blocks", 1, 1 << 16), ("timeout_ms", 1, 10_000), ("snaplen", 64, 262144)):
            if not least <= getattr(self, name) <= most:
                raise ConfigError(f"{name}: expected {least} to {most}, got {getattr(self, name)}")
        if self.fanout is not None and self.fanout[1] not in FANOUTS:
            raise ConfigError(f"fanout: expected one of {', '.join(FANOUTS)}, got {self.fanout[1]!r}")


def compiled(expression, snaplen, linktype):
    """The instructions of a filter, as (code, jump if true, jump if false, value) each."""
    if not expression:
        return [(BPF_RET, 0, 0, snaplen)]
    if shutil.which("tcpdump") is None:
        raise ConfigError("a filter needs tcpdump to compile it")
    done = subprocess.run(["tcpdump", "-y", DLT_NAMES[linktype], "-s", str(snaplen),
                           "-ddd", "--", expression], capture_output=True, text=True)
    if done.returncode:
        raise ConfigError(f"filter {expression!r}: {done.stderr.strip().splitlines()[-1].removeprefix('tcpdump: ')}")
    return [tuple(map(int, line.split())) for line in done.stdout.splitlines()[1:]]


def _why(error, interface):
    if isinstance(error, PermissionError):
        return f"{interface}: not permitted to open a packet socket (it needs CAP_NET_RAW)"
    return f"{interface}: {(error.strerror or str(error)).lower()}"


class PacketSocket:
    """A bound socket with its ring in memory.

    Attributes
    ----------
    memory : mmap
        The blocks, one after the other.
    linktype : int
        LINKTYPE_* of the interface's frames.

    Raises
    ------
    ConfigError
        If the interface cannot be listened to, or an option cannot be used.
    """

    def __init__(self, interface, options):
        self.interface, self.options = interface, options
        self.memory = None
        try:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        except OSError as error:
            raise ConfigError(_why(error, interface)) from None
        try:
            self._set_up()
        except OSError as error:
            self.close()
            raise ConfigError(_why(error, interface)) from None
        except BaseException:
            self.close()
            raise

    def _set_up(self):
        options, set_option = self.options, self.socket.setsockopt
        index = socket.if_nametoindex(self.interface)
        kind = self._kind(index)
        self.linktype = LINKTYPES.get(kind)
        if self.linktype is None:
            raise ConfigError(f"{self.interface}: frames of this kind of interface (ARPHRD {kind}) are not read")
        self._attach(compiled(options.filter, options.snaplen, self.linktype))
        set_option(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
        set_option(SOL_PACKET, PACKET_RESERVE, VLAN_TAG)
        set_option(SOL_PACKET, PACKET_RX_RING, struct.pack(
            "7I", options.block_size, options.blocks, FRAME, options.block_size // FRAME * options.blocks,
            options.timeout_ms, 0, 0))
        self.memory = mmap.mmap(self.socket.fileno(), options.block_size * options.blocks)
        if kind == LOOPBACK:        # what it sends it gets: once is enough
            set_option(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        elif options.promiscuous:
            set_option(SOL_PACKET, PACKET_ADD_MEMBERSHIP, struct.pack("iHH8s", index, PACKET_MR_PROMISC, 0, b""))
        self.socket.bind((self.interface, ETH_P_ALL))
        if options.fanout is not None:
            group, way = options.fanout
            set_option(SOL_PACKET, PACKET_FANOUT, struct.pack("HH", group & 0xFFFF, FANOUTS[way]))

    def _kind(self, index):
        """ARPHRD_* of the interface: what a socket bound to it, deaf, says of its address."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as probe:
            probe.bind((socket.if_indextoname(index), 0))
            return probe.getsockname()[3]

    def _attach(self, instructions):
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in instructions))
        program = struct.pack("@HP", len(instructions), ctypes.addressof(code))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)

    def counts(self):
        """Frames that got a place in the ring, and those that did not, since the last call: (int, int)."""
        packets, drops, _ = struct.unpack("3I", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 12))
        return packets - drops, drops

    def close(self):
        """Give ring and socket back."""
        if self.memory is not None:
            self.memory.close()
        self.socket.close()
