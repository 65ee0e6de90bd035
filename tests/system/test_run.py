"""tradecloud-spool run: what a command gets, what becomes of its entry, in which order."""

import contextlib
import os
import pty
import re
import signal
import subprocess
import time

import pytest
from consuming import content, hex_of, name_of, wait_until
from server import hand_over


def test_command_line(consumed):
    done = consumed.run("--help")
    assert done.returncode == 0 and "--strict-order" in done.stdout
    for options in (["--jobs", "0"], ["--jobs", "257"], ["--jobs", "x"], ["--attempts", "0"],
                    ["--timeout", "-1"], ["--timeout", "1s"], ["--nonsense"]):
        done = consumed.run(*options)
        assert done.returncode == 64, options
        assert done.stderr
    done = consumed.run(argv=[])
    assert done.returncode == 64 and "COMMAND" in done.stderr
    assert consumed.run(argv=["/nonexistent"]).returncode == 69
    assert consumed.run(argv=["no-such-program"]).returncode == 69
    environment = consumed.environment(TRADECLOUD_SPOOL="relative")
    assert consumed.run(environment=environment).returncode == 78
    environment = consumed.environment(TRADECLOUD_SPOOL="/nonexistent/spool")
    assert consumed.run(environment=environment).returncode == 74


def test_what_the_command_gets(consumed):
    """The entry from its first byte, its attributes, a clean environment, no other descriptor but
    the lock, signals as they are by default."""
    name = consumed.put(1, subject="Bestellung \\u00e4\\\"1", data='{"price":78.90}')
    whole = (consumed.path / "new" / name).read_bytes()
    script = "cat >$OUT/stdin; env >$OUT/env; ls -l /proc/self/fd >$OUT/fds; " \
             "grep Sig /proc/self/status >$OUT/signals; echo out; echo err >&2"
    out = consumed.place / "out"
    out.mkdir()
    out.chmod(0o777)
    environment = consumed.environment(SECRET="x", LC_ALL="C.UTF-8", TZ="UTC", HTTP_PROXY="y")
    done = consumed.run(argv=["sh", "-c", f"OUT={out}; {script}"], environment=environment)
    assert done.returncode == 0, done
    assert done.stdout == "out\n"
    assert "err\n" in done.stderr
    assert (out / "stdin").read_bytes() == whole
    variables = dict(line.split("=", 1) for line in (out / "env").read_text().splitlines())
    variables.pop("PWD")  # the shell's own
    assert variables == {
        "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC",
        "CE_ID": "m1", "CE_SUBJECT": 'Bestellung ä"1', "CE_TIME": "2025-04-23T10:01:53.812Z",
        "CE_TYPE": "com.tradecloud1.order.OrderIssuedByBuyer",
        "CE_SOURCE": "https://api.example.com/v2",
        "SPOOL_FILE": str(consumed.path / "work" / name), "SPOOL_ATTEMPT": "1"}
    targets = re.findall(r"(\d+) -> (.*)", (out / "fds").read_text())
    extra = [t for n, t in targets if int(n) > 2 and not t.startswith("/proc/")]
    assert len(extra) == 1 and "/leases/runner-" in extra[0], targets
    signals = dict(line.split(":\t") for line in (out / "signals").read_text().splitlines())
    of_the_c_library = 3 << 31  # signals 32 and 33, which no program can set
    for mask in ("SigBlk", "SigIgn"):
        assert int(signals[mask], 16) & ~of_the_c_library == 0, signals


def test_attributes_that_no_variable_can_hold(consumed):
    consumed.put(1, subject="a\\u0000b")
    done = consumed.run(argv=["sh", "-c", 'printf %s "$CE_SUBJECT"'])
    assert done.stdout == "a\ufffdb"


def test_entry_without_subject(consumed):
    consumed.put(1, subject=None)
    consumed.put(2, subject=None)
    done = consumed.run(argv=["sh", "-c", 'echo "${CE_SUBJECT-unset}"'])
    assert done.stdout == "unset\nunset\n"
    assert done.returncode == 0


