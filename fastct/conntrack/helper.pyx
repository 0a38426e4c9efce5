"""The table of helpers, and which connections get one; records are in ``helper.pxd``."""
from libc.stdint cimport uint8_t, uint16_t

from fastct.conntrack.extra cimport HELPER_WORDS
from fastct.conntrack.helpers.amanda cimport amanda_help
from fastct.conntrack.helpers.ftp cimport ftp_help, ftp_is_sound
from fastct.conntrack.helpers.irc cimport irc_help
from fastct.conntrack.helpers.netbios_ns cimport netbios_ns_help
from fastct.conntrack.helpers.pptp cimport pptp_ended, pptp_help, pptp_is_sound
from fastct.conntrack.helpers.sane cimport sane_help, sane_is_sound
from fastct.conntrack.helpers.sip cimport sip_help, sip_is_sound
from fastct.conntrack.helpers.tftp cimport tftp_help
from fastct.wire.bytes cimport swap16
from fastct.wire.packet cimport PROTO_TCP, PROTO_UDP

from fastct.errors import ConfigError
from fastct.records import HELPERS

IPV4, BOTH = 1, 3
PROTOCOLS = {"tcp": PROTO_TCP, "udp": PROTO_UDP}

# name: protocols, families, usual port, classes of expectations as (most of one master, timeout in s)
TABLE = {
    "ftp": ("tcp", BOTH, 21, ((1, 300),)),
    "tftp": ("udp", BOTH, 69, ((1, 300),)),
    "irc": ("tcp", IPV4, 6667, ((8, 300),)),
    "sane": ("tcp", BOTH, 6566, ((1, 300),)),
    "amanda": ("udp", BOTH, 10080, ((4, 180),)),
    "netbios-ns": ("udp", IPV4, 137, ((1, 3),)),
    "pptp": ("tcp", IPV4, 1723, ((2, 300),)),
    "sip": ("udp tcp", BOTH, 5060, ((1, 180), (4, 180), (4, 180), (2, 180))),
}
assert tuple(TABLE) == HELPERS[1:]

cdef help_fn[HELPERS_MAX] _functions
_functions[0] = ftp_help
_functions[1] = tftp_help
_functions[2] = irc_help
_functions[3] = sane_help
_functions[4] = amanda_help
_functions[5] = netbios_ns_help
_functions[6] = pptp_help
_functions[7] = sip_help

cdef helper_t[HELPERS_MAX] _rows
for _number, (_protocols, _families, _port, _classes) in enumerate(TABLE.values()):
    _rows[_number + 1].help = _functions[<int>_number]
    _rows[_number + 1].tcp, _rows[_number + 1].udp = "tcp" in _protocols, "udp" in _protocols
    _rows[_number + 1].families = _families
    _rows[_number + 1].port = _port
    for _kind, (_most, _timeout) in enumerate(_classes):
        _rows[_number + 1].max_expected[<int>_kind] = _most
        _rows[_number + 1].timeout_s[<int>_kind] = _timeout
_rows[<int>HELPERS.index("ftp")].sound = ftp_is_sound
_rows[<int>HELPERS.index("pptp")].sound = pptp_is_sound
_rows[<int>HELPERS.index("sane")].sound = sane_is_sound
_rows[<int>HELPERS.index("sip")].sound = sip_is_sound
_rows[<int>HELPERS.index("pptp")].ended = pptp_ended


cdef helper_t* helper_rows() noexcept nogil:
    """The table by index into records.HELPERS."""
    return _rows


cdef bint helper_run(help_t* h) noexcept nogil:
    """Let the connection's helper read the packet. False: Linux drops it."""
    return h.row.help(h)


cdef bint is_for(const helper_t* row, uint8_t l4proto) noexcept nogil:
    return (row.tcp and l4proto == <int>PROTO_TCP) or (row.udp and l4proto == <int>PROTO_UDP)


cdef bint helper_is_sound(const extra_t* x, uint8_t l3proto, uint8_t l4proto) noexcept nogil:
    """Whether a connection of these protocols may have the helper that an extra from a file names, and its words."""
    cdef const helper_t* row
    cdef int i
    if x.helper >= HELPERS_MAX:
        return False
    row = &_rows[x.helper]
    if x.helper and (row.help == NULL or not is_for(row, l4proto) or not row.families & (1 if l3proto == 4 else 2)):
        return False
    if row.sound != NULL:
        return row.sound(x.state)
    for i in range(HELPER_WORDS):
        if x.state[i]:
            return False
    return True


# ---- which connections get one

cdef uint8_t helper_for(const assignments_t* a, uint8_t l3proto, uint8_t l4proto, uint16_t dport) noexcept nogil:
    """The helper of a new connection to a port, 0: none."""
    cdef int i
    cdef const assignment_t* row
    for i in range(a.n):
        row = &a.rows[i]
        if (row.port == dport and row.l4proto == l4proto
                and _rows[row.helper].families & (1 if l3proto == 4 else 2)):
            return row.helper
    return 0


cdef int assignments_set(assignments_t* a, dict wanted, bint usual) except -1:
    """``wanted``: "tcp/21" to "ftp"; ``usual``: every helper on its usual port, too. Raises ConfigError."""
    rows = [(f"{protocol}/{port}", name) for name, (protocols, _, port, _) in TABLE.items()
            for protocol in protocols.split()] if usual else []
    a.n = 0
    for where, name in [*wanted.items(), *rows]:
        protocol, _, port = str(where).partition("/")
        if protocol not in PROTOCOLS or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ConfigError(f"helper: expected tcp/PORT or udp/PORT, got {where!r}")
        if name not in TABLE:
            raise ConfigError(f"unknown helper {name!r}; known are {', '.join(TABLE)}")
        if protocol not in TABLE[name][0].split():
            raise ConfigError(f"helper {name} is for {TABLE[name][0].replace(' ', ' and ')}, not {protocol}")
        if a.n == ASSIGNMENTS_MAX:
            raise ConfigError(f"more than {ASSIGNMENTS_MAX} helpers are assigned")
        a.rows[a.n].port = swap16(<uint16_t><int>int(port))
        a.rows[a.n].l4proto = PROTOCOLS[protocol]
        a.rows[a.n].helper = HELPERS.index(name)
        a.n += 1
    return 0
