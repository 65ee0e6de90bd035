"""make run: a site to play with, and a line for every file that lands in its spool."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from server import BUILD, SERVERS, USER, Authority, hand_over

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "stub"))

from stub import Stub  # noqa: E402

EVENT = {
    "eventName": "OrderIssuedByBuyer",
    "orderEvent": {
        "orderId": "902a8f50-b7da-11e5-a837-0800200c9a66-PO-1001",
        "version": 1,
        "lines": [{"position": "0001", "item": {"number": "12345", "name": "Round tube ø60"},
                   "deliverySchedule": [{"date": "2026-12-01", "quantity": 78.90}]}],
    },
    "meta": {"messageId": "2f0c5cf2-51b1-4d2f-9c39-6f2b7ac1d0e4",
             "createdDateTime": "2026-11-23T10:01:53.812Z"},
}


# What the stand-in for Tradecloud's API knows.
ORDER = {
    "id": "902a8f50-b7da-11e5-a837-0800200c9a66-PO-1001",
    "version": 2,
    "lastUpdatedAt": "2026-11-23T10:05:00.000Z",
    "lines": EVENT["orderEvent"]["lines"],
}


def explain(site):
    curl = f"curl --cacert {site.authority.ca} -u {USER}:{site.password}"
    post = f"{curl} -H 'Content-Type: application/json'"
    print(f"""
tradecloud-webhook behind {site.name}:

  URL       {site.url}
  user      {USER}
  password  {site.password}
  spool     {site.spool}

In another terminal, send an order event (202, a new file); the same again (200, no second file):

  {post} -d '{json.dumps(EVENT, ensure_ascii=False)}' {site.url}

A GET webhook, for which the whole order is fetched from a stand-in for Tradecloud's API:

  {curl} {site.url}/order/{ORDER["id"]}

Something that is not JSON (400, kept in rejected/), and nobody authenticated (401):

  {post} -d 'no JSON' {site.url}
  curl --cacert {site.authority.ca} -d '{{}}' {site.url}

Ctrl-C ends it and removes everything. Files as they land:
""", flush=True)


def follow(site):
    """Let tradecloud-spool print each file, until the server ends or all of this is interrupted."""
    environment = {**os.environ, "TRADECLOUD_SPOOL": str(site.spool)}
    with subprocess.Popen([BUILD / "tradecloud-spool", "follow"], env=environment) as follower:
        try:
            while follower.poll() is None:
                dead = [p for p in site.processes if p.poll() is not None]
                if dead:
                    sys.exit(f"{site.name} has ended by itself:\n{site.log()}")
                time.sleep(0.2)
            sys.exit(f"tradecloud-spool follow has ended by itself: {follower.returncode}")
        finally:
            follower.terminate()


def make_site(name, directory, authority, stub):
    """A site that fetches from the stub."""
    netrc = directory / "netrc"
    netrc.write_text(f"machine localhost login {stub.user} password {stub.password}\n")
    netrc.chmod(0o600)
    hand_over(netrc)
    return SERVERS[name](directory / name, authority, int(os.environ.get("PORT", 8443)), environment={
        "TRADECLOUD_API_URL": stub.url, "TRADECLOUD_NETRC": netrc,
        "TRADECLOUD_CA_FILE": authority.ca})


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    name = sys.argv[1]
    if name not in SERVERS:
        sys.exit(f"SERVER={name} is not one of: {', '.join(SERVERS)}")
    signal.signal(signal.SIGTERM, interrupt)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tradecloud-webhook."))
    directory.chmod(0o755)
    try:
        authority = Authority(directory / "ca")
        with Stub(authority, directory / "stub") as stub:
            stub.orders[ORDER["id"]] = json.dumps(ORDER, ensure_ascii=False).encode()
            with make_site(name, directory, authority, stub) as site:
                explain(site)
                follow(site)
    except KeyboardInterrupt:
        print("\nended", flush=True)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
