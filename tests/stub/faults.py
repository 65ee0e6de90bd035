"""What can go wrong with an answer of the API.

Each fault is a function of the answer as it would be (`normal()` gives it, and lets the request
have its effect), of what stands behind the colon of its name, and of a `wait(seconds)`.
"""

import gzip
import json
import zlib
from dataclasses import replace

from wire import Reply, reply

MEGABYTE = 1_000_000
BIG = 60 * MEGABYTE
BOMB = 1000 * MEGABYTE
HTML = b"<!DOCTYPE html><html><title>Log in</title><body>Please log in.</body></html>\n"
PARTS = 20  # of a slow body


def problem(status):
    """The answer to what cannot be met, in the API's manner."""
    headers = [("Retry-After", "1")] if status in (429, 503) else []
    return reply(json.dumps({"status": status, "error": "no"}).encode(), status=status,
                 headers=headers)


def body_of(answer):
    return b"".join(answer.pieces)


def give_status(_normal, status, _wait):
    """The request has no effect: a log-in gives no token, a refresh keeps the old one alive."""
    return problem(int(status))


def slow_first_byte(normal, seconds, wait):
    wait(float(seconds))
    return normal()


def slow_body(normal, seconds, wait):
    answer = normal()
    body = body_of(answer)
    size = len(body) // PARTS + 1

    def trickle():
        for start in range(0, len(body), size):
            yield body[start:start + size]
            wait(float(seconds) / PARTS)

    return replace(answer, pieces=trickle())


def hang(_normal, _argument, _wait):
    return Reply(silence="hang")


def cut(normal, _argument, _wait):
    """The API did what was asked, but nobody will hear of it."""
    normal()
    return Reply(silence="close")


def cut_body(normal, _argument, _wait):
    answer = normal()
    body = body_of(answer)
    return replace(answer, pieces=[body[:len(body) // 2]], end="cut")


def wrong_length(normal, which, _wait):
    """A Content-Length of more bytes than are sent, or of fewer."""
    answer = normal()
    difference = {"more": 100, "fewer": -100}[which]
    return replace(answer, length=max(answer.length + difference, 0), end="odd")


def not_json(_normal, _argument, _wait):
    return reply(b"no JSON")


def empty(_normal, _argument, _wait):
    return reply(b"")


def html(_normal, _argument, _wait):
    return reply(HTML, "text/html")


def wrong_id(normal, _argument, _wait):
    """Another object than was asked for."""
    answer = normal()
    content = json.loads(body_of(answer))
    for member in ("id", "legacyOrderId"):
        if member in content:
            content[member] = "another-" + content[member]
    return reply(json.dumps(content).encode())


def inflated(body, size):
    """The pieces of an object that is right but for its size: its head, megabytes, its tail."""
    yield body.rstrip()[:-1] + b',"filler":"'
    for _ in range(size // MEGABYTE):
        yield b"x" * MEGABYTE
    yield b'"}'


def big(normal, _argument, _wait):
    body = body_of(normal())
    length = len(body.rstrip()) - 1 + len(b',"filler":"') + BIG + len(b'"}')
    return Reply(200, [("Content-Type", "application/json")], inflated(body, BIG), length)


def compressed(answer, pieces):
    headers = [*answer.headers, ("Content-Encoding", "gzip")]
    return replace(answer, headers=headers, pieces=pieces, length=None)


def correct_gzip(normal, _argument, _wait):
    answer = normal()
    return compressed(answer, [gzip.compress(body_of(answer))])


def deflate(piece, flush):
    """A part of a deflate stream that does not depend on those before it."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(piece) + compressor.flush(flush)


def explode(body):
    """A gzip stream of a megabyte that becomes a thousand."""
    same = deflate(b"x" * MEGABYTE, zlib.Z_FULL_FLUSH)
    checksum = length = 0
    yield b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    for piece in inflated(body, BOMB):
        checksum = zlib.crc32(piece, checksum)
        length += len(piece)
        yield same if len(piece) == MEGABYTE else deflate(piece, zlib.Z_FULL_FLUSH)
    yield deflate(b"", zlib.Z_FINISH) + checksum.to_bytes(4, "little") + length.to_bytes(4, "little")


def bomb(normal, _argument, _wait):
    answer = normal()
    return compressed(answer, explode(body_of(answer)))


def redirect(_normal, _argument, _wait):
    return Reply(302, [("Location", "/v2/elsewhere")], [], 0)


def huge_header(normal, _argument, _wait):
    answer = normal()
    return replace(answer, headers=[*answer.headers, ("X-Huge", "x" * MEGABYTE)])


def no_token_header(normal, _argument, _wait):
    answer = normal()
    return replace(answer, headers=[h for h in answer.headers if "set-" not in h[0].lower()])


FAULTS = {
    "status": give_status,
    "slow-first-byte": slow_first_byte,
    "slow-body": slow_body,
    "hang": hang,
    "cut": cut,
    "cut-body": cut_body,
    "wrong-length": wrong_length,
    "not-json": not_json,
    "empty": empty,
    "html": html,
    "wrong-id": wrong_id,
    "big": big,
    "gzip": correct_gzip,
    "bomb": bomb,
    "redirect": redirect,
    "huge-header": huge_header,
    "no-token-header": no_token_header,
}

# Of the server, not of an answer: whoever connects meets such a certificate, or such a TLS.
TLS_FAULTS = ("expired-certificate", "wrong-host", "old-tls")
