"""What is wrong with a ruleset that iptables takes: rules that no packet meets or that change nothing, idle chains.

>>> from fastct.rules import Ruleset
>>> rules = Ruleset.parse("*filter\n-A INPUT -p tcp -j DROP\n-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT\n")
>>> [(finding.kind, finding.line) for finding in lint(rules.model)]
[('shadowed', 3)]
"""
from fastct.rules.lint.findings import KINDS, Finding, lint, lint_table

__all__ = ["KINDS", "Finding", "lint", "lint_table"]
