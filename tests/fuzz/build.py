"""The instrumented build, apart from every other: fastct and the targets by clang, and libFuzzer as a library."""
import glob
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build" / "fuzz"
DRIVER = BUILT / "driver.so"


def runtime(name):
    """A library of clang's."""
    folder = subprocess.run(["clang", "-print-resource-dir"], check=True, capture_output=True, text=True).stdout.strip()
    found = glob.glob(f"{folder}/lib/linux/{name}")
    if not found:
        raise SystemExit(f"fuzz: clang has no {name}: on Debian it comes with the package clang")
    return found[0]


def build():
    """Build what has changed."""
    environment = os.environ | {"CC": "clang", "LDSHARED": "clang -shared", "FASTCT_FUZZ": "1"}
    subprocess.run([sys.executable, "setup.py", "-q", "build", f"--build-lib={BUILT}", f"--build-temp={BUILT}/temp"],
                   cwd=ROOT, env=environment, check=True)
    source = Path(__file__).with_name("driver.c")
    if not DRIVER.exists() or DRIVER.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["clang", "-O2", "-g", "-Wall", "-Wextra", "-shared", "-fPIC", str(source), "-o", str(DRIVER),
                        "-Wl,--whole-archive", runtime("libclang_rt.fuzzer_no_main-x86_64.a"),
                        "-Wl,--no-whole-archive", "-lstdc++", "-lpthread", "-lm"], check=True)


def environment(target):
    """What a run needs around it."""
    # Small objects of Python's own are watched where they are what is read.
    allocator = "malloc" if target == "snapshot" else "pymalloc"
    return os.environ | {
        "LD_PRELOAD": f"{DRIVER} {runtime('libclang_rt.asan-x86_64.so')}",
        "PYTHONPATH": str(BUILT), "PYTHONMALLOC": allocator, "PYTHONDONTWRITEBYTECODE": "1",
        "ASAN_OPTIONS": "detect_leaks=0:verify_asan_link_order=0:quarantine_size_mb=16",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    }
