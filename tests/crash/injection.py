"""Crash injection: run a program once per system call that it makes, and let something happen there.

A path is one thing that a program does: receive an event, recognise a duplicate, fetch an order.
Each is traced once as it should go; then again for every case, each in a spool of its own:

  kill     SIGKILL as the call is entered; the call does not happen. Killed before each call in turn
           is killed after each in turn, as nothing that can be seen happens in between.
  fail     the call fails, once, with each errno that it can really return.
  last     the same from this call of its kind on: a disk that stays full.
  short    the call moves fewer bytes than it was asked to, as the kernel may at any time.

After each, and again after the sender's retry, whatever is_sound() and its callers ask must hold.
"""

import os
import re
import shutil
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from disk import Disk, Violation, calls
from server import BUILD
from spoolfile import check_entry

# What the calls can return in the circumstances in which they are made: space and quota, damaged
# disks and those mounted read-only, limits on descriptors and memory, permissions, signals.
SPACE = ["ENOSPC", "EDQUOT"]
ERRORS = {
    "openat": ["EMFILE", "ENFILE", "ENOMEM", "EACCES", "EROFS", "EIO", "EINTR", *SPACE],
    "mkdirat": ["EACCES", "EROFS", "EIO", "ENOMEM", "EMLINK", *SPACE],
    "newfstatat": ["EIO", "EACCES", "ENOMEM"],
    "fstat": ["EIO", "ENOMEM"],
    "fstatfs": ["EIO", "EINTR", "ENOMEM"],
    "fchmod": ["EIO", "EPERM", "EROFS"],
    "getrandom": ["ENOSYS", "EINTR"],
    "read": ["EIO", "EINTR"],
    "pread64": ["EIO", "EINTR"],
    "write": ["EIO", "EINTR", "EPIPE", *SPACE],
    "writev": ["EIO", "EINTR", "EFBIG", *SPACE],
    "pwritev": ["EIO", "EINTR", "EFBIG", *SPACE],
    "pwrite64": ["EIO", "EINTR", "EFBIG", *SPACE],
    "fsync": ["EIO", "EINTR", "EROFS", *SPACE],
    "fdatasync": ["EIO", "EINTR", "EROFS", *SPACE],
    "close": ["EIO", "EINTR", *SPACE],
    "linkat": ["EIO", "EROFS", "EACCES", "EPERM", "EMLINK", "ENOMEM", *SPACE],
    "symlinkat": ["EIO", "EROFS", "EACCES", "ENOMEM", *SPACE],
    "readlinkat": ["EIO", "EACCES", "ENOMEM"],
    "unlinkat": ["EIO", "EROFS", "EACCES"],
    "renameat": ["EIO", "EROFS", "EACCES", *SPACE],
    "fcntl": ["ENOLCK", "EINTR"],
    "brk": ["ENOMEM"],
    "mmap": ["ENOMEM"],
    "mremap": ["ENOMEM"],
    "clone3": ["EAGAIN", "ENOMEM"],
    "socket": ["EMFILE", "ENFILE", "ENOBUFS"],
    "socketpair": ["EMFILE", "ENFILE"],
    "connect": ["ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH"],
    "poll": ["EINTR", "ENOMEM"],
    "sendto": ["ECONNRESET", "EPIPE", "EINTR"],
    "recvfrom": ["ECONNRESET", "EINTR", "EIO"],
    "eventfd2": ["EMFILE", "ENFILE"],
    "access": ["EACCES", "EIO"],
}
SHORT = ["read", "write", "writev", "pwritev", "pread64", "pwrite64"]
# What must not matter to what receives: that there can be no thread that syncs early, or that its
# sync is interrupted.
HARMLESS = {"clone3": ["EAGAIN", "ENOMEM"], "fdatasync": ["EINTR"]}
FOLLOWED = "openat,mkdirat,symlinkat,write,writev,pwritev,pwrite64,fsync,fdatasync,linkat,unlinkat"
TROUBLE = (502, 503, 504)
NOT_REACHED = 99  # by which shorten ends


@dataclass
class Path:
    """What a program does. `environment` and `body` are what it is called with; `expected` is the
    status when all goes well; `data` are the bytes that the one entry in new/ must hold (None: there
    is to be none)."""

    name: str
    environment: dict
    body: bytes
    expected: int
    data: bytes | None
    fetches: bool = False
    prepare: list = field(default_factory=list)  # runs that come before: (environment, body)


