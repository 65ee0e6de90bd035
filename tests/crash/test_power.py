"""Power failures, on ext4, XFS and btrfs: the file system is an image behind a loop device; what it has not written
to the device at a moment is not in the image, so a copy of the image at that moment is what a machine
finds on its disk after the power failed. The copy is mounted, which replays the journal or log, and
looked at; then the sender tries again.

That the disk has a cache of its own, which it may lose, too, is not covered: a write counts once the
device got it. disk.py covers it, for what it models. CRASH=full does it before every
system call, for more paths, on all file systems; without, it is done on ext4."""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from client import order
from injection import Bench, Case, Path, entries, is_sound
from server import run
from spoolfile import check_entry
from test_crash import BODY, LARGE, MALFORMED, OTHER, POST, TIMELESS, only_ours

FULL = os.environ.get("CRASH") == "full"
AS_ROOT = [] if os.getuid() == 0 else ["sudo", "-n"]
# How each is made, how large it has to be, and how it is mounted: that nothing is written by the clock
# before the test has looked, and that a copy may be mounted beside what it is a copy of.
MEGABYTE = 1 << 20
EXT4 = (("mkfs.ext4", "-q", "-O", "^metadata_csum"), 32 * MEGABYTE)
KINDS = {
    "ext4, ordered": (*EXT4, "loop,commit=900,data=ordered"),
    "ext4, writeback": (*EXT4, "loop,commit=900,data=writeback"),
    "XFS": (("mkfs.xfs", "-q"), 320 * MEGABYTE, "loop,nouuid"),
    "btrfs": (("mkfs.btrfs", "-q"), 128 * MEGABYTE, "loop,commit=900"),
}


class Machine:
    """A file system whose power can fail."""

    def __init__(self, place, kind):
        self.place = place
        self.image = place / "image"
        self.disk = place / "disk"
        make, size, self.options = KINDS[kind]
        self.copies = 0
        with open(self.image, "wb") as file:
            file.truncate(size)
        run(*make, self.image)
        self.mount(self.image, self.disk)

    def mount(self, image, where):
        where.mkdir()
        done = subprocess.run([*AS_ROOT, "mount", "-o", self.options, image, where],
                              capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"a file system in a file cannot be mounted here: {done.stderr.strip()}")
        run(*AS_ROOT, "chown", str(os.getuid()), where)

    def settle(self):
        """Whatever was done until now is on the disk."""
        run("sync", "-f", self.disk)

    def fail(self):
        """The power fails now. Returns where the disk is mounted after it is back."""
        self.copies += 1
        copy = self.place / f"copy-{self.copies}"
        run("cp", "--sparse=always", self.image, copy)
        after = self.place / f"after-{self.copies}"
        self.mount(copy, after)
        return after

    def forget(self, after):
        run(*AS_ROOT, "umount", after)
        after.rmdir()
        (self.place / after.name.replace("after", "copy")).unlink()

    def stop(self):
        for where in [*self.place.glob("after-*"), self.disk]:
            subprocess.run([*AS_ROOT, "umount", "-l", where], stderr=subprocess.DEVNULL)


@pytest.fixture(params=list(KINDS) if FULL else list(KINDS)[:1])
def machine(place, request):
    made = Machine(place, request.param)
    yield made
    made.stop()


def test_answered_is_kept(machine, say):
    """Many at once; after each burst the power fails, and all that were answered 2xx are there."""
    answered = {}
    bench = Bench(machine.disk, Path("new", POST, BODY, 202, BODY), None)
    spool = bench.spool("spool")

    def send(number):
        body = order(identifier=f"m-{number}", filler=number * 2000 % 50000)
        done = bench._execute(spool, [], POST, body)
        assert b"Status: 202" in done.stdout, done
        answered[f"m-{number}"] = body

    with ThreadPoolExecutor(4) as executor:
        for burst in range(10 if FULL else 4):
            list(executor.map(send, range(burst * 8, burst * 8 + 8)))
            after = machine.fail()
            files = {f.name.split("_")[2][:-5]: f for f in entries(after / "spool", "new")}
            for key, body in answered.items():
                check_entry(files[key], body)
            machine.forget(after)
    say(f"{len(answered)} events answered, all there after each of {machine.copies} failures")


def paths():
    before = [(POST, OTHER)]
    yield Path("new", POST, BODY, 202, BODY, prepare=before)
    yield Path("first", POST, BODY, 202, BODY)
    if not FULL:
        return
    yield Path("without a time", POST, TIMELESS, 202, TIMELESS, prepare=before)
    yield Path("quarantine", POST, MALFORMED, 400, None, prepare=before)
    yield Path("large", POST, LARGE, 202, LARGE, prepare=before)
    yield Path("large quarantine", POST, LARGE + b"]", 400, None, prepare=before)


@pytest.mark.parametrize("path", paths(), ids=lambda path: path.name)
def test_failure_before_each_call(machine, say, path):
    """Of the program and of the power at once; then the sender tries again."""
    bench = Bench(machine.disk, path, None)
    only_ours(bench)
    calls = [c for c in bench.calls() if not c.loading and c.name != "rt_sigaction"]
    if not FULL:
        changing = ("mkdirat", "openat", "pwritev", "pwrite64", "fsync", "linkat", "symlinkat",
                    "unlinkat", "write")
        calls = [c for c in calls if c.name in changing][-12:]
    for number, call in enumerate(calls):
        spool = bench.spool(f"case-{number}")
        machine.settle()
        first = bench.run(spool, Case("kill", call).prefix(None))
        assert first.status in (None, path.expected)
        after = machine.fail()
        found = after / spool.name
        is_sound(found, path)
        if first.status is not None:
            kept = "rejected" if path.data is None else "new"
            assert len(entries(found, kept)) == 1, call
        retry = bench._execute(found, [], path.environment, path.body)
        wanted = b"Status: 400" if path.data is None else b"Status: 20"
        assert retry.stdout.startswith(wanted), (call, retry)
        is_sound(found, path)
        assert len(entries(found, "new")) == (path.data is not None), call
        machine.forget(after)
        shutil.rmtree(spool)
    say(f"{path.name}: the power failed before each of {len(calls)} calls")


def test_it_would_be_found(machine):
    """Without its syncs, the program loses what it has answered."""
    bench = Bench(machine.disk, Path("new", POST, BODY, 202, BODY), None)
    spool = bench.spool("spool")
    machine.settle()
    assert bench.run(spool, ["-e", "inject=fsync:retval=0"]).status == 202
    after = machine.fail()
    whole = [f for f in entries(after / "spool", "new") if f.read_bytes().endswith(b"}}")]
    machine.forget(after)
    assert whole == []
