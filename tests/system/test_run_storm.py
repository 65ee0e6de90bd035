"""Many entries, several runners, importers that fail and runners that are killed: each entry is
consumed at least once, none lost, and the order of each subject kept.

In `make check` a short one; `make check-consume` runs 10,000 entries of 500 subjects, with a
runner killed every second for a minute.
"""

import os
import pathlib
import signal
import time

from consuming import name_of, wait_until

LONG = "CONSUME_LONG" in os.environ
ENTRIES, SUBJECTS, SECONDS, INTERVAL = (10000, 500, 60, 1) if LONG else (600, 60, 5, 0.5)

# Fails one time in ten. Lines begin with the pid of the runner.
IMPORTER = """#!/bin/bash
echo "$PPID start $CE_SUBJECT $CE_ID" >>"$1"
status=$((RANDOM % 10 == 0))
echo "$PPID end $CE_SUBJECT $CE_ID $status" >>"$1"
exit $status
"""


class Judge:
    """Reads the record of an importer: entries of a subject are those whose number is the same
    modulo SUBJECTS, and must be consumed in the order of their numbers."""

    def __init__(self, killed):
        self.killed = {str(pid) for pid in killed}
        self.running = {}
        self.finished = {}
        self.starts = self.failures = self.cut = self.again = 0
        self.violations = []

    def start(self, runner, subject, number):
        """A command that a killed runner had started is dead; what it had done is unknown."""
        self.starts += 1
        before = self.running.pop(subject, None)
        if before is not None:
            self.cut += 1
            if before[0] not in self.killed:
                self.violations.append(("two at once", subject, before, number))
        last, by = self.finished.get(subject, (number % SUBJECTS - SUBJECTS, None))
        if number == last:
            self.again += 1
            if by not in self.killed:
                self.violations.append(("consumed twice without a reason", subject, number))
        elif number != last + SUBJECTS:
            self.violations.append(("out of order", subject, last, number))
        self.running[subject] = (runner, number)

    def end(self, runner, subject, number, status):
        if self.running.pop(subject, None) != (runner, number):
            self.violations.append(("ends without a start", subject, number))
        if status == "0":
            self.finished[subject] = (number, runner)
        else:
            self.failures += 1

    def read(self, lines):
        for line in lines:
            runner, kind, subject, identifier, *status = line.split(" ")
            if kind == "start":
                self.start(runner, subject, int(identifier[1:]))
            else:
                self.end(runner, subject, int(identifier[1:]), *status)

    def check(self):
        print(f"{ENTRIES} entries of {SUBJECTS} subjects: {self.starts} commands, of which "
              f"{self.failures} failed, {self.cut} died with their runner, {self.again} came again "
              f"as their runner died before the entry was in done/; {len(self.killed)} runners "
              f"killed; violations of order: {len(self.violations)}")
        assert self.violations == []
        lasts = {subject: number for subject, (number, _) in self.finished.items()}
        assert lasts == {f"S{n}": ENTRIES - SUBJECTS + n for n in range(SUBJECTS)}


def is_listening(runner):
    """Whether it takes signals by itself by now; one that was just started is ended by them."""
    status = pathlib.Path(f"/proc/{runner.pid}/status").read_text()
    blocked = int(status.split("SigBlk:")[1].split()[0], 16)
    return blocked >> (signal.SIGTERM - 1) & 1 == 1


def prepare(spool):
    spool.fill(ENTRIES, SUBJECTS)
    spool.consumer.write_text(IMPORTER)
    return ["--jobs", 8, "--attempts", 100]


def judge(spool, killed=()):
    judge = Judge(killed)
    judge.read(spool.record.read_text().splitlines())
    judge.check()
    expected = dict.fromkeys((name_of(n) for n in range(ENTRIES)), "done")
    assert spool.where() == expected, "lost or left"
    # A runner that was killed may leave what it was about to forget.
    assert len(spool.entries("attempts")) <= 8 * len(killed)
    assert spool.entries("work") == []


def test_failing_importer(consumed):
    options = prepare(consumed)
    done = consumed.run(*options, timeout=1800)
    assert done.returncode == 0
    judge(consumed)


def test_killed_runners(consumed):
    """Two of them, of which every second one is killed."""
    options = prepare(consumed)
    runners = [consumed.start("--watch", *options, log=f"log{n}") for n in range(2)]
    killed = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(INTERVAL)
        victim = len(killed) % 2
        runners[victim].kill()
        runners[victim].wait()
        killed.append(runners[victim].pid)
        runners[victim] = consumed.start("--watch", *options, log=f"log{victim}")
    while consumed.entries("new") or consumed.entries("work"):
        time.sleep(0.2)
        assert time.monotonic() < end + 1800
    for runner in runners:
        wait_until(lambda runner=runner: is_listening(runner))
        runner.terminate()
        assert runner.wait(20) == 0
    judge(consumed, killed)
    assert consumed.entries("leases") == []
