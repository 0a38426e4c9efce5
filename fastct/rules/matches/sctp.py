"""The match on SCTP: ports and chunks."""
from fastct.rules.extension import Option
from fastct.rules.kinds import Kind, PortRange
from fastct.rules.matches.ports import Ports, port_options
from fastct.rules.words import Failure

# Chunks by name; the order is iptables'.
CHUNKS = {
    "DATA": 0, "INIT": 1, "INIT_ACK": 2, "SACK": 3, "HEARTBEAT": 4, "HEARTBEAT_ACK": 5, "ABORT": 6, "SHUTDOWN": 7,
    "SHUTDOWN_ACK": 8, "ERROR": 9, "COOKIE_ECHO": 10, "COOKIE_ACK": 11, "ECN_ECNE": 12, "ECN_CWR": 13,
    "SHUTDOWN_COMPLETE": 14, "I_DATA": 64, "RE_CONFIG": 130, "PAD": 132, "ASCONF": 193, "ASCONF_ACK": 128,
    "FORWARD_TSN": 192, "I_FORWARD_TSN": 194,
}
CHUNK_NAMES = {number: name for name, number in CHUNKS.items()}
# Flags of chunks that have some, the letter of bit 7 first; a capital letter: it must be set, a small one: it must not.
FLAGS = {0: "----IUBE", 6: "-------T", 14: "-------T", 64: "----IUBE"}
LAST_OLD = 14       # iptables keeps flags by the place of a chunk in its table, which for later ones is not the number
HOW = ("all", "any", "only")
EVERY = tuple((chunk, 0, 0) for chunk in range(256))


class Chunks(Kind):
    """``all|any|only CHUNK[:FLAGS][,…]``: how; per chunk its number, the mask of its flags and what they must be."""
    count = 2
    wants = "--chunk-types requires two args"

    def read(self, words, context):
        how = words[0].lower()
        if how not in HOW:
            raise Failure('Match type has to be one of "ALL", "ANY" or "ONLY"')
        if words[1].upper() in ("ALL", "NONE"):
            return (how, EVERY if words[1].upper() == "ALL" else ())
        chunks = {}
        for text in filter(None, words[1].split(",")):
            name, _, letters = text.partition(":")
            chunk = CHUNKS.get(name.upper())
            if chunk is None:
                raise Failure(f"Unknown sctp chunk `{name}'", word=words[1])
            _, mask, wanted = chunks.get(chunk, (chunk, 0, 0))
            for letter in letters:
                place = FLAGS.get(chunk, "").find(letter.upper())
                if place < 0:
                    raise Failure(f"Invalid flags for chunk type {list(CHUNKS).index(name.upper())}", word=words[1])
                if chunk <= LAST_OLD:
                    bit = 1 << (7 - place)
                    mask |= bit
                    wanted = wanted | bit if letter.isupper() else wanted & ~bit
            chunks[chunk] = (chunk, mask, wanted)
        return (how, tuple(chunks[chunk] for chunk in sorted(chunks)))

    def write(self, value):
        return (value[0], chunks_text(value[1], False))


def chunks_text(chunks, numeric):
    """``DATA:Be,INIT``, or ALL, or NONE."""
    if chunks in (EVERY, ()):
        return "ALL" if chunks else "NONE"
    return ",".join((f"0x{chunk:04X}" if numeric else CHUNK_NAMES[chunk]) + _letters(chunk, mask, wanted)
                    for chunk, mask, wanted in chunks)


def _letters(chunk, mask, wanted):
    letters = "".join(letter if wanted >> bit & 1 else letter.lower()
                      for bit, letter in zip(range(7, -1, -1), FLAGS.get(chunk, ""), strict=False) if mask >> bit & 1)
    return f":{letters}" if letters else ""


class Sctp(Ports):
    name, protocols, header = "sctp", (132,), 12
    options = (
        *port_options(PortRange("sctp"), "Only one `--{}' allowed"),
        Option("chunk-types", Chunks(), invert=True, again="Only one `--chunk-types' allowed"),
    )

    def beside(self, use, numeric):
        if "chunk-types" in use:
            how, chunks = use.get("chunk-types")
            yield f"{use.bang('chunk-types', '! ')}{how} {chunks_text(chunks, numeric)}"

    def compile(self, use, out):
        super().compile(use, out)
        if "chunk-types" in use:
            how, chunks = use.get("chunk-types")
            asked, masks, wanted = bytearray(256), bytearray(256), bytearray(256)
            for chunk, mask, flags in chunks:
                asked[chunk], masks[chunk], wanted[chunk] = 1, mask, flags
            out.test("chunks", HOW.index(how), blob=bytes(asked + masks + wanted), invert="chunk-types" in use.inverted)
