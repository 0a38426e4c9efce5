"""The command lines of iptables, iptables-save and iptables-restore without a kernel: options, checks, texts, files."""
import io

import pytest

from fastct import cli
from fastct.rules.dump import iptables_restore, iptables_save
from fastct.rules.model import Ruleset
from fastct.rules.options import MISSING, NO, PLAIN, UNKNOWN, YES, Long, Longs, Options
from fastct.rules.program import iptables
from fastct.rules.words import quoted, split

HINT = "Try `iptables -h' or 'iptables --help' for more information.\n"


def run(ruleset, *lines):
    """The Outcome of the last of several command lines."""
    for line in lines:
        outcome = iptables(line.split(), ruleset)
    return outcome


def refusal(line, *before):
    """What is said against a command line, and the status."""
    outcome = run(Ruleset(), *before, line)
    assert outcome.out == ""
    return outcome.err, outcome.status


@pytest.mark.parametrize(("line", "words"), [
    ('-A x  --comment "a b"', ["-A", "x", "--comment", "a b"]), ('"a"b', ["a", "b"]), ('a"b c"d', ["ab c", "d"]),
    (r'"a\"b\\" c\d', ['a"b\\', r"c\d"]), ('x "" y', ["x", "", "y"]), ("'a b'", ["'a", "b'"]), ('"open\n', ["open\n"]),
    ("\ta\n", ["a"]), ("", []),
])
def test_words(line, words):
    assert split(line) == words


def test_words_know_their_columns():
    assert [word.column for word in split('-A  x "a b" c')] == [1, 5, 7, 13]


@pytest.mark.parametrize(("word", "text"), [
    ("plain-1_x", "plain-1_x"), ("a.b", '"a.b"'), ("", '""'), ("it's", '"it\\\'s"'), ('q"', '"q\\""')])
def test_quotes(word, text):
    assert quoted(word) == text
    assert split(text) == [word]


def test_options_are_found_as_getopt_finds_them():
    longs = [Long("source", YES, "s"), Long("src", YES, "s"), Long("source-port", YES, "q"), Long("numeric", NO, "n")]
    options = Options(["-nsx", "--src=y", "--sr", "z", "--num", "--sour", "1", "word", "--numeric=1", "-Qn", "-s"],
                      {"n": NO, "s": YES}, Longs(longs))
    found = []
    while (option := options.next()) is not None:
        found.append((option.key, option.argument))
    assert found == [("n", None), ("s", "x"), ("s", "y"), ("s", "z"), ("n", None), (UNKNOWN, None), (PLAIN, "1"),
                     (PLAIN, "word"), (UNKNOWN, None), (UNKNOWN, None), ("n", None), (MISSING, None)]


def test_nothing_is_an_option_behind_two_dashes():
    options = Options(["-n", "--", "-n"], {"n": NO}, Longs([]))
    assert [options.next().key, options.next(), options.take()] == ["n", None, "-n"]


@pytest.mark.parametrize(("line", "message"), [
    ("", "no command specified"), ("-A", 'option "-A" requires an argument'), ("-Q", 'unknown option "-Q"'),
    ("-A INPUT -L", "Cannot use -L with -A"), ("-L -p tcp", "Illegal option `-p' with this command"),
    ("-D INPUT -c 1 2", "Illegal option `-c' with this command"), ("! -A INPUT", "unexpected '!' flag"),
    ("-R INPUT", "-R requires a rule number"), ("-L INPUT 0", "Invalid rule number `0'"),
    ("-R INPUT 1 -s 1.1.1.1,2.2.2.2", "Replacement rule does not specify a unique address"),
    ("-A INPUT ! -s 1.1.1.1,2.2.2.2", "! not allowed with multiple source or destination IP addresses"),
    ("-A INPUT -o lo", "Can't use -o with INPUT\n"), ("-A OUTPUT -i lo", "Can't use -i with OUTPUT\n"),
    ("-A INPUT -p tcp -p udp", "multiple -p flags not allowed"), ("-A INPUT -g no", "goto 'no' is not a chain"),
    ("-A INPUT -j NO", "Couldn't load target `NO':No such file or directory\n"),
    ("-A INPUT --src=1.1.1.1", "host/network `--src=1.1.1.1' not found"),
    ("-N LOG", "chain name may not clash with target name"), ("-S -- x", "unknown arguments found on commandline"),
    ("-A INPUT -m hashlimit --hashlimit-upto 1b/s --hashlimit-burst 9b --hashlimit-name a",
     "a burst needs a rate of at least 16b/s"),
    ("-S !", "nothing appropriate following !"), ("-W 1 -L !", "--wait-interval only makes sense with --wait\n"),
])
def test_wrong_command_lines(line, message):
    err, status = refusal(line)
    assert err.endswith(f"iptables v1.8.9 (legacy): {message}\n{HINT}")
    assert status == 2


