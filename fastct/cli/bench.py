"""Measure the core on this machine: from parse to updated state, traffic in memory, one core."""
import json

from fastct.cli import DONE
from fastct.cli.options import positive
from fastct.errors import ConfigError

EXAMPLES = """examples:
  fastct bench                                     ns per packet by number of connections
  fastct bench --connections 1k,1M --protocol tcp  less of it
  fastct bench --all                               new connections, expiry, longest pause and memory too
"""


def add_options(parser):
    """The options of the subcommand."""
    parser.add_argument("--connections", default="1k,10k,100k,1M", metavar="N,...",
                        type=lambda text: [positive(part) for part in text.split(",")], help="default: 1k,10k,100k,1M")
    parser.add_argument("--protocol", default="tcp,udp,tcp6", metavar="NAME,...", type=lambda text: text.split(","),
                        help="of tcp, udp, tcp6, udp6")
    parser.add_argument("--packets", type=positive, default=2_000_000, metavar="N", help="per measurement; default 2M")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--checksum", choices=("on", "off"), default="off",
                        help="verify checksums as well; default off, which is parse to updated state alone")
    parser.add_argument("--all", action="store_true",
                        help="also new connections and expiry at 1M, longest batch and memory at 4M connections")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _figures(args, benchmark):
    for protocol in args.protocol:
        for connections in args.connections:
            yield benchmark.measure_packets(protocol, connections, args.packets, args.seed, args.checksum)
    if args.all:
        yield benchmark.measure_new("udp", 10**6, args.seed)
        yield benchmark.measure_expiry("udp", 10**6, args.seed)
        yield benchmark.measure_pause("udp", 4 * 10**6, args.seed)
        yield benchmark.measure_memory("udp", 4 * 10**6, args.seed)
        yield benchmark.measure_memory("udp6", 4 * 10**6, args.seed)


def run(args):
    """Do it; returns the exit status."""
    from fastct import benchmark
    for protocol in args.protocol:
        if protocol not in benchmark.PROTOCOLS:
            raise ConfigError(f"--protocol: expected some of {', '.join(benchmark.PROTOCOLS)}, got {protocol!r}")
    if not args.json:
        print(f"{'what':14} {'protocol':9} {'connections':>11} {'figure':>12}")
    for figure in _figures(args, benchmark):
        if args.json:
            print(json.dumps(vars(figure)), flush=True)
        else:
            print(f"{figure.name:14} {figure.protocol:9} {figure.connections:11,} {figure.value:12,.1f} {figure.unit}",
                  flush=True)
    return DONE
