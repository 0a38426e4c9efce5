"""Words of the matches on connections and with state that have to do with the packets of ``generator``.

What takes time into account runs out too slowly, or too far from the packets' times, for ticks to matter. (No rate in
bytes is as slow as that.)
"""
STATES = ("NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED", "SNAT", "DNAT")
STATUSES = ("NONE", "EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED")
NETS = {4: ("10.1.0.0/16", "10.2.0.0/16", "10.1.0.0/20", "10.2.0.2", "0.0.0.0/0"),
        6: ("fd00:1::/64", "fd00:2::/64", "fd00:1::/120", "::/0")}
MASKS = {4: (8, 16, 24, 28, 30, 32), 6: (32, 64, 112, 120, 126, 128)}
RECENT_MASKS = {4: ("255.255.255.255", "255.255.255.240", "255.255.0.0"),
                6: ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0")}
MARKS = ("1", "2", "0", "0/1", "1/1", "2/2", "3/3", "0xf0/0xf0", "0x10/0x30", "7/0")
# What is counted of a connection, and how many of it are many.
MOST = {"packets": 8, "bytes": 1500, "avgpkt": 150}
SLOW = ("1/hour", "1/min")


def _some(w, names):
    return ",".join(w.rng.sample(names, w.rng.randrange(1, 4)))


def _range(w, most):
    low = w.rng.randrange(most)
    return w.rng.choice((str(low), f"{low}:{w.rng.randrange(low, most + 1)}"))


def _conntrack(w):
    options = [w.option("ctstate", _some(w, STATES)), w.option("ctproto", 6, 17, 1, 58, 132, 47, 50),
               w.option("ctstatus", _some(w, STATUSES)),
               w.option("ctexpire", "0", "0:30", "119:121", "1:400", "100000:500000"),
               w.option("ctdir", "ORIGINAL", "REPLY", bang=False)]
    for end in ("ctorigsrc", "ctorigdst", "ctreplsrc", "ctrepldst"):
        options.append(w.option(end, *NETS[w.family]))
        options.append(w.option(f"{end}port", "80", "0:1024", "53:443", "2048", "32768:65535"))
    return sum(w.rng.sample(options, w.rng.choice((1, 1, 2, 3))), [])


def _connbytes(w):
    mode = w.rng.choice(tuple(MOST))
    return [*w.option("connbytes", _range(w, MOST[mode]), f"{w.rng.randrange(MOST[mode])}:"),
            "--connbytes-mode", mode, "--connbytes-dir", *w.pick("original", "reply", "both")]


def _connlimit(w):
    return [*w.option(w.rng.choice(("connlimit-above", "connlimit-upto")), w.rng.randrange(12), bang=False),
            "--connlimit-mask", *w.pick(*MASKS[w.family]), *w.flag("connlimit-daddr")]


def _cluster(w):
    total = w.rng.randrange(1, 33)
    return ["--cluster-total-nodes", str(total), *w.option("cluster-local-node", w.rng.randrange(1, total + 1)),
            "--cluster-hash-seed", str(w.rng.getrandbits(32))]


def _hashlimit(w):
    rng = w.rng
    modes = rng.sample(("srcip", "srcport", "dstip", "dstport"), rng.randrange(4))
    return [f"--hashlimit-{rng.choice(('upto', 'above'))}", rng.choice(SLOW), "--hashlimit-burst",
            str(rng.randrange(1, 9)),
            *(["--hashlimit-mode", ",".join(modes)] if modes else []),
            "--hashlimit-srcmask", *w.pick(*MASKS[w.family]), "--hashlimit-dstmask", *w.pick(*MASKS[w.family]),
            *w.pick((), ("--hashlimit-htable-size", "16", "--hashlimit-htable-max", "20")),
            "--hashlimit-htable-expire", "90000", "--hashlimit-name", w.name("h")]


def _recent(w):
    rng = w.rng
    action, options = rng.choice(("set", "set", "rcheck", "update", "remove")), []
    if action in ("rcheck", "update"):
        options = w.pick((), ("--seconds", "3600"), ("--seconds", "3600", "--reap"))
        options += w.pick((), ("--hitcount", str(rng.randrange(1, 9)))) + w.flag("rttl", 0.5)
    # The first rule of a list says its mask, so that the name says it, too.
    number = rng.randrange(len(RECENT_MASKS[w.family]))
    return [*w.option(action, ()), *options, "--name", f"{w.name('r')}{number}", *w.pick("--rsource", "--rdest"),
            "--mask", RECENT_MASKS[w.family][number]]


def _statistic(w):
    if w.rng.random() < 0.2:
        return ["--mode", "random", *w.option("probability", 0, 1)]
    every = w.rng.randrange(1, 9)
    return ["--mode", "nth", *w.option("every", every), "--packet", str(w.rng.randrange(every))]


STATE_WORDS = {
    "state": lambda w: w.option("state", _some(w, STATES[:5])),
    "conntrack": _conntrack,
    "mark": lambda w: w.option("mark", *MARKS),
    "connmark": lambda w: w.option("mark", *MARKS),
    "connbytes": _connbytes,
    "connlimit": _connlimit,
    "connlabel": lambda w: [*w.option("label", 1, 2, 3), *w.flag("set", 0.3)],
    "helper": lambda w: w.option("helper", "ftp", "ftp-21", "irc"),
    "cluster": _cluster,
    "limit": lambda w: ["--limit", *w.pick(*SLOW), "--limit-burst", str(w.rng.randrange(1, 36))],
    "hashlimit": _hashlimit,
    "recent": _recent,
    "statistic": _statistic,
    "quota": lambda w: w.option("quota", w.rng.randrange(20000)),
}
