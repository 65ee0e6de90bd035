"""Whatever happens at whichever system call: nothing that was acknowledged is lost, nothing partial
is seen, and the sender's retry makes it one file. See injection.py for what is done.

CRASH=full runs every case; otherwise every case of receiving, and of fetching a sample that is
another one each day. CRASH=fail only lets calls fail, which is what reaches code."""

import datetime
import itertools
import os
import subprocess
from collections import Counter

import pytest
from client import order
from disk import Disk, Violation
from fetching import api_environment, offer, write_netrc
from injection import Bench, Path, cases, inject
from server import TOP, run

FULL = os.environ.get("CRASH") == "full"
SHARE = 60  # one case of so many of a path that fetches, unless all
PIPE_SIZE = 65536
POST = {"REQUEST_METHOD": "POST"}
BODY = order(identifier="m")
OTHER = order(identifier="another")
TIMELESS = b'{"eventName":"OrderSynced"}'
MALFORMED = b'{"eventName":"OrderSynced",}'
# Larger than what is kept in memory, and so large that it is worth syncing while it arrives.
LARGE = order(identifier="m", filler=600_000)
LARGE_TIMELESS = TIMELESS[:-1] + b" " * 600_000 + b"}"
# With a subject for which there is no room before such a body.
LONG = LARGE.replace(b'"orderId": "', b'"orderId": "' + b"s" * 5000)


def received():
    prepared = [(POST, OTHER)]
    yield Path("first", POST, BODY, 202, BODY)
    yield Path("new", POST, BODY, 202, BODY, prepare=prepared)
    yield Path("chunked", {**POST, "CONTENT_LENGTH": None}, BODY, 202, BODY, prepare=prepared)
    yield Path("large", POST, LARGE, 202, LARGE, prepare=prepared)
    yield Path("large and chunked", {**POST, "CONTENT_LENGTH": None}, LARGE, 202, LARGE,
               prepare=prepared)
    yield Path("large with a long subject", POST, LONG, 202, LONG, prepare=prepared)
    yield Path("large without a time", POST, LARGE_TIMELESS, 202, LARGE_TIMELESS, prepare=prepared)
    yield Path("large duplicate", POST, LARGE, 200, LARGE, prepare=[(POST, LARGE)])
    yield Path("large quarantine", POST, LARGE + b"]", 400, None, prepare=prepared)
    yield Path("duplicate", POST, BODY, 200, BODY, prepare=[(POST, BODY)])
    yield Path("without a time", POST, TIMELESS, 202, TIMELESS, prepare=prepared)
    yield Path("quarantine", POST, MALFORMED, 400, None, prepare=prepared)
    yield Path("first quarantine", POST, MALFORMED, 400, None)


@pytest.fixture(scope="session")
def shorten(tmp_path_factory):
    program = tmp_path_factory.mktemp("shorten") / "shorten"
    run("gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", program, TOP / "tests/crash/shorten.c")
    return program


def only_ours(bench):
    """Make new/ of the template empty but for what the path itself is about."""
    for file in (bench.template / "new").glob("*.json"):
        if b"another" in file.read_bytes() or b'"first"' in file.read_bytes():
            file.unlink()


def check(bench, found, chosen, say):
    assert found
    if os.environ.get("CRASH") == "fail":
        chosen = [case for case in chosen if case.kind == "fail"]
    kinds = Counter(case.kind for case in chosen)
    wrong, missed = inject(bench, chosen)
    say(f"{bench.path.name}: {len(found)} calls, {len(chosen)} cases: " +
        ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items())) +
        f"; {len(missed)} not reached; {len(wrong)} wrong")
    assert wrong == [], "\n".join(wrong[:20])
    # How often a pipe or a socket is read depends on time; all else is the same at every time.
    varies = bench.path.fetches or len(bench.path.body) > PIPE_SIZE
    assert len(missed) <= (len(chosen) // 10 if varies else 0), missed


@pytest.mark.parametrize("path", received(), ids=lambda path: path.name)
def test_receiving(place, shorten, say, path):
    bench = Bench(place, path, shorten)
    only_ours(bench)
    found = bench.calls()
    check(bench, found, cases(found, path), say)


def test_nothing_is_overlooked(place, shorten):
    """A call that fails must be a call that was made: else the cases would show nothing."""
    (place / "large").mkdir()
    bench = Bench(place, Path("new", POST, BODY, 202, BODY), shorten)
    names = {call.name for call in bench.calls()}
    assert {"openat", "pwritev", "fsync", "linkat", "unlinkat", "read", "write"} <= names
    bench = Bench(place / "large", Path("large", POST, LARGE, 202, LARGE), shorten)
    assert {"clone3", "fdatasync"} <= {call.name for call in bench.calls()}
    done = subprocess.run([shorten, "pwritev", "9", "50", "/bin/true"])
    assert done.returncode == 99


@pytest.mark.parametrize("nth", [1, 2], ids=["file", "directory"])
def test_a_sync_that_is_left_out_is_found(place, shorten, nth):
    """A program that is told that its file, or new/, is synced, when it is not."""
    bench = Bench(place, Path("new", POST, BODY, 202, BODY, prepare=[(POST, OTHER)]), shorten)
    only_ours(bench)
    spool = bench.spool("case")
    run_ = bench.run(spool, ["-e", f"inject=fsync:retval=0:when={nth}"])
    assert run_.status == 202
    with pytest.raises(Violation):
        Disk(spool).replay(run_.trace)


FETCHES = ["cold", "warm", "unknown"]


@pytest.mark.parametrize("name", FETCHES)
def test_fetching(place, shorten, stub, say, name):
    """Through both programs, as one goes on as the other."""
    stub.reset()
    stub.exclusive = False  # cases run at once: one log-in must not end another's
    write_netrc(stub)
    data = offer(stub)
    offer(stub, identifier="first")
    environment = {"REQUEST_METHOD": "GET", "CONTENT_LENGTH": None, **api_environment(stub)}
    get = {**environment, "PATH_INFO": "/order/an-id"}
    before = [({**environment, "PATH_INFO": "/order/first"}, b"")] if name != "cold" else []
    path = Path(name, get, b"", 202, data, fetches=True, prepare=before)
    if name == "unknown":
        path = Path(name, {**get, "PATH_INFO": "/order/none"}, b"", 404, None, fetches=True,
                    prepare=before)
    bench = Bench(place, path, shorten)
    only_ours(bench)
    found = bench.calls()
    chosen = cases(found, path)
    if not FULL:
        start = datetime.date.today().toordinal() % SHARE
        chosen = list(itertools.islice(chosen, start, None, SHARE))
    check(bench, found, chosen, say)
