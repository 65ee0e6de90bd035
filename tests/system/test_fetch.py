"""What a GET announces is in the spool, once in each of its versions, byte for byte; and whatever
stands in the URL, no other URL of the API is called than that of an order or shipment."""

import json

import pytest
from client import BUYER, order, send
from fetching import (KINDS, LEGACY, ORDER, SHIPMENT, UPDATED, check_fetched, encode, fetch,
                      make_object, offer)
from test_answers import check_problem, unprotected

FORMS = {
    "path": lambda kind, identifier: f"/{kind.name}/{encode(identifier)}",
    "query": lambda kind, identifier: f"?{kind.parameter}={encode(identifier)}",
    "bare path": lambda kind, identifier: f"/{encode(identifier)}",
}
CASES = [(kind, form) for kind in KINDS for form in FORMS if form != "bare path" or kind == "order"]


def check_asked(stub, kind, identifier):
    """The API was asked for that object, and logging in apart for nothing else."""
    paths = {r.path for r in stub.requests} - {"/v2/authentication/login"}
    assert paths == {kind.api_path + encode(identifier)}


@pytest.mark.parametrize("name,form", CASES)
def test_object_is_spooled(fetcher, stub, name, form):
    """New: 202; the same again: 200; changed: 202, and a file that sorts after the first."""
    kind = KINDS[name]
    url = FORMS[form](kind, kind.example)
    first = offer(stub, kind, kind.example)
    answer = fetch(fetcher, url)
    assert answer.status == 202, (answer.body, fetcher.log())
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    [path] = fetcher.entries()
    event = check_fetched(path, kind, kind.example, first)
    assert path.name.startswith("20250423T100153.812Z_")
    assert answer.json() == {"status": "spooled", "id": event["id"], "file": path.name}
    again = fetch(fetcher, url)
    assert (again.status, again.json()["status"]) == (200, "duplicate")
    second = offer(stub, kind, kind.example, version=4, updated="2025-04-23T10:01:53.813Z")
    assert fetch(fetcher, url).status == 202
    assert [p.read_bytes().split(b'"data":', 1)[1][:-1] for p in fetcher.entries()] == [first, second]
    assert fetcher.entries("tmp") == []
    check_asked(stub, kind, kind.example)
    assert len(stub.logins()) == (0 if kind is LEGACY else 1)


@pytest.mark.parametrize("name", KINDS)
def test_attributes(fetcher, stub, name):
    kind = KINDS[name]
    content = offer(stub, kind, kind.example)
    assert fetch(fetcher, FORMS["path"](kind, kind.example)).status == 202
    [path] = fetcher.entries()
    event = check_fetched(path, kind, kind.example, content)
    assert event["time"] == UPDATED
    assert event["source"] == (stub.legacy_url if kind is LEGACY else stub.url)
    assert list(event) == ["specversion", "id", "source", "type", "subject", "time",
                           "datacontenttype", "data"]
    [line] = fetcher.log_lines()
    assert (line["outcome"], line["status"], line["method"]) == ("spooled", "202", "GET")
    assert (line["kind"], line["file"]) == (kind.fetched, path.name)
    assert line["bytes"] == str(len(content))


def test_version_alone_makes_another_file(fetcher, stub):
    for version in (3, 4, 3):
        offer(stub, version=version)
        expected = 202 if len(fetcher.entries()) < 2 else 200
        assert fetch(fetcher, "/order/an-id").status == expected
    assert len(fetcher.entries()) == 2


@pytest.mark.parametrize("state", ["work", "done", "failed"])
def test_what_was_consumed_is_not_fetched_anew(fetcher, stub, state):
    offer(stub)
    assert fetch(fetcher, "/order/an-id").status == 202
    [path] = fetcher.entries()
    path.rename(fetcher.spool / state / path.name)
    assert fetch(fetcher, "/order/an-id").status == 200
    assert fetcher.entries() == []


@pytest.mark.parametrize("content", [b'{"legacyOrderId":"l","lines":[]}', b'{"lines":[ 1.0 ]}'])
def test_legacy_order_of_another_shape(fetcher, stub, content):
    """Nothing is published about it; it may have no time, id or version at all."""
    stub.legacy["l"] = content
    assert [fetch(fetcher, "/legacy-order/l").status for _ in range(2)] == [202, 200]
    [path] = fetcher.entries()
    check_fetched(path, LEGACY, "l", content)


