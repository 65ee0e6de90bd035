"""Whatever goes wrong with Tradecloud's API or on the way there: the right status within the
deadline, nothing in new/, and success as soon as the fault is gone."""

import os
import re
import signal
import socket
import time

import pytest
from fetching import LEGACY, ORDER, check_fetched, fetch, in_background, offer, processes_of, wait_for
from proxy import Proxy
from server import Authority
from test_answers import check_problem

TIMEOUT = 2  # seconds, that a hasty site waits for what does not end by itself
LATER = 1.5  # seconds that an answer may come later, on a busy machine

# What is answered when all requests for the object go wrong so.
OBJECT_FAULTS = {
    "status:401": 502, "status:403": 502, "status:404": 404, "status:429": 503, "status:500": 502,
    "status:502": 502, "status:503": 502, "status:204": 502, "status:304": 502,
    "slow-first-byte:60": 504, "slow-body:60": 504, "hang": 504,
    "cut": 502, "cut-body": 502, "wrong-length:more": 502, "wrong-length:fewer": 502,
    "not-json": 502, "empty": 502, "html": 502, "wrong-id": 502, "redirect": 502,
    "huge-header": 502, "big": 503, "bomb": 503,
}

# And all requests to log in.
LOGIN_FAULTS = {
    "status:401": 502, "status:403": 502, "status:404": 502, "status:429": 503, "status:500": 502,
    "status:503": 502, "hang": 504, "slow-first-byte:60": 504, "cut": 502, "html": 502,
    "redirect": 502, "no-token-header": 502, "huge-header": 502, "big": 503, "bomb": 503,
}

TLS_FAULTS = ["expired-certificate", "wrong-host", "old-tls"]


# What depends on the version of HTTP.
FRAMING = ["hang", "slow-body:60", "cut", "cut-body", "wrong-length:more", "wrong-length:fewer",
           "huge-header", "bomb"]


def check_fault(site, url, status):
    """The answer while the fault lasts. Returns what the log says."""
    started = time.monotonic()
    answer = fetch(site, url)
    taken = time.monotonic() - started
    check_problem(answer, status)
    assert taken < TIMEOUT + LATER, taken
    for state in ("new", "tmp"):
        assert site.entries(state) == []
    assert len(site.entries("rejected")) == (1 if status == 404 else 0)
    line = site.log_lines()[-1]
    assert line["outcome"] == ("rejected" if status == 404 else "failed")
    assert line["status"] == str(status)
    assert line["reason"]
    return line["reason"]


def check_mended(site, stub, url, kind=ORDER):
    stub.mend()
    answer = fetch(site, url)
    assert answer.status == 202, (answer.body, site.log())
    [path] = site.entries()
    check_fetched(path, kind, "an-id", getattr(stub, kind.objects)["an-id"])
    assert not any(r.path.startswith("/v2/elsewhere") for r in stub.requests), "it was redirected"


@pytest.mark.parametrize("kind", OBJECT_FAULTS)
def test_object_faults(hasty, stub, kind):
    offer(stub)
    stub.fault("/order/", kind)
    check_fault(hasty, "/order/an-id", OBJECT_FAULTS[kind])
    if kind == "status:401":
        forget_failure(hasty)
    check_mended(hasty, stub, "/order/an-id")


@pytest.mark.parametrize("kind", ["status:401", "status:403", "status:500", "hang", "cut", "html"])
def test_legacy_faults(hasty, stub, kind):
    offer(stub, LEGACY)
    stub.fault("/purchaseOrder/", kind)
    check_fault(hasty, "/legacy-order/an-id", OBJECT_FAULTS[kind])
    check_mended(hasty, stub, "/legacy-order/an-id", LEGACY)


@pytest.mark.parametrize("kind", FRAMING)
def test_object_faults_of_http1(hasty, stub, kind):
    stub.http2 = False
    test_object_faults(hasty, stub, kind)


@pytest.mark.parametrize("kind", LOGIN_FAULTS)
def test_login_faults(hasty, stub, kind):
    offer(stub)
    stub.fault("/login$", kind)
    check_fault(hasty, "/order/an-id", LOGIN_FAULTS[kind])
    assert stub.gets() == []
    forget_failure(hasty)
    check_mended(hasty, stub, "/order/an-id")


