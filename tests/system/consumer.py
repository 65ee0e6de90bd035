"""Entries of a spool, and consumers run on them as tradecloud-spool does."""

import json
import os
import pathlib
import subprocess

from server import BUILD, TOP, run

CONSUMERS = TOP / "cgi/consumers"
NAME = "20250423T100153.812Z_order_67aa8ece-3b0b-4bd4-a5a6-7f8e5f5f0a5b.json"
BASE = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"}


def new_spool(path):
    path.mkdir()
    path.chmod(0o2770)
    return path


def receive(spool, body):
    """Have the webhook's program receive a body. Returns the path of the entry."""
    environment = {"REQUEST_METHOD": "POST", "AUTH_TYPE": "Basic", "CONTENT_TYPE": "application/json",
                   "CONTENT_LENGTH": str(len(body)), "TRADECLOUD_SPOOL": str(spool)}
    done = run(BUILD / "tradecloud-webhook", input=body, env=environment, stdout=subprocess.PIPE,
               stderr=subprocess.DEVNULL)
    answer = json.loads(done.stdout.split(b"\r\n\r\n", 1)[1])
    return spool / "new" / answer["file"]


def make_entry(kind, data, subject="an-id", time="2025-04-23T10:01:53.812Z", identifier="an-id"):
    """The bytes of an entry; `kind` is what its type ends in, `data` may be bytes."""
    head = {"specversion": "1.0", "id": identifier, "source": "https://api.tradecloud1.com/v2",
            "type": f"com.tradecloud1.{kind}", "subject": subject, "time": time,
            "datacontenttype": "application/json"}
    if not isinstance(data, bytes):
        data = json.dumps(data, ensure_ascii=False).encode()
    text = json.dumps({k: v for k, v in head.items() if v is not None}, separators=(",", ":"))
    return text[:-1].encode() + b',"data":' + data + b"}"


def consume(consumer, *arguments, entry, name=NAME, path=None, **options):
    """Run a consumer on an entry. Returns the finished process, with its messages."""
    environment = {**BASE, "SPOOL_FILE": name, "SPOOL_ATTEMPT": "1"}
    if path:
        environment["PATH"] = f"{path}:{BASE['PATH']}"
    return subprocess.run([CONSUMERS / consumer, *map(str, arguments)], input=entry,
                          env=environment, capture_output=True, timeout=120, **options)


def put_in_the_way(directory, tool, script):
    """A program that is found instead of a tool; `$real` is the tool."""
    real = next(p for p in (pathlib.Path("/usr/bin", tool), pathlib.Path("/bin", tool))
                if p.exists())
    directory.mkdir(exist_ok=True)
    path = directory / tool
    path.write_text(f"#!/bin/sh\nreal={real}\n{script}\n")
    os.chmod(path, 0o755)
