"""The loop that everyone writes first: dpkt and a dictionary. Prints how many connections it found."""
import sys

import dpkt


def main(path):
    table = {}
    with open(path, "rb") as file:
        for _, data in dpkt.pcap.Reader(file):
            ip = dpkt.ethernet.Ethernet(data).data
            if not isinstance(ip, dpkt.ip.IP):
                continue
            l4 = ip.data
            if isinstance(l4, dpkt.tcp.TCP | dpkt.udp.UDP):
                ends = (ip.src, l4.sport), (ip.dst, l4.dport)
                key = (ip.p, *sorted(ends))
                counted = table.setdefault(key, [0, 0])
                counted[0] += 1
                counted[1] += ip.len
    print(len(table))


if __name__ == "__main__":
    main(sys.argv[1])
