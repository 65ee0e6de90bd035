"""What tradecloud-fetch costs beyond the plain curl tool that makes the same request.

Both fetch the same order from the stand-in for Tradecloud's API, interleaved, with a token that is
there; the difference is the token's look-up, the turns (none is waited for: the rounds are far
enough apart), the check of the answer and the durable file."""

import json
import subprocess
import time

from server import BUILD, Authority
from stub import Stub

PAUSE = 0.3  # seconds, longer than a turn takes
CURL, NEW, UNCHANGED = "curl", "tradecloud-fetch, new", "tradecloud-fetch, unchanged"


def order(identifier, version):
    lines = [{"position": str(i), "text": "x" * 100} for i in range(500)]
    return json.dumps({"id": identifier, "version": version, "lines": lines,
                       "lastUpdatedAt": "2026-11-23T10:05:00.000Z"}).encode()


def timed(command, **options):
    start = time.perf_counter()
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, **options)
    return (time.perf_counter() - start) * 1000


def measure_with(stub, directory, rounds):
    netrc = directory / "netrc"
    netrc.write_text(f"machine localhost login {stub.user} password {stub.password}\n")
    netrc.chmod(0o600)
    spool = directory / "spool"
    spool.mkdir()
    variables = {"TRADECLOUD_SPOOL": str(spool), "TRADECLOUD_API_URL": stub.url,
                 "TRADECLOUD_NETRC": str(netrc), "TRADECLOUD_CA_FILE": str(stub.authority.ca)}
    fetch = [BUILD / "tradecloud-fetch", "order", "PO"]
    stub.orders["PO"] = order("PO", 0)
    timed(fetch, env=variables)
    token = json.loads((spool / "state/token.json").read_text())["access"]
    curl = ["curl", "-sSf", "--compressed", "--cacert", stub.authority.ca, "-o", "/dev/null",
            "-H", f"Authorization: Bearer {token}", f"{stub.url}/order/PO"]
    times = {CURL: [], NEW: [], UNCHANGED: []}
    for version in range(1, rounds + 1):
        stub.orders["PO"] = order("PO", version)
        for name, command, environment in ((CURL, curl, None), (NEW, fetch, variables),
                                           (UNCHANGED, fetch, variables)):
            time.sleep(PAUSE)
            times[name].append(timed(command, env=environment))
    return times


def measure(directory, rounds):
    """Milliseconds of each round: {name: [ms]}."""
    directory.mkdir()
    with Stub(Authority(directory / "ca"), directory / "stub") as stub:
        return measure_with(stub, directory, rounds)
