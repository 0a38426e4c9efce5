"""Matches on the IP header and on nothing at all."""
from fastct.rules.extension import Match, Option
from fastct.rules.kinds import Number, Text


class Comment(Match):
    name = "comment"
    options = (Option("comment", Text(most=255), needed=True),)

    def show(self, use, numeric):
        return f"/* {use.get('comment')} */"


class Ttl(Match):
    name, families = "ttl", (4,)
    options = (Option("ttl-eq", Number(8), invert=True), Option("ttl-lt", Number(8)), Option("ttl-gt", Number(8)))
    at_most_one = ("ttl-eq", "ttl-lt", "ttl-gt")
    signs = {"ttl-eq": "==", "ttl-lt": "<", "ttl-gt": ">"}

    def show(self, use, numeric):
        (name, value), = use.values.items()
        return f"TTL match TTL {'!=' if name in use.inverted else self.signs[name]} {value}"
