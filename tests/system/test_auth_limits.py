"""What the servers refuse by themselves: who is slow, headers that are too long, and whoever comes
without TLS. None of it may be a 4xx to a sender whose event could still be taken."""

import base64
import socket
import ssl
import time
import urllib.error
import urllib.request

import pytest
from admission import admit_tokens, basic, bearer, edit, make_token, write_tokens
from client import order, send
from server import USER, hand_over
from test_answers import check_nothing_kept, check_problem

TOKEN = make_token()


def credentials_of(site):
    secret = base64.b64encode(f"{USER}:{site.password}".encode()).decode()
    return {"password": f"Basic {secret}", "token": f"Bearer {TOKEN}"}


def talk(site, *parts, pause=0.0):
    """Send the parts over TLS, with a pause after each, and return the status that comes, or 0 if
    the server hangs up without one."""
    context = ssl.create_default_context(cafile=str(site.authority.ca))
    answer = b""
    with socket.create_connection(("127.0.0.1", site.port)) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            tls.settimeout(20)
            try:
                for part in parts:
                    tls.sendall(part)
                    time.sleep(pause)
                while b"\r\n" not in answer and (some := tls.recv(4096)):
                    answer += some
            except ConnectionError:
                pass
    return int(answer.split()[1]) if answer else 0


def head(site, who, *more):
    return "\r\n".join(["POST /tradecloud HTTP/1.1", "Host: localhost",
                        f"Authorization: {credentials_of(site)[who]}",
                        "Content-Type: application/json", *more]).encode()


@pytest.fixture
def impatient(server, shared_sites, directory, authority):
    """A site as shipped, but that each wait is a second."""
    name = f"{server.name}-impatient"
    if name not in shared_sites:
        site = server(directory / name, authority)
        admit_tokens(site)
        write_tokens(site, TOKEN)
        if server.name == "apache":
            edit(site, "location.conf", ("header=20-60,", "header=1-2,"), ("body=20,", "body=1,"))
        else:
            edit(site, "location.conf", ("client_body_timeout 60s", "client_body_timeout 1s"))
            edit(site, "site.conf", ("client_header_timeout 60s", "client_header_timeout 1s"))
        shared_sites[name] = site.start()
    return shared_sites[name]


@pytest.mark.parametrize("who", ["password", "token"])
@pytest.mark.parametrize("length", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_slow_body(impatient, who, length):
    """Apache says 503; nginx hangs up. Both the sender tries again."""
    start = b'\r\n\r\n3e8\r\n{"a":' if "chunked" in length else b'\r\n\r\n{"a":'
    status = talk(impatient, head(impatient, who, length) + start)
    assert status == (503 if impatient.name == "apache" else 0)
    assert impatient.entries() == [] and impatient.entries("rejected") == []


def test_slow_header(impatient):
    status = talk(impatient, head(impatient, "password"))
    assert status == (503 if impatient.name == "apache" else 0)


def test_slow_but_steady(impatient):
    """Twice as long as the time-out, but at more than 500 bytes a second."""
    body = order(filler=2500)
    parts = [body[i:i + 700] for i in range(0, len(body), 700)]
    status = talk(impatient, head(impatient, "password", f"Content-Length: {len(body)}") + b"\r\n\r\n",
                  *parts, pause=0.4)
    assert status == 202
    impatient.entries()[0].unlink()


LONG = {
    "header": (["-H", "X-Long: " + "x" * 20_000], ""),
    "token": (bearer("x" * 20_000), ""),
    "path": ([], "/" + "x" * 20_000),
    "query": ([], "?orderId=" + "x" * 20_000),
}


@pytest.mark.parametrize("case", LONG)
def test_too_long(site, case):
    options, path = LONG[case]
    check_problem(send(site, order(), path=path, auth=["-u", f"{USER}:{site.password}", *options]), 503)
    assert check_nothing_kept(site, 503) == []


@pytest.mark.parametrize("request_line", [b"\0", b"POST", b"POST /tradecloud HTTP/1.1"])
def test_no_request(site, request_line):
    """Not by curl, and not by Tradecloud: but 400 or 500 must not leave the server either way."""
    assert talk(site, request_line + b"\r\n\r\n") in (503, 0)


# --- without TLS ---

def plain(site, path, data=None):
    """A request to port 80: status, headers, content."""
    request = urllib.request.Request(f"http://127.0.0.1:{site.plain_port}{path}", data=data,
                                     headers={"Host": "localhost",
                                              "Authorization": credentials_of(site)["password"]})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


@pytest.mark.parametrize("path", ["/tradecloud", "/tradecloud/orders", "/tradecloud/order/an-id", "/",
                                  "/.well-known/acme-challenge/../../tradecloud",
                                  "/.well-known/acme-challenge/%2e%2e/%2e%2e/tradecloud"])
def test_port_80(site, path):
    """The program is not reached, whatever is sent; and no redirect makes it work by and by."""
    for data in (None, order()):
        status, headers, _ = plain(site, path, data)
        assert status == 503 and "location" not in headers
    assert check_nothing_kept(site, 503) == []


def test_acme(site):
    """What certbot writes is served on port 80, and nothing else is."""
    challenge = site.directory / "www/.well-known/acme-challenge"
    challenge.mkdir(parents=True, exist_ok=True)
    (challenge / "a-token").write_text("a-proof")
    (site.directory / "www/index.html").write_text("nobody's business")
    hand_over(site.directory / "www")
    assert plain(site, "/.well-known/acme-challenge/a-token")[::2] == (200, b"a-proof")
    assert plain(site, "/.well-known/acme-challenge/another")[0] == 404
    for path in ("/index.html", "/", "/.well-known/"):
        assert plain(site, path)[0] == 503, path


@pytest.mark.parametrize("path", ["/", "/tradeclod", "/tradecloudx", "/.well-known/", "/.tradecloud/x",
                                  "/.well-known/acme-challenge/a-token"])
def test_other_urls(site, path):
    """An event that is sent to a mistyped URL is not lost, either."""
    for auth in (basic(site), []):
        answer = send(site, order(), path=f"/..{path}", auth=["--path-as-is", *auth])
        check_problem(answer, 503)
    assert check_nothing_kept(site, 503) == []

