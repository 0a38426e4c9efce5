"""Options that the offline commands share, and what they mean."""
import argparse
import datetime
import re

NS_PER_S = 10**9
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
NS_MAX = 2**64 - 1      # packet time has 64 bits: until the year 2554


def sysctl(text):
    """``NAME=VALUE``."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name.removeprefix("net.netfilter.").removeprefix("net.ipv4."), value


def time_of(text):
    """Seconds since the epoch, an ISO 8601 date and time (UTC unless it says otherwise), or ``+SECONDS`` after the
    first packet. Returns ns since the epoch, or a timedelta."""
    after_first = re.fullmatch(r"\+(\d+(\.\d+)?)", text)
    ns = round(float(after_first[1]) * NS_PER_S) if after_first else _ns_of(text)
    if not 0 <= ns <= NS_MAX:
        raise argparse.ArgumentTypeError(f"expected a time from 1970 to 2554, got {text!r}")
    return datetime.timedelta(microseconds=ns // 1000) if after_first else ns


def _ns_of(text):
    """ns since the epoch of a time that is not relative."""
    if re.fullmatch(r"\d+(\.\d{1,9})?", text):
        whole, _, fraction = text.partition(".")
        return int(whole) * NS_PER_S + int(fraction.ljust(9, "0"))
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected seconds since the epoch, a date and time, or +SECONDS, got {text!r}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return (moment - EPOCH) // datetime.timedelta(microseconds=1) * 1000


def count(text):
    """A number of connections or packets: 1000, 10k, 4M."""
    match = re.fullmatch(r"(\d+)([kM]?)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"expected a number such as 1000, 10k or 4M, got {text!r}")
    return int(match[1]) * {"": 1, "k": 1000, "M": 10**6}[match[2]]


def positive(text):
    """As ``count``, at least 1."""
    number = count(text)
    if number == 0:
        raise argparse.ArgumentTypeError("expected at least 1")
    return number


def named(form):
    """What reads ``A=B`` as a pair; ``form``: how it should look, for errors."""
    def read(text):
        first, equals, second = text.partition("=")
        if not equals or not first or not second:
            raise argparse.ArgumentTypeError(f"expected {form}, got {text!r}")
        return first, second
    return read


def add_captures(parser, how_many="+"):
    """The captures."""
    parser.add_argument("captures", nargs=how_many, metavar="CAPTURE",
                        help="pcap or pcapng file, also .gz or .zst; a glob; - for standard input")


def add_settings(parser):
    """How packets are tracked."""
    from fastct.conntrack.opts import PERSONALITIES
    parser.add_argument("--sysctl", action="append", type=sysctl, default=[], metavar="NAME=VALUE",
                        help="a setting of Linux, e.g. nf_conntrack_tcp_loose=0 (repeatable)")
    parser.add_argument("--checksum", choices=("on", "off", "auto"), default="auto",
                        help="verify checksums; auto: until the capture shows that a network card makes them")
    parser.add_argument("--personality", choices=PERSONALITIES, default=PERSONALITIES[0],
                        help="the Linux to be like; rfc: where the standards say otherwise")
    parser.add_argument("--helper", action="append", type=named("PROTOCOL/PORT=NAME, e.g. tcp/21=ftp"),
                        default=[], metavar="PROTOCOL/PORT=NAME",
                        help="connections to a port get a helper, e.g. tcp/21=ftp (repeatable)")
    parser.add_argument("--auto-helpers", action="store_true",
                        help="every helper on its usual port, as before Linux 6.0")
    parser.add_argument("--local", action="append", default=[], metavar="ADDRESS[/LENGTH]",
                        help="an address of the host itself and its network, e.g. 10.1.1.2/24 (repeatable)")
    parser.add_argument("--interface", action="append", type=named("NAME=ADDRESS/LENGTH, e.g. eth0=10.1.1.2/24"),
                        default=[], metavar="NAME=ADDRESS/LENGTH",
                        help="an interface, its address and network (repeatable): -i is that of a packet's source")
    parser.add_argument("--route", action="append", type=named("PREFIX=NAME, e.g. 192.168.0.0/16=eth1"), default=[],
                        metavar="PREFIX=NAME", help="what else is behind an interface (repeatable); default: the last")
    parser.add_argument("--max", type=count, default=0, metavar="N",
                        help="most connections at a time; 0 (default): no limit")
    parser.add_argument("--on-full", choices=("drop", "untracked"), default="drop",
                        help="what becomes of a packet whose connection finds no room; default: drop, as Linux")
    parser.add_argument("--seed", type=int, metavar="N", help="make what Linux leaves to chance repeatable")


def add_tracking(parser):
    """Captures, how they are tracked, and what is written down."""
    add_captures(parser)
    add_settings(parser)
    parser.add_argument("--rules", metavar="FILE", help="iptables' tables that packets run through (iptables-save)")
    parser.add_argument("--rules6", metavar="FILE", help="those of ip6tables (ip6tables-save)")
    parser.add_argument("--at", type=time_of, metavar="TIME",
                        help="the table as of a time: seconds since the epoch, date and time, or +SECONDS")
    parser.add_argument("--packets", metavar="FILE", help="a row per packet to a file: .csv .jsonl .arrow .parquet")
    parser.add_argument("--save", metavar="FILE", help="at the end, the state of the tracker to a snapshot file")
    parser.add_argument("--quiet", action="store_true", help="no progress and no summary")


def settings_from(args):
    """What ``add_settings`` has read, as a tracker wants it."""
    return {"sysctls": dict(args.sysctl), "max_entries": args.max, "checksum": args.checksum, "seed": args.seed,
            "personality": args.personality, "helpers": dict(args.helper), "auto_helpers": args.auto_helpers,
            "local": args.local, "on_full": args.on_full, "interfaces": args.interface, "routes": args.route}


def tracker_from(args, **keep):
    """A tracker with the options' settings."""
    from fastct.tracker import Tracker
    return Tracker(rules=args.rules, rules6=args.rules6, **settings_from(args), **keep)
