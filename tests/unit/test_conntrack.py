"""``fastct conntrack`` on a snapshot, as far as it needs no kernel to compare with."""
import pytest

import fastct
from fastct.cli import main
from tests.unit.test_snapshot import RAW, dialogue

TUPLE = ("-p", "tcp", "-s", "10.0.0.1", "-d", "10.0.0.2", "--sport", "1000", "--dport", "80")
CREATE = ("-I", *TUPLE, "--state", "ESTABLISHED", "-t", "100")


@pytest.fixture
def conntrack(tmp_path, capsys):
    """What runs a command line on a snapshot: exit status, output, messages."""
    path = tmp_path / "state.fct"
    fastct.Tracker(seed=1).save(path)

    def run(*words):
        status = main(["conntrack", *words, "--snapshot", str(path)])
        out, err = capsys.readouterr()
        return status, out, err.replace("conntrack v1.4.7 (conntrack-tools): ", "")
    run.path = path
    return run


def test_life_of_an_entry(conntrack):
    assert conntrack(*CREATE) == (0, "", "1 flow entries have been created.\n")
    line = ("tcp      6 100 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=1000 dport=80 packets=0 bytes=0 [UNREPLIED] "
            "src=10.0.0.2 dst=10.0.0.1 sport=80 dport=1000 packets=0 bytes=0 mark=0 use=1\n")
    assert conntrack("-L", "-p", "tcp", "--state", "ESTABLISHED") == (0, line, "1 flow entries have been shown.\n")
    assert conntrack("-U", *TUPLE, "-t", "50", "-m", "7")[1].endswith(" mark=7 use=2\n")
    assert conntrack("-G", *TUPLE)[1].startswith("tcp      6 50 ESTABLISHED ")
    assert conntrack("-C") == (0, "1\n", "")
    assert conntrack("-D", "-m", "7")[2] == "1 flow entries have been deleted.\n"
    assert conntrack("-D", "-m", "7") == (1, "", "0 flow entries have been deleted.\n")


def test_what_fails_changes_nothing(conntrack):
    conntrack(*CREATE)
    before = conntrack.path.read_bytes()
    assert conntrack(*CREATE) == (1, "", "Operation failed: Such conntrack exists, try -U to update\n")
    assert conntrack("-D", "-p", "foo")[0] == 2
    assert conntrack.path.read_bytes() == before


def test_expectations(conntrack):
    tracker = fastct.Tracker(auto_helpers=True)
    for packet in dialogue(2000)[:6]:
        tracker.process_bytes([packet], [tracker.now], RAW)
    tracker.save(conntrack.path)
    status, out, err = conntrack("-L", "expect")
    assert (status, err) == (0, "1 expectations have been shown.\n")
    assert out.startswith("300 proto=6 src=10.9.0.2 dst=10.9.0.1 sport=0 dport=2000 ")
    assert out.endswith(" class=0 helper=ftp\n")
    assert conntrack("-C", "expect") == (0, "1\n", "")


def test_flush(conntrack):
    conntrack(*CREATE)
    assert conntrack("-F") == (0, "", "connection tracking table has been emptied.\n")
    assert conntrack("-L") == (0, "", "0 flow entries have been shown.\n")


def test_a_fixed_timeout_stays(conntrack):
    conntrack(*CREATE, "-u", "FIXED_TIMEOUT")
    status, out, err = conntrack("-U", *TUPLE, "-t", "5")
    assert (status, out[:15]) == (0, "tcp      6 100 ")     # conntrack counts it all the same
    assert err.startswith("Operation failed: sorry, you must be root")
    assert conntrack("-G", *TUPLE)[1].startswith("tcp      6 100 ")


def replies(conntrack, *words):
    """The reply's tuple of each connection that is listed."""
    return [line.split("[UNREPLIED] ")[1].split(" packets")[0] for line in conntrack("-L", *words)[1].splitlines()]


def test_translations(conntrack):
    conntrack(*CREATE, "-n", "1.2.3.4:70", "-g", "5.6.7.8")
    assert replies(conntrack) == ["src=5.6.7.8 dst=1.2.3.4 sport=80 dport=70"]
    assert len(replies(conntrack, "-n", "1.2.3.4:70", "-g", "5.6.7.8")) == 1
    assert replies(conntrack, "-n", "1.2.3.4:71") == replies(conntrack, "-g", "1.2.3.4") == []
    assert conntrack("-L", "-o", "save")[1].split(" -p ")[0].endswith("-s 10.0.0.1 -d 10.0.0.2 -g 5.6.7.8 -n 1.2.3.4")
    assert conntrack("-U", "-n", "1.2.3.4", "-m", "5")[2].startswith("Operation failed: Operation not supported\n")


