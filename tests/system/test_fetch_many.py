"""Many at once, and some of them killed: one logs in for all, ten requests a second are made at most,
and nobody is blocked for good."""

import collections
import json
import os
import signal
import subprocess
import time

import pytest
from client import credentials
from fetching import (api_environment, check_secrets, fetch, in_background, offer, processes_of,
                      succeeds, wait_for, write_netrc)
from server import SERVERS
from stub import Stub
from test_answers import check_problem


def check_pace(stub):
    """At most ten requests in any second."""
    times = [r.time for r in stub.requests]
    worst = max(sum(start <= t < start + 1 for t in times) for start in times)
    assert worst <= 10, [round(t - times[0], 3) for t in times]


@pytest.fixture
def pair(authority, place):
    """Each web server with an API of its own and so little patience that not all can wait, to try both
    at the same time. With less, a busy machine that starts 400 processes leaves none for the API."""
    pairs = []
    for name, server in SERVERS.items():
        stub = Stub(authority, place / f"{name}-stub").start()
        write_netrc(stub)
        environment = api_environment(stub, TRADECLOUD_TIMEOUT=10)
        pairs.append((server(place / name, authority, environment=environment).start(), stub))
    yield pairs
    for site, stub in pairs:
        site.stop()
        stub.stop()
        check_secrets(site, stub)


def get_in_parallel(site, identifiers, tmp_path):
    """One curl for all. Returns the status of each."""
    config = tmp_path / site.name
    config.write_text("next\n".join(
        f'url = "{site.url}/order/{identifier}"\nuser = "{credentials(site)[1]}"\n'
        f'cacert = "{site.authority.ca}"\noutput = "/dev/null"\n'
        f'write-out = "{identifier} %{{http_code}}\\n"\n'
        for identifier in identifiers))
    done = subprocess.run(["curl", "-sS", "--no-progress-meter", "--parallel", "--parallel-immediate",
                           "--parallel-max", "200", "--config", str(config)],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    return {identifier: int(status) for identifier, status in lines}


def send_until_accepted(site, identifiers, tmp_path):
    """As a sender who tries again what was answered 503."""
    pause = 0.2
    while identifiers:
        answers = get_in_parallel(site, identifiers, tmp_path)
        assert set(answers) == set(identifiers)
        counts = collections.Counter(answers.values())
        reasons = collections.Counter(line.get("reason") for line in site.log_lines())
        assert set(counts) <= {202, 503}, (site.name, counts, reasons)
        identifiers = [i for i in identifiers if answers[i] != 202]
        time.sleep(pause)
        pause *= 1.5


def test_two_hundred_at_once(pair, tmp_path):
    """With nobody logged in: one log-in, ten requests a second, and nothing is lost."""
    identifiers = [str(i) for i in range(200)]
    for site, stub in pair:
        stub.login_delay, stub.answer_delay = 0.5, 0.2
        for identifier in identifiers:
            offer(stub, identifier=identifier)
    waiting = [in_background(lambda site=site: send_until_accepted(site, identifiers, tmp_path))
               for site, _ in pair]
    for wait in waiting:
        wait()
    for site, stub in pair:
        subjects = [json.loads(p.read_bytes())["subject"] for p in site.entries()]
        assert sorted(subjects) == sorted(identifiers)
        assert len(stub.logins()) == 1
        assert all(r.accepted for r in stub.requests)
        check_pace(stub)


def test_twenty_tokens_revoked_at_once(fetcher, stub):
    """All are refused at the same time; one logs in, for all."""
    succeeds(fetcher, stub)
    stub.revoke()
    stub.login_delay = 0.5
    for i in range(20):
        offer(stub, identifier=str(i))
    waiting = [in_background(lambda i=i: fetch(fetcher, f"/order/{i}")) for i in range(20)]
    assert {wait().status for wait in waiting} == {202}
    assert len(stub.logins()) == 2
    check_pace(stub)


def test_too_many_to_wait(new_fetcher, stub, tmp_path):
    """Who would have to wait past the deadline is told so at once."""
    site = new_fetcher(TRADECLOUD_TIMEOUT=2)
    succeeds(site, stub)
    answers = get_in_parallel(site, [f"unknown-{i}" for i in range(100)], tmp_path)
    # Of its own time: what a busy machine takes for TLS and passwords is not the program's.
    refused = [int(line["ms"]) for line in site.log_lines() if line["status"] == "503"]
    assert len(refused) == list(answers.values()).count(503) > 20, answers
    assert min(refused) < 2000, refused
    check_pace(stub)


def timed(function):
    started = time.monotonic()
    return function(), time.monotonic() - started


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_holder_of_the_token_blocks_nobody(fetcher, stub, number):
    """It dies while it logs in, and others wait for it."""
    for i in range(5):
        offer(stub, identifier=str(i))
    stub.fault("/login$", "hang", times=1)
    first = in_background(lambda: fetch(fetcher, "/order/0"))
    wait_for(stub.logins)
    [holder] = processes_of(fetcher)
    others = [in_background(lambda i=i: fetch(fetcher, f"/order/{i}")) for i in range(1, 5)]
    wait_for(lambda: len(processes_of(fetcher)) == 5)
    started = time.monotonic()
    os.kill(holder, number)
    assert {wait().status for wait in others} == {202}
    assert time.monotonic() - started < 5
    assert first().status in (502, 503)
    assert len(stub.logins()) == 2
    assert fetch(fetcher, "/order/0").status == 202


def test_a_stopped_holder_of_the_token(new_fetcher, stub):
    """It hangs for ever; the others give up in time, and are served when it is gone."""
    site = new_fetcher(TRADECLOUD_TIMEOUT=2)
    offer(stub)
    stub.fault("/login$", "hang", times=1)
    first = in_background(lambda: fetch(site, "/order/an-id"))
    wait_for(stub.logins)
    [holder] = processes_of(site)
    os.kill(holder, signal.SIGSTOP)
    answer, taken = timed(lambda: fetch(site, "/order/an-id"))
    check_problem(answer, 504)
    assert taken < 3.5
    os.kill(holder, signal.SIGKILL)
    assert first().status in (502, 503)
    assert fetch(site, "/order/an-id").status == 202