@dataclass
class Call:
    """A system call of the main thread, or the one of a thread that syncs early, in the order of the
    trace."""

    name: str
    nth: int  # of its name and thread
    loading: bool  # before main() of the program that works: the C library's own


@dataclass
class Case:
    kind: str  # kill, fail, last, short
    call: Call
    error: str = ""

    def prefix(self, shorten):
        if self.kind == "short":
            return [str(shorten), self.call.name, str(self.call.nth), self.error]
        what = "signal=KILL" if self.kind == "kill" else f"error={self.error}"
        nth = f"{self.call.nth}{'+' if self.kind == 'last' else ''}"
        # Only into a call that is traced can anything be injected.
        return ["-e", f"trace={FOLLOWED},{self.call.name}",
                "-e", f"inject={self.call.name}:{what}:when={nth}"]

    def happened(self, run):
        """Whether the program came to that call."""
        if self.kind == "short":
            return run.code != NOT_REACHED
        return run.code == -9 if self.kind == "kill" else "(INJECTED)" in run.trace

    def __str__(self):
        return f"{self.kind} {self.call.name} {self.call.nth} {self.error}"


@dataclass
class Run:
    code: int
    status: int | None
    log: str
    trace: str


class Bench:
    """Where the cases of a path run; each in a directory of its own below `place`."""

    def __init__(self, place, path, shorten):
        self.place = place
        self.path = path
        self.shorten = shorten
        self.template = place / "template"
        self.template.mkdir(mode=0o770)
        self.template.chmod(0o2770)
        for environment, body in path.prepare:
            done = self._execute(self.template, [], environment, body)
            assert b"Status: 20" in done.stdout, done

    def _execute(self, spool, prefix, environment, body):
        variables = {"AUTH_TYPE": "Basic", "CONTENT_LENGTH": str(len(body)), "TRADECLOUD_MIN_FREE": "0",
                     "TRADECLOUD_FETCH_PROGRAM": str(BUILD / "tradecloud-fetch"), **environment,
                     "TRADECLOUD_SPOOL": str(spool)}
        variables = {k: v for k, v in variables.items() if v is not None}
        return subprocess.run([*prefix, str(BUILD / "tradecloud-webhook")], input=body,
                              env=variables, capture_output=True, timeout=120)

    def run(self, spool, options=("-e", f"trace={FOLLOWED}"), short=()):
        trace = spool.with_suffix(".trace")
        prefix = [*short, "strace", "-f", "-qq", "-y", "-s", "1024", "-o", str(trace),
                  *options]
        if short:
            # A traced program cannot be traced twice.
            prefix = list(short)
        done = self._execute(spool, prefix, self.path.environment, self.path.body)
        answer = done.stdout.decode()
        statuses = re.findall(r"Status: (\d+) ", answer)
        assert len(statuses) <= 1, f"two answers: {answer!r}"
        text = "" if short else trace.read_text(errors="replace")
        return Run(done.returncode, int(statuses[0]) if statuses else None, done.stderr.decode(), text)

    def spool(self, name):
        spool = self.place / name
        shutil.copytree(self.template, spool, symlinks=True)
        for directory in (spool, *(d for d in spool.rglob("*") if d.is_dir())):
            directory.chmod((self.template / directory.relative_to(spool)).stat().st_mode)
        return spool

    def calls(self):
        """All system calls of the path, when all goes well."""
        spool = self.spool("baseline")
        run = self.run(spool, ())
        assert run.status == self.path.expected, run
        seen = Counter()
        found = []
        main = None
        loading = True
        for pid, name, arguments, *_ in calls(run.trace):
            main = main or pid
            if pid != main and (name != "fdatasync" or name in seen):
                continue
            if name in ("exit_group", "rt_sigreturn"):
                continue
            seen[name] += 1
            if name == "execve":
                loading = True
            elif "F_GETFD" in arguments:  # what process_start() begins with
                loading = False
            if seen["execve"] > 1 or name != "execve":
                found.append(Call(name, seen[name], loading))
        assert not loading, "main() does not show in the trace"
        Disk(spool).replay(run.trace)
        return found


