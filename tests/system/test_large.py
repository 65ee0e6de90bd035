"""Bodies that are larger than what the program keeps of them in memory: judged and written while they
arrive, and in the spool whole or not at all, whatever comes in between."""

import json
import re
import signal
import subprocess
import threading
import time

import pytest
from client import order, send
from consuming import wait_until
from server import BUILD, TOP, UNPRIVILEGED, hand_over, run
from spoolfile import check_entry
from test_answers import check_nothing_kept, check_problem, check_rejected
from test_faults import broken_off, fill, spool_of

HEADER = (TOP / "common/body.h").read_text()
WINDOW = int(re.search(r"BODY_WINDOW = (\d+)", HEADER)[1])  # bytes that are kept in memory
ROOM = int(re.search(r"BODY_ROOM = (\d+)", HEADER)[1])  # bytes left for what comes before such a body
MEGABYTE = 1_000_000


def sized(size, **options):
    """An order of exactly so many bytes."""
    return order(filler=size - len(order(**options)), **options)


def late(filler, **members):
    """An order whose facts stand at the very end, behind `filler` bytes and the members given."""
    event = {"lines": ["x" * filler], **members, "orderId": "PO-1",
             "meta": {"messageId": "m-1", "createdDateTime": "2025-04-23T10:01:53.812Z"}}
    return json.dumps({"orderEvent": event, "eventName": "OrderSynced"}).encode()


def data_offset(path):
    """Where in an entry the body begins; only spaces may have been put before that member."""
    head = path.read_bytes()[:20_000].partition(b'"data":')[0]
    assert head.rstrip(b" ").endswith(b'"datacontenttype":"application/json",')
    return len(head) + len(b'"data":')


def nothing_left(site):
    return all(site.entries(state) == [] for state in ("tmp", "new", "rejected"))


# --- through the servers ---

