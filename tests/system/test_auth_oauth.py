"""OAuth 2.0 behind Apache: of all access tokens, those get in that the platform has made for this
webhook and Tradecloud, now."""

import base64
import hashlib
import hmac
import http.server
import json
import secrets
import ssl
import subprocess
import threading
import time

import pytest
from admission import basic, bearer, edit
from client import order, send
from fetching import api_environment, empty, fetch, offer
from server import MODULES, TOP, Apache, Nginx, run, substitute
from test_answers import check_nothing_kept, check_problem

TENANT, AUDIENCE, CLIENT = "a-tenant", "api://an-audience", "a-client"
ISSUER = f"https://login.microsoftonline.com/{TENANT}/v2.0"


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """An RSA key of the platform, or of somebody else."""

    def __init__(self, directory, identifier):
        self.identifier = identifier
        self.private = directory / f"{identifier}.key"
        self.certificate = directory / f"{identifier}.pem"
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.private,
            "-out", self.certificate, "-days", "2", "-subj", "/CN=platform", stderr=subprocess.DEVNULL)
        self.certificate.chmod(0o644)

    def public(self):
        return run("openssl", "x509", "-in", self.certificate, "-noout", "-pubkey",
                   capture_output=True).stdout

    def sign(self, message):
        return run("openssl", "dgst", "-sha256", "-sign", self.private, input=message,
                   capture_output=True).stdout

    def jwk(self):
        """As in RFC 7517, the modulus by openssl; its exponent is always 65537."""
        modulus = run("openssl", "x509", "-in", self.certificate, "-noout", "-modulus",
                      capture_output=True, text=True).stdout.strip().split("=")[1]
        return {"kty": "RSA", "use": "sig", "kid": self.identifier, "e": "AQAB",
                "n": encode(bytes.fromhex(modulus))}


@pytest.fixture(scope="module")
def keys(directory):
    place = directory / f"keys-{secrets.token_hex(4)}"
    place.mkdir()
    return Key(place, "platform"), Key(place, "stranger"), Key(place, "next")


