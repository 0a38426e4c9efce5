"""PPTP: pptpd and pptp-linux, with their control connection and the tunnel (GRE), which both do without the kernel.

There is no pppd, as it would need the kernel: the server's end says a frame of PPP and then whatever it hears, and the
client's end answers that.
"""
import socket

from tests.captures.stage import SERVER, Dialogue

CONFIG = """\
ppp {files}/pppd
option /dev/null
listen {server}
localip 10.9.0.1
remoteip 10.9.0.2
pidfile {files}/pptpd.pid
"""
PPPD = "#!/bin/sh\nstty raw -echo\ncat {files}/frame -\n"
# As pppd would write it for a terminal: LCP, Configure-Request without options.
FRAME = bytes.fromhex("7eff7d23c0217d217d217d207d24d1b57e")
FRAMES = 3
PATIENCE_S = 10


def call(stage):
    """A call that is set up, carries frames both ways, and is hung up."""
    (stage.files / "frame").write_bytes(FRAME)
    stage.file("pppd", PPPD.format(files=stage.files)).chmod(0o755)
    config = stage.file("pptpd.conf", CONFIG.format(files=stage.files, server=SERVER))
    stage.server.serve("tcp", 1723, "pptpd", "--fg", "--conf", config)
    end, theirs = socket.socketpair()
    with end, theirs:
        end.settimeout(PATIENCE_S)
        caller = stage.client.start("pptp", SERVER, "--nolaunchpppd", "--nohostroute", stdin=theirs, stdout=theirs)
        for _ in range(FRAMES):
            assert end.recv(1000)
            end.sendall(FRAME)
    caller.wait(PATIENCE_S)


DIALOGUES = {"pptp": Dialogue(call, {"tcp/1723": "pptp"}, ("pptpd", "pptp"))}
