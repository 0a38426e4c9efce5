"""Texts of ipsets that tests on both sides of the kernel share."""

# The sets that random rules name.
SETS_OF_RULES = """\
create hash4 hash:ip family inet hashsize 1024 maxelem 65536 timeout 10 counters
create hash6 hash:net family inet6 hashsize 1024 maxelem 65536
create info4 hash:ip,port family inet hashsize 1024 maxelem 65536 skbinfo
create list list:set size 8
"""

ACCEPTED = """\
create bits bitmap:ip range 10.0.0.0/24 timeout 500 counters comment skbinfo
add bits 10.0.0.1 timeout 1000 packets 5 bytes 6 comment "a b" skbmark 0x1/0xff skbprio 1:10 skbqueue 3
add bits 10.0.0.2-10.0.0.5
create nets16 bitmap:ip range 10.0.0.0/16 netmask 24
add nets16 10.0.5.7
create macs bitmap:ip,mac range 10.0.0.0/24 counters
add macs 10.0.0.1,00:11:22:33:44:aB
add macs 10.0.0.2
create ports bitmap:port range 1000-1 timeout 0
add ports 7-5
add ports tcp:80
create hosts hash:ip hashsize 1000 maxelem 100 netmask 24 timeout 600 counters comment skbinfo forceadd bucketsize 4
add hosts 1.2.3.4
add hosts 1.2.8.0-1.2.9.255
create hosts6 hash:ip family inet6 netmask 64
add hosts6 fd00::1
create odd hash:ip bitmask 255.255.0.255
add odd 1.2.3.4
create nets hash:net counters
add nets 1.2.3.4/24
add nets 1.2.3.128/25 nomatch
add nets 1.2.3.129
add nets 10.0.0.1-10.0.0.9
create nets6 hash:net family inet6
add nets6 fd00::1
add nets6 fd01::1/64
create services hash:ip,port
add services 1.2.3.4,80
add services 1.2.3.4,udp:domain
add services 1.2.3.4,icmp:ping
add services 1.2.3.4,icmp:3/1
add services 1.2.3.4,icmp:200/1
add services 1.2.3.4,gre:0
add services 1.2.3.4,132:9
add services 1.2.3.8/31,tcp:82-80
create services6 hash:ip,port family inet6
add services6 fd00::1,icmpv6:1/4
add services6 fd00::1,ipv6-icmp:echo-request
create netports hash:net,port
add netports 1.2.3.0/24,80
add netports 1.2.3.0/25,80 nomatch
create triples hash:ip,port,ip
add triples 1.2.3.4,80,5.6.7.8
create triplenets hash:ip,port,net
add triplenets 1.2.3.4,80,5.6.7.8/24
create faces hash:net,iface
add faces 1.2.3.0/24,eth0
add faces 1.2.3.0/25,physdev:eth1 nomatch
add faces 0.0.0.0/0,vpn wildcard
add faces 1.2.0.0/16,eth7
create full hash:net timeout 1000 comment skbinfo counters
add full 1.2.3.0/24 nomatch timeout 500 comment "q w" skbmark 0x5 skbprio 0:0 skbqueue 0
add full 1.2.4.0/24 skbmark 0x5/0xf skbprio ffff:1
add full 1.2.5.0/24 skbqueue 65535 timeout 0
create small hash:ip maxelem 2
add small 1.1.1.1
add small 1.1.1.2
create both list:set size 4 timeout 900 counters comment
add both nets
add both hosts before nets
add both services after hosts timeout 400 packets 3 bytes 4 comment z
""".splitlines()