def test_done(consumed):
    names = [consumed.put(n, subject=f"S{n}") for n in (3, 1, 2)]
    done = consumed.run()
    assert done.returncode == 0
    assert consumed.where() == dict.fromkeys(names, "done")
    assert consumed.starts() == ["m1", "m2", "m3"]
    assert [line["outcome"] for line in done.lines] == ["done"] * 3 + ["end"]
    line = done.lines[0]
    assert line["file"] == name_of(1) and line["subject"] == "S1"
    assert line["attempt"] == "1" and line["exit"] == "0" and line["ms"].isdigit()
    assert consumed.entries("leases") == [] and consumed.entries("attempts") == []


def unescape(value):
    """A value of the log, as it was: escaped once."""
    return value.encode().decode("unicode_escape").encode("latin-1").decode()


@pytest.mark.parametrize("script, outcome, count, error", [
    ("echo bad data >&2; exit 65", "failed", 1, "exit 65: bad data"),
    ("exit 1", "failed", 2, "exit 1"),
    ("printf 'one\\ntw\\033o' >&2; exit 255", "failed", 2, "exit 255: tw?o"),
    ("printf 'say \"é\" \\\\ \t!\\r\\n' >&2; exit 3", "failed", 2, 'exit 3: say "é" \\  ! '),
])
def test_given_up(consumed, script, outcome, count, error):
    name = consumed.put(1)
    done = consumed.run("--attempts", 2, script=script)
    assert done.returncode == 65
    assert consumed.where() == {name: outcome}
    attempt = consumed.attempt(name)
    assert attempt["attempts"] == attempt["failures"] == str(count)
    assert attempt["error"] == error
    assert done.lines[-2]["outcome"] == outcome
    assert unescape(done.lines[-2]["reason"]) == error
    assert [r[3] for r in consumed.records() if r[0] == "start"] == ["1", "2"][:count]


def test_killed_by_a_signal(consumed):
    name = consumed.put(1)
    done = consumed.run("--attempts", 2, argv=["sh", "-c", "kill -SEGV $$"])
    assert done.returncode == 65
    assert consumed.attempt(name)["error"] == "signal 11"
    assert done.lines[0]["outcome"] == "retry" and done.lines[0]["signal"] == "11"


def test_tried_again_without_end(consumed):
    """75 does not count, however often; what is remembered goes when it is done."""
    name = consumed.put(1)
    done = consumed.run("--attempts", 1, script='test "$SPOOL_ATTEMPT" -ge 3 || exit 75')
    assert done.returncode == 0
    assert consumed.where() == {name: "done"}
    assert [line["outcome"] for line in done.lines] == ["retry", "retry", "done", "end"]
    assert consumed.attempt(name) == {}


def test_time_out(consumed):
    """SIGTERM to all of its group; again, without end."""
    name = consumed.put(1)
    script = 'test "$SPOOL_ATTEMPT" = 2 && exit 0; sleep 100 & sleep 100'
    done = consumed.run("--attempts", 1, "--timeout", 1, argv=["sh", "-c", script])
    assert done.returncode == 0, done
    assert consumed.where() == {name: "done"}
    assert done.lines[0]["outcome"] == "retry"
    assert "no end within 1 s" in done.lines[0]["reason"]


def test_time_out_of_one_that_does_not_listen(consumed):
    """SIGKILL follows, to what it has left behind, too."""
    consumed.put(1)
    script = f"trap '' TERM; test $SPOOL_ATTEMPT = 2 && exit; (sleep 99; echo > {consumed.place}/x)& " \
             "while :; do sleep 1; done"
    started = time.monotonic()
    done = consumed.run("--timeout", 1, argv=["sh", "-c", script])
    assert done.returncode == 0
    assert done.lines[0]["signal"] == "9"
    assert time.monotonic() - started > 10