SIZES = [WINDOW // 2 + 1, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW, 2 * WINDOW + 1, 5 * MEGABYTE, 30 * MEGABYTE]


@pytest.mark.parametrize("chunked", [False, True], ids=["counted", "chunked"])
@pytest.mark.parametrize("size", SIZES)
def test_stored(site, size, chunked):
    body = sized(size, identifier="m")
    assert len(body) == size
    answer = send(site, body, chunked=chunked)
    assert answer.status == 202, answer.body
    [path] = site.entries()
    event = check_entry(path, body)
    assert (event["id"], event["type"]) == ("m", "com.tradecloud1.order.OrderLinesAcceptedBySupplier")
    if size != WINDOW:
        assert (data_offset(path) == ROOM) == (size > WINDOW)
    answer = send(site, body, chunked=chunked)
    assert (answer.status, answer.json()["file"]) == (200, path.name)
    assert site.entries() == [path] and site.entries("tmp") == []
    assert [line["bytes"] for line in site.log_lines()] == [str(size)] * 2


@pytest.mark.parametrize("chunked", [False, True], ids=["counted", "chunked"])
@pytest.mark.parametrize("size", [WINDOW + 2, 5 * MEGABYTE])
def test_malformed_at_the_very_end(site, size, chunked):
    body = sized(size - 1)[:-2] + b",}}"
    assert f"at byte {size - 2}" in check_problem(send(site, body, chunked=chunked), 400)
    check_rejected(site, body, 400, f"at byte {size - 2}")


def test_malformed_at_the_beginning(site):
    """It is kept whole, though nothing more is judged."""
    body = b"{]" + sized(5 * MEGABYTE)
    check_problem(send(site, body), 400)
    check_rejected(site, body, 400, "at byte 1")


def test_truncated(site):
    """By its sender, and well announced."""
    body = sized(5 * MEGABYTE)[:-1]
    check_problem(send(site, body), 400)
    check_rejected(site, body, 400, "the text ends")


@pytest.mark.parametrize("size", [WINDOW + 1, 5 * MEGABYTE])
def test_refused_unseen(site, size):
    body = sized(size)
    check_problem(send(site, body, content_type="application/xml"), 415)
    check_rejected(site, body, 415, "content type")
    site.entries("rejected")[0].unlink()
    check_problem(send(site, body, method="PATCH"), 405)
    [path] = site.entries("rejected")
    assert path.read_bytes().split(b"\n\n", 1)[1] == body
    assert site.entries("tmp") == []


@pytest.mark.parametrize("state", ["new", "done"])
def test_without_a_time_again(site, state):
    """Neither id nor time: all of the body tells it from others, and it has one name."""
    body = json.dumps({"planetEvent": {"lines": ["x" * 5 * MEGABYTE]}}).encode()
    assert send(site, body).status == 202
    [path] = site.entries()
    check_entry(path, body)
    path.rename(site.spool / state / path.name)
    for chunked in (False, True):
        answer = send(site, body, chunked=chunked)
        assert (answer.status, answer.json()["file"]) == (200, path.name)
    assert send(site, body[:-2] + b" }}").status == 202
    assert site.entries("tmp") == []


def test_long_subject(site):
    """What comes before the body does not fit into the room left for it."""
    body = late(5 * MEGABYTE, orderId="x").replace(b'"PO-1"', b'"%s"' % (b"s" * 5000))
    assert [send(site, body).status for _ in range(2)] == [202, 200]
    [path] = site.entries()
    assert check_entry(path, body)["subject"] == "s" * 5000
    assert data_offset(path) > ROOM
    assert site.entries("tmp") == []


@pytest.mark.parametrize("member", [
    {"n" * 2 * MEGABYTE: 1},
    {"\\" * 1000 + "n" * 2 * MEGABYTE: {"orderId": "no"}},
    {"note": "é" * 3 * MEGABYTE, "text": "n" * 10 * MEGABYTE},
    {"number": int("9" * 4000)},
], ids=["name", "escaped name", "string", "number"])
def test_long_tokens(site, member):
    body = late(0, **member)
    assert send(site, body).status == 202
    [path] = site.entries()
    event = check_entry(path, body)
    assert (event["subject"], event["id"]) == ("PO-1", "m-1")


def test_number_of_megabytes(site):
    body = late(0, number="N").replace(b'"N"', b"-" + b"7" * MEGABYTE + b"." + b"5" * MEGABYTE + b"e+" +
                                       b"0" * MEGABYTE)
    assert send(site, body).status == 202
    [path] = site.entries()
    assert path.read_bytes().endswith(b'"data":' + body + b"}")
    path.unlink()  # no reader of these tests wants it


@pytest.mark.parametrize("chunked", [False, True], ids=["counted", "chunked"])
@pytest.mark.parametrize("size", [WINDOW + 1, 5 * MEGABYTE])
def test_sender_breaks_off(site, chunked, size):
    """Half of it is in tmp/ by then, behind a server that does not wait for the whole."""
    body = sized(size)
    part = body[:-10]
    if chunked:
        broken_off(site, "Transfer-Encoding: chunked", b"%x\r\n%s\r\n" % (len(part), part))
    else:
        broken_off(site, f"Content-Length: {len(body)}", part)
    wait_until(lambda: nothing_left(site))
    time.sleep(0.2)
    assert nothing_left(site)
    assert not any(line["outcome"] != "failed" for line in site.log_lines())
    assert send(site, body).status == 202
    assert site.entries("tmp") == []


@pytest.fixture
def small_spool(place):
    with spool_of(place, "3m") as spool:
        yield spool


@pytest.mark.parametrize("chunked", [False, True], ids=["counted", "chunked"])
def test_disk_too_small(new_site, small_spool, chunked):
    """For the body; and for a second copy of it, where one is needed."""
    site = new_site(spool=small_spool, environment={"TRADECLOUD_MIN_FREE": "0"})
    check_problem(send(site, sized(5 * MEGABYTE), chunked=chunked), 503)
    assert "the disk is full" in site.log_lines()[0]["reason"]
    assert nothing_left(site)
    body = sized(2 * MEGABYTE)
    check_problem(send(site, body[:-1] + b"]", chunked=chunked), 503)
    assert nothing_left(site)
    assert send(site, body, chunked=chunked).status == 202


@pytest.mark.parametrize("chunked", [False, True], ids=["counted", "chunked"])
def test_reserve(new_site, small_spool, chunked):
    site = new_site(spool=small_spool, environment={"TRADECLOUD_MIN_FREE": str(2 * MEGABYTE)})
    check_problem(send(site, sized(2 * MEGABYTE), chunked=chunked), 503)
    assert "TRADECLOUD_MIN_FREE=2000000" in site.log_lines()[0]["reason"]
    assert nothing_left(site)
    assert send(site, sized(MEGABYTE // 2), chunked=chunked).status == 202


@pytest.mark.parametrize("chunked", [False, True], ids=["counted", "chunked"])
def test_too_large(new_site, chunked):
    site = new_site(environment={"TRADECLOUD_MAX_BODY": str(MEGABYTE)})
    check_problem(send(site, sized(MEGABYTE + 1), chunked=chunked), 503)
    check_nothing_kept(site, 503)
    assert send(site, sized(MEGABYTE), chunked=chunked).status == 202


# --- the program alone ---

class Upload:
    """A request whose body arrives as the test has it."""

    def __init__(self, place, size=None, prefix=(), **variables):
        self.spool = place / "spool"
        if not self.spool.exists():
            self.spool.mkdir()
            self.spool.chmod(0o2770)
            hand_over(self.spool)
        program = place / "webhook"
        if not program.exists():
            run("install", "-m", "755", BUILD / "tradecloud-webhook", program)
        environment = {"REQUEST_METHOD": "POST", "AUTH_TYPE": "Basic", "TRADECLOUD_MIN_FREE": "0",
                       "TRADECLOUD_SPOOL": str(self.spool), **variables}
        if size is not None:
            environment["CONTENT_LENGTH"] = str(size)
        self.process = subprocess.Popen([*UNPRIVILEGED, *prefix, program], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=environment)

    def feed(self, part):
        self.process.stdin.write(part)
        self.process.stdin.flush()

    def feed_beyond_the_window(self, part):
        """Until some of it is in a file."""
        self.feed(part)
        return wait_until(lambda: [f for f in self.entries("tmp") if f.stat().st_size > ROOM])[0]

    def end(self):
        """The status, None if there was no answer, and the log."""
        answer, log = self.process.communicate(timeout=60)
        statuses = re.findall(rb"^Status: (\d+) ", answer)
        return int(statuses[0]) if statuses else None, log.decode()

    def entries(self, state):
        path = self.spool / state
        return sorted(path.iterdir()) if path.is_dir() else []


def receive(place, body, **options):
    upload = Upload(place, len(body), **options)
    upload.feed(body)
    return upload.end()[0], upload


def test_facts_at_the_very_end(place):
    body = late(5 * MEGABYTE, version=7)
    status, upload = receive(place, body)
    assert status == 202
    [path] = upload.entries("new")
    assert path.name == "20250423T100153.812Z_order_m-1.json"
    assert check_entry(path, body)["subject"] == "PO-1"


STRADDLING = {
    "plain": b'"PO-1"',
    "escaped": rb'"\u0050O\ud83d\ude00\n"',
    "characters": '"PO-é-発注-🚚"'.encode(),
}


@pytest.mark.parametrize("case", STRADDLING)
def test_facts_across_the_edge(place, case):
    """Wherever the edge of the window is: in a name, an id, a number, a surrogate pair."""
    template = late(0).replace(b'"PO-1"', STRADDLING[case]).replace(b'"orderId"', rb'"\u006frderId"')
    subject = json.loads(STRADDLING[case])
    start = template.index(rb'"\u006f')
    end = template.index(b'"createdDateTime"')
    for edge in range(start, end, 3):
        body = template.replace(b'[""', b'["' + b"x" * (WINDOW - edge) + b'"') + b" " * WINDOW
        status, upload = receive(place, body)
        assert status == 202, edge
        [path] = upload.entries("new")
        event = check_entry(path, body)
        assert (event["subject"], event["id"]) == (subject, "m-1"), edge
        path.unlink()


def test_heads_around_the_room(place):
    """They are filled up with spaces, or fit exactly, or do not."""

    def receive_with_subject(length):
        body = late(WINDOW).replace(b'"PO-1"', b'"%s"' % (b"s" * length))
        status, upload = receive(place, body)
        assert status == 202 and upload.entries("tmp") == []
        [path] = upload.entries("new")
        assert check_entry(path, body)["subject"] == "s" * length
        offset = data_offset(path)
        path.unlink()
        return offset

    fitting = 5000 - (receive_with_subject(5000) - ROOM)
    for length in range(fitting - 12, fitting + 13):
        assert receive_with_subject(length) == max(ROOM, ROOM + length - fitting), length


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGALRM], ids=["SIGTERM", "SIGALRM"])
@pytest.mark.parametrize("counted", [True, False], ids=["counted", "to the end"])
def test_ended_while_it_arrives(place, number, counted):
    """503, and nothing is left."""
    body = sized(5 * MEGABYTE)
    upload = Upload(place, len(body) if counted else None)
    upload.feed_beyond_the_window(body[:MEGABYTE])
    upload.process.send_signal(number)
    assert upload.process.wait(60) == 1
    status, log = upload.end()
    assert status == 503 and number.name in log
    for state in ("tmp", "new", "rejected"):
        assert upload.entries(state) == []


def test_killed_while_it_arrives(place):
    """What is left in tmp/ is in nobody's way."""
    body = sized(5 * MEGABYTE)
    upload = Upload(place, len(body))
    left = upload.feed_beyond_the_window(body[:MEGABYTE])
    upload.process.kill()
    assert upload.process.wait(60) == -signal.SIGKILL
    assert upload.end()[0] is None
    assert upload.entries("tmp") == [left]
    assert upload.entries("new") == upload.entries("rejected") == []
    assert receive(place, body)[0] == 202
    assert len(upload.entries("new")) == 1


def test_disk_becomes_full_while_it_arrives(place, small_spool):
    body = sized(2 * MEGABYTE)
    upload = Upload(place, len(body), TRADECLOUD_SPOOL=str(small_spool))
    upload.spool = small_spool
    upload.feed_beyond_the_window(body[:MEGABYTE])
    fill(small_spool)
    upload.feed(body[MEGABYTE:])
    status, log = upload.end()
    assert status == 503 and "No space left on device" in log
    for state in ("tmp", "new", "rejected"):
        assert upload.entries(state) == []


def test_cut_short_while_it_arrives(place):
    body = sized(5 * MEGABYTE)
    for size, status in ((len(body), 503), (None, 503)):
        upload = Upload(place, size)
        upload.feed_beyond_the_window(body[:-1])
        upload.process.stdin.close()
        upload.process.stdin = None
        assert upload.end()[0] == status
        for state in ("tmp", "new", "rejected"):
            assert upload.entries(state) == []


def test_cut_short_of_what_is_refused(place):
    """What is refused unread must be whole, too: it is to be kept."""
    for size in (1000, 5 * MEGABYTE):
        upload = Upload(place, size, CONTENT_TYPE="text/xml")
        upload.feed(b"x" * (size - 1))
        upload.process.stdin.close()
        upload.process.stdin = None
        status, log = upload.end()
        assert status == 503 and "cut short" in log
        for state in ("tmp", "new", "rejected"):
            assert upload.entries(state) == []


def test_overtaken_while_it_arrives(place):
    """The sender lost patience, and its second attempt is faster."""
    body = sized(MEGABYTE, identifier="m")
    slow = Upload(place, len(body))
    slow.feed_beyond_the_window(body[:-1])
    assert receive(place, body)[0] == 202
    [path] = slow.entries("new")
    before = path.stat()
    slow.feed(body[-1:])
    assert slow.end()[0] == 200
    assert slow.entries("new") == [path] and path.stat().st_ino == before.st_ino
    assert slow.entries("tmp") == []


TRACE = ["strace", "-f", "-qq", "-y", "-s", "0", "-e", "trace=fsync,fdatasync"]


def syncs(log):
    """The calls, in their order, that sync a file in tmp/, by what strace wrote among the log."""
    return re.findall(r"\b(fsync|fdatasync)\(\d+<[^>]*/spool/tmp/[^>]+>", log)


@pytest.mark.parametrize("size, chunked, early", [
    (MEGABYTE, False, True), (5 * MEGABYTE, False, True),
    (2 * WINDOW + 1, False, False),  # too little is still to come
    (5 * MEGABYTE, True, False)],  # nobody knows how much is
    ids=["large", "larger", "little to come", "chunked"])
def test_synced_while_it_arrives(place, size, chunked, early):
    """By a thread of its own, so that little is left to be done at the end; and at the end by itself."""
    body = sized(size)
    upload = Upload(place, None if chunked else size, prefix=TRACE)
    upload.feed(body)
    status, log = upload.end()
    assert status == 202
    *before, last = syncs(log)
    assert last == "fsync" and set(before) == ({"fdatasync"} if early else set()), log
    check_entry(upload.entries("new")[0], body)


def test_arrives_slowly(place):
    """Not each piece is synced: the disk is others', too."""
    body = sized(5 * MEGABYTE)
    upload = Upload(place, len(body), prefix=TRACE)
    for at in range(0, len(body), 100_000):
        upload.feed(body[at:at + 100_000])
        time.sleep(0.02)
    status, log = upload.end()
    assert status == 202
    assert 1 <= syncs(log).count("fdatasync") <= 8


def delayed(seconds, what=""):
    """Each sync of the thread's takes so long."""
    return [*TRACE, "-e", f"inject=fdatasync{what}:delay_enter={seconds * 1_000_000}"]


def test_slow_disk(place):
    """While one sync is under way, no other begins, and nobody waits for it but at the end."""
    body = sized(5 * MEGABYTE)
    upload = Upload(place, len(body), prefix=delayed(3))
    upload.feed(body)
    status, log = upload.end()
    assert status == 202 and syncs(log) == ["fdatasync", "fsync"]


@pytest.mark.parametrize("body", [
    late(MEGABYTE).replace(b'"PO-1"', b'"%s"' % (b"s" * 5000)), sized(MEGABYTE)[:-1] + b"]"],
    ids=["long subject", "malformed"])
def test_ended_while_it_is_copied(place, body):
    """What arrived gives way to another file, for which its room was too small: none of the two stays."""
    upload = Upload(place, len(body), prefix=delayed(3))
    upload.feed(body)
    wait_until(lambda: len(upload.entries("tmp")) == 2)
    time.sleep(0.3)
    [pid] = subprocess.check_output(["pgrep", "-P", str(upload.process.pid)], text=True).split()
    subprocess.run(["kill", pid], check=True)
    status, log = upload.end()
    assert status == 503 and "SIGTERM" in log
    for state in ("tmp", "new", "rejected"):
        assert upload.entries(state) == []


def test_early_sync_with_little_memory(place):
    body = sized(MEGABYTE)
    upload = Upload(place, len(body), prefix=[*TRACE, "/usr/bin/prlimit", "--as=9000000"])
    upload.feed(body)
    status, log = upload.end()
    assert status == 202 and "fdatasync" in syncs(log)


@pytest.mark.parametrize("size, seconds", [(MEGABYTE, 0), (600_000, 1)], ids=["at once", "at the end"])
def test_early_sync_fails(place, size, seconds):
    """It may be told only there; and the file is not synced again, as if that could mend it."""
    body = sized(size)
    upload = Upload(place, len(body), prefix=delayed(seconds, ":error=EIO"))
    upload.feed(body)
    status, log = upload.end()
    assert status == 503 and "cannot write a file in" in log and "Input/output error" in log
    assert syncs(log) == ["fdatasync"]
    for state in ("tmp", "new", "rejected"):
        assert upload.entries(state) == []


def test_no_thread_to_sync_early(place):
    """It is synced at the end, then."""
    body = sized(5 * MEGABYTE)
    upload = Upload(place, len(body), prefix=["strace", "-f", "-qq", "-e", "trace=clone3,fdatasync", "-e",
                                              "inject=clone3:error=EAGAIN"])
    upload.feed(body)
    status, log = upload.end()
    assert status == 202 and "(INJECTED)" in log and "fdatasync" not in log
    check_entry(upload.entries("new")[0], body)


def peak_memory(place, body, **options):
    """In bytes, of a request until right before the program ends, which strace delays."""
    upload = Upload(place, len(body), prefix=["strace", "-qq", "-o", "/dev/null", "-e",
                                              "trace=exit_group", "-e",
                                              "inject=exit_group:delay_enter=1000000"], **options)
    feeder = threading.Thread(target=upload.feed, args=[body])
    feeder.start()
    assert upload.process.stdout.readline().startswith(b"Status: ")
    [pid] = subprocess.check_output(["pgrep", "-P", str(upload.process.pid)], text=True).split()
    status = open(f"/proc/{pid}/status", encoding="ascii").read()
    feeder.join()
    upload.end()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


@pytest.mark.parametrize("case", ["stored", "duplicate", "malformed", "refused", "long subject"])
def test_memory(place, case):
    """It does not grow with the body."""
    body = sized(30 * MEGABYTE, identifier="m")
    variables = {}
    if case == "duplicate":
        assert receive(place, body)[0] == 202
    elif case == "malformed":
        body = body[:-1] + b"]"
    elif case == "refused":
        variables = {"CONTENT_TYPE": "application/xml"}
    elif case == "long subject":
        body = late(30 * MEGABYTE).replace(b'"PO-1"', b'"%s"' % (b"s" * 5000))
    peak = peak_memory(place, body, **variables)
    assert peak < 4 << 20, f"{peak} bytes"


# --- whoever reads them ---

def test_commands(operated):
    """tradecloud-spool finds in such entries what it finds in others."""
    body = sized(MEGABYTE, identifier="m")
    status, upload = receive(operated.place, body, TRADECLOUD_SPOOL=str(operated.path))
    assert status == 202
    [path] = sorted((operated.path / "new").iterdir())
    assert data_offset(path) == ROOM
    [row] = operated.rows("list")
    subject = json.loads(body)["orderEvent"]["orderId"]
    assert (row[0], row[2]) == (path.name, str(ROOM + len(body) + 1))
    assert row[3:5] == ["com.tradecloud1.order.OrderLinesAcceptedBySupplier", subject]
    assert operated.call("show", "--data", path.name, text=False).stdout == body
    shown = operated.call("show", path.name).stdout
    assert json.loads(shown) == json.loads(path.read_bytes())
    assert " " * 100 not in shown.partition('"data"')[0]
    done = operated.run(script='test "$(cat | wc -c)" -gt 1000000')
    assert done.returncode == 0, done
    assert operated.where() == {path.name: "done"} or operated.entries("done") == [path.name]
