"""load-postgresql and schema.sql, with a real server: whatever order events come in, and however
often, the tables end as if each had come once, in the order in which they were made."""

import hashlib
import json
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from client import order
from consumer import consume, make_entry, new_spool, receive
from postgresql import History, Server, moment


@pytest.fixture(scope="module")
def shared_server(directory):
    server = Server(directory / "postgresql").start()
    yield server
    server.stop()


@pytest.fixture
def server(shared_server):
    shared_server.create()
    return shared_server


def load(server, entry):
    return consume("load-postgresql", server.connection(), entry=entry)


def test_any_order_at_once(server):
    """Eight at a time, as with --jobs 8 but worse: those of one order, too, are not kept apart."""
    seed = random.randrange(1 << 32)
    history = History(seed)
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda entry: load(server, entry), history.shuffled()))
    assert {(d.returncode, d.stderr) for d in done} == {(0, b"")}
    assert server.state() == history.state, f"seed {seed}"


def test_many_orders_of_events(server):
    """Ten histories, each shuffled, each through one connection."""
    for seed in [random.randrange(1 << 32) for _ in range(10)]:
        history = History(seed)
        server.sql("TRUNCATE tradecloud.orders, tradecloud.order_lines, tradecloud.shipments")
        rows = b"".join(b"\1" + entry + b"\1\n" for entry in history.shuffled())
        server.psql("-c", "\\copy tradecloud.inbox from pstdin (format csv, quote E'\\001', "
                    "delimiter E'\\002')", input=rows, user="loader")
        assert server.state() == history.state, f"seed {seed}"


def test_server_crash(server):
    """Loads that a crash broke off are tried again (75), and nothing is half there."""
    history = History(1, orders=2)

    def attempt(entry):
        done = load(server, entry)
        assert done.returncode in (0, 75), done.stderr
        return entry if done.returncode == 75 else None

    with ThreadPoolExecutor(4) as pool:
        results = pool.map(attempt, history.shuffled())
        next(results)
        server.stop("QUIT")
        broken = [entry for entry in results if entry]
    assert broken
    server.start()
    for entry in broken:
        assert load(server, entry).returncode == 0
    assert server.state() == history.state


def test_received(tmp_path, server):
    """An entry as the webhook writes it; numbers keep their digits."""
    path = receive(new_spool(tmp_path / "spool"), order("1"))
    assert load(server, path.read_bytes()).returncode == 0
    ((content, version),) = server.sql("SELECT l.content, (l.age).version FROM tradecloud.order_lines l")
    assert '"price": 78.90,' in content and version == "3"


def line_of(server):
    return server.sql("SELECT line, content ->> 'n' FROM tradecloud.order_lines ORDER BY 1")


def event(version, *lines, time=moment(0), **more):
    return make_entry("order.X", {"orderEvent": {"version": version, "lines": lines, **more}},
                      time=time)


def test_stale_header_fresh_line(server):
    """An event that comes late still brings the lines that no later event had."""
    load(server, event(5, {"id": "a", "n": "new"}, x="new"))
    load(server, event(4, {"id": "a", "n": "old"}, {"id": "b", "n": "old"}, x="old"))
    assert line_of(server) == [["a", "new"], ["b", "old"]]
    assert server.sql("SELECT content ->> 'x' FROM tradecloud.orders") == [["new"]]


def test_resent(server):
    """Of one version, what was sent last counts; what was fetched has all lines."""
    same = {"lastUpdatedAt": moment(0)}
    load(server, event(5, {"id": "a", "n": "resent"}, time=moment(9), **same))
    load(server, event(5, {"id": "a", "n": "first"}, time=moment(1), **same))
    assert line_of(server) == [["a", "resent"]]
    lines = [{"id": "b", "n": "1"}]
    load(server, make_entry("order-fetched", {"version": 5, "lines": lines, **same}))
    load(server, event(5, {"id": "a", "n": "again"}, time=moment(9), **same))
    assert line_of(server) == [["b", "1"]]


def test_lines_are_told_apart(server):
    """By position, which is missing from a line that was just split off; the last of two counts."""
    load(server, event(1, {"id": "i", "n": "1", "buyerLine": {"position": "10"}},
                       {"id": "i", "n": "2", "buyerLine": {"position": "20"}},
                       {"id": "j", "n": "3", "buyerLine": {"position": ""}},
                       {"position": "30", "n": "4"}, {"position": "30", "n": "5"}))
    assert line_of(server) == [["10", "1"], ["20", "2"], ["30", "5"], ["j", "3"]]


def test_no_lines(server):
    """Only what has lines can tell that others are gone."""
    load(server, event(1, {"id": "a", "n": "1"}))
    for version, content in ((2, {}), (3, {"lines": None})):
        done = load(server, make_entry("order-fetched", {"version": version, **content}))
        assert done.returncode == 0
    assert line_of(server) == [["a", "1"]]
    load(server, make_entry("order-fetched", {"version": 4, "lines": []}))
    assert line_of(server) == []


