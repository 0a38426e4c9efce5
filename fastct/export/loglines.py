"""What rules wrote to the log, as ``dmesg --raw`` prints it but for the time, which is the packet's.

    <4>[1700000000.000000] new: IN=eth0 OUT= MAC=… SRC=…        LOG and TRACE: the level
    nflog:5[1700000000.000000] new: IN=eth0 …                   NFLOG: the group

A line ends in a blank, as the kernel's does.
"""
US = 1000                   # ns


def format_log(lines):
    """Bytes of text for a list of ``rules.linetext.Line``."""
    text = "".join(f"{f'nflog:{line.group}' if line.kind == 'NFLOG' else f'<{line.group}>'}"
                   f"[{line.ts // US // 10**6}.{line.ts // US % 10**6:06}] {line.text}\n" for line in lines)
    return text.encode(errors="surrogateescape")
