"""Make the captures of ``pcaps/`` anew, from real programs in namespaces.

    python -m tests.captures.make [NAME...]

Needs root and iproute2 ethtool tcpdump (Debian), and the programs that ``hosts.py`` and each dialogue name.
"""
import sys
from pathlib import Path

from tests.captures import dialogues, hosts
from tests.captures.network import captured
from tests.captures.stage import SAID, stage

PCAPS = Path(__file__).resolve().parents[2] / "pcaps"


def dialogue(spoken):
    """What makes the capture of a dialogue."""
    def make(path):
        with stage() as scene, captured(scene.router, path, SAID):
            spoken.speak(scene)
    return make


CAPTURES = hosts.CAPTURES | {f"{name}.pcap": dialogue(spoken) for name, spoken in dialogues.DIALOGUES.items()}


def main(names):
    for name in names or CAPTURES:
        path = PCAPS / name
        path.unlink(missing_ok=True)
        CAPTURES[name](str(path))
        print(f"{name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
