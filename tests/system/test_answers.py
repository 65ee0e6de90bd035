"""Every answer but success: the right status, a problem that says why, and nothing in new/."""

import pytest
from client import credentials, curl, order, send

VALID = order(identifier="valid")


def check_problem(answer, status):
    assert answer.status == status, (answer.status, answer.body)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["type"] == "about:blank"
    assert problem["title"] and problem["detail"]
    if status in (502, 503, 504):
        assert int(answer.headers["retry-after"]) > 0
        assert "/" not in problem["detail"], "a path of ours is nobody's business"
    return problem["detail"]


def check_rejected(site, body, status, reason):
    """One file in rejected/, with the reason and the body as it came; nothing in new/."""
    assert site.entries() == []
    assert site.entries("tmp") == []
    [path] = site.entries("rejected")
    assert path.stat().st_mode & 0o7777 == 0o640
    head, kept = path.read_bytes().split(b"\n\n", 1)
    assert kept == body
    fields = dict(line.split(": ", 1) for line in head.decode("ascii").splitlines())
    assert fields["Status"] == str(status)
    assert reason in fields["Reason"]
    assert fields["Remote-Address"] == "127.0.0.1"
    [line] = site.log_lines()
    assert (line["outcome"], line["status"], line["file"]) == ("rejected", str(status), path.name)
    assert reason in line["reason"]


def check_nothing_kept(site, status):
    for state in ("new", "rejected", "tmp"):
        assert site.entries(state) == []
    lines = site.log_lines()
    assert [line["status"] for line in lines] == [str(status)] * len(lines)
    return lines