def test_command_that_vanishes(consumed):
    """It is not the entry's fault: tried again without end."""
    program = consumed.place / "importer"
    program.write_text(f"#!{consumed.place}/interpreter\n")
    program.chmod(0o755)
    name = consumed.put(1)
    process = consumed.start("--attempts", 1, argv=[program])
    wait_until(lambda: len(consumed.log()) >= 2)
    assert {line["outcome"] for line in consumed.log()} == {"retry"}
    assert "cannot run" in consumed.log()[0]["reason"]
    (consumed.place / "interpreter").symlink_to("/bin/sh")
    assert process.wait(30) == 0
    assert consumed.where() == {name: "done"}


def test_attempts_survive_restarts(consumed):
    name = consumed.put(1)
    process = consumed.start("--attempts", 3, script="exit 1")
    wait_until(lambda: consumed.attempt(name).get("attempts") == "2")
    process.terminate()
    assert process.wait(10) == 75
    assert consumed.entries("leases") == []
    done = consumed.run("--attempts", 3, script="exit 1")
    assert done.returncode == 65
    assert [line["attempt"] for line in done.lines[:-1]] == ["3"]
    assert consumed.attempt(name)["failures"] == "3"


# --- order ---

def judge_order(records, serial=True):
    """Never two of a subject at once, never a later one before an earlier one was done: the number
    of starts."""
    running = {}
    finished = {}
    for kind, subject, identifier, status in records:
        number = int(identifier[1:])
        if kind == "start":
            assert subject not in running, (subject, identifier)
            assert number > finished.get(subject, -1), (subject, identifier)
            running[subject] = number
        else:
            assert running.pop(subject) == number
            if status in ("0", "65"):
                finished[subject] = number
    return sum(r[0] == "start" for r in records)


def test_order_within_a_subject(consumed):
    consumed.fill(60, 6)
    done = consumed.run("--jobs", 8, script='test "$SPOOL_ATTEMPT$CE_ID" != 1m7 || exit 75')
    assert done.returncode == 0
    assert judge_order(consumed.records()) == 61
    # While m7 waited, the other subjects went on.
    order = consumed.starts()
    assert order.index("m55") > len(order) - 12
    assert set(consumed.where().values()) == {"done"}


def test_jobs_at_a_time(consumed):
    consumed.fill(20, 20)
    assert consumed.run("--jobs", 4, script="sleep 0.1").returncode == 0
    running = most = 0
    for kind, *_ in consumed.records():
        running += 1 if kind == "start" else -1
        most = max(most, running)
    assert most == 4


def test_failed_does_not_hold_back(consumed):
    consumed.fill(4, 1)
    done = consumed.run(script='test $CE_ID != m1 || exit 65')
    assert done.returncode == 65
    assert consumed.starts() == ["m0", "m1", "m2", "m3"]
    assert sorted(consumed.where().values()) == ["done", "done", "done", "failed"]


def test_strict_order(consumed):
    """Now it does, also after a restart, until somebody takes it out of failed/."""
    consumed.fill(6, 2)
    script = 'test $CE_ID != m1 || exit 65'
    for _ in range(2):
        done = consumed.run("--strict-order", script=script)
        assert done.returncode == 65
        assert consumed.where()[name_of(1)] == "failed"
        assert consumed.entries("new") == [name_of(3), name_of(5)]
    (consumed.path / "failed" / name_of(1)).rename(consumed.path / "new" / name_of(1))
    assert consumed.run("--strict-order").returncode == 0
    assert consumed.starts()[-3:] == ["m1", "m3", "m5"]


def test_strict_order_of_one_subject(consumed):
    """What comes next of the subject is held back, too, when nothing else is to be done first."""
    consumed.fill(3, 1)
    assert consumed.run("--strict-order", script='test $CE_ID != m0 || exit 65').returncode == 65
    assert consumed.starts() == ["m0"]
    consumed.put(7, subject="T")
    assert consumed.run("--strict-order", script='test $CE_ID != m0 || exit 65').returncode == 65
    assert consumed.starts() == ["m0", "m7"]


