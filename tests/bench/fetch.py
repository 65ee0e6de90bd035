"""What tradecloud-fetch costs beyond the plain curl tool that makes the same request.

Both fetch the same order from the stand-in, interleaved, with a token that is there; the difference
is the token's look-up, the turns (none is waited for: the rounds are far enough apart), the check of
the answer and the durable file. Medians in milliseconds, with the quartiles.

    python3 tests/bench/fetch.py [ROUNDS]
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests" / name) for name in ("system", "stub")]

from server import BUILD, Authority  # noqa: E402
from stub import Stub  # noqa: E402

PAUSE = 0.3  # seconds, longer than a turn takes


def order(identifier, version):
    return json.dumps({"id": identifier, "version": version,
                       "lastUpdatedAt": "2026-11-23T10:05:00.000Z",
                       "lines": [{"position": str(i), "text": "x" * 100} for i in range(500)]}).encode()


def timed(command, **options):
    start = time.perf_counter()
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, **options)
    return (time.perf_counter() - start) * 1000


def measure(stub, directory, rounds):
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
    times = {"curl": [], "tradecloud-fetch, new": [], "tradecloud-fetch, unchanged": []}
    for version in range(1, rounds + 1):
        stub.orders["PO"] = order("PO", version)
        for name, command, environment in (("curl", curl, None),
                                           ("tradecloud-fetch, new", fetch, variables),
                                           ("tradecloud-fetch, unchanged", fetch, variables)):
            time.sleep(PAUSE)
            times[name].append(timed(command, env=environment))
    return times


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tradecloud-bench."))
    with Stub(Authority(directory / "ca"), directory / "stub") as stub:
        times = measure(stub, directory, rounds)
    floor = statistics.median(times["curl"])
    for name, values in times.items():
        low, middle, high = statistics.quantiles(values, n=4)
        print(f"{name:30} {middle:6.1f} ms ({low:.1f} to {high:.1f}), {middle - floor:+.1f} ms")


if __name__ == "__main__":
    main()