# What is refused behind these, and how ipset begins to say why.
REFUSED = (
    ("create nets hash:net", "Error in line 1: Set cannot be created: set with the same name already exists"),
    (f"create {'x' * 32} hash:ip", f"Error in line 1: Syntax error: setname '{'x' * 32}' is longer than 31 characters"),
    ("create x foo:bar", "Error in line 1: Syntax error: typename 'foo:bar' is unknown"),
    ("create x hash:ip range 1.1.1.1-1.1.1.2", "Unknown argument: `range'"),
    ("create x hash:net netmask 24", "Unknown argument: `netmask'"),
    ("create x bitmap:ip", "Mandatory option `range' is missing"),
    ("create x bitmap:ip range 10.0.0.0/15", "Error in line 1: The range you specified exceeds the size limit of the"),
    ("create x hash:ip netmask 33", "Error in line 1: Syntax error: netmask is out of the inclusive range of 1-32"),
    ("create x hash:ip family foo", "Error in line 1: Syntax error: unknown inet family foo"),
    ("create x hash:ip timeout 2147484", "Error in line 1: Syntax error: '2147484' is out of range 0-2147483"),
    ("add x 1.1.1.1", "Error in line 1: The set with the given name does not exist"),
    ("add small 1.1.1.1", "Error in line 1: Element cannot be added to the set: it's already added"),
    ("add small 1.1.1.3", "Error in line 1: Hash is full, cannot add more elements"),
    ("add small 0.0.0.0", "Error in line 1: Null-valued element, cannot be stored in a hash type of set"),
    ("add small 1.1.1.3 timeout 4", "Error in line 1: Timeout cannot be used: set was created without timeout support"),
    ("add small 1.1.1.3 bytes 4", "Error in line 1: Packet/byte counters cannot be used: set was created without"),
    ("add small 1.1.1.3 comment a", "Error in line 1: Comment cannot be used: set was created without comment support"),
    ("add small 1.1.1.3 nomatch", "Unknown argument: `nomatch'"),
    ("add small 1.1.1.3,80", "Error in line 1: Syntax error: Elem separator in 1.1.1.3,80, but settype hash:ip"),
    ("add full 9.9.9.9 skbmark 5", "Error in line 1: Syntax error: Invalid skbmark format, it should be:  MARK/MASK"),
    ("add nets 0.0.0.0/0", "Error in line 1: The value of the CIDR parameter of the IP address is invalid"),
    ("add nets 1.1.1.1/33", "Error in line 1: Syntax error: '33' is out of range 0-32"),
    ("add hosts6 fd00::/127", "Error in line 1: Syntax error: plain IP address must be supplied: fd00::/127"),
    ("add services 1.1.1.1", "Error in line 1: Syntax error: Second element is missing from 1.1.1.1."),
    ("add services 1.1.1.1,icmp:8", "Error in line 1: Cannot parse 8 as an ICMP type/code."),
    ("add services 1.1.1.1,foo:8", "Error in line 1: Syntax error: cannot parse 'foo' as a protocol"),
    ("add ports 1001", "Error in line 1: Element is out of the range of the set"),
    ("add macs 10.0.0.9,zz", "Error in line 1: Syntax error: cannot parse 'zz' as ethernet address"),
    ("add macs 10.0.0.1,00:11:22:33:44:55", "Error in line 1: Element cannot be added to the set: it's already added"),
    ("add macs 10.0.0.8/30,00:11:22:33:44:55", "Error in line 1: Syntax error: plain IP address must be supplied"),
    ("add triples 1.2.3.4,80,5.6.7.0/24", "Error in line 1: Syntax error: plain IP address must be supplied"),
    ("add both both", "Error in line 1: Sets with list:set type cannot be added to the set."),
)

TCP, UDP, ICMP = 6 << 16, 17 << 16, 1 << 16


def _host(text):
    return int.from_bytes(bytes(map(int, text.split("."))), "big")


