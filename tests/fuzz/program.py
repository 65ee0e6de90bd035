"""Run the program itself with random environments and bodies, as a web server would: always one
answer with a status of the table, a file in the spool if and only if it is 2xx or a 4xx that keeps
the body, never a crash. `python3 tests/fuzz/program.py SECONDS [SEED]`; a failure names its seed."""

import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "system"))
os.environ.setdefault("BUILD", str(TESTS.parent / "build/sanitize"))

from client import documents, order, shipment  # noqa: E402
from server import BUILD  # noqa: E402
from spoolfile import check_cloudevent, check_entry  # noqa: E402

STATUSES = {200, 202, 400, 401, 404, 405, 415, 502, 503, 504}
ANSWER = re.compile(rb"Status: (\d{3}) [A-Z][A-Za-z ]+\r\n((?:[A-Z][A-Za-z-]+: [^\r\n]+\r\n)+)\r\n(.*\n)",
                    re.DOTALL)
PIECES = [b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\\u0000", b"\\ud800", b"\xff", b"\xc3",
          "é".encode(), b"\x00", b"1e999", b"-", b"null", b'"eventName"', b'"meta":{}', b" " * 70000]


def mutate(rng, data):
    """Change some bytes of a body."""
    data = bytearray(data)
    for _ in range(rng.choice((0, 0, 1, 1, 2, 5))):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(4):
            case 0:
                data[at:at] = rng.choice(PIECES)
            case 1:
                del data[at:at + rng.randrange(1, 20)]
            case 2:
                data[at:at + 1] = rng.randbytes(1)
            case 3:
                data[at:at] = data[rng.randrange(len(data) + 1):][:rng.randrange(50)]
    return bytes(data)


def text(rng):
    """A value for a variable: no NUL, which an environment cannot hold."""
    words = ["/", "order", "shipment", "legacy-order", "orderId=", "shipmentId=", "&", "%", "%00", "%2F",
             "%c3%a9", "+", "é", " ", "..", "?", "#", "application/", "json", "+json", ";", "x" * 600,
             "18446744073709551616", "-1", "0", "1", "\n", "\r", "\x7f", "tradecloud"]
    return "".join(rng.choice(words) for _ in range(rng.randrange(6)))


def make_case(rng):
    identifier = f"{rng.getrandbits(64):x}" if rng.random() < 0.8 else text(rng)
    source = rng.choice([
        lambda: order(identifier=identifier, container=rng.choice(
            ["orderEvent", "singleDeliveryOrderEvent", "simpleOrderEvent", "other"]),
            created=rng.choice(["2025-04-23T10:01:53.812Z", text(rng)])),
        lambda: documents(identifier), lambda: shipment(identifier), lambda: b"{}",
        lambda: rng.randbytes(rng.randrange(100))])
    body = mutate(rng, source())
    if rng.random() < 0.2:  # around what is kept in memory, and well beyond
        size = rng.choice([131072, 262144, 400_000]) + rng.randrange(-300, 300)
        at = rng.choice([body.find(b" "), len(body), rng.randrange(len(body) + 1)])
        body = mutate(rng, body[:at] + b" " * (size - len(body)) + body[at:])
    environment = {"REQUEST_METHOD": rng.choice(["POST"] * 6 + ["PUT", "GET", "HEAD", "", text(rng)]),
                   "AUTH_TYPE": "Basic", "CONTENT_LENGTH": str(len(body)),
                   "TRADECLOUD_MIN_FREE": "0"}
    for name in ("CONTENT_TYPE", "PATH_INFO", "QUERY_STRING", "REQUEST_URI", "SCRIPT_NAME",
                 "REMOTE_ADDR", "HTTP_PROXY", "REMOTE_USER"):
        if rng.random() < 0.2:
            environment[name] = text(rng)
    match rng.randrange(14):
        case 0:
            environment["CONTENT_LENGTH"] = text(rng)
        case 1:
            del environment["CONTENT_LENGTH"]
        case 2:
            environment["CONTENT_LENGTH"] = str(rng.randrange(2 * len(body) + 2))
        case 3:
            del environment["AUTH_TYPE"]
        case 4:
            environment[rng.choice(["TRADECLOUD_MAX_BODY", "TRADECLOUD_MIN_FREE", "TRADECLOUD_API_URL",
                                    "TRADECLOUD_TIMEOUT", "TRADECLOUD_NETRC"])] = text(rng)
    return environment, body


