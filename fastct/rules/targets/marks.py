"""Targets that mark the packet or its connection."""
import re
from dataclasses import dataclass

from fastct.rules.extension import Option, Target, exclusive
from fastct.rules.kinds import Kind, Mask, Number, Text
from fastct.rules.words import Failure, Refused

ALL = 0xFFFFFFFF


class SetMark(Mask):
    """``VALUE[/MASK]`` where the value's bits are set too: the pair that --set-xmark has for it."""

    def read(self, words, context):
        value, mask = super().read(words, context)
        return value, value | mask


@dataclass(frozen=True)
class Bits(Number):
    """A number that stands for a pair of a value and a mask: what ``pair`` makes of the number and all bits set."""
    pair: object = None

    def read(self, words, context):
        return self.pair(super().read(words, context), (1 << self.bits) - 1)


def bit_options(what, stands_for, bits=32):
    """The options --and-X, --or-X and --xor-X, which stand for another one's value and mask."""
    pairs = (("and", lambda value, every: (0, value ^ every)), ("or", lambda value, every: (value, value)),
             ("xor", lambda value, every: (value, 0)))
    return tuple(Option(f"{word}-{what}", Bits(bits, pair=pair), as_option=stands_for) for word, pair in pairs)


def operation(value, mask, every, form):
    """What a value and a mask do, as listings call it; None when it has no name but "set"."""
    if value == 0:
        return f"and {form.format(mask ^ every)}"
    if value == mask:
        return f"or {form.format(value)}"
    return f"xor {form.format(value)}" if mask == 0 else None


def mark_text(value, mask):
    """MARK's and CONNMARK's listing of a pair."""
    plain = f"set {value:#x}" if mask == ALL else f"xset {value:#x}/{mask:#x}"
    return operation(value, mask, ALL, "{:#x}") or plain


SET_OPTIONS = (Option("set-xmark", Mask(always=True)), Option("set-mark", SetMark(), as_option="set-xmark"),
               *bit_options("mark", "set-xmark"))


class Mark(Target):
    """``set-xmark``: value and mask; the mark becomes (mark & ~mask) ^ value."""
    name = "MARK"
    options = exclusive(*SET_OPTIONS)

    def verify(self, use, rule):
        if not use.values:
            raise Failure("MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required")

    def show(self, use, numeric):
        return f"MARK {mark_text(*use.get('set-xmark'))}"

    def compile(self, use, out):
        out.effect("set_mark", *use.get("set-xmark"))


class Connmark(Target):
    """``set-xmark`` as MARK's, or ``save-mark`` or ``restore-mark`` with ``nfmask`` and ``ctmask``.

    A shift is ``left-shift-mark`` or ``right-shift-mark``, never both, never 0.
    """
    name = "CONNMARK"
    actions = exclusive(*SET_OPTIONS, Option("save-mark"), Option("restore-mark"),
                        first=("set-mark", "save-mark", "restore-mark"))
    shifts = ("left-shift-mark", "right-shift-mark")
    options = (*actions, Option("nfmask", Number(form="{:#x}"), excludes=("mask",)),
               Option("ctmask", Number(form="{:#x}"), excludes=("mask",)),
               *(Option(name, Number(high=32)) for name in shifts), Option("mask", Number()))

    def verify(self, use, rule):
        if not any(option.name in use for option in self.actions):
            raise Failure("CONNMARK target: No operation specified")

    def finish(self, use, rule):
        given, use.values = use.values, {}
        nfmask = ctmask = ALL
        for name, value in given.items():         # the later one counts
            if name in self.shifts:
                use.values = {key: old for key, old in use.values.items() if key not in self.shifts}
                use.values |= {name: value} if value else {}
            elif name == "set-xmark":
                use.values[name], ctmask = value, value[1]
            elif name.endswith("mask"):
                nfmask = value if name != "ctmask" else nfmask
                ctmask = value if name != "nfmask" else ctmask
            else:
                use.values[name] = value
        if "set-xmark" in use:
            use.values["set-xmark"] = (use.get("set-xmark")[0], ctmask)
        else:
            use.values |= {"nfmask": nfmask, "ctmask": ctmask}

    def check(self, use, rule, place):
        if any(use.get(name, 0) >= 32 for name in self.shifts):
            raise Refused

    def show(self, use, numeric):
        if "set-xmark" in use:
            words = [mark_text(*use.get("set-xmark"))]
        else:
            action, ours, other = (("save", "nfmask", "ctmask") if "save-mark" in use
                                   else ("restore", "ctmask", "nfmask"))
            words = [action]
            if use.get(ours) != use.get(other):
                words.append(f"{ours} {use.get(ours):#x} {other} ~{use.get(other):#x}")
            elif use.get(ours) != ALL:
                words.append(f"mask {use.get(ours):#x}")
        return " ".join(["CONNMARK", *words, *(f"{name} {use.get(name)}" for name in self.shifts if name in use)])

    def compile(self, use, out):
        right = "right-shift-mark" in use
        shift = (use.get(self.shifts[right], 0), right)
        if "set-xmark" in use:
            out.effect("set_connmark", *use.get("set-xmark"), *shift)
        else:
            action = "save_mark" if "save-mark" in use else "restore_mark"
            out.effect(action, use.get("ctmask"), use.get("nfmask"), *shift)


class Class(Kind):
    """``MAJOR:MINOR`` in hexadecimal, of which 16 bits each count: a pair."""
    count = 1

    def read(self, words, context):
        hexadecimal = r"\s*([+-]?(?:0[xX])?[0-9a-fA-F]+)"
        found = re.match(f"{hexadecimal}:{hexadecimal}", words[0])
        if not found:
            raise Failure(f'Bad class value "{words[0]}"', word=words[0])
        return tuple(int(part, 16) & 0xFFFF for part in found.groups())

    def write(self, value):
        return ("{:04x}:{:04x}".format(*value),)


class Classify(Target):
    name, hooks = "CLASSIFY", ("FORWARD", "OUTPUT", "POSTROUTING")
    options = (Option("set-class", Class(), needed=True),)

    def show(self, use, numeric):
        return "CLASSIFY set {:x}:{:x}".format(*use.get("set-class"))

    def compile(self, use, out):
        """The priority is the queueing's of devices, which there are none of."""


class Connsecmark(Target):
    name, tables = "CONNSECMARK", ("mangle", "security")
    options = exclusive(Option("save"), Option("restore"))

    def verify(self, use, rule):
        if not use.values:
            raise Failure("CONNSECMARK target: parameter required")

    def show(self, use, numeric):
        return f"CONNSECMARK {'save' if 'save' in use else 'restore'}"

    def compile(self, use, out):
        out.note("CONNSECMARK: no security module labels packets")


class Secmark(Target):
    """Without a security module there is no context that the kernel would know."""
    name, tables = "SECMARK", ("mangle", "security")
    options = (Option("selctx", Text(cut=255, raw=True), needed=True),)

    def check(self, use, rule, place):
        raise Refused(Refused.ABSENT)

    def show(self, use, numeric):
        return f"SECMARK selctx {use.get('selctx')}"