def test_strict_order_among_runners(consumed):
    """One that another runner has given up holds its subject back at once; and not any more as soon as
    it is retried."""
    script = 'test $CE_ID$SPOOL_ATTEMPT != m11 || { while [ -e $record.wait ]; do sleep 0.1; done; exit 65; }'
    wait = consumed.place / "record.wait"
    wait.touch()
    consumed.put(1)
    runners = [consumed.start("--watch", "--strict-order", script=script, log="log0")]
    wait_until(consumed.starts)
    consumed.put(2, subject="T")
    runners.append(consumed.start("--watch", "--strict-order", script=script, log="log1"))
    wait_until(lambda: len(consumed.records()) == 3)
    consumed.put(3)
    runners[0].send_signal(signal.SIGTERM)
    wait.unlink()
    assert runners[0].wait(20) == 0
    consumed.put(4, subject="T")
    wait_until(lambda: "m4" in consumed.starts())
    time.sleep(2.5)  # in which the other runner would ask for the lease of S again
    assert consumed.starts() == ["m1", "m2", "m4"]
    failed = consumed.path / "failed" / name_of(1)
    os.utime(failed)
    (consumed.path / "attempts" / name_of(1)).unlink()
    consumed.record.write_text("")
    failed.rename(consumed.path / "new" / name_of(1))
    wait_until(lambda: len(consumed.starts()) >= 1)
    assert consumed.starts()[0] == "m1"
    runners[1].terminate()
    assert runners[1].wait(20) == 0


def test_types(consumed):
    consumed.put(1, kind="order")
    consumed.put(2, kind="shipment")
    consumed.put(3, kind="order-documents")
    assert consumed.run("--type", "com.tradecloud1.shipment*").returncode == 0
    assert consumed.starts() == ["m2"]
    assert consumed.run("--type", "*.order.*", "--type", "*documents*").returncode == 0
    assert consumed.starts() == ["m2", "m1", "m3"]


def test_too_many_types(consumed):
    done = consumed.run(*["--type", "x"] * 1000)
    assert done.returncode == 64 and "too many" in done.stderr


def test_without_a_path(consumed):
    """The system's usual places are looked in."""
    name = consumed.put(1)
    done = consumed.run(argv=["true"], environment={"TRADECLOUD_SPOOL": str(consumed.path)})
    assert done.returncode == 0 and consumed.where() == {name: "done"}


def test_what_comes_while_it_runs(consumed):
    """An older entry that arrives late is taken before newer ones."""
    consumed.fill(3, 1)
    late = consumed.path / "tmp" / "late"
    late.write_bytes(content("m00", "S0"))
    late.chmod(0o644)
    name = name_of(0, "a")
    done = consumed.run(script=f"test $CE_ID != m0 || mv {late} {consumed.path}/new/{name}")
    assert done.returncode == 0
    assert sorted(consumed.starts()) == ["m0", "m00", "m1", "m2"]


# --- watching ---

def test_watch(consumed):
    process = consumed.start("--watch", "--jobs", 2)
    time.sleep(0.3)
    names = [consumed.put(n, subject=f"S{n}") for n in range(3)]
    wait_until(lambda: consumed.where() == dict.fromkeys(names, "done"))
    # Names that are no entries' are reported, and what is moved back comes again.
    (consumed.path / "new" / "README").write_text("x")
    wait_until(lambda: any(line["outcome"] == "odd" for line in consumed.log()))
    (consumed.path / "done" / names[0]).rename(consumed.path / "new" / names[0])
    wait_until(lambda: len(consumed.starts()) == 4 and consumed.where()[names[0]] == "done")
    process.terminate()
    assert process.wait(10) == 0
    assert consumed.entries("leases") == []


def test_two_runners_share_the_work(consumed):
    consumed.fill(60, 20)
    runners = [consumed.start("--jobs", 2, script="sleep 0.02", log=f"log{n}") for n in range(2)]
    assert {r.wait(60) for r in runners} <= {0, 75}
    judge_order(consumed.records())
    assert len(consumed.starts()) == 60
    assert set(consumed.where().values()) == {"done"}
    assert all(sum(line["outcome"] == "done" for line in consumed.log(f"log{n}")) for n in range(2))


