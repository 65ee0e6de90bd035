"""tradecloud-spool run when things go wrong: killed, stopped, several at once, odd files, no
permission, no space."""

import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest
from consuming import content, hex_of, name_of, pid_file, wait_until
from server import UNPRIVILEGED, hand_over, run

OLD = time.time() - 7200


def test_no_notice_of_what_arrives(consumed):
    """It could only watch with inotify, and says what is to be raised."""
    for call in ("inotify_init1", "inotify_add_watch"):
        command = consumed.command("--watch")
        command[len(UNPRIVILEGED):len(UNPRIVILEGED)] = [
            "strace", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error=EMFILE"]
        done = subprocess.run(command, env=consumed.environment(), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 74 and "/proc/sys/fs/inotify" in done.stderr


# --- signals ---

def test_first_sigterm(consumed):
    """The running command ends by itself, nothing more is claimed."""
    names = [consumed.put(n) for n in range(3)]
    process = consumed.start("--watch", script="sleep 1")
    wait_until(consumed.starts)
    process.terminate()
    assert process.wait(10) == 0
    assert consumed.where() == {names[0]: "done", names[1]: "new", names[2]: "new"}
    assert consumed.entries("leases") == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_second_sigterm(consumed, number):
    """The command is killed with its children, the entry is as if it had not been tried."""
    name = consumed.put(1)
    process = consumed.start("--watch", script="sleep 99")
    wait_until(consumed.starts)
    process.send_signal(number)
    time.sleep(0.2)
    process.send_signal(number)
    assert process.wait(10) == 0
    assert consumed.where() == {name: "new"}
    assert consumed.attempt(name) == {}
    assert consumed.log()[0]["outcome"] == "returned"
    assert consumed.run().returncode == 0
    assert consumed.records()[1][3] == "1"


def test_killed_runner(consumed):
    """Its command dies with it; its claim comes back in moments, and is counted."""
    name = consumed.put(1)
    later = consumed.put(2)
    pid = consumed.place / "pid"
    pid.touch()
    hand_over(pid)
    first = consumed.start("--watch", argv=["sh", "-c", f"echo $$ >{pid}; exec sleep 99"])
    command = pid_file(consumed.place, "pid")
    first.kill()
    first.wait()
    wait_until(lambda: not pathlib.Path(f"/proc/{command}").exists())
    assert consumed.where() == {name: "work", later: "new"}
    started = time.monotonic()
    done = consumed.run()
    assert time.monotonic() - started < 20
    assert done.returncode == 0
    assert done.lines[0]["outcome"] == "returned" and done.lines[0]["file"] == name
    assert consumed.where() == {name: "done", later: "done"}
    assert [r[2:] for r in consumed.records() if r[0] == "start"] == [["m1", "2"], ["m2", "1"]]
    assert consumed.entries("leases") == []


def test_entry_that_kills_its_runner(consumed):
    """It does not go on so for ever."""
    name = consumed.put(1)
    for _ in range(2):
        done = consumed.run("--attempts", 2, argv=["sh", "-c", "kill -9 $PPID; sleep 9"])
        assert done.returncode == -9 or done.returncode == 137, done
    done = consumed.run("--attempts", 2)
    assert done.returncode == 65
    assert consumed.where() == {name: "failed"}
    assert consumed.starts() == []


def test_orphan_of_a_killed_runner(consumed):
    """What a killed runner's command has started still works on the entry: nobody else does."""
    consumed.put(1)
    consumed.put(2)
    script = 'echo >"$record.started"; sleep 2; echo "orphan" >>"$record"'
    first = consumed.start("--watch", argv=["sh", "-c", f"record={consumed.record}; ({script}) & wait"])
    hand_over(consumed.place)
    wait_until(lambda: (consumed.place / "record.started").exists())
    first.kill()
    first.wait()
    second = consumed.start("--watch")
    wait_until(lambda: len(consumed.records()) == 5 or second.poll() is not None, 60)
    assert [r[0] for r in consumed.records()] == ["orphan", *["start", "end"] * 2], consumed.log()
    second.terminate()
    assert second.wait(10) == 0


@pytest.mark.parametrize("directory, when", [("work", "5"), ("leases", "1")])
def test_claims_that_cannot_be_listed(consumed, directory, when):
    """The next run finds them: a claim that nobody has seen would wait for an hour."""
    names = [consumed.put(n) for n in range(2)]
    consumed.run(argv=["sh", "-c", "kill -9 $PPID; sleep 9"])
    assert consumed.where() == {names[0]: "work", names[1]: "new"}
    command = consumed.command()
    command[len(UNPRIVILEGED):len(UNPRIVILEGED)] = [
        "strace", "-o", "/dev/null", "-P", consumed.path / directory, "-e", "trace=getdents64",
        "-e", f"inject=getdents64:error=EIO:when={when}"]
    done = subprocess.run(command, env=consumed.environment(), capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 74, done
    assert f"cannot list {consumed.path}/{directory}: Input/output error" in done.stderr
    assert consumed.run().returncode == 0
    assert consumed.where() == dict.fromkeys(names, "done")


@pytest.mark.parametrize("state", ["new", "work"])
@pytest.mark.parametrize("watch", [True, False])
def test_entry_that_cannot_be_read(consumed, state, watch):
    """As its subject is not known, all waits for it; it is named."""
    bad = consumed.put(1, state=state)
    later = consumed.put(2, subject="T")
    place = [consumed.path / state / bad, consumed.path / state]
    command = consumed.command(*["--watch"] * watch)
    command[len(UNPRIVILEGED):len(UNPRIVILEGED)] = [
        "strace", "-D", "-o", "/dev/null", "-P", place[0], "-e", "trace=pread64",
        "-e", "inject=pread64:error=EIO"]
    with open(consumed.place / "log", "wb") as log:
        process = subprocess.Popen(command, stderr=log, env=consumed.environment())
    consumed.processes.append(process)
    wait_until(lambda: f"{state}/{bad}: cannot read it: Input/output error" in [
        line["reason"] for line in consumed.log() if line["outcome"] == "trouble"])
    if watch:
        process.terminate()
    assert process.wait(20) == (0 if watch else 74)
    assert consumed.where()[bad] == state and later in consumed.where()


@pytest.mark.parametrize("call", ["getdents64", "openat", "newfstatat,fstat"])
def test_strict_order_that_cannot_be_kept(consumed, call):
    """Without knowing what is in failed/, nothing is run."""
    consumed.put(1, state="failed")
    later = consumed.put(2)
    when = "1" if call != "openat" else "2"
    command = consumed.command("--strict-order")
    command[len(UNPRIVILEGED):len(UNPRIVILEGED)] = [
        "strace", "-o", "/dev/null", "-P", consumed.path / "failed", "-e", f"trace={call}",
        "-e", f"inject={call}:error=EIO:when={when}"]
    done = subprocess.run(command, env=consumed.environment(), capture_output=True, timeout=60)
    assert done.returncode == 74, done
    assert consumed.starts() == [] and consumed.where()[later] == "new"


def test_stopped_runner(consumed):
    """It is not dead, and nobody takes from it what it has."""
    names = [consumed.put(n) for n in range(2)]
    first = consumed.start(script="sleep 0.5")
    wait_until(consumed.starts)
    first.send_signal(signal.SIGSTOP)
    assert consumed.run().returncode == 75
    assert consumed.where() == {names[0]: "work", names[1]: "new"}
    first.send_signal(signal.SIGCONT)
    assert first.wait(20) == 0
    assert consumed.starts() == ["m0", "m1"]


# --- runners of other hosts, and leases ---

def pretend_lease(consumed, subject, age, identifier="0123456789abcdef"):
    """A lease as a runner on another machine would have it, renewed `age` seconds ago."""
    leases = consumed.path / "leases"
    leases.mkdir(exist_ok=True)
    leases.chmod(0o2770)
    runner = leases / f"runner-{identifier}"
    runner.write_text(f"{identifier} 11111111-2222-3333-4444-555555555555 lock 42 elsewhere\n")
    os.link(runner, leases / hex_of(subject))
    hand_over(leases)
    os.utime(runner, (time.time() - age, time.time() - age))


def test_lease_of_another_host(consumed):
    """While it is renewed, its subject is left alone; when not, its claims come back."""
    claimed = consumed.put(1, state="work")
    waiting = consumed.put(2)
    other = consumed.put(3, subject="T")
    pretend_lease(consumed, "S", 30)
    assert consumed.run().returncode == 75
    assert consumed.where() == {claimed: "work", waiting: "new", other: "done"}
    os.utime(consumed.path / "leases" / hex_of("S"), (OLD, OLD))
    assert consumed.run().returncode == 0
    assert consumed.where() == dict.fromkeys([claimed, waiting, other], "done")
    assert consumed.starts() == ["m3", "m1", "m2"]
    assert consumed.entries("leases") == []


def test_many_take_over_one_lease(consumed):
    """One of them wins, also where some died while they took over from the dead."""
    consumed.fill(30, 1)
    pretend_lease(consumed, "S0", 90)
    chain = consumed.path / "leases" / f"{hex_of('S0')}.0123456789abcdef"
    dead = consumed.path / "leases" / "runner-fedcba9876543210"
    dead.write_text("fedcba9876543210 11111111-2222-3333-4444-555555555555 lock 42 elsewhere\n")
    os.link(dead, chain)
    os.utime(dead, (OLD, OLD))
    runners = [consumed.start(log=f"log{n}") for n in range(6)]
    assert {r.wait(60) for r in runners} <= {0, 75}
    consumed.run()
    assert consumed.starts() == [f"m{n}" for n in range(30)]
    assert consumed.entries("leases") == []


def test_lost_lease(consumed):
    """Another host believed that this one was dead: the command is killed, and nothing is done to
    the entry, which is the other's now."""
    name = consumed.put(1)
    process = consumed.start("--watch", script="sleep 99")
    wait_until(consumed.starts)
    (consumed.path / "leases" / hex_of("S")).unlink()
    pretend_lease(consumed, "S", 0)
    wait_until(lambda: any(line["outcome"] == "lost" for line in consumed.log()))
    assert consumed.where() == {name: "work"}
    assert consumed.entries("attempts") == []
    process.terminate()
    assert process.wait(10) == 0
    assert hex_of("S") in consumed.entries("leases")


def test_lease_lost_before_the_start(consumed):
    """It took so long to claim the entry that another host has taken over: nothing is started."""
    name = consumed.put(1)
    command = consumed.command("--watch")
    command[len(UNPRIVILEGED):len(UNPRIVILEGED)] = [
        "strace", "-D", "-o", "/dev/null", "-e", "trace=renameat2",
        "-e", "inject=renameat2:delay_exit=2000000:when=1"]
    with open(consumed.place / "log", "wb") as log:
        process = subprocess.Popen(command, stderr=log, env=consumed.environment())
    consumed.processes.append(process)
    wait_until(lambda: consumed.where() == {name: "work"})
    (consumed.path / "leases" / hex_of("S")).unlink()
    pretend_lease(consumed, "S", 0)
    wait_until(lambda: any(line["outcome"] == "lost" for line in consumed.log()))
    assert consumed.starts() == []
    assert consumed.where() == {name: "work"} and hex_of("S") in consumed.entries("leases")
    process.terminate()
    process.wait(10)


@pytest.mark.parametrize("when", ["3+2", "4+2"])
def test_lease_that_cannot_be_looked_at(consumed, when):
    """It is not lost by that: nothing is run in vain, and nothing left behind."""
    names = [consumed.put(n) for n in range(4)]
    command = consumed.command()
    command[len(UNPRIVILEGED):len(UNPRIVILEGED)] = [
        "strace", "-o", "/dev/null", "-P", consumed.path / "leases", "-e",
        "trace=newfstatat", "-e", f"inject=newfstatat:error=EIO:when={when}"]
    done = subprocess.run(command, env=consumed.environment(), capture_output=True, text=True)
    assert "lost" not in done.stderr and done.returncode in (0, 74), done
    assert consumed.run().returncode == 0
    assert consumed.where() == dict.fromkeys(names, "done")
    assert consumed.starts() == ["m0", "m1", "m2", "m3"]


def test_command_that_moves_its_entry(consumed):
    """It is told so, what comes after it goes on, and others can have its subject."""
    names = [consumed.put(n) for n in range(2)]
    script = f'test $CE_ID != m0 || mv "$SPOOL_FILE" {consumed.path}/failed/'
    process = consumed.start("--watch", script=script)
    wait_until(lambda: len(consumed.log()) == 2)
    assert consumed.where() == {names[0]: "failed", names[1]: "done"}
    assert [(line["outcome"], line.get("reason")) for line in consumed.log()] == [
        ("lost", "somebody has taken it out of work/ meanwhile"), ("done", None)]
    wait_until(lambda: hex_of("S") not in consumed.entries("leases"))
    process.terminate()
    assert process.wait(10) == 0


def test_claim_of_somebody_else(consumed):
    """A plain rename into work/ is respected, and what comes after it waits."""
    claimed = consumed.put(1)
    waiting = consumed.put(2)
    (consumed.path / "new" / claimed).rename(consumed.path / "work" / claimed)
    done = consumed.run()
    assert done.returncode == 75
    assert consumed.where() == {claimed: "work", waiting: "new"}


# --- odd files ---

def test_odd_files(consumed):
    """Reported, once, and left alone; what is good among them is run."""
    new = consumed.path / "new"
    good = consumed.put(5000)
    (new / name_of(1)).write_text("")
    (new / name_of(2)).write_text("not JSON")
    (new / name_of(3)).write_bytes(content("m3", "S")[:-5])
    (new / name_of(4)).mkdir()
    (new / name_of(5)).symlink_to("/etc/passwd")
    (new / name_of(6)).symlink_to(good)
    os.mkfifo(new / name_of(7))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(new / name_of(8)))
    (new / name_of(9)).write_bytes(content("m9", "S"))
    (new / name_of(9)).chmod(0)
    (new / name_of(10)).write_bytes(b'{"specversion":"1.0","x":"' + b"x" * 200000 + b'"}')
    (new / name_of(11)).write_bytes(b'{"data":' * 10000)
    (new / name_of(12)).write_bytes(os.urandom(10000))
    for foreign in ("README", ".hidden", "x.json", "a b\nc", "-rf", "20250423T100153.812Z_x_y.json"):
        (new / foreign).write_text("x")
    (new / "directory").mkdir()
    (consumed.path / "work" / "README").write_text("x")
    (consumed.path / "work" / name_of(13)).write_text("")
    (consumed.path / "attempts").mkdir()
    (consumed.path / "attempts").chmod(0o2770)
    (consumed.path / "attempts" / good).write_text("attempts x\nfailures -1\nretry soon\n")
    run("chown", "-hR", "www-data:www-data", consumed.path)
    run("chown", "root:root", new / name_of(9))
    before = sorted(p.name for p in new.iterdir())
    done = consumed.run()
    assert done.returncode == 0, done
    assert consumed.where()[good] == "done"
    before.remove(good)
    assert sorted(p.name for p in new.iterdir()) == before
    odd = [(line["directory"], line["file"], line["reason"]) for line in done.lines
           if line["outcome"] == "odd"]
    files = [file for directory, file, _ in odd if directory == "new"]
    assert sorted(files) == sorted(n.replace("\n", "\\n") for n in before)
    reasons = {file: reason for _, file, reason in odd}
    assert reasons[name_of(1)] == "it is empty"
    assert reasons[name_of(5)] == "it is no regular file"
    assert "may not be read" in reasons[name_of(9)]
    assert ("work", "README", "its name is no entry's") in odd
    assert consumed.where()[name_of(13)] == "work"


@pytest.mark.parametrize("kind", ["socket", "pipe", "link", "directory", "unreadable"])
def test_odd_attempts(consumed, kind):
    """What is no file, or may not be read, is nothing that is remembered, and stops nobody."""
    names = [consumed.put(1), consumed.put(2, subject="T")]
    path = consumed.path / "attempts" / names[0]
    path.parent.mkdir()
    path.parent.chmod(0o2770)
    with socket.socket(socket.AF_UNIX) as listener:
        {"socket": lambda: listener.bind(str(path)), "pipe": lambda: os.mkfifo(path),
         "link": lambda: path.symlink_to(consumed.path / "new" / names[1]), "directory": path.mkdir,
         "unreadable": lambda: path.touch(0)}[kind]()
    run("chown", "-h", "www-data:www-data", path.parent)
    assert consumed.run().returncode == 0
    assert consumed.where() == dict.fromkeys(names, "done")


def test_replaced_after_it_was_looked_at(consumed):
    """A name whose file changes is judged anew."""
    process = consumed.start("--watch", "--jobs", 1, script="sleep 0.5")
    consumed.put(1)
    wait_until(consumed.starts)
    name = consumed.put(2)
    time.sleep(0.1)
    (consumed.path / "new" / name).unlink()
    (consumed.path / "new" / name).write_text("x")
    wait_until(lambda: any(line["outcome"] == "odd" for line in consumed.log()))
    process.terminate()
    assert process.wait(10) == 0
    assert consumed.entries("new") == [name]


def test_twin(consumed):
    """A second delivery of the same message, with one of the name consumed already: nothing is
    replaced, nothing lost, nothing runs on for ever."""
    name = consumed.put(1)
    (consumed.path / "done" / name).write_text("the first")
    done = consumed.run()
    assert done.returncode == 0
    assert (consumed.path / "done" / name).read_text() == "the first"
    twins = [n for n in consumed.entries("done") if n.startswith(name + ".twin-")]
    assert len(twins) == 1 and len(consumed.entries("new") + consumed.entries("work")) == 0


# --- the spool does not let itself be used ---

def test_no_permission(consumed):
    names = [consumed.put(n) for n in range(2)]
    for state in ("work", "new", "leases"):
        directory = consumed.path / state
        directory.mkdir(exist_ok=True)
        run("chown", "root:root", directory)
        directory.chmod(0o755)
        done = consumed.run()
        assert done.returncode == 74, (state, done)
        assert done.lines[0]["outcome"] == "trouble" and "reason" in done.lines[0]
        run("chown", "www-data:www-data", directory)
        directory.chmod(0o2770)
    assert consumed.run().returncode == 0
    assert consumed.where() == dict.fromkeys(names, "done")


def test_group_member(consumed):
    """A consumer is in the spool's group, and owns nothing in it."""
    name = consumed.put(1)
    failing = consumed.put(2, subject="T")
    run("chgrp", "-R", "games", consumed.path)
    for state in ("", "tmp", "new", "work", "done", "failed", "rejected"):
        (consumed.path / state).chmod(0o2770)
    command = consumed.command("--attempts", 1, argv=["sh", "-c", "cat >/dev/null; test $CE_SUBJECT = S"])
    command = command[len(UNPRIVILEGED):]
    if UNPRIVILEGED:
        command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--groups=games", *command]
    done = subprocess.run(command, env=consumed.environment(), capture_output=True, text=True)
    assert done.returncode == 65, done
    assert consumed.where() == {name: "done", failing: "failed"}
    assert (consumed.path / "attempts").stat().st_mode & 0o7777 == 0o2770


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_descriptors(consumed, closed):
    name = consumed.put(1)
    script = consumed.place / "closed"
    script.write_text(f'#!/bin/sh\nexec "$@" {closed}\n')
    script.chmod(0o755)
    done = consumed.run(script="cat; echo x; echo y >&2", prefix=[script])
    assert done.returncode == 0
    assert consumed.where() == {name: "done"}


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount")
def test_disk_full(consumed):
    """What cannot be remembered is tried again when there is space; nothing is lost or repeated."""
    spool = consumed.path
    run("mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=40", "tmpfs", spool)
    try:
        for state in ("tmp", "new", "work", "done", "failed", "rejected", "leases", "attempts"):
            (spool / state).mkdir()
            (spool / state).chmod(0o2770)
        hand_over(spool)
        spool.chmod(0o2770)
        name = consumed.put(1)
        process = consumed.start("--watch", script='test "$SPOOL_ATTEMPT" = 2 || '
                                 f'{{ while touch {spool}/tmp/$((n += 1)); do :; done; exit 1; }}')
        wait_until(lambda: any(line["outcome"] == "trouble" for line in consumed.log()))
        time.sleep(1)
        assert consumed.where() == {name: "work"}
        assert consumed.starts() == ["m1"]
        for filler in (spool / "tmp").iterdir():
            filler.unlink()
        wait_until(lambda: consumed.where() == {name: "done"})
        assert [r[3] for r in consumed.records() if r[0] == "start"] == ["1", "2"]
        process.terminate()
        assert process.wait(10) == 0
    finally:
        consumed.stop_all()
        run("umount", spool)


def test_spool_that_vanishes(consumed):
    """The runner's own file is removed: it knows that it holds nothing any more, and ends."""
    consumed.put(1)
    process = consumed.start("--watch", script="sleep 99")
    wait_until(consumed.starts)
    for file in (consumed.path / "leases").iterdir():
        file.unlink()
    assert process.wait(20) == 74
    assert any("renewed" in line.get("reason", "") for line in consumed.log())


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount")
def test_given_up_on_a_full_disk(consumed):
    """Told to end at once, it leaves what it cannot move; the next run finds it in moments."""
    spool = consumed.path
    run("mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=40", "tmpfs", spool)
    try:
        for state in ("tmp", "new", "work", "done", "failed", "rejected", "leases", "attempts"):
            (spool / state).mkdir()
            (spool / state).chmod(0o2770)
        hand_over(spool)
        spool.chmod(0o2770)
        name = consumed.put(1)
        process = consumed.start(script=f"while touch {spool}/tmp/$((n += 1)); do :; done; exit 1")
        wait_until(lambda: any(line["outcome"] == "trouble" for line in consumed.log()))
        process.terminate()
        time.sleep(0.3)
        assert process.poll() is None
        process.terminate()
        assert process.wait(10) == 75
        assert consumed.where() == {name: "work"}
        for filler in (spool / "tmp").iterdir():
            filler.unlink()
        assert consumed.run().returncode == 0
        assert consumed.where() == {name: "done"}
    finally:
        consumed.stop_all()
        run("umount", spool)


def test_no_time_is_spent_on_waiting(consumed):
    """While a command takes its time, and it is to end, it sleeps."""
    consumed.put(1)
    process = consumed.start("--watch", script="sleep 3")
    wait_until(consumed.starts)
    process.terminate()
    before = processor_time(process.pid)
    time.sleep(1.5)
    assert processor_time(process.pid) - before < 0.2
    assert process.wait(20) == 0


def processor_time(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- system calls that fail ---

FAILING = [
    ("renameat2", "EINVAL", "1+", 0),  # a file system that cannot rename without replacing
    ("renameat2", "ENOSYS", "1+", 0),
    ("renameat2", "ENOSPC", "1", 74),
    ("linkat", "ENOSPC", "1", 74),
    ("linkat", "EMLINK", "1", 74),
    ("fsync", "EINVAL", "6+", 0),      # one that cannot sync directories
    ("fsync", "EIO", "1", 74),
    ("fsync", "EIO", "2", 74),
    ("fsync", "EIO", "3", 74),
    ("fsync", "EIO", "4", 74),
    ("fsync", "EIO", "5", 74),
    ("fsync", "EIO", "6", 74),
    ("fsync", "EIO", "7", 74),
    ("clone,clone3,fork", "EAGAIN", "1", 71),
    ("pipe2", "EMFILE", "1", 71),
    ("getdents64", "EIO", "1", None),
    ("getdents64", "EIO", "3", None),
    ("poll", "EINTR", "1+2", 0),
    ("utimensat", "EIO", "1", 0),
    ("wait4", "EINTR", "1+2", 0),
]


@pytest.mark.parametrize("call, error, when, status", FAILING)
def test_failing_call(consumed, call, error, when, status):
    """Whatever fails: no entry is lost, in two states or done without its command, and the next run
    finishes all of them."""
    names = [consumed.put(n, subject=f"S{n % 2}") for n in range(4)]
    prefix = ["strace", "-o", "/dev/null", "-e", f"trace={call}",
              "-e", f"inject={call}:error={error}:when={when}"]
    command = consumed.command("--jobs", 2)
    command[len(UNPRIVILEGED):len(UNPRIVILEGED)] = prefix
    done = subprocess.run(command, env=consumed.environment(), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    assert status is None or done.returncode == status, done
    where = consumed.where()
    assert set(where) == set(names)
    assert {f"m{names.index(n)}" for n, state in where.items() if state == "done"} <= set(consumed.starts())
    assert done.returncode != 0 or set(where.values()) == {"done"}
    assert consumed.run().returncode == 0
    assert consumed.where() == dict.fromkeys(names, "done")
