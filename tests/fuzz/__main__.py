"""``python -m tests.fuzz TARGET ... [--runs N | --seconds S]``; what it is for and how: ``tests/fuzz/__init__.py``."""
import argparse
import concurrent.futures
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.build import BUILT, build, environment

HERE = Path(__file__).parent
LIMIT_MS = 100               # of processor time, for one input
HELPERS = ("ftp", "tftp", "irc", "sane", "amanda", "netbios-ns", "pptp", "sip")
# The longest input of each target.
TARGETS = {"pcap": 2048, "pcapng": 2048, "wire": 1024, "fragments": 1024, "tracker": 1024, "snapshot": 4096,
           "snapshot_file": 16384} | dict.fromkeys(HELPERS, 1024)
# What libFuzzer takes for its program, and starts again for some of what it does.
PROGRAM = """#!/bin/sh
exec {python} -P -c 'import sys; from tests.fuzz.run import run; run("{target}", sys.argv[1:], {limit})' "$0" "$@"
"""


@dataclass
class Outcome:
    """What became of a target."""
    target: str
    executions: int
    per_second: int
    slowest_us: int
    status: int
    report: str

    def __str__(self):
        said = "ok" if self.status == 0 else f"FAILED ({self.status})"
        return (f"{self.target:14} {self.executions:12,} executions {self.per_second:8,}/s "
                f"slowest {self.slowest_us:6,} us  {said}")


def found(pattern, text):
    """The last number that a pattern finds, 0 if none."""
    return int(([0, *re.findall(pattern, text)])[-1])


def fuzz(target, arguments):
    """Hand a target to libFuzzer in a process of its own."""
    program = BUILT / f"{target}.sh"
    program.write_text(PROGRAM.format(python=sys.executable, target=target, limit=LIMIT_MS))
    program.chmod(0o755)
    finished = subprocess.run([program, *arguments], cwd=HERE, env=environment(target), stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE)
    said = finished.stderr.decode(errors="replace")
    return Outcome(target, found(r"number_of_executed_units: (\d+)", said),
                   found(r"average_exec_per_sec: +(\d+)", said), found(r"slowest (\d+) us", said),
                   finished.returncode, said)


def corpus_of(target):
    """The saved inputs of a target, which are replayed first."""
    return HERE / "corpus" / target


def run(target, options, own):
    """Replay a target's saved inputs, then go on from them for as long as asked."""
    found_inputs = BUILT / "found" / target
    for folder in (found_inputs, corpus_of(target)):
        folder.mkdir(parents=True, exist_ok=True)
    arguments = [f"-artifact_prefix={BUILT}/found/{target}-", "-print_final_stats=1", "-timeout=10", "-detect_leaks=0",
                 f"-max_len={TARGETS[target]}", f"-seed={options.seed}", f"-rss_limit_mb={options.memory}"]
    arguments.append(f"-max_total_time={options.seconds}" if options.runs is None else f"-runs={options.runs}")
    return fuzz(target, [*arguments, *own, str(found_inputs), str(corpus_of(target))])


def minimise(target, most):
    """Make the saved inputs the fewest and smallest that reach all that saved and found ones do."""
    saved = corpus_of(target)
    with tempfile.TemporaryDirectory(dir=BUILT) as folder:
        # By edges alone: how often they are passed would keep thousands.
        outcome = fuzz(target, ["-merge=1", "-use_counters=0", "-use_cmp=0", f"-max_len={most}", folder, str(saved),
                                str(BUILT / "found" / target)])
        if outcome.status:
            return outcome
        shutil.rmtree(saved)
        shutil.copytree(folder, saved)
    return outcome


def main():
    words = sys.argv[1:]
    words, own = (words[:words.index("--")], words[words.index("--") + 1:]) if "--" in words else (words, [])
    parser = argparse.ArgumentParser(usage="python -m tests.fuzz [options] TARGET ... [-- libFuzzer's]")
    parser.add_argument("target", nargs="*", choices=[[], *TARGETS], metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--all", action="store_true", help="every target")
    parser.add_argument("--runs", type=int, help="executions of each target; 0: only the saved inputs")
    parser.add_argument("--seconds", type=int, default=30, help="time for each target (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of libFuzzer; 0: another every time")
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time")
    parser.add_argument("--memory", type=int, default=1024, help="MiB that a target may take")
    parser.add_argument("--input", type=Path, help="run one input, and show what libFuzzer says")
    parser.add_argument("--minimise", type=int, metavar="BYTES",
                        help="instead: keep the fewest saved inputs, none longer than that")
    options = parser.parse_args(words)
    targets = list(TARGETS) if options.all else options.target
    if not targets:
        parser.error("which target?")
    build()
    if options.input:
        outcome = fuzz(targets[0], [*own, str(options.input.resolve())])
        print(outcome.report)
        return outcome.status
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        work = (lambda target: minimise(target, options.minimise)) if options.minimise else (
            lambda target: run(target, options, own))
        failed = 0
        for outcome in pool.map(work, targets):
            print(outcome, flush=True)
            if outcome.status:
                failed += 1
                print("\n".join(outcome.report.splitlines()[-80:]), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
