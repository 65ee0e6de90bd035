"""GET webhooks: what the API has, the webhook calls that make us fetch it, and what must come of
them."""

import itertools
import json
import os
import re
import shutil
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from client import BUYER, curl
from server import hand_over
from spoolfile import check_entry

SUPPLIER = "1f61e695-7545-5670-9384-58e8b1f263e6"
UPDATED = "2025-04-23T10:01:53.812Z"


@dataclass
class Kind:
    name: str  # in paths and on the command line
    parameter: str  # in queries
    objects: str  # the stub's attribute
    api_path: str
    example: str  # an id as Tradecloud makes them

    @property
    def fetched(self):
        """In file names and types."""
        return f"{self.name}-fetched"


ORDER = Kind("order", "orderId", "orders", "/v2/order/", f"{BUYER}-PO-05-#51388860")
SHIPMENT = Kind("shipment", "shipmentId", "shipments", "/v2/shipment/", f"{SUPPLIER}-SN123456789")
LEGACY = Kind("legacy-order", "legacyOrderId", "legacy", "/api/v1/purchaseOrder/",
              "aaacef0b-6538-4828-b45e-5ad8ea69b5cd")
KINDS = {kind.name: kind for kind in (ORDER, SHIPMENT, LEGACY)}


def encode(text):
    """As one segment of a path: everything but RFC 3986's unreserved characters is escaped."""
    return urllib.parse.quote(text, safe="")


def make_object(kind, identifier, version=3, updated=UPDATED, filler=0):
    """What the API answers, with all lines, in a form that no serialiser would write again."""
    lines = [{"position": f"{i:04}", "price": "PRICE", "note": "één\nregel"} for i in range(1, 40)]
    content = {"id": identifier, "lines": lines, "filler": "x" * filler}
    if kind is SHIPMENT:
        content["meta"] = {"lastUpdatedAt": updated}
    else:
        content.update(version=version, lastUpdatedAt=updated)
    text = json.dumps(content, ensure_ascii=False, indent=1)
    return text.replace('"PRICE"', "78.90").encode() + b"\n"


def offer(stub, kind=ORDER, identifier="an-id", **options):
    """Let the API have an object. Returns its bytes."""
    content = make_object(kind, identifier, **options)
    getattr(stub, kind.objects)[identifier] = content
    return content


def fetch(site, path, *options, **more):
    """Call the webhook with GET, with the path as it stands here."""
    return curl(site, "--globoff", "--path-as-is", *options, path=path, **more)


def fetch_until(site, path, status=202, seconds=15):
    """As a sender who tries again; a server of its own answers once its faults are mended."""
    deadline = time.monotonic() + seconds
    while (answer := fetch(site, path)).status != status:
        assert answer.status in (502, 503, 504), (answer.status, answer.body)
        assert time.monotonic() < deadline, f"still {answer.status}\n{site.log()}"
        time.sleep(0.3)
    return answer


def check_fetched(path, kind, identifier, content):
    """The event in a spool file of a fetched object."""
    event = check_entry(path, content)
    assert re.fullmatch(rf"\d{{8}}T\d{{6}}\.\d{{3}}Z_{kind.fetched}_[0-9a-f]{{64}}\.json", path.name)
    assert event["type"] == f"com.tradecloud1.{kind.fetched}"
    assert event["subject"] == identifier
    return event


VERSIONS = itertools.count(1)


def succeeds(site, stub):
    """A new version of an order is fetched."""
    offer(stub, version=next(VERSIONS))
    answer = fetch(site, "/order/an-id")
    assert answer.status == 202, (answer.body, site.log())


def write_netrc(stub, user=None, password=None, host="localhost", mode=0o600):
    """The operator's password file; correct unless told otherwise."""
    netrc = netrc_of(stub)
    netrc.unlink(missing_ok=True)
    netrc.touch(0o600)
    netrc.write_text(f"machine {host} login {user or stub.user} "
                     f"password {password or stub.password}\n")
    netrc.chmod(mode)
    hand_over(netrc)
    return netrc


def netrc_of(stub):
    return stub.directory / "netrc"


def api_environment(stub, **more):
    """The variables that lead to the stub; one that is None is not set."""
    variables = {"TRADECLOUD_API_URL": stub.url, "TRADECLOUD_LEGACY_API_URL": stub.legacy_url,
                 "TRADECLOUD_NETRC": netrc_of(stub), "TRADECLOUD_CA_FILE": stub.authority.ca, **more}
    return {k: str(v) for k, v in variables.items() if v is not None}


def processes_of(site):
    """The pids of the fetching programs of a site that run now."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe").startswith(str(site.fetch_program)):
                found.append(int(pid))
        except OSError:
            pass  # it has ended
    return found


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)
    return result


def files_below(directory):
    for parent, _, names in os.walk(directory):
        yield from (os.path.join(parent, name) for name in names)


def check_secrets(site, stub):
    """No password or token in anything that was written, but for state/, which is ours alone."""
    secrets = [secret.encode() for secret in stub.secrets()]
    state = str(site.spool / "state")
    for directory in (site.directory / "log", site.directory / "tmp", site.spool):
        for path in files_below(directory):
            if path.startswith(state):
                continue
            with open(path, "rb") as stream:
                content = stream.read()
            assert not any(secret in content for secret in secrets), f"a secret in {path}"
    if os.path.isdir(state):
        assert os.stat(state).st_mode & 0o7777 in (0o700, 0o2700)
        for path in files_below(state):
            assert os.path.islink(path) or os.stat(path).st_mode & 0o077 == 0, path


def in_background(function):
    """Start it; what is returned waits for the result."""
    executor = ThreadPoolExecutor(1)
    future = executor.submit(function)
    executor.shutdown(wait=False)
    return lambda: future.result(90)


def empty(site):
    """Make a site as good as new."""
    for state in site.spool.iterdir():
        shutil.rmtree(state)
    for log in (site.directory / "log").iterdir():
        with open(log, "r+b") as stream:
            stream.truncate()
