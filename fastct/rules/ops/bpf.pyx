"""The condition that is a program of the classic packet filter: an accumulator, an index, sixteen words of memory."""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from fastct.rules.compiled cimport LIVES_PACKET, WAY_OUTPUT, condition, op_t, run_t
from fastct.wire.bytes cimport load_be16, load_be32
from fastct.wire.link cimport ETH_P_IP, ETH_P_IPV6, link_delivery, link_source

cdef enum:
    INSTRUCTION = 8          # bytes: code (2), where to jump if true, if false, k (4)
    MEMORY_WORDS = 16

# The parts of a code.
cdef enum:
    CLASS_LD = 0
    CLASS_LDX = 1
    CLASS_ST = 2
    CLASS_STX = 3
    CLASS_ALU = 4
    CLASS_JMP = 5
    CLASS_RET = 6
    CLASS_MISC = 7
    SIZE_HALF = 0x08
    SIZE_BYTE = 0x10
    MODE_ABS = 0x20
    MODE_IND = 0x40
    MODE_MEM = 0x60
    MODE_LEN = 0x80
    MODE_MSH = 0xA0
    SOURCE_X = 0x08
    RETURN_A = 0x10
    MISC_TXA = 0x80
    ALU_SUB = 0x10
    ALU_MUL = 0x20
    ALU_DIV = 0x30
    ALU_OR = 0x40
    ALU_AND = 0x50
    ALU_LSH = 0x60
    ALU_RSH = 0x70
    ALU_NEG = 0x80
    ALU_MOD = 0x90
    ALU_XOR = 0xA0
    JMP_JEQ = 0x10
    JMP_JGT = 0x20
    JMP_JGE = 0x30

# Offsets below zero: from the IP header, from the link layer's, and what is not in the packet.
cdef int64_t NETWORK = -0x100000
cdef int64_t LINK = -0x200000
cdef uint32_t ANCILLARY = 0xFFFFF000
cdef enum:
    ANCILLARY_PROTOCOL = 0
    ANCILLARY_PKTTYPE = 4
    ANCILLARY_MARK = 20
    ANCILLARY_XOR_X = 40
    ETHERNET_HEADER = 14
    ETHERNET_TYPE = 12

cdef struct machine_t:
    uint32_t a
    uint32_t x
    uint32_t memory[MEMORY_WORDS]


cdef uint32_t link_octet(const run_t* run, uint32_t head, uint32_t at) noexcept nogil:
    """A byte counted from the link layer's header, as the host sees it: without tags, and in front of what was put
    together of fragments, too."""
    if at >= head:
        return run.p.data[at - head]
    if at >= ETHERNET_TYPE:
        return (ETH_P_IP if run.p.ip_version == 4 else ETH_P_IPV6) >> 8 * (ETHERNET_HEADER - 1 - at) & 0xFF
    return run.frame.data[at]


cdef bint bpf_load(const run_t* run, int64_t at, uint32_t size, uint32_t* value) noexcept nogil:
    """Bytes of the packet, or in front of it; False if there are none."""
    cdef uint32_t head, i
    if at < LINK:
        return False
    if at < NETWORK:
        if run.way == WAY_OUTPUT:        # what the host sends has no such header yet
            return False
        at -= LINK
        head = ETHERNET_HEADER if link_source(run.frame) != NULL else 0
        if at + size > head + run.p.cap_len:
            return False
        value[0] = 0
        for i in range(size):
            value[0] = value[0] << 8 | link_octet(run, head, <uint32_t>at + i)
        return True
    if at < 0:
        at -= NETWORK
    if at + size > run.p.cap_len:
        return False
    value[0] = run.p.data[at] if size == 1 else load_be16(run.p.data + at) if size == 2 else load_be32(run.p.data + at)
    return True


cdef uint32_t ancillary(const run_t* run, const machine_t* m, uint32_t what) noexcept nogil:
    """What is not in the packet; 0 is what nobody knows here."""
    if what == ANCILLARY_PROTOCOL:
        return ETH_P_IP if run.p.ip_version == 4 else ETH_P_IPV6
    if what == ANCILLARY_PKTTYPE:
        return link_delivery(run.frame)
    if what == ANCILLARY_MARK:
        return run.mark
    return m.a ^ m.x if what == ANCILLARY_XOR_X else 0


