"""LINKTYPE_* numbers: which ones fastct reads, and the names of the common others for its messages.

The one table: ``capture`` refuses by it, ``wire`` must dissect all that is in ``SUPPORTED``.
"""
from fastct.errors import UnsupportedLinkType

NAMES = {
    0: "NULL", 1: "ETHERNET", 3: "AX25", 6: "IEEE802_5", 7: "ARCNET_BSD", 8: "SLIP", 9: "PPP",
    10: "FDDI", 12: "RAW", 14: "RAW", 50: "PPP_HDLC", 51: "PPP_ETHER", 99: "SYMANTEC_FIREWALL",
    100: "ATM_RFC1483", 101: "RAW", 104: "C_HDLC", 105: "IEEE802_11", 107: "FRELAY", 108: "LOOP",
    109: "ENC", 113: "LINUX_SLL", 114: "LTALK", 117: "PFLOG", 119: "IEEE802_11_PRISM",
    122: "IP_OVER_FC", 123: "SUNATM", 127: "IEEE802_11_RADIOTAP", 129: "ARCNET_LINUX",
    138: "APPLE_IP_OVER_IEEE1394", 139: "MTP2_WITH_PHDR", 140: "MTP2", 141: "MTP3", 142: "SCCP",
    143: "DOCSIS", 144: "LINUX_IRDA", **{147 + i: f"USER{i}" for i in range(16)},
    163: "IEEE802_11_AVS", 165: "BACNET_MS_TP", 166: "PPP_PPPD", 169: "GPRS_LLC", 177: "LINUX_LAPD",
    187: "BLUETOOTH_HCI_H4", 189: "USB_LINUX", 192: "PPI", 195: "IEEE802_15_4_WITHFCS", 196: "SITA",
    197: "ERF", 201: "BLUETOOTH_HCI_H4_WITH_PHDR", 202: "AX25_KISS", 203: "LAPD", 204: "PPP_WITH_DIR",
    205: "C_HDLC_WITH_DIR", 206: "FRELAY_WITH_DIR", 209: "IPMB_LINUX", 212: "LIN", 215: "IEEE802_15_4_NONASK_PHY",
    220: "USB_LINUX_MMAPPED", 224: "FC_2", 226: "IPNET", 227: "CAN_SOCKETCAN", 228: "IPV4", 229: "IPV6",
    230: "IEEE802_15_4_NOFCS", 231: "DBUS", 235: "DVB_CI", 239: "NFLOG", 240: "NETANALYZER", 242: "IPOIB",
    243: "MPEG_2_TS", 245: "NFC_LLCP", 247: "INFINIBAND", 248: "SCTP", 249: "USBPCAP", 251: "BLUETOOTH_LE_LL",
    252: "WIRESHARK_UPPER_PDU", 253: "NETLINK", 254: "BLUETOOTH_LINUX_MONITOR", 256: "BLUETOOTH_LE_LL_WITH_PHDR",
    258: "PKTAP", 259: "EPON", 264: "ISO_14443", 266: "USB_DARWIN", 270: "LORATAP", 271: "VSOCK",
    272: "NORDIC_BLE", 276: "LINUX_SLL2", 283: "IEEE802_15_4_TAP", 289: "ETW",
}

SUPPORTED = frozenset({0, 1, 9, 12, 14, 50, 101, 108, 113, 228, 229, 276})


def name_of(number):
    """Name of a LINKTYPE_* number, without the prefix; "unknown" where the table has none."""
    return NAMES.get(number, "unknown")


def checked(number, **where):
    """The number, if it is in ``SUPPORTED``; raises ``unsupported`` otherwise."""
    if number not in SUPPORTED:
        raise unsupported(number, **where)
    return number


def unsupported(number, **where):
    """The error for a link type that is not in ``SUPPORTED``; ``where`` is its path, packet and offset."""
    name = name_of(number)
    return UnsupportedLinkType(f"link type {number} ({name}) is not supported", number=number, name=name, **where)
