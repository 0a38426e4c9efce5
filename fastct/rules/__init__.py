"""Rules: iptables-save text ⇄ model ► compiled program ► evaluation."""
from fastct.rules import matches, targets
from fastct.rules.model import Rule
from fastct.rules.ruleset import Chain, Ruleset, Table

__all__ = ["Chain", "Rule", "Ruleset", "Table", "matches", "targets"]
