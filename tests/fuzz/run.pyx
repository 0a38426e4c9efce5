"""The targets by name, and libFuzzer's loop around one of them."""
import os

from libc.stdint cimport uint8_t
from libc.stdlib cimport malloc

from tests.fuzz.captures cimport fuzz_pcap, fuzz_pcapng
from tests.fuzz.helpers cimport choose_helper, fuzz_helper
from tests.fuzz.snapshots cimport fuzz_snapshot, fuzz_snapshot_file
from tests.fuzz.tracker cimport fuzz_tracker
from tests.fuzz.wire cimport fuzz_fragments, fuzz_wire

ctypedef int (*target_t)(const uint8_t* data, size_t size) noexcept

cdef extern from *:
    """
    int fuzz_drive(int argc, char **argv, int (*target)(const uint8_t *, size_t), unsigned limit_ms);
    """
    int fuzz_drive(int argc, char** argv, target_t target, unsigned limit_ms) noexcept


cdef target_t target_of(str name) except NULL:
    if name == "pcap":
        return fuzz_pcap
    if name == "pcapng":
        return fuzz_pcapng
    if name == "wire":
        return <target_t>fuzz_wire
    if name == "fragments":
        return fuzz_fragments
    if name == "tracker":
        return fuzz_tracker
    if name == "snapshot":
        return fuzz_snapshot
    if name == "snapshot_file":
        return fuzz_snapshot_file
    choose_helper(name)
    return fuzz_helper


def run(str name, list arguments, unsigned limit_ms):
    """Hand a target to libFuzzer, with its arguments, the first being its name; it ends the process."""
    cdef char** argv = <char**>malloc((len(arguments) + 1) * sizeof(char*))
    cdef int i
    held = [os.fsencode(word) for word in arguments]
    for i in range(len(held)):
        argv[i] = held[i]
    argv[len(held)] = NULL
    fuzz_drive(len(held), argv, target_of(name), limit_ms)
