"""Programs alone: started as a web server starts them, but without one."""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess

from results import Record
from server import BUILD, TOP

OUT = BUILD / "bench"
BENCH = TOP / "tests/bench"
OURS = "tradecloud-webhook"
TOKEN = "a-token-of-some-length-0123456789"
BLOCKS = 5
PROGRAMS = {
    "floor": OUT / "floor",
    OURS: BUILD / OURS,
    "ordinary C": OUT / "ordinary",
    "Perl": BENCH / "store.pl",
    "Python": BENCH / "store.py",
}


def install(directory):
    """Copies of the programs, as they are installed: one that was just linked stands in the kernel's
    cache in smaller pieces, and takes some hundredths longer to start."""
    directory.mkdir()
    return {name: pathlib.Path(shutil.copy(program, directory))
            for name, program in PROGRAMS.items()}


class Failed(Exception):
    """A program did not do what it is measured for."""


def make_spool(path):
    for state in ("tmp", "new", "work", "done", "failed", "rejected"):
        (path / state).mkdir(parents=True)
        (path / state).chmod(0o2770)
    return path


def forget_contents(directory):
    """Free the space of the entries, not their inodes: ext4 gives one that was removed lately to
    nobody, and each search for a free one steps over all of those."""
    for entry in os.scandir(directory):
        os.truncate(entry, 0)


def environment(body, spool):
    return {"PATH": "/usr/bin:/bin", "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1",
            "REQUEST_METHOD": "POST", "AUTH_TYPE": "Basic", "REMOTE_USER": "tradecloud",
            "REMOTE_ADDR": "127.0.0.1", "SCRIPT_NAME": "/tradecloud",
            "REQUEST_URI": "/tradecloud", "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(body.size), "TRADECLOUD_SPOOL": str(spool),
            "TRADECLOUD_MIN_FREE": "0"}


def tokens(path):
    """Variables that tell the bearer token that admits: to us, by the operator's file of digests."""
    path.write_text(hashlib.sha256(TOKEN.encode()).hexdigest() + "\n")
    path.chmod(0o644)
    return {"TRADECLOUD_BEARER_FILE": str(path), "BEARER_TOKEN": TOKEN}


def spawn(rounds, body, spool, targets, again=False):
    """Run the targets in turn. Each is its program and variables of its own; returned are the
    rounds of each."""
    arguments = []
    for program, variables in targets:
        arguments += [f"{name}={value}" for name, value in variables.items()] + [str(program)]
    done = subprocess.run([OUT / "spawn", str(rounds), body.path, str(-1 if again else body.offset),
                           *arguments], env=environment(body, spool), check=True, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    runs = [[] for _ in targets]
    for line in done.stdout.splitlines():
        number, wall, processor, memory, status = map(int, line.split())
        if status not in (200, 202):
            raise Failed(f"{targets[number][0]} answered {status}")
        runs[number].append({"ms": wall / 1e6, "cpu_ms": processor / 1e3, "kB": memory})
    return runs


def measure(case, rounds, body, spool, groups, **options):
    """Records of groups of targets: {name: (program, variables)}. The groups take turns in blocks of
    rounds, those in a group in each round."""
    records = {}
    blocks = min(rounds, BLOCKS)
    for _ in range(blocks):
        for targets in groups:
            runs = spawn(rounds // blocks, body, spool, list(targets.values()), **options)
            for name, run in zip(targets, runs):
                records.setdefault(name, Record(name, case, size=body.size)).rounds += run
    if body.size > 100_000:
        forget_contents(spool / "new")
    return list(records.values())


def grouped(programs, names):
    """The floor and we together, each peer by itself: what comes after an interpreter finds the
    processor's caches full of it, and takes twice the time."""
    small = [name for name in names if name in ("floor", OURS)]
    groups = [small, *([name] for name in names if name not in small)]
    return [{name: (programs[name], {}) for name in group} for group in groups if group]


def count_instructions(program, body, spool):
    """In user space, of one event: the figure that no other load disturbs."""
    with open(body.path, "rb") as stream:
        done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                               program], stdin=stream, env=environment(body, spool), check=True,
                              text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    (spool / "new").rename(spool / f"counted.{len(os.listdir(spool))}")
    (spool / "new").mkdir()
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


def scan(rounds, body):
    """Megabytes a second of our scanner and of json-c, medians of interleaved rounds."""
    done = subprocess.run([OUT / "scan", str(rounds), body.path], check=True, text=True,
                          stdout=subprocess.PIPE)
    pairs = sorted(tuple(map(int, line.split())) for line in done.stdout.splitlines())
    middle = [sorted(times)[len(times) // 2] for times in zip(*pairs)]
    return {name: body.size / time * 1000 for name, time in zip(("scan", "json-c"), middle)}


def fill(spool, count):
    """Let the spool have `count` entries, half of them consumed. They are names of a few files,
    as many as a file may have: what is looked through are the directories."""
    source = None
    for i in range(count):
        if i % 50_000 == 0:
            source = spool / f"source.{i}"
            source.write_bytes(b"{}")
        state = "new" if i % 2 else "done"
        name = f"20260101T{i:09}.000Z_order_{i:08x}-0000-4000-8000-{i * 7919 % 2**48:012x}.json"
        os.link(source, spool / state / name)
