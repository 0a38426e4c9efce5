"""IRC: two irssi on an ngircd, who send each other files and chat without it (DCC)."""
import subprocess

from tests.captures.stage import CLIENT, SERVER, Dialogue
from tests.waiting import until

TEXT = "hello, world\n" * 20
CONFIG = """\
[Global]
Name = irc.example.test
Info = here
MotdPhrase = hello
PidFile = {files}/ngircd.pid
ServerUID = nobody
ServerGID = nogroup
[Options]
DNS = no
Ident = no
PAM = no
"""
SETTINGS = """\
settings = {{
  core = {{ user_name = "{name}"; real_name = "{name}"; }};
  "irc/core" = {{ cmd_queue_speed = "10msec"; }};
  "irc/dcc" = {{
    dcc_autoget = "yes"; dcc_autochat_masks = "*!*@*"; dcc_download_path = "{home}"; dcc_own_ip = "{own}";
  }};
}};
"""


class Person:
    """Somebody at an irssi; what is typed goes to its terminal."""

    def __init__(self, host, name, own, files):
        self.home = files / name
        self.home.mkdir()
        (self.home / "config").write_text(SETTINGS.format(name=name, home=self.home, own=own))
        command = f"irssi --home={self.home} --connect={SERVER} --nick={name}"
        self._process = host.start("script", "--quiet", "--flush", "--command", command, f"{self.home}/screen",
                                   stdin=subprocess.PIPE, text=True)

    def type(self, line):
        """Type a line."""
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def leave(self):
        """Quit, and wait until that is done."""
        self.type("/quit")
        self._process.wait(10)

    def sees(self, text):
        """Wait until a text is on the screen."""
        screen = self.home / "screen"
        if not until(lambda: screen.exists() and text in screen.read_text(errors="replace")):
            raise TimeoutError(f"{text} does not come")

    def has(self, name):
        """Wait for a file."""
        if not until(lambda: (self.home / name).exists() and (self.home / name).read_text() == TEXT):
            raise TimeoutError(f"{name} does not come")


def irssi(stage):
    """A file and a chat that the client behind the router offers; a file that it is offered."""
    config = stage.file("ngircd.conf", CONFIG.format(files=stage.files))
    stage.server.serve("tcp", 6667, "ngircd", "--nodaemon", "--config", config)
    ann = Person(stage.client, "ann", CLIENT, stage.files)
    bob = Person(stage.server, "bob", SERVER, stage.files)
    for person in (ann, bob):
        person.sees("End of MOTD")
    ann.type(f"/dcc send bob {stage.file('ann.txt', TEXT)}")
    bob.has("ann.txt")
    bob.type(f"/dcc send ann {stage.file('bob.txt', TEXT)}")
    ann.has("bob.txt")
    ann.type("/dcc chat bob")
    for person in (ann, bob):
        person.sees("DCC CHAT connection")
    ann.type("/msg =bob greetings")
    for person in (ann, bob):
        person.leave()


DIALOGUES = {"irc_dcc": Dialogue(irssi, {"tcp/6667": "irc"}, ("ngircd", "irssi", "script"))}
