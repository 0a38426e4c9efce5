"""The connections of a snapshot in the columns of cilium bpf ct list global."""
import sys

from fastct.cli import DONE

EXAMPLES = """examples:
  fastct ct list --snapshot state.fct
  fastct ct list --time-diff --snapshot state.fct
"""


def add_options(parser):
    """The options of the subcommand."""
    parser.add_argument("action", choices=("list",))
    parser.add_argument("map", nargs="?", choices=("global",), help="as Cilium calls it; there is no other")
    parser.add_argument("--snapshot", required=True, metavar="FILE", help="as fastct track --save writes it")
    parser.add_argument("--time-diff", action="store_true", help="also how long each has left")


def run(args):
    """Do it; returns the exit status."""
    from fastct.export.cilium import ct_lines
    from fastct.tracker import Tracker
    tracker = Tracker.from_snapshot(args.snapshot)
    for rows in tracker.connection_blocks():
        sys.stdout.writelines(ct_lines(rows, tracker.now, args.time_diff))
    return DONE
