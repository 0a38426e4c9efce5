"""What -h prints."""
from fastct.rules.commands import COMMAND_OPTIONS, VERSION
from fastct.rules.parse import RULE_OPTIONS

ABOUT = {
    "A": "CHAIN RULE", "D": "CHAIN RULE | CHAIN NUMBER", "C": "CHAIN RULE", "I": "CHAIN [NUMBER] RULE",
    "R": "CHAIN NUMBER RULE", "L": "[CHAIN [NUMBER]]", "S": "[CHAIN [NUMBER]]", "F": "[CHAIN]",
    "Z": "[CHAIN [NUMBER]]", "N": "CHAIN", "X": "[CHAIN]", "E": "CHAIN NEW-NAME", "P": "CHAIN ACCEPT|DROP",
    "t": "TABLE", "w": "[SECONDS]", "W": "MICROSECONDS", "M": "COMMAND", "h": "",
    "p": "PROTOCOL", "s": "ADDRESS[/MASK][,...]", "d": "ADDRESS[/MASK][,...]", "i": "NAME[+]", "o": "NAME[+]",
    "m": "MATCH", "j": "TARGET", "g": "CHAIN", "c": "PACKETS BYTES",
}


def usage(program, family):
    """The text of -h. (iptables' own has the same options in other words.)"""
    lines = [f"{program} {VERSION}", "", f"Usage: {program} COMMAND [OPTION...]", ""]
    for letter, (name, *_), _ in COMMAND_OPTIONS + RULE_OPTIONS:
        if letter == "f" and family == 6:
            continue
        short = f"-{letter}" if letter != "0" else "  "
        lines.append(f"  {short}  {'--' + name:<17} {ABOUT.get(letter, '')}".rstrip())
    return "\n".join(lines) + "\n"