def test_second_runner_does_not_wait_for_the_first(consumed):
    """What waits for another attempt is the first one's: cron jobs do not pile up."""
    consumed.put(1)
    first = consumed.start(script="exit 75")
    wait_until(lambda: any(line["outcome"] == "retry" for line in consumed.log()))
    second = consumed.run()
    assert second.returncode == 75
    assert "m1" not in [line.get("file") for line in second.lines]
    assert consumed.entries("leases")[0] == hex_of("S")
    first.terminate()
    assert first.wait(10) == 75


def test_more_that_wait_than_a_window_holds(consumed):
    """However many entries of one subject wait, others are found behind them."""
    number = 8300
    for n in range(number):
        (consumed.path / "new" / name_of(n)).write_bytes(content(f"m{n}", "waiting"))
    names = [name_of(number + n) for n in range(20)]
    for n, name in enumerate(names):
        (consumed.path / "new" / name).write_bytes(content(f"m{number + n}", f"S{n % 5}"))
    hand_over(consumed.path)
    process = consumed.start("--watch", "--jobs", 3, script='test $CE_SUBJECT != waiting || exit 75')
    wait_until(lambda: all((consumed.path / "done" / name).exists() for name in names), 60)
    judge_order(r for r in consumed.records() if r[1] != "waiting")
    assert {r[2] for r in consumed.records() if r[1] == "waiting"} == {"m0"}
    late = consumed.put(number + 50, subject="late")
    wait_until(lambda: (consumed.path / "done" / late).exists(), 60)
    process.terminate()
    assert process.wait(20) == 0


def put_many(consumed, first, count):
    """Entries of another type, as names of one file."""
    one = consumed.path / "new" / name_of(first, kind="shipment")
    one.write_bytes(content("m", "many", kind="shipment"))
    one.chmod(0o640)
    hand_over(one)
    for n in range(first + 1, first + count):
        os.link(one, one.parent / name_of(n, kind="shipment"))


def test_looks_up_between_windows(consumed):
    """To look at all that waits can take minutes, in which signals are heard and leases renewed."""
    put_many(consumed, 0, 40000)
    trace = consumed.place / "trace"
    done = consumed.run("--type", "*.order.*", prefix=["strace", "-f", "-o", trace, "-e",
                                                       "trace=getdents64,poll"])
    assert done.returncode == 0
    listed = [0]
    for line in trace.read_text().splitlines():
        if " poll(" in line:
            listed.append(0)
        elif line.endswith(" = 0"):
            listed[-1] += 1
    # A window needs new/ once and work/ twice. When it starts, there are two, and three more.
    assert sum(listed) >= 15 and max(listed) <= 9, listed


def test_what_waits_far_behind_is_not_forgotten(consumed):
    """Whatever is looked at after it, the end of the run tells that others have it."""
    put_many(consumed, 0, 12000)
    consumed.put(20000, subject="foreign")
    put_many(consumed, 30000, 20000)
    consumed.put(60000, subject="own")
    first = consumed.start("--watch", "--type", "*.order.*", script="sleep 99")
    wait_until(consumed.starts)
    done = consumed.run("--type", "*.order.*")
    assert done.returncode == 75 and done.lines[-1]["waiting"] == "1"
    assert consumed.starts() == ["m20000", "m60000"]
    first.kill()


def test_progress_on_a_terminal(consumed):
    consumed.fill(30, 30)
    terminal, end = pty.openpty()
    process = subprocess.Popen(consumed.command(script="sleep 0.01"), stderr=end,
                               stdin=subprocess.DEVNULL, env=consumed.environment())
    os.close(end)
    shown = b""
    with contextlib.suppress(OSError):
        while part := os.read(terminal, 65536):
            shown += part
    os.close(terminal)
    assert process.wait(10) == 0
    assert re.search(rb"\r\[#+ *\] \d+ of 30\x1b\[K", shown), shown
    # Lines of the log stand by themselves.
    assert shown.count(b"\r\x1b[Koutcome=done") + shown.count(b"\noutcome=done") >= 29
