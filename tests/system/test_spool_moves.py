"""tradecloud-spool retry, reject and prune: what they change, and what they must not, also if they are
killed at any system call."""

import collections
import os
import re
import subprocess
import time

import pytest
from client import order
from consuming import name_of
from operating import DATA, FORBIDDEN, MEMBER, MISSING, OUTPUT, put_odd_things, rejection_name
from server import hand_over
from test_syscalls import receive

OLD = time.time() - 40 * 86400


# --- retry ---


def test_retry(operated):
    """Back to new/, without a memory of attempts; the file is the same."""
    name, other = [operated.put(number, state="failed") for number in (1, 2)]
    operated.remember(name)
    operated.remember(other)
    before = (operated.path / "failed" / name).stat()
    assert operated.good("retry", name) == []
    assert operated.where() == {name: "new", other: "failed"}
    after = (operated.path / "new" / name).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert operated.attempt(name) == {} and operated.attempt(other)


def test_retry_is_consumed_as_if_for_the_first_time(operated):
    name = operated.put(1)
    assert operated.run("--attempts", "1", script="exit 1").returncode == DATA
    assert operated.where() == {name: "failed"}
    assert "exit 1" in operated.rows("list", "failed")[0][6]
    operated.good("retry", name)
    done = operated.run("--attempts", "1")
    assert done.returncode == 0 and operated.where() == {name: "done"}
    assert done.lines[0]["attempt"] == "1"


def test_retry_all(operated):
    names = [operated.put(number, state="failed") for number in range(20)]
    done = operated.call("retry", "--all")
    assert (done.returncode, done.stdout) == (0, "")
    assert "moved 20 entries" in done.stderr
    assert operated.entries("new") == names
    assert "moved 0 entries" in operated.call("retry", "--all").stderr


def test_retry_keeps_the_order_of_a_subject(operated):
    """Moved in the order of their names however they are given: a runner may take each at once."""
    names = [operated.put(number, state="failed") for number in range(5)]
    trace = operated.place / "trace"
    trace.touch()
    hand_over(trace)
    operated.call("retry", *reversed(names), prefix=["strace", "-o", trace, "-e", "trace=renameat2"])
    assert re.findall(r'renameat2\(\d+, "([^"]+)"', trace.read_text()) == names


def test_retry_what_is_not_there(operated):
    names = {state: operated.put(i, state=state) for i, state in enumerate(["new", "work", "done"])}
    good = operated.put(9, state="failed")
    for state, name in names.items():
        done = operated.call("retry", name)
        assert done.returncode == MISSING and f"it is in {state}/" in done.stderr
    for name in (name_of(77), "x", "../new/" + names["new"], "/etc/passwd", "", "."):
        assert operated.call("retry", "--", name).returncode == MISSING
    # The others go all the same.
    assert operated.call("retry", "x", good, name_of(77)).returncode == MISSING
    assert operated.where() == {**{n: s for s, n in names.items()}, good: "new"}


def test_retry_never_replaces(operated):
    """A second delivery that is in new/ by some accident stays, and so does the first."""
    name = operated.put(1, state="failed", data='"first"')
    operated.put(1, data='"second"')
    operated.remember(name)
    for arguments in (["retry", name], ["retry", "--all"]):
        done = operated.call(*arguments)
        assert done.returncode == DATA and "another file has that name in new/" in done.stderr
    assert b"first" in (operated.path / "failed" / name).read_bytes()
    assert b"second" in (operated.path / "new" / name).read_bytes()


def test_retry_without_renameat2(operated):
    """As over NFS, where renaming without replacing is not to be had."""
    name = operated.put(1, state="failed")
    prefix = ["strace", "-o", "/dev/null", "-e", "trace=renameat2",
              "-e", "inject=renameat2:error=EINVAL"]
    operated.good("retry", name, prefix=prefix)
    assert operated.where() == {name: "new"}


