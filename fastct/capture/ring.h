/* A block of a TPACKET_V3 ring: who owns it, and what it holds. What needs atomics or unions, which Cython has not. */
#ifndef FASTCT_CAPTURE_RING_H
#define FASTCT_CAPTURE_RING_H

#include <linux/if_packet.h>
#include <stdint.h>
#include <string.h>

typedef struct tpacket_block_desc ring_block_t;
typedef struct tpacket3_hdr ring_frame_t;

static inline int ring_block_is_ours(const ring_block_t *b) {
    return __atomic_load_n(&b->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER;
}

static inline void ring_block_release(ring_block_t *b) {
    __atomic_store_n(&b->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
}

static inline uint32_t ring_block_frames(const ring_block_t *b) { return b->hdr.bh1.num_pkts; }

static inline ring_frame_t *ring_block_first(ring_block_t *b) {
    return (ring_frame_t *)((uint8_t *)b + b->hdr.bh1.offset_to_first_pkt);
}

static inline ring_frame_t *ring_frame_next(ring_frame_t *f) { return (ring_frame_t *)((uint8_t *)f + f->tp_next_offset); }

/* The frame's first byte. A VLAN tag that the kernel took out is put back in front of the protocol: the socket keeps
 * room for it. */
static inline uint8_t *ring_frame_data(ring_frame_t *f) {
    uint8_t *data = (uint8_t *)f + f->tp_mac;
    uint16_t tpid, tci;
    if (!(f->tp_status & TP_STATUS_VLAN_VALID) || f->tp_snaplen < 12)
        return data;
    tpid = f->tp_status & TP_STATUS_VLAN_TPID_VALID ? f->hv1.tp_vlan_tpid : 0x8100;
    tci = (uint16_t)f->hv1.tp_vlan_tci;
    data -= 4;
    memmove(data, data + 4, 12);
    data[12] = (uint8_t)(tpid >> 8);
    data[13] = (uint8_t)tpid;
    data[14] = (uint8_t)(tci >> 8);
    data[15] = (uint8_t)tci;
    f->tp_snaplen += 4;
    f->tp_len += 4;
    return data;
}

#endif
