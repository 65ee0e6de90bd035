"""tradecloud-fetch on an operator's command line."""

import os
import re
import subprocess

import pytest
from fetching import (KINDS, LEGACY, ORDER, UPDATED, api_environment, check_fetched, encode,
                      netrc_of, offer, write_netrc)
from proxy import Proxy
from server import BUILD, UNPRIVILEGED, hand_over, run

USAGE, NO_SUCH_OBJECT, UNAVAILABLE, LATER, REFUSED, CONFIGURATION = 64, 66, 69, 75, 77, 78


@pytest.fixture
def operator(stub, place):
    """Call the program as an operator does: operator("order", "an-id", VARIABLE=...)."""
    program = place / "tradecloud-fetch"
    run("install", "-m", "755", BUILD / "tradecloud-fetch", program)
    spool = place / "spool"
    spool.mkdir()
    spool.chmod(0o2770)
    hand_over(spool)

    def call(*arguments, **variables):
        variables.setdefault("TRADECLOUD_SPOOL", spool)
        return subprocess.run([*UNPRIVILEGED, program, *arguments], stdin=subprocess.DEVNULL,
                              env=api_environment(stub, **variables), capture_output=True, text=True,
                              timeout=60)

    call.spool = spool
    return call


def entries(operator, state="new"):
    path = operator.spool / state
    return sorted(path.iterdir()) if path.is_dir() else []


@pytest.mark.parametrize("name", KINDS)
def test_fetch(operator, stub, name):
    kind = KINDS[name]
    content = offer(stub, kind, kind.example)
    for _ in range(2):
        done = operator(name, kind.example)
        [path] = entries(operator)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{path.name}\n", "")
    check_fetched(path, kind, kind.example, content)
    assert path.name.startswith("20250423T100153.812Z")


@pytest.mark.parametrize("identifier", ["a b/#?é%41", "-x", "--help", "-h", "--"])
def test_id_is_taken_as_it_is(operator, stub, identifier):
    content = offer(stub, ORDER, identifier)
    done = operator("order", "--", identifier)
    assert done.returncode == 0, done.stderr
    check_fetched(entries(operator)[0], ORDER, identifier, content)
    assert stub.gets()[0].path == ORDER.api_path + encode(identifier)


@pytest.mark.parametrize("arguments", [
    [], ["order"], ["order", ""], ["order", "a", "b"], ["orders", "a"], ["order-fetched", "a"],
    ["", "a"], ["--no-such-option"], ["order", "."], ["order", ".."], ["order", "x" * 513],
    ["order", "a\nb"], ["order", b"\xff"]], ids=lambda a: repr(a)[:30])
def test_usage(operator, stub, arguments):
    done = operator(*arguments)
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert "tradecloud-fetch" in done.stderr and "Usage: " in done.stderr
    assert stub.requests == []