def test_nulls(server):
    """A member that is null is as good as none."""
    line = {"id": "a", "n": "1", "position": None, "buyerLine": None}
    data = {"orderEvent": None, "simpleOrderEvent": None, "singleDeliveryOrderEvent":
            {"version": None, "lastUpdatedAt": None, "lines": [line], "meta": None}}
    assert load(server, make_entry("order.X", data)).returncode == 0
    assert load(server, event(None, {"id": "b", "n": "2"})).returncode == 0
    assert line_of(server) == [["a", "1"], ["b", "2"]]


HOSTILE = ["'; DROP TABLE tradecloud.orders; --", "\\", "\\.", "\n\\.\n", "$$ $1 %s", ":'x' :x",
           "\x1b\x01\x02", '"', '","\x01', "é\u2028\U0001f600", " ", "`id`", "x" * 2000]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_injection(server, text):
    """All that is in an event is data."""
    body = {"orderEvent": {"orderId": text, text: text, "lines": [{"position": text, "note": text}]}}
    done = load(server, make_entry(f"order.{text}", body, subject=text, identifier=text))
    assert (done.returncode, done.stderr) == (0, b"")
    assert server.state() == {
        ("order", text, ""): {"orderId": text, text: text},
        ("line", text, text): {"position": text, "note": text}}


def test_large(server):
    """32 MiB, in several lines."""
    filler = "é\\" * (8 << 20)
    data = json.dumps({"orderEvent": {"lines": [{"id": "a", "note": filler}]}}, indent=1,
                      ensure_ascii=False)
    done = load(server, make_entry("order.X", data.replace("\n", "\r\n").encode()))
    assert (done.returncode, done.stderr) == (0, b"")
    ((digest,),) = server.sql("SELECT md5(content ->> 'note') FROM tradecloud.order_lines")
    assert digest == hashlib.md5(filler.encode()).hexdigest()


REFUSED = {
    "nothing": b"",
    "no JSON": b"\\.\n",
    "broken off": event(1)[:-20],
    "no entry": b"{}",
    "no type": b'{"time":"2025-04-23T10:01:53Z","data":{}}',
    "bytes": bytes(range(256)),
    "two": event(1) + b"\1\n\1" + event(1)[:-1],
    "no order": make_entry("order.X", {}),
    "no id": make_entry("order-fetched", {"version": 1}, subject=None),
    "NUL": event(1, x="\0"),
    "half a character": make_entry("order-fetched", rb'{"x":"\ud83d"}'),
    "no version": event("three"),
    "no time": event(1, lastUpdatedAt="yesterday or so"),
    "no position": event(1, {"note": "x"}),
    "no lines": make_entry("order-fetched", {"lines": "x"}),
    "no end": b"[" * 10_000_000,
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_loaded(server, what):
    """No retry mends it, so it fails at once, says why in one line, and leaves nothing."""
    done = load(server, REFUSED[what])
    assert done.returncode == 65, done.stderr
    assert done.stderr.startswith(b"load-postgresql: ERROR:") and done.stderr.count(b"\n") == 1
    assert server.state() == {}


def test_warnings(server):
    """What a server says besides is no verdict."""
    server.sql("""
        CREATE FUNCTION tradecloud.warn() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE WARNING 'beware'; RETURN NEW; END $$;
        CREATE TRIGGER a BEFORE INSERT ON tradecloud.inbox
            FOR EACH ROW EXECUTE FUNCTION tradecloud.warn()""")
    assert load(server, event(1)).returncode == 0
    for text in ("three", "three\nERROR:  57P01: really"):
        done = load(server, event(text))
        assert done.returncode == 65 and b"WARNING" not in done.stderr, done.stderr


def test_other_kinds(server):
    """There is nothing to load of documents and of what is not known; it says so."""
    for kind in ("order-documents.OrderDocumentsAttachedByBuyer", "unknown"):
        done = load(server, make_entry(kind, {"a": 1}))
        assert done.returncode == 0 and f"no table for com.tradecloud1.{kind}".encode() in done.stderr
    assert server.state() == {}


@pytest.mark.parametrize("trouble", [
    "DROP SCHEMA tradecloud CASCADE",
    "REVOKE INSERT ON tradecloud.inbox FROM loader",
    "ALTER ROLE loader NOLOGIN",
    "ALTER ROLE loader CONNECTION LIMIT 0",
    "ALTER ROLE loader SET default_transaction_read_only = on",
    "ALTER ROLE loader SET statement_timeout = 1",
])
def test_what_an_administrator_mends(server, trouble):
    """For as long as it takes."""
    big = event(1, *({"id": str(n), "note": "x" * 100} for n in range(20_000)))
    assert load(server, event(1)).returncode == 0
    server.sql(trouble)
    done = load(server, big)
    assert done.returncode == 75, done.stderr


def test_no_server(tmp_path):
    for arguments in [[], [f"host={tmp_path}"], ["nonsense=1"], ["service=none"]]:
        done = consume("load-postgresql", *arguments, entry=event(1))
        assert done.returncode == 75 and done.stderr
