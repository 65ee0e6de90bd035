"""Exactly those get in who should: by password or by bearer token, on one URL, behind either
server; and nobody where nobody is asked."""

import base64
import itertools
import re

import pytest
from admission import (add_user, admit_tokens, basic, bearer, edit, make_token, post, restart,
                       tokens_file, uncomment, write_tokens)
from client import order, send
from fetching import api_environment, empty, fetch, offer
from server import USER
from test_answers import check_nothing_kept, check_problem

FIRST, SECOND, REMOVED = (make_token() for _ in range(3))
LONG = (make_token() * 128)[:8192]
VERSIONS = itertools.count(1000)


@pytest.fixture
def gate(server, shared_sites, directory, authority, stub):
    """A running site that admits by password and by three tokens."""
    name = f"{server.name}-gate"
    if name not in shared_sites:
        site = server(directory / name, authority, environment=api_environment(stub))
        add_user(site, USER, site.password)
        admit_tokens(site)
        shared_sites[name] = site.start()
    write_tokens(shared_sites[name], FIRST, SECOND, LONG)
    empty(shared_sites[name])
    return shared_sites[name]


def admitted(site, method, options, stub):
    """Send a new event, or call for a new version of an order. Returns the answer, and whether it
    came into the spool."""
    before = len(site.entries())
    if method == "POST":
        answer = send(site, order(), auth=options)
    else:
        offer(stub, version=next(VERSIONS))
        answer = fetch(site, "/order/an-id", auth=options)
    return answer, len(site.entries()) > before


ADMITTED = {
    "password": lambda site: basic(site),
    "token": lambda site: bearer(FIRST),
    "second token": lambda site: bearer(SECOND),
    "token of 8 kB": lambda site: bearer(LONG),
    "bearer": lambda site: bearer(FIRST, "bearer"),
    "BEARER": lambda site: bearer(FIRST, "BEARER"),
    "spaces": lambda site: bearer(f"  {FIRST}"),
    "basic": lambda site: bearer(encoded(site), "basic"),
    "password and headers": lambda site: [*basic(site), "-H", "Proxy-Authorization: Bearer x",
                                          "-H", "Auth-Type: None", "-H", "Proxy: http://x"],
}

REFUSED = {
    "nothing": lambda site: [],
    "wrong password": lambda site: basic(site, password="wrong"),
    "no password": lambda site: basic(site, password=""),
    "stranger": lambda site: basic(site, user="stranger"),
    "token as password": lambda site: basic(site, password=FIRST),
    "password as token": lambda site: bearer(site.password),
    "Basic as token": lambda site: bearer(encoded(site)),
    "token as Basic": lambda site: bearer(FIRST, "Basic"),
    "wrong token": lambda site: bearer(make_token()),
    "removed token": lambda site: bearer(REMOVED),
    "its hash": lambda site: bearer(tokens_file(site).read_text().split()[-1]),
    "half a token": lambda site: bearer(FIRST[:32]),
    "more than a token": lambda site: bearer(FIRST + "0"),
    "two tokens": lambda site: bearer(f"{FIRST} {SECOND}"),
    "wrong token of 8 kB": lambda site: bearer(LONG[1:] + "g"),
    "no token": lambda site: ["-H", "Authorization: Bearer"],
    "scheme only": lambda site: ["-H", "Authorization: Basic"],
    "empty header": lambda site: ["-H", "Authorization;"],
    "token only": lambda site: ["-H", f"Authorization: {FIRST}"],
    "another scheme": lambda site: bearer(FIRST, "Token"),
    "almost the scheme": lambda site: bearer(FIRST, "Bearers"),
    "garbage": lambda site: ["-H", "Authorization: \xff=,;\"'"],
    "8 kB of garbage": lambda site: ["-H", "Authorization: " + "%" * 8192],
    "for a proxy": lambda site: ["-H", f"Proxy-Authorization: Bearer {FIRST}"],
    "names of variables": lambda site: [
        x for name in ("AUTH_TYPE", "Auth-Type", "REMOTE_USER", "Remote-User", "X-Forwarded-User",
                       "HTTP_AUTHORIZATION", "Http-Authorization", "Redirect-AUTH_TYPE")
        for x in ("-H", f"{name}: Bearer {FIRST}")],
}


