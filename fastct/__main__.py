"""``python -m fastct``."""
import sys

from fastct.cli import main

sys.exit(main())
