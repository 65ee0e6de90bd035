"""Sizes beyond the usual: bodies of 64 and 256 MiB with raised limits, their time and memory stated;
and 200 connections at once. No time is asserted. FULL=1 for 256 MiB, too."""

import os
import resource
import subprocess
import time

import pytest
from client import order
from sender import Sender
from server import BUILD, Apache, run
from spoolfile import check_entry

MIB = 1 << 20
MEMORY = 5  # MiB of address space that the program takes at most, whatever the size of the body
SIZES = [64, 256] if os.environ.get("FULL") else [64]


@pytest.mark.parametrize("size", SIZES)
def test_large_body(place, say, size):
    """In little memory; what is stored is what came."""
    spool = place / "spool"
    spool.mkdir(0o770)
    body = order(identifier="m", filler=size * MIB - 1000)
    (place / "body").write_bytes(body)
    environment = {"REQUEST_METHOD": "POST", "AUTH_TYPE": "Basic", "CONTENT_LENGTH": str(len(body)),
                   "TRADECLOUD_SPOOL": str(spool), "TRADECLOUD_MAX_BODY": str(512 * MIB)}
    started = time.monotonic()
    with open(place / "body", "rb") as file:
        done = subprocess.run(["prlimit", f"--as={MEMORY * MIB}", BUILD / "tradecloud-webhook"],
                              stdin=file, env=environment, capture_output=True)
    seconds = time.monotonic() - started
    assert done.stdout.startswith(b"Status: 202 "), done
    [file] = (spool / "new").iterdir()
    check_entry(file, body)
    say(f"{size} MiB: {seconds:.2f} s, within {MEMORY} MiB of memory")


@pytest.mark.parametrize("size", SIZES)
def test_large_body_through(server, place, authority, say, size):
    """The same through the web server, its own limit raised, too."""
    site = server(place / "site", authority,
                  environment={"TRADECLOUD_MAX_BODY": str(512 * MIB)})
    location = site.directory / "etc/location.conf"
    text = location.read_text()
    limit = "LimitRequestBody 33554432" if server is Apache else "client_max_body_size 33554432"
    assert limit in text
    location.write_text(text.replace(limit, limit.split()[0] + f" {512 * MIB}"))
    (place / "body").write_bytes(order(identifier="m", filler=size * MIB - 1000))
    with site.start():
        started = time.monotonic()
        done = run("curl", "-sS", "--cacert", authority.ca, "-u", f"tradecloud:{site.password}",
                   "-H", "Content-Type: application/json", "-H", "Expect:", "--data-binary",
                   f"@{place}/body", "-o", os.devnull, "-w", "%{http_code}", site.url,
                   capture_output=True, text=True)
        assert done.stdout == "202", site.log()
        say(f"{server.name}: {size} MiB in {time.monotonic() - started:.2f} s")


def test_two_hundred_connections(server, place, authority, say):
    """Each with event after event for ten seconds: all are spooled, none is given up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    with server(place / "site", authority) as site:
        sender = Sender(site, 200)
        time.sleep(10)
        assert sender.finish(60) and sender.given_up == [], site.log()[-3000:]
        names = {file.name.split("_")[2][:-5] for file in site.entries()}
        assert names == sender.accepted.keys()
        say(f"{site.name}: 200 connections, answers {dict(sender.answers)}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
