"""Build of the compiled rooms. Metadata and tool settings live in pyproject.toml.

Switches (environment):
    FASTCT_DEBUG=1      bounds checks, -O1 -g, annotated HTML beside the sources
    FASTCT_SANITIZE=1   AddressSanitizer and UndefinedBehaviorSanitizer
    FASTCT_FUZZ=1       those, libFuzzer's counters, and the targets of tests/fuzz; needs clang (tests/fuzz/build.py)
    FASTCT_COVERAGE=1   Cython line tracing
    FASTCT_MARCH=x86-64-v3   instruction set of this build; never probed from the machine
"""
import os
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup


def switch(name):
    return os.environ.get(name, "") not in ("", "0")


DEBUG, FUZZ, COVERAGE = map(switch, ("FASTCT_DEBUG", "FASTCT_FUZZ", "FASTCT_COVERAGE"))
SANITIZE = switch("FASTCT_SANITIZE") or FUZZ
MARCH = os.environ.get("FASTCT_MARCH", "")

cflags = ["-pthread", "-fno-strict-aliasing", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-unused-parameter",
          "-Wno-missing-field-initializers", "-Wno-unused-function"]
cflags += ["-O1", "-g"] if DEBUG or SANITIZE else ["-O3", "-g1"]
lflags = ["-pthread"]
if SANITIZE:
    cflags += ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]
    lflags += ["-fsanitize=address,undefined"]
if FUZZ:
    # Counters only where packets go: not in what Cython makes around Python functions.
    cflags += ["-O2", "-fsanitize=fuzzer-no-link", "-fsanitize-coverage-allowlist=tests/fuzz/counted.txt"]
    lflags += ["-shared-libasan"]
if MARCH:
    cflags.append(f"-march={MARCH}")

macros = [("FASTCT_MARCH", f'"{MARCH or "x86-64"}"')]
if COVERAGE:
    macros.append(("CYTHON_TRACE_NOGIL", "1"))

headers = glob("fastct/**/*.h", recursive=True)
extensions = [
    Extension(path[:-4].replace(os.sep, "."), [path], depends=headers, include_dirs=["fastct"],
              extra_compile_args=cflags, extra_link_args=lflags, define_macros=macros)
    for path in sorted(glob("fastct/**/*.pyx", recursive=True) + (glob("tests/fuzz/*.pyx") if FUZZ else []))
]

setup(ext_modules=cythonize(
    extensions,
    nthreads=0 if os.environ.get("CI") else os.cpu_count() or 1,
    annotate=DEBUG,
    build_dir="build/fuzz/c" if FUZZ else None,
    compiler_directives={
        "language_level": 3, "boundscheck": DEBUG, "initializedcheck": DEBUG, "wraparound": False,
        "nonecheck": False, "cdivision": True, "embedsignature": True, "binding": True,
        "freethreading_compatible": True, "linetrace": COVERAGE,
    },
))
