"""Connections as conntrack -o xml prints them: one ``flow`` a line, in a frame that the caller writes."""
from fastct.export.fields import (
    ASSURED,
    DIRECTIONS,
    FAMILY_NAMES,
    FAMILY_NUMBERS,
    GRE,
    ICMP,
    SCTP,
    SEEN_REPLY,
    address_of,
    protocol_of,
    state_of,
)
from fastct.records import EVENTS, HELPERS, STATES, ZONE_DIRS

XML_BEGIN = '<?xml version="1.0" encoding="utf-8"?>\n<conntrack>\n'
XML_END = "</conntrack>\n"
FIRST_OF_SCTP = 10      # in STATES


def _element(name, value):
    return f"<{name}>{value}</{name}>"


def _layer4(row, side):
    """What stands in the layer 4 of a direction; of ICMP conntrack prints nothing."""
    protocol = row["l4proto"]
    if protocol in ICMP or protocol_of(row) == "unknown":
        return ""
    names = ("srckey", "dstkey") if protocol == GRE else ("sport", "dport")
    ports = [int(row[f"{side}_{end}"]) for end in ("sport", "dport")]
    return "".join(_element(name, f"{port:#x}" if protocol == GRE else port)
                   for name, port in zip(names, ports, strict=True))


def _direction(row, side, counters):
    family = int(row["l3proto"])
    parts = [f'<meta direction="{"original" if side == "orig" else "reply"}">',
             f'<layer3 protonum="{FAMILY_NUMBERS[family]}" protoname="{FAMILY_NAMES[family]}">',
             _element("src", address_of(row, f"{side}_src")), _element("dst", address_of(row, f"{side}_dst")),
             f'</layer3><layer4 protonum="{row["l4proto"]}" protoname="{protocol_of(row)}">', _layer4(row, side),
             "</layer4>"]
    if ZONE_DIRS[row["zone_dir"]] == side:
        parts.append(_element("zone", row["zone"]))
    if counters:
        parts.append(_element("counters", _element("packets", row[f"{side}_packets"])
                              + _element("bytes", row[f"{side}_bytes"])))
    return "".join(parts) + "</meta>"


def _state(row):
    """The state; of SCTP, conntrack prints TCP's word for its number."""
    if row["l4proto"] == SCTP:
        return STATES[row["state"] - FIRST_OF_SCTP] or "NONE"
    return state_of(row)


def _independent(row, in_table, timeout, state, helper, labels=()):
    """What belongs to neither direction. ``in_table``: as a listing has it, not an event."""
    parts = [_element("state", state)] if state else []
    if timeout:
        parts.append(_element("timeout", row["timeout"]))
    if in_table or row["mark"]:
        parts.append(_element("mark", row["mark"]))
    if labels:
        parts.append(_element("labels", "".join(_element("label", label) for label in labels)))
    if row["zone"] and not row["zone_dir"]:
        parts.append(_element("zone", row["zone"]))
    if in_table:
        parts.append(_element("use", row["use"]))
    parts.append(_element("id", int(row["conn"]) & 0xFFFFFFFF))
    if row["status"] & ASSURED:
        parts.append("<assured/>")
    if not row["status"] & SEEN_REPLY:
        parts.append("<unreplied/>")
    return f'<meta direction="independent">{"".join(parts)}</meta>{_element("helper", helper) if helper else ""}'


def xml_flows(rows, labels_of=lambda row: ()):
    """Yield a line for each connection; ``labels_of`` gives the names of its labels."""
    for row in rows:
        directions = "".join(_direction(row, side, True) for side in DIRECTIONS)
        rest = _independent(row, True, True, _state(row), HELPERS[row["helper"]], labels_of(row))
        yield f"<flow>{directions}{rest}</flow>\n"


def xml_events(rows):
    """Yield a line for each event: counters only of what has ended, but no helper; no timeout that has run out, and no
    state that an update left as it was."""
    for event in rows:
        row, word = event["row"], EVENTS[event["type"]].lower()
        ended = word == "destroy"
        timeout, helper = bool(row["timeout"]) or not ended, "" if ended else HELPERS[row["helper"]]
        state = "" if word == "update" and not row["state"] else _state(row)
        yield (f'<flow type="{word}">{"".join(_direction(row, side, ended) for side in DIRECTIONS)}'
               f"{_independent(row, False, timeout, state, helper)}</flow>\n")