def forget_failure(site):
    """Spare the test the pause that follows a failed log-in."""
    (site.spool / "state/token.json").unlink(missing_ok=True)


@pytest.mark.parametrize("kind", TLS_FAULTS)
def test_tls_faults(hasty, stub, kind):
    """Nothing is said to a server that cannot prove who it is."""
    offer(stub)
    stub.fault("", kind)
    check_fault(hasty, "/order/an-id", 502)
    assert stub.requests == []
    forget_failure(hasty)
    check_mended(hasty, stub, "/order/an-id")


def test_certificate_of_a_stranger(new_fetcher, stub, place):
    offer(stub)
    site = new_fetcher(TRADECLOUD_CA_FILE=Authority(place / "stranger").ca)
    check_fault(site, "/order/an-id", 502)
    site = new_fetcher(TRADECLOUD_CA_FILE=None)
    check_fault(site, "/order/an-id", 502)
    assert stub.requests == []


def test_nobody_listens(new_fetcher, stub):
    site = new_fetcher(TRADECLOUD_API_URL="https://localhost:1/v2")
    check_fault(site, "/order/an-id", 502)


def test_nobody_accepts(new_fetcher, stub):
    """A host that swallows packets is given up after five seconds, twice, long before the deadline."""
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for caller in (first, second):  # the queue is full, so the kernel drops whoever calls next
            caller.setblocking(False)
            caller.connect_ex(deaf.getsockname())
        site = new_fetcher(TRADECLOUD_API_URL=f"https://127.0.0.1:{deaf.getsockname()[1]}/v2")
        started = time.monotonic()
        check_problem(fetch(site, "/order/an-id"), 502)
        assert 9 < time.monotonic() - started < 20
        assert re.search("[Tt]imed? ?out", site.log_lines()[-1]["reason"])


# --- passing trouble: one more attempt, inside the same request ---

@pytest.mark.parametrize("kind", ["status:500", "status:502", "status:503", "cut", "cut-body",
                                  "wrong-length:more"])
@pytest.mark.parametrize("path", ["/order/", "/login$"])
def test_once_more(fetcher, stub, path, kind):
    if path == "/login$" and kind in ("cut-body", "wrong-length:more"):
        return  # a log-in's body is nothing to anybody
    offer(stub)
    stub.fault(path, kind, times=1)
    assert fetch(fetcher, "/order/an-id").status == 202
    records = stub.gets() if path == "/order/" else stub.logins()
    assert len(records) == 2
    assert records[1].time - records[0].time >= 0.1


def test_but_not_more_often(fetcher, stub):
    offer(stub)
    stub.fault("/order/", "status:500", times=2)
    check_problem(fetch(fetcher, "/order/an-id"), 502)
    assert len(stub.gets()) == 2


@pytest.mark.parametrize("kind", ["status:429", "status:403", "not-json", "wrong-id", "redirect",
                                  "big"])
def test_not_what_would_be_the_same_again(fetcher, stub, kind):
    offer(stub)
    stub.fault("/order/", kind)
    check_problem(fetch(fetcher, "/order/an-id"), OBJECT_FAULTS[kind])
    assert len(stub.gets()) == 1


# --- our own side ---

PROGRAMS = {"killed": "#!/bin/sh\nkill -KILL $$\n", "crashed": "#!/bin/sh\nkill -SEGV $$\n",
            "silent": "#!/bin/sh\nexit 0\n", "failing": "#!/bin/sh\nexit 1\n",
            "garbage": "#!/bin/sh\necho garbage\n", "no interpreter": "#!/nonexistent\n",
            "not a program": "\x7fELF garbage"}


@pytest.mark.parametrize("case", PROGRAMS)
def test_program_replaced(new_fetcher, stub, case):
    site = new_fetcher()
    offer(stub)
    real = site.fetch_program.with_suffix(".real")
    site.fetch_program.rename(real)
    site.fetch_program.write_text(PROGRAMS[case])
    site.fetch_program.chmod(0o755)
    answer = fetch(site, "/order/an-id")
    assert answer.status in (502, 503, 504)
    assert int(answer.headers["retry-after"]) > 0
    real.rename(site.fetch_program)
    check_mended(site, stub, "/order/an-id")