def test_a_source_keeps_its_translation_and_another_gets_a_port(conntrack):
    other = ("-I", "-p", "tcp", "-s", "10.0.0.7", "-d", "10.0.0.2", "--sport", "1000", "--dport", "80", "-t", "100",
             "--state", "CLOSE")
    conntrack(*CREATE, "-n", "1.2.3.4:70")
    conntrack(*CREATE[:6], "10.0.0.9", *CREATE[7:], "-n", "1.2.3.4")      # to another server
    assert "src=10.0.0.9 dst=1.2.3.4 sport=80 dport=70" in replies(conntrack)
    assert conntrack(*other, "-n", "1.2.3.4:70")[0] == 1                  # taken
    conntrack(*CREATE[:4], "10.0.0.8", *CREATE[5:], "-n", "1.2.3.4")
    assert conntrack(*other, "-n", "1.2.3.4")[0] == 0
    ports = [int(reply.rpartition("=")[2]) for reply in replies(conntrack, "-n", "1.2.3.4", "-d", "10.0.0.2")]
    assert ports[:2] == [70, 1000] and 600 <= ports[2] <= 1023


def test_ids_of_icmp_are_translated_apart(conntrack):
    for source in ("10.0.0.1", "10.0.0.3"):
        conntrack("-I", "-p", "icmp", "-s", source, "-d", "10.0.0.2", "--icmp-type", "8", "--icmp-code", "0",
                  "--icmp-id", "5", "-t", "100", "-n", "1.2.3.4")
    first, second = replies(conntrack)
    assert first == "src=10.0.0.2 dst=1.2.3.4 type=0 code=0 id=5"
    assert second.startswith("src=10.0.0.2 dst=1.2.3.4 type=0 code=0 id=") and second != first


def test_a_packet_of_either_tuple_belongs_to_a_translated_connection(conntrack):
    conntrack(*CREATE, "-n", "1.2.3.4:70")
    tracker = fastct.Tracker.from_snapshot(conntrack.path)
    asked = [("10.0.0.1", "10.0.0.2", 1000, 80), ("10.0.0.2", "1.2.3.4", 80, 70), ("10.0.0.2", "10.0.0.1", 80, 1000)]
    found = [tracker.find("tcp", *each) for each in asked]
    assert found[0] == found[1] is not None and found[2] is None
    assert tracker.delete(found[0]) and tracker.find("tcp", *asked[1]) is None


def test_a_reply_of_its_own_has_to_be_complete(conntrack):
    assert conntrack(*CREATE, "-r", "8.8.8.8", "-q", "9.9.9.9")[2] == "Operation failed: invalid parameters\n"
    conntrack(*CREATE, "-r", "8.8.8.8", "-q", "9.9.9.9", "--reply-port-src", "7", "--reply-port-dst", "8")
    assert replies(conntrack) == ["src=8.8.8.8 dst=9.9.9.9 sport=7 dport=8"]
    assert replies(conntrack, "-n") == []       # nothing was translated
    assert "-r 8.8.8.8 -q 9.9.9.9" in conntrack("-L", "-o", "save")[1]


@pytest.fixture
def labelled(conntrack, tmp_path, monkeypatch):
    """``conntrack`` with a file of names of labels."""
    names = tmp_path / "connlabel.conf"
    names.write_text("0 zero\n5\tfive\n6 five\n5 second\n0x7f last\n 9 two words \n128 over\n1 a_b\n# 2 none\n")
    monkeypatch.setattr("fastct.cli.conntrack.labels.read_names.__defaults__", (str(names),))
    return conntrack


def test_labels(labelled):
    assert labelled(*CREATE, "--label-add", "five,two words", "--label-add", "last")[0] == 0
    assert labelled("-L", "-o", "labels")[1].endswith(" use=1 labels=five,two words,last\n")
    assert "<labels><label>five</label>" in labelled("-L", "-o", "labels,xml")[1]
    assert labelled("-L", "-l", "last", "-l", "five")[2] == "1 flow entries have been shown.\n"
    assert labelled("-L", "-l", "last,zero")[2] == "0 flow entries have been shown.\n"
    assert labelled("-U", *TUPLE, "--label-del", "five")[1].endswith(" labels=two words,last\n")
    assert labelled("-U", *TUPLE, "--label-add", "zero")[1].endswith(" labels=zero,two words,last\n")
    assert labelled("-U", *TUPLE, "--label-del")[1].endswith(" use=2\n")
    assert labelled("-U", *TUPLE, "--label-del")[2] == "0 flow entries have been updated.\n"


