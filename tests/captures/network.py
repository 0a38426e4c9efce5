"""Small networks of namespaces without a link to the outside: hosts on a switch, or on two sides of a router.

Needs root, iproute2, ethtool and tcpdump.
"""
import contextlib
import os
import signal
import subprocess
import time

from tests.waiting import until

NODAD = ((), ("nodad",))    # whether it is IPv6: addresses are there at once


def run(*command, **options):
    """Run a command; a failure raises with its words."""
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True, **options)


class Host:
    """A namespace; commands run inside it, and what was started ends with it."""

    def __init__(self, name):
        self.name = f"fastct-{os.getpid()}-{name}"
        self._started = []
        run("ip", "netns", "add", self.name)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *command, **options):
        """Run a command inside."""
        return run("ip", "netns", "exec", self.name, *command, **options)

    def try_run(self, *command):
        """Run a command that may fail: a refused connection is what some captures are about."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self.run(*command, timeout=20)

    def start(self, *command, **options):
        """Start a program inside; it is ended with the host."""
        silent = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        process = subprocess.Popen(["ip", "netns", "exec", self.name, *map(str, command)], **silent | options)
        self._started.append(process)
        return process

    def serve(self, transport, port, *command, **options):
        """Start a server, and wait until it listens on its port of ``tcp`` or ``udp``."""
        process = self.start(*command, **options)
        if not until(lambda: self.run("ss", "-Hln", f"--{transport}", "sport", "=", f":{port}").stdout):
            raise TimeoutError(f"{command[0]} does not listen on {transport}/{port}")
        return process

    def stop(self, process):
        """End a program and wait for it."""
        process.terminate()
        process.wait(10)
        self._started.remove(process)

    def close(self):
        """End what runs, and the namespace."""
        for process in list(self._started):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop(process)
        # What did not end, and what the programs themselves started.
        for pid in run("ip", "netns", "pids", self.name).stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        run("ip", "netns", "del", self.name)


class Network(contextlib.ExitStack):
    """Hosts and links; everything is gone when it is left."""

    def __init__(self):
        super().__init__()
        self._macs = 0

    def host(self, name):
        """A new host."""
        host = Host(name)
        self.callback(host.close)
        return host

    def link(self, a, a_name, b, b_name):
        """A cable between two hosts, without offloads, so that every checksum is on the wire."""
        run("ip", "link", "add", a_name, "netns", a.name, "type", "veth", "peer", "name", b_name, "netns", b.name)
        for host, name in ((a, a_name), (b, b_name)):
            self._macs += 1
            host.run("ip", "link", "set", name, "address", f"02:00:00:00:00:{self._macs:02x}")
            host.run("ethtool", "-K", name, "tx", "off", "rx", "off", "tso", "off", "gso", "off", "gro", "off")
            # No router solicitations: the captures are to hold what their scripts did.
            for key in ("accept_dad", "router_solicitations"):
                host.run("sysctl", "-qw", f"net.ipv6.conf.{name}.{key}=0")
            host.run("ip", "link", "set", name, "up")

    def switch(self, addresses):
        """Hosts on one switch, by address (with prefix length); returns them by bare address."""
        bridge = self.host("switch")
        bridge.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        bridge.run("ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        bridge.run("ip", "link", "set", "br0", "up")
        hosts = {}
        for number, address in enumerate(addresses):
            host = hosts[address.split("/")[0]] = self.host(f"h{number}")
            self.link(host, "eth0", bridge, f"port{number}")
            bridge.run("ip", "link", "set", f"port{number}", "master", "br0")
            host.run("ip", "addr", "add", address, "dev", "eth0", *NODAD[":" in address])
        return hosts

    def routed(self):
        """A client and a server in different networks of both families, and the router between them."""
        client, router, server = self.host("client"), self.host("router"), self.host("server")
        router.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        for number, host in enumerate((client, server), 1):
            port = f"eth{number - 1}"
            self.link(host, "eth0", router, port)
            for net, length in ((f"10.{number}.0.", 24), (f"fd00:{number}::", 64)):
                host.run("ip", "addr", "add", f"{net}2/{length}", "dev", "eth0", *NODAD[":" in net])
                router.run("ip", "addr", "add", f"{net}1/{length}", "dev", port, *NODAD[":" in net])
                host.run("ip", "route", "add", "default", "via", f"{net}1")
        return client, router, server


@contextlib.contextmanager
def captured(host, path, expression="ip or ip6 or vlan", interface="eth0"):
    """Write what passes an interface to a file while the block runs."""
    process = host.start("tcpdump", "--immediate-mode", "-U", "-Z", "root", "-i", interface, "-w", path, expression)
    until(lambda: os.path.exists(path) and os.path.getsize(path) >= 24)
    time.sleep(0.2)
    yield
    time.sleep(0.5)
    host.stop(process)
