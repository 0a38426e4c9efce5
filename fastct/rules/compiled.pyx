"""The compiled ruleset as an object; records are in ``compiled.pxd``."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset


import numpy as np

from fastct.rules.classify cimport Classifier
from fastct.rules.memory cimport memory_fold, memory_forget, memory_free, memory_init

HOOK_NUMBERS = {"PREROUTING": HOOK_PREROUTING, "INPUT": HOOK_INPUT, "FORWARD": HOOK_FORWARD, "OUTPUT": HOOK_OUTPUT,
                "POSTROUTING": HOOK_POSTROUTING}
# The number of a table at a hook.
TABLE_NUMBERS = {(name, hook): number for hook in HOOK_NUMBERS
                 for name, number in (("raw", TABLE_RAW), ("mangle", TABLE_MANGLE), ("filter", TABLE_FILTER),
                                      ("security", TABLE_SECURITY))}
TABLE_NUMBERS |= {("nat", "PREROUTING"): TABLE_DNAT, ("nat", "OUTPUT"): TABLE_DNAT, ("nat", "INPUT"): TABLE_SNAT,
                  ("nat", "POSTROUTING"): TABLE_SNAT}

VERDICTS = {"CONTINUE": RULE_CONTINUE, "JUMP": RULE_JUMP, "GOTO": RULE_GOTO, "RETURN": RULE_RETURN,
            "ACCEPT": RULE_ACCEPT, "DROP": RULE_DROP, "QUEUE": RULE_QUEUE}


cdef class OpKind:
    """What a condition or an effect is to the program: a function, and what its answer depends on.

    ``keeps``: bytes of state that it has, all zero in the beginning. ``drops``: it may want the packet gone (hotdrop).
    ``connmark``: it has to do with the marks of connections.
    """

    @property
    def works(self):
        """It is an effect."""
        return self.effect != NULL


cdef OpKind condition(test_fn test, lives lives_=LIVES_PATH, size_t keeps=0):
    cdef OpKind kind = OpKind.__new__(OpKind)
    kind.test, kind.lives, kind.keeps = test, <uint8_t>lives_, keeps
    return kind


cdef OpKind dropping(test_fn test, lives lives_=LIVES_PATH):
    """A condition that may want the packet gone."""
    cdef OpKind kind = condition(test, lives_)
    kind.drops = True
    return kind


cdef OpKind of_connmark(OpKind kind):
    """A condition or an effect that has to do with the marks of connections."""
    kind.connmark = True
    return kind


cdef OpKind effect(effect_fn work, lives lives_=LIVES_PATH, size_t keeps=0):
    cdef OpKind kind = OpKind.__new__(OpKind)
    kind.effect, kind.lives, kind.keeps = work, <uint8_t>lives_, keeps
    return kind


cdef void* _room(size_t n, size_t size) except NULL:
    cdef void* made = calloc(n if n else 1, size)
    if made == NULL:
        raise MemoryError
    return made


cdef class State:
    """What an op keeps beyond plain memory, or shares with other rules: gone when no program has it any more."""


cdef class Program:
    """Tables, compiled.

    Parameters
    ----------
    family : int
    chains : list of (name, first rule, number of rules, policy, index)
        ``name``: bytes, "filter:INPUT". ``policy``: a rule_verdict of a base chain, 0 for a user's own. ``index``: a
        Classifier, or None.
    rules : list of (first op, number of ops, verdict, op of the effect or None, chain)
    ops : list of (OpKind, arguments, blob, invert, key)
        Up to four numbers below 2^64, bytes. ``key``: None, a State, or what its state is
        known by, which it shares then.
    base : dict
        (hook, table) to the number of a chain.
    names : list of str
        Of counters: "filter/INPUT/1", "filter/INPUT/policy".
    counts : list
        Objects with ``packets`` and ``bytes``: what counters begin with, and where ``sync`` puts them.
    status_asked : int
        Bits of the status of connections that a condition looks at.
    seed : int
        Of random numbers.
    notes : sequence of str
    """

    def __cinit__(self, int family, chains, rules, ops, dict base, list names, list counts,
                  int status_asked=0, uint64_t seed=0, notes=()):
        cdef program_t* g = &self.g
        g.family, g.status_asked, g.random = family, status_asked, seed
        g.n_chains, g.n_rules, g.n_ops, g.n_counters = len(chains), len(rules), len(ops), len(names)
        g.chains = <chain_t*>_room(g.n_chains, sizeof(chain_t))
        g.rules = <rule_t*>_room(g.n_rules, sizeof(rule_t))
        g.ops = <op_t*>_room(g.n_ops, sizeof(op_t))
        g.counters = <counters_t*>_room(g.n_counters, sizeof(counters_t))
        g.deciders = <uint32_t*>_room(g.n_counters, sizeof(uint32_t))
        self.names, self._counts, self.notes = names, counts, list(notes)
        self._kept = []
        self._shared = {}
        memset(g.base, 0xFF, sizeof(g.base))
        for (at_hook, at_table), number in base.items():
            g.base[<int>at_hook][<int>at_table] = number
        g.has_raw = any(at_table == TABLE_RAW for _, at_table in base)
        g.has_nat = any(at_table in (TABLE_DNAT, TABLE_SNAT) for _, at_table in base)
        g.connmark_asked = any((<OpKind>op[0]).connmark for op in ops)
        self._set_chains(chains)
        self._set_ops(ops)
        self._set_rules(rules)
        for i, count in enumerate(counts):
            g.counters[<int>i].packets, g.counters[<int>i].bytes = count.packets, count.bytes
        memory_init(&g.memory)

    def _set_chains(self, chains):
        cdef uint32_t i, policies = self.g.n_rules
        cdef Classifier index
        for i, (name, first, n, policy, index) in enumerate(chains):
            self.g.chains[i].name = <const uint8_t*><const char*>(<bytes>name)
            self._kept.append(name)
            if index is not None:
                self.g.chains[i].index = &index.c
                self._kept.append(index)
            self.g.chains[i].first, self.g.chains[i].n, self.g.chains[i].policy = first, n, policy
            if policy:
                self.g.chains[i].policy_counter = policies
                policies += 1

    def _set_ops(self, ops):
        cdef OpKind kind
        cdef op_t* op
        cdef uint32_t i
        cdef int k
        for i, (kind, arguments, blob, invert, key) in enumerate(ops):
            op = &self.g.ops[i]
            op.test, op.effect, op.lives, op.invert = kind.test, kind.effect, kind.lives, invert
            for k, argument in enumerate(arguments):
                op.a[k] = argument
            if blob:
                op.blob = <const uint8_t*><const char*>(<bytes>blob)
                self._kept.append(blob)
            if isinstance(key, State):
                op.state = (<State>key).at
                self._kept.append(key)
            elif kind.keeps:
                op.state = self._state(kind.keeps, key)

    cdef void* _state(self, size_t size, key) except NULL:
        """Zeroed memory, the same for the same key."""
        room = self._shared.get(key) if key is not None else None
        if room is None:
            room = bytearray(size)
            self._kept.append(room)
            if key is not None:
                self._shared[key] = room
        return <char*>(<bytearray>room)

    def _set_rules(self, rules):
        cdef rule_t* rule
        cdef uint32_t i
        for i, (first, n, verdict, effect_op, chain) in enumerate(rules):
            rule = &self.g.rules[i]
            rule.op, rule.ops, rule.verdict, rule.chain = first, n, verdict, chain
            rule.effect = NOWHERE
            if effect_op is not None:
                rule.effect = effect_op
                rule.effect_lives = self.g.ops[<int>effect_op].lives

    def __dealloc__(self):
        memory_free(&self.g.memory)
        free(self.g.chains)
        free(self.g.rules)
        free(self.g.ops)
        free(self.g.counters)
        free(self.g.deciders)

    def number(self, dict numbers):
        """Number the rules and policies for the column ``decided``: by name, and new ones behind those there are."""
        cdef uint32_t i
        for i, name in enumerate(self.names):
            self.g.deciders[i] = numbers.setdefault(name, len(numbers))

    def remember(self, uint32_t paths=PATHS_MAX, uint32_t memos=MEMOS_MAX):
        """How many paths, and pairs of them, are remembered at most: powers of two; 0 paths: none at all."""
        if paths > PATHS_MAX or memos > MEMOS_MAX or paths & paths - 1 or memos & memos - 1:
            raise ValueError(f"expected powers of two up to {PATHS_MAX} and {MEMOS_MAX}, got {paths} and {memos}")
        memory_forget(&self.g.memory, self.g.counters)
        self.g.memory.paths_max, self.g.memory.memos_max = paths, memos

    @property
    def forgotten(self):
        """How often the memory of paths was full."""
        return self.g.memory.forgotten

    def sync(self):
        """Bring the objects that counters began with up to date."""
        cdef uint32_t i
        memory_fold(&self.g.memory, self.g.counters)
        for i, count in enumerate(self._counts):
            count.packets, count.bytes = self.g.counters[i].packets, self.g.counters[i].bytes

    def counters(self):
        """Packets and bytes of each rule and policy: uint64 array of shape (len(names), 2)."""
        memory_fold(&self.g.memory, self.g.counters)
        made = np.empty((self.g.n_counters, 2), dtype=np.uint64)
        cdef uint64_t[:, ::1] view = made
        cdef uint32_t i
        for i in range(self.g.n_counters):
            view[i, 0], view[i, 1] = self.g.counters[i].packets, self.g.counters[i].bytes
        return made
