"""import-files: the data of each event, byte for byte, as a file that is there whole or not at
all."""

import json
import resource
import stat

import pytest
from client import message_id, order
from consumer import NAME, consume, make_entry, new_spool, put_in_the_way, receive

EVENT = make_entry("order.OrderIssuedByBuyer", {"orderEvent": {"orderId": "an-id"}})
DATA = b'{"orderEvent": {"orderId": "an-id"}}'


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "in"
    path.mkdir()
    return path


def files(directory):
    return sorted(path.name for path in directory.iterdir())


BODIES = [
    order(),
    b'{"price":78.90,"count":12345678901234567890,"small":1E-7}',
    b' \t\n{"a":1}\r\n\n',
    b'{"data":{"data":1},"b":"\\"data\\":"}',
    b'\n{\n"data":\n{}}\n\n}'.replace(b"\n\n}", b"\n"),
    b'{"datacontenttype":"application/json","data":{}}',
    '{"note":"één\\nregel \\u0000 \\\\n","\U0001f600":"}"}'.encode(),
    b'{"a":"' + b"x" * 5_000_000 + b'"}',
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_bytes_are_those_received(tmp_path, target, body):
    """What the webhook received is what the ERP reads."""
    path = receive(new_spool(tmp_path / "spool"), body)
    done = consume("import-files", target, entry=path.read_bytes(), name=path.name)
    assert (done.returncode, done.stderr) == (0, b"")
    assert files(target) == [path.name]
    assert (target / path.name).read_bytes() == body
    assert stat.S_IMODE((target / path.name).stat().st_mode) == 0o640


def test_attributes_are_no_data(tmp_path, target):
    """Whatever stands in an id or an event's name."""
    event = {"orderId": 'a"data":\\"data":{', "meta": {"messageId": '"data":'}}
    body = json.dumps({"eventName": '","data":{}', "orderEvent": event}).encode()
    path = receive(new_spool(tmp_path / "spool"), body)
    assert consume("import-files", target, entry=path.read_bytes(), name=path.name).returncode == 0
    assert (target / path.name).read_bytes() == body


def test_twice_is_as_good_as_once(target):
    for _ in range(2):
        assert consume("import-files", target, entry=EVENT).returncode == 0
    assert files(target) == [NAME]


TOOLS = ["rm", "mktemp", "sed", "grep", "chmod", "sync", "mv"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("tool", TOOLS)
def test_killed_anywhere(tmp_path, target, tool, when):
    """There is no file or a whole one; the next run leaves just the file."""
    kill = "kill -KILL $PPID"
    put_in_the_way(tmp_path / "bin", tool,
                   f'{kill}; exit 1' if when == "before" else f'$real "$@"; {kill}')
    done = consume("import-files", target, entry=EVENT, path=tmp_path / "bin")
    assert done.returncode == -9
    seen = [name for name in files(target) if not name.startswith(".")]
    assert seen in ([], [NAME])
    assert all((target / name).read_bytes() == DATA for name in seen)
    assert consume("import-files", target, entry=EVENT).returncode == 0
    assert files(target) == [NAME]
    assert (target / NAME).read_bytes() == DATA


@pytest.mark.parametrize("tool", ["mktemp", "sed", "chmod", "sync", "mv"])
def test_what_fails_is_tried_again(tmp_path, target, tool):
    put_in_the_way(tmp_path / "bin", tool, "exit 1")
    done = consume("import-files", target, entry=EVENT, path=tmp_path / "bin")
    assert done.returncode == 75 and b"cannot write into" in done.stderr
    assert files(target) == []


def test_disk_full(target):
    """As far as a limit on files can show it."""
    big = make_entry("order", {"a": "x" * 100_000})
    done = consume("import-files", target, entry=big,
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
    assert done.returncode == 75
    assert files(target) == []


def test_a_run_that_was_taken_for_dead(tmp_path, target):
    """If another begins while it is at work, the file is whole all the same."""
    put_in_the_way(tmp_path / "bin", "mv",
                   f'rm -f {target}/.{NAME}.*; echo "{{}}" >{target}/.{NAME}.other; $real "$@"')
    assert consume("import-files", target, entry=EVENT, path=tmp_path / "bin").returncode == 75
    assert NAME not in files(target)


def test_no_directory(tmp_path):
    assert consume("import-files", tmp_path / "none", entry=EVENT).returncode == 75
    assert consume("import-files", entry=EVENT).returncode == 75


@pytest.mark.parametrize("entry", [b"", b"{}", b"no entry", b'{"data":{}}', b'\n"data":{}}'])
def test_what_is_no_entry(target, entry):
    """No retry mends it."""
    done = consume("import-files", target, entry=entry)
    assert done.returncode == 65 and b"not an entry" in done.stderr
    assert files(target) == []


@pytest.mark.parametrize("name", ["", ".", "..", "new/", ".x.json", "a b.json", "a*.json", "a\nb"])
def test_odd_names(target, name):
    assert consume("import-files", target, entry=EVENT, name=name).returncode == 65
    assert files(target) == []


def test_odd_directories(tmp_path):
    """A path with blanks and wildcards, and the entry named by a path."""
    target = tmp_path / "-in * [x]\n$(y)"
    target.mkdir()
    name = f"20250423T100153.812Z_order_{message_id()}.json"
    assert consume("import-files", target, entry=EVENT, name=f"/anywhere/{name}").returncode == 0
    assert files(target) == [name]
