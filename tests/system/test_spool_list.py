"""tradecloud-spool list and show."""

import json
import os
import re

import pytest
from consuming import content, name_of
from operating import DATA, MISSING, OUTPUT, REJECTION, look, put_odd_things, rejection_name

SUBJECT = "f56aa4ce-8ec8-5197-bc26-77716a58add7-PO-05-#51388860"


# --- list ---


def test_list(operated):
    """In the order of names, a line each, whatever the order in which they came."""
    names = [operated.put(number, subject=f"S{number}") for number in (3, 1, 2)]
    operated.put(4, state="done")
    rows = operated.rows("list")
    assert [row[0] for row in rows] == sorted(names)
    for row, number in zip(rows, (1, 2, 3)):
        size = len(content(f"m{number}", f"S{number}"))
        assert row[2:] == [str(size), "com.tradecloud1.order.OrderIssuedByBuyer", f"S{number}", "", ""]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row[1])
    assert operated.rows("list", "new") == rows
    assert [row[0] for row in operated.rows("list", "done")] == [name_of(4)]
    assert operated.rows("list", "work") == []


def test_list_of_missing_directories(operated):
    """A spool into which nothing has come yet; and looking makes nothing."""
    for state in operated.path.iterdir():
        state.rmdir()
    for state in ("new", "work", "done", "failed", "rejected"):
        assert operated.rows("list", state) == []
    assert list(operated.path.iterdir()) == []


def test_list_of_what_failed(operated):
    name = operated.put(1, state="failed")
    operated.remember(name)
    assert operated.rows("list", "failed")[0][5:] == ["3", "exit 1: ERP is closed"]
    [entry] = [json.loads(line) for line in operated.good("list", "--json", "failed")]
    assert (entry["attempts"], entry["note"], entry["state"]) == (3, "exit 1: ERP is closed", "failed")
    operated.remember(name, error="\x1b[2J")
    assert operated.rows("list", "failed")[0][6] == "?[2J"


def test_notes_are_escaped_once(operated):
    """In JSON, a note is what the command wrote."""
    name = operated.put(1, state="failed")
    note = 'exit 1: say "é" C:\\new'
    operated.remember(name, error=note)
    assert operated.rows("list", "failed")[0][6] == 'exit 1: say "é" C:\\\\new'
    assert json.loads(operated.good("list", "--json", "failed")[0])["note"] == note
    operated.write("attempts", name, b"attempts 1\nerror \xff\xc3\n")
    assert json.loads(operated.good("list", "--json", "failed")[0])["note"] == "\xff\xc3"


def test_list_of_what_was_rejected(operated):
    name = operated.put_rejection(1)
    event = operated.put(1, state="rejected")
    rows = operated.rows("list", "rejected")
    assert [row[0] for row in rows] == sorted([name, event])
    [row] = [row for row in rows if row[0] == name]
    assert row[6] == "400: at byte 7: a comma is missing"


def test_list_of_what_only_has_the_name(operated):
    name = operated.put_rejection(1)
    (operated.path / "rejected" / name).write_text("something else")
    [row] = operated.rows("list", "rejected")
    assert row[6] == "it does not say what was answered, as a rejected request does"


def test_list_as_json(operated):
    name = operated.put(1, subject="één \\u001b[2J \\u009b \\u202e", data='{"a":1}')
    os.utime(operated.path / "new" / name, (1_745_402_513, 1_745_402_513))
    [line] = operated.good("list", "--json")
    assert json.loads(line) == {
        "name": name, "state": "new", "arrived": "2025-04-23T10:01:53.000Z",
        "bytes": (operated.path / "new" / name).stat().st_size, "id": "m1",
        "type": "com.tradecloud1.order.OrderIssuedByBuyer", "subject": "één \x1b[2J \x9b \u202e",
        "time": "2025-04-23T10:01:53.812Z"}
    assert "één" in line and not re.search(r"[\x00-\x1f\x7f-\x9f\u202e]", line)