def make_jwt(key, algorithm="RS256", sign=None, header=None, **changes):
    """An access token; a claim that is None is left out."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "azp": CLIENT, "sub": CLIENT, "ver": "2.0",
              "iat": now - 5, "nbf": now - 5, "exp": now + 600, **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    header = {"typ": "JWT", "alg": algorithm, "kid": key.identifier, **(header or {})}
    header = {name: value for name, value in header.items() if value is not None}
    message = ".".join(encode(json.dumps(part).encode()) for part in (header, claims))
    return f"{message}.{encode((sign or key.sign)(message.encode()))}"


def keyed_with(secret):
    """HS256 with something that everybody knows."""
    return lambda message: hmac.new(secret, message, hashlib.sha256).digest()


def forged_claims(token):
    """A good token with one letter of its claims changed."""
    head, claims, signature = token.split(".")
    text = base64.urlsafe_b64decode(claims + "==").replace(b'"sub": "a', b'"sub": "b')
    return f"{head}.{encode(text)}.{signature}"


GOOD = {
    "valid": lambda key, _: make_jwt(key),
    "no kid": lambda key, _: make_jwt(key, header={"kid": None}),
    "one of several audiences": lambda key, _: make_jwt(key, aud=["other", AUDIENCE]),
    "no nbf": lambda key, _: make_jwt(key, nbf=None),
}

BAD = {
    "expired": lambda key, _: make_jwt(key, exp=int(time.time()) - 3600),
    "just expired": lambda key, _: make_jwt(key, exp=int(time.time()) - 1),
    "without an end": lambda key, _: make_jwt(key, exp=None),
    "not yet valid": lambda key, _: make_jwt(key, nbf=int(time.time()) + 60),
    "wrong audience": lambda key, _: make_jwt(key, aud="api://another"),
    "longer audience": lambda key, _: make_jwt(key, aud=AUDIENCE + "x"),
    "no audience": lambda key, _: make_jwt(key, aud=None),
    "wrong issuer": lambda key, _: make_jwt(key, iss=ISSUER.replace(TENANT, "b-tenant")),
    "no issuer": lambda key, _: make_jwt(key, iss=None),
    "wrong client": lambda key, _: make_jwt(key, azp="b-client"),
    "no client": lambda key, _: make_jwt(key, azp=None),
    "wrong key": lambda key, other: make_jwt(key, sign=other.sign),
    "unknown key": lambda _, other: make_jwt(other),
    "wrong key, no kid": lambda _, other: make_jwt(other, header={"kid": None}),
    "key in the token": lambda _, other: make_jwt(other, header={"jwk": other.jwk()}),
    "forged": lambda key, _: forged_claims(make_jwt(key)),
    "alg none": lambda key, _: make_jwt(key, "none", sign=lambda _: b""),
    "alg None": lambda key, _: make_jwt(key, "None", sign=lambda _: b""),
    "no signature": lambda key, _: make_jwt(key, sign=lambda _: b""),
    "HS256 by the public key": lambda key, _: make_jwt(key, "HS256", keyed_with(key.public())),
    "HS256 by its text": lambda key, _: make_jwt(key, "HS256", keyed_with(key.public().strip())),
    "HS256 by the certificate": lambda key, _: make_jwt(
        key, "HS256", keyed_with(key.certificate.read_bytes())),
    "HS256 by nothing": lambda key, _: make_jwt(key, "HS256", keyed_with(b"")),
    "no JWT": lambda *_: secrets.token_hex(32),
    "almost one": lambda *_: "a.b.c",
}


class OAuth(Apache):
    """A site with the shipped configuration for OAuth at /tradecloud/orders."""

    def configure(self):
        super().configure()
        etc = self.directory / "etc"
        substitute("apache/apache-oauth.conf", etc / "oauth.conf", {
            "/TENANT/": f"/{TENANT}/", "aud:AUDIENCE": f"aud:{AUDIENCE}", "azp:CLIENT": f"azp:{CLIENT}"})
        edit(self, "site.conf", ('location.conf"', f'location.conf"\n    Include "{etc}/oauth.conf"'))
        edit(self, "apache2.conf", ("ServerName localhost", "\n".join(
            f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in ("headers", "auth_openidc"))
            + "\nServerName localhost"))


def with_certificate(site, key):
    """Take the lines that fetch keys out, and put the one in that reads a certificate."""
    text = (TOP / "apache/apache-oauth.conf").read_text()
    start, end = text.index("# Microsoft changes"), text.index("# With a key")
    edit(site, "oauth.conf",
         (text[start:end].replace("/TENANT/", f"/{TENANT}/"), ""),
         ('#OIDCOAuthVerifyCertFiles "KEY#/etc/tradecloud/oauth.pem"',
          f'OIDCOAuthVerifyCertFiles "{key.identifier}#{key.certificate}"'))


@pytest.fixture(scope="module")
def shared_oauth(directory, authority, keys, shared_stub):
    path = directory / f"oauth-{secrets.token_hex(4)}"
    site = OAuth(path, authority, environment=api_environment(shared_stub))
    with_certificate(site, keys[0])
    with site:
        yield site


@pytest.fixture
def oauth(shared_oauth, stub):
    empty(shared_oauth)
    return shared_oauth


def post(site, auth, **options):
    return send(site, order(), auth=auth, path="/orders", **options)


@pytest.mark.parametrize("case", GOOD)
def test_good_token(oauth, keys, case, stub):
    token = GOOD[case](*keys[:2])
    assert post(oauth, bearer(token)).status == 202, oauth.log()
    offer(stub, version=int(time.time() * 1000))
    assert fetch(oauth, "/orders/order/an-id", auth=bearer(token, "bearer")).status == 202
    assert token not in oauth.log()


@pytest.mark.parametrize("case", BAD)
def test_bad_token(oauth, keys, case):
    token = BAD[case](*keys[:2])
    for answer in (post(oauth, bearer(token)),
                   fetch(oauth, "/orders/order/an-id", auth=bearer(token))):
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith('Bearer realm="tradecloud", error=')
    assert check_nothing_kept(oauth, 401) == [], "the program was not even started"


def test_other_credentials(oauth, keys):
    """No password admits there, and no token elsewhere; and what the server says of a caller, a
    client cannot say."""
    late = make_jwt(keys[0], nbf=int(time.time()) + 3600)
    for auth in ([], basic(oauth), ["-H", "Authorization: Bearer"], ["-H", f"Cookie: x={late}"],
                 [*bearer(late), "-H", "Tradecloud-Now: t=9999999999000000"],
                 [*bearer(late), "-H", "OIDC_CLAIM_nbf: 1", "-H", "OIDC-CLAIM-nbf: 1"],
                 ["-H", f"X-Access-Token: {make_jwt(keys[0])}", "-H", "AUTH_TYPE: oauth20"],
                 ["-H", "Remote-User: x", "-H", "OIDC_CLAIM_azp: a-client"]):
        assert post(oauth, auth).status == 401, auth
    assert send(oauth, order(), auth=[], path=f"/orders?access_token={make_jwt(keys[0])}").status == 401
    assert check_nothing_kept(oauth, 401) == []
    assert send(oauth, order(), auth=bearer(make_jwt(keys[0]))).status == 401
    assert send(oauth, order(), auth=bearer(make_jwt(keys[0])), path="/documents").status == 401
    assert send(oauth, order()).status == 202


def test_version_1(place, authority, keys):
    """Older tokens name issuer and client in another way, and the configuration says in which."""
    site = OAuth(place / "site", authority)
    with_certificate(site, keys[0])
    older = f"https://sts.windows.net/{TENANT}/"
    edit(site, "oauth.conf", (f"iss:{ISSUER}", f"iss:{older}"), ("azp:", "appid:"),
         ("UserClaim azp", "UserClaim appid"))
    with site:
        assert post(site, bearer(make_jwt(keys[0], iss=older, appid=CLIENT, azp=None))).status == 202
        for token in (make_jwt(keys[0]), make_jwt(keys[0], iss=older),
                      make_jwt(keys[0], iss=older, appid="b-client"),
                      make_jwt(keys[0], iss=older, appid=CLIENT, nbf=int(time.time()) + 60)):
            assert post(site, bearer(token)).status == 401


def test_program_crashes(oauth, keys, tmp_path):
    """Our trouble is 503 there, too."""
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nkill -SEGV $$\n")
    oauth.install_program(program)
    check_problem(post(oauth, bearer(make_jwt(keys[0]))), 503)
    oauth.install_program()
    assert post(oauth, bearer(make_jwt(keys[0]))).status == 202


def test_certificate_missing(place, authority, keys):
    """The server does not even start, and so does not reload: it never refuses for want of it."""
    site = OAuth(place / "site", authority)
    with_certificate(site, keys[0])
    edit(site, "oauth.conf", (str(keys[0].certificate), str(place / "missing.pem")))
    with pytest.raises(RuntimeError, match="missing.pem"):
        site.start()


# --- as shipped, with keys that are fetched ---

@pytest.fixture
def platform(authority, keys):
    """Where the platform publishes its keys: `published` is a list of them, or None for trouble."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"keys": server.published}).encode()
            self.send_response(200 if server.published is not None else 500)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate, authority.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.published = [keys[0].jwk()]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_fetched_keys(place, authority, keys, platform):
    """A new key is found when it is first used. While none can be had, the sender hears 503, as a
    refusal might be for no fault of its own."""
    first, stranger, following = keys
    site = OAuth(place / "site", authority)
    edit(site, "oauth.conf", (f"https://login.microsoftonline.com/{TENANT}/discovery/v2.0/keys",
                              f"https://localhost:{platform.server_port}/keys"),
         ("OIDCOAuthRemoteUserClaim", f"OIDCCABundlePath {authority.ca}\nOIDCOAuthRemoteUserClaim"))
    platform.published = None
    with site:
        check_problem(post(site, bearer(make_jwt(first))), 503)
        platform.published = [first.jwk()]
        assert post(site, bearer(make_jwt(first))).status == 202
        platform.published = [following.jwk()]
        assert post(site, bearer(make_jwt(following))).status == 202
        for auth in (bearer(make_jwt(stranger)), bearer(make_jwt(following, aud="other")), [],
                     basic(site), bearer(make_jwt(following, "none", sign=lambda _: b""))):
            check_problem(post(site, auth), 503)
        assert len(site.entries()) == len(site.log_lines()) == 2


