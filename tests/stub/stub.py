"""A stand-in for Tradecloud's API: log-in, orders, shipments, orders of API v1 and documents.

It speaks HTTP/1.1 and HTTP/2 over real TLS, in threads of the process that starts it:

    with Stub(authority, directory) as stub:
        stub.orders["an-id"] = b'{"id":"an-id"}'
        stub.fault("/order/", "status:503", times=1)
        ...
        assert len(stub.logins()) == 1

Run by hand, it tells how to call it: python3 tests/stub/stub.py --help
"""

import argparse
import base64
import hashlib
import hmac
import json
import pathlib
import re
import secrets
import socket
import ssl
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid
import warnings
from dataclasses import dataclass

from faults import FAULTS, TLS_FAULTS, problem
from wire import reply, serve

LOGIN = "/v2/authentication/login"
REFRESH = "/v2/authentication/refresh"
LOGOUT = "/v2/authentication/logout"
OBJECTS = ("/v2/order/", "/v2/shipment/", "/api/v1/purchaseOrder/")


@dataclass
class Record:
    """One request that came in."""

    time: float  # by time.monotonic()
    method: str
    path: str  # as it was sent
    version: str  # of HTTP: "1.1" or "2"
    headers: dict  # names in lower case
    accepted: bool | None = None  # the credentials; None: they were not looked at


@dataclass
class Document:
    filename: str
    content_type: str
    content: bytes


