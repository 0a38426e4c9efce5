"""Where the shared test data lies: beside the checkout, or where FASTCT_SHARED says."""
import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("FASTCT_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def shared(*parts):
    """A path of the shared data; skips the test where it is absent."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"shared test data is absent ({'/'.join(parts)})")
    return path
