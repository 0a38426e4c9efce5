"""SCTP: the user space stack usrsctp on both sides. They tell each other all their addresses, of both families, and try
those other paths with HEARTBEATs."""
import subprocess
import time

from tests.captures.stage import SERVER, Dialogue

EXAMPLES = "/usr/lib/usrsctp"
START_S = 0.3       # what listens on a raw socket is not to be seen
TALK_S = 0.5


def usrsctp(stage):
    """A message that is echoed, over an association of two paths."""
    stage.server.start(f"{EXAMPLES}/echo_server")
    time.sleep(START_S)
    client = stage.client.start(f"{EXAMPLES}/client", SERVER, 7, stdin=subprocess.PIPE)
    time.sleep(TALK_S)
    client.stdin.write(b"hello, world\n")
    client.stdin.flush()
    time.sleep(TALK_S)
    client.stdin.close()
    client.wait(10)


DIALOGUES = {"sctp": Dialogue(usrsctp, {}, (f"{EXAMPLES}/client", f"{EXAMPLES}/echo_server"))}
