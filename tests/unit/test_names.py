"""The package's names: all of them are there, and nothing is imported before one is asked for."""
import subprocess
import sys

import fastct


def test_every_name_is_there():
    assert set(fastct.__all__) == set(fastct._HOME_OF) | {"__version__"}
    for name in fastct.__all__:
        assert getattr(fastct, name) is not None
    assert not hasattr(fastct, "nothing")


def test_numpy_waits():
    program = "import sys, fastct; print('numpy' in sys.modules); fastct.Tracker; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
