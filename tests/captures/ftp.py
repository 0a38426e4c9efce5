"""FTP: vsftpd, and two clients that fetch a file in passive and in active mode, by old commands and extended ones."""
from tests.captures.stage import SERVER, SERVER6, Dialogue

TEXT = "hello, world\n" * 20
CONFIG = """\
listen_ipv6=YES
background=NO
anonymous_enable=YES
no_anon_password=YES
anon_root={files}/pub
secure_chroot_dir={files}/empty
seccomp_sandbox=NO
"""
URL, URL6 = f"ftp://{SERVER}", f"ftp://[{SERVER6}]"
# Options by which curl uses PASV, EPSV, PORT and EPRT, and over IPv6 EPSV and EPRT.
CURL = ((URL, "--disable-epsv"), (URL,), (URL, "-P", "-", "--disable-eprt"), (URL, "-P", "-"),
        (URL6,), (URL6, "-P", "-"))


def serve(stage):
    """Start the server, with a directory and a file to fetch."""
    for name in ("pub", "empty"):
        (stage.files / name).mkdir()
    stage.file("pub/hello.txt", TEXT)
    config = stage.file("vsftpd.conf", CONFIG.format(files=stage.files))
    config.chmod(0o600)
    stage.server.serve("tcp", 21, "vsftpd", config)


def curl(stage):
    """A file, once in every mode there is."""
    serve(stage)
    for url, *options in CURL:
        assert stage.client.run("curl", "-sS", *options, f"{url}/hello.txt").stdout == TEXT


def lftp(stage):
    """A directory and a file over one control connection, in either mode."""
    serve(stage)
    for url in (URL, URL6):
        for passive in ("yes", "no"):
            script = f"set ftp:passive-mode {passive}; set net:timeout 5; open {url}; ls; cat hello.txt"
            assert TEXT in stage.client.run("lftp", "--norc", "-c", script).stdout


DIALOGUES = {
    "ftp_curl": Dialogue(curl, {"tcp/21": "ftp"}, ("vsftpd", "curl")),
    "ftp_lftp": Dialogue(lftp, {"tcp/21": "ftp"}, ("vsftpd", "lftp")),
}