def encoded(site):
    return base64.b64encode(f"{USER}:{site.password}".encode()).decode()


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("case", ADMITTED)
def test_admitted(gate, stub, case, method):
    answer, arrived = admitted(gate, method, ADMITTED[case](gate), stub)
    assert (answer.status, arrived) == (202, True), (answer.body, gate.log())


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("case", REFUSED)
def test_refused(gate, stub, case, method):
    options = REFUSED[case](gate)
    answer, arrived = admitted(gate, method, options, stub)
    assert (answer.status, arrived) == (401, False), (answer.body, gate.log())
    assert 'Basic realm="tradecloud"' in answer.headers["www-authenticate"]
    lines = check_nothing_kept(gate, 401)
    asked = any(option.lower().startswith("authorization: bearer") and
                option[21:22] in ("", " ") for option in options)
    assert len(lines) == asked, "only a bearer token is the program's to judge"
    if asked:
        check_problem(answer, 401)
        assert 'Bearer realm="tradecloud", error="invalid_token"' in answer.headers["www-authenticate"]
    assert not any(secret in str(lines) for secret in (FIRST, SECOND, gate.password))


def test_refused_with_a_body(gate):
    """It is read to its end all the same, or the answer might not arrive."""
    for chunked in (False, True):
        answer = send(gate, order(filler=3_000_000), chunked=chunked, auth=bearer("x"))
        check_problem(answer, 401)
    assert len(check_nothing_kept(gate, 401)) == 2


# One request with two headers, or one that names two schemes: Apache makes one of two, and takes the
# first; nginx refuses to choose.
BOTH = {
    "password, token": (lambda site: [basic(site), bearer(FIRST)], 202, 503),
    "token, password": (lambda site: [bearer(FIRST), basic(site)], 401, 503),
    "password, wrong token": (lambda site: [basic(site), bearer("x")], 202, 503),
    "wrong token, password": (lambda site: [bearer("x"), basic(site)], 401, 503),
    "wrong password, token": (lambda site: [basic(site, "x"), bearer(FIRST)], 401, 503),
    "both wrong": (lambda site: [basic(site, "x"), bearer("x")], 401, 503),
    "two tokens": (lambda site: [bearer(FIRST), bearer(SECOND)], 401, 503),
}


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("case", BOTH)
def test_both_at_once(gate, stub, case, method):
    make, *statuses = BOTH[case]
    headers = []
    for option, value in make(gate):
        if option == "-u":
            option, value = bearer(encoded(gate) if value == basic(gate)[1] else "eDp4", "Basic")
        headers += [option, value]
    answer, arrived = admitted(gate, method, headers, stub)
    expected = statuses[gate.name == "nginx"]
    assert (answer.status, arrived) == (expected, expected == 202), gate.log()


def test_token_in_the_query(gate):
    """RFC 6750 section 2.3 allows it; we do not, as URLs are logged."""
    answer = send(gate, order(), auth=[], path=f"?access_token={FIRST}")
    assert answer.status == 401
    assert check_nothing_kept(gate, 401) == []


def test_tokens_are_off_by_default(site):
    """Nothing but the password admits where TRADECLOUD_BEARER_FILE is not set."""
    write_tokens(site, FIRST)
    answer = post(site, bearer(FIRST))
    check_problem(answer, 401)
    assert answer.headers["www-authenticate"] == 'Basic realm="tradecloud", charset="UTF-8"'
    [line] = check_nothing_kept(site, 401)
    assert "TRADECLOUD_BEARER_FILE" in line["reason"]


