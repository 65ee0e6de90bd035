"""The consumers as operators use them: through tradecloud-spool run, on a spool that was filled."""

import random
import subprocess

from client import message_id, order
from consumer import BASE, CONSUMERS, new_spool, receive
from endpoint import Endpoint
from fetching import wait_for
from postgresql import History, Server
from server import BUILD


def start_consumer(spool, consumer, *arguments, options=()):
    return subprocess.Popen([BUILD / "tradecloud-spool", "run", *options, "--",
                             CONSUMERS / consumer, *arguments],
                            env={**BASE, "TRADECLOUD_SPOOL": str(spool)}, stderr=subprocess.PIPE)


def run_consumer(*arguments, status=0, **options):
    """Until nothing is left to be done. Returns the log."""
    process = start_consumer(*arguments, **options)
    _, log = process.communicate(timeout=120)
    assert process.returncode == status, log
    return log.decode()


def names(spool, state):
    return sorted(path.name for path in (spool / state).iterdir())


def test_files(tmp_path):
    spool = new_spool(tmp_path / "spool")
    bodies = {}
    for i in range(20):
        body = order(str(i % 5), created=f"2025-04-23T10:01:{i:02}Z", identifier=message_id())
        bodies[receive(spool, body).name] = body
    target = tmp_path / "in"
    target.mkdir()
    run_consumer(spool, "import-files", target, options=["--jobs", "4"])
    assert names(spool, "done") == sorted(bodies)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == bodies


def test_http(tmp_path, authority):
    """One event that the endpoint refuses is given up; the others arrive, though it is unwell."""
    spool = new_spool(tmp_path / "spool")
    entries = [receive(spool, order(str(i))) for i in range(6)]
    refused = entries[2].name
    bodies = {path.name: path.read_bytes() for path in entries}
    endpoint = Endpoint(authority)
    configuration = tmp_path / "erp.curl"
    configuration.write_text(f'url = "{endpoint.url}/unwell/{refused[:-len(".json")]}"\n'
                             f'cacert = "{authority.ca}"\n')
    log = run_consumer(spool, "post-http", configuration, options=["--jobs", "4"], status=65)
    endpoint.stop()
    assert names(spool, "failed") == [refused]
    assert "unit of measure unknown" in log
    assert names(spool, "done") == sorted(set(bodies) - {refused})
    posted = [headers["Idempotency-Key"].strip('"') + ".json" for _, headers, _, _ in endpoint.requests]
    assert sorted(posted) == sorted([*bodies] * 2), "each twice: 503, then its answer"
    assert all(body in bodies.values() for _, _, body, _ in endpoint.requests)


def test_postgresql(tmp_path, place):
    """Events that were made in another order than they are named in, some of them twice, and a runner
    that is killed while it hands them over."""
    server = Server(place / "postgresql").start()
    server.create()
    seed = random.randrange(1 << 32)
    history = History(seed)
    spool = new_spool(tmp_path / "spool")
    for state in ("tmp", "new", "work", "done", "failed", "rejected"):
        (spool / state).mkdir()
        (spool / state).chmod(0o2770)
    entries = history.shuffled()
    for i, entry in enumerate(entries):
        path = spool / f"new/20250423T100153.{i:03}Z_order_{i}.json"
        path.write_bytes(entry)
        path.chmod(0o640)
    loader = (spool, "load-postgresql", server.connection())
    for share in (2, 1):
        runner = start_consumer(*loader, options=["--jobs", "8", "--watch"])
        wait_for(lambda: len(names(spool, "done")) >= len(entries) // share, 60)
        runner.kill()
        runner.communicate()
    assert len(names(spool, "done")) == len(entries)
    assert server.state() == history.state, f"seed {seed}"
    server.stop()
