"""A GET webhook brings the whole order or shipment into the spool, whatever the API is up to."""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from client import curl
from server import UNPRIVILEGED, hand_over
from spoolfile import check_cloudevent
from test_answers import check_problem

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "stub"))

from stub import Stub  # noqa: E402

NAME = re.compile(r"\d{8}T\d{6}\.\d{3}Z_"
                  r"(order-fetched|shipment-fetched|legacy-order-fetched)_[0-9a-f]{64}\.json")
ID = "f56aa4ce-8ec8-5197-bc26-77716a58add7-PO-05-#51388860"


def order(identifier=ID, version=3, updated="2025-04-23T10:01:53.812Z", lines=500):
    """An order as the API sends it, with all its lines, and numbers as nobody would write them."""
    body = json.dumps({"id": identifier, "version": version, "lastUpdatedAt": updated,
                       "lines": [{"position": str(i), "price": "P"} for i in range(lines)]})
    return body.replace('"P"', "78.90").encode()


def shipment(identifier=ID, updated="2025-04-23T10:01:53.812Z"):
    return json.dumps({"id": identifier, "meta": {"lastUpdatedAt": updated}, "lines": []}).encode()


def legacy(identifier=ID, updated="2025-04-23T10:01:53.812Z"):
    return json.dumps({"legacyOrderId": identifier, "lastUpdatedAt": updated}).encode()


@pytest.fixture(scope="session")
def running_stub(authority, directory):
    with Stub(authority, directory / "stub") as stub:
        yield stub


@pytest.fixture
def stub(running_stub):
    running_stub.reset()
    for objects, make in ((running_stub.orders, order), (running_stub.shipments, shipment),
                          (running_stub.legacy, legacy)):
        objects[ID] = make()
    return running_stub


def write_netrc(site, user, password, mode=0o600):
    path = site.directory / "etc/netrc"
    path.unlink(missing_ok=True)
    path.write_text(f"machine localhost login {user} password {password}\n")
    path.chmod(mode)
    hand_over(path)
    return path


@pytest.fixture
def fetching(new_site, stub, place):
    """A site whose program fetches from the stub; more variables as keywords."""

    def make(**variables):
        site = new_site(environment={
            "TRADECLOUD_API_URL": stub.url, "TRADECLOUD_LEGACY_API_URL": stub.legacy_url,
            "TRADECLOUD_CA_FILE": stub.authority.ca, "TRADECLOUD_TIMEOUT": "5",
            "TRADECLOUD_NETRC": place / "0/etc/netrc",
            **{name: value for name, value in variables.items()}})
        write_netrc(site, stub.user, stub.password)
        return site

    return make


def get(site, path=f"/order/{ID.replace('#', '%23')}", *options, **more):
    return curl(site, *options, path=path, **more)


def check_fetched(site, name, data, kind, subject=ID):
    path = site.spool / "new" / name
    assert NAME.fullmatch(name)
    content = path.read_bytes()
    event = check_cloudevent(content)
    assert content.endswith(b'"data":' + data + b"}")
    assert event["type"] == f"com.tradecloud1.{kind}"
    assert event["subject"] == subject
    return event


FORMS = [
    ("/order/{}", "order-fetched", order()), ("/{}", "order-fetched", order()),
    ("?orderId={}", "order-fetched", order()), ("/?x=1&orderId={}&y", "order-fetched", order()),
    ("/shipment/{}", "shipment-fetched", shipment()),
    ("?shipmentId={}", "shipment-fetched", shipment()),
    ("/legacy-order/{}", "legacy-order-fetched", legacy()),
    ("?legacyOrderId={}", "legacy-order-fetched", legacy()),
]


def test_every_form(fetching, stub):
    site = fetching()
    for form, kind, data in FORMS:
        for path in (site.spool / "new").glob("*"):
            path.unlink()
        first = get(site, form.format(ID.replace("#", "%23")))
        assert first.status == 202, (form, first.body, site.log())
        [path] = site.entries()
        assert path.name.startswith(f"20250423T100153.812Z_{kind}_")
        event = check_fetched(site, path.name, data, kind)
        assert first.json() == {"status": "spooled", "id": event["id"], "file": path.name}
        assert get(site, form.format(ID.replace("#", "%23"))).status == 200
        assert len(site.entries()) == 1
    assert len(stub.logins()) == 1
    assert (site.spool / "state").stat().st_mode & 0o7777 == 0o700