def test_what_the_program_is_told(gate, tmp_path):
    """A token it must judge; a password it need not know."""
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\ncat >/dev/null\nprintf 'Content-Type: text/plain\\n\\n'\nenv\n")
    gate.install_program(program)
    by_password = post(gate, basic(gate)).body.decode()
    by_token = post(gate, bearer(FIRST, "bearer")).body.decode()
    gate.install_program()
    assert "\nAUTH_TYPE=Basic\n" in by_password and encoded(gate) not in by_password
    assert f"\nHTTP_AUTHORIZATION=bearer {FIRST}\n" in by_token
    assert not re.search("^AUTH_TYPE=.", by_token, re.MULTILINE)


# --- trouble with the file ---

def missing(path):
    path.rename(path.with_suffix(".away"))


def unreadable(path):
    path.chmod(0o040)


def directory_instead(path):
    missing(path)
    path.mkdir()


FILE_FAULTS = {
    "missing": (missing, "No such file"),
    "unreadable": (unreadable, "Permission denied"),
    "directory": (directory_instead, "is not a file"),
    "world-writable": (lambda path: path.chmod(0o646), "others may write"),
    "group-writable": (lambda path: path.chmod(0o660), "others may write"),
    "malformed": (lambda path: path.write_text(path.read_text() + "x\n"), "line 6 of"),
    "the token itself": (lambda path: path.write_text(FIRST[:20] + "\n"), "line 1 of"),
    "empty": (lambda path: path.write_text(""), "has no token"),
    "comments only": (lambda path: path.write_text("# none\n"), "has no token"),
    "large": (lambda path: path.write_text("#" * 65537), "larger than"),
}


@pytest.mark.parametrize("case", FILE_FAULTS)
def test_file_faults(gate, case):
    """Nobody gets in, nobody is refused for good; and the password works all the while."""
    damage, reason = FILE_FAULTS[case]
    path = tokens_file(gate)
    damage(path)
    try:
        for token in (FIRST, make_token()):
            check_problem(post(gate, bearer(token)), 503)
        lines = check_nothing_kept(gate, 503)
        assert len(lines) == 2
        assert all(reason in line["reason"] and str(path) in line["reason"] for line in lines), lines
        assert FIRST not in gate.log()
        assert post(gate, basic(gate)).status == 202
        assert post(gate, basic(gate, password="x")).status == 401
    finally:
        if path.is_dir():
            path.rmdir()
    write_tokens(gate, FIRST)
    assert post(gate, bearer(FIRST)).status == 202


@pytest.mark.parametrize("value", ["", "bearer", "./bearer"])
def test_bad_path(new_site, value):
    """503 for everybody: what the operator meant is not known."""
    site = new_site(environment={"TRADECLOUD_BEARER_FILE": value})
    for auth in (bearer(FIRST), basic(site)):
        check_problem(post(site, auth), 503)
    assert all("TRADECLOUD_BEARER_FILE=" in line["reason"] for line in check_nothing_kept(site, 503))


# --- each webhook on its own ---

WEBHOOKS = ("orders", "documents", "shipments")


@pytest.fixture
def separate(server, shared_sites, directory, authority, stub):
    """A site with a user and a token for each webhook, and others for what is left."""
    name = f"{server.name}-separate"
    if name not in shared_sites:
        site = server(directory / name, authority, environment=api_environment(stub))
        if server.name == "apache":
            separate_apache(site)
        else:
            for webhook in WEBHOOKS:
                uncomment(site, "site.conf", f"/tradecloud/{webhook} ")
            admit_tokens(site)
        for webhook in WEBHOOKS:
            add_user(site, webhook, f"{webhook}-password", f"htpasswd-{webhook}")
            write_tokens(site, f"{webhook}-token", name=f"bearer-{webhook}")
        write_tokens(site, "base-token")
        shared_sites[name] = site.start()
    empty(shared_sites[name])
    return shared_sites[name]


