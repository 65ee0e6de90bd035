"""The meta-variables of RFC 3875 (section 4.1), as each server, configured as shipped, really sets
them: what the programs rely on, and what a client can bring in."""

import json

import pytest
from client import curl, send
from server import USER

DUMP = """#!/usr/bin/python3
import json, os, sys
sys.stdin.buffer.read()
content = json.dumps({**os.environ, "arguments": sys.argv[1:]})
print("Content-Type: application/json\\r\\n\\r\\n" + content, end="")
"""


@pytest.fixture
def dump(site, tmp_path):
    """A site whose program answers its environment."""
    program = tmp_path / "dump"
    program.write_text(DUMP)
    site.install_program(program)
    yield site
    site.install_program()


def check_always(site, variables):
    """What RFC 3875 says must be set, and is known whatever the request."""
    assert variables["AUTH_TYPE"] == "Basic"  # 4.1.1
    assert variables["GATEWAY_INTERFACE"] == "CGI/1.1"  # 4.1.4
    assert "QUERY_STRING" in variables  # 4.1.7
    assert variables["REMOTE_ADDR"] == "127.0.0.1"  # 4.1.8
    assert variables["REMOTE_USER"] == USER  # 4.1.11
    assert variables["SCRIPT_NAME"] == "/tradecloud"  # 4.1.13
    assert variables["SERVER_NAME"] == "localhost"  # 4.1.14
    assert variables["SERVER_PORT"] == str(site.port)  # 4.1.15
    assert variables["SERVER_PROTOCOL"] == "HTTP/1.1"  # 4.1.16
    assert variables["SERVER_SOFTWARE"]  # 4.1.17
    assert variables["TRADECLOUD_SPOOL"] == str(site.spool)


def test_post(dump):
    variables = send(dump, b"{}").json()
    check_always(dump, variables)
    assert variables["REQUEST_METHOD"] == "POST"
    assert variables["CONTENT_LENGTH"] == "2"  # 4.1.2
    assert variables["CONTENT_TYPE"] == "application/json"  # 4.1.3
    assert variables["REQUEST_URI"] == "/tradecloud"
    assert not variables.get("PATH_INFO") and variables["QUERY_STRING"] == ""


def test_chunked(dump):
    """CONTENT_LENGTH is the number of bytes, or is not set, and the input ends: never 0."""
    variables = send(dump, b"{}", chunked=True).json()
    check_always(dump, variables)
    assert variables.get("CONTENT_LENGTH") == ("2" if dump.name == "nginx" else None)


def test_no_content_type(dump):
    assert not send(dump, b"{}", content_type=None).json().get("CONTENT_TYPE")


@pytest.mark.parametrize("path, info", [("/order/a%20b", "/order/a b"), ("/order/a%2Fb", "/order/a/b"),
                                        ("/order/%C3%A9%23", "/order/é#"), ("/", "/")])
def test_path(dump, path, info):
    """PATH_INFO is decoded (4.1.5), REQUEST_URI is not."""
    variables = curl(dump, "--path-as-is", path=path + "?x=%20y&z").json()
    check_always(dump, variables)
    assert variables["REQUEST_METHOD"] == "GET"
    assert variables["PATH_INFO"].encode(errors="surrogateescape").decode() == info
    assert variables["REQUEST_URI"] == f"/tradecloud{path}?x=%20y&z"
    assert variables["QUERY_STRING"] == "x=%20y&z"
    assert not variables.get("CONTENT_LENGTH")
    assert not variables.get("CONTENT_TYPE")


def test_arguments(dump):
    """A query without an equals sign may come as arguments (4.4): both programs know."""
    arguments = curl(dump, path="?--help+-x").json()["arguments"]
    assert arguments == (["--help", "-x"] if dump.name == "apache" else [])


def test_what_a_client_brings_in(dump):
    """Headers stand behind HTTP_ (4.1.18), and no other variable can be made of them."""
    names = ["Auth-Type", "AUTH_TYPE", "Remote-User", "Tradecloud-Spool", "TRADECLOUD_SPOOL", "Path-Info",
             "Request-Method", "Script-Name", "Content_Length", "LD_PRELOAD", "Proxy"]
    options = [option for name in names for option in ("-H", f"{name}: forged")]
    variables = curl(dump, *options, path="/order/x").json()
    check_always(dump, variables)
    forged = {name for name, value in variables.items() if "forged" in value}
    assert all(name.startswith("HTTP_") for name in forged), forged
    assert forged, "the headers did not arrive at all"
    assert json.dumps(variables).count("forged") <= len(names)
