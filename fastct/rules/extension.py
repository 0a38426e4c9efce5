"""What a match or a target is to the text side: its options, where it may stand, and how it prints.

An extension is one subclass of ``Match`` or ``Target`` and registers itself by being defined:

    class Ttl(Match):
        name, families = "ttl", (4,)
        options = (Option("ttl-eq", Number(8), invert=True), Option("ttl-lt", Number(8)), …)
        at_most_one = ("ttl-eq", "ttl-lt", "ttl-gt")

        def show(self, use, numeric): ...      # the text of -L; that of -S comes from the table of options

A rule holds a ``Use`` of it: the values of the options that were given, in one canonical form, so that two rules are
the same rule when they are equal.
"""
from dataclasses import dataclass, field, replace
from typing import ClassVar

from fastct.rules.kinds import FLAG, Kind
from fastct.rules.words import Failure, Refused


@dataclass(frozen=True)
class Option:
    """An option: its ``name`` without dashes, the ``kind`` of its argument, and what iptables checks about it."""
    name: str
    kind: Kind = FLAG
    invert: bool = False          # takes a ``!``
    needed: bool = False          # must be given
    repeat: bool = False          # may be given again: the last one counts
    excludes: tuple = ()          # options that it does not go with
    requires: tuple = ()          # options that it needs
    alias: tuple = ()             # other names
    as_option: str = ""           # stands for this option; ``kind`` reads the value for that one
    warning: str = ""             # what iptables says to whoever uses it
    said: str = ""                # its name in libxtables' errors, when it is not ``name``
    again: str = ""               # the error when it is given twice, when it is not libxtables'


def exclusive(*options, first=()):
    """Options of which only one may be given: each excludes those behind it, and names those of ``first`` first."""
    behind = [[other.name for other in options[at:]] for at in range(1, len(options) + 1)]
    return tuple(replace(option, excludes=tuple(sorted(others, key=lambda name: name not in first)))
                 for option, others in zip(options, behind, strict=True))


@dataclass(slots=True)
class Use:
    """An extension as a rule uses it: values of options by name, and the names that are inverted."""
    extension: "Extension"
    values: dict = field(default_factory=dict)
    inverted: frozenset = frozenset()

    def __contains__(self, name):
        return name in self.values

    def get(self, name, default=None):
        """The value of an option, or ``default`` when it was not given."""
        return self.values.get(name, default)

    def bang(self, name, text="!"):
        """``text`` if the option is inverted, else nothing."""
        return text if name in self.inverted else ""


class Extension:
    """A match or target: one row of the registry."""
    name: ClassVar[str] = ""
    families: ClassVar[tuple] = (4, 6)
    options: ClassVar[tuple] = ()
    order: ClassVar[tuple] = ()           # options in the order of -S, where ``options`` are in another one
    unwritten: ClassVar[dict] = {}        # values by option that -S does not have, be they inverted or not
    blank: ClassVar[str] = " "            # what stands before its text in -L
    at_most_one: ClassVar[tuple] = ()     # options of which at most one may be given
    absent: ClassVar[int | None] = None   # the revision that iptables misses in the kernel
    # Where the kernel takes it: None is anywhere.
    tables: ClassVar[tuple | None] = None
    hooks: ClassVar[tuple | None] = None
    protocols: ClassVar[tuple | None] = None      # the rule must have ``-p`` one of these, not inverted

    def option(self, name):
        """The option of that name or alias, or None."""
        return next((o for o in self.options if name == o.name or name in o.alias), None)

    def accept(self, use, option, invert, context):
        """Check an option against those before it; raises Failure, with libxtables' words."""
        if option.name in use.values and not option.repeat:
            raise Failure(option.again) if option.again else context.failure('option "--{}" can only be used once.')
        if invert and not option.invert:
            raise context.failure('option "--{}" cannot be inverted.')

    def take(self, use, option, value, invert):
        """Note the value of an option that has been read."""
        use.values[option.name] = value
        if invert:
            use.inverted |= {option.name}

    def verify(self, use, rule):
        """Check what iptables checks before it holds the options against their table; raises Failure."""

    def finish(self, use, rule):
        """Check what only all options together show, fill in defaults: called when the rule has been read.

        => ``rule.header`` is complete. Raises Failure, with iptables' words.
        """

    def check(self, use, rule, place):
        """What the kernel refuses beyond tables, hooks and protocols: raises Refused. ``place``: a Place."""

    def save(self, use):
        """The words of ``-S`` behind the extension's name."""
        words = []
        for option in map(self.option, self.order) if self.order else self.options:
            value = use.get(option.name)
            if value is not None and not option.as_option and self.unwritten.get(option.name) != value:
                words += ["!"] if option.name in use.inverted else []
                words += [f"--{option.name}", *option.kind.write(value)]
        return words

    def show(self, use, numeric):
        """The text of ``-L``; "" for nothing. ``numeric``: no names for addresses, ports and the like."""
        raise NotImplementedError(self.name)

    def compile(self, use, out):
        """What a packet is asked, or what is done to it: ops for an Assembler (``compile.py``)."""
        raise NotImplementedError(self.name)