def separate_apache(site):
    """Uncomment the example, and repeat it for the other two."""
    admit_tokens(site)
    path = site.directory / "etc/location.conf"
    text = path.read_text()
    start = text.index('#<Location "/tradecloud/orders">')
    end = text.index("#</Location>", start) + len("#</Location>\n")
    example = text[start:end].replace("#", "")
    blocks = "".join(example.replace("orders", webhook) for webhook in WEBHOOKS)
    path.write_text(text[:start] + blocks + text[end:])


@pytest.mark.parametrize("webhook", WEBHOOKS)
def test_separate_credentials(separate, webhook, stub):
    """Each URL admits its own user and token, by POST and by GET, and no other's."""
    for auth in (basic(separate, webhook, f"{webhook}-password"), bearer(f"{webhook}-token")):
        for path in (f"/{webhook}", f"/{webhook}/any/path"):
            assert send(separate, order(), auth=auth, path=path).status == 202
        for path in (f"/{webhook}/order/an-id", f"/{webhook}?orderId=an-id"):
            offer(stub, version=next(VERSIONS))
            assert fetch(separate, path, auth=auth).status == 202
        assert post(separate, auth).status == 401
    for other in (*WEBHOOKS, "base"):
        for auth in (basic(separate, other, f"{other}-password"), bearer(f"{other}-token")):
            if other != webhook:
                assert send(separate, order(), auth=auth, path=f"/{webhook}").status == 401
                assert fetch(separate, f"/{webhook}/order/an-id", auth=auth).status == 401


def test_what_is_left(separate):
    """The plain URL admits who is in the plain files; a name that only begins alike is none."""
    for path in ("", "/", "/ordersx", "/order", "/x/orders"):
        assert send(separate, order(), path=path).status == 202, path
        assert send(separate, order(), path=path, auth=bearer("base-token")).status == 202, path
        assert send(separate, order(), path=path, auth=bearer("orders-token")).status == 401, path


# Ways to write the path of a webhook, and whose it is.
PATHS = {"/orders/../documents": "documents", "/documents/%2e%2e/orders": "orders",
         "//orders": "orders", "/./orders": "orders", "/%6frders": "orders", "/orders/": "orders",
         "/x/../orders": "orders", "/orders%2f..%2fdocuments": "documents", "/orders;x": "base",
         "/ORDERS": "base"}


@pytest.mark.parametrize("path", PATHS)
def test_disguised_paths(separate, path):
    """However a URL is written, only the credentials of what it comes to in the end admit."""
    for webhook in (*WEBHOOKS, "base"):
        answer = send(separate, order(), auth=["--path-as-is", *bearer(f"{webhook}-token")], path=path)
        assert answer.status == (202 if webhook == PATHS[path] else 401), webhook


def test_one_set_for_all(gate):
    """As shipped, the three names admit like the plain one."""
    for webhook in WEBHOOKS:
        assert send(gate, order(), path=f"/{webhook}").status == 202
        assert send(gate, order(), auth=bearer(FIRST), path=f"/{webhook}").status == 202
        assert send(gate, order(), auth=[], path=f"/{webhook}").status == 401


# --- addresses ---

def test_allow_list(server, place, authority):
    """From elsewhere, nobody gets in, and the sender hears 503; the credentials are needed still."""
    site = server(place / "site", authority)
    admit_tokens(site)
    write_tokens(site, FIRST)
    line = "Require ip 35." if server.name == "apache" else "allow 35."
    uncomment(site, "location.conf", line)
    with site:
        for auth in (basic(site), bearer(FIRST), [], basic(site, password="x"), bearer("x")):
            check_problem(post(site, auth), 503)
        assert check_nothing_kept(site, 503) == [], "the program was not even started"
        site.stop()
        edit(site, "location.conf", ("34.90.20.233", "127.0.0.1"))
        site.start()
        for auth, status in ((basic(site), 202), (bearer(FIRST), 202), ([], 401),
                             (basic(site, password="x"), 401), (bearer("x"), 401)):
            assert post(site, auth).status == status, auth