@pytest.mark.parametrize("error", ["EIO", "ENOSPC", "EROFS", "EDQUOT"])
def test_retry_that_fails(operated, error):
    name = operated.put(1, state="failed")
    done = operated.call("retry", name, prefix=["strace", "-o", "/dev/null", "-e", "trace=renameat2",
                                                "-e", f"inject=renameat2:error={error}"])
    assert done.returncode == OUTPUT and name in done.stderr
    assert operated.where() == {name: "failed"}


def test_retry_that_cannot_be_made_durable(operated):
    name = operated.put(1, state="failed")
    done = operated.call("retry", name, prefix=["strace", "-o", "/dev/null", "-e", "trace=fsync",
                                                "-e", "inject=fsync:error=EIO"])
    assert done.returncode == OUTPUT and "sync" in done.stderr
    assert operated.where() == {name: "new"}


@pytest.mark.parametrize("error, status", [("EIO", OUTPUT), ("EACCES", FORBIDDEN)])
def test_retry_that_cannot_forget(operated, error, status):
    """An entry would not be tried as if for the first time: it stays."""
    name = operated.put(1, state="failed")
    operated.remember(name)
    prefix = ["strace", "-o", "/dev/null", "-P", operated.path / "attempts", "-e", "trace=unlinkat",
              "-e", f"inject=unlinkat:error={error}"]
    done = operated.call("retry", "--all", prefix=prefix)
    assert done.returncode == status and "cannot forget" in done.stderr
    assert operated.where() == {name: "failed"} and operated.attempt(name)["attempts"] == "3"


def test_retry_leaves_odd_things(operated):
    odd = put_odd_things(operated, "failed")
    operated.call("retry", "--all")
    assert set(operated.entries("failed")) == {*odd["name"], *odd["kind"]}
    for name in odd["kind"]:
        assert operated.call("retry", name).returncode == MISSING


def test_bar_on_a_terminal(operated):
    for number in range(50):
        operated.write("failed", name_of(number), b"x")
    status, text = operated.look("retry", "--all")
    assert status == 0 and "of 50" in text
    assert text.endswith("moved 50 entries from failed/ to new/\n")
    assert "of 50" not in operated.call("retry", "--all").stderr


# --- reject ---


@pytest.mark.parametrize("state", ["new", "failed"])
def test_reject(operated, state):
    name, other = operated.put(1, state=state), operated.put(2, state=state)
    operated.remember(name)
    assert operated.good("reject", name) == []
    assert operated.where() == {name: "rejected", other: state}
    assert operated.attempt(name) == {}
    assert operated.good("reject", name) == []  # it is done


def test_what_is_rejected_is_not_consumed(operated):
    names = [operated.put(number) for number in (1, 2)]
    operated.good("reject", names[0])
    assert operated.run().returncode == 0
    assert operated.where() == {names[0]: "rejected", names[1]: "done"}


def test_what_is_rejected_is_still_known(operated):
    """A further delivery is a duplicate."""
    body = order(identifier="m")
    assert receive(operated.path, body)[0] == 202
    [name] = operated.entries("new")
    operated.good("reject", name)
    assert receive(operated.path, body)[0] == 200
    assert operated.where() == {name: "rejected"}


def test_reject_what_cannot_be(operated):
    names = {state: operated.put(i, state=state) for i, state in enumerate(["work", "done"])}
    for state, name in names.items():
        done = operated.call("reject", name)
        assert done.returncode == MISSING and f"it is in {state}/" in done.stderr
    assert "try again later" in operated.call("reject", names["work"]).stderr
    request = operated.put_rejection(1)
    for name in (name_of(77), "x", "../new/x", "", rejection_name(2), request):
        assert operated.call("reject", "--", name).returncode == MISSING
    assert operated.where() == {n: s for s, n in names.items()}
    assert operated.entries("rejected") == [request]


def test_reject_broken_entries(operated):
    """One that no consumer will ever take can be put out of the way, if it has an entry's name."""
    odd = put_odd_things(operated)
    for name in odd["content"] + odd["unreadable"]:
        operated.good("reject", name)
        assert name in operated.entries("rejected")
    for name in odd["kind"]:
        assert operated.call("reject", name).returncode == MISSING
    for name in odd["name"]:
        assert operated.call("reject", "--", name).returncode == MISSING
    assert set(operated.entries("new")) == {*odd["name"], *odd["kind"]}