def test_program_missing(new_fetcher, stub):
    site = new_fetcher()
    offer(stub)
    away = site.fetch_program.with_suffix(".away")
    site.fetch_program.rename(away)
    check_problem(fetch(site, "/order/an-id"), 503)
    assert "TRADECLOUD_FETCH_PROGRAM" in site.log_lines()[0]["reason"]
    away.rename(site.fetch_program)
    check_mended(site, stub, "/order/an-id")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_program_stopped(new_fetcher, stub, number):
    """While it waits for the order. On most signals it still answers by itself."""
    site = new_fetcher()
    offer(stub)
    stub.fault("/order/", "hang", times=1)
    answer = in_background(lambda: fetch(site, "/order/an-id"))
    wait_for(stub.gets)
    [pid] = processes_of(site)
    os.kill(pid, number)
    assert answer().status in (502, 503)
    assert site.entries() == site.entries("tmp") == []
    check_mended(site, stub, "/order/an-id")


@pytest.mark.parametrize("state", ["state", "new", "tmp"])
def test_spool_read_only(new_fetcher, stub, state):
    site = new_fetcher()
    offer(stub, identifier="first")
    assert fetch(site, "/order/first").status == 202
    site.entries()[0].unlink()
    offer(stub)
    mode = (site.spool / state).stat().st_mode & 0o7777
    (site.spool / state).chmod(0o550)
    if state == "state":
        for file in (site.spool / state).iterdir():
            file.unlink()
    check_problem(fetch(site, "/order/an-id"), 503)
    assert "the web server's user" in site.log_lines()[-1]["reason"] or state == "state"
    (site.spool / state).chmod(mode)
    check_mended(site, stub, "/order/an-id")


def test_below_the_reserve(new_fetcher, stub):
    site = new_fetcher(TRADECLOUD_MIN_FREE=2**60)
    offer(stub)
    check_problem(fetch(site, "/order/an-id"), 503)
    assert "TRADECLOUD_MIN_FREE" in site.log_lines()[0]["reason"]
    check_problem(fetch(site, "/order/unknown"), 503)
    for entries in ("new", "tmp", "rejected"):
        assert site.entries(entries) == []


# --- proxies ---

def test_proxy_of_the_operator(new_fetcher, stub):
    offer(stub)
    with Proxy() as proxy:
        for variable in ("https_proxy", "all_proxy"):
            site = new_fetcher(**{variable: proxy.url})
            assert fetch(site, "/order/an-id").status == 202
            assert set(proxy.targets) == {f"localhost:{stub.port}"}
            site.stop()
            proxy.targets.clear()
        site = new_fetcher(https_proxy=proxy.url, no_proxy="localhost")
        assert fetch(site, "/order/an-id").status == 202
        assert proxy.targets == []


def test_proxy_that_offers_a_token(new_fetcher, stub):
    """What it says before TLS begins is not the API's word."""
    offer(stub)
    stub.fault("/login$", "no-token-header")
    with Proxy() as proxy:
        site = new_fetcher(https_proxy=proxy.url)
        check_problem(fetch(site, "/order/an-id"), 502)
        assert proxy.targets != [] and stub.gets() == []


@pytest.mark.parametrize("header", ["Proxy", "https_proxy", "Https-Proxy", "All-Proxy",
                                    "Http-Proxy"])
def test_proxy_of_a_request(fetcher, stub, header):
    """A CGI program has a request's header `Proxy` as HTTP_PROXY in its environment."""
    offer(stub)
    with Proxy() as proxy:
        assert fetch(fetcher, "/order/an-id", "-H", f"{header}: {proxy.url}").status == 202
        assert proxy.targets == []


def test_proxy_without_a_filter_of_the_server(new_fetcher, stub):
    """Even where the web server, unlike those of today, lets it through."""
    offer(stub)
    with Proxy() as proxy:
        site = new_fetcher(HTTP_PROXY=proxy.url)
        assert fetch(site, "/order/an-id").status == 202
        assert proxy.targets == []


def test_proxy_that_is_gone(new_fetcher, stub):
    offer(stub)
    site = new_fetcher(https_proxy="http://localhost:1")
    check_fault(site, "/order/an-id", 502)
    assert stub.requests == []