def files(spool, state):
    path = spool / state
    return sorted(path.iterdir()) if path.is_dir() else []


def is_json(content):
    def refuse(word):
        raise ValueError(word)

    try:
        return isinstance(json.loads(content.decode(), parse_constant=refuse), dict)
    except (ValueError, RecursionError):
        return False


def check(spool, environment, body, done):
    """What must hold, whatever the request was."""
    assert done.returncode in (0, 1), f"exit {done.returncode}"
    assert b"Sanitizer" not in done.stderr and b"runtime error" not in done.stderr
    assert done.stdout.count(b"Status: ") == 1
    match = ANSWER.fullmatch(done.stdout)
    assert match, "not one answer"
    status = int(match[1])
    assert status in STATUSES, status
    answer = json.loads(match[3])
    if status > 202:
        assert answer["status"] == status and b"application/problem+json" in match[2]
    assert (b"Retry-After" in match[2]) == (status >= 500)
    lines = done.stderr.decode("ascii").splitlines()
    assert len(lines) == 1 and f" status={status} " in lines[0], "not one line in the log"
    length = environment.get("CONTENT_LENGTH") or str(len(body))
    read = body[:int(length)] if re.fullmatch("[0-9]{1,18}", length) else b""
    new, rejected = files(spool, "new"), files(spool, "rejected")
    assert files(spool, "tmp") == []
    assert len(new) == (status in (200, 202)), "2xx and no file, or a file and no 2xx"
    for file in new:
        assert file.name == answer["file"] and is_json(read)
        check_entry(file, read)
        check_cloudevent(file.read_bytes())
    kept = status in (400, 404, 405, 415) and read != b"" and environment["REQUEST_METHOD"] != "GET"
    assert len(rejected) == kept, "4xx and the body is not kept, or another way round"
    for file in rejected:
        assert file.read_bytes().endswith(b"\n\n" + read)
    if environment.get("AUTH_TYPE") is None:
        assert status == 401 and new == rejected == []
    return status


def one(place, seed):
    rng = random.Random(seed)
    environment, body = make_case(rng)
    spool = place / str(seed)
    spool.mkdir(0o770)
    variables = {**environment, "TRADECLOUD_SPOOL": str(spool),
                 "TRADECLOUD_FETCH_PROGRAM": "/nonexistent",
                 "ASAN_OPTIONS": "log_path=stderr:detect_leaks=1", "UBSAN_OPTIONS": "log_path=stderr"}
    done = subprocess.run([str(BUILD / "tradecloud-webhook")], input=body, env=variables,
                          capture_output=True, timeout=60)
    try:
        status = check(spool, environment, body, done)
    except Exception as error:
        raise SystemExit(f"seed {seed}: {error!r}\n{environment}\n{body[:2000]!r}\n"
                         f"{done.stdout!r}\n{done.stderr.decode(errors='replace')}") from error
    shutil.rmtree(spool)
    return status


def main():
    end = time.monotonic() + float(sys.argv[1])
    first = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().getrandbits(48)
    place = pathlib.Path(tempfile.mkdtemp(prefix="tradecloud-fuzz.", dir="/dev/shm"))
    statuses = Counter()
    try:
        with ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as executor:
            while time.monotonic() < end:
                seeds = range(first, first + 100)
                statuses.update(executor.map(lambda seed: one(place, seed), seeds))
                first += 100
    finally:
        shutil.rmtree(place)
    print(f"program: {statuses.total()} runs; " +
          ", ".join(f"{n} of {status}" for status, n in sorted(statuses.items())))


if __name__ == "__main__":
    main()
