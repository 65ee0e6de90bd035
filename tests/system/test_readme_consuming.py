"""README, "Consuming without our tool": the lines that stand there, run against a spool."""

import re
import subprocess

import pytest
from client import message_id, order
from consumer import BASE, new_spool, put_in_the_way, receive
from fetching import wait_for
from server import TOP

STATES = ("new", "work", "done", "failed")


def section():
    text = (TOP / "README.md").read_text()
    return text[text.index("### Consuming without our tool"):].split("\n## ")[0]


@pytest.fixture
def spool(tmp_path):
    """A spool with nine events of three orders."""
    spool = new_spool(tmp_path / "spool")
    for i in range(9):
        receive(spool, order(str(i % 3), created=f"2025-04-23T10:01:5{i}Z", identifier=message_id()))
    return spool


@pytest.fixture
def consumer(tmp_path, spool):
    """Write the consumer with an import of one's own, which logs what it gets; returns a function
    that starts it."""
    script = re.search(r"```sh\n(#!/bin/sh\n.*?)```", section(), re.DOTALL).group(1)
    for shipped, own in (("/var/spool/tradecloud", spool), ("/usr/local/bin/import", tmp_path / "import")):
        assert script.count(shipped) == 1
        script = script.replace(shipped, str(own))
    (tmp_path / "consume").write_text(script)

    def start(command="true", path="/usr/bin"):
        program = tmp_path / "import"
        program.write_text(f'#!/bin/sh\ncmp -s "$1" - || exit 99\n'
                           f'echo "${{1##*/}}" >>{tmp_path}/log\n{command}\n')
        program.chmod(0o755)
        return start_again(tmp_path, path)

    return start


def start_again(tmp_path, path="/usr/bin"):
    return subprocess.Popen(["/bin/sh", tmp_path / "consume"], stderr=subprocess.PIPE,
                            env={**BASE, "PATH": f"{path}:{BASE['PATH']}"})


def names(spool, *states):
    return sorted(p.name for state in states or STATES for p in (spool / state).iterdir())


def consumed(tmp_path):
    return (tmp_path / "log").read_text().split()


def finish(process):
    try:
        _, messages = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, messages


def test_oldest_first(tmp_path, spool, consumer):
    all_names = names(spool)
    assert finish(consumer()) == (0, b"")
    assert names(spool, "done") == all_names == consumed(tmp_path)
    assert finish(consumer()) == (0, b"")
    assert consumed(tmp_path) == all_names, "an empty spool"


def test_refused(tmp_path, spool, consumer):
    """Given up at once; the others go on."""
    all_names = names(spool)
    bad = all_names[4]
    assert finish(consumer(f'[ "${{1##*/}}" != {bad} ] || exit 65')) == (0, b"")
    assert names(spool, "failed") == [bad]
    assert names(spool, "done") == [name for name in all_names if name != bad]


def test_failing(tmp_path, spool, consumer):
    """Nothing overtakes, and the next start begins with what failed."""
    all_names = names(spool)
    for code in (1, 75, 127):
        assert finish(consumer(f'[ "${{1##*/}}" != {all_names[4]} ] || exit {code}'))[0] == 75
        assert names(spool, "work") == [all_names[4]]
        assert names(spool, "new") == all_names[5:]
    assert finish(consumer()) == (0, b"")
    assert names(spool, "done") == all_names
    assert consumed(tmp_path) == all_names[:5] + [all_names[4]] * 3 + all_names[5:]


KILLS = {
    "before the import": "kill -KILL $PPID; exit 1",
    "with the import": "kill -KILL $PPID $$",
    "after the import": "kill -KILL $PPID",
}


@pytest.mark.parametrize("kill", KILLS)
def test_killed(tmp_path, spool, consumer, kill):
    """At each event: each comes again, and none is lost."""
    all_names = names(spool)
    for name in all_names:
        assert finish(consumer(f'[ "${{1##*/}}" != {name} ] || {{ {KILLS[kill]}; }}'))[0] == -9
        assert names(spool) == all_names, "each in one state"
        assert names(spool, "work") == [name]
    assert finish(consumer()) == (0, b"")
    assert names(spool, "done") == all_names
    assert consumed(tmp_path) == sorted(all_names * 2)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_moving(tmp_path, spool, consumer, when):
    """At each move: from new/ to work/, and on to done/."""
    all_names = names(spool)
    kill = "kill -KILL $PPID"
    put_in_the_way(tmp_path / "bin", "mv",
                   f"{kill}; exit 1" if when == "before" else f'$real "$@"; {kill}')
    for _ in all_names:
        assert finish(consumer(path=tmp_path / "bin"))[0] == -9
        assert names(spool) == all_names, "each in one state"
    assert finish(consumer()) == (0, b"")
    assert names(spool, "done") == all_names
    assert sorted(set(consumed(tmp_path))) == all_names


def test_one_at_a_time(tmp_path, spool, consumer):
    """Also while an import goes on whose consumer was killed."""
    all_names = names(spool)
    flag = tmp_path / "flag"
    first = consumer(f"while [ ! -e {flag} ]; do sleep 0.01; done")
    wait_for(lambda: (tmp_path / "log").exists(), 60)
    assert finish(start_again(tmp_path)) == (0, b"")
    first.kill()
    first.wait()
    assert finish(start_again(tmp_path)) == (0, b"")
    assert consumed(tmp_path) == all_names[:1]
    flag.touch()
    wait_for(lambda: finish(consumer()) == (0, b"") and names(spool, "done") == all_names, 60)
    assert consumed(tmp_path) == all_names[:1] + all_names


def test_foreign_files(tmp_path, spool, consumer):
    """What is no entry is left alone."""
    all_names = names(spool)
    (spool / "new/directory.json").mkdir()
    (spool / "new/link.json").symlink_to("/etc/passwd")
    (spool / "new/dangling.json").symlink_to("/nonexistent")
    (spool / "new/notes.txt").touch()
    (spool / "new/.hidden.json").touch()
    assert finish(consumer()) == (0, b"")
    assert names(spool, "done") == all_names
    assert len(names(spool, "new")) == 5


def test_spool_missing(tmp_path, spool, consumer):
    """An error, not silence."""
    spool.rename(tmp_path / "elsewhere")
    assert finish(consumer())[0] != 0


@pytest.mark.parametrize("body", [order(), b'\n{"data":\n1}\n\n', b'{"a":"\\"data\\":}"}'],
                         ids=["order", "lines", "quotes"])
def test_data_alone(tmp_path, body):
    """The sed that is told there."""
    path = receive(new_spool(tmp_path / "own"), body)
    command = re.search(r"`(sed [^`]*)`", section()).group(1)
    data = subprocess.run(["/bin/sh", "-c", f'{command} "$1"', "sh", path], env=BASE,
                          stdout=subprocess.PIPE, check=True).stdout
    assert data == body
