"""The addresses of interfaces, as the kernel tells them (rtnetlink)."""
import socket
import struct

from fastct.errors import ConfigError

RTM_GETADDR, NLM_F_DUMP_REQUEST, NLMSG_DONE = 22, 0x301, 3
IFA_ADDRESS, IFA_LOCAL = 1, 2
FAMILIES = (socket.AF_INET, socket.AF_INET6)


def _messages(answer):
    """Type and content of the netlink messages of one read."""
    while answer:
        length, kind = struct.unpack_from("=IH", answer)
        yield kind, answer[16:length]
        answer = answer[length + 3 & ~3:]


def _attributes(data):
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        found[kind] = data[4:length]
        data = data[length + 3 & ~3:]
    return found


def addresses_of(names):
    """Addresses with the length of their prefix, ``10.1.1.2/24``, of all interfaces in ``names``: list of str.

    Raises ConfigError for a name that no interface has.
    """
    known = {name: index for index, name in socket.if_nameindex()}
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise ConfigError(f"{unknown}: no interface with this name")
    indexes, found = {known[name] for name in names}, []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asked:
        asked.send(struct.pack("=IHHIIB7x", 24, RTM_GETADDR, NLM_F_DUMP_REQUEST, 1, 0, socket.AF_UNSPEC))
        while True:
            for kind, content in _messages(asked.recv(1 << 16)):
                if kind == NLMSG_DONE:
                    return found
                family, length, _, _, index = struct.unpack_from("=BBBBI", content)
                attributes = _attributes(content[8:])
                address = attributes.get(IFA_LOCAL, attributes.get(IFA_ADDRESS))
                if index in indexes and family in FAMILIES and address:
                    found.append(f"{socket.inet_ntop(family, address)}/{length}")
