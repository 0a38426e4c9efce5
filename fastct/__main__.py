"""The program: ``fastct`` and ``python -m fastct``.

Everything of size is imported from here on, so that an interrupt is told in one line even while that goes on.
"""
import os
import sys


def main():
    """Run the command line; returns the exit status."""
    # NumPy's linear algebra is not used here: spare it the start of its threads.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from fastct.cli import main as run
        return run()
    except KeyboardInterrupt:
        print("fastct: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
