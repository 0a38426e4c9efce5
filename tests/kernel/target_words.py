"""Words of targets that do something to the packets of ``generator``."""
from tests.kernel.state_words import MARKS

# Another host of the network behind f1, which is sent copies.
GATEWAYS = {4: "10.2.200.77", 6: "fd00:2::c8:77"}
ERRORS = {4: ("icmp-port-unreachable", "icmp-net-unreachable", "icmp-host-unreachable", "icmp-proto-unreachable",
              "icmp-net-prohibited", "icmp-host-prohibited", "icmp-admin-prohibited"),
          6: ("icmp6-port-unreachable", "icmp6-no-route", "icmp6-adm-prohibited", "icmp6-addr-unreachable",
              "icmp6-policy-fail", "icmp6-reject-route")}
SPI_PROTOCOLS = ("50", "51")


def _marks(*names):
    return lambda w: w.option(w.rng.choice(names), *MARKS, bang=False)


def _mark(w):
    return w.pick(*(("--set-xmark", mark) for mark in MARKS), *(("--set-mark", mark) for mark in MARKS),
                  ("--and-mark", "0xfffffffe"), ("--or-mark", "0x10"), ("--xor-mark", "3"))


def _connmark(w):
    shift = w.pick((), (), ("--left-shift-mark", "4"), ("--right-shift-mark", "2"))
    masks = w.pick((), (), ("--nfmask", "0xf", "--ctmask", "0xf0"))
    return w.rng.choice((["--set-xmark", *w.pick(*MARKS), *shift], ["--set-mark", *w.pick(*MARKS)],
                         ["--save-mark", *masks, *shift], ["--restore-mark", *masks, *shift],
                         ["--or-mark", "2"], ["--and-mark", "0xf0"], ["--xor-mark", "1"]))


def _ct(w):
    """Without zones of one direction: what clashes there Linux drops behind all tables, fastct in front of them."""
    return w.rng.choice((["--notrack"], ["--zone", *w.pick(1, 7)], ["--zone", "mark"],
                         ["--ctevents", "new,destroy"], ["--helper", "ftp"]))


def _hmark(w):
    kinds = ("src", "dst", "sport", "dport", "proto", "ct")
    what = w.rng.sample(kinds, w.rng.randrange(1, len(kinds)))
    words = w.rng.choice((["--hmark-tuple", ",".join(what)], ["--hmark-tuple", "src,spi"],
                          ["--hmark-src-prefix", "24", "--hmark-sport-mask", "0xff00"],
                          ["--hmark-tuple", "ct", "--hmark-dst-prefix", "20", "--hmark-dport-mask", "0x0fff"],
                          ["--hmark-tuple", "src,dst", "--hmark-sport", "0x50", "--hmark-dport", "0x1bb"]))
    return [*words, "--hmark-mod", *w.pick(2, 4, 16), "--hmark-rnd", hex(w.rng.getrandbits(32)),
            *w.pick((), ("--hmark-offset", "1"))]


def _hops(name):
    return lambda w: [f"--{name}-{w.rng.choice(('set', 'inc', 'dec'))}", *w.pick(1, 2, 64, 200)]


def _tos(w):
    value, mask = (f"{w.rng.randrange(256):#x}" for _ in range(2))
    return w.rng.choice((["--set-tos", f"{value}/{mask}"], ["--or-tos", value], ["--and-tos", value],
                         ["--xor-tos", value]))


def _reject(w):
    resets = ["tcp-reset"] * (3 if w.protocol == "6" else 0)
    return ["--reject-with", *w.pick(*ERRORS[w.family], *resets)]


def _prefixes(w):
    old = "fd00:2" if w.hook in ("PREROUTING", "OUTPUT") else "fd00:1"
    return ["--src-pfx", f"{old}::/64", "--dst-pfx", *w.pick("fd00:2:0:77::/64", "fd00:2:77::/48", "fd00:2:0:10::/60")]


TARGET_WORDS = {
    "MARK": _mark,
    "CONNMARK": _connmark,
    "HMARK": _hmark,
    "NOTRACK": lambda w: [],
    "CT": _ct,
    "TRACE": lambda w: [],
    "LOG": lambda w: w.pick((), ("--log-prefix", "one:"), ("--log-level", "debug"), "--log-ip-options"),
    "NFLOG": lambda w: ["--nflog-group", "9"],
    "NFQUEUE": lambda w: ["--queue-num", "7", *w.flag("queue-bypass")],
    "CHECKSUM": lambda w: ["--checksum-fill"],
    "TOS": _tos,
    "DSCP": lambda w: ["--set-dscp", str(w.rng.randrange(64))],
    "ECN": lambda w: w.pick("--ecn-tcp-remove", *((("--ecn-tcp-cwr", "1"), ("--ecn-tcp-ece", "0"))
                                                  if w.protocol == "6" else ()), ("--ecn-ip-ect", "2")),
    "TTL": _hops("ttl"),
    "HL": _hops("hl"),
    "TCPMSS": lambda w: ["--set-mss", *w.pick(600, 40, 1460)],
    "TCPOPTSTRIP": lambda w: ["--strip-options", *w.pick("mss", "timestamp,sack-permitted,wscale", "2,5")],
    "TEE": lambda w: ["--gateway", GATEWAYS[w.family]],
    "REJECT": _reject,
    "TPROXY": lambda w: ["--on-port", "80"],
    "DNPT": _prefixes,
    "SNPT": _prefixes,
}
