"""Small networks of namespaces without a link to the outside: hosts on a switch, or behind a router.

Needs root, iproute2, ethtool and tcpdump.
"""
import contextlib
import os
import subprocess
import time


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

    def start(self, *command):
        """Start a program inside; it is ended with the host."""
        process = subprocess.Popen(["ip", "netns", "exec", self.name, *map(str, command)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._started.append(process)
        return process

    def stop(self, process):
        """End a program and wait for it."""
        process.terminate()
        process.wait(10)
        self._started.remove(process)

    def close(self):
        """End what runs, and the namespace."""
        for process in list(self._started):
            self.stop(process)
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
            host.run("ip", "addr", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []))
        return hosts


@contextlib.contextmanager
def captured(host, path, expression="ip or ip6 or vlan", interface="eth0"):
    """Write what passes an interface to a file while the block runs."""
    process = host.start("tcpdump", "--immediate-mode", "-U", "-Z", "root", "-i", interface, "-w", path, expression)
    for _ in range(100):
        if os.path.exists(path) and os.path.getsize(path) >= 24:
            break
        time.sleep(0.05)
    time.sleep(0.2)
    yield
    time.sleep(0.5)
    host.stop(process)