cdef bint load(const run_t* run, machine_t* m, uint16_t code, uint32_t k) noexcept nogil:
    cdef uint32_t mode = code & 0xE0
    cdef uint32_t size = 1 if code & SIZE_BYTE else 2 if code & SIZE_HALF else 4
    if mode == MODE_ABS:
        if k >= ANCILLARY:
            m.a = ancillary(run, m, k - ANCILLARY)
            return True
        return bpf_load(run, <int64_t><int>k, size, &m.a)
    if mode == MODE_IND:
        return bpf_load(run, <int64_t><int>(m.x + k), size, &m.a)
    m.a = m.memory[k] if mode == MODE_MEM else run.p.len if mode == MODE_LEN else k
    return True


cdef bint load_x(const run_t* run, machine_t* m, uint16_t code, uint32_t k) noexcept nogil:
    cdef uint32_t mode = code & 0xE0
    if mode == MODE_MSH:                 # four times the low half of a byte
        if not bpf_load(run, <int64_t><int>k, 1, &m.x):
            return False
        m.x = (m.x & 15) * 4
        return True
    m.x = m.memory[k] if mode == MODE_MEM else run.p.len if mode == MODE_LEN else k
    return True


cdef bint calculate(machine_t* m, uint16_t code, uint32_t operand) noexcept nogil:
    """False: divided by zero."""
    cdef uint32_t operation = code & 0xF0
    if operation == ALU_DIV or operation == ALU_MOD:
        if operand == 0:
            return False
        m.a = m.a // operand if operation == ALU_DIV else m.a % operand
    elif operation == ALU_SUB:
        m.a -= operand
    elif operation == ALU_MUL:
        m.a *= operand
    elif operation == ALU_OR:
        m.a |= operand
    elif operation == ALU_AND:
        m.a &= operand
    elif operation == ALU_LSH:
        m.a <<= operand & 31
    elif operation == ALU_RSH:
        m.a >>= operand & 31
    elif operation == ALU_NEG:
        m.a = 0 - m.a
    elif operation == ALU_XOR:
        m.a ^= operand
    else:
        m.a += operand
    return True


cdef bint compares(uint32_t a, uint16_t code, uint32_t operand) noexcept nogil:
    cdef uint32_t test = code & 0xF0
    if test == JMP_JEQ:
        return a == operand
    if test == JMP_JGT:
        return a > operand
    if test == JMP_JGE:
        return a >= operand
    return a & operand != 0


cdef bint step(const run_t* run, machine_t* m, uint16_t code, uint32_t k) noexcept nogil:
    """One instruction that neither jumps nor returns; False if it ends the program."""
    cdef uint32_t kind = code & 7
    if kind == CLASS_LD:
        return load(run, m, code, k)
    if kind == CLASS_LDX:
        return load_x(run, m, code, k)
    if kind == CLASS_ALU:
        return calculate(m, code, m.x if code & SOURCE_X else k)
    if kind == CLASS_MISC:
        if code & MISC_TXA:
            m.a = m.x
        else:
            m.x = m.a
    else:
        m.memory[k] = m.a if kind == CLASS_ST else m.x
    return True


cdef bint bpf_test(const op_t* op, run_t* run) noexcept nogil:
    """blob: the program.

    => The kernel would take it: it only jumps ahead, ends with a return, and reads no memory it has not written.
    """
    cdef machine_t m
    cdef const uint8_t* at = op.blob
    cdef uint16_t code
    cdef uint32_t k
    m.a = m.x = 0
    while True:
        code, k = load_be16(at), load_be32(at + 4)
        if code & 7 == CLASS_RET:
            return (m.a if code & RETURN_A else k) != 0
        if code & 7 == CLASS_JMP:
            if code & 0xF0 == 0:
                at += <uint64_t>k * INSTRUCTION
            else:
                at += INSTRUCTION * (at[2] if compares(m.a, code, m.x if code & SOURCE_X else k) else at[3])
        elif not step(run, &m, code, k):
            return False
        at += INSTRUCTION


OPS = {
    "bpf": condition(bpf_test, LIVES_PACKET),
}
