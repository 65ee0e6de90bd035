"""The stand-in for the API behaves, and misbehaves, as it says: judged by the real curl."""

import base64
import gzip
import json
import re
import socket
import ssl
import subprocess
import time
import urllib.parse

import pytest
from stub import Document

ORDER = b'{"id":"PO #1/\xc3\xa9", "price": 78.90}\n'
ORDER_PATH = "/order/" + urllib.parse.quote("PO #1/é", safe="")
VERSIONS = {"1.1": "--http1.1", "2": "--http2"}


@pytest.fixture(params=list(VERSIONS))
def version(request):
    return request.param


def get(stub, path, *options, version="1.1", base=None):
    """curl's exit status, the answer's status, its headers by lower-case name, its body."""
    command = ["curl", "-sS", VERSIONS[version], "--cacert", str(stub.authority.ca), "-m", "10", "-i",
               "--raw", *options, (base or stub.url) + path]
    done = subprocess.run(command, capture_output=True, timeout=20)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    status = int(lines[0].split()[1]) if head else 0
    return done.returncode, status, {k.lower(): v for k, v in headers.items()}, body


def basic(stub):
    return ["-u", f"{stub.user}:{stub.password}"]


def bearer(token):
    return ["-H", f"Authorization: Bearer {token}"]


def log_in(stub, version="1.1"):
    """The access token and the refresh token."""
    _, status, headers, _ = get(stub, "/authentication/login", *basic(stub), version=version)
    assert status == 200
    return headers["set-authorization"], headers["set-refresh-token"]


def test_order(stub, version):
    stub.orders["PO #1/é"] = ORDER
    token, _ = log_in(stub, version)
    assert get(stub, ORDER_PATH, *bearer(token), version=version)[1::2] == (200, ORDER)
    assert get(stub, ORDER_PATH, *basic(stub), version=version)[1] == 401
    assert get(stub, "/order/PO", *bearer(token), version=version)[1] == 404
    assert get(stub, "/order/PO%20%231/%C3%A9", *bearer(token), version=version)[1] == 404
    assert [r.path for r in stub.gets()][:2] == ["/v2" + ORDER_PATH] * 2
    assert {r.version for r in stub.requests} == {version}
    assert [r.accepted for r in stub.requests][:3] == [True, True, False]


def test_access_token(stub):
    token, _ = log_in(stub)
    assert 500 < len(token) < 1000
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["exp"] - claims["iat"] == 600
    assert abs(claims["iat"] - time.time()) < 5


def test_wrong_password(stub, version):
    for auth in ([], ["-u", f"{stub.user}:wrong"], bearer("x")):
        _, status, headers, _ = get(stub, "/authentication/login", *auth, version=version)
        assert status == 401
        assert "set-authorization" not in headers
    assert len(stub.logins()) == 3


def works(stub, token):
    return get(stub, "/shipment/s", *bearer(token))[1] == 200


def refresh(stub, token):
    _, status, headers, _ = get(stub, "/authentication/refresh", "-H", f"Refresh-Token: {token}")
    return status, headers.get("set-authorization"), headers.get("set-refresh-token")


def test_life_of_tokens(stub):
    stub.shipments["s"] = b"{}"
    access, token = log_in(stub)
    assert works(stub, access)
    stub.revoke()
    assert not works(stub, access)
    status, access, second = refresh(stub, token)
    assert status == 200 and works(stub, access)
    assert refresh(stub, token)[0] == 401, "a refresh token is good for once"
    stub.revoke_refresh()
    assert refresh(stub, second)[0] == 401 and works(stub, access)
    stub.supersede()
    assert not works(stub, access)
    first, _ = log_in(stub)
    log_in(stub)
    assert not works(stub, first), "a second log-in ends the first"


def test_tokens_expire(stub):
    stub.shipments["s"] = b"{}"
    stub.token_lifetime = 1
    access, _ = log_in(stub)
    time.sleep(1.1)
    assert not works(stub, access)


