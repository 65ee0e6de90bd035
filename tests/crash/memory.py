"""The programs under valgrind, on all paths that tests/crash knows: no invalid access, no value that
was never set, nothing left unfreed. Run by make check-sanitize."""

import subprocess

import pytest
from fetching import api_environment, offer, write_netrc
from injection import Bench, Path
from server import BUILD
from test_crash import BODY, POST, TIMELESS, received

VALGRIND = ["valgrind", "-q", "--error-exitcode=99", "--trace-children=yes", "--leak-check=full",
            "--errors-for-leak-kinds=definite,possible"]


def check(bench, expected):
    path = bench.path
    spool = bench.spool("valgrind")
    done = bench._execute(spool, VALGRIND, path.environment, path.body)
    assert done.stdout.startswith(b"Status: %d " % expected), done
    assert done.returncode == 0 and b"==" not in done.stderr, done.stderr.decode()


def refused():
    yield Path("not authenticated", {**POST, "AUTH_TYPE": None}, b"{}", 401, None)
    yield Path("method", {"REQUEST_METHOD": "PATCH"}, b"{}", 405, None)
    yield Path("type", {**POST, "CONTENT_TYPE": "application/xml"}, b"<a/>", 415, None)
    yield Path("too large", {**POST, "TRADECLOUD_MAX_BODY": "1"}, b"{}", 503, None)
    yield Path("cut short", {**POST, "CONTENT_LENGTH": "3"}, b"{}", 503, None)
    yield Path("configuration", {**POST, "TRADECLOUD_TIMEOUT": "0"}, b"{}", 503, None)
    yield Path("no object", {"REQUEST_METHOD": "GET"}, b"", 400, None)


@pytest.mark.parametrize("path", [*received(), *refused()], ids=lambda path: path.name)
def test_receiving(place, path):
    check(Bench(place, path, None), path.expected)


@pytest.mark.parametrize("fault, status", [(None, 202), ("status:404", 404), ("status:500", 502),
                                           ("not-json", 502), ("status:401", 502)])
def test_fetching(place, stub, fault, status):
    stub.reset()
    write_netrc(stub)
    offer(stub)
    if fault:
        stub.fault("/order/", fault)
    environment = {"REQUEST_METHOD": "GET", "PATH_INFO": "/order/an-id", "CONTENT_LENGTH": None,
                   "TRADECLOUD_TIMEOUT": "100", **api_environment(stub)}
    check(Bench(place, Path("fetch", environment, b"", status, None), None), status)


COMMANDS = [["list"], ["list", "--json"], ["show", "NAME"], ["status"], ["status", "--json"],
            ["status", "--prometheus"], ["check"], ["run", "--", "cat"], ["run", "--attempts", "1", "--", "false"],
            ["retry", "NAME"], ["reject", "NAME"], ["prune", "--older-than", "0s"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_spool(place, command):
    bench = Bench(place, Path("new", POST, BODY, 202, BODY, prepare=[(POST, BODY), (POST, TIMELESS)]),
                  None)
    names = sorted(file.name for file in (bench.template / "new").iterdir())
    command = [names[0] if argument == "NAME" else argument for argument in command]
    done = subprocess.run([*VALGRIND, BUILD / "tradecloud-spool", *command], capture_output=True,
                          env={"TRADECLOUD_SPOOL": str(bench.template), "PATH": "/usr/bin:/bin"})
    assert done.returncode != 99 and b"==" not in done.stderr, done.stderr.decode()


def test_it_finds_something():
    """A program that reads what is not its own is not passed over."""
    source = "#include <stdlib.h>\nint main(void){int *p=malloc(4);return p[1];}"
    program = BUILD / "faulty"
    subprocess.run(["gcc", "-O0", "-x", "c", "-o", program, "-"], input=source.encode(), check=True)
    assert subprocess.run([*VALGRIND, program], capture_output=True).returncode == 99