MATCHES: dict[tuple[str, int], "Match"] = {}
TARGETS: dict[tuple[str, int], "Target"] = {}


def by_family(name):
    """Define an extension once for each of its families, where its options differ: ``options_for(family)``."""
    def define(cls):
        for family in cls.families:
            type(cls.__name__, (cls,), {"name": name, "family": family, "families": (family,),
                                        "options": cls.options_for(family), "__doc__": cls.__doc__})
        return cls
    return define


def _register(registry, cls):
    for family in cls.families if cls.name else ():
        registry[cls.name, family] = cls()


class Match(Extension):
    """A condition; registered by being defined."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        _register(MATCHES, cls)


class Target(Extension):
    """What is done to a packet; registered by being defined."""
    terminates: ClassVar[bool] = False    # ends the table for the packet (else the next rule follows)
    listed: ClassVar[str] = ""            # the name in -L when that is another one

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        _register(TARGETS, cls)


@dataclass(frozen=True)
class Place:
    """Where a rule stands: its table, and the hooks from which packets come to its chain."""
    table: str
    hooks: tuple
    family: int = 4
    estimators: frozenset = frozenset()     # names that RATEEST targets measure


def only_for(rule, protocols):
    """Whether a rule is for packets of one of these protocols only."""
    return rule.header.protocol in protocols and "protocol" not in rule.header.inverted


def admit(use, rule, place):
    """Raise Refused if the kernel would not take this extension in this place."""
    extension = use.extension
    if extension.absent is not None:
        raise Refused(Refused.ABSENT)
    if extension.tables is not None and place.table not in extension.tables:
        raise Refused
    if extension.hooks is not None and not set(place.hooks) <= set(extension.hooks):
        raise Refused
    if extension.protocols is not None and not only_for(rule, extension.protocols):
        raise Refused
    extension.check(use, rule, place)


def fold(use):
    """Options that stand for another one become that one: afterwards there is one value, of the other's name."""
    if not any(option.as_option for option in use.extension.options):
        return
    stands_for = {option.name: option.as_option or option.name for option in use.extension.options}
    use.values = {stands_for.get(name, name): value for name, value in use.values.items()}
    use.inverted = frozenset(stands_for[name] for name in use.inverted)


def _broken(extension, option, how, other=None):
    said = {option.name: option.said or option.name for option in extension.options}
    end = "" if other is None else f' "--{said[other]}".'
    return Failure(f'{extension.name}: option "--{said[option.name]}" {how}{end}\n')


def needed(extension, use):
    """Raise Failure for a rule of the table of options that ``use`` breaks."""
    for option in extension.options:
        if option.name not in use.values:
            if option.needed:
                raise _broken(extension, option, "must be specified")
            continue
        for other in option.requires:
            if other not in use.values:
                raise _broken(extension, option, "also requires", other)
        for other in option.excludes:
            if other in use.values:
                raise _broken(extension, option, "cannot be used together with", other)
    if sum(name in use.values for name in extension.at_most_one) > 1:
        raise Failure(f"{extension.name}: At most one action is possible")
