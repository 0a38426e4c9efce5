"""What a host sends and gets: captures that need no router.

Programs: curl dnsmasq dnsutils iputils-ping (Debian), pyftpdlib (pip).
"""
import sys
import tempfile
import time
from pathlib import Path

import fastct
from fastct.capture import PcapWriter
from tests.captures.network import Network, captured

PYTHON = sys.executable

FTP_CLIENT = """
import ftplib, io
ftp = ftplib.FTP("10.1.1.2", timeout=10)
ftp.login()
for passive in (True, False):
    ftp.set_pasv(passive)
    ftp.retrbinary("RETR hello.txt", io.BytesIO().write)
ftp.quit()
"""
UDP_ONCE = "import socket; s = socket.socket(socket.{family}, socket.SOCK_DGRAM); s.sendto(b'hello', ('{to}', {port}))"
RESETTING_SERVER = """
import socket, struct
server = socket.create_server(("10.1.1.3", 8001))
while True:
    peer, _ = server.accept()
    peer.recv(100)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
"""


def host_10_1_1_2(path):
    """The host 10.1.1.2 fetches a page over HTTP, asks a DNS server, and is visited by an FTP client."""
    with Network() as net, tempfile.TemporaryDirectory() as files:
        Path(files, "index.html").write_text("<h1>It works</h1>\n")
        Path(files, "hello.txt").write_text("hello, world\n" * 20)
        hosts = net.switch(["10.1.1.2/24", "10.1.1.53/24", "10.1.1.80/24", "10.1.1.9/24"])
        host = hosts["10.1.1.2"]
        hosts["10.1.1.80"].start(PYTHON, "-m", "http.server", "80", "--directory", files)
        hosts["10.1.1.53"].start("dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--pid-file=",
                                 "--conf-file=/dev/null", "--address=/www.example.test/10.1.1.80")
        host.start(PYTHON, "-m", "pyftpdlib", "-i", "10.1.1.2", "-p", "21", "-d", files, "-r", "40000-40010")
        time.sleep(2)
        with captured(host, path):
            host.run("dig", "+tries=1", "@10.1.1.53", "www.example.test", "A")
            host.run("curl", "-s", "--resolve", "www.example.test:80:10.1.1.80", "http://www.example.test/")
            time.sleep(0.3)
            hosts["10.1.1.9"].run(PYTHON, "-c", FTP_CLIENT)


def ping6(path):
    """Neighbour discovery and three echo requests over IPv6."""
    with Network() as net:
        a, b = net.host("a"), net.host("b")
        net.link(a, "eth0", b, "eth0")
        a.run("ip", "addr", "add", "fd00:1::2/64", "dev", "eth0", "nodad")
        b.run("ip", "addr", "add", "fd00:1::3/64", "dev", "eth0", "nodad")
        time.sleep(2)
        with captured(a, path, "icmp6"):
            a.run("ping", "-c", "3", "-i", "0.2", "fd00:1::3")


def icmp_errors(path):
    """Port unreachable from a host, time exceeded and host unreachable from a router."""
    with Network() as net:
        a, router, b = net.host("a"), net.host("router"), net.host("b")
        net.link(a, "eth0", router, "eth0")
        net.link(router, "eth1", b, "eth0")
        a.run("ip", "addr", "add", "10.2.0.2/24", "dev", "eth0")
        router.run("ip", "addr", "add", "10.2.0.1/24", "dev", "eth0")
        router.run("ip", "addr", "add", "10.2.1.1/24", "dev", "eth1")
        b.run("ip", "addr", "add", "10.2.1.2/24", "dev", "eth0")
        router.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.neigh.eth1.retrans_time_ms=100")
        a.run("ip", "route", "add", "default", "via", "10.2.0.1")
        b.run("ip", "route", "add", "default", "via", "10.2.1.1")
        with captured(a, path, "ip"):
            a.run(PYTHON, "-c", UDP_ONCE.format(family="AF_INET", to="10.2.1.2", port=33434))
            time.sleep(0.2)
            a.try_run("ping", "-c", "1", "-W", "1", "-t", "1", "10.2.1.2")
            a.try_run("ping", "-c", "1", "-W", "2", "10.2.1.9")


def tcp_closes(path):
    """Connections that end in four ways: in order, by RST, refused, and never answered."""
    with Network() as net:
        hosts = net.switch(["10.1.1.2/24", "10.1.1.3/24"])
        client, server = hosts["10.1.1.2"], hosts["10.1.1.3"]
        server.start(PYTHON, "-m", "http.server", "8000", "--directory", "/var/empty")
        server.start(PYTHON, "-c", RESETTING_SERVER)
        server.run("ip", "route", "add", "blackhole", "10.1.1.4/32")
        client.run("ip", "neigh", "add", "10.1.1.4", "lladdr", "02:00:00:00:00:99", "dev", "eth0")
        time.sleep(1)
        with captured(client, path, "ip"):
            client.try_run("curl", "-s", "http://10.1.1.3:8000/nothing")
            client.try_run("curl", "-s", "http://10.1.1.3:8001/")
            client.try_run("curl", "-s", "http://10.1.1.3:8002/")
            client.try_run("curl", "-s", "--max-time", "2", "http://10.1.1.4:8000/")


def vlan(path):
    """An HTTP request and a datagram, tagged as VLAN 7 afterwards: not every kernel has VLAN devices."""
    with Network() as net, tempfile.TemporaryDirectory() as files:
        hosts = net.switch(["10.7.0.2/24", "10.7.0.3/24"])
        client, server = hosts["10.7.0.2"], hosts["10.7.0.3"]
        server.start(PYTHON, "-m", "http.server", "80", "--directory", files)
        time.sleep(1)
        plain = f"{files}/plain.pcap"
        with captured(client, plain, "ip"):
            client.try_run("curl", "-s", "http://10.7.0.3/nothing")
            client.run(PYTHON, "-c", UDP_ONCE.format(family="AF_INET", to="10.7.0.3", port=9))
        with fastct.open(plain) as frames, PcapWriter(path, ns=False) as tagged:
            for block in frames:
                for ts_ns, _, data in block:
                    tagged.write(ts_ns, data[:12] + b"\x81\x00\x00\x07" + data[12:])


CAPTURES = {"host_10.1.1.2.pcap": host_10_1_1_2, "ping6.pcap": ping6, "icmp_errors.pcap": icmp_errors,
            "tcp_closes.pcap": tcp_closes, "vlan.pcap": vlan}
