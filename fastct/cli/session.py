"""What ``track`` and ``events`` have in common: open everything, replay, report, and the exit status."""
import sys
from contextlib import ExitStack

from fastct import capture
from fastct.cli import BROKEN_PIPE, DAMAGED, DONE, INTERRUPTED, say
from fastct.cli.options import tracker_from
from fastct.cli.progress import Progress
from fastct.cli.summary import Tally, summary_lines
from fastct.export.writers import StandardOutput, Writer
from fastct.offline import replay


def outputs(stack, args, main, files):
    """Open the outputs: ``main`` kind of rows to ``args.output`` or standard output, others to the files given.

    => They are completed when ``stack`` closes, and removed if it closes with an exception.
    """
    paths = {kind: path for kind, path in files.items() if path}
    if args.output:
        paths[main] = args.output
    sinks = {kind: Writer(path, kind) for kind, path in paths.items()}
    if main not in sinks:
        sinks[main] = StandardOutput(main, ".jsonl" if args.json else ".txt", stop=not sinks)
    for sink in sinks.values():
        stack.push(lambda kind, *_, sink=sink: (sink.abort if kind else sink.close)() and False)
    return sinks


def run(args, main, **files):
    """Replay the captures of ``args``; returns the exit status."""
    with ExitStack() as stack:
        source = stack.enter_context(capture.open(args.captures))
        sinks = outputs(stack, args, main, files)
        wanted = set(sinks) | ({"connections"} if main == "connections" else set())
        tracker = tracker_from(args, keep_ended="connections" in wanted, keep_events="events" in wanted)
        tally, progress = Tally(), Progress(args.quiet)

        def connections(rows):
            tally.add(rows)
            sinks["connections"].write(rows)

        try:
            summary = replay(source, tracker, at=args.at, progress=progress,
                             connections=connections if "connections" in sinks else None,
                             packets=sinks["packets"].write if "packets" in sinks else None,
                             events=sinks["events"].write if "events" in sinks else None)
        finally:
            progress.clear()
    return report(args, summary, tally, sinks[main])


def report(args, summary, tally, shown):
    """Warnings, the summary, and the exit status."""
    for fault in summary.damage:
        say(f"warning: {fault.path}: {fault} (after packet {fault.packet}, at byte {fault.offset})")
    if summary.interrupted:
        say(f"interrupted after {summary.packets} packets; the output is complete up to there")
    if not args.quiet:
        for line in summary_lines(summary, tally):
            print(line, file=sys.stderr)
    if summary.interrupted:
        return INTERRUPTED
    if getattr(shown, "broken", False):
        return BROKEN_PIPE
    return DAMAGED if summary.damage else DONE
