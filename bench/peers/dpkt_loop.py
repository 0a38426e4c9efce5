"""The loop that people write in Python: dpkt, and a dictionary by tuple. Prints how many connections it saw.

No states, no timeouts, no checksums: the least that anyone would call counting connections.
"""
import sys

import dpkt


def connections(path):
    """Packets and bytes by tuple, the same for both directions."""
    table = {}
    with open(path, "rb") as file:
        for _, frame in dpkt.pcap.UniversalReader(file):
            try:
                ip = dpkt.ethernet.Ethernet(frame).data
            except dpkt.UnpackError:
                continue
            if not isinstance(ip, dpkt.ip.IP | dpkt.ip6.IP6) or not isinstance(ip.data, dpkt.tcp.TCP | dpkt.udp.UDP):
                continue
            source, target = (ip.src, ip.data.sport), (ip.dst, ip.data.dport)
            key = (ip.p, source, target) if source < target else (ip.p, target, source)
            counters = table.setdefault(key, [0, 0])
            counters[0] += 1
            counters[1] += len(frame)
    return table


if __name__ == "__main__":
    print(len(connections(sys.argv[1])))
