"""Arguments of conntrack(8)'s options, read as C reads them: numbers are as many digits as there are, so that ``foo``
is 0; words may be cut short."""
import re
import socket
import sys
from ipaddress import ip_address

from fastct.cli.conntrack.options import DEPRECATED, NUMBERS, SEEN_REPLY, STATUS_BITS, UNREPLIED


class Failure(Exception):
    """What conntrack says, and its exit status."""

    OTHER, USAGE = 1, 2

    def __init__(self, message, status=USAGE):
        super().__init__(message)
        self.status = status


def number(text, base=10):
    """As strtoul reads it: digits at the front, 0 without any; base 0 knows 0x and 0."""
    if base == 0:
        found = re.match(r"\s*([+-]?)(?:0[xX]([0-9a-fA-F]+)|(\d+))", text)
        if not found:
            return 0
        if found[2]:
            value = int(found[2], 16)
        else:
            octal = re.match(r"0[0-7]*", found[3])
            value = int(octal[0], 8) if octal else int(found[3])
        return -value if found[1] == "-" else value
    found = re.match(r"\s*[+-]?\d+", text)
    return int(found[0]) if found else 0


def saturated(text):
    """32 bits of a number as atoi gives it."""
    value = number(text)
    return -1 & 0xFFFFFFFF if value >= 2**63 else value & 0xFFFFFFFF


def address(text):
    """An address; of IPv4 all that inet_aton takes."""
    try:
        return ip_address(socket.inet_aton(text)) if text and ":" not in text else ip_address(text)
    except (OSError, ValueError):
        raise Failure(f"Invalid IP address `{text}'") from None


def protocol(text):
    """The number of a protocol."""
    if text.lower() in NUMBERS:
        return NUMBERS[text.lower()]
    if re.fullmatch(r"0[xX][0-9a-fA-F]+|\d+", text) and number(text, 0) <= 255:
        return number(text, 0)
    try:
        return socket.getprotobyname(text)
    except OSError:
        raise Failure(f"`{text}' unsupported protocol") from None


def translation(text):
    """Address and port (or None) of a translation; an IPv6 address with a port is in brackets."""
    if "[" in text:
        inner, closed, rest = text.partition("[")[2].partition("]")
        if closed and not inner:
            raise Failure("No IPv6 address specified")
        if not closed:
            raise Failure("No closing ']' around IPv6 address")
        _, colon, port = rest.partition(":")
        plain = inner if colon else text
    else:
        plain, colon, port = text.partition(":") if text.count(":") == 1 else (text, "", "")
    if not colon:
        return plain, None
    if not port:
        raise Failure("No port specified after `:'")
    if not re.fullmatch(r"[0-9]+", port) or int(port) > 0xFFFF:
        raise Failure(f"Invalid port `{port}'")
    return plain, int(port)


def _word(text, words):
    """What a word means, which may be cut short; None for those that are out of use."""
    for old, new in DEPRECATED.items():
        if text and old.startswith(text.upper()):
            print(f"WARNING: ignoring {old}, use {new} instead", file=sys.stderr)
            return None
    for word, meaning in words.items():
        if text and word.lower().startswith(text.lower()):
            return meaning
    raise LookupError


def meanings(text, words):
    """Yield what the words of a list mean."""
    while True:
        word, comma, rest = text.partition(",")
        try:
            meaning = _word(word, words)
        except LookupError:
            raise Failure(f"Bad parameter `{text}'") from None
        if meaning is not None:
            yield meaning
        if not comma:
            return
        text = rest


def status(text):
    """Bits that a list of words asks for, and those that it is about: of ``!WORD`` they have to be 0."""
    wanted = without = 0
    while True:
        word, comma, rest = text.partition(",")
        negated = word.startswith("!")
        text, word = text[negated:], word[negated:]
        if not negated and text.startswith(UNREPLIED):
            without |= SEEN_REPLY
        else:
            try:
                bits = _word(word, STATUS_BITS) or 0
            except LookupError:
                raise Failure(f"Bad parameter `{text}'") from None
            wanted, without = (wanted, without | bits) if negated else (wanted | bits, without)
        if not comma:
            return wanted, without or wanted
        text = rest


def mark(text):
    """Value and mask."""
    value, slash, mask = text.partition("/")
    return number(value, 0) & 0xFFFFFFFF, number(mask, 0) & 0xFFFFFFFF if slash else 0xFFFFFFFF
