"""The programs behind the web server when any single system call fails that they make: 503 or what
they would have answered, never 500 or 4xx; and the sender's retry is stored, once.

tests/crash/ does this thoroughly, and judges by what is on the disk; here the calls are made to fail in
the programs as they are shipped, for their answers, and in those that count for `make coverage`. In
`make check` some of the cases, others each day; with CRASH=full many more.
"""

import hashlib
import shutil
import subprocess

import pytest
from client import order
from fetching import api_environment, offer
from server import BUILD, UNPRIVILEGED, hand_over, run
from test_spool_calls import FULL, TODAY, calls_of, errors_of

TOKEN = "a-token"
BODIES = {"timed": order(identifier="m"), "malformed": b"no JSON",
          "by-receipt": b'{"eventName":"OrderSynced","meta":{"messageId":"m"}}'}


class Bench:
    def __init__(self, place, program, arguments, body, environment):
        self.place = place
        self.path = place / "spool"
        self.path.mkdir(mode=0o770)
        hand_over(self.path)
        self.program = place / program
        run("install", "-m", "755", BUILD / program, self.program)
        self.arguments = arguments
        self.body = body
        self.environment = {"TRADECLOUD_SPOOL": str(self.path), **environment}
        self.usual = self.status(self.try_it())
        assert self.usual in (202, 400)

    def try_it(self, *prefix):
        for path in self.path.iterdir():
            shutil.rmtree(path)
        return self.call(*prefix)

    def call(self, *prefix):
        return subprocess.run([*UNPRIVILEGED, *prefix, self.program, *self.arguments], input=self.body,
                              env=self.environment, capture_output=True, timeout=60)

    def status(self, done):
        assert done.stdout.startswith(b"Status: "), done
        return int(done.stdout[8:11])

    def judge(self, what, done):
        """A loader that fails, and an answer that cannot be written, are not the program's."""
        if what[0] != "write":
            assert self.status(done) in (self.usual, 502, 503, 504), (what, done)
        # A password file that cannot be read looks like a wrong password, after which it pauses.
        (self.path / "state/token.json").unlink(missing_ok=True)
        retried = self.status(self.call())
        assert retried in (self.usual, 200), (what, done, retried)
        kept = list((self.path / ("new" if self.usual == 202 else "rejected")).iterdir())
        assert len(kept) == 1 or (kept and self.usual == 400), what


@pytest.fixture
def bearer(place):
    path = place / "bearer"
    path.write_text(hashlib.sha256(TOKEN.encode()).hexdigest() + "\n")
    hand_over(path)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("name", BODIES)
def test_receiving(place, bearer, name):
    body = BODIES[name]
    environment = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(body)),
                   "HTTP_AUTHORIZATION": f"Bearer {TOKEN}", "TRADECLOUD_BEARER_FILE": str(bearer)}
    bench = Bench(place, "tradecloud-webhook", [], body, environment)
    try_all(bench, 1 if FULL else 10)


@pytest.mark.parametrize("error, advice", [
    ("EDQUOT", "quota"), ("EFBIG", "file size limit"), ("ENOSPC", "free space"), ("EMFILE", "open files"),
])
def test_advice(place, bearer, error, advice):
    """What the operator is to do stands in the log."""
    body = BODIES["timed"]
    environment = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(body)), "AUTH_TYPE": "Basic"}
    bench = Bench(place, "tradecloud-webhook", [], body, environment)
    done = bench.try_it("strace", "-o", "/dev/null", "-e", "trace=pwritev",
                        "-e", f"inject=pwritev:error={error}:when=1")
    assert bench.status(done) == 503 and advice in done.stderr.decode(), done


def test_fetching(place, stub):
    offer(stub)
    environment = api_environment(stub, REQUEST_METHOD="GET", AUTH_TYPE="Basic")
    bench = Bench(place, "tradecloud-fetch", ["order", "--", "an-id"], b"", environment)
    try_all(bench, 2 if FULL else 40)


def try_all(bench, share):
    """A name that is taken was so by another delivery, of which there is none."""
    cases = [(call, nth, error) for call, nth in calls_of(bench) for error in errors_of(call)
             if error != "EEXIST"]
    for call, nth, error in cases[TODAY % share::share]:
        done = bench.try_it("strace", "-o", "/dev/null", "-e", f"trace={call}",
                            "-e", f"inject={call}:error={error}:when={nth}")
        bench.judge((call, nth, error), done)
