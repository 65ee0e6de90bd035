"""tradecloud-spool when any single system call fails that it makes, or any single allocation of
memory: it says so or copes; every entry stays whole and in one state; and once the trouble is over,
the same command does its work.

In `make check` some of the cases, others each day; with CRASH=full all of them.
"""

import collections
import datetime
import os
import re
import shutil
import subprocess
import time

import pytest
from consuming import name_of
from operating import Operator
from server import TOP, hand_over, run

FULL = os.environ.get("CRASH") == "full"
SHARE = 1 if FULL else 20
TODAY = datetime.date.today().toordinal()
NOT_REACHED = 99  # by which hunger.c ends
OLD = time.time() - 90 * 86400
RECEIVED = "20250423T100000.000Z"

# What is to go wrong where; EIO elsewhere. ENOENT is what somebody else's doing looks like.
ERRORS = {"openat": ("EMFILE", "ENOENT"), "newfstatat": ("EIO", "ENOENT"), "pipe2": ("EMFILE",),
          "renameat2": ("EIO", "ENOENT", "EEXIST", "EINVAL"), "linkat": ("EIO", "EEXIST"),
          "unlinkat": ("EIO", "ENOENT"), "read": ("EIO", "EINTR"), "pread64": ("EIO", "EINTR"),
          "write": ("ENOSPC",), "fsync": ("EIO", "EINTR"), "clone": ("EAGAIN",),
          "poll": ("EINTR",), "getrandom": ("ENOSYS",)}
# What cannot fail, is about memory (that is the other test), or of which nothing can depend on it.
HARMLESS = {"exit_group", "mmap", "munmap", "mprotect", "brk", "execve", "arch_prctl", "rt_sigaction",
            "rt_sigprocmask", "rt_sigreturn", "getpid", "getuid", "geteuid", "getgid", "getegid",
            "gettid", "getppid", "set_robust_list", "set_tid_address", "rseq", "prlimit64", "umask",
            "close_range", "futex", "sched_getaffinity", "sysinfo", "uname", "alarm", "waitid", "wait4"}

GOOD = (0, 2, 65, 78)  # also of a plugin, of what cannot be consumed, of what is found wrong
BAD = (3, 66, 71, 74, 75, 77)
CASES = {
    "list": ["list"],
    "list-failed": ["list", "failed", "--json"],
    "list-rejected": ["list", "rejected"],
    "show": ["show", name_of(1), "REJECTION"],
    "show-data": ["show", "--data", name_of(4)],
    "retry": ["retry", name_of(5), name_of(6)],
    "retry-all": ["retry", "--all"],
    "reject": ["reject", name_of(1), name_of(5)],
    "prune": ["prune", "--older-than", "0s", "--force"],
    "status": ["status"],
    "status-prometheus": ["status", "--prometheus"],
    "status-plugin": ["status", "--max-age", "1m", "--max-failed", "0"],
    "check": ["check"],
    "run": ["run", "--jobs", "2", "--strict-order", "--", "true"],
    "run-failing": ["run", "--jobs", "2", "--attempts", "1", "--", "false"],
}