@pytest.mark.parametrize("name", ["second", "a_b", "none", "five,", "5"])
def test_names_that_are_none(labelled, name):
    status, _, err = labelled(*CREATE, "--label-add", name)
    assert (status, err.splitlines()[0]) == (2, f"unknown label '{name.partition(',')[2] if ',' in name else name}'")


def test_labels_that_have_no_room(labelled):
    assert labelled(*CREATE, "--label-add", "over")[2] == "Operation failed: Numerical result out of range\n"


def test_without_names(conntrack, tmp_path, monkeypatch):
    monkeypatch.setattr("fastct.cli.conntrack.labels.read_names.__defaults__", (str(tmp_path / "none"),))
    assert conntrack("-L", "-o", "labels")[2].splitlines()[0] == "nfct_labelmap_new: No such file or directory"


def test_lines_of_a_file(conntrack, tmp_path):
    lines = tmp_path / "lines"
    conntrack(*CREATE, "-n", "1.2.3.4:70", "-m", "7")
    saved = conntrack("-L", "-o", "save")[1]
    before = conntrack("-L")[1].replace("mark=7", "mark=0")
    lines.write_text(f"# what there was\n\n-F\n  {saved}")
    assert conntrack("-R", str(lines)) == (0, "", "connection tracking table has been emptied.\n")
    assert conntrack("-L")[1] == before
    lines.write_text(f"-D -p tcp\n{saved}{saved.replace('-A', '-I')}-D -p tcp\n")
    assert conntrack("-R", str(lines))[::2] == (1, "Operation failed: Such conntrack exists, try -U to update\n")
    assert conntrack("-C")[1] == "1\n"         # what came before it stays
    for line, command in (("-L", "-L"), ("-L expect", "-L expect"), ("-C", "-C"), ("", None)):
        lines.write_text(line + "\n")
        said = f"Cannot use command `{command}' with --load-file" if command else ""
        assert conntrack("--load-file", str(lines))[2].partition("\n")[0] == said


def test_words_between_quotes():
    from fastct.cli.conntrack.run import _split
    assert _split('-D  "a b"c "q\\"x" ""\tz\n') == ["-D", "a b", "c", 'q"x', "", "z"]


EXPECTED = ("--tuple-src", "4.4.4.4", "--tuple-dst", "5.5.5.5", "--tuple-port-src", "6", "--tuple-port-dst", "7",
            "--mask-src", "255.255.255.0", "--mask-dst", "255.255.255.255", "--mask-port-src", "0", "--mask-port-dst",
            "65535")
ANY_REPLY = ("--reply-port-src", "1", "--reply-port-dst", "2")


def test_expectations_by_hand(conntrack):
    tracker = fastct.Tracker(auto_helpers=True)
    for packet in dialogue(2000)[:3]:
        tracker.process_bytes([packet], [tracker.now], RAW)
    tracker.save(conntrack.path)
    row = tracker.connections()[0]
    master = ("-p", "tcp", "-s", "10.9.0.1", "-d", "10.9.0.2", "--sport", str(row["orig_sport"]), "--dport", "21")
    fulfils = ("-p", "tcp", "-s", "4.4.4.9", "-d", "5.5.5.5", "--sport", "99", "--dport", "7", *ANY_REPLY)
    assert conntrack("-I", "expect", "-t", "9", *master, *EXPECTED) == (0, "", "")
    assert conntrack("-I", "expect", "-t", "9", *master, *EXPECTED)[2] == "Operation failed: File exists\n"
    status, out, err = conntrack("-G", "expect", *fulfils)
    assert (status, err) == (0, "")
    assert out.startswith("300 proto=6 src=4.4.4.4 dst=5.5.5.5 sport=6 dport=7 mask-src=255.255.255.0 ")
    xml = conntrack("-L", "expect", "-o", "xml")[1]
    assert xml.startswith('<?xml version="1.0" encoding="utf-8"?>\n<expect>\n<flow><layer3 ')
    assert "<expected><sport>6</sport><dport>7</dport></expected><mask><sport>0</sport>" in xml
    assert conntrack("-S", "expect")[1] == "cpu=0   \texpect_new=0 expect_create=1 expect_delete=0 \n"
    assert conntrack("-D", "expect", *fulfils) == (1, "", "0 expectations have been shown.\n")
    assert conntrack("-D", "expect", *fulfils)[2] == "Operation failed: No such file or directory\n"
    said = conntrack("-I", "expect", "-t", "9", *master[:-1], "22", *EXPECTED)[2]
    assert said == "Operation failed: master conntrack not found\n"


