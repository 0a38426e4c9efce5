"""What rules keep by name: lists of addresses, tables of rates, estimators.

As in Linux it is shared by all rules that say the name, whatever their table, and is there as long as one of them is: a
ruleset that takes another's place finds what that had kept. So programs hold it, and here it is only known.
"""
from weakref import WeakValueDictionary


class Estate(WeakValueDictionary):
    """States by key, ("recent", "DEFAULT") and the like, as long as some program has them."""

    def shared(self, key, make):
        """The State of a key; ``make()`` makes it if there is none."""
        found = self.get(key)
        if found is None:
            found = self[key] = make()
        return found
