"""Real programs talk through a router on which fastct watches an interface: its table and the kernel's are alike."""
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.captures.dialogues import DIALOGUES
from tests.captures.stage import SAID, stage
from tests.kernel.compare import listing_differences
from tests.kernel.namespace import unavailable
from tests.kernel.router import Router
from tests.waiting import until

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "available")]

NEEDED = ("iptables-legacy", "ss", "ethtool", "tcpdump")
ALL_PROTOCOLS = "0003"
SETTLE_S = 0.3      # the kernel hands over a block that is not full


def listening(host):
    """Whether a packet socket of a namespace hears all protocols: it does from the moment on that it is bound."""
    sockets = map(str.split, host.run("cat", "/proc/net/packet").stdout.splitlines()[1:])
    return any(protocol == ALL_PROTOCOLS for _, _, _, protocol, *_ in sockets)


@pytest.mark.parametrize("name", DIALOGUES)
def test_tables_agree(name, tmp_path):
    dialogue = DIALOGUES[name]
    missing = [program for program in (*NEEDED, *dialogue.programs) if not shutil.which(program)]
    if missing:
        pytest.skip(f"needs {' '.join(missing)}")
    helpers = [word for port, helper in dialogue.helpers.items() for word in ("--helper", f"{port}={helper}")]
    with stage() as scene:
        router = Router(scene.router, dialogue.helpers)
        live = scene.router.start(sys.executable, "-m", "fastct", "live", "eth0", "--filter", SAID, *helpers,
                                  "-o", tmp_path / "ended.txt", "--save", tmp_path / "state", stderr=subprocess.PIPE)
        assert until(lambda: listening(scene.router)), live.stderr.read()
        dialogue.speak(scene)
        time.sleep(SETTLE_S)
        theirs = router.listing("-o", "extended")
        live.send_signal(signal.SIGINT)
        said = live.communicate(timeout=20)[1].decode()
        assert live.returncode == 0 and "dropped 0" in said, said
    ours = [subprocess.run([sys.executable, "-m", "fastct", "conntrack", "--snapshot", tmp_path / "state", "-L", "-f",
                            family, "-o", "extended"], capture_output=True, text=True, check=True).stdout.splitlines()
            for family in ("ipv4", "ipv6")]
    assert theirs and listing_differences(theirs, ours[0] + ours[1]) == []
