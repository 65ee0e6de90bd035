"""Trouble on our side: whatever happens to the program or the spool, the sender hears 502, 503 or
504 with Retry-After, nothing partial is in new/, and the next attempt after the repair succeeds."""

import base64
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest
from client import Answer, credentials, order, send
from server import UNPRIVILEGED, hand_over, run
from test_answers import check_problem

BODY = order(identifier="m", filler=100_000)
AS_ROOT = [] if os.getuid() == 0 else ["sudo", "-n"]


def check_trouble(answer):
    assert answer.status in (502, 503, 504), (answer.status, answer.body)
    assert int(answer.headers["retry-after"]) > 0


def check_repaired(site):
    assert site.entries("tmp") == []
    assert site.entries() == []
    assert send(site, BODY).status == 202
    assert len(site.entries()) == 1


# --- the program ---

PROGRAMS = {
    "killed": "#!/bin/sh\nkill -KILL $$\n",
    "crashed": "#!/bin/sh\nkill -SEGV $$\n",
    "silent": "#!/bin/sh\nexit 0\n",
    "failing": "#!/bin/sh\nexit 1\n",
    "garbage": "#!/bin/sh\necho garbage\n",
    "half a header": "#!/bin/sh\nprintf 'Status: 202 Acc'\n",
    "no interpreter": "#!/nonexistent\n",
    "not a program": "\x7fELF garbage",
    "killed after reading": "#!/bin/sh\ncat >/dev/null\nkill -KILL $$\n",
}


@pytest.fixture
def replaced(site, tmp_path):
    """Put another program in the place of ours, and ours back at the end."""

    def replace(text):
        program = tmp_path / "program"
        program.write_text(text)
        site.install_program(program)
        return site

    yield replace
    site.install_program()


@pytest.mark.parametrize("size", [200, 2_000_000])
@pytest.mark.parametrize("case", PROGRAMS)
def test_program_replaced(replaced, case, size):
    site = replaced(PROGRAMS[case])
    check_trouble(send(site, order(filler=size)))
    site.install_program()
    check_repaired(site)


@pytest.mark.parametrize("size", [200, 2_000_000])
def test_program_missing(replaced, size):
    site = replaced("")
    site.program.unlink()
    check_trouble(send(site, order(filler=size)))
    site.install_program()
    check_repaired(site)


def test_program_not_executable(replaced):
    site = replaced("")
    site.program.chmod(0o644)
    check_trouble(send(site, BODY))
    site.install_program()
    check_repaired(site)


@pytest.mark.parametrize("text", ["#!/bin/sh\nexec sleep 20\n",
                                  "#!/bin/sh\ntrap '' TERM\nsleep 20\n",
                                  "#!/bin/sh\nprintf 'Status: 202 OK\\n'\nexec sleep 20\n"],
                         ids=["idle", "deaf", "half a header"])
def test_program_hangs(new_site, tmp_path, text):
    site = new_site(timeout=1)
    program = tmp_path / "program"
    program.write_text(text)
    site.install_program(program)
    check_trouble(send(site, BODY))
    site.install_program()
    check_repaired(site)


def test_our_program_stopped(new_site):
    """SIGTERM, as a web server sends it when it loses patience: the program answers 503 itself."""
    site = new_site()
    site.trace_program("-o", "/dev/null", "-e", "trace=fsync", "-e", "inject=fsync:signal=TERM")
    check_problem(send(site, BODY), 503)
    assert site.entries() == []
    assert "SIGTERM" in site.log_lines()[0]["reason"]
    site.install_program()
    assert send(site, BODY).status == 202


def descendants(pid):
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout
    return [int(pid)] + [d for child in children.split() for d in descendants(child)]


def test_process_table_full(new_site):
    """No process can be had, neither for the program nor for anything else."""
    site = new_site()
    assert send(site, order()).status == 202
    processes = [d for p in site.processes for d in descendants(p.pid)]
    for pid in processes:
        run(*UNPRIVILEGED, "prlimit", "--pid", pid, "--nproc=1:")
    for size in (200, 2_000_000):
        check_trouble(send(site, order(filler=size)))
    assert len(site.entries()) == 1
    for pid in processes:
        run(*UNPRIVILEGED, "prlimit", "--pid", pid, "--nproc=10000:")
    assert send(site, order()).status == 202


