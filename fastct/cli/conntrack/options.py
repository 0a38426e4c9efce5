"""conntrack(8)'s options: their letters and names, what each protocol adds, and what may go with which command."""
from fastct.records import STATES

COMMANDS = "LIUDGEFASChV"       # by their letters
NO_TABLE_ARGUMENT = "hVS"       # no argument is joined to them
TABLES = ("expect", "conntrack", "dying", "unconfirmed")       # as they are looked for
LONG_COMMANDS = {"dump": "L", "create": "I", "add": "A", "delete": "D", "update": "U", "get": "G", "flush": "F",
                 "event": "E", "counter": "C", "count": "C", "stats": "S", "version": "V", "help": "h"}

# Options: letter, takes an argument (1: always, 2: perhaps), long names; the first is the one errors use.
# Their order is that in which conntrack checks them.
OPTIONS = (
    ("s", 1, "src", "orig-src"), ("d", 1, "dst", "orig-dst"), ("r", 1, "reply-src"), ("q", 1, "reply-dst"),
    ("p", 1, "protonum", "proto"), ("t", 1, "timeout"), ("u", 1, "status"), ("z", 0, "zero"), ("e", 1, "event-mask"),
    ("[", 1, "tuple-src"), ("]", 1, "tuple-dst"), ("{", 1, "mask-src"), ("}", 1, "mask-dst"), ("a", 1, "nat-range"),
    ("m", 1, "mark"), ("i", 1, "id"), ("f", 1, "family"), ("n", 2, "src-nat"), ("g", 2, "dst-nat"), ("o", 1, "output"),
    ("c", 1, "secmark"), ("b", 1, "buffer-size"), ("j", 2, "any-nat"), ("w", 1, "zone"), ("l", 1, "label"),
    ("<", 1, "label-add"), (">", 2, "label-del"), ("(", 1, "orig-zone"), (")", 1, "reply-zone"),
)
NAMES_OF_OPTIONS = {row[0]: row[2] for row in OPTIONS}
IGNORED = "a"                   # with a warning

# What a command may have, besides what it must have; "" is no command.
ALLOWED = {
    "L": "sdrqpuz{}mfngocjwl()", "I": "sdrqptumngw<()", "A": "sdrqptumngw<()", "U": "sdrqptu{}mifngol<>",
    "D": "sdrqptu{}mifngowl()", "G": "sdrqpiol", "F": "f", "E": "sdrqpe{}mfngocbjwl()", "h": "p",
    "L expect": "fo", "I expect": "sdrqptu[]{}", "D expect": "sdrqp", "G expect": "sdrqp", "E expect": "o",
    "F expect": "",
}
REQUIRED = {"G": "p", "I": "pt", "A": "pt", "I expect": "sdpt[]{}", "D expect": "sdp", "G expect": "sdp"}
WITHOUT_EXPECTATIONS = {"U": "update", "A": "add"}
FILTERS = "sdrqpumicwl()"       # what -z does not go with

# ---- protocols

NUMBERS = {"tcp": 6, "udp": 17, "udplite": 136, "dccp": 33, "sctp": 132, "icmp": 1, "icmpv6": 58, "gre": 47}
NAMES = {number: name for name, number in NUMBERS.items()}

