"""Rules as text: the words of ``-S`` and the lines of iptables-save."""
from fastct.rules import names

HEADER = (("source", "-s"), ("destination", "-d"), ("in_interface", "-i"), ("out_interface", "-o"),
          ("protocol", "-p"), ("fragment", "-f"))


def _header_words(header, family):
    for attribute, option in HEADER:
        value = getattr(header, attribute)
        if attribute in ("source", "destination"):
            value = names.network_text(value, family) if value.mask or attribute in header.inverted else ""
        elif attribute == "protocol":
            value = names.protocol_name(value) if value else ""
        if not value:
            continue
        if attribute in header.inverted:
            yield "!"
        yield option
        if value is not True:
            yield value


def rule_words(rule, family, counters=False):
    """The words behind ``-A CHAIN``; with ``counters`` those of ``-S -v``."""
    words = list(_header_words(rule.header, family))
    for use in rule.matches:
        words += ["-m", use.extension.name, *use.extension.save(use)]
    if counters:
        words += ["-c", str(rule.counters.packets), str(rule.counters.bytes)]
    if rule.jump:
        words += ["-g" if rule.goto else "-j", rule.jump]
    if rule.target:
        words += rule.target.extension.save(rule.target)
    return words


def rule_line(chain, rule, family, counters=False):
    """The line of -S."""
    return " ".join(["-A", chain.name, *rule_words(rule, family, counters)])


def chain_lines(chain, family, counters=False):
    """The lines of -S that a chain's rules make."""
    return [rule_line(chain, rule, family, counters) for rule in chain.rules]


def table_lines(table, family, counters=False):
    """The lines of iptables-save for a table, without the comments."""
    yield f"*{table.name}"
    for chain in table.chains.values():
        packets, octets = chain.counters.packets, chain.counters.bytes
        yield f":{chain.name} {chain.policy or '-'} [{packets}:{octets}]"
    for chain in table.chains.values():
        for rule in chain.rules:
            line = rule_line(chain, rule, family)
            yield f"[{rule.counters.packets}:{rule.counters.bytes}] {line}" if counters else line
    yield "COMMIT"
