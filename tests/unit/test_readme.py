"""The examples of the README do what it says they do."""
import doctest
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"
TEXT = README.read_text()


def examples():
    """Commands of the console blocks with their output."""
    for block in re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL):
        for part in block.split("$ ")[1:]:
            command, _, output = part.partition("\n")
            yield command, output


@pytest.fixture(scope="module", autouse=True)
def shown_files():
    """The files that blocks of TOML show, each under the name in its first line."""
    for path, text in re.findall(r"```toml\n# (/tmp/\S+)\n(.*?)```", TEXT, re.DOTALL):
        Path(path).write_text(text)


@pytest.mark.parametrize(("command", "output"), list(examples()))
def test_console_example(command, output):
    command = re.sub(r"^fastct\b", f"{shlex.quote(sys.executable)} -m fastct", command)
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=README.parent, check=True)
    assert done.stdout == output


def test_python_example(monkeypatch):
    monkeypatch.chdir(README.parent)
    blocks = "".join(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
    test = doctest.DocTestParser().get_doctest(blocks, {}, "README.md", "README.md", 0)
    results = doctest.DocTestRunner().run(test)
    assert results.attempted > 5
    assert results.failed == 0


def test_there_are_examples():
    assert len(list(examples())) >= 5