def test_log_out(stub):
    stub.shipments["s"] = b"{}"
    access, token = log_in(stub)
    assert get(stub, "/authentication/logout", "-X", "POST", "-H", f"Refresh-Token: {token}")[1] == 200
    assert not works(stub, access) and refresh(stub, token)[0] == 401


def test_legacy_order(stub, version):
    stub.legacy["x"] = b"{}"
    answers = [get(stub, f"/purchaseOrder/{i}", *auth, version=version, base=stub.legacy_url)[1]
               for i, auth in (("x", basic(stub)), ("x", bearer("t")), ("y", basic(stub)))]
    assert answers == [200, 401, 404]


def test_document(stub, version):
    stub.documents["d"] = Document("a/b.pdf", "application/pdf", bytes(300_000))
    auth = bearer(log_in(stub, version)[0])
    path = "/object-storage/document/d"
    metadata = json.loads(get(stub, f"{path}/metadata", *auth, version=version)[3])
    assert (metadata["id"], metadata["filename"]) == ("d", "a/b.pdf")
    url = metadata["downloadUrl"]
    assert get(stub, "", version=version, base=url)[1::2] == (200, bytes(300_000))
    assert get(stub, "", *auth, version=version, base=url)[1] == 400
    assert get(stub, path, *auth, version=version)[1::2] == (200, bytes(300_000))


def test_spelling_of_headers(stub):
    for lower_case in (False, True):
        stub.lower_case = lower_case
        done = subprocess.run(["curl", "-si", "--http1.1", "--cacert", str(stub.authority.ca),
                               *basic(stub), f"{stub.url}/authentication/login"], capture_output=True)
        name = b"\r\nset-authorization: " if lower_case else b"\r\nSet-Authorization: "
        assert name in done.stdout


def test_time_of_arrival(stub):
    """Though whoever is to answer has its turn much later."""
    stub.answer_delay = 1
    context = ssl.create_default_context(cafile=stub.authority.ca)
    with socket.create_connection(("localhost", stub.port)) as plain, \
            context.wrap_socket(plain, server_hostname="localhost") as sock:
        times = []
        for _ in range(2):
            before = time.monotonic()
            sock.sendall(b"GET /v2/order/an-id HTTP/1.1\r\nHost: localhost\r\n\r\n")
            times.append((before, time.monotonic()))
            time.sleep(0.3)
        answer = b""
        while answer.count(b"HTTP/1.1 401") < 2:
            answer += sock.recv(4096)
    for record, (before, after) in zip(stub.gets(), times, strict=True):
        assert before - 0.1 < record.time < after + 0.1


def test_connection_is_kept(stub):
    url = f"{stub.legacy_url}/purchaseOrder/x"
    done = subprocess.run(["curl", "-sv", "--http1.1", "--cacert", str(stub.authority.ca), url, url],
                          capture_output=True, text=True)
    assert "using existing" in done.stderr  # the words around it vary with the version
    assert len(stub.requests) == 2


STATUS_FAULTS = [f"status:{status}" for status in (401, 403, 404, 429, 500, 502, 503)]


def faulty(stub, kind, *options, version="1.1"):
    stub.shipments["s"] = b'{"id":"s"}'
    token, _ = log_in(stub, version)
    stub.fault("/shipment/", kind)
    return get(stub, "/shipment/s", *bearer(token), *options, version=version)


@pytest.mark.parametrize("kind", STATUS_FAULTS)
def test_status_faults(stub, version, kind):
    assert faulty(stub, kind, version=version)[1] == int(kind.split(":")[1])


# curl: 18 and 56 are a body or a connection cut short, 28 a time-out, 52 no answer, 92 an HTTP/2
# stream against the rules, 16 HTTP/2 trouble in general, 100 and 27 too large a header.
FAILURES = {
    "hang": {28}, "cut": {52, 55, 56, 16, 18}, "cut-body": {18, 55, 56, 92, 16}, "wrong-length:more": {18, 56, 92},
    "slow-body:9": {28}, "slow-first-byte:9": {28}, "huge-header": {100, 27, 52, 56, 92, 16, 28},
}