@pytest.mark.parametrize(("line", "message"), [
    ("-A no", "No chain/target/match by that name."), ("-I INPUT 9", "Index of insertion too big."),
    ("-D INPUT 9", "Index of deletion too big."), ("-R INPUT 9", "Index of replacement too big."),
    ("-Z INPUT 9", "Index of counter too big."),
    ("-D INPUT -j DROP", "Bad rule (does a matching rule exist in that chain?)."),
    ("-D INPUT -j REJECT", "No chain/target/match by that name."), ("-N web", "Chain already exists."),
    ("-X web", "Too many links."), ("-X full", "Directory not empty."), ("-E web full", "File exists."),
    ("-P web DROP", "Bad built-in chain name."), ("-P INPUT X", "Bad policy name. Run `dmesg' for more information."),
    ("-A web -j web", "Too many levels of symbolic links."),
    ("-A INPUT -j OUTPUT", "Invalid argument. Run `dmesg' for more information."),
    ("-A INPUT -m tcp", "Invalid argument. Run `dmesg' for more information."),
])
def test_what_the_kernel_refuses(line, message):
    before = ("-N web", "-N full", "-A full", "-A INPUT -j web")
    assert refusal(line, *before) == (f"iptables: {message}\n", 1)


def test_a_table_that_is_none():
    assert refusal("-t no -S") == ("iptables v1.8.9 (legacy): can't initialize iptables table `no': Table does not "
                                   "exist (do you need to insmod?)\nPerhaps iptables or your kernel needs to be "
                                   "upgraded.\n", 3)


def test_what_is_never_reached_is_no_circle():
    ruleset = Ruleset()
    assert run(ruleset, "-N a", "-A a -j a").status == 0
    assert run(ruleset, "-A INPUT -j ACCEPT", "-A INPUT -j a").status == 0
    assert run(ruleset, "-A OUTPUT -j a").status == 1
    assert run(ruleset, "-D a 1", "-A a -j RETURN", "-A a -j a", "-A OUTPUT -j a").status == 0


def test_an_extension_counts_where_it_can_be_reached_from():
    ruleset = Ruleset()
    assert run(ruleset, "-t nat -N a", "-t nat -A a -j MASQUERADE").status == 0
    assert run(ruleset, "-t nat -A PREROUTING -j a").status == 1
    assert run(ruleset, "-t nat -A POSTROUTING -j a").status == 0


def test_a_refused_command_changes_nothing():
    ruleset = Ruleset()
    run(ruleset, "-A INPUT -s 1.1.1.1")
    assert run(ruleset, "-D INPUT -s 1.1.1.1,2.2.2.2").status == 1
    assert run(ruleset, "-S INPUT").out == "-P INPUT ACCEPT\n-A INPUT -s 1.1.1.1/32\n"


def test_renaming_takes_jumps_along_and_keeps_the_order():
    ruleset = Ruleset()
    assert run(ruleset, "-N b", "-N c", "-A INPUT -j b", "-E b d", "-S").out.split("\n")[3:6] == [
        "-N c", "-N d", "-A INPUT -j d"]


def test_policy_counters_start_again_with_a_change():
    ruleset = Ruleset()
    assert run(ruleset, "-P INPUT DROP -c 7 8").status == 0
    assert "[7:8]" in save(ruleset, "-c")
    assert run(ruleset, "-C INPUT -j DROP").status == 1
    assert "[7:8]" in save(ruleset, "-c")
    run(ruleset, "-A FORWARD")
    assert "[7:8]" not in save(ruleset, "-c")


def test_zero_spares_what_was_given_in_the_same_breath():
    ruleset = Ruleset()
    restore(ruleset, "*filter\n[1:2] -A INPUT -j ACCEPT\n-Z\nCOMMIT\n", "-c")
    assert "[1:2] -A INPUT" in save(ruleset, "-c")
    run(ruleset, "-Z INPUT 1")
    assert "[0:0] -A INPUT" in save(ruleset, "-c")


@pytest.mark.parametrize(("value", "text"), [
    (99_999, "99999"), (100_000, " 100K"), (9_999_499, "9999K"), (9_999_500, "  10M"), (9_999_500_000, "  10G"),
    (9_999_499_999_999, "  10T"), (9_999_500_000_000_000, "10000T"), (2**64 - 1, "   0K")])
def test_counters_get_suffixes(value, text):
    ruleset = Ruleset()
    run(ruleset, f"-A INPUT -c 1 {value}")
    assert run(ruleset, "-L INPUT -v").out.split("\n")[2].startswith(f"    1 {text} ")
    assert run(ruleset, "-L INPUT -vx").out.split("\n")[2].startswith(f"       1 {value:>8} ")