MALFORMED = {
    "words": (b"no JSON", "at byte 1: a word"),
    "truncated": (VALID[:-1], f"at byte {len(VALID) - 1}: the text ends"),
    "trailing": (VALID + b"x", f"at byte {len(VALID)}: nothing may follow"),
    "two texts": (VALID + VALID, "nothing may follow"),
    "array": (b"[" + VALID + b"]", "not an object"),
    "string": (b'"{}"', "not an object"),
    "NUL": (b'{"a":"\0"}', "at byte 6: a control character"),
    "NUL behind": (VALID + b"\0", "nothing may follow"),
    "newline in string": (b'{"a":"\n"}', "a control character"),
    "not UTF-8": (b'{"a":"\xff"}', "at byte 6: a byte that is not UTF-8"),
    "Latin-1": ('{"a":"é"}'.encode("latin-1"), "not UTF-8"),
    "UTF-16": (VALID.decode().encode("utf-16"), "at byte 0"),
    "byte order mark": (b"\xef\xbb\xbf" + VALID, "at byte 0"),
    "surrogate": (b'{"a":"\\ud800"}', "surrogate"),
    "number": (b'{"a":01}', "at byte 6: a number may not begin with 0"),
    "NaN": (b'{"a":NaN}', "at byte 5"),
    "comma": (b'{"a":1,}', "at byte 7: a member name"),
    "single quotes": (b"{'a':1}", "at byte 1: a member name"),
    "deep": (b'{"a":' + b"[" * 100_000, "nested more than 512 levels"),
    "XML": (b"<order/>", "at byte 0"),
    "space": (b"  ", "the text ends"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed(site, case):
    body, reason = MALFORMED[case]
    answer = send(site, body)
    assert reason in check_problem(answer, 400)
    check_rejected(site, body, 400, reason)


def test_malformed_20_megabytes(site):
    body = order(filler=20_000_000)[:-2]
    check_problem(send(site, body), 400)
    check_rejected(site, body, 400, "the text ends")


@pytest.mark.parametrize("chunked", [False, True], ids=["counted", "chunked"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_empty(site, method, chunked):
    assert "empty" in check_problem(send(site, b"", method, chunked), 400)
    assert len(check_nothing_kept(site, 400)) == 1


def test_no_body_at_all(site):
    check_problem(curl(site, "-X", "POST"), 400)
    check_nothing_kept(site, 400)


@pytest.mark.parametrize("content_type", ["application/xml", "text/plain", "application/jsonp",
                                          "text/json", "application/x-www-form-urlencoded"])
def test_media_type(site, content_type):
    assert "content type" in check_problem(send(site, VALID, content_type=content_type), 415)
    check_rejected(site, VALID, 415, "content type")


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "OPTIONS", "BREW"])
def test_method(site, method):
    answer = send(site, VALID, method)
    check_problem(answer, 405)
    assert answer.headers["allow"] == "GET, POST, PUT"
    check_rejected(site, VALID, 405, "method")


@pytest.mark.parametrize("option", [["-I"], ["-X", "OPTIONS"]])
def test_method_without_body(site, option):
    answer = curl(site, *option)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, POST, PUT"
    check_nothing_kept(site, 405)


@pytest.mark.parametrize("size", [200, 1_500_000])
@pytest.mark.parametrize("auth", [[], ["-u", "tradecloud:wrong"], ["-u", "nobody:x"],
                                  ["-H", "Authorization: Basic"],
                                  ["-H", "AUTH_TYPE: Basic"], ["-H", "Auth-Type: Basic"]],
                         ids=["none", "wrong", "stranger", "garbage", "name", "header"])
def test_not_authenticated(site, auth, size):
    answer = send(site, order(filler=size), auth=auth)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic realm=")
    assert check_nothing_kept(site, 401) == [], "the program was not even started"


def unprotected(site):
    """Take the authentication out of the shipped location, as a hurried operator might."""
    location = site.directory / "etc/location.conf"
    lines = location.read_text().splitlines()
    words = ("auth_basic", "AuthType", "AuthName", "AuthBasic", "AuthUser", "Require valid-user",
             "fastcgi_param AUTH_TYPE")
    kept = [line for line in lines if not line.strip().startswith(words)]
    text = "\n".join(kept).replace('<Location "/tradecloud">',
                                   '<Location "/tradecloud">\nRequire all granted')
    location.write_text(text)


@pytest.mark.parametrize("size", [200, 3_000_000])
def test_a_location_without_authentication(new_site, size):
    """Nobody is let in then, whatever a client says of itself; and a body is read all the same."""
    site = new_site()
    site.stop()
    unprotected(site)
    site.start()
    for auth in ([], credentials(site), ["-H", "AUTH_TYPE: Basic", "-H", "Remote-User: x"]):
        answer = send(site, order(filler=size), auth=auth)
        check_problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Basic realm=")
    lines = check_nothing_kept(site, 401)
    assert len(lines) == 3
    assert all("AUTH_TYPE" in line["reason"] for line in lines)


@pytest.mark.parametrize("chunked", [False, True], ids=["counted", "chunked"])
def test_over_the_cap(new_site, chunked):
    site = new_site(environment={"TRADECLOUD_MAX_BODY": "100000"})
    exact = VALID + b" " * (100_000 - len(VALID))
    check_problem(send(site, exact + b" ", chunked=chunked), 503)
    check_problem(send(site, exact * 30, chunked=chunked), 503)
    lines = check_nothing_kept(site, 503)
    assert len(lines) == 2
    assert all("TRADECLOUD_MAX_BODY=100000: raise it" in line["reason"] for line in lines)
    assert send(site, exact, chunked=chunked).status == 202


@pytest.mark.parametrize("chunked", [False, True], ids=["counted", "chunked"])
def test_over_the_cap_of_the_server(site, chunked):
    """The server's limit is the program's default."""
    assert send(site, VALID + b" " * (33554432 - len(VALID)), chunked=chunked).status == 202
    check_problem(send(site, b" " * 33554433, chunked=chunked), 503)
    assert len(site.entries()) == 1


BAD_CONFIGURATION = {
    "TRADECLOUD_SPOOL": ["spool", "./spool"],
    "TRADECLOUD_MAX_BODY": ["32M", "0", "-1", "99999999999999999999", "x"],
    "TRADECLOUD_MIN_FREE": ["64MB", "-1", "1e6"],
    "TRADECLOUD_API_URL": ["api.tradecloud1.com", "ftp://x", "https://a b"],
}


@pytest.mark.parametrize("variable", BAD_CONFIGURATION)
def test_bad_configuration(new_site, variable):
    for value in BAD_CONFIGURATION[variable]:
        site = new_site(environment={variable: value})
        check_problem(send(site, VALID), 503)
        [line] = check_nothing_kept(site, 503)
        assert f"{variable}={value}" in line["reason"]
        site.stop()