@pytest.mark.parametrize("kind", FAILURES)
def test_failures(stub, version, kind):
    assert faulty(stub, kind, "-m", "2", version=version)[0] in FAILURES[kind]


def test_too_short_a_length(stub):
    stub.fault("/purchaseOrder/", "wrong-length:fewer")
    stub.legacy["x"] = b"x" * 150
    assert get(stub, "/purchaseOrder/x", *basic(stub), base=stub.legacy_url)[3] == b"x" * 50


CONTENTS = {
    "not-json": lambda body: body == b"no JSON", "empty": lambda body: body == b"",
    "html": lambda body: b"<html>" in body, "wrong-id": lambda body: b'"another-s"' in body,
    "big": lambda body: len(body) > 60_000_000 and json.loads(body)["id"] == "s",
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_contents(stub, version, kind):
    code, status, _, body = faulty(stub, kind, version=version)
    assert (code, status) == (0, 200)
    assert CONTENTS[kind](body)


def test_gzip(stub):
    _, _, headers, body = faulty(stub, "gzip", version="2")
    assert headers["content-encoding"] == "gzip"
    assert gzip.decompress(body) == b'{"id":"s"}'


def test_bomb(stub):
    """A megabyte comes, which becomes a thousand; the end of it shows that it is correct."""
    body = faulty(stub, "bomb", version="2")[3]
    assert len(body) < 2_000_000
    done = subprocess.run("gunzip | tail -c 12", input=body, shell=True, capture_output=True)
    assert (done.stdout, done.stderr) == (b'xxxxxxxxxx"}', b"")


def test_redirect(stub, version):
    _, status, headers, _ = faulty(stub, "redirect", version=version)
    assert (status, headers["location"]) == (302, "/v2/elsewhere")


def test_no_token_header(stub):
    stub.fault("/login$", "no-token-header")
    _, status, headers, _ = get(stub, "/authentication/login", *basic(stub))
    assert status == 200 and "set-authorization" not in headers


@pytest.mark.parametrize("kind", ["expired-certificate", "wrong-host", "old-tls"])
def test_tls_faults(stub, kind):
    stub.fault("", kind)
    code = get(stub, "/order/x", "--tlsv1.2")[0]
    assert code in ({35} if kind == "old-tls" else {60})
    assert get(stub, "/order/x", "-k", "--tlsv1.0", "--ciphers", "ALL:@SECLEVEL=0")[1] == 401
    stub.mend()
    assert get(stub, "/order/x")[1] == 401


def test_certificate_is_strictly_valid(stub):
    """By the rules that Python 3.13 insists on."""
    context = ssl.create_default_context(cafile=str(stub.authority.ca))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with socket.create_connection(("127.0.0.1", stub.port)) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            assert tls.version() == "TLSv1.3"


def test_faults_end(stub):
    stub.fault("/order/", "status:503", times=2)
    assert [get(stub, "/order/x")[1] for _ in range(3)] == [503, 503, 401]
    stub.fault("/order/", "status:500")
    assert get(stub, "/shipment/x")[1] == 401
    assert get(stub, "/order/x")[1] == 500
    stub.mend()
    assert get(stub, "/order/x")[1] == 401


def test_no_such_fault(stub):
    with pytest.raises(ValueError):
        stub.fault("/", "no-such")


def test_by_hand(tmp_path):
    order = tmp_path / "order"
    order.write_bytes(ORDER)
    command = ["/usr/bin/python3", "-B", __file__.replace("test_stub", "stub"), "--port", "0",
               "--login-delay", "0", "--order", f"x={order}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url, _, ca, netrc = [process.stdout.readline().split(None, 1)[1].strip() for _ in range(4)]
        user, password = re.search("login (.*) password (.*)", netrc).groups()
        done = subprocess.run(["curl", "-sSi", "--cacert", ca, "-u", f"{user}:{password}",
                               f"{url}/authentication/login"], capture_output=True, text=True)
        assert done.stdout.startswith("HTTP/2 200")
        assert process.stdout.readline() == "GET /v2/authentication/login HTTP/2\n"
        process.send_signal(2)
        assert process.wait(5) == 0
