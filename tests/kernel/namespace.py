"""Functions that run in a process of their own, in a network namespace of their own."""

import contextlib
import ctypes
import multiprocessing
import os
import shutil

CLONE_NEWNET = 0x40000000
PROGRAMS = ("ip", "nft", "conntrack")


def unavailable():
    """Why the kernel cannot be asked here; empty if it can."""
    if os.geteuid() != 0:
        return "needs root"
    for program in PROGRAMS:
        if shutil.which(program) is None:
            return f"needs {program}"
    return "" if os.path.exists("/dev/net/tun") else "needs /dev/net/tun"


@contextlib.contextmanager
def inside(name):
    """This thread in the namespace of a name that ip(8) gave it: a socket made there belongs there."""
    libc = ctypes.CDLL(None, use_errno=True)

    def go(namespace):
        if libc.setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")

    with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{name}") as there:
        go(there)
        try:
            yield
        finally:
            go(home)


def _enter(connection, function, args):
    try:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "unshare")
        connection.send((function(*args), None))
    except BaseException as error:
        connection.send((None, f"{type(error).__name__}: {error}"))
        raise


def isolated(function, *args):
    """The result of ``function(*args)``, run in a new process and network namespace."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_enter, args=(theirs, function, args))
    process.start()
    theirs.close()
    try:
        result, error = ours.recv()
    except EOFError:
        result, error = None, "the process ended without an answer"
    process.join()
    if error:
        raise RuntimeError(error)
    return result
