"""What the kernel sees: the order of the system calls that make an event durable, and odd answers of
the kernel. That each of them fails, or is the last, is done in tests/crash."""

import json
import os
import re
import subprocess
import threading
import time

import pytest
from client import order, send
from server import BUILD, UNPRIVILEGED, hand_over, run

PROGRAM = BUILD / "tradecloud-webhook"
BODY = order(identifier="m")


def test_durable_before_the_answer(new_site):
    """The file synced, linked, the directory synced, its name in tmp/ removed, and only then the
    first byte of the answer."""
    site = new_site()
    trace = site.directory / "log/trace"
    site.trace_program("-y", "-o", trace)
    assert send(site, BODY).status == 202
    new = re.escape(str(site.spool / "new"))
    tmp = re.escape(str(site.spool / "tmp"))
    steps = [
        rf'openat\(\d+<{tmp}>, "[^"]+", O_RDWR\|O_CREAT\|O_EXCL\|O_NOFOLLOW\|O_CLOEXEC, 0640\) = ',
        rf"pwritev\(\d+<{tmp}/[^>]+>, .* = \d+$",
        rf"fsync\(\d+<{tmp}/[^>]+>\) += 0$",
        rf"close\(\d+<{tmp}/[^>]+>\) += 0$",
        rf'linkat\(\d+<{tmp}>, "[^"]+", \d+<{new}>, "[^"]+\.json", 0\) = 0$',
        rf"fsync\(\d+<{new}>\) += 0$",
        rf'unlinkat\(\d+<{tmp}>, "[^"]+", 0\) = 0$',
        r'write\(1<[^>]+>, "Status: 202 Accepted',
    ]
    lines = trace.read_text().splitlines()
    found = []
    for step in steps:
        matching = [i for i, line in enumerate(lines) if re.match(step, line)]
        assert len(matching) == 1, (step, "\n".join(lines))
        found += matching
    assert found == sorted(found)
    first = next(i for i, line in enumerate(lines) if line.startswith("write(1<"))
    assert first == found[-1], "a byte was answered before"


@pytest.fixture
def spool(place):
    path = place / "spool"
    path.mkdir(0o770)
    path.chmod(0o2770)
    hand_over(path)
    return path


def receive(spool, body=BODY, prefix=(), **variables):
    """Run the program as a web server would, without one. Returns status and log."""
    environment = {"REQUEST_METHOD": "POST", "AUTH_TYPE": "Basic",
                   "CONTENT_LENGTH": str(len(body)), "TRADECLOUD_SPOOL": str(spool), **variables}
    environment = {k: v for k, v in environment.items() if v is not None}
    program = spool.parent / "webhook"
    if not program.exists():
        run("install", "-m", "755", PROGRAM, program)
    done = subprocess.run([*UNPRIVILEGED, *prefix, program], input=body, env=environment,
                          capture_output=True, timeout=90)
    answer = done.stdout.decode()
    assert answer.count("Status: ") <= 1
    match = re.match(r"Status: (\d+) ", answer)
    return int(match[1]) if match else None, done.stderr.decode()


def entries(spool, state):
    path = spool / state
    return os.listdir(path) if path.is_dir() else []


def injected(call, error, nth):
    return ["strace", "-o", "/dev/null", "-e", f"trace={call}",
            "-e", f"inject={call}:error={error}:when={nth}"]


@pytest.mark.parametrize("error", ["EINVAL", "EBADF"])
def test_directories_that_cannot_be_synced(spool, error):
    """Some file systems do not know how; that is no reason to refuse events."""
    assert receive(spool, order())[0] == 202
    status, log = receive(spool, prefix=injected("fsync", error, 2))
    assert status == 202, log