IDS = {
    "number sign": "PO-05-#51388860",
    "space": "PO 1",
    "slash": "PO/2025/1",
    "slash first": "/PO",
    "slashes last": "PO//",
    "UTF-8": "Bestellung-ÄÖ-発注-🚚",
    "plus": "PO+1",
    "percent": "100%",
    "escape": "%2e%2e%2f",
    "query": "x?y",
    "parameter": "x&orderId=y",
    "log out": "../authentication/logout",
    "dots": "...",
    "dots below": "PO/..",
    "option": "--help",
    "quotes": "\"'`$(reboot)\\;<>|",
    "unreserved": "-._~",
    "512 bytes": "x" * 512,
    "512 bytes of UTF-8": "é" * 256,
    "a kind": "order",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", IDS)
def test_any_id(fetcher, stub, case, form):
    identifier = IDS[case]
    if form == "bare path" and case in ("a kind", "log out"):
        return  # "/order" is a path without its id, and dots lead out of the location
    if (case, form) == ("log out", "bare path"):
        return  # leads out of the location: see test_weird_paths
    content = offer(stub, ORDER, identifier)
    answer = fetch(fetcher, FORMS[form](ORDER, identifier))
    assert answer.status == 202, (answer.body, fetcher.log())
    [path] = fetcher.entries()
    check_fetched(path, ORDER, identifier, content)
    check_asked(stub, ORDER, identifier)


REFERENCES = {
    "/order/a+b": (ORDER, "a+b"),
    "/a+b": (ORDER, "a+b"),
    "?orderId=a+b": (ORDER, "a b"),
    "?orderId=a%2Bb": (ORDER, "a+b"),
    "/order/%c3%a9%C3%A9": (ORDER, "éé"),
    "/order/a/b": (ORDER, "a/b"),
    "/order/a//b/": (ORDER, "a//b/"),
    "/order/../authentication/logout": (ORDER, "../authentication/logout"),
    "/order/a/./b/../c": (ORDER, "a/./b/../c"),
    "/order/%2e%2e/authentication/logout": (ORDER, "../authentication/logout"),
    "/order/order/a": (ORDER, "order/a"),
    "/orders/a": (ORDER, "a"),
    "/orders/order/a": (ORDER, "a"),
    "/orders/orders/a": (ORDER, "orders/a"),
    "/ordersx/a": (ORDER, "ordersx/a"),
    "/documents?orderId=a": (ORDER, "a"),
    "/shipments/shipment/a": (SHIPMENT, "a"),
    "/%6Frder": (ORDER, "order"),
    "/order/a?x": (ORDER, "a"),
    "/order/a?x=y&orderIds=b": (ORDER, "a"),
    "/order/a?orderId=a": (ORDER, "a"),
    "?orderId=a&orderId=%61": (ORDER, "a"),
    "?x=1&shipmentId=a&y&=&&z=2": (SHIPMENT, "a"),
    "/?legacyOrderId=a": (LEGACY, "a"),
    "/shipment/a": (SHIPMENT, "a"),
    "/shipment/a?shipmentId=a": (SHIPMENT, "a"),
}


@pytest.mark.parametrize("url", REFERENCES)
def test_references(fetcher, stub, url):
    kind, identifier = REFERENCES[url]
    content = offer(stub, kind, identifier)
    answer = fetch(fetcher, url)
    assert answer.status == 202, (answer.body, fetcher.log())
    [path] = fetcher.entries()
    check_fetched(path, kind, identifier, content)
    check_asked(stub, kind, identifier)


# The program answers 400 to these.
BAD = [
    "", "/", "/order/", "/order", "/shipment/", "/shipment", "/legacy-order/", "?orderId=",
    "?shipmentId=", "?legacyOrderId=", "?x=y", "?orderId", "?=a", "?orderid=a",
    "/order/.", "?orderId=.", "?orderId=..", "?orderId=%2e%2E", "/order/%2e",
    "?orderId=a%00b", "?orderId=a%00", "?orderId=%0d%0aX:%20y", "?orderId=a%0A", "?orderId=a%7f",
    "?orderId=%1b[31m", "/order/a%0dX", "/order/a%7fb", "/order/a%1b",
    "?orderId=%", "?orderId=a%4", "?orderId=%zz", "?orderId=%4", "?orderId=a%%20", "?orderId=%+1",
    "?orderId=%ff", "?orderId=%c0%af", "?orderId=%ed%a0%80", "?orderId=%e2%82", "/order/%ff",
    f"?orderId={'x' * 513}", f"/order/{'x' * 513}", f"?orderId={'x' * 5000}",
    f"?orderId={'%C3%A9' * 257}",
    "/order/a?orderId=b", "/order/a?shipmentId=a", "/order/a?orderId=", "/a?legacyOrderId=a",
    "/shipment/a?orderId=a", "?orderId=a&orderId=b", "?orderId=a&shipmentId=a", "?orderId=a&orderId=",
]


@pytest.mark.parametrize("url", BAD, ids=lambda url: url[:40])
def test_bad_references(fetcher, stub, url):
    answer = fetch(fetcher, url)
    check_problem(answer, 400)
    check_nothing_asked(fetcher, stub)
    [line] = fetcher.log_lines()
    assert (line["outcome"], line["status"]) == ("rejected", "400")
    assert line["reason"]


# The web servers answer these themselves, each in its way, before or instead of the program.
WEIRD = ["/..%2Fauthentication%2Flogout", "/order/..", "/order/%2e%2e", "/..", "/../", "/%2e%2e/",
         "/../../etc/passwd", "/order/%zz", "/order/a%", "/order/a%00b", "/order/a%0d%0aX:%20y",
         "/order/a%0a", "/order/a%c0%80", f"/order/{'x' * 5000}", f"/order/{'x' * 20000}"]


@pytest.mark.parametrize("url", WEIRD, ids=lambda url: url[:40])
def test_weird_paths(fetcher, stub, url):
    """Refused; what the servers do not understand, and what is no URL of ours, is 503 here."""
    status = fetch(fetcher, url).status
    assert 400 <= status < 500 or status == 503
    check_nothing_asked(fetcher, stub)


def check_nothing_asked(site, stub):
    assert stub.requests == []
    for state in ("new", "tmp"):
        assert site.entries(state) == []


@pytest.mark.parametrize("auth", [[], ["-u", "tradecloud:wrong"]], ids=["none", "wrong"])
def test_not_authenticated(fetcher, stub, auth):
    offer(stub)
    assert fetch(fetcher, "/order/an-id", auth=auth).status == 401
    check_nothing_asked(fetcher, stub)
    assert fetcher.log_lines() == [], "the program was not even started"


def test_a_location_without_authentication(new_fetcher, stub):
    site = new_fetcher()
    offer(stub)
    site.stop()
    unprotected(site)
    site.start()
    check_problem(fetch(site, "/order/an-id"), 401)
    check_nothing_asked(site, stub)


@pytest.mark.parametrize("size", [1, 300_000])
def test_get_with_a_body(fetcher, stub, size, tmp_path):
    """It means nothing, but is read: a web server may insist on that."""
    offer(stub)
    body = tmp_path / "body"
    body.write_bytes(b"x" * size)
    assert fetch(fetcher, "/order/an-id", "-X", "GET", "-H", "Expect:",
                 "--data-binary", f"@{body}").status == 202


@pytest.mark.parametrize("name", KINDS)
def test_unknown_to_the_api(fetcher, stub, name):
    """404, for good; so the notification is kept, for the operator to look into."""
    kind = KINDS[name]
    for form in ("path", "query"):
        answer = fetch(fetcher, FORMS[form](kind, "no-such-object"))
        check_problem(answer, 404)
    assert fetcher.entries() == fetcher.entries("tmp") == []
    paths = fetcher.entries("rejected")
    assert len(paths) == 2
    for path in paths:
        head = path.read_bytes().split(b"\n\n")[0].decode("ascii")
        fields = dict(line.split(": ", 1) for line in head.splitlines())
        assert fields["Status"] == "404" and fields["Method"] == "GET"
        assert "no-such-object" in head
    for line in fetcher.log_lines():
        assert (line["outcome"], line["status"]) == ("rejected", "404")
        assert "no-such-object" in line["reason"]


@pytest.mark.parametrize("http2", [True, False], ids=["HTTP/2", "HTTP/1.1"])
def test_requests_to_the_api(fetcher, stub, http2):
    """As documented: Basic to log in, Bearer for the object, compression welcome."""
    stub.http2 = http2
    offer(stub)
    assert fetch(fetcher, "/order/an-id", "-H", "X-Secret: x").status == 202
    login, get = stub.requests
    assert login.headers["authorization"].startswith("Basic ")
    assert get.headers["authorization"].startswith("Bearer ")
    for record in (login, get):
        assert record.method == "GET"
        assert record.version == ("2" if http2 else "1.1")
        assert record.headers["user-agent"].startswith("tradecloud-webhook/")
        assert "gzip" in record.headers["accept-encoding"]
        assert not {"x-secret", "refresh-token", "cookie", "referer"} & set(record.headers)


def test_compressed(fetcher, stub):
    content = offer(stub, filler=3_000_000)
    stub.fault("/order/", "gzip")
    assert fetch(fetcher, "/order/an-id").status == 202
    [path] = fetcher.entries()
    check_fetched(path, ORDER, "an-id", content)


# Flow control makes a stub that is written in Python slow.
@pytest.mark.parametrize("http2,size", [(True, 3_000_000), (False, 20_000_000)],
                         ids=["HTTP/2", "HTTP/1.1"])
def test_large(fetcher, stub, http2, size):
    stub.http2 = http2
    content = offer(stub, filler=size)
    assert fetch(fetcher, "/order/an-id").status == 202
    [path] = fetcher.entries()
    check_fetched(path, ORDER, "an-id", content)


def test_cap(new_fetcher, stub):
    site = new_fetcher(TRADECLOUD_MAX_BODY="100000")
    exact = make_object(ORDER, "an-id")
    stub.orders["an-id"] = exact + b" " * (100_001 - len(exact))
    check_problem(fetch(site, "/order/an-id"), 503)
    assert "TRADECLOUD_MAX_BODY=100000" in site.log_lines()[0]["reason"]
    assert site.entries() == site.entries("tmp") == []
    stub.orders["an-id"] = exact + b" " * (100_000 - len(exact))
    assert fetch(site, "/order/an-id").status == 202


def test_order_webhooks_and_fetched_orders_live_together(fetcher, stub):
    """An event and the order that it is about have names of their own."""
    offer(stub, ORDER, f"{BUYER}-PO-1")
    assert send(fetcher, order(1)).status == 202
    assert fetch(fetcher, f"/order/{BUYER}-PO-1").status == 202
    assert len({json.loads(p.read_bytes())["type"] for p in fetcher.entries()}) == 2


# --- configuration ---

BAD_URLS = ["http://api.example.com/v2", "http://localhost.example.com/v2", "http://10.0.0.1/v2",
            "http://127.example.com/v2", "http://127.0.0.1.example.com/v2",
            "http://localhost@api.example.com/v2", "http://127.0.0.1@10.0.0.1/v2"]


@pytest.mark.parametrize("variable", ["TRADECLOUD_API_URL", "TRADECLOUD_LEGACY_API_URL"])
def test_passwords_travel_encrypted(new_fetcher, variable):
    """Plain http is for this machine only."""
    for url in BAD_URLS:
        site = new_fetcher(**{variable: url})
        check_problem(fetch(site, "/legacy-order/x"), 503)
        [line] = site.log_lines()
        assert f"{variable}={url}" in line["reason"]
        site.stop()


BAD_VARIABLES = {"TRADECLOUD_TIMEOUT": ["0", "301", "25s"], "TRADECLOUD_NETRC": ["netrc"],
                 "TRADECLOUD_CA_FILE": ["ca.pem", "/nonexistent"],
                 "TRADECLOUD_FETCH_PROGRAM": ["tradecloud-fetch", "/nonexistent", "/etc/passwd"]}


@pytest.mark.parametrize("variable", BAD_VARIABLES)
def test_bad_configuration(new_fetcher, stub, variable):
    for value in BAD_VARIABLES[variable]:
        site = new_fetcher(**{variable: value})
        check_problem(fetch(site, "/order/an-id"), 503)
        [line] = site.log_lines()
        assert variable in line["reason"]
        assert stub.requests == []
        site.stop()


def test_no_legacy_url(new_fetcher, stub):
    offer(stub)
    site = new_fetcher(TRADECLOUD_LEGACY_API_URL=None)
    check_problem(fetch(site, "/legacy-order/x"), 503)
    assert "TRADECLOUD_LEGACY_API_URL" in site.log_lines()[0]["reason"]
    assert stub.requests == []
    assert fetch(site, "/order/an-id").status == 202


def test_base_urls_may_end_in_a_slash(new_fetcher, stub):
    site = new_fetcher(TRADECLOUD_API_URL=f"{stub.url}/",
                       TRADECLOUD_LEGACY_API_URL=f"{stub.legacy_url}/")
    for kind in KINDS.values():
        offer(stub, kind, "an-id")
        assert fetch(site, f"/{kind.name}/an-id").status == 202
        assert stub.gets()[-1].path == f"{kind.api_path}an-id"