@dataclass
class Fault:
    path: str  # a regular expression, found anywhere in the path
    kind: str
    left: float  # how many more times


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def make_jwt(user, issued, expires, filler):
    """An access token that looks like a real one; nobody verifies its signature."""
    claims = {"iss": "tradecloud1.com", "aud": "tradecloud1.com", "sub": str(uuid.uuid4()),
              "jti": str(uuid.uuid4()), "iat": issued, "exp": expires, "username": user,
              "companyId": "f56aa4ce-8ec8-5197-bc26-77716a58add7",
              "roles": ["buyer", "integration"], "filler": secrets.token_hex(filler // 2)}
    parts = [base64url(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "HS256"}, claims)]
    signed = ".".join(parts)
    signature = hmac.new(b"secret", signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64url(signature)}"


class Stub:
    """All public attributes may be set at any time; reset() makes them what they were."""

    def __init__(self, authority, directory, port=0):
        self.directory = directory
        self.authority = authority
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._sockets = set()
        self._contexts = self._make_contexts()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port = self._listener.getsockname()[1]
        self.origin = f"https://localhost:{self.port}"
        self.url = f"{self.origin}/v2"
        self.legacy_url = f"{self.origin}/api/v1"
        self.reset()

    def reset(self):
        """Forget all that happened, and behave."""
        with self._lock:
            self.user = "integration@example.com"
            self.password = secrets.token_urlsafe(12)
            self.orders, self.shipments, self.legacy = {}, {}, {}  # the JSON of each id
            self.documents = {}  # a Document of each id
            self.token_lifetime = 600  # seconds
            self.token_filler = 200  # bytes that make an access token longer
            self.opaque_tokens = False  # access tokens that are no JWT
            self.exclusive = True  # a log-in makes the tokens of former ones invalid
            self.lower_case = False  # header names over HTTP/1.1
            self.http2 = True  # offered
            self.login_delay = 0  # seconds; in reality 0.5 and more
            self.answer_delay = 0  # seconds; in reality 0.2 to 0.8
            self._access = {}  # tokens that are valid, and until when
            self._refresh = set()
            self._downloads = {}
            self._issued = []
            self._faults = []
            self._requests = []

    # --- what a test may do ---

    def fault(self, path, kind, times=None):
        """Make requests go wrong whose path matches, `times` times or until mend()."""
        if kind.split(":")[0] not in FAULTS and kind not in TLS_FAULTS:
            raise ValueError(f"no such fault: {kind}")
        with self._lock:
            self._faults.append(Fault(path, kind, float("inf") if times is None else times))

    def mend(self):
        """End all faults."""
        with self._lock:
            self._faults = []

    def revoke(self):
        """Make all access tokens invalid, before their time."""
        with self._lock:
            self._access = {}

    def revoke_refresh(self):
        """Make all refresh tokens invalid."""
        with self._lock:
            self._refresh = set()

    def supersede(self):
        """Somebody else has logged in as the same user: all our tokens are invalid."""
        with self._lock:
            self.revoke()
            self.revoke_refresh()

    @property
    def requests(self):
        with self._lock:
            return list(self._requests)

    def logins(self):
        return [r for r in self.requests if r.path == LOGIN]

    def refreshes(self):
        return [r for r in self.requests if r.path == REFRESH]

    def gets(self):
        """Requests for orders and shipments."""
        return [r for r in self.requests if r.method == "GET" and r.path.startswith(OBJECTS)]

    def secrets(self):
        """All that nobody but the client may ever see."""
        with self._lock:
            pair = f"{self.user}:{self.password}".encode()
            return [self.password, base64.b64encode(pair).decode(), *self._issued]

    # --- the server ---

    def _make_contexts(self):
        """TLS as it should be, and as it should not."""
        good = (self.authority.certificate, self.authority.key)
        return {
            None: tls_context(*good),
            "http1": tls_context(*good, protocols=["http/1.1"]),
            "expired-certificate": tls_context(
                *self.authority.issue(self.directory / "expired", "DNS:localhost", days=0)),
            "wrong-host": tls_context(
                *self.authority.issue(self.directory / "elsewhere", "DNS:api.example.com")),
            "old-tls": tls_context(*good, version=ssl.TLSVersion.TLSv1_1),
        }

    def start(self):
        self._run(self._accept)
        return self

    def stop(self):
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for sock in self._sockets:
                interrupt(sock)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @staticmethod
    def _run(function, *arguments):
        threading.Thread(target=function, args=arguments, daemon=True).start()

    def _accept(self):
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._run(self._serve, sock)

    def _context(self):
        fault = self._take_fault("", TLS_FAULTS)
        return self._contexts[fault.kind if fault else None if self.http2 else "http1"]

    def _serve(self, plain):
        plain.settimeout(60)  # so that no thread stays for ever
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with plain, self._context().wrap_socket(plain, server_side=True) as sock:
                with self._lock:
                    self._sockets.add(sock)
                serve(sock, self._handle)
                with self._lock:
                    self._sockets.discard(sock)
        except OSError:
            pass  # above all: the client did not like the certificate

    def _take_fault(self, path, kinds=None):
        with self._lock:
            for fault in self._faults:
                fits = fault.kind in kinds if kinds else (
                    fault.kind not in TLS_FAULTS and re.search(fault.path, path))
                if fits and fault.left > 0:
                    fault.left -= 1
                    return fault
        return None

    def _handle(self, request):
        record = Record(request.arrived, request.method, request.path, request.version,
                        request.headers)
        with self._lock:
            self._requests.append(record)
        fault = self._take_fault(request.path)
        if fault is None:
            return self._answer(request, record)
        name, _, argument = fault.kind.partition(":")
        return FAULTS[name](lambda: self._answer(request, record), argument, self._stopping.wait)

    # --- the API ---

    def _answer(self, request, record):
        path = request.path.partition("?")[0]
        self._stopping.wait(self.login_delay if path == LOGIN else self.answer_delay)
        with self._lock:
            for method, pattern, function in ROUTES:
                match = re.fullmatch(pattern, path)
                if match and method == request.method:
                    return function(self, request, record, *map(urllib.parse.unquote, match.groups()))
        return problem(404)

    def _check(self, record, accepted):
        record.accepted = accepted
        return accepted

    def _check_basic(self, request, record):
        pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return self._check(record, request.headers.get("authorization") == f"Basic {pair}")

    def _check_bearer(self, request, record):
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return self._check(record, scheme == "Bearer" and self._access.get(token, 0) > time.time())

    def _check_refresh(self, request, record):
        """The refresh token is good for once, and nothing else may be said with it."""
        token = request.headers.get("refresh-token")
        accepted = token in self._refresh and "authorization" not in request.headers
        self._refresh.discard(token)
        return self._check(record, accepted)

    def _give_tokens(self):
        now = int(time.time())
        expires = now + self.token_lifetime
        access = (secrets.token_urlsafe(400) if self.opaque_tokens
                  else make_jwt(self.user, now, expires, self.token_filler))
        refresh = secrets.token_urlsafe(48)
        self._access[access] = expires
        self._refresh.add(refresh)
        self._issued += [access, refresh]
        headers = [("Set-Authorization", access), ("Set-Refresh-Token", refresh)]
        if self.lower_case:
            headers = [(name.lower(), value) for name, value in headers]
        return reply(b"{}", headers=headers)

    def _login(self, request, record):
        if not self._check_basic(request, record):
            return problem(401)
        if self.exclusive:
            self.supersede()
        return self._give_tokens()

    def _refresh_tokens(self, request, record):
        if not self._check_refresh(request, record):
            return problem(401)
        return self._give_tokens()

    def _logout(self, request, record):
        if not self._check_refresh(request, record):
            return problem(401)
        self.supersede()
        return reply(b"")

    def _order(self, request, record, identifier):
        return self._object(self.orders, identifier, self._check_bearer(request, record))

    def _shipment(self, request, record, identifier):
        return self._object(self.shipments, identifier, self._check_bearer(request, record))

    def _legacy_order(self, request, record, identifier):
        return self._object(self.legacy, identifier, self._check_basic(request, record))

    @staticmethod
    def _object(objects, identifier, accepted):
        if not accepted:
            return problem(401)
        return reply(objects[identifier]) if identifier in objects else problem(404)

    def _metadata(self, request, record, identifier):
        if not self._check_bearer(request, record):
            return problem(401)
        if identifier not in self.documents:
            return problem(404)
        document = self.documents[identifier]
        key = secrets.token_urlsafe(16)
        self._downloads[key] = (document, time.time() + 60)
        return reply(json.dumps({"id": identifier, "filename": document.filename,
                                 "contentType": document.content_type,
                                 "downloadUrl": f"{self.origin}/download/{key}"}).encode())

    def _document(self, request, record, identifier):
        if not self._check_bearer(request, record):
            return problem(401)
        if identifier not in self.documents:
            return problem(404)
        document = self.documents[identifier]
        return reply(document.content, document.content_type)

    def _download(self, request, _record, key):
        """As object stores do, it refuses what comes with credentials of somebody else."""
        document, until = self._downloads.get(key, (None, 0))
        if "authorization" in request.headers:
            return problem(400)
        return reply(document.content, document.content_type) if until > time.time() else problem(403)


SEGMENT = "([^/]+)"
ROUTES = [
    ("GET", LOGIN, Stub._login),
    ("GET", REFRESH, Stub._refresh_tokens),
    ("POST", LOGOUT, Stub._logout),
    ("GET", f"/v2/order/{SEGMENT}", Stub._order),
    ("GET", f"/v2/shipment/{SEGMENT}", Stub._shipment),
    ("GET", f"/api/v1/purchaseOrder/{SEGMENT}", Stub._legacy_order),
    ("GET", f"/v2/object-storage/document/{SEGMENT}/metadata", Stub._metadata),
    ("GET", f"/v2/object-storage/document/{SEGMENT}", Stub._document),
    ("GET", f"/download/{SEGMENT}", Stub._download),
]


def tls_context(certificate, key, protocols=("h2", "http/1.1"), version=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(list(protocols))
    if version:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():  # that it is deprecated is the point
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = version
    return context


def interrupt(sock):
    """End a connection under the thread that reads from it."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


# --- by hand ---

def parse_arguments():
    parser = argparse.ArgumentParser(
        description="Run a stand-in for Tradecloud's API, and print each request. Ctrl-C ends it.")
    parser.add_argument("--port", type=int, default=8444)
    parser.add_argument("--user", default="integration@example.com")
    parser.add_argument("--password", default="secret")
    parser.add_argument("--token-lifetime", type=int, default=600, metavar="SECONDS")
    parser.add_argument("--login-delay", type=float, default=0.5, metavar="SECONDS")
    parser.add_argument("--answer-delay", type=float, default=0.2, metavar="SECONDS")
    parser.add_argument("--http1", action="store_true", help="do not offer HTTP/2")
    parser.add_argument("--lower-case", action="store_true", help="header names over HTTP/1.1")
    for kind in ("order", "shipment", "legacy"):
        parser.add_argument(f"--{kind}", action="append", default=[], metavar="ID=FILE",
                            help="serve the file's bytes as this object")
    parser.add_argument("--fault", action="append", default=[], nargs=2, metavar=("REGEX", "KIND"),
                        help="what goes wrong at paths that match: one of "
                             f"{', '.join([*FAULTS, *TLS_FAULTS])}; status, slow-first-byte, "
                             "slow-body and wrong-length take an argument, as in status:503")
    return parser.parse_args()


def furnish(stub, arguments):
    """Make the stub what the command line asks for."""
    stub.http2 = not arguments.http1
    for name in ("user", "password", "token_lifetime", "login_delay", "answer_delay", "lower_case"):
        setattr(stub, name, getattr(arguments, name))
    for objects, pairs in ((stub.orders, arguments.order), (stub.shipments, arguments.shipment),
                           (stub.legacy, arguments.legacy)):
        for identifier, _, file in (pair.rpartition("=") for pair in pairs):
            objects[identifier] = pathlib.Path(file).read_bytes()
    for path, kind in arguments.fault:
        stub.fault(path, kind)


def main():
    # The CA is that of the test servers.
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
    from server import Authority
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="tradecloud-stub.") as name:
        directory = pathlib.Path(name)
        directory.chmod(0o755)
        with Stub(Authority(directory / "ca"), directory, arguments.port) as stub:
            furnish(stub, arguments)
            print(f"API    {stub.url}\nv1     {stub.legacy_url}\nCA     {stub.authority.ca}\n"
                  f"netrc  machine localhost login {stub.user} password {stub.password}", flush=True)
            seen = 0
            while True:
                for record in stub.requests[seen:]:
                    seen += 1
                    print(f"{record.method} {record.path} HTTP/{record.version}", flush=True)
                time.sleep(0.1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print()