def test_who_has_no_helper_expects_nothing(conntrack):
    conntrack(*CREATE)
    said = conntrack("-I", "expect", "-t", "9", *TUPLE, *EXPECTED)[2]
    assert said == "Operation failed: Operation not supported\n"


@pytest.mark.parametrize(("words", "said"), [
    ("-U expect", "Can't do --update on expectations"),
    ("-F dying", "Can't do that command with tables `dying' and `unconfirmed'"),
    ("-D expect -p tcp -s 1.1.1.1 -d 2.2.2.2", "You need to supply the `--sport' option for this command"),
    ("-L -p sctp --orig-vtag 5", "Illegal option `--orig-vtag' with this command"),
    ("-L -u FOO,ASSURED", "Bad parameter `FOO,ASSURED'"),
    ("-L -n [fd00::1", "No closing ']' around IPv6 address"),
    ("-I -p udp -s 1.1.1.1 -d 2.2.2.2 --reply-port-src 5 -t 5",
     "you have to specify `--reply-src-port' and `--reply-dst-port'"),
    ("-U -j", "Illegal option `--any-nat' with this command"),
])
def test_wrong_words(conntrack, words, said):
    status, out, err = conntrack(*words.split())
    assert (status, out, err.splitlines()[0]) == (2, "", said)


@pytest.mark.parametrize(("words", "shown"), [("!SEEN_REPLY", 1), ("SEEN_REPLY", 1), ("!ASSURED", 2), ("UNREPLIED", 1),
                                              ("seen", 1), ("ASSURED", 0)])
def test_status(conntrack, words, shown):
    conntrack(*CREATE)
    conntrack(*CREATE[:4], "10.0.0.8", *CREATE[5:], "-u", "SEEN_REPLY")
    assert conntrack("-L", "-u", words)[2] == f"{shown} flow entries have been shown.\n"


def test_an_id_names_one(conntrack):
    conntrack(*CREATE)
    conntrack(*CREATE[:4], "10.0.0.8", *CREATE[5:])
    first, second = (line.rpartition("=")[2] for line in conntrack("-L", "-o", "id")[1].splitlines())
    assert first != second
    assert conntrack("-D", "-i", second)[1].split()[4] == "src=10.0.0.8"
    assert conntrack("-L", "-o", "id")[1].rstrip().rpartition("=")[2] == first


@pytest.mark.parametrize("words", [("-E",), ("-L",)])
def test_what_needs_something_else(words, capsys):
    assert main(["conntrack", *words]) == 2
    assert capsys.readouterr().err.startswith("fastct: error: ")


def test_a_snapshot_that_is_none(conntrack):
    conntrack.path.write_text("nothing of the kind")
    status, out, err = conntrack("-L")
    assert (status, out) == (2, "")
    assert err == f"fastct: error: {conntrack.path}: not a snapshot\n"


def test_usage(capsys):
    assert main(["conntrack", "-h"]) == 0
    assert "--snapshot FILE" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["ct", "nat"])
def test_in_cilium_columns(conntrack, command, capsys):
    conntrack(*CREATE)
    assert main([command, "list", "--snapshot", str(conntrack.path)]) == 0
    assert capsys.readouterr().out.startswith("TCP OUT 10.0.0.1:1000 -> 10.0.0.2:80 " if command == "ct" else "")


def test_counters_from_zero_and_nothing_expected(conntrack):
    tracker = fastct.Tracker(auto_helpers=True)
    for packet in dialogue(2000)[:6]:
        tracker.process_bytes([packet], [tracker.now], RAW)
    tracker.save(conntrack.path)
    assert " packets=0 " not in conntrack("-L", "-z")[1]
    assert conntrack("-L")[1].count(" packets=0 bytes=0 ") == 2
    assert conntrack("-L", "expect", "-f", "ipv6")[2] == "0 expectations have been shown.\n"
    assert conntrack("-C", "expect")[1] == "1\n"
    assert conntrack("-F", "expect") == (0, "", "expectation table has been emptied.\n")
    assert conntrack("-L", "expect") == (0, "", "0 expectations have been shown.\n")
    assert conntrack("-C")[1] == "1\n"