def test_fcgiwrap_gone(server, new_site):
    if server.name != "nginx":
        return  # Apache has no such part
    site = new_site()
    os.killpg(site.processes[0].pid, signal.SIGKILL)
    time.sleep(0.1)
    check_trouble(send(site, BODY))
    (site.directory / "run/fcgiwrap").unlink()
    check_trouble(send(site, BODY))
    assert site.entries() == []


# --- the spool ---

def spool_missing(site):
    away = site.directory / "away"
    site.spool.rename(away)
    return lambda: away.rename(site.spool)


def spool_is_a_file(site):
    away = site.directory / "away"
    site.spool.rename(away)
    site.spool.write_text("")

    def repair():
        site.spool.unlink()
        away.rename(site.spool)

    return repair


def spool_is_a_link(site):
    away = site.directory / "away"
    site.spool.rename(away)
    site.spool.symlink_to(away)

    def repair():
        site.spool.unlink()
        away.rename(site.spool)

    return repair


def read_only(state):
    def damage(site):
        (site.spool / state).chmod(0o550)
        return lambda: (site.spool / state).chmod(0o2770)

    return damage


def world_writable(state):
    def damage(site):
        (site.spool / state).chmod(0o2777)
        return lambda: (site.spool / state).chmod(0o2770)

    return damage


def new_is_a_link(site):
    new = site.spool / "new"
    new.rmdir()
    new.symlink_to(site.directory / "tmp")

    def repair():
        new.unlink()
        new.mkdir(0o770)
        hand_over(new)

    return repair


