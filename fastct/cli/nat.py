"""The translations of a snapshot in the columns of cilium bpf nat list."""
import sys

from fastct.cli import DONE

EXAMPLES = """examples:
  fastct nat list --snapshot state.fct
"""


def add_options(parser):
    """The options of the subcommand."""
    parser.add_argument("action", choices=("list",))
    parser.add_argument("--snapshot", required=True, metavar="FILE", help="as fastct track --save writes it")


def run(args):
    """Do it; returns the exit status."""
    from fastct.export.cilium import nat_lines
    from fastct.tracker import Tracker
    tracker = Tracker.from_snapshot(args.snapshot)
    for rows in tracker.connection_blocks():
        sys.stdout.writelines(nat_lines(rows, tracker.now))
    return DONE