def test_reject_never_replaces(operated):
    name = operated.put(1, data='"first"')
    operated.put(1, state="rejected", data='"second"')
    assert operated.call("reject", name).returncode == DATA
    assert b"first" in (operated.path / "new" / name).read_bytes()


# --- prune ---


def age(operated, state, name, when=OLD):
    os.utime(operated.path / state / name, (when, when))


def test_prune_says_what_it_would_do(operated):
    names = [operated.put(number, state="done") for number in (1, 2)]
    done = operated.call("prune", "--older-than", "0s")
    assert done.returncode == 0
    assert sorted(done.stdout.splitlines()) == [f"done/{name}" for name in names]
    assert "would remove 2 entries" in done.stderr and "--force" in done.stderr
    assert operated.entries("done") == names


def test_prune(operated):
    kept = {operated.put(number, state=state): state
            for number, state in enumerate(["new", "work", "failed", "rejected"])}
    for number in (11, 12):
        operated.put(number, state="done")
    done = operated.call("prune", "--older-than", "0s", "--force")
    assert (done.returncode, done.stdout) == (0, "")
    assert "removed 2 entries" in done.stderr
    assert operated.where() == kept


@pytest.mark.parametrize("state", ["failed", "rejected"])
def test_prune_other_states(operated, state):
    names = [operated.put(1, state=state)]
    if state == "rejected":
        names.append(operated.put_rejection(1))
    operated.remember(names[0])
    other = operated.put(2, state="done")
    for options in ([state, "--force"], ["--force", "--", state]):
        assert operated.call("prune", "--older-than", "0s", *options).returncode == 0
        assert operated.where() == {other: "done"}
    assert operated.attempt(names[0]) == {}


def test_prune_by_when_it_came_there(operated):
    """An old event that was consumed just now is still needed to recognise its retries."""
    name = operated.put(1, state="done")
    age(operated, "done", name)
    assert "removed 0 entries" in operated.call("prune", "--older-than", "1m", "--force").stderr
    assert operated.entries("done") == [name]
    # And one whose file says that it is of tomorrow is not old.
    age(operated, "done", name, time.time() + 86400)
    assert "removed 0 entries" in operated.call("prune", "--older-than", "0s", "--force").stderr


def test_prune_leaves_odd_things(operated):
    for state in ("done", "failed", "rejected"):
        odd = put_odd_things(operated, state)
        operated.call("prune", "--older-than", "0s", "--force", state)
        assert set(operated.entries(state)) == {*odd["name"], *odd["kind"]}


def test_prune_forgets_receipts(operated):
    """The links whose entries are gone, if they are old enough; no others."""
    received = operated.path / "state" / "received"
    received.mkdir(parents=True)
    entry = operated.put(1, state="done")
    links = {"needed": entry.split("_", 1)[1].removesuffix(".json"), "old": "order_gone",
             "young": "order_new", "foreign": "foreign"}
    times = {"needed": entry.split("_")[0], "foreign": "nowhere"}
    for kind, link in links.items():
        (received / link).symlink_to(times.get(kind, "20250423T100153.812Z"))
        if kind != "young":
            os.utime(received / link, (OLD, OLD), follow_symlinks=False)
    (received / "order_file").write_text("20250423T100153.812Z")
    hand_over(operated.path / "state")
    for path in (operated.path / "state", received):
        path.chmod(0o700)
    # Who may not look into state/ prunes the rest.
    assert operated.call("prune", "--older-than", "30d", "--force", user=MEMBER).returncode == 0
    assert len(os.listdir(received)) == 5
    done = operated.call("prune", "--older-than", "0s")
    assert "would remove the times of receipt of 1 " in done.stderr
    assert len(os.listdir(received)) == 5
    done = operated.call("prune", "--older-than", "30d", "--force")
    assert "removed the times of receipt of 1 entries" in done.stderr
    assert set(os.listdir(received)) == {*links.values(), "order_file"} - {"order_gone"}
    # Once its entry is removed, its link goes, too.
    operated.call("prune", "--older-than", "0s", "--force")
    assert set(os.listdir(received)) == {"order_new", "foreign", "order_file"}