# --- where nobody is asked ---

def unprotected_apache(site, more=""):
    return f"""
ScriptAlias "/tradecloud" "{site.program}"
<Location "/tradecloud">
    Require all granted
    CGIPassAuth On
    SetEnv TRADECLOUD_SPOOL "{site.spool}"
    {more}
</Location>
"""


def unprotected_nginx(site, more=""):
    return f"""
location /tradecloud {{
    include /etc/nginx/fastcgi_params;
    fastcgi_param SCRIPT_FILENAME {site.program};
    fastcgi_param SCRIPT_NAME /tradecloud;
    fastcgi_param REMOTE_USER $remote_user;
    fastcgi_param TRADECLOUD_SPOOL {site.spool};
    fastcgi_pass unix:{site.directory}/run/fcgiwrap;
    {more}
}}
location = /.tradecloud/unavailable {{ return 503; }}
"""


def lay_bare(site, more=""):
    """Put the program into a place that asks nobody who he is."""
    text = (unprotected_apache if site.name == "apache" else unprotected_nginx)(site, more)
    (site.directory / "etc/location.conf").write_text(text)
    if site.name == "nginx":
        # The maps, which stand beside it, name what the location would have defined.
        path = site.directory / "etc/site.conf"
        path.write_text(path.read_text().replace("map $tradecloud_webhook", "map $uri"))
    restart(site)


CLAIMS = {
    "nothing": [],
    "password": ["-u", "tradecloud:x"],
    "token": ["-H", f"Authorization: Bearer {FIRST}"],
    "Digest": ["-H", 'Authorization: Digest username="tradecloud"'],
    "Negotiate": ["-H", "Authorization: Negotiate YII="],
    "Proxy": ["-H", "Proxy: http://127.0.0.1:1"],
    "Forwarded": ["-H", "X-Forwarded-For: 127.0.0.1", "-H", "X-Forwarded-User: tradecloud",
                  "-H", "X-Forwarded-Proto: https", "-H", "Forwarded: for=127.0.0.1;by=x",
                  "-H", "X-Real-IP: 35.204.224.107"],
    "names of variables": ["-H", "Remote-User: tradecloud", "-H", "Auth-Type: Basic",
                           "-H", "AUTH_TYPE: Basic", "-H", "REMOTE_USER: tradecloud",
                           "-H", "X-AUTH_TYPE: Basic"],
}


def test_unprotected(new_site):
    """In a plain cgi-bin, every request is 401, whatever a client brings about."""
    site = new_site()
    lay_bare(site)
    count = 0
    for options in CLAIMS.values():
        for answer in (post(site, options), fetch(site, "/order/an-id", auth=options),
                       fetch(site, "?AUTH_TYPE=Basic&orderId=an-id", auth=options),
                       send(site, order(), "DELETE", auth=options),
                       send(site, b"no JSON", auth=options),
                       send(site, order(filler=500_000), auth=options)):
            check_problem(answer, 401)
            count += 1
    assert len(check_nothing_kept(site, 401)) == count


def test_unprotected_but_for_tokens(new_site):
    """In such a place, only the right token gets in."""
    site = new_site()
    write_tokens(site, FIRST)
    path = tokens_file(site)
    lay_bare(site, f"SetEnv TRADECLOUD_BEARER_FILE {path}" if site.name == "apache" else
             f"fastcgi_param TRADECLOUD_BEARER_FILE {path};")
    for name, options in CLAIMS.items():
        assert post(site, options).status == (202 if name == "token" else 401), name
    for auth in (bearer(SECOND), basic(site), ["-u", f"x:{FIRST}"]):
        assert post(site, auth).status == 401, auth
    assert len(site.entries()) == 1