def test_changed_order(fetching, stub):
    """A change is a second file that sorts after the first; also if only the version tells."""
    site = fetching()
    versions = [order(version=3), order(version=4, updated="2025-04-23T10:01:53.813Z"),
                order(version=5, updated="2025-04-24T00:00:00Z")]
    names = []
    for data in versions:
        stub.orders[ID] = data
        assert get(site).status == 202
        assert get(site).status == 200
        [new] = {p.name for p in site.entries()} - set(names)
        check_fetched(site, new, data, "order-fetched")
        names.append(new)
    assert names == sorted(names)
    stub.orders[ID] = order(version=6, updated="2025-04-24T00:00:00Z")
    assert get(site).status == 202


@pytest.mark.parametrize("state", ["work", "done", "failed"])
def test_unchanged_order_that_was_consumed(fetching, state):
    site = fetching()
    assert get(site).status == 202
    [path] = site.entries()
    path.rename(site.spool / state / path.name)
    assert get(site).status == 200
    assert site.entries() == []


IDS = ["PO 1", "a/b", "é漢", "a+b", "100%", "x?y=z&w", "../authentication/logout", "a\\b\"c",
       "%2e%2e%2f", "a//b", ";a=b", "x" * 512]


def test_ids_are_one_segment(fetching, stub):
    """By the path and by the query: the API is asked for exactly that id, in one segment."""
    site = fetching(TRADECLOUD_TIMEOUT="25")
    unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
    for identifier in IDS:
        stub.orders[identifier] = order(identifier)
        encoded = "".join(c if c in unreserved else "".join(f"%{b:02X}" for b in c.encode())
                          for c in identifier)
        assert get(site, f"?orderId={encoded}").status == 202, identifier
        assert stub.gets()[-1].path == f"/v2/order/{encoded}"
        # nginx resolves dots before it looks for the location.
        if ".." not in identifier or site.name != "nginx":
            assert get(site, f"/order/{encoded}").status == 200, identifier
            assert stub.gets()[-1].path == f"/v2/order/{encoded}"
    assert all(r.path.startswith(("/v2/order/", "/v2/authentication/login")) for r in stub.requests)


BAD = ["", "/", "/order/", "/shipment", "?orderId=", "?orderId=%00", "?orderId=a%0d%0ab", "?orderId=.",
       "?orderId=..", "?orderId=%ff", "?orderId=%zz", "?orderId=a%2", f"?orderId={'x' * 513}",
       "?orderId=a&orderId=b", "?orderId=a&shipmentId=a", "/order/a?orderId=b",
       f"?orderId={'x' * 5000}", "?x=y", "/order/a%0Ab"]


def test_bad_ids(fetching, stub):
    site = fetching()
    for path in BAD:
        answer = get(site, path)
        assert answer.status == 400, (path, answer.body)
        assert answer.headers["content-type"] == "application/problem+json", path
    assert stub.requests == []
    assert site.entries() == site.entries("rejected") == []


def test_not_authenticated(fetching, stub):
    site = fetching()
    for auth in ([], ["-u", "tradecloud:wrong"]):
        assert get(site, auth=auth).status == 401
    assert stub.requests == []


def test_unknown_object(fetching, stub):
    site = fetching()
    check_problem(get(site, "/shipment/nobody%20knows"), 404)
    [path] = site.entries("rejected")
    text = path.read_text()
    assert "Status: 404\n" in text and "Path: /shipment/nobody knows\n" in text
    assert site.entries() == []


def send_until_accepted(site, path, statuses):
    """A sender that keeps to the rules: what is above 500, it sends again after a while."""
    for attempt in range(40):
        answer = get(site, path, timeout=30)
        statuses.append(answer.status)
        if answer.status < 500:
            return
        time.sleep(random.uniform(0.2, 1) * (1 + attempt / 5))


