"""Chains and rules as tables for people: -L, and the line that -v has for a rule that is added or deleted.

Addresses are never looked up: without ``numeric`` they are ``anywhere`` or numbers.
"""
from dataclasses import dataclass

from fastct.rules import names

SUFFIXES = "KMGT"
LARGEST = 99_999            # that is written in full


@dataclass(frozen=True)
class Style:
    """How to list: ``numeric`` (-n), ``verbose`` (-v), ``exact`` (-x), ``numbers`` (--line-numbers)."""
    numeric: bool = False
    verbose: bool = False
    exact: bool = False
    numbers: bool = False


def figure(value, exact):
    """A counter: in full, or rounded to what fits with K, M, G or T behind."""
    if exact or value <= LARGEST:
        return str(value)
    suffixes = iter(SUFFIXES)
    suffix = ""
    while not suffix or (value > 9999 and suffix != SUFFIXES[-1]):
        value, suffix = (value + 500) % (1 << 64) // 1000, next(suffixes)
    return f"{value}{suffix}"


def _bang(header, attribute, otherwise=" "):
    return "!" if attribute in header.inverted else otherwise


def _address(network, family, numeric):
    if not network.mask and not numeric:
        return "anywhere"
    return names.network_text(network, family, always_length=not network.mask)


def _protocol(header, numeric):
    return str(header.protocol) if numeric else names.protocol_name(header.protocol)


def _fragment(header):
    return _bang(header, "fragment", "-") + ("f" if header.fragment else "-")


def _interface(header, attribute, numeric):
    return _bang(header, attribute, "") + (getattr(header, attribute) or ("*" if numeric else "any"))


def _extensions(rule, numeric):
    yield "[goto] " if rule.goto else ""
    for use in (*rule.matches, *((rule.target,) if rule.target else ())):
        text = use.extension.show(use, numeric)
        yield f"{use.extension.blank}{text}" if text else ""


def _target(rule):
    return (rule.target.extension.listed if rule.target else "") or rule.jump


def rule_row(rule, number, family, style):
    """The line of -L of a rule."""
    header, numeric = rule.header, style.numeric
    parts = [f"{number:<4} "] if style.numbers else []
    if style.verbose:
        width = 8 if style.exact else 5
        for value in (rule.counters.packets, rule.counters.bytes):
            parts.append(f"{figure(value, style.exact):>{width}} ")
    parts += [f"{_target(rule):<9} ", _bang(header, "protocol"), f"{_protocol(header, numeric):<4} ",
              _fragment(header), " "]
    if style.verbose:
        parts += [f" {_interface(header, side, numeric):<6}" for side in ("in_interface", "out_interface")] + [" "]
    for side in ("source", "destination"):
        parts += [_bang(header, side), f"{_address(getattr(header, side), family, numeric):<19} "]
    return "".join([*parts, *_extensions(rule, numeric)])


def rule_echo(rule, family):
    """The line that -v has for a rule that is added or deleted."""
    header = rule.header
    return "".join([
        f"{_target(rule)} ", _bang(header, "protocol"), names.known_protocol(header.protocol),
        " opt ", _fragment(header),
        f" in {_interface(header, 'in_interface', True)} out {_interface(header, 'out_interface', True)} ",
        f"{_bang(header, 'source')}{_address(header.source, family, True)} ",
        f"{_bang(header, 'destination')}-> {_address(header.destination, family, True)}  ",
        *_extensions(rule, True)])


def _title(table, chain, style):
    if chain.policy is None:
        return f"Chain {chain.name} ({table.references(chain.name)} references)"
    packets, octets = (figure(value, style.exact) for value in (chain.counters.packets, chain.counters.bytes))
    counters = f" {packets} packets, {octets} bytes" if style.verbose else ""
    return f"Chain {chain.name} (policy {chain.policy}{counters})"


def _columns(style):
    counters = ("    pkts      bytes " if style.exact else " pkts bytes ") if style.verbose else ""
    return "".join(["num  " if style.numbers else "", counters, "target     prot opt ",
                    "in     out     " if style.verbose else "", "source               destination         "])


def chain_lines(table, chain, family, style, number=None):
    """The lines of a chain; with ``number`` that of one rule only, without a title."""
    if number is not None:
        return [rule_row(rule, number, family, style) for rule in chain.rules[number - 1:number]]
    rows = [rule_row(rule, place, family, style) for place, rule in enumerate(chain.rules, 1)]
    return [_title(table, chain, style), _columns(style), *rows]


def table_lines(table, family, style, name=None, number=None):
    """The lines of -L: of all chains, or of the one of that name."""
    lines = []
    for chain in table.chains.values() if name is None else [table.chain(name)]:
        lines += [""] if lines else []
        lines += chain_lines(table, chain, family, style, number)
    return lines