def test_help(operator):
    done = operator("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("Usage: tradecloud-fetch", "order", "shipment", "legacy-order", "--help"):
        assert word in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_version(operator):
    done = operator("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"tradecloud-fetch \d+\.\d+\.\d+\n", done.stdout)


def test_output_that_cannot_be_written(operator, stub, place):
    """The object is in the spool, but the operator must not believe to have seen its name."""
    offer(stub)
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*UNPRIVILEGED, place / "tradecloud-fetch", "order", "an-id"],
                              stdout=full, env=api_environment(stub, TRADECLOUD_SPOOL=operator.spool),
                              stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 74
    assert len(entries(operator)) == 1


def check_failure(operator, status, reason, kind="order", **variables):
    done = operator(kind, "an-id", **variables)
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert done.stderr.startswith("tradecloud-fetch: ") and reason in done.stderr
    assert done.stderr.count("\n") == 1
    for state in ("new", "tmp"):
        assert entries(operator, state) == []


def test_no_such_object(operator):
    check_failure(operator, NO_SUCH_OBJECT, "no such object")
    assert entries(operator, "rejected") == [], "the operator knows it already"


FAULTS = {"status:403": REFUSED, "status:401": REFUSED, "status:429": LATER,
          "status:500": UNAVAILABLE, "hang": LATER, "cut": UNAVAILABLE, "html": UNAVAILABLE, "wrong-id": UNAVAILABLE,
          "redirect": UNAVAILABLE, "expired-certificate": UNAVAILABLE, "wrong-host": UNAVAILABLE}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults(operator, stub, fault):
    offer(stub)
    stub.fault("/order/", fault)
    check_failure(operator, FAULTS[fault], "", TRADECLOUD_TIMEOUT=2)
    stub.mend()
    (operator.spool / "state/token.json").unlink(missing_ok=True)
    assert operator("order", "an-id").returncode == 0


def test_wrong_password(operator, stub):
    write_netrc(stub, password="wrong")
    for _ in range(2):
        check_failure(operator, REFUSED, f"{netrc_of(stub)}")
    assert len(stub.logins()) == 1
    check_failure(operator, REFUSED, f"{netrc_of(stub)}", kind=LEGACY.name)


CONFIGURATIONS = {"TRADECLOUD_SPOOL": "spool", "TRADECLOUD_TIMEOUT": "x", "TRADECLOUD_MAX_BODY": "0",
                  "TRADECLOUD_NETRC": "/nonexistent", "TRADECLOUD_API_URL": "http://api.example.com",
                  "TRADECLOUD_CA_FILE": "/nonexistent"}


@pytest.mark.parametrize("variable", CONFIGURATIONS)
def test_configuration(operator, stub, variable):
    offer(stub)
    check_failure(operator, CONFIGURATION, variable, **{variable: CONFIGURATIONS[variable]})


def test_no_legacy_url(operator):
    check_failure(operator, CONFIGURATION, "TRADECLOUD_LEGACY_API_URL", kind=LEGACY.name,
                  TRADECLOUD_LEGACY_API_URL=None)


@pytest.mark.parametrize("mode", [0o644, 0o666])
def test_password_file_open_to_others(operator, stub, mode):
    write_netrc(stub, mode=mode)
    check_failure(operator, CONFIGURATION, "chmod")


def test_password_file_missing(operator, stub):
    netrc_of(stub).unlink()
    check_failure(operator, CONFIGURATION, str(netrc_of(stub)))


def test_spool_that_cannot_be_used(operator, stub):
    """Missing, or somebody else's."""
    offer(stub)
    check_failure(operator, CONFIGURATION, "spool", TRADECLOUD_SPOOL="/nonexistent")
    if os.getuid() == 0:
        os.chown(operator.spool, 0, 0)
        check_failure(operator, CONFIGURATION, "spool")


def test_proxy_variables(operator, stub):
    offer(stub)
    with Proxy() as proxy:
        assert operator("order", "an-id", HTTP_PROXY=proxy.url).returncode == 0
        assert proxy.targets == []
        assert operator("order", "an-id", https_proxy=proxy.url).returncode == 0
        assert set(proxy.targets) == {f"localhost:{stub.port}"}


def test_file_without_a_time(operator, stub):
    """It has the time of its first receipt."""
    stub.legacy["an-id"] = b'{"lines":[]}'
    names = {operator(LEGACY.name, "an-id").stdout for _ in range(2)}
    assert len(names) == 1
    assert not names.pop().startswith(UPDATED[:4])


@pytest.mark.parametrize("descriptors", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors(operator, stub, place, descriptors):
    """No file of the spool ever becomes standard output."""
    content = offer(stub)
    subprocess.run([*UNPRIVILEGED, "sh", "-c", f'"$0" order an-id {descriptors}',
                    place / "tradecloud-fetch"], timeout=60, stdout=subprocess.DEVNULL,
                   env=api_environment(stub, TRADECLOUD_SPOOL=operator.spool,
                                       PATH=os.environ["PATH"]))
    [path] = entries(operator)
    check_fetched(path, ORDER, "an-id", content)


def test_stopped(operator, stub):
    """No answer for a web server where there is none."""
    stub.fault("/order/", "hang")
    script = operator.spool.parent / "stopper"
    # A web server's way to stop it, while it waits for the API.
    script.write_text(f"#!/bin/sh\n{operator.spool.parent}/tradecloud-fetch order an-id & "
                      "sleep 1\nkill $!\nwait $!\n")
    script.chmod(0o755)
    done = subprocess.run([*UNPRIVILEGED, script], capture_output=True, text=True, timeout=60,
                          env=api_environment(stub, TRADECLOUD_SPOOL=operator.spool,
                                              PATH=os.environ["PATH"]))
    assert len(stub.gets()) == 1
    assert (done.returncode, done.stdout) == (1, "")
    assert "SIGTERM" in done.stderr


@pytest.mark.parametrize("arguments, variables, status", [
    (["order", "--", "an-id"], {}, 401),
    (["order", "--", "an-id"], {"AUTH_TYPE": "Basic"}, 202),
    (["order", "an-id"], {"AUTH_TYPE": "Basic"}, 503),
    (["cake", "--", "an-id"], {"AUTH_TYPE": "Basic"}, 503),
    (["order", "--", "a\nb"], {"AUTH_TYPE": "Basic"}, 400),
])
def test_called_by_a_web_server(operator, stub, arguments, variables, status):
    """By itself or with what tradecloud-webhook would not pass on, it serves nobody else."""
    offer(stub)
    done = operator(*arguments, REQUEST_METHOD="GET", **variables)
    assert done.stdout.startswith(f"Status: {status} "), done
    assert len(entries(operator)) == (status == 202)


@pytest.mark.parametrize("host", ["localhost", "[::1]", "127.9.9.9"])
def test_without_tls_to_this_machine_only(operator, host):
    done = operator("order", "an-id", TRADECLOUD_API_URL=f"http://{host}:1/v2")
    assert done.returncode == UNAVAILABLE, done
    assert operator("order", "an-id", TRADECLOUD_API_URL=f"http://{host}.example:1/v2").returncode == CONFIGURATION