def test_list_of_odd_things(operated):
    """What has an entry's name is listed, with what is wrong with it; the rest is counted."""
    odd = put_odd_things(operated)
    good = operated.put(1)
    done = operated.call("list")
    assert done.returncode == 0
    notes = {row[0]: row[6] for row in map(lambda line: line.split("\t"), done.stdout.splitlines())}
    assert notes.pop(good) == ""
    assert set(notes) == {*odd["kind"], *odd["content"], *odd["unreadable"]}
    assert all(notes.values())
    assert f"also holds {len(odd['name'])} files that are no entries" in done.stderr
    for line in operated.call("list", "--json").stdout.splitlines():
        entry = json.loads(line)
        assert ("odd" in entry) == (entry["name"] != good)


def test_list_on_a_terminal(operated):
    """Headings, aligned columns, ages, short types; also over many rows."""
    operated.fill(250, 3)
    name = operated.put(10**6, subject="注文")
    os.utime(operated.path / "new" / name, (1, 1))
    status, text = operated.look("list", NO_COLOR="1")
    lines = text.splitlines()
    assert status == 0 and len(lines) == 252
    assert lines[0].split() == ["NAME", "AGE", "BYTES", "TYPE", "SUBJECT", "ATTEMPTS", "NOTE"]
    start = lines[0].index("TYPE")
    assert all(line[start:].startswith("order.OrderIssuedByBuyer  ") for line in lines[1:100])
    assert re.search(r"_m1000000\.json +\d+d ", lines[-1])


def failing(operated, name, error):
    """For the entry `name` alone, openat() fails, as it would if that had happened."""
    return ["strace", "-o", "/dev/null", "-e", "trace=openat", "-P", name,
            "-e", f"inject=openat:error={error}"]


def test_entry_moved_while_listing(operated):
    """It is no error, and no line."""
    names = [operated.put(number) for number in (1, 2)]
    done = operated.call("list", prefix=failing(operated, names[0], "ENOENT"))
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == names[1:]


def test_trouble_while_listing(operated):
    """An entry that cannot be read is told, and the others are listed."""
    names = [operated.put(number) for number in (1, 2, 3)]
    done = operated.call("list", prefix=failing(operated, names[0], "EIO"))
    assert done.returncode == OUTPUT
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == names[1:]
    assert names[0] in done.stderr and "Input/output error" in done.stderr


def test_trouble_while_listing_what_was_rejected(operated):
    name = operated.put_rejection(1)
    prefix = ["strace", "-o", "/dev/null", "-P", operated.path / "rejected" / name, "-e",
              "trace=pread64", "-e", "inject=pread64:error=EIO"]
    done = operated.call("list", "rejected", prefix=prefix)
    assert (done.returncode, done.stdout) == (OUTPUT, "")
    assert f"rejected/{name}: cannot read it: Input/output error" in done.stderr


def test_memory_of_a_long_list(operated):
    """It is bounded by the names, not by the contents."""
    operated.fill(1500, 5)
    done = operated.call("list", prefix=["prlimit", "--as=40000000"])
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1500


# --- show ---


def test_show(operated):
    """Laid out, with nothing changed that can be seen."""
    data = '{"price":78.90,"n":1e-7,"big":18446744073709551615,"s":"één\\/ \\u0000\\n","a":[1,2],"e":{}}'
    for number, state in enumerate(["new", "work", "done", "failed", "rejected"]):
        name = operated.put(number, subject=SUBJECT, state=state, data=data)
        lines = operated.good("show", name)
        assert json.loads("\n".join(lines)) == json.loads((operated.path / state / name).read_bytes())
        assert '    "price": 78.90,' in lines and '    "n": 1e-7,' in lines
        assert '    "big": 18446744073709551615,' in lines


def test_show_several(operated):
    names = [operated.put(number) for number in (1, 2)]
    text = "\n".join(operated.good("show", *names))
    assert '"id": "m1"' in text and '"id": "m2"' in text


