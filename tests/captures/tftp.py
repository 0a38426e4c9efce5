"""TFTP: tftpd-hpa, and two clients that read and write."""
from tests.captures.stage import SERVER, SERVER6, Dialogue

TEXT = "hello, world\n" * 60      # two blocks


def serve(stage):
    """Start the server, with a file to read and one to write."""
    stage.file("hello.txt", TEXT)
    stage.file("written.txt", "")
    stage.server.serve("udp", 69, "in.tftpd", "--foreground", "--secure", stage.files)


def written(stage):
    """What the server got since."""
    text = (stage.files / "written.txt").read_text()
    stage.file("written.txt", "")
    return text


def curl(stage):
    """A file there and back, in both families."""
    serve(stage)
    for host in (SERVER, f"[{SERVER6}]"):
        assert stage.client.run("curl", "-sS", f"tftp://{host}/hello.txt").stdout == TEXT
        stage.client.run("curl", "-sS", "-T", stage.files / "hello.txt", f"tftp://{host}/written.txt")
        assert written(stage) == TEXT


def hpa(stage):
    """A file there and back, in both families; and one that does not exist."""
    serve(stage)
    for host in (SERVER, SERVER6):
        got = stage.files / "got.txt"
        stage.client.run("tftp", "-m", "binary", host, "-c", "get", "hello.txt", got)
        assert got.read_text() == TEXT
        stage.client.run("tftp", "-m", "binary", host, "-c", "put", got, "written.txt")
        assert written(stage) == TEXT
    stage.client.try_run("tftp", SERVER, "-c", "get", "nothing.txt", got)


DIALOGUES = {
    "tftp_curl": Dialogue(curl, {"udp/69": "tftp"}, ("in.tftpd", "curl")),
    "tftp_hpa": Dialogue(hpa, {"udp/69": "tftp"}, ("in.tftpd", "tftp")),
}