def most_in_a_second(times):
    times = sorted(times)
    return max(sum(1 for t in times if start <= t < start + 1) for start in times)


def test_many_at_once(fetching, stub):
    """200 GETs on a cold cache: one log-in, ten requests a second, nothing lost."""
    site = fetching(TRADECLOUD_TIMEOUT="25")
    stub.login_delay = 0.5
    stub.answer_delay = 0.2
    paths = []
    for i in range(200):
        stub.orders[f"PO-{i}"] = order(f"PO-{i}", lines=3)
        paths.append(f"/order/PO-{i}")
    statuses = []
    senders = [threading.Thread(target=send_until_accepted, args=(site, path, statuses))
               for path in paths]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert set(statuses) <= {202, 200, 503}, statuses
    assert len(stub.logins()) == 1
    assert most_in_a_second([r.time for r in stub.requests]) <= 10
    assert len(site.entries()) == 200
    assert site.entries("tmp") == []


def test_killed_token_holder(fetching, stub):
    """Killed while it logs in, and so with the lock in its hands."""
    site = fetching()
    stub.login_delay = 1.5
    mine = f"killed-{os.getpid()}"
    stub.orders[mine] = order(mine)
    victim = threading.Thread(target=get, args=(site, f"/order/{mine}"))
    victim.start()
    while not stub.logins():
        time.sleep(0.01)
    stub.login_delay = 0
    [pid] = subprocess.check_output(["pgrep", "-f", f"^tradecloud-fetch order -- {mine}"],
                                    text=True).split()[:1]
    os.kill(int(pid), signal.SIGKILL)
    before = time.monotonic()
    assert get(site).status == 202
    assert time.monotonic() - before < 4
    victim.join()


def expire(site):
    """Let the remembered access token be over; the refresh token is still good."""
    path = site.spool / "state/token.json"
    token = json.loads(path.read_text())
    token["expires"] = int(time.time() * 1000)
    content = json.dumps(token)
    with open(path, "w") as stream:
        stream.write(content)


HEALING = {
    "expired": (lambda site, stub: expire(site), 1, 1),
    "revoked": (lambda site, stub: stub.revoke(), 2, 0),
    "superseded": (lambda site, stub: stub.supersede(), 2, 0),
    "refresh refused": (lambda site, stub: (expire(site), stub.supersede()), 2, 1),
    "cache damaged": (lambda site, stub: (site.spool / "state/token.json").write_text("{"), 2, 0),
    "cache gone": (lambda site, stub: shutil.rmtree(site.spool / "state"), 2, 0),
}


@pytest.mark.parametrize("case", HEALING)
def test_healed_without_a_failing_answer(fetching, stub, case):
    harm, logins, refreshes = HEALING[case]
    site = fetching()
    assert get(site).status == 202
    harm(site, stub)
    for _ in range(2):
        assert get(site).status == 200, site.log()
    assert (len(stub.logins()), len(stub.refreshes())) == (logins, refreshes)


@pytest.mark.parametrize("lower_case", [False, True])
@pytest.mark.parametrize("http2", [False, True])
def test_protocols(fetching, stub, http2, lower_case):
    stub.http2 = http2
    stub.lower_case = lower_case
    stub.token_filler = 8000
    site = fetching()
    assert get(site).status == 202
    assert {r.version for r in stub.requests} == {"2" if http2 else "1.1"}
    assert all(r.headers["user-agent"].startswith("tradecloud-webhook/") for r in stub.requests)