def test_a_listing():
    ruleset = Ruleset()
    run(ruleset, "-N web", "-A FORWARD ! -s 10.0.0.0/8 ! -i lo -o e+ ! -p udp ! -f -g web")
    assert run(ruleset, "-L FORWARD -v --line").out == (
        "Chain FORWARD (policy ACCEPT 0 packets, 0 bytes)\n"
        "num   pkts bytes target     prot opt in     out     source               destination         \n"
        "1        0     0 web       !udp  !f  !lo    e+     !10.0.0.0/8           anywhere            [goto] \n")
    assert run(ruleset, "-L web").out.split("\n")[0] == "Chain web (1 references)"
    assert run(ruleset, "-D FORWARD 1", "-A FORWARD -v -d 1.1.1.1 -j DROP").out == (
        "DROP  all opt -- in * out *  0.0.0.0/0  -> 1.1.1.1  \n")


# -- texts

def restore(ruleset, text, *options):
    return iptables_restore(options, ruleset, io.StringIO(text))


def save(ruleset, *options):
    return iptables_save(options, ruleset, "today").out


def test_save_writes_tables_in_the_order_of_linux():
    ruleset = Ruleset()
    assert restore(ruleset, "*nat\nCOMMIT\n*raw\n-A OUTPUT -j ACCEPT\nCOMMIT\n").status == 0
    assert save(ruleset).startswith("# Generated by iptables-save v1.8.9 on today\n*raw\n:PREROUTING ACCEPT [0:0]\n"
                                    ":OUTPUT ACCEPT [0:0]\n-A OUTPUT -j ACCEPT\nCOMMIT\n# Completed on today\n# Gen")
    assert "*raw" not in save(ruleset, "-t", "nat")


@pytest.mark.parametrize(("text", "err", "status"), [
    ("*filter\n-A INPUT\n", "iptables-restore: COMMIT expected at line 3\n", 1),
    ("-A INPUT\n", "iptables-restore: line 1 failed\n", 1),
    ("*filter\n-A no\nCOMMIT\n", "iptables-restore: line 2 failed\n", 1),
    ("*filter\n-A INPUT -m tcp\nCOMMIT\n", "iptables-restore: line 3 failed\n", 1),
    ("*filter\n:INPUT X\nCOMMIT\n",
     "iptables-restore v1.8.9 (legacy): Can't set policy `X' on `INPUT' line 2: Bad policy name\n", 1),
    ("*filter\nx\n", "Bad argument `x'\nError occurred at line: 2\n"
     "Try `iptables-restore -h' or 'iptables-restore --help' for more information.\n", 2),
    ("*filter\n-6 -A no\n-4 -A INPUT\nCOMMIT\n", "", 0),
])
def test_restore_says_what_it_minds(text, err, status):
    outcome = restore(Ruleset(), text)
    assert (outcome.err, outcome.status) == (err, status)


def test_tables_take_effect_one_by_one():
    ruleset = Ruleset()
    assert restore(ruleset, "*filter\n-A INPUT\nCOMMIT\n*nat\n-A no\nCOMMIT\n").status == 1
    assert "-A INPUT" in save(ruleset)
    assert restore(ruleset, "*filter\n-A OUTPUT\n-A no\nCOMMIT\n").status == 1
    assert "-A OUTPUT" not in save(ruleset)


def test_options_of_restore():
    ruleset = Ruleset()
    text = "*filter\n:web - [0:0]\n[1:2] -A INPUT -j web\nCOMMIT\n*nat\n-A no\nCOMMIT\n"
    assert restore(ruleset, text, "-T", "filter", "-t").status == 0
    assert "web" not in save(ruleset)
    assert restore(ruleset, text, "-T", "filter", "-c").status == 0
    assert "[1:2] -A INPUT -j web" in save(ruleset, "-c")
    assert restore(ruleset, text, "-T", "filter", "-n").status == 0
    assert save(ruleset).count("-A INPUT -j web") == 2
    assert restore(ruleset, "*filter\nCOMMIT\n", "-v").out.count("Flushing") == 4


# -- files

def test_the_command_line_changes_a_file(tmp_path, capsys):
    path = tmp_path / "fw.rules"
    assert cli.main(["iptables", "-A", "INPUT", "-s", "10.0.0.0/8", "-j", "DROP", "--file", str(path)]) == 0
    assert "[0:0] -A INPUT -s 10.0.0.0/8 -j DROP" in path.read_text()
    before = path.stat().st_mtime_ns, path.read_bytes()
    assert cli.main(["iptables", "-A", "no", f"--file={path}"]) == 1
    assert cli.main(["iptables-save", "-t", "filter", f"--file={path}"]) == 0
    assert capsys.readouterr().out.split("\n")[5] == "-A INPUT -s 10.0.0.0/8 -j DROP"
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["fw.rules"]


def test_the_command_line_restores_from_standard_input(tmp_path, monkeypatch):
    path = tmp_path / "fw.rules"
    monkeypatch.setattr("sys.stdin", io.StringIO("*raw\n-A OUTPUT -s fd00::1\nCOMMIT\n"))
    assert cli.main(["ip6tables-restore", "--file", str(path)]) == 0
    assert "-A OUTPUT -s fd00::1/128" in path.read_text()
    assert cli.main(["iptables-save", "--file", str(tmp_path / "none")]) == 2
    assert cli.main(["iptables", "-S"]) == 2