@pytest.mark.parametrize("data", ['{"price":78.90}', ' \n{ "a" : 1 }\t ', '"é\\u00e9"', "[1e999, -0]",
                                  '{"x":123456789012345678901234567890}', '"\x7f\u009b"'])
def test_data_byte_for_byte(operated, data):
    name = operated.put(1, data=data)
    done = operated.call("show", "--data", name, text=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, data.encode(), b"")


def test_data_of_any_size(operated):
    data = json.dumps({"lines": ["x" * 1000] * 5000})
    name = operated.put(1, data=data)
    assert operated.call("show", "--data", name, text=False).stdout == data.encode()
    assert json.loads(operated.call("show", name).stdout)["data"] == json.loads(data)


def test_show_what_json_c_cannot(operated):
    """A number beyond 64 bits would be changed: it is shown as it is, and said to be so."""
    name = operated.put(1, data='{"n":123456789012345678901234567890}')
    done = operated.call("show", name)
    assert done.returncode == DATA
    assert done.stdout == (operated.path / "new" / name).read_text() + "\n"
    assert "64 bits" in done.stderr


@pytest.mark.parametrize("number, kept", [
    ("-9223372036854775808", True), ("-9223372036854775809", False), ("18446744073709551615", True),
    ("18446744073709551616", False), ("1234567890123456789012.5", True), ("1e0000000000000000000001", True),
])
def test_show_numbers(operated, number, kept):
    name = operated.put(1, data=f'{{"n":{number}}}')
    assert operated.call("show", name).returncode == (0 if kept else DATA)


def test_show_deep(operated):
    """As deep as what is received may be."""
    name = operated.put(1, data="[" * 511 + "]" * 511)
    assert operated.call("show", name).returncode == 0


def test_show_what_was_rejected(operated):
    body = b"no JSON \x1b[2J\xff\n\nmore"
    name = operated.put_rejection(1, body)
    assert operated.call("show", name, text=False).stdout == REJECTION + body
    assert operated.call("show", "--data", name, text=False).stdout == body


def test_show_an_empty_rejection(operated):
    name = operated.write("rejected", rejection_name(1))
    for options in ([], ["--data"]):
        assert operated.call("show", *options, name).stdout == ""


def test_show_on_a_terminal(operated):
    """Nothing that it could obey gets there, not even as data."""
    name = operated.put(1, subject="\\u001b[2J\\u202e", data='"é\x7f\u009b\u202e"')
    request = operated.put_rejection(1, b"\x1b]0;title\x07\r\xff")
    for arguments in (["show", name], ["show", "--data", name], ["show", request],
                      ["show", "--data", request]):
        status, text = operated.look(*arguments)
        assert status == 0
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text), text
    assert json.loads(operated.look("show", "--data", name)[1]) == "é\x7f\u009b\u202e"
    assert "\\u00e9" in look(operated.words("show", name),
                             operated.environment(LC_ALL="C", TERM="xterm"))[1]


@pytest.mark.parametrize("name", ["x", "", "../new/x", "/etc/passwd", name_of(9), ".", "-", "a\nb",
                                  "\x1b[2J", "20250423T130000.000Z_order_../../x.json"], ids=repr)
def test_show_nothing(operated, name):
    done = operated.call("show", "--", name)
    assert (done.returncode, done.stdout) == (MISSING, "")
    assert len(done.stderr.splitlines()) == 1 and "\x1b" not in done.stderr


def test_show_odd_things(operated):
    odd = put_odd_things(operated)
    for name in odd["name"]:
        assert operated.call("show", "--", name).returncode == MISSING
    for name in odd["kind"] + odd["content"] + odd["unreadable"]:
        done = operated.call("show", name)
        assert done.returncode == DATA and done.stdout == "", name
        assert "root:" not in operated.call("show", "--data", name).stdout
