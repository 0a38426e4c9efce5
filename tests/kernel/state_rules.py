"""Random rules of the matches on connections and with state, that have to do with the packets of ``generator``."""
import itertools

STATES = ("NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED", "SNAT", "DNAT")
STATUSES = ("NONE", "EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED")
NETS = {4: ("10.1.0.0/16", "10.2.0.0/16", "10.1.0.0/20", "10.2.0.2", "0.0.0.0/0"),
        6: ("fd00:1::/64", "fd00:2::/64", "fd00:1::/120", "::/0")}
MASKS = {4: (8, 16, 24, 28, 30, 32), 6: (32, 64, 112, 120, 126, 128)}
# Through POSTROUTING of IPv6 go multicast listener reports of the kernel's own.
PLACES = {4: (("mangle", "PREROUTING"), ("mangle", "FORWARD"), ("mangle", "POSTROUTING"), ("filter", "FORWARD")),
          6: (("mangle", "PREROUTING"), ("mangle", "FORWARD"), ("filter", "FORWARD"))}
# What takes times into account runs out too slowly, or too far from the packets' times, for ticks to matter.
SLOW = ("1/hour", "1/min")


class StateRules:
    """Words of random rules."""

    def __init__(self, rng, family):
        self.rng, self.family = rng, family
        self._names = itertools.count()

    def _bang(self):
        return self.rng.choice(("", "", "! "))

    def _some(self, names):
        return ",".join(self.rng.sample(names, self.rng.randrange(1, 4)))

    def _range(self, most):
        low = self.rng.randrange(most)
        return self.rng.choice((str(low), f"{low}:{self.rng.randrange(low, most + 1)}"))

    def state(self):
        return f"-m state {self._bang()}--state {self._some(STATES[:5])}"

    def conntrack(self):
        options = [
            f"{self._bang()}--ctstate {self._some(STATES)}",
            f"{self._bang()}--ctproto {self.rng.choice((6, 17, 1, 58, 132, 47, 50))}",
            f"{self._bang()}--ctstatus {self._some(STATUSES)}",
            f"{self._bang()}--ctexpire {self.rng.choice(('0', '0:30', '119:121', '1:400', '100000:500000'))}",
            f"--ctdir {self.rng.choice(('ORIGINAL', 'REPLY'))}",
        ]
        for end in ("ctorigsrc", "ctorigdst", "ctreplsrc", "ctrepldst"):
            options.append(f"{self._bang()}--{end} {self.rng.choice(NETS[self.family])}")
            ports = self.rng.choice(("80", "0:1024", "53:443", "2048", "32768:65535"))
            options.append(f"{self._bang()}--{end}port {ports}")
        return "-m conntrack " + " ".join(self.rng.sample(options, self.rng.choice((1, 1, 2, 3))))

    def connmark(self):
        return f"-m connmark {self._bang()}--mark {self.rng.choice(('0', '1', '0/0', '0x1/0x3'))}"

    def connbytes(self):
        mode = self.rng.choice(("packets", "bytes", "avgpkt"))
        most = {"packets": 8, "bytes": 1500, "avgpkt": 150}[mode]
        counts = self.rng.choice((f"{self._range(most)}", f"{self.rng.randrange(most)}:"))
        return (f"-m connbytes {self._bang()}--connbytes {counts} --connbytes-mode {mode} "
                f"--connbytes-dir {self.rng.choice(('original', 'reply', 'both'))}")

    def connlimit(self):
        """Of first packets, as it is used; what others do to the kernel's list depends on more than is seen."""
        return ("-m conntrack --ctstate NEW ! --ctstatus CONFIRMED -m connlimit "
                f"--connlimit-{self.rng.choice(('above', 'upto'))} {self.rng.randrange(12)} "
                f"--connlimit-mask {self.rng.choice(MASKS[self.family])} {self.rng.choice(('', '--connlimit-daddr'))}")

    def connlabel(self):
        return f"-m connlabel {self._bang()}--label {self.rng.randrange(1, 4)} {self.rng.choice(('', '', '--set'))}"

    def helper(self):
        return f"-m helper {self._bang()}--helper {self.rng.choice(('ftp', 'ftp-21', 'irc'))}"

    def cluster(self):
        total = self.rng.randrange(1, 33)
        return (f"-m cluster --cluster-total-nodes {total} {self._bang()}--cluster-local-node "
                f"{self.rng.randrange(1, total + 1)} --cluster-hash-seed {self.rng.getrandbits(32)}")

    def limit(self):
        return f"-m limit --limit {self.rng.choice(SLOW)} --limit-burst {self.rng.randrange(1, 60)}"

    def hashlimit(self):
        rng = self.rng
        rate = f"{rng.choice(SLOW)} --hashlimit-burst {rng.randrange(1, 9)}"
        modes = rng.sample(("srcip", "srcport", "dstip", "dstport"), rng.randrange(4))
        mode = f"--hashlimit-mode {','.join(modes)}" if modes else ""
        masks = " ".join(f"--hashlimit-{side}mask {rng.choice(MASKS[self.family])}" for side in ("src", "dst"))
        most = rng.choice(("", "--hashlimit-htable-size 16 --hashlimit-htable-max 20"))
        return (f"-m hashlimit --hashlimit-{rng.choice(('upto', 'above'))} {rate} {mode} {masks} {most} "
                f"--hashlimit-htable-expire 90000 "
                f"--hashlimit-name h{self.family}{next(self._names) // rng.choice((1, 2))}")

    def recent(self):
        rng = self.rng
        mask = {4: ("255.255.255.255", "255.255.255.240", "255.255.0.0"),
                6: ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0")}[self.family]
        action, options = rng.choice(("set", "set", "rcheck", "update", "remove")), ""
        if action in ("rcheck", "update"):
            options = rng.choice(("", "--seconds 3600", "--seconds 3600 --reap"))
            options += rng.choice(("", f" --hitcount {rng.randrange(1, 9)}")) + rng.choice(("", " --rttl"))
        # The first rule of a list says its mask, so that the name says it, too.
        number = rng.randrange(len(mask))
        return (f"-m recent {self._bang()}--{action} {options} --name r{self.family}{number}{rng.randrange(2)} "
                f"{rng.choice(('--rsource', '--rdest'))} --mask {mask[number]}")

    def statistic(self):
        if self.rng.random() < 0.2:
            return f"-m statistic --mode random {self._bang()}--probability {self.rng.choice((0, 1))}"
        every = self.rng.randrange(1, 9)
        return f"-m statistic --mode nth {self._bang()}--every {every} --packet {self.rng.randrange(every)}"

    def quota(self):
        return f"-m quota {self._bang()}--quota {self.rng.randrange(20000)}"

    def rule(self, names):
        """(table, chain, words) of a rule with one or two matches of these names."""
        words = [getattr(self, name)() for name in self.rng.sample(names, self.rng.choice((1, 1, 2)))]
        return *self.rng.choice(PLACES[self.family]), " ".join(" ".join(words).split())