def test_prune_keeps_receipts_in_doubt(operated):
    """A link stays if a directory does not tell whether the entry is there."""
    received = operated.path / "state" / "received"
    received.mkdir(parents=True)
    time, link = operated.put(1, state="failed").removesuffix(".json").split("_", 1)
    (received / link).symlink_to(time)
    os.utime(received / link, (OLD, OLD), follow_symlinks=False)
    hand_over(operated.path / "state")
    for path in (operated.path / "state", received):
        path.chmod(0o700)
    # What is asked first is the directory itself.
    prefix = ["strace", "-o", "/dev/null", "-P", operated.path / "failed", "-e",
              "trace=newfstatat", "-e", "inject=newfstatat:error=EIO:when=2+"]
    assert operated.call("prune", "--older-than", "30d", "--force", prefix=prefix).returncode == 0
    assert os.listdir(received) == [link]


# --- who does it, and with which names ---


def test_member_of_the_group(operated):
    """A consumer's user, in a spool as it is installed: in which he can move entries, no more."""
    names = [operated.put(number, state="failed") for number in (1, 2)]
    old = operated.put(3, state="done")
    operated.remember(names[0])
    (operated.path / "leases").mkdir()
    hand_over(operated.path)
    (operated.path / "leases").chmod(0o2770)
    operated.path.chmod(0o2750)
    assert [row.split("\t")[0] for row in operated.good("list", "failed", user=MEMBER)] == names
    operated.good("show", names[0], user=MEMBER)
    assert operated.good("check", user=MEMBER) == []
    operated.good("retry", names[0], user=MEMBER)
    operated.good("reject", names[1], user=MEMBER)
    assert operated.call("prune", "--older-than", "0s", "--force", user=MEMBER).returncode == 0
    assert operated.where() == {names[0]: "new", names[1]: "rejected"}, old
    assert operated.attempt(names[0]) == {}


def test_root(operated):
    """Root, too, and leaves nothing of his own behind."""
    names = [operated.put(number, state="failed") for number in (1, 2)]
    operated.good("retry", names[0], user=[])
    operated.good("reject", names[1], user=[])
    assert operated.good("check", user=[]) == []
    assert {path.owner() for path in operated.path.rglob("*")} == {"www-data"}
    assert operated.where() == {names[0]: "new", names[1]: "rejected"}


def test_longest_names(operated):
    name = f"20250423T100153.812Z_legacy-order-fetched_{'k' * 128}.json"
    operated.write("failed", name, (operated.path / "new" / operated.put(1)).read_bytes())
    operated.good("show", name)
    assert operated.rows("list", "failed")[0][0] == name
    operated.good("retry", name)
    operated.good("reject", name)
    assert operated.good("check") == []
    assert operated.entries("rejected") == [name]


# --- killed at every system call ---

CALLS = "openat,newfstatat,faccessat2,renameat2,unlinkat,fsync,getdents64,close,write"


def kill_everywhere(operated, arguments, prepare):
    """Run the command once for each system call that it makes, being killed at that; `prepare`
    before each. Yields after each."""
    counts = collections.Counter()
    trace = operated.place / "trace"
    trace.touch()
    hand_over(trace)
    prepare()
    prefix = ["strace", "-o", trace, "-e", f"trace={CALLS}"]
    assert operated.call(*arguments, prefix=prefix).returncode == 0
    for line in trace.read_text().splitlines():
        counts[line.split("(")[0]] += 1
    # What the loader does, before it comes to the spool, is not ours.
    text = trace.read_text()
    loader = collections.Counter(line.split("(")[0] for line in
                                 text[:text.index(f'"{operated.path}"')].splitlines()[:-1])
    assert counts["renameat2"] + counts["unlinkat"] >= 2
    for call in set(counts) - {"+++ exited with 0 +++"}:
        for nth in range(loader[call] + 1, counts[call] + 1):
            prepare()
            done = operated.call(*arguments, prefix=[
                "strace", "-o", "/dev/null", "-e", f"trace={call}",
                "-e", f"inject={call}:signal=KILL:when={nth}"])
            assert done.returncode in (-9, 137), (call, nth, done)
            yield call, nth