DAMAGES = {
    "missing": (spool_missing, "create the spool directory"),
    "file": (spool_is_a_file, "must be a directory"),
    "link": (spool_is_a_link, "no symbolic link"),
    "new is a link": (new_is_a_link, "no symbolic link"),
    "tmp read-only": (read_only("tmp"), "let the web server's user write"),
    "new read-only": (read_only("new"), "let the web server's user write"),
    "new world-writable": (world_writable("new"), "writable by everybody"),
    "spool world-writable": (world_writable("."), "writable by everybody"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_spool_damaged(new_site, case):
    site = new_site()
    damage, reason = DAMAGES[case]
    assert send(site, order()).status == 202
    site.entries()[0].unlink()
    repair = damage(site)
    for body in (BODY, order()):
        check_problem(send(site, body), 503)
    assert all(reason in line["reason"] for line in site.log_lines()[1:]), site.log()
    repair()
    check_repaired(site)


def test_rejected_read_only(new_site):
    """What cannot be kept is not refused for good: the sender must try again."""
    site = new_site()
    assert send(site, order()).status == 202
    site.entries()[0].unlink()
    (site.spool / "rejected").chmod(0o550)
    check_problem(send(site, b"no JSON"), 503)
    (site.spool / "rejected").chmod(0o2770)
    check_problem(send(site, b"no JSON"), 400)
    check_repaired(site)


def test_below_the_reserve(new_site):
    site = new_site(environment={"TRADECLOUD_MIN_FREE": str(2**60)})
    for body in (BODY, b"no JSON"):
        check_problem(send(site, body), 503)
    assert "TRADECLOUD_MIN_FREE" in site.log_lines()[0]["reason"]
    for state in ("new", "tmp", "rejected"):
        assert site.entries(state) == []


@contextlib.contextmanager
def spool_of(place, size):
    """A spool on a file system of its own, of that size."""
    directory = place / "small"
    directory.mkdir()
    run(*AS_ROOT, "mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", directory)
    spool = directory / "spool"
    run(*AS_ROOT, "install", "-d", "-m", "2770", "-o", str(os.getuid()), spool)
    hand_over(spool)
    yield spool
    run(*AS_ROOT, "umount", directory)


@pytest.fixture
def small_spool(place):
    with spool_of(place, "1m") as spool:
        yield spool


def fill(spool):
    """Take all the space there is."""
    with open(spool.parent / "spool/state-of-fullness", "wb", buffering=0) as stream:
        try:
            while stream.write(b"x" * 4096):
                pass
        except OSError:
            pass


def test_full(new_site, small_spool):
    site = new_site(spool=small_spool, environment={"TRADECLOUD_MIN_FREE": "0"})
    assert send(site, order()).status == 202
    site.entries()[0].unlink()
    fill(small_spool)
    for body in (BODY, b"no JSON"):
        check_problem(send(site, body), 503)
    assert "full" in site.log_lines()[1]["reason"]
    (small_spool / "state-of-fullness").unlink()
    check_repaired(site)


def test_few_inodes_left(new_site, small_spool):
    """There is space, but soon no file could be made any more."""
    site = new_site(spool=small_spool, environment={"TRADECLOUD_MIN_FREE": "0"})
    assert send(site, order(identifier="first")).status == 202
    run(*AS_ROOT, "mount", "-o", "remount,nr_inodes=20", small_spool.parent)
    for body in (BODY, b"no JSON"):
        check_problem(send(site, body), 503)
    assert "inodes are free" in site.log_lines()[1]["reason"]
    assert len(site.entries()) == 1 and site.entries("tmp") == []
    run(*AS_ROOT, "mount", "-o", "remount,nr_inodes=1000", small_spool.parent)
    site.entries()[0].unlink()
    check_repaired(site)


def test_full_while_writing(new_site, small_spool):
    """There was room when the program looked; there is none when it writes."""
    site = new_site(spool=small_spool, environment={"TRADECLOUD_MIN_FREE": "0"})
    site.trace_program("-o", "/dev/null", "-e", "trace=pwritev",
                       "-e", "inject=pwritev:delay_enter=1000000:when=1")
    answers = []
    sender = threading.Thread(target=lambda: answers.append(send(site, BODY)))
    sender.start()
    deadline = time.monotonic() + 10
    while not site.entries("tmp") and time.monotonic() < deadline:
        time.sleep(0.01)
    fill(small_spool)
    sender.join()
    check_problem(answers[0], 503)
    assert "No space left on device" in site.log_lines()[0]["reason"]
    (small_spool / "state-of-fullness").unlink()
    site.install_program()
    check_repaired(site)


def test_remounted_read_only(new_site, small_spool):
    site = new_site(spool=small_spool, environment={"TRADECLOUD_MIN_FREE": "0"})
    assert send(site, order()).status == 202
    site.entries()[0].unlink()
    run(*AS_ROOT, "mount", "-o", "remount,ro", small_spool.parent)
    check_problem(send(site, BODY), 503)
    assert "Read-only file system" in site.log_lines()[1]["reason"]
    run(*AS_ROOT, "mount", "-o", "remount,rw", small_spool.parent)
    check_repaired(site)


# --- the sender ---

def broken_off(site, head, part):
    """Send half a request over TLS, then go away without a word."""
    context = ssl.create_default_context(cafile=str(site.authority.ca))
    secret = base64.b64encode(credentials(site)[1].encode()).decode()
    with socket.create_connection(("127.0.0.1", site.port)) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            tls.sendall(f"POST /tradecloud HTTP/1.1\r\nHost: localhost\r\n"
                        f"Authorization: Basic {secret}\r\nContent-Type: application/json\r\n"
                        f"{head}\r\n\r\n".encode() + part)
            time.sleep(0.3)


@pytest.mark.parametrize("chunked", [False, True], ids=["counted", "chunked"])
@pytest.mark.parametrize("share", [0, 0.5, 0.999])
def test_sender_breaks_off(site, chunked, share):
    part = BODY[:int(len(BODY) * share)]
    if chunked:
        broken_off(site, "Transfer-Encoding: chunked", b"%x\r\n%s\r\n" % (len(part), part)
                   if part else b"")
    else:
        broken_off(site, f"Content-Length: {len(BODY)}", part)
    time.sleep(0.5)
    assert site.entries() == []
    assert site.entries("rejected") == []
    assert not any(line["outcome"] in ("spooled", "duplicate") for line in site.log_lines())
    check_repaired(site)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_versions(site):
    """1.2 and 1.3 are spoken, nothing older, whatever the client would like."""
    for version, works in (("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)):
        context = ssl.create_default_context(cafile=str(site.authority.ca))
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
        with socket.create_connection(("127.0.0.1", site.port)) as plain:
            try:
                with context.wrap_socket(plain, server_hostname="localhost") as tls:
                    spoken = tls.version() is not None
            except (ssl.SSLError, ConnectionError):
                spoken = False
        assert spoken == works, version


def test_plain_http(site):
    with socket.create_connection(("127.0.0.1", site.port)) as plain:
        plain.sendall(b"POST /tradecloud HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
        assert plain.recv(100).split()[1:2] in ([b"503"], [])
    assert isinstance(send(site, order()), Answer)
