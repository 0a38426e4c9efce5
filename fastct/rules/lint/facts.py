"""What Linux itself sees to: packets that no rule of a table can meet, as boxes."""
from typing import NamedTuple

from fastct.records import CTSTATES
from fastct.rules.lint.boxes import NO_PROTOCOL, TOPS, joined, without
from fastct.wire.transport import TCP_FLAGS_VALID, icmp_role

TCP = 6
ICMP = {4: 1, 6: 58}
TRACKED = ("filter", "mangle", "nat", "security")        # tables behind conntrack

# Matches and targets that have conntrack at work; with NAT all of its table does.
WANT_CONNTRACK = frozenset((
    "state", "conntrack", "connmark", "connbytes", "connlabel", "connlimit", "helper", "CONNMARK", "CT", "NOTRACK",
    "SNAT", "DNAT", "MASQUERADE", "REDIRECT", "NETMAP"))

# What a type of ICMP is to conntrack, and the ctstates that no packet of it has.
NO_STATES = {"answer": ("NEW",), "error": ("NEW", "ESTABLISHED"), "": ("NEW", "ESTABLISHED", "RELATED"),
             "untracked": ("NEW", "ESTABLISHED", "RELATED", "INVALID")}


class Fact(NamedTuple):
    """Why there are no packets of some kind."""
    words: str


def states(*names):
    """The values of some ctstates."""
    return joined((CTSTATES.index(name),) * 2 for name in names)


INVALID = {"ctstate": states("INVALID")}
HOOKS = {
    "PREROUTING": ({"out_interface": without(((0, TOPS["out_interface"]),), ((0, 0),))},
                   "a packet that comes in has no interface to go out by yet"),
    "OUTPUT": ({"in_interface": without(((0, TOPS["in_interface"]),), ((0, 0),))},
               "a packet of the host itself has not come in by an interface"),
}
HOOKS["INPUT"] = (HOOKS["PREROUTING"][0], "a packet for the host itself does not go out by an interface")


def hook_facts(hook):
    """Boxes that are empty at a hook, each with its Fact."""
    return [(HOOKS[hook][0], Fact(HOOKS[hook][1]))] if hook in HOOKS else []


def _untracks(ruleset):
    """Whether some rule makes packets UNTRACKED, those that it lets go on or copies of them, or speaks of IPVS, which
    does."""
    return any(use.extension.name in ("NOTRACK", "TEE", "ipvs") or (use.extension.name == "CT" and "notrack" in use)
               for table in ruleset.tables.values() for chain in table.chains.values() for rule in chain.rules
               for use in rule.uses)


def _tracks(ruleset):
    """Whether some rule needs conntrack, which then is there for all of them."""
    return any(use.extension.name in WANT_CONNTRACK for table in ruleset.tables.values()
               for chain in table.chains.values() for rule in chain.rules for use in rule.uses)


def table_facts(ruleset, name):
    """Boxes that are empty in a table, each with its Fact."""
    facts = []
    if _tracks(ruleset):
        facts.append(({"fragment": ((1, 1),)}, Fact("conntrack puts fragments together before any table")))
    if name not in TRACKED:
        return facts
    if name == "nat":
        facts.append(({"ctstate": states("INVALID", "ESTABLISHED", "UNTRACKED")},
                      Fact("the nat table sees only packets that begin a connection")))
    facts += _tcp_facts() + _icmp_facts(ruleset.family)
    if not _untracks(ruleset):
        facts += _untracked_facts(ruleset.family)
    return facts


def _tcp_facts():
    odd = joined((flags, flags) for flags in range(TOPS["flags"] + 1) if flags not in TCP_FLAGS_VALID)
    return [({"fragment": ((0, 0),), "protocol": ((TCP, TCP),), "flags": odd,
              "ctstate": states("NEW", "ESTABLISHED", "RELATED")},
             Fact("TCP with flags that no host sends together is INVALID"))]


def _types(family, role):
    return joined((kind << 8, kind << 8 | 0xFF) for kind in range(256) if icmp_role(family, kind) == role)


def _icmp(family, role, no_states):
    number = ICMP[family]
    return {"fragment": ((0, 0),), "protocol": ((number, number),), "icmp": _types(family, role),
            "ctstate": states(*no_states)}


def _icmp_facts(family):
    words = {"answer": "an ICMP answer does not begin a connection", "error": "an ICMP error is RELATED or INVALID",
             "": "ICMP that is neither question, answer nor error is INVALID",
             "untracked": "neighbour discovery and the like are UNTRACKED"}
    return [(_icmp(family, role, no_states), Fact(words[role])) for role, no_states in NO_STATES.items()
            if _types(family, role)]


def _untracked_facts(family):
    fact = Fact("no rule makes packets UNTRACKED")
    if family == 4:
        return [({"ctstate": states("UNTRACKED")}, fact)]
    number = ICMP[6]
    return [({"protocol": ((0, number - 1), (number + 1, NO_PROTOCOL)), "ctstate": states("UNTRACKED")}, fact),
            *((_icmp(6, role, ("UNTRACKED",)), fact) for role in ("request", "answer", "error", ""))]
