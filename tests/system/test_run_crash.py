"""tradecloud-spool run killed at every system call of claiming, finishing, giving up and trying
again: no entry is ever in no state or in two, and the next run finishes them all.

In `make check` those calls that change something; in `make check-consume` all of them.
"""

import concurrent.futures
import os
import subprocess

import pytest
from consuming import Spool, name_of
from server import UNPRIVILEGED, run

LONG = "CONSUME_LONG" in os.environ
CALLS = ["renameat2", "renameat", "linkat", "unlinkat", "fsync", "write", "utimensat",
         "clone,clone3,fork", "wait4"]
# strace counts each of them by itself.
OTHERS = ["openat", "read", "close", "newfstatat,fstat", "pread64", "fcntl", "poll", "getdents64",
          "getrandom", "pipe2", "waitid", "setpgid", "mmap", "munmap", "brk", "rt_sigprocmask",
          "rt_sigaction", "getpid", "signalfd4", "close_range", "exit_group", "execve", "mprotect",
          "clock_nanosleep", "lseek", "kill", "mkdirat"]

# One is done at once, one at the second attempt, one is given up; two have one subject.
SCRIPT = 'case $CE_ID in m1) exit 65 ;; m2) test "$SPOOL_ATTEMPT" -gt 1 || exit 75 ;; esac'
ENTRIES = {1: "A", 2: "B", 3: "A"}
OUTCOMES = {name_of(1): "failed", name_of(2): "done", name_of(3): "done"}


def crash(place, call, nth):
    """Let it be killed at the nth of these calls. Returns whether it came to that."""
    place.mkdir()
    place.chmod(0o755)
    spool = Spool(place)
    for number, subject in ENTRIES.items():
        spool.put(number, subject)
    command = spool.command("--jobs", 1, script=SCRIPT)[len(UNPRIVILEGED):]
    killed = subprocess.run(
        [*UNPRIVILEGED, "strace", "-o", "/dev/null", "-e", f"trace={call}",
         "-e", f"inject={call}:signal=SIGKILL:when={nth}", *command],
        env=spool.environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert killed.returncode in (-9, 65), killed
    assert set(spool.where()) == set(OUTCOMES), (call, nth)
    if killed.returncode == 65:
        assert spool.where() == OUTCOMES
        return False
    again = spool.run("--jobs", 2, script=SCRIPT)
    # Given up it was by one of the two.
    assert again.returncode in (0, 65), (call, nth, again)
    assert spool.where() == OUTCOMES, (call, nth, again.stderr)
    # One that was killed before it had written who it is, is swept after a minute.
    left = [name for name in spool.entries("leases") if not name.startswith("runner-")]
    assert left == [], (call, nth, again.stderr)
    # Only of what was given up something is remembered; or of what a killed runner could not forget.
    assert set(spool.entries("attempts")) <= {name_of(1), name_of(2)}
    order = [r[2] for r in spool.records() if r[1] == "A"]
    assert order == sorted(order), (call, nth, order)
    return True


@pytest.mark.parametrize("call", CALLS + OTHERS if LONG else CALLS)
def test_killed_at(place, call):
    count = tried = 0
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        while True:
            batch = range(tried + 1, tried + 9)
            tried += 8
            reached = list(pool.map(lambda n: crash(place / str(n), call, n), batch))
            run("sh", "-c", f"rm -rf {place}/*")
            # Which calls are made depends a little on timing.
            count += sum(reached)
            if not any(reached):
                break
    print(f"killed at {count} calls of {call}")
    assert count >= 1 or call in OTHERS
