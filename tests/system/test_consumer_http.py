"""post-http: each event is posted whole, and what the endpoint says decides what becomes of it."""

import pytest
from client import order
from consumer import NAME, consume, make_entry, new_spool, receive
from endpoint import Endpoint
from server import free_port

ENTRY = make_entry("order.OrderIssuedByBuyer", {"orderEvent": {"orderId": "an-id"}})
PASSWORD = "no-business-of-yours"


@pytest.fixture(scope="module")
def shared_endpoint(authority):
    endpoint = Endpoint(authority)
    yield endpoint
    endpoint.stop()


@pytest.fixture
def endpoint(shared_endpoint):
    shared_endpoint.requests.clear()
    return shared_endpoint


@pytest.fixture
def post(tmp_path, endpoint, authority):
    """Post an entry to a path of the endpoint."""
    def run(path="/status/200", url=None, more="", entry=ENTRY, ca=authority.ca, **options):
        configuration = tmp_path / "erp.curl"
        configuration.write_text(f'url = "{url or endpoint.url + path}"\ncacert = "{ca}"\n'
                                 f'user = "tradecloud:{PASSWORD}"\n{more}\n')
        configuration.chmod(0o600)
        done = consume("post-http", configuration, entry=entry, **options)
        assert PASSWORD.encode() not in done.stderr
        return done
    return run


def test_the_event_arrives(tmp_path, endpoint, post):
    """Byte for byte, as CloudEvents' HTTP binding wants it (structured content mode), with a key
    that is the same at every try and a password that nobody sees."""
    path = receive(new_spool(tmp_path / "spool"), order(filler=300_000))
    for _ in range(2):
        done = post(entry=path.read_bytes(), name=path.name)
        assert (done.returncode, done.stderr) == (0, b"")
    for _, headers, body, command_lines in endpoint.requests:
        assert body == path.read_bytes()
        assert headers["Content-Type"] == "application/cloudevents+json; charset=UTF-8"
        assert headers["Idempotency-Key"] == f'"{path.name[:-len(".json")]}"'
        assert headers["Authorization"].startswith("Basic ")
        assert b"erp.curl" in command_lines and PASSWORD.encode() not in command_lines
    assert len(endpoint.requests) == 2


def test_large(endpoint, post):
    entry = make_entry("order", b'{"a":"' + b"@" * (32 << 20) + b'"}')
    assert post(entry=entry).returncode == 0
    assert endpoint.requests[0][2] == entry


EXITS = {0: [200, 201, 202, 204], 65: [400, 413, 422], 1: [409],
         75: [301, 302, 307, 401, 403, 404, 405, 407, 408, 410, 415, 425, 429, 500, 501, 502, 503, 504]}


@pytest.mark.parametrize("status,code", [(s, code) for code in EXITS for s in EXITS[code]])
def test_statuses(endpoint, post, status, code):
    """Only what says that this very event is wrong lets it be given up at once."""
    done = post(f"/status/{status}")
    assert done.returncode == code
    assert len(endpoint.requests) == 1, "a redirection is not followed"
    if code != 0:
        assert f" {status} ".encode() in done.stderr
        assert b"unit of measure unknown" in done.stderr
        assert done.stderr.count(b"\n") == 1 and b"\x1b" not in done.stderr


@pytest.mark.parametrize("path", ["/reset", "/nonsense", "/short/200", "/short/422"])
def test_no_whole_answer(post, path):
    """Whether the event arrived is not known: again."""
    assert post(path).returncode == 75


def test_no_answer_in_time(post):
    """The operator's file has the last word on how long that is."""
    assert post("/hang", more="max-time = 1").returncode == 75


def test_long_answer(post):
    assert post("/long/200").returncode == 0
    done = post("/long/422")
    assert done.returncode == 65 and b"the end" in done.stderr and len(done.stderr) < 1000


def test_nobody_there(post):
    assert post(url=f"https://localhost:{free_port()}/").returncode == 75
    assert post(url="ftp://localhost/").returncode == 75


def test_wrong_certificate(endpoint, post):
    """The event goes to nobody else."""
    assert post(ca="/etc/ssl/certs/ca-certificates.crt").returncode == 75
    assert endpoint.requests == []


def test_no_configuration(tmp_path):
    for arguments in [[], [tmp_path / "none"], [tmp_path]]:
        assert consume("post-http", *arguments, entry=ENTRY).returncode == 75
    (tmp_path / "empty").touch()
    assert consume("post-http", tmp_path / "empty", entry=ENTRY).returncode == 75


def test_odd_names(endpoint, post):
    """No name brings a header in."""
    for name in ("", "a\r\nX-Evil: 1", 'a"b'):
        assert post(name=name).returncode == 65
    assert post(name=f"work/{NAME}").returncode == 0
    assert len(endpoint.requests) == 1
