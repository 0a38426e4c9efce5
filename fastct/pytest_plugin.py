"""pytest's plugin: the fixture ``fastct_firewall``, rules to ask about packets that are described in words.

    def test_web(fastct_firewall):
        assert fastct_firewall.accepts("in=eth0 tcp 10.0.0.1:1234 > 1.2.3.4:80 syn")

    $ pytest --fastct-rules fw.rules

It is a ``fastct.trial.Trial``. The settings of ``SETTINGS`` go into pytest's configuration, too; a path there is
relative to the file that it stands in. Every run of pytest imports this, so what is of size waits for the fixture.
"""
import pytest

RULES = {"fastct_rules": "iptables' rules (iptables-save)", "fastct_rules6": "those of ip6tables (ip6tables-save)"}
SETTINGS = {"fastct_local": "addresses of the host itself, a line each",
            "fastct_interfaces": "interfaces, a line each: NAME=ADDRESS/LENGTH",
            "fastct_routes": "what else is behind an interface, a line each: PREFIX=NAME"}


def pytest_addoption(parser):
    """Where the rules are."""
    group = parser.getgroup("fastct", "rules of a firewall")
    for name, text in RULES.items():
        group.addoption("--" + name.replace("_", "-"), metavar="FILE", dest=name, help=text)
        parser.addini(name, text)
    for name, text in SETTINGS.items():
        parser.addini(name, text, type="linelist")


def _path(config, name):
    """The file of rules that an option or the configuration names, or None."""
    given = config.getoption(name)
    if given is not None:
        return config.invocation_params.dir / given
    given = config.getini(name)
    return (config.inipath.parent if config.inipath else config.rootpath) / given if given else None


def _pairs(config, name):
    """The lines ``A=B`` of a setting."""
    pairs = [tuple(part.strip() for part in line.partition("=")[::2]) for line in config.getini(name)]
    if not all(first and second for first, second in pairs):
        raise pytest.UsageError(f"{name}: expected {SETTINGS[name].rpartition(' ')[2]}")
    return pairs


@pytest.fixture(scope="session")
def fastct_firewall(pytestconfig):
    """Rules to ask what they do with packets: a ``fastct.trial.Trial``."""
    from fastct.errors import Error, TextError
    from fastct.trial import Trial
    rules, rules6 = (_path(pytestconfig, name) for name in RULES)
    if rules is None and rules6 is None:
        raise pytest.UsageError("fastct_firewall: --fastct-rules FILE or fastct_rules in the configuration says which")
    try:
        return Trial(rules, rules6, local=pytestconfig.getini("fastct_local"),
                     interfaces=_pairs(pytestconfig, "fastct_interfaces"),
                     routes=_pairs(pytestconfig, "fastct_routes"))
    except Error as error:
        raise pytest.UsageError(error.located() if isinstance(error, TextError) else str(error)) from None
