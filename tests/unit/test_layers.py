"""Packets flow through the package in one direction: a room imports only rooms to its left."""
import re
from pathlib import Path

import fastct

PACKAGE = Path(fastct.__file__).parent

# From left to right; what stands together may import each other.
ORDER = (("errors", "version", "replaced"), ("records", "wire.reason"), ("capture",), ("wire",), ("conntrack",),
         ("rules",), ("engine",), ("face",), ("state", "control", "fragstate"), ("restore",), ("join",), ("snapshot",),
         ("explanation",), ("firewall",), ("tracker",),
         ("columns", "rows"), ("offline", "live"), ("trial",), ("explaining",), ("benchmark",), ("export",),
         ("checks", "differences"), ("checkfile",), ("cli",), ("__main__", "pytest_plugin"))
# The shared records name reasons and codes; listings know how an ICMP tuple is answered.
LAZY = {("rows", "export")}
IMPORT = re.compile(r"^\s*(?:from\s+(fastct[\w.]*)\s+c?import\s+(\w+)|c?import\s+(fastct[\w.]*))", re.MULTILINE)


def place(module):
    """Number of the room of a module such as ``conntrack.tcp``."""
    for number, rooms in enumerate(ORDER):
        for room in rooms:
            if module == room or module.startswith(room + "."):
                # The table of reasons is shared by all.
                if room == "wire" and module == "wire.reason":
                    continue
                return number
    raise AssertionError(f"{module} has no place in the house")


def imports_of(path):
    for source, name, plain in IMPORT.findall(path.read_text()):
        module = (source or plain).removeprefix("fastct").lstrip(".")
        yield module or name


def upward(files):
    for path in files:
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        if module == "__init__":
            continue
        for imported in imports_of(path):
            if place(imported) > place(module) and (module.split(".")[0], imported.split(".")[0]) not in LAZY:
                yield f"{module} imports {imported}"


def test_no_upward_arrow():
    files = [path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".pyx", ".pxd")]
    assert len(files) > 40
    assert list(upward(files)) == []


def test_the_test_sees_arrows(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    (tmp_path / "wire").mkdir()
    bad = tmp_path / "wire" / "ip.pyx"
    bad.write_text("from fastct.engine cimport engine_t\n")
    assert list(upward([bad])) == ["wire.ip imports engine"]
