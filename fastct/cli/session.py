"""What ``track`` and ``events`` have in common: open everything, replay, report, and the exit status."""
import os
import sys
from contextlib import ExitStack

from fastct import capture
from fastct.cli import DAMAGED, DONE, INTERRUPTED, place, say
from fastct.cli.options import tracker_from
from fastct.cli.progress import Progress
from fastct.cli.summary import Tally, summary_lines
from fastct.errors import ConfigError
from fastct.export.writers import StandardOutput, Writer, is_device
from fastct.offline import replay


def _apart(paths):
    """Refuse to write two outputs to one file."""
    files = [os.path.realpath(path) for path in paths if not is_device(path)]
    for path in files:
        if files.count(path) > 1:
            raise ConfigError(f"{path}: two outputs cannot go to one file")


def outputs(stack, args, main, files, deciders=None):
    """Open the outputs: ``main`` kind of rows to ``args.output`` or standard output, others to the files given.

    ``main`` None: there is no such kind, and ``args.output`` is one of the files.

    => They are completed when ``stack`` closes, and removed if it closes with an exception.
    """
    paths = {kind: path for kind, path in {**({main: args.output} if main else {}), **files}.items()
             if path is not None}
    if main in paths and args.json:
        raise ConfigError("--json is the form of standard output; the ending of the file's name says another")
    saved = [args.save] if args.save else []
    _apart([*paths.values(), *([args.write] if written(args) else []), *saved])
    sinks = {}

    def add(kind, sink):
        sinks[kind] = sink
        stack.push(lambda error, *_: (sink.abort if error else sink.close)() and False)

    for kind, path in paths.items():
        add(kind, Writer(path, kind, deciders))
    if written(args):
        add("leaving", capture_writer(args.write))
    if main is not None and main not in sinks:
        add(main, StandardOutput(main, ".jsonl" if args.json else ".txt", stop=not sinks))
    return sinks


def capture_writer(path):
    """What writes the packets that leave; the ending of the name says the format."""
    if not path.endswith((".pcap", ".pcapng")) and not is_device(path):
        raise ConfigError(f"{path}: the ending says the format; known for packets are .pcap, .pcapng")
    try:
        return capture.open_writer(path, None)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None


def written(args):
    """Whether the packets that leave are asked for."""
    return getattr(args, "write", None) is not None


def _tracker_for(args, kinds):
    """A tracker that keeps the kinds of rows that are wanted."""
    return tracker_from(args, keep_ended="connections" in kinds, keep_events=bool(kinds & {"events", "expectations"}),
                        keep_leaving=written(args))


def run(args, main, watch=None, at_end=None, live=None, **files):
    """Replay the captures of ``args``, or what ``live`` (a Live) brings; returns the exit status.

    ``watch``: called with the rows of packets. ``at_end``: called with the tracker when all is done.
    """
    with ExitStack() as stack:
        source = stack.enter_context(live or capture.open(args.captures))
        tracker = _tracker_for(args, {main, *(kind for kind, path in files.items() if path is not None)})
        sinks = outputs(stack, args, main, files, tracker.deciders)
        if live:
            live.begin(tracker)
        tally, progress = Tally(), Progress(args.quiet)

        def into(kind):
            """What takes the rows of a kind, or None."""
            if kind not in sinks:
                return watch if kind == "packets" else None

            def take(rows):
                if watch is not None and kind == "packets":
                    watch(rows)
                if kind == "connections":
                    tally.add(rows)
                if kind == main:
                    progress.clear()    # the listing may go to the same terminal
                sinks[kind].write(rows)
            return take

        try:
            summary = replay(source, tracker, at=args.at, progress=progress, connections=into("connections"),
                             packets=into("packets"), events=into("events"), expectations=into("expectations"),
                             leaving=sinks["leaving"].write_frames if "leaving" in sinks else None, log=into("log"),
                             idle_ns=live and live.idle_ns)
            if args.save:
                tracker.save(args.save)
        finally:
            progress.clear()
        for note in tracker.notes:      # now that it is known what interfaces the captures name
            say(f"note: {note}")
    if at_end is not None:          # the files are complete by now, whoever reads standard output
        at_end(tracker)
    return report(args, summary, tally)


def report(args, summary, tally):
    """Warnings, the summary, and the exit status."""
    for fault in summary.damage:
        say(f"warning: {place(fault.path)}: {fault} (after packet {fault.packet}, at byte {fault.offset})")
    if summary.interrupted:
        say(f"interrupted after {summary.packets} packets; the output is complete up to there")
    if not args.quiet:
        for line in summary_lines(summary, tally):
            print(line, file=sys.stderr)
    if summary.interrupted:
        return INTERRUPTED
    return DAMAGED if summary.damage else DONE
