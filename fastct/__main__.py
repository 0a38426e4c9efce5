"""``python -m fastct``."""
import sys

from fastct.cli import main

if __name__ == "__main__":
    sys.exit(main())
