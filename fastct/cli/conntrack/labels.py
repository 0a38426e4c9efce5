"""Names of labels, as libnetfilter_conntrack reads them from its file: lines of a number and a name."""
import re
import sys

from fastct.cli.conntrack.values import Failure, number

LABEL_NAMES = "/etc/xtables/connlabel.conf"
LABELS = 128            # that a connection has room for
NUMBERS = 1024          # no number beyond is read
LINE = re.compile(r"\s*(0[xX][0-9a-fA-F]+|\d+)\s*([A-Za-z0-9 -]*[A-Za-z0-9-])\s*")


def read_names(path=LABEL_NAMES):
    """The names by number; the first of a number and the first of a name count."""
    names = {}
    try:
        with open(path, encoding="latin-1", newline="\n") as file:
            for line in file:
                found = LINE.fullmatch(line)
                bit = number(found[1], 0) if found else NUMBERS
                if bit < NUMBERS and found[2] not in names.values():
                    names.setdefault(bit, found[2])
    except OSError as error:
        print(f"nfct_labelmap_new: {error.strerror}", file=sys.stderr)
    return names


def parse_labels(text, names):
    """The numbers of a list of names."""
    bits = {name: bit for bit, name in names.items()}
    for name in text.split(","):
        if name not in bits:
            raise Failure(f"unknown label '{name}'")
    return {bits[name] for name in text.split(",")}


def label_bytes(bits):
    """Labels as a connection keeps them."""
    return sum(1 << bit for bit in bits).to_bytes(LABELS // 8, "little")


def labels_of(row):
    """The numbers of a row's labels, in order."""
    bits = int.from_bytes(row["labels"].tobytes(), "little")
    return [bit for bit in range(LABELS) if bits >> bit & 1]
