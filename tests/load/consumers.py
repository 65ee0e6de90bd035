"""Consumers of a spool, kept going as systemd would do it, and killed at random, some with a clock
that is behind; and what they must have consumed in the end."""

import glob
import hashlib
import os
import signal
import subprocess
import threading
from collections import Counter, defaultdict

from server import BUILD, UNPRIVILEGED, hand_over, run

[FAKETIME] = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
BEHIND = 10**6  # seconds, at most; a clock that is ahead makes others wait, for five minutes
PAUSE = (0.3, 2)  # seconds until one of them is ended, again and again
ENDS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)
# One in twenty fails, and so counts; one in twenty says that the ERP is down.
COMMAND = """#!/bin/sh
echo "$$ start ${SPOOL_FILE##*/}" >>"$1"
sum=$(sha256sum) || exit
case $(($$ % 20)) in
0) exit 1 ;;
1) exit 75 ;;
esac
echo "$$ end ${SPOOL_FILE##*/} ${sum%% *}" >>"$1"
"""


class Consumers:
    """What they have consumed stands in `record`, which no trouble of the spool's disk reaches."""

    def __init__(self, count, place, spool, rng):
        self.count = count
        self.spool = spool
        self.rng = rng
        self.seen = Counter()
        self.record = place / "record"
        self.log = place / "consumers.log"
        self.program = place / "tradecloud-spool"
        self.command = place / "command"
        run("install", "-m", "755", BUILD / "tradecloud-spool", self.program)
        self.command.write_text(COMMAND)
        self.command.chmod(0o755)
        self.record.touch()
        hand_over(self.record)
        self.runners = []
        self.away = threading.Lock()  # held while none is to run
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._keep, daemon=True)

    def start(self):
        if self.count > 0:
            self.thread.start()

    def _clock(self):
        """For every second runner: its clock is days behind, but for the one that does not jump."""
        if self.rng.random() < 0.5:
            return []
        self.seen["clock behind"] += 1
        return ["env", f"LD_PRELOAD={FAKETIME}", f"FAKETIME=-{self.rng.randint(1, BEHIND)}",
                "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"]

    def _run(self, *options, clock=()):
        with open(self.log, "ab") as log:
            return subprocess.Popen(
                [*UNPRIVILEGED, *clock, self.program, "run", "--jobs", "4", *options, "--",
                 self.command, self.record], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={"PATH": os.environ["PATH"], "TRADECLOUD_SPOOL": str(self.spool)})

    def _keep(self):
        """Start again what has ended, be it by itself; and end one."""
        while not self.stopping.is_set():
            with self.away:
                ended = [runner for runner in self.runners if runner.poll() is not None]
                for runner in ended:
                    self.seen[f"ended {runner.returncode}"] += 1
                self.runners = [runner for runner in self.runners if runner not in ended]
                while len(self.runners) < self.count:
                    self.runners.append(self._run("--watch", clock=self._clock()))
            self.stopping.wait(self.rng.uniform(*PAUSE))
            with self.away:
                self.rng.choice(self.runners).send_signal(self.rng.choice(ENDS))

    def kill(self):
        for runner in self.runners:
            runner.kill()
            runner.wait()

    def stop(self):
        """None is left, and none of their commands: they hold the lock on their leases."""
        self.stopping.set()
        if self.thread.is_alive():
            self.thread.join()
        self.kill()

    def drain(self, seconds):
        """Consume what is left. Returns the exit status."""
        runner = self._run()
        try:
            return runner.wait(seconds)
        finally:
            runner.kill()

    def consumed(self):
        """The names of what was consumed."""
        return {line.split()[2] for line in self.record.read_text().splitlines() if " end " in line}

    def check_order(self, subjects):
        """The names of each of `subjects` were consumed in this order, none while another was."""
        place = {name: (subject, number) for subject, names in subjects.items()
                 for number, name in enumerate(names)}
        running = {}
        finished = defaultdict(lambda: -1)
        for line in self.record.read_text().splitlines():
            pid, step, name, *_ = line.split()
            if name not in place:
                continue
            subject, number = place[name]
            if step == "start":
                assert finished[subject] in (number, number - 1), f"out of order: {line}"
                self.seen["consumed again"] += finished[subject] == number
                running[subject] = pid
            else:
                assert running[subject] == pid, f"two of a subject at once: {line}"
                finished[subject] = number
        assert finished == {subject: len(names) - 1 for subject, names in subjects.items()}

    def check_content(self, files):
        """What they were handed is what is in the spool."""
        sums = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
        for line in self.record.read_text().splitlines():
            _, step, name, *digest = line.split()
            assert step == "start" or digest == [sums[name]], line
