"""Routes; records are in ``route.pxd``."""
from ipaddress import ip_interface, ip_network

from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from fastct.wire.bytes cimport load_be32, load_u64, swap64

from fastct.errors import ConfigError

NAME_MAX = INTERFACE_NAME - 1
# What is so on every host that has an address.
_ALWAYS = (("224.0.0.0/4", ROUTE_MULTICAST), ("255.255.255.255/32", ROUTE_BROADCAST), ("ff00::/8", ROUTE_MULTICAST))
_LOOPBACK = ("127.0.0.0/8", "::1/128")


cdef void packet_address(const packet_t* p, bint destination, address_t* address) noexcept nogil:
    """The source or destination of an IP packet.

    => The IP header is there in full.
    """
    if p.ip_version == 4:
        address.hi = 0
        address.lo = load_be32(p.data + (16 if destination else 12))
    else:
        address.hi = swap64(load_u64(p.data + (24 if destination else 8)))
        address.lo = swap64(load_u64(p.data + (32 if destination else 16)))


cdef const route_t* route_find(const routes_t* r, uint8_t family, const address_t* address) noexcept nogil:
    """The route of the longest prefix that an address is in, or NULL."""
    cdef uint32_t i
    cdef const route_t* row
    for i in range(r.n):
        row = &r.rows[i]
        if (row.family == family and (address.hi & row.mask.hi) == row.network.hi
                and (address.lo & row.mask.lo) == row.network.lo):
            return row
    return NULL


cdef class Routes:
    """Interfaces, own addresses and routes of a host.

    Parameters
    ----------
    local : sequence of str
        Own addresses, "10.1.1.2" or "10.1.1.2/24", behind the last interface.
    interfaces : sequence of (str, str)
        A name and an own address with its network: ("eth0", "10.1.1.2/24").
    routes : sequence of (str, str)
        A prefix and the name of the interface it is behind, "": none that has a name. What no prefix covers is behind
        the last interface.

    Raises
    ------
    ConfigError
    """

    def __cinit__(self, local=(), interfaces=(), routes=()):
        names = list(dict.fromkeys(name for name, _ in interfaces))
        names += [name for _, name in routes if name and name not in names]
        default = len(names)
        names.append("lo")
        for name in names:
            if not 0 < len(name.encode()) <= NAME_MAX:
                raise ConfigError(f"interface: expected a name of up to {NAME_MAX} characters, got {name!r}")
        self.interfaces = ("", *names)
        self._set(sorted(self._rows(local, interfaces, routes, default), key=lambda row: -row[0].prefixlen))

    def _rows(self, local, interfaces, routes, default):
        """(network, interface number, type, bits of an own address's network), in no order but that of equals."""
        number = {name: place for place, name in enumerate(self.interfaces)}
        own = [(_interface("local", text), default) for text in local]
        own += [(_interface("interface", text), number[name]) for name, text in interfaces]
        for address, interface in own:
            if address.version == 4 and address.network.prefixlen < 31:
                yield ip_network(address.network.broadcast_address), interface, ROUTE_BROADCAST, 0
            yield ip_network(address.ip), interface, ROUTE_LOCAL, address.network.prefixlen
            yield address.network, interface, ROUTE_UNICAST, 0
        if own:
            for text, kind in _ALWAYS:
                yield ip_network(text), default, kind, 0
            for text in _LOOPBACK:
                yield ip_network(text), number["lo"], ROUTE_LOCAL, 0
        for prefix, name in routes:
            try:
                yield ip_network(prefix, strict=False), number[name], ROUTE_UNICAST, 0
            except ValueError:
                raise ConfigError(f"route: expected PREFIX=NAME, got {prefix!r}") from None
        for text in ("0.0.0.0/0", "::/0"):
            yield ip_network(text), default, ROUTE_UNICAST, 0

    def _set(self, rows):
        cdef Py_ssize_t i
        cdef bytes name
        self.r.rows = <route_t*>calloc(len(rows), sizeof(route_t))
        self.r.names = <char (*)[INTERFACE_NAME]>calloc(len(self.interfaces), INTERFACE_NAME)
        if self.r.rows == NULL or self.r.names == NULL:
            raise MemoryError
        for i, (network, interface, kind, near) in enumerate(rows):
            value, mask = int(network.network_address), int(network.netmask)
            self.r.rows[i].network.hi, self.r.rows[i].network.lo = value >> 64, value & 0xFFFFFFFFFFFFFFFF
            self.r.rows[i].mask.hi, self.r.rows[i].mask.lo = mask >> 64, mask & 0xFFFFFFFFFFFFFFFF
            self.r.rows[i].interface, self.r.rows[i].type = interface, kind
            self.r.rows[i].family, self.r.rows[i].near = network.version, near
            self.r.has_local |= kind == ROUTE_LOCAL
        self.r.n = len(rows)
        for i, text in enumerate(self.interfaces):
            name = text.encode()
            memcpy(self.r.names[i], <const char*>name, len(name))
        self.r.n_names, self.r.lo = len(self.interfaces), len(self.interfaces) - 1

    def number(self, str name):
        """The number of an interface, a new one if it is not known; 0 for none, and for names that Linux has not."""
        cdef char (*names)[INTERFACE_NAME]
        cdef bytes text = name.encode(errors="replace")
        if name in self.interfaces:
            return self.interfaces.index(name)
        if len(text) > NAME_MAX or len(self.interfaces) > 0xFFFF:
            return 0
        names = <char (*)[INTERFACE_NAME]>realloc(self.r.names, (len(self.interfaces) + 1) * INTERFACE_NAME)
        if names == NULL:
            raise MemoryError
        self.r.names = names
        memset(names[self.r.n_names], 0, INTERFACE_NAME)
        memcpy(names[self.r.n_names], <const char*>text, len(text))
        self.r.n_names += 1
        self.interfaces = (*self.interfaces, name)
        return self.r.n_names - 1

    def __dealloc__(self):
        free(self.r.rows)
        free(self.r.names)


def _interface(what, text):
    try:
        return ip_interface(text)
    except ValueError:
        raise ConfigError(f"{what}: expected ADDRESS or ADDRESS/LENGTH, got {text!r}") from None