def reset(operated, names, state):
    """The entries in one state, with attempts."""
    for name in names:
        for other in ("new", "failed", "rejected", "done"):
            path = operated.path / other / name
            if other != state and path.exists():
                path.rename(operated.path / state / name)
        if not (operated.path / state / name).exists():
            operated.write(state, name, b"x")
        record = operated.path / "attempts" / name
        if not record.exists():
            record.write_text("attempts 3\n")


def start(operated):
    """Entries that failed, as a user of the group sees them."""
    names = [operated.put(number, state="failed") for number in (1, 2)]
    operated.remember(names[0])
    return names


def test_retry_killed_everywhere(operated):
    """Each entry is in one state, with the memory of its attempts gone before it is back; and
    a second try goes on."""
    names = start(operated)
    kills = 0
    for where in kill_everywhere(operated, ["retry", "--all"],
                                 lambda: reset(operated, names, "failed")):
        states = operated.where()
        assert set(states) == set(names) and set(states.values()) <= {"new", "failed"}, where
        for name, state in states.items():
            assert state == "failed" or not operated.attempt(name), where
        kills += 1
    assert kills > 20
    operated.call("retry", "--all")
    assert operated.where() == {name: "new" for name in names}


@pytest.mark.parametrize("state", ["new", "failed"])
def test_reject_killed_everywhere(operated, state):
    names = start(operated)
    for where in kill_everywhere(operated, ["reject", *names], lambda: reset(operated, names, state)):
        states = operated.where()
        assert set(states) == set(names) and set(states.values()) <= {state, "rejected"}, where
        for name in names:
            assert states[name] == "rejected" or operated.attempt(name), where
    operated.good("reject", *names)
    assert operated.where() == {name: "rejected" for name in names}


def test_prune_killed_everywhere(operated):
    """What is to go is there or gone; nothing else is touched; and a second try goes on."""
    names = start(operated)
    kept = {operated.put(number, state=state): state
            for number, state in enumerate(["new", "work", "failed", "rejected"], 10)}
    for where in kill_everywhere(operated, ["prune", "--older-than", "0s", "--force"],
                                 lambda: reset(operated, names, "done")):
        states = operated.where()
        assert {n: s for n, s in states.items() if n not in names} == kept, where
        assert {states[n] for n in names if n in states} <= {"done"}, where
    operated.call("prune", "--older-than", "0s", "--force")
    assert operated.where() == kept


# --- races ---


def test_with_a_runner(operated):
    """Whatever is retried and rejected while a runner works: each entry ends in one state, and none
    is lost."""
    for number in range(60):
        operated.put(number, subject=f"S{number % 7}")
    names = operated.entries("new")
    # Half of them fail; the operator retries and rejects meanwhile.
    script = 'case $CE_ID in *[02468]) exit 65 ;; esac'
    runner = operated.start("--watch", "--jobs", "4", script=script)
    time.sleep(0.1)
    for number in range(12):
        operated.call("retry", "--all")
        operated.call("reject", names[-1 - number], names[number])
        operated.call("list", "new")
        operated.call("status")
    runner.terminate()
    assert runner.wait(30) is not None
    states = operated.where()
    assert sorted(states) == names
    assert not set(states.values()) & {"work"}


def test_two_operators(operated):
    """Both are told what became of it; nothing is lost."""
    names = [operated.put(number, state="failed") for number in range(300)]
    words = [operated.words("retry", "--all"), operated.words("reject", *names)]
    both = [subprocess.Popen(w, env=operated.environment(), stderr=subprocess.DEVNULL) for w in words]
    assert [process.wait(60) for process in both][0] in (0, DATA)
    assert sorted(operated.where()) == names
    assert set(operated.where().values()) <= {"new", "rejected"}