def test_link_whose_answer_was_lost(spool):
    """Over NFS, link() may succeed and yet report that the name is taken: strace makes the link,
    then lets the call fail. The event is stored, and said to be so."""
    assert receive(spool, order())[0] == 202
    # The link exists already when the injected call fails: as a second name of the same file.
    script = spool.parent / "linker"
    script.write_text("#!/bin/sh\n"
                      "exec strace -o /dev/null -e trace=linkat "
                      f"-e inject=linkat:delay_enter=3000000:error=EEXIST {spool.parent}/webhook\n")
    script.chmod(0o755)
    environment = {"REQUEST_METHOD": "POST", "AUTH_TYPE": "Basic", "PATH": os.environ["PATH"],
                   "CONTENT_LENGTH": str(len(BODY)), "TRADECLOUD_SPOOL": str(spool)}
    with subprocess.Popen([*UNPRIVILEGED, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=environment) as process:
        process.stdin.write(BODY)
        process.stdin.close()
        complete = b'"data":' + BODY + b"}"
        while True:
            names = entries(spool, "tmp")
            if names and (spool / "tmp" / names[0]).read_bytes().endswith(complete):
                break
            assert process.poll() is None
        # It is complete; now it is synced, looked for, and then stands for three seconds before link().
        time.sleep(1)
        name = "20250423T100153.812Z_order_m.json"
        os.link(spool / "tmp" / names[0], spool / "new" / name)
        answer = process.stdout.read().decode()
    assert answer.startswith("Status: 202 "), answer
    assert json.loads(answer.split("\r\n\r\n")[1])["file"] == name
    assert entries(spool, "tmp") == []


@pytest.mark.parametrize("state", ["new", "work", "done"])
def test_overtaken_while_writing(spool, state):
    """A retry is stored, and perhaps consumed, while the first delivery waits for the disk: still it
    is one event."""
    assert receive(spool, order())[0] == 202
    slow = []
    first = threading.Thread(target=lambda: slow.append(receive(
        spool, prefix=["strace", "-o", "/dev/null", "-e", "trace=fsync",
                       "-e", "inject=fsync:delay_enter=2000000:when=1"])))
    first.start()
    while not entries(spool, "tmp"):
        time.sleep(0.01)
    name = "20250423T100153.812Z_order_m.json"
    assert receive(spool)[0] == 202
    if state != "new":
        (spool / "new" / name).rename(spool / state / name)
    first.join()
    assert slow[0][0] == 200, slow
    assert [s for s in ("new", "work", "done") if name in entries(spool, s)] == [state]
    assert entries(spool, "tmp") == []


BODIES_CUT_SHORT = [
    ({"CONTENT_LENGTH": str(len(BODY) + 1)}, BODY, f"{len(BODY)} of {len(BODY) + 1} bytes"),
    ({"CONTENT_LENGTH": "10"}, b"", "0 of 10 bytes"),
    ({"CONTENT_LENGTH": None}, BODY[:-1], "the text ends"),
    ({"CONTENT_LENGTH": None}, BODY[:20], "the text ends"),
    ({"CONTENT_LENGTH": None}, b" ", "the text ends"),
]


@pytest.mark.parametrize("case", range(len(BODIES_CUT_SHORT)))
def test_body_cut_short(spool, case):
    variables, body, reason = BODIES_CUT_SHORT[case]
    status, log = receive(spool, body, **variables)
    assert status == 503
    assert reason in log
    assert entries(spool, "new") == entries(spool, "rejected") == []


@pytest.mark.parametrize("length", ["x", "-1", "1 ", "+5", "0x10", "1e3", "18446744073709551616"])
def test_content_length_that_is_none(spool, length):
    """A web server that passes such a thing is broken: nothing of what it passes is believed."""
    status, log = receive(spool, CONTENT_LENGTH=length)
    assert status == 503
    assert "CONTENT_LENGTH" in log
    assert entries(spool, "new") == []


def test_no_more_is_read_than_announced(spool):
    """A web server may keep the pipe open: the program must not wait for its end."""
    assert receive(spool, BODY + b"trailing", CONTENT_LENGTH=str(len(BODY)))[0] == 202
    [name] = entries(spool, "new")
    assert (spool / "new" / name).read_bytes().endswith(b'"data":' + BODY + b"}")


def test_arguments_are_ignored(spool):
    script = spool.parent / "with-arguments"
    script.write_text(f"#!/bin/sh\nexec {spool.parent}/webhook --help -x 'a b' ''\n")
    receive(spool, b"x")  # puts the program there
    script.chmod(0o755)
    environment = {"REQUEST_METHOD": "POST", "AUTH_TYPE": "Basic",
                   "CONTENT_LENGTH": str(len(BODY)), "TRADECLOUD_SPOOL": str(spool)}
    done = subprocess.run([*UNPRIVILEGED, script], input=BODY, env=environment, capture_output=True)
    assert done.stdout.startswith(b"Status: 202 "), done


def test_memory_runs_out(spool):
    """A large body needs none, but what is put into the envelope has to be in memory."""
    limit = ["prlimit", "--as=10000000"]
    assert receive(spool, BODY + b" " * 20_000_000, prefix=limit)[0] == 202
    body = BODY.replace(b'"OrderLines', b'"' + b"O" * 20_000_000)
    status, log = receive(spool, body, prefix=limit)
    assert status == 503
    assert "out of memory" in log
    assert entries(spool, "tmp") == []


def test_links_no_libraries():
    """It starts as fast as a program can: nothing is loaded, least of all libcurl."""
    headers = subprocess.check_output(["readelf", "-d", PROGRAM], text=True)
    assert "NEEDED" not in headers


def test_group_can_consume(spool):
    """Whatever umask the web server has, the consumer's group can take files away."""
    for mask in ("000", "022", "077"):
        script = spool.parent / "umask"
        script.write_text(f"#!/bin/sh\numask {mask}\nexec \"$@\"\n")
        script.chmod(0o755)
        assert receive(spool, order(), prefix=[script])[0] == 202
    for state in ("tmp", "new", "work", "done", "failed", "rejected"):
        assert (spool / state).stat().st_mode & 0o7777 == 0o2770
    assert {(spool / "new" / n).stat().st_mode & 0o7777 for n in entries(spool, "new")} == {0o640}
