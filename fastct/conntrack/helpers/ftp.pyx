"""FTP: PORT and EPRT from the client, 227 and 229 from the server announce a data connection.

Commands are lines, but packets are not: a packet is read only if it begins where a line begins, that is, right
behind a packet of the same direction that ended in a newline. Two such sequence numbers are remembered for each
direction. A line that begins like an announcement and cannot be read in full makes Linux drop the packet: the sender
will send it again, perhaps in one piece.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from fastct.conntrack.helper cimport aim, help_expect, help_t
from fastct.conntrack.helpers.text cimport is_digit
from fastct.wire.bytes cimport swap16, swap32
from fastct.wire.packet cimport PROTO_TCP

cdef extern from "arpa/inet.h" nogil:
    int AF_INET6
    int inet_pton(int family, const char* text, void* address)

cdef extern from "strings.h" nogil:
    int strncasecmp(const char* a, const char* b, size_t n)

cdef enum:
    LINES = 2                # beginnings of lines that are remembered
    ADDRESS6_MAX = 46        # characters of an IPv6 address, and some

cdef struct ftp_t:
    uint32_t line[2][LINES]  # sequence numbers where a line begins, by direction
    uint8_t n[2]

# What was announced; address and port in network order.
cdef struct announced_t:
    uint8_t address[16]
    uint16_t port

cdef enum reading:
    READ_NOTHING             # not an announcement
    READ_PARTLY              # one, but not all of it, or nothing that makes sense
    READ_ALL


# ---- where lines begin

cdef bint begins_line(const ftp_t* f, int direction, uint32_t seq) noexcept nogil:
    cdef int i
    for i in range(f.n[direction]):
        if f.line[direction][i] == seq:
            return True
    return False


cdef void remember_line(ftp_t* f, int direction, uint32_t seq) noexcept nogil:
    """A line begins at ``seq``; of the two that were known the older is forgotten, unless it is not even older."""
    cdef uint32_t* line = f.line[direction]
    cdef int older
    if begins_line(f, direction, seq):
        return
    if f.n[direction] < LINES:
        line[f.n[direction]] = seq
        f.n[direction] += 1
    else:
        older = 0 if <int>(line[0] - line[1]) < 0 else 1
        if <int>(seq - line[older]) > 0:
            line[older] = seq


# ---- numbers and addresses in text

cdef uint32_t read_numbers(const uint8_t* text, uint32_t n, uint32_t* numbers, int wanted, uint8_t separator,
                           uint8_t end) noexcept nogil:
    """``wanted`` numbers with separators between them and ``end`` behind (0: any other character).

    => Returns how many characters they take; 0 if they are not there.
    """
    cdef uint32_t at
    cdef int i = 0
    memset(numbers, 0, wanted * sizeof(uint32_t))
    for at in range(n):
        if is_digit(text[at]):
            numbers[i] = numbers[i] * 10 + text[at] - 48
        elif text[at] == separator:
            i += 1
            if i == wanted:
                return 0
        else:
            return at if i == wanted - 1 and (end == 0 or text[at] == end) else 0
    return 0


cdef bint read_six(const uint8_t* text, uint32_t n, uint8_t end, announced_t* a) noexcept nogil:
    """RFC 959: four numbers of an address and two of a port."""
    cdef uint32_t six[6]
    cdef uint32_t address
    if not read_numbers(text, n, six, 6, 44, end):
        return False
    address = swap32(six[0] << 24 | six[1] << 16 | six[2] << 8 | six[3])
    memcpy(a.address, &address, 4)
    a.port = swap16(<uint16_t>(six[4] << 8 | six[5]))
    return True


cdef bint read_port(const uint8_t* text, uint32_t n, uint32_t at, uint8_t delimiter, announced_t* a) noexcept nogil:
    """A port number and its delimiter, from ``at`` on."""
    cdef uint16_t port = 0
    while at < n and is_digit(text[at]):
        port = <uint16_t>(port * 10 + text[at] - 48)
        at += 1
    if at >= n or text[at] != delimiter or port == 0:
        return False
    a.port = swap16(port)
    return True


cdef inline bint is_delimiter(uint8_t c) noexcept nogil:
    return 33 <= c <= 126 and not is_digit(c)


cdef uint32_t read_address6(const uint8_t* text, uint32_t n, uint8_t delimiter, announced_t* a) noexcept nogil:
    """An IPv6 address before a delimiter; returns its length, 0 if there is none."""
    cdef char copy[ADDRESS6_MAX + 1]
    cdef uint32_t i = 0
    while i < n and text[i] != delimiter:
        if i == ADDRESS6_MAX:
            return 0
        copy[i] = <char>text[i]
        i += 1
    if i == n:
        return 0
    copy[i] = 0
    return i if inet_pton(AF_INET6, copy, a.address) == 1 else 0


cdef bint read_extended(const uint8_t* text, uint32_t n, uint8_t l3proto, announced_t* a) noexcept nogil:
    """RFC 2428, EPRT: family, address and port between delimiters."""
    cdef uint32_t four[4]
    cdef uint32_t length, address
    if n <= 3 or not is_delimiter(text[0]) or text[2] != text[0] or text[1] != (49 if l3proto == 4 else 50):
        return False
    if l3proto == 4:
        length = read_numbers(text + 3, n - 3, four, 4, 46, text[0])
        address = swap32(four[0] << 24 | four[1] << 16 | four[2] << 8 | four[3])
        memcpy(a.address, &address, 4)
    else:
        length = read_address6(text + 3, n - 3, text[0], a)
    return length != 0 and read_port(text, n, 3 + length + 1, text[0], a)


# ---- announcements

cdef bint is_word(const uint8_t* text, const char* word, uint32_t n) noexcept nogil:
    return strncasecmp(<const char*>text, word, n) == 0


cdef uint32_t behind(const uint8_t* text, uint32_t n, uint32_t at, uint8_t c) noexcept nogil:
    """Where the text goes on behind the next ``c``; n if it does not."""
    while at < n and text[at] != c:
        at += 1
    return at + 1 if at < n else n


cdef reading read_as(const help_t* h, const char* word, announced_t* a) noexcept nogil:
    """Does the packet begin with this four-letter word, and what does it announce?"""
    cdef const uint8_t* text = h.data
    cdef uint32_t n = h.len, at = 4
    cdef bint read = False
    if n <= 4:
        return READ_PARTLY if is_word(text, word, n) else READ_NOTHING
    if not is_word(text, word, 4):
        return READ_NOTHING
    if word[0] == b"2" and word[2] == b"7":             # 227: the first digit begins the address
        while at < n and not is_digit(text[at]):
            at += 1
        read = read_six(text + at, n - at, 0, a)
    elif word[0] == b"2":                               # 229
        at = behind(text, n, 4, 40)
        read = (n - at > 3 and is_delimiter(text[at]) and text[at + 1] == text[at] and text[at + 2] == text[at]
                and read_port(text + at, n - at, 3, text[at], a))
    elif word[0] == b"P":
        at = behind(text, n, 4, 32)
        read = read_six(text + at, n - at, 13, a)
    else:
        at = behind(text, n, 4, 32)
        read = read_extended(text + at, n - at, h.ends[0].l3proto, a)
    return READ_ALL if read else READ_PARTLY


cdef reading read_announcement(const help_t* h, announced_t* a) noexcept nogil:
    cdef reading first
    if h.direction == 0:
        first = read_as(h, b"PORT", a)
        return first if first != READ_NOTHING else read_as(h, b"EPRT", a)
    first = read_as(h, b"227 ", a)
    return first if first != READ_NOTHING else read_as(h, b"229 ", a)


cdef void expect_data(help_t* h, const announced_t* a) noexcept nogil:
    """The other end will connect to the announced port. An address that is not the sender's own is not believed:
    it could be anybody's."""
    cdef int other = h.direction ^ 1
    if memcmp(a.address, h.ends[h.direction].src, 16):
        return
    aim(help_expect(h, 0), PROTO_TCP, h.ends[other].src, h.ends[other].dst, a.port)


cdef bint ftp_help(help_t* h) noexcept nogil:
    """One packet of a control connection."""
    cdef ftp_t* f = <ftp_t*>h.x.state
    cdef announced_t a
    cdef reading found = READ_NOTHING
    if not h.established or h.len == 0:
        return True
    if begins_line(f, h.direction, h.p.seq):
        memcpy(a.address, h.ends[h.direction].src, 16)  # what 229 leaves out
        found = read_announcement(h, &a)
        if found == READ_PARTLY:
            return False
        if found == READ_ALL:
            expect_data(h, &a)
    if h.data[h.len - 1] == 10:
        remember_line(f, h.direction, h.p.seq + h.len)
    return True


cdef bint ftp_is_sound(const uint64_t* state) noexcept nogil:
    cdef const ftp_t* f = <const ftp_t*>state
    return f.n[0] <= LINES and f.n[1] <= LINES