# Set, element as ``ipset test`` reads it, the same as a packet's values, and whether it is in.
PROBES = (
    ("bits", "10.0.0.5", (_host("10.0.0.5"),), True),
    ("bits", "10.0.0.6", (_host("10.0.0.6"),), False),
    ("nets16", "10.0.5.255", (_host("10.0.5.255"),), True),
    ("nets16", "10.0.6.0", (_host("10.0.6.0"),), False),
    ("macs", "10.0.0.1,00:11:22:33:44:ab", (_host("10.0.0.1"), 0x11223344AB), True),
    ("macs", "10.0.0.1,00:11:22:33:44:ac", (_host("10.0.0.1"), 0x11223344AC), False),
    ("ports", "6", (6,), True),
    ("ports", "8", (8,), False),
    ("hosts", "1.2.3.200", (_host("1.2.3.200"),), True),
    ("hosts", "1.2.9.0", (_host("1.2.9.0"),), True),
    ("hosts", "1.2.10.0", (_host("1.2.10.0"),), False),
    ("hosts6", "fd00::99", (0xFD00 << 112 | 0x99,), True),
    ("hosts6", "fd01::1", (0xFD01 << 112 | 1,), False),
    ("odd", "1.2.200.4", (_host("1.2.200.4"),), True),
    ("odd", "1.2.3.5", (_host("1.2.3.5"),), False),
    ("nets", "1.2.3.5", (_host("1.2.3.5"),), True),
    ("nets", "1.2.3.130", (_host("1.2.3.130"),), False),       # nomatch is longer
    ("nets", "1.2.3.129", (_host("1.2.3.129"),), True),        # and this one longer still
    ("nets", "10.0.0.9", (_host("10.0.0.9"),), True),
    ("nets", "10.0.0.10", (_host("10.0.0.10"),), False),
    ("nets6", "fd01::ffff", (0xFD01 << 112 | 0xFFFF,), True),
    ("nets6", "fd00::2", (0xFD00 << 112 | 2,), False),
    ("services", "1.2.3.4,tcp:80", (_host("1.2.3.4"), TCP | 80), True),
    ("services", "1.2.3.4,udp:80", (_host("1.2.3.4"), UDP | 80), False),
    ("services", "1.2.3.9,tcp:81", (_host("1.2.3.9"), TCP | 81), True),
    ("services", "1.2.3.4,icmp:8/0", (_host("1.2.3.4"), ICMP | 8 << 8), True),
    ("services", "1.2.3.4,icmp:8/1", (_host("1.2.3.4"), ICMP | 8 << 8 | 1), False),
    ("netports", "1.2.3.200,tcp:80", (_host("1.2.3.200"), TCP | 80), True),
    ("netports", "1.2.3.4,tcp:80", (_host("1.2.3.4"), TCP | 80), False),
    ("triples", "1.2.3.4,tcp:80,5.6.7.8", (_host("1.2.3.4"), TCP | 80, _host("5.6.7.8")), True),
    ("triples", "1.2.3.4,tcp:80,5.6.7.9", (_host("1.2.3.4"), TCP | 80, _host("5.6.7.9")), False),
    ("triplenets", "1.2.3.4,tcp:80,5.6.7.99", (_host("1.2.3.4"), TCP | 80, _host("5.6.7.99")), True),
    ("triplenets", "1.2.3.4,tcp:80,5.6.8.1", (_host("1.2.3.4"), TCP | 80, _host("5.6.8.1")), False),
    ("faces", "1.2.3.200,eth0", (_host("1.2.3.200"), ("eth0", "")), True),
    ("faces", "1.2.3.4,physdev:eth1", (_host("1.2.3.4"), ("", "eth1")), False),
    ("faces", "9.9.9.9,eth0", (_host("9.9.9.9"), ("eth0", "")), False),
    ("faces", "1.2.9.9,eth7", (_host("1.2.9.9"), ("eth7", "")), True),
    ("faces", "1.2.3.200,eth7", (_host("1.2.3.200"), ("eth7", "")), False),        # a longer net has another one
    ("full", "1.2.4.9", (_host("1.2.4.9"),), True),
    ("full", "1.2.3.9", (_host("1.2.3.9"),), False),
)