# --- nginx, which asks another ---

@pytest.fixture
def checker():
    """In the place of oauth2-proxy: answers 202 or 401, and knows one good token."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            good = self.headers["Authorization"] == "Bearer good"
            self.send_response(202 if good else 401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.server_close()


def ask(site, port):
    """As the README tells it."""
    path = site.directory / "etc/location.conf"
    text = path.read_text()
    location = text[text.index("location ~"):text.index("location = /.tradecloud")]
    for old, new in (
            ("(?<tradecloud_webhook>/tradecloud(?:/orders|/documents|/shipments)?)", "/tradecloud/orders"),
            ("tradecloud_path", "orders_path"), ("$tradecloud_webhook", "/tradecloud/orders"),
            ("auth_basic $tradecloud_realm;", "auth_request /oauth;"),
            ("auth_basic_user_file $tradecloud_users;", ""), ("$tradecloud_auth_type", "Bearer")):
        assert old in location
        location = location.replace(old, new)
    path.write_text(f"""{location}
location = /oauth {{
    internal;
    proxy_pass http://127.0.0.1:{port}/;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
}}
{text}""")


def test_nginx(place, authority, checker):
    """A good token gets in, nothing else does; without the checker, the sender hears 503."""
    site = Nginx(place / "site", authority)
    ask(site, checker.server_port)
    with site:
        assert post(site, bearer("good")).status == 202
        for auth in (bearer("bad"), [], basic(site)):
            assert post(site, auth).status == 401
        assert send(site, order(), auth=bearer("good")).status == 401
        assert send(site, order()).status == 202
        checker.shutdown()
        checker.server_close()
        check_problem(post(site, bearer("good")), 503)
        assert len(site.entries()) == 2