def cases(found, path):
    """What is to happen at the calls of a path. What happens while libraries are loaded is of
    interest only for being killed."""
    result = [Case("kill", call) for call in found]
    first = {}
    for call in found:
        if call.loading:
            continue
        first.setdefault(call.name, call)
        result += [Case("fail", call, error) for error in ERRORS.get(call.name, ())]
        if call.name in SHORT and not path.fetches:
            result += [Case("short", call, "50"), Case("short", call, "1")]
    for name, call in first.items():
        result += [Case("last", call, error) for error in ERRORS.get(name, ())
                   if error != "EINTR"]
    return result


def entries(spool, state):
    path = spool / state
    return sorted(path.iterdir()) if path.is_dir() else []


def is_sound(spool, path):
    """What must hold at any time: what is in new/ is whole, and it is one file at most; so is what
    is in rejected/."""
    new = entries(spool, "new")
    assert len(new) <= 1, f"{len(new)} files in new/"
    for file in new:
        assert path.data is not None, f"{file} should not be"
        check_entry(file, path.data)
    for file in entries(spool, "rejected"):
        head, _, kept = file.read_bytes().partition(b"\n\n")
        assert head.startswith(b"Status: 4") and kept == path.body, file


def check_answer(path, case, run, spool):
    """No 500, no 4xx for trouble of ours; 2xx, or a 4xx for good, only with the file in its place."""
    if run.status is None:
        # The web server answers 503 then. But as long as it can, the program is to say so itself.
        mute = case.kind == "kill" or case.call.loading or case.call.name in ("write", "execve") \
            or "error while loading shared libraries" in run.log
        assert mute, f"no answer: {run.log}"
    elif run.status < 300:
        assert path.data is not None and len(entries(spool, "new")) == 1, run
    elif run.status < 500:
        assert run.status == path.expected, f"{run.status} for trouble of ours: {run.log}"
        assert entries(spool, "rejected"), run
    else:
        assert run.status in TROUBLE, run


def forget_failure(spool):
    """As if the pause after a failed log-in had passed. Returns whether there was one."""
    token = spool / "state/token.json"
    try:
        failed = '"access":""' in token.read_text()
        token.unlink()
    except OSError:
        return False
    return failed


def try_case(bench, number, case):
    """Returns whether it came to the case: the number of some calls depends on time."""
    path = bench.path
    spool = bench.spool(f"case-{number}")
    disk = Disk(spool)
    short = case.prefix(bench.shorten) if case.kind == "short" else ()
    run = bench.run(spool, () if short else case.prefix(None), short=short)
    disk.replay(run.trace)
    is_sound(spool, path)
    check_answer(path, case, run, spool)
    if case.error in HARMLESS.get(case.call.name, ()) and not path.fetches:
        assert run.status == path.expected, run
    happened = case.happened(run)
    if run.status is not None and case.call.name != "unlinkat":
        assert entries(spool, "tmp") == [], "a file was left in tmp/"
    if short:
        assert run.status in (path.expected, None) or case.call.name != "write", run
        clean(bench, spool)
        return happened
    retry = bench.run(spool)
    if retry.status in TROUBLE and forget_failure(spool):
        retry = bench.run(spool)
    assert retry.status in ((200, 202) if path.data is not None else (path.expected,)), retry.log
    disk.replay(retry.trace)
    is_sound(spool, path)
    check_answer(path, case, retry, spool)
    clean(bench, spool)
    return happened


def clean(bench, spool):
    shutil.rmtree(spool)
    spool.with_suffix(".trace").unlink(missing_ok=True)


def inject(bench, chosen, workers=None):
    """Run the cases; returns what went wrong, as lines, and how often it did not come to it."""
    wrong = []
    missed = []

    def one(numbered):
        number, case = numbered
        try:
            if not try_case(bench, number, case):
                missed.append(str(case))
        except (AssertionError, Violation, subprocess.TimeoutExpired) as error:
            wrong.append(f"{bench.path.name}: {case}: {error!s:.600}")

    with ThreadPoolExecutor(workers or 3 * (os.cpu_count() or 1)) as executor:
        list(executor.map(one, enumerate(chosen)))
    return wrong, missed