def test_wrong_password(fetching, stub):
    """502 and a line that says what to mend; the log-in is tried once in a while, by whomever."""
    site = fetching()
    netrc = write_netrc(site, stub.user, "wrong")
    answers = []
    senders = [threading.Thread(target=lambda: answers.append(get(site))) for _ in range(10)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    for answer in answers:
        check_problem(answer, 502)
    assert len(stub.logins()) == 1
    assert all(str(netrc) in line["reason"] for line in site.log_lines())
    write_netrc(site, stub.user, stub.password)
    assert get(site).status == 202


def test_netrc(fetching, stub):
    """A file that others can read, or that is not there, is no file with a secret."""
    site = fetching()
    netrc = write_netrc(site, stub.user, stub.password, 0o644)
    check_problem(get(site), 503)
    assert f"{netrc}: chmod 640 it" in site.log_lines()[-1]["reason"]
    netrc.unlink()
    check_problem(get(site), 503)
    assert str(netrc) in site.log_lines()[-1]["reason"]
    assert stub.requests == []
    write_netrc(site, stub.user, stub.password)
    assert get(site).status == 202


def test_fetch_program_missing(fetching):
    site = fetching()
    site.fetch_program.rename(site.directory / "libexec/away")
    check_problem(get(site), 503)
    assert "TRADECLOUD_FETCH_PROGRAM" in site.log_lines()[-1]["reason"]


def check_success_soon(site):
    """After a log-in that failed, there is none for five seconds."""
    deadline = time.monotonic() + 8
    while get(site).status != 202 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert len(site.entries()) == 1


FAULTS = [
    ("status:401", 502), ("status:403", 502), ("status:429", 503), ("status:500", 502),
    ("status:502", 502), ("status:503", 502), ("slow-first-byte:9", 504), ("slow-body:9", 504),
    ("hang", 504), ("cut", 502), ("cut-body", 502), ("wrong-length:more", 502),
    ("wrong-length:fewer", 502), ("not-json", 502), ("empty", 502), ("html", 502), ("wrong-id", 502),
    ("big", 503), ("bomb", 503), ("redirect", 502), ("expired-certificate", 502),
    ("wrong-host", 502), ("old-tls", 502), ("huge-header", 502),
]


@pytest.mark.parametrize("fault, status", FAULTS)
def test_fault(fetching, stub, fault, status):
    site = fetching(TRADECLOUD_TIMEOUT="2")
    stub.fault("/order/", fault)
    before = time.monotonic()
    check_problem(get(site), status)
    assert time.monotonic() - before < 4
    assert site.log_lines()[-1]["reason"]
    for state in ("new", "tmp", "rejected"):
        assert site.entries(state) == []
    stub.mend()
    check_success_soon(site)


LOGIN_FAULTS = [("status:401", 502), ("status:500", 502), ("status:429", 503), ("hang", 504),
                ("cut", 502), ("no-token-header", 502), ("redirect", 502)]


@pytest.mark.parametrize("fault, status", LOGIN_FAULTS)
def test_fault_of_the_log_in(fetching, stub, fault, status):
    site = fetching(TRADECLOUD_TIMEOUT="2")
    stub.fault("/login", fault)
    check_problem(get(site), status)
    stub.mend()
    check_success_soon(site)


@pytest.mark.parametrize("path, fault", [("/order/", "status:401"), ("/login", "status:429")])
def test_logging_in_is_not_hammered(fetching, stub, path, fault):
    """A token that is refused although it is new, and a log-in that is too many."""
    site = fetching()
    stub.fault(path, fault)
    for _ in range(6):
        check_problem(get(site), 502 if path == "/order/" else 503)
    assert len(stub.logins()) <= 2
    stub.mend()
    check_success_soon(site)


@pytest.mark.parametrize("fault", ["status:503", "cut", "cut-body"])
def test_one_retry(fetching, stub, fault):
    """A fault that passes at once is never heard of."""
    site = fetching()
    stub.fault("/order/", fault, times=1)
    assert get(site).status == 202
    assert len(stub.gets()) == 2


def test_compressed(fetching, stub):
    site = fetching()
    stub.fault("/order/", "gzip")
    assert get(site).status == 202
    [path] = site.entries()
    check_fetched(site, path.name, order(), "order-fetched")


def test_proxy_of_the_client(fetching, stub):
    """A Proxy header becomes HTTP_PROXY under CGI: it must not lead the log-in astray."""
    site = fetching()
    assert get(site, "/order/" + ID.replace("#", "%23"), "-H", "Proxy: http://127.0.0.1:1",
               "-H", "Https-Proxy: http://127.0.0.1:1").status == 202


def test_proxy_of_the_operator(fetching, stub):
    site = fetching(https_proxy="http://127.0.0.1:1")
    check_problem(get(site), 502)
    assert stub.requests == []


def test_plain_http_and_bad_urls(fetching, stub):
    for url in ("http://api.example.com/v2", "https://", "https://user@localhost/v2"):
        site = fetching(TRADECLOUD_API_URL=url, TRADECLOUD_NETRC="/dev/null")
        check_problem(get(site), 503)
        assert "TRADECLOUD_API_URL" in site.log_lines()[-1]["reason"]


def test_secrets_stay_secret(fetching, stub):
    """In no log, no spooled file, no process's arguments; the file that has them is ours alone."""
    site = fetching()
    stub.answer_delay = 0.4
    sender = threading.Thread(target=get, args=(site,))
    sender.start()
    seen = b""
    while sender.is_alive():
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen += path.read_bytes()
            except OSError:
                pass
    stub.fault("/order/", "status:500")
    get(site)
    get(site, "/order/unknown")
    assert b"tradecloud-fetch" in seen
    token = site.spool / "state/token.json"
    assert token.stat().st_mode & 0o7777 == 0o600
    kept = b"".join(path.read_bytes() for path in site.directory.rglob("*") if path.is_file()
                    and path not in (token, site.directory / "etc/netrc"))
    secrets = [s for s in [*stub.secrets()] if s]
    assert len(secrets) >= 4
    assert not [s for s in secrets if s.encode() in seen + kept]
    assert site.password.encode() not in kept


# --- by hand ---

def command(site, *arguments, **variables):
    environment = {**{k: str(v) for k, v in site.environment.items()},
                   "TRADECLOUD_SPOOL": str(site.spool), **variables}
    return subprocess.run([*UNPRIVILEGED, site.fetch_program, *arguments], env=environment,
                          capture_output=True, text=True, timeout=60)


def test_command_line(fetching, stub):
    site = fetching()
    done = command(site, "order", ID)
    assert (done.returncode, done.stderr) == (0, "")
    [path] = site.entries()
    assert done.stdout == path.name + "\n"
    check_fetched(site, path.name, order(), "order-fetched")
    assert command(site, "order", ID).stdout == done.stdout
    done = command(site, "--help")
    assert done.returncode == 0 and done.stdout.startswith("Usage: tradecloud-fetch")
    assert command(site, "--version").stdout.startswith("tradecloud-fetch ")


def test_stopped_by_hand(fetching, stub):
    """No answer for a web server where there is none."""
    site = fetching()
    stub.fault("/order/", "hang")
    environment = {**{k: str(v) for k, v in site.environment.items()},
                   "TRADECLOUD_SPOOL": str(site.spool)}
    with subprocess.Popen([*UNPRIVILEGED, site.fetch_program, "order", ID], env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not stub.gets():
            time.sleep(0.01)
        process.terminate()
        output, _ = process.communicate(timeout=10)
    assert (process.returncode, output) == (1, b"")


def test_refresh_that_hangs(fetching, stub):
    """It is a time-out, not a queue; and the next attempt succeeds."""
    site = fetching(TRADECLOUD_TIMEOUT="2")
    assert get(site).status == 202
    expire(site)
    stub.fault("/refresh", "hang")
    check_problem(get(site), 504)
    stub.mend()
    deadline = time.monotonic() + 8
    while get(site).status != 200 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert get(site).status == 200


def test_exit_codes(fetching, stub):
    site = fetching()
    for arguments in ([], ["order"], ["orders", "x"], ["order", ""], ["order", "a\nb"],
                      ["--nonsense"], ["order", "a", "b"]):
        assert command(site, *arguments).returncode == 64, arguments
    assert command(site, "order", "unknown").returncode == 66
    assert site.entries("rejected") == []
    assert command(site, "order", ID, TRADECLOUD_NETRC="/nonexistent").returncode == 78
    assert command(site, "order", ID, TRADECLOUD_MAX_BODY="x").returncode == 78
    assert command(site, "order", ID, TRADECLOUD_MAX_BODY="10").returncode == 75
    stub.fault("/order/", "status:500")
    assert command(site, "order", ID).returncode == 69
    write_netrc(site, stub.user, "wrong")
    done = command(site, "order", ID)
    assert done.returncode == 77
    assert "correct the user and password" in done.stderr