class Bench(Operator):
    """A spool with something of everything, as it was at first before each case."""

    def __init__(self, place, case):
        super().__init__(place)
        # A claim without a lease, which may turn out to be anybody's, is nothing for a runner here.
        claimed = "work" if "run" not in CASES[case] else "done"
        for number, state in enumerate((*["new"] * 4, "failed", "failed", claimed), 1):
            name = self.put(number, subject=f"S{number % 3}", state=state)
            if state == "failed":
                self.remember(name)
        self.bodies = {name: (self.path / state / name).read_bytes()
                       for name, state in self.where().items()}
        self.old = self.put(8, state="done")
        rejection = self.put_rejection(9)
        self.write("tmp", "stale", b"x")
        self.write("new", "odd", b"x")
        (self.path / "state").mkdir(mode=0o700)
        (self.path / "state/received").mkdir(mode=0o700)
        (self.path / "state/received/order_gone").symlink_to(RECEIVED)
        (self.path / "leases").mkdir()
        (self.path / "leases").chmod(0o2770)
        self.write("leases", "runner-0123456789abcdef", b"0123456789abcdef boot none 1 host\n")
        hand_over(self.path)
        for path in ("tmp/stale", f"done/{self.old}", "leases/runner-0123456789abcdef"):
            os.utime(self.path / path, (OLD, OLD))
        os.utime(self.path / "state/received/order_gone", (OLD, OLD), follow_symlinks=False)
        self.kept = place / "kept"
        run("cp", "-a", self.path, self.kept)
        self.arguments = [rejection if a == "REJECTION" else a for a in CASES[case]]
        self.usual = self.try_it()
        self.after = self.where()
        assert self.usual.returncode in GOOD, self.usual

    def try_it(self, *prefix):
        """Run it on the spool as it was. Returns the finished process."""
        shutil.rmtree(self.path)
        run("cp", "-a", self.kept, self.path)
        return self.call(*self.arguments, prefix=prefix)

    def judge(self, what, done):
        """What must be when something has failed; and that it is mended by doing it again."""
        assert done.returncode in {*GOOD, *BAD}, (what, done)
        assert done.returncode in GOOD or done.stderr or done.stdout, (what, done)
        where = self.where()
        for name, body in self.bodies.items():
            assert (self.path / where[name] / name).read_bytes() == body, (what, done)
        again = self.call(*self.arguments)
        if self.arguments[0] in ("retry", "reject"):  # what was moved is not there any more
            assert again.returncode in (0, 66), (what, done, again)
        else:
            assert again.returncode in (*GOOD, 75), (what, done, again)
        where = self.where()
        for name, state in self.after.items():
            assert where.get(name) in (state, None if name == self.old else state), (what, name, done, again)


def calls_of(bench):
    """The name and number of each system call that it makes, once the loader is done and it comes to
    the spool; but for those by which counts of coverage are written."""
    trace = bench.place / "trace"
    trace.touch()
    hand_over(trace)
    bench.try_it("strace", "-o", trace)
    counts = collections.Counter()
    counting = None  # the descriptor
    begun = False
    for line in trace.read_text().splitlines():
        call = re.match(r"\w*", line)[0]
        counts[call] += 1
        begun = begun or f'"{bench.path}"' in line
        if ".gcda" in line:
            counting = line.split()[-1]
        if begun and counting is None and call and call not in HARMLESS:
            yield call, counts[call]
        if line.startswith(f"close({counting})"):
            counting = None


def errors_of(call):
    return ERRORS.get(call, ("EIO",))


def failures(bench):
    for call, nth in list(calls_of(bench)):
        for error in errors_of(call):
            # That its lease or entry is gone, or the name taken, a runner believes for good reason.
            if error not in ("ENOENT", "EEXIST") or "run" not in bench.arguments:
                yield call, nth, error


def selected(bench, cases):
    """A runner waits where it cannot go on: of its cases, fewer."""
    share = 3 * SHARE if "run" in bench.arguments else SHARE
    return list(cases)[TODAY % share::share]


@pytest.mark.parametrize("case", CASES)
def test_calls_that_fail(place, case):
    bench = Bench(place, case)
    for call, nth, error in selected(bench, failures(bench)):
        done = bench.try_it("strace", "-o", "/dev/null", "-e", f"trace={call}",
                            "-e", f"inject={call}:error={error}:when={nth}")
        bench.judge((call, nth, error), done)


@pytest.mark.parametrize("case", CASES)
def test_memory_that_runs_out(place, case):
    bench = Bench(place, case)
    hunger = place / "hunger.so"
    run("gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", hunger,
        TOP / "tests/crash/hunger.c")
    for nth in range(1 + TODAY % SHARE, 10_000, SHARE):
        done = bench.try_it("env", f"LD_PRELOAD={hunger}", f"HUNGER={nth}")
        if done.returncode == NOT_REACHED:
            return
        if case == "show" and "SIGSEGV" in done.stderr:  # json-c 0.16, where it copies a name
            continue
        bench.judge(("allocation", nth), done)
    assert False, "there is no end"
