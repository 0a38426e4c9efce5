"""The matches, by what they look at; each registers itself."""
from fastct.rules.matches import (
    address,
    bpf,
    clock,
    connection,
    hashlimit,
    headers,
    icmp,
    ipsec,
    ipvs,
    packet,
    payload,
    policy,
    ports,
    rate,
    rateest,
    recent,
    sctp,
    sets,
    sockets,
    state,
    u32,
)

__all__ = ["address", "bpf", "clock", "connection", "hashlimit", "headers", "icmp", "ipsec", "ipvs", "packet",
           "payload", "policy", "ports", "rate", "rateest", "recent", "sctp", "sets", "sockets", "state", "u32"]