# Options that come with a protocol, in the order in which they are checked: kind, what it means, its names.
_PORTS = (
    ("orig", "sport", "sport", "orig-port-src"), ("orig", "dport", "dport", "orig-port-dst"),
    ("reply", "reply_sport", "reply-port-src"), ("reply", "reply_dport", "reply-port-dst"),
    ("mask", "mask_sport", "mask-port-src"), ("mask", "mask_dport", "mask-port-dst"),
)
_TUPLE = (("tuple", "tuple_sport", "tuple-port-src"), ("tuple", "tuple_dport", "tuple-port-dst"))
_STATEFUL = (*_PORTS, ("state", "state", "state"), *_TUPLE)
_ICMP = (("type", "icmp_type", "icmp-type"), ("type", "icmp_code", "icmp-code"), ("id", "icmp_id", "icmp-id"))
PROTOCOL_OPTIONS = {
    "tcp": _STATEFUL, "udp": (*_PORTS, *_TUPLE), "udplite": (*_PORTS, *_TUPLE),
    "dccp": (*_STATEFUL, ("role", "role", "role")),
    "sctp": (*_STATEFUL, ("tag", "orig_vtag", "orig-vtag"), ("tag", "reply_vtag", "reply-vtag")),
    "icmp": _ICMP,
    "icmpv6": tuple((kind, meaning, name.replace("icmp", "icmpv6")) for kind, meaning, name in _ICMP),
    "gre": (("orig", "sport", "srckey", "orig-key-src"), ("orig", "dport", "dstkey", "orig-key-dst"),
            ("reply key", "reply_sport", "reply-key-src"), ("reply key", "reply_dport", "reply-key-dst"),
            ("mask", "mask_sport", "mask-key-src"), ("mask", "mask_dport", "mask-key-dst"),
            ("tuple", "tuple_sport", "tuple-key-src"), ("tuple", "tuple_dport", "tuple-key-dst")),
}
# By command, which kinds it must have, and which it may have; of the two directions' ports some need one or the other.
_DIRECTIONS = ("orig", "reply", "reply key")
KINDS_REQUIRED = {"I": ("state", "role", "tag", "type"), "A": ("state", "role", "tag", "type"), "G": ("type",),
                  "I expect": ("orig", "reply key", "mask", "tuple", "role", "tag"),
                  "D expect": _DIRECTIONS, "G expect": _DIRECTIONS}
KINDS_ALLOWED: dict[str, tuple[str, ...]] = dict.fromkeys("LDEUGIA", (*_DIRECTIONS, "state", "type", "id"))
KINDS_ALLOWED["U"] += ("tag",)
KINDS_ALLOWED["G"] += ("tag",)
EITHER_DIRECTION = "GIA"
# What conntrack calls the two options of each direction.
PAIRS = dict.fromkeys(("tcp", "udp", "udplite", "sctp"),
                      ("`--sport' and `--dport'", "`--reply-src-port' and `--reply-dst-port'")) | {
    "dccp": ("`--sport' and `--dport'", "`--reply-port-src' and `--report-port-dst'"),
    "gre": ("`--srckey' and `--dstkey'", "`--reply-src-key' and `--reply-dst-key'")}

BITS = dict.fromkeys(("icmp_type", "icmp_code"), 8) | dict.fromkeys(("orig_vtag", "reply_vtag"), 32)     # else 16

# ---- words

STATE_NAMES = {"tcp": ("NONE", *STATES[1:10]), "sctp": ("NONE", *STATES[11:19]),
               "dccp": ("NONE", "REQUEST", "RESPOND", "PARTOPEN", "OPEN", "CLOSEREQ", "CLOSING", "TIMEWAIT", "IGNORE",
                        "INVALID")}
NO_STATE = {"tcp": "unknown TCP state", "sctp": "unknown SCTP state", "dccp": "Unknown DCCP state"}
STATE_SYNONYMS = {"LISTEN": "SYN_SENT2"}
STATE_BASE = {"tcp": 0, "sctp": 10}                 # in records.STATES, which has none of DCCP
FAMILIES = {"ipv4": 4, "ipv6": 6}
OUTPUTS = {name: name for name in ("xml", "extended", "timestamp", "id", "ktimestamp", "labels", "userspace", "save")}
EVENT_MASKS = {name: name for name in ("ALL", "NEW", "UPDATES", "DESTROY")}
SEEN_REPLY = 1 << 1
STATUS_BITS = {"ASSURED": 1 << 2, "SEEN_REPLY": SEEN_REPLY, "UNSET": 0, "FIXED_TIMEOUT": 1 << 10, "EXPECTED": 1,
               "OFFLOAD": 1 << 14, "HW_OFFLOAD": 1 << 15}
UNREPLIED = "UNREPLIED"
DEPRECATED = {"SRC_NAT": "--src-nat", "DST_NAT": "--dst-nat"}      # a warning, wherever words are expected
