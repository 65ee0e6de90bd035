"""A spool of one's own, filled by hand, and tradecloud-spool run on it.

The consumers in these tests append a line for each start and each end to a file, from which order
and overlap are judged afterwards.
"""

import contextlib
import hashlib
import os
import pathlib
import re
import signal
import subprocess
import time

from server import BUILD, UNPRIVILEGED, hand_over, run

STATES = ("new", "work", "done", "failed", "rejected")

# Appends "start SUBJECT ID ATTEMPT" to $RECORD (its first argument), does what the rest says, and
# appends "end SUBJECT ID STATUS". Each line is one write(), so lines are whole and in order.
CONSUMER = """#!/bin/sh
record=$1; shift
echo "start $CE_SUBJECT $CE_ID $SPOOL_ATTEMPT" >>"$record"
(eval "$*"); status=$?
echo "end $CE_SUBJECT $CE_ID $status" >>"$record"
exit $status
"""


def content(identifier, subject, data="{}", kind="order"):
    subject = "" if subject is None else f'"subject":"{subject}",'
    return (f'{{"specversion":"1.0","id":"{identifier}","source":"https://api.example.com/v2",'
            f'"type":"com.tradecloud1.{kind}.OrderIssuedByBuyer",{subject}'
            f'"time":"2025-04-23T10:01:53.812Z","datacontenttype":"application/json",'
            f'"data":{data}}}').encode()


def name_of(number, identifier=None, kind="order"):
    """The name of the entry that was created `number` milliseconds after noon."""
    seconds, ms = divmod(number, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return (f"20250423T{12 + hours:02}{minutes:02}{seconds:02}.{ms:03}Z_{kind}_"
            f"{identifier or f'm{number}'}.json")


def wait_until(condition, timeout=30):
    """Wait for what must happen; its value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


class Spool:
    """`path` is the spool; `program` a copy of ours that the servers' user can reach."""

    def __init__(self, place):
        self.place = place
        self.path = place / "spool"
        self.program = place / "tradecloud-spool"
        self.record = place / "record"
        self.consumer = place / "consumer"
        run("install", "-m", "755", BUILD / "tradecloud-spool", self.program)
        self.consumer.write_text(CONSUMER)
        self.consumer.chmod(0o755)
        self.record.touch()
        self.path.mkdir()
        for state in ("tmp", *STATES):
            (self.path / state).mkdir()
            (self.path / state).chmod(0o2770)
        self.path.chmod(0o2770)
        hand_over(self.path)
        hand_over(self.record)
        self.processes = []

    def put(self, number, subject="S", state="new", data="{}", kind="order"):
        """An entry that appears as tradecloud-webhook makes it: its name."""
        name = name_of(number, kind=kind)
        temporary = self.path / "tmp" / f"t{number}"
        temporary.write_bytes(content(f"m{number}", subject, data, kind))
        temporary.chmod(0o640)
        hand_over(temporary)
        os.link(temporary, self.path / state / name)
        temporary.unlink()
        return name

    def fill(self, count, subjects):
        """Many entries at once, of subjects in turn."""
        for number in range(count):
            path = self.path / "new" / name_of(number)
            path.write_bytes(content(f"m{number}", f"S{number % subjects}"))
        hand_over(self.path)

    def entries(self, state):
        path = self.path / state
        return sorted(os.listdir(path)) if path.is_dir() else []

    def where(self):
        """State by name; an entry in two would have its name here twice. Backwards, as one that moves on
        meanwhile would be met twice. One that goes back to be tried again may be, so what was met
        twice is looked for again: what really is in two states stays there."""
        for _ in range(3):
            found = [(name, state) for state in reversed(STATES) for name in self.entries(state)
                     if name.startswith("20250423T1") and name.endswith(".json")]
            if len(found) == len(dict(found)):
                break
        assert len(found) == len(dict(found)), f"in two states: {found}"
        return dict(found)

    def attempt(self, name):
        """What is remembered of an entry, as a dictionary; empty if nothing is."""
        path = self.path / "attempts" / name
        if not path.exists():
            return {}
        return dict(line.split(" ", 1) for line in path.read_text().splitlines())

    def command(self, *options, script=None, argv=None):
        tail = [self.consumer, self.record, script or "true"] if argv is None else argv
        return [*UNPRIVILEGED, self.program, "run", *map(str, options), "--", *map(str, tail)]

    def environment(self, **variables):
        return {"PATH": os.environ["PATH"], "TRADECLOUD_SPOOL": str(self.path), **variables}

    def run(self, *options, script=None, argv=None, prefix=(), timeout=60, environment=None):
        """Run it to its end: a subprocess.CompletedProcess, with the log in `lines`."""
        done = subprocess.run([*prefix, *self.command(*options, script=script, argv=argv)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, env=environment or self.environment())
        done.lines = parse_log(done.stderr)
        return done

    def start(self, *options, script=None, argv=None, log="log"):
        """Run it in the background; stop it with stop()."""
        with open(self.place / log, "ab") as stream:
            process = subprocess.Popen(self.command(*options, script=script, argv=argv),
                                       stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
                                       env=self.environment(), start_new_session=True)
        self.processes.append(process)
        return process

    def log(self, log="log"):
        return parse_log((self.place / log).read_text(errors="replace"))

    def records(self):
        return [line.split(" ") for line in self.record.read_text().splitlines()]

    def starts(self):
        """The ids in the order in which commands were started."""
        return [r[2] for r in self.records() if r[0] == "start"]

    def stop_all(self):
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()


def parse_log(text):
    lines = []
    for line in text.splitlines():
        if line.startswith("outcome="):
            pairs = re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', line)
            lines.append({k: v.strip('"') for k, v in pairs})
    return lines


def hex_of(subject):
    """The name of a subject's lease."""
    return hashlib.sha256(subject.encode()).hexdigest()[:32]


def pid_file(place, name):
    return int(wait_until(lambda: pathlib.Path(place / name).read_text()
                          if (place / name).exists() else ""))
