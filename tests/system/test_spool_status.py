"""tradecloud-spool status, check and follow."""

import json
import os
import pty
import re
import signal
import subprocess
import time

import pytest
from client import order, send, shipment
from consuming import name_of, wait_until
from operating import CONFIGURATION, OUTPUT, put_odd_things
from server import UNPRIVILEGED, hand_over, run

HOUR = 3600


def age(path, seconds):
    os.utime(path, (time.time() - seconds,) * 2, follow_symlinks=False)


@pytest.fixture
def filled(operated):
    """Three new entries, the oldest three hours old, one claimed, two done, one failed, one request."""
    for number in (1, 2, 3):
        age(operated.path / "new" / operated.put(number), number * HOUR)
    operated.put(4, state="work")
    operated.put(5, state="done")
    operated.put(6, state="done")
    operated.put(7, state="failed")
    operated.put_rejection(8)
    return operated


# --- status ---


def test_status(filled):
    rows = {row[0]: row[1:] for row in filled.rows("status")}
    assert {state: row[0] for state, row in rows.items() if state != "free"} == {
        "new": "3", "work": "1", "done": "2", "failed": "1", "rejected": "1", "tmp": "0"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", rows["new"][1])
    sizes = sum(p.stat().st_size for p in (filled.path / "new").iterdir())
    assert rows["new"][2] == str(sizes) and rows["new"][3] == "0"
    assert int(rows["free"][2]) > 0


def test_status_on_a_terminal(filled):
    filled.write("new", "foreign")
    status, text = filled.look("status", NO_COLOR="1")
    assert status == 0
    assert text.splitlines()[0].split() == ["STATE", "ENTRIES", "OLDEST", "BYTES", "ODD", "FILES"]
    assert re.search(r"^new +3 +3h +\d+ +1$", text, re.M), text
    assert re.search(r"^failed +\x1b\[31m1\x1b\[0m ", filled.look("status")[1], re.M)


def test_status_as_json(filled):
    filled.write("tmp", "1.x")
    odd = put_odd_things(filled, "failed")
    [line] = filled.good("status", "--json")
    status = json.loads(line)
    counts = {state: values["entries"] for state, values in status["states"].items()}
    # Without opening anything, a file with an entry's name is one.
    assert counts == {"tmp": 1, "new": 3, "work": 1, "done": 2, "failed": 5, "rejected": 1}
    assert status["states"]["failed"]["odd"] == len(odd["name"]) + len(odd["kind"])
    assert "oldest" in status["states"]["new"] and "oldest" not in status["states"]["done"]
    assert status["spool"] == str(filled.path)
    assert status["free"]["full"] is False and status["free"]["reserve"] == 67108864
    for directory in filled.path.iterdir():
        run("rm", "-r", directory)
    states = json.loads(filled.good("status", "--json")[0])["states"]
    assert {state["entries"] for state in states.values()} == {0}


def metrics(text):
    return {m[1]: float(m[2]) for m in re.finditer(r"^([a-z_]+(?:\{.*\})) ([0-9.e+]+)$", text, re.M)}


def test_status_for_prometheus(filled):
    """Accepted by Prometheus' own tool, with a label for each state and the spool."""
    text = filled.call("status", "--prometheus").stdout
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    values = metrics(text)
    label = f'spool="{filled.path}"'
    assert values[f'tradecloud_spool_entries{{{label},state="new"}}'] == 3
    assert values[f'tradecloud_spool_entries{{{label},state="failed"}}'] == 1
    oldest = values[f'tradecloud_spool_oldest_arrival_timestamp_seconds{{{label},state="new"}}']
    assert abs(time.time() - 3 * HOUR - oldest) < 60
    assert values[f"tradecloud_spool_free_bytes{{{label}}}"] > 0


def test_status_for_prometheus_escapes(operated):
    path = operated.place / 'a "quoted"\\ spool'
    operated.path.rename(path)
    text = operated.call("status", "--prometheus", TRADECLOUD_SPOOL=str(path)).stdout
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done
    assert 'a \\"quoted\\"\\\\ spool' in text


PLUGIN = re.compile(r"TRADECLOUD SPOOL (OK|WARNING|CRITICAL): [^|\n]+ \| "
                    r"('\w+'=\d+(s|B)?(;\d*){3} ?)+\n")


@pytest.mark.parametrize("options, status", [
    (["--max-age", "4h"], 0), (["--max-age", "2h"], 2), (["--max-age", "2h,4h"], 1),
    (["--max-age", "1h,2h"], 2), (["--max-age", "2h,2h"], 2), (["--max-failed", "1"], 0),
    (["--max-failed", "0"], 2), (["--max-failed", "0,1"], 1), (["--max-failed", "5,10"], 0),
    (["--max-age", "4h", "--max-failed", "0,5"], 1), (["--max-age", "1h", "--max-failed", "0,5"], 2),
    (["--max-age", "4h,5h", "--max-failed", "1,2"], 0)])
def test_status_as_a_plugin(filled, options, status):
    done = filled.call("status", *options)
    assert (done.returncode, done.stderr) == (status, "")
    assert PLUGIN.fullmatch(done.stdout), done.stdout
    assert done.stdout.split()[2] == ["OK:", "WARNING:", "CRITICAL:"][status]
    assert "3 new, 1 in work, the oldest since 3h, 1 failed" in done.stdout


def test_status_as_a_plugin_of_nothing(operated):
    done = operated.call("status", "--max-age", "0s", "--max-failed", "0")
    assert done.returncode == 0 and ": 0 new, 0 in work, 0 failed |" in done.stdout


def test_status_as_a_plugin_that_cannot_say(operated):
    for path in ("/nonexistent", "relative", "/a|b"):
        done = operated.call("status", "--max-age", "1h", TRADECLOUD_SPOOL=path)
        assert (done.returncode, done.stderr) == (3, "")
        assert re.fullmatch(r"TRADECLOUD SPOOL UNKNOWN: [^|\n]+\n", done.stdout)


def test_status_of_a_full_disk(operated):
    """No event is received, then: that is critical whatever else is well."""
    full = {"TRADECLOUD_MIN_FREE": str(2**60)}
    done = operated.call("status", "--max-failed", "9", **full)
    assert done.returncode == 2 and "the disk is full" in done.stdout
    assert json.loads(operated.call("status", "--json", **full).stdout)["free"]["full"] is True
    assert operated.call("status", **full).returncode == 0


def test_status_opens_no_entry(filled):
    """A count of a million must not read them."""
    trace = filled.place / "trace"
    trace.touch()
    hand_over(trace)
    filled.call("status", prefix=["strace", "-o", trace, "-e", "trace=openat,newfstatat"])
    text = trace.read_text()
    assert not re.search(r'openat\([^)]*\.json', text)
    # Of what is done, not even the size.
    assert len(re.findall(r'newfstatat\([^)]*\.json', text)) == 5


def test_status_of_what_cannot_be_listed(filled):
    prefix = ["strace", "-o", "/dev/null", "-e", "trace=getdents64",
              "-e", "inject=getdents64:error=EIO"]
    assert filled.call("status", prefix=prefix).returncode == OUTPUT
    assert filled.call("status", "--max-age", "1h", prefix=prefix).returncode == 3


# --- check ---


def findings(operated, **variables):
    """Of a check in JSON: the exit status, and pairs of place and words."""
    done = operated.call("check", "--json", **variables)
    assert done.stderr == ""
    return done.returncode, {(f["finding"], f["where"]): f["what"]
                             for f in map(json.loads, done.stdout.splitlines())}


def check_finding(operated, where, words, finding="problem", **variables):
    status, found = findings(operated, **variables)
    assert status == (CONFIGURATION if finding == "problem" else 0)
    assert list(found) == [(finding, where)], found
    assert words in found[finding, where]


def test_check_of_a_good_spool(filled):
    assert filled.good("check") == filled.good("check", "--json") == []
    status, text = filled.look("check")
    assert status == 0 and "all is well" in text
    assert filled.entries("tmp") == []


def test_check_of_a_new_spool(operated):
    """Directories that are missing are made when they are needed; a check makes none."""
    for directory in operated.path.iterdir():
        directory.rmdir()
    assert operated.good("check") == []
    assert list(operated.path.iterdir()) == []


def test_check_of_a_received_spool(operated, site):
    """What tradecloud-webhook makes is right, links for times of receipt among it."""
    assert send(site, b'{"eventName":"Test"}').status == 202
    assert send(site, b"no JSON").status == 400
    assert operated.good("check", TRADECLOUD_SPOOL=str(site.spool)) == []


@pytest.mark.parametrize("mode, words", [(0o2777, "chmod o-w"), (0o770, "chmod 2770"),
                                         (0o2750, "chmod 2770"), (0o2700, "chmod 2770")])
@pytest.mark.parametrize("name", ["new", "tmp", "attempts", "leases"])
def test_check_of_modes(operated, name, mode, words):
    path = operated.path / name
    path.mkdir(exist_ok=True)
    hand_over(path)
    path.chmod(mode)
    check_finding(operated, name, words)
    path.chmod(0o2770)
    assert operated.good("check") == []


@pytest.mark.parametrize("mode, words", [(0o2777, "chmod o-w"), (0o770, "chmod 2750"),
                                         (0o2760, "chmod 2750")])
def test_check_of_the_mode_of_all(operated, mode, words):
    operated.path.chmod(mode)
    check_finding(operated, ".", words)


def test_check_of_a_closed_spool(operated):
    """As it is installed: the group can make no directories in it, so they must be there."""
    for name in ("attempts", "leases"):
        operated.path.chmod(0o2750)
        status, found = findings(operated)
        assert status == CONFIGURATION and "cannot make it" in found["problem", name]
        (operated.path / name).mkdir()
        (operated.path / name).chmod(0o2770)
        hand_over(operated.path)
        (operated.path / name).chmod(0o2770)
    operated.path.chmod(0o2750)
    assert operated.good("check") == []


def test_check_of_owners(operated):
    """A directory of another user, who could do with it as he likes; a consumer's own is his."""
    for name in ("new", "leases"):
        path = operated.path / name
        path.mkdir(exist_ok=True)
        run("chown", "nobody:www-data", path)
        path.chmod(0o2770)
    check_finding(operated, "new", "the web server's user")


def test_check_of_state(operated):
    state = operated.path / "state"
    state.mkdir()
    hand_over(state)
    state.chmod(0o700)
    assert operated.good("check") == []
    state.chmod(0o750)
    check_finding(operated, "state", "chmod 700")
    state.chmod(0o700)
    run("chown", "nobody", state)
    check_finding(operated, "state", "the web server's user")


def test_check_of_groups(operated):
    run("chgrp", "nogroup", operated.path / "failed")
    (operated.path / "failed").chmod(0o2770)
    check_finding(operated, "failed", "chgrp")


@pytest.mark.parametrize("make", ["link", "file"])
def test_check_of_what_is_no_directory(operated, make):
    path = operated.path / "done"
    path.rmdir()
    if make == "link":
        path.symlink_to("/tmp")
    else:
        path.write_text("")
    check_finding(operated, "done", "no directory")


def test_check_of_room(operated):
    check_finding(operated, ".", "TRADECLOUD_MIN_FREE", TRADECLOUD_MIN_FREE=str(2**60))


def test_check_of_file_systems(operated):
    """A directory that is a mount point."""
    script = f"mount -t tmpfs -o mode=2770,uid=33,gid=33 none {operated.path}/done && " \
             f"exec {operated.program} check --json"
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True,
                          env=operated.environment())
    assert done.returncode == CONFIGURATION, done
    assert "another file system" in json.loads(done.stdout)["what"]


def test_check_sweeps(operated):
    """What a killed writer left, after 36 hours; what is younger may be being written."""
    names = {hours: f"{hours}.{'0123456789abcdef' * 2}" for hours in (1, 35, 37, 1000)}
    for hours, name in names.items():
        age(operated.path / "tmp" / operated.write("tmp", name, b"{"), hours * HOUR)
    status, found = findings(operated)
    assert status == 0
    assert sorted(found) == [("note", f"tmp/{names[1000]}"), ("note", f"tmp/{names[37]}")]
    assert set(operated.entries("tmp")) == {names[1], names[35]}
    assert operated.good("check") == []


def test_check_knows_files_of_the_runner(operated):
    """What is written there of attempts is no problem, and swept away if its writer was killed."""
    operated.put(1)
    command = operated.command(argv=["false"])
    command[len(UNPRIVILEGED):len(UNPRIVILEGED)] = [
        "strace", "-o", "/dev/null", "-P", operated.path / "attempts", "-e", "trace=renameat",
        "-e", "inject=renameat:signal=KILL"]
    subprocess.run(command, env=operated.environment(), capture_output=True, timeout=60)
    [name] = operated.entries("tmp")
    assert findings(operated) == (0, {})
    age(operated.path / "tmp" / name, 37 * HOUR)
    assert list(findings(operated)[1]) == [("note", f"tmp/{name}")]
    assert operated.entries("tmp") == []


def test_check_sweeps_a_name_not_the_event(operated):
    """A writer was killed after it had linked the event: that stays."""
    name = operated.put(1)
    temporary = operated.path / "tmp" / f"7.{'0' * 32}"
    os.link(operated.path / "new" / name, temporary)
    age(temporary, 40 * HOUR)
    assert findings(operated)[0] == 0
    assert operated.entries("tmp") == [] and operated.where() == {name: "new"}


def test_check_leaves_what_it_does_not_know(operated):
    for name in ("foreign", f"x.{'0' * 32}", f"1.{'0' * 31}", f"1.{'G' * 32}", "\x1b[2J\n"):
        age(operated.path / "tmp" / operated.write("tmp", name), 99 * HOUR)
    (operated.path / "tmp" / f"1.{'0' * 32}").mkdir()
    (operated.path / "tmp" / f"2.{'0' * 32}").symlink_to("/etc/passwd")
    age(operated.path / "tmp" / f"2.{'0' * 32}", 99 * HOUR)
    before = set(operated.entries("tmp"))
    status, found = findings(operated)
    assert status == CONFIGURATION and len(found) == len(before) == 7
    assert set(operated.entries("tmp")) == before


def test_check_that_cannot_sweep(operated):
    """It is told, and the rest is checked all the same."""
    name = operated.write("tmp", f"1.{'0' * 32}")
    age(operated.path / "tmp" / name, 99 * HOUR)
    prefix = ["strace", "-o", "/dev/null", "-e", "trace=unlinkat",
              "-e", "inject=unlinkat:error=EACCES:when=2"]
    operated.write("new", "foreign")
    done = operated.call("check", prefix=prefix)
    assert done.returncode == CONFIGURATION
    assert "cannot be removed: Permission denied" in done.stdout and "new/foreign" in done.stdout


@pytest.mark.parametrize("directory", ["tmp", "attempts"])
def test_check_that_cannot_list(operated, directory):
    """Not to have seen all is a problem."""
    operated.remember(operated.put(1))
    prefix = ["strace", "-o", "/dev/null", "-P", operated.path / directory, "-e",
              "trace=getdents64", "-e", "inject=getdents64:error=EIO:when=1"]
    done = operated.call("check", prefix=prefix)
    assert done.returncode == CONFIGURATION
    assert done.stdout == f"problem\t{directory}\tit cannot be listed: Input/output error\n"


def test_check_sweeps_attempts(operated):
    """What is remembered of entries that are not to be consumed any more."""
    names = {state: operated.put(number, state=state)
             for number, state in enumerate(["new", "work", "failed", "done", "rejected"])}
    names["gone"], names["young"] = name_of(77), name_of(78)
    for name in names.values():
        operated.remember(name)
        age(operated.path / "attempts" / name, 40 * HOUR)
    age(operated.path / "attempts" / names["young"], HOUR)
    status, found = findings(operated)
    assert status == 0 and len(found) == 3
    assert set(os.listdir(operated.path / "attempts")) == {
        names[s] for s in ("new", "work", "failed", "young")}
    operated.write("attempts", "foreign")
    check_finding(operated, "attempts/foreign", "left alone")


@pytest.mark.parametrize("state", ["new", "work", "failed"])
def test_check_of_entries(operated, state):
    """Everything that will never be consumed is found, and left as it is."""
    odd = put_odd_things(operated, state)
    before = operated.where()
    status, found = findings(operated)
    expected = {*odd["name"], *odd["kind"], *odd["content"], *odd["unreadable"]}
    assert status == CONFIGURATION
    assert set(found) == {("problem", f"{state}/{name}") for name in expected}
    assert operated.where() == before


def test_check_of_what_is_consumed(operated):
    """Millions of these are not opened, but what is no entry is found."""
    odd = put_odd_things(operated, "done")
    found = findings(operated)[1]
    assert len(found) == len(odd["name"]) + len(odd["kind"])


def test_check_of_entries_that_the_group_cannot_read(operated):
    for mode in (0o600, 0o640):
        name = operated.put(1 if mode == 0o600 else 2)
        (operated.path / "new" / name).chmod(mode)
        if mode == 0o640:
            os.chown(operated.path / "new" / name, -1, 65534)
    status, found = findings(operated)
    assert status == CONFIGURATION and len(found) == 2
    assert all("group cannot read it" in what for what in found.values())


def test_check_of_twins(operated):
    """The same name in two states is nobody's doing but an operator's or a broken consumer's."""
    name = operated.put(1)
    operated.put(1, state="done")
    check_finding(operated, f"new/{name}", "in done/")


def test_check_of_the_clock(operated):
    """A file of tomorrow."""
    name = operated.put(1)
    age(operated.path / "new" / name, -HOUR)
    check_finding(operated, ".", "is this machine's clock slow?")
    (operated.path / "new" / name).unlink()
    operated.write("new", "29990101T000000.000Z_order_x.json",
                   b'{"specversion":"1.0","id":"x","source":"s","type":"t","data":{}}')
    check_finding(operated, ".", "is this machine's clock slow?")


def test_check_by_a_user_who_cannot_write(operated):
    run("chown", "root", operated.path / "tmp")
    (operated.path / "tmp").chmod(0o2750)
    status, found = findings(operated)
    assert status == CONFIGURATION
    assert "this user can make no file there: Permission denied" in found.values()


# --- follow ---


def wait_until_it_waits(process):
    """It has seen what was there, then."""
    def waits():
        try:
            with open(f"/proc/{process.pid}/wchan") as file:
                return "poll" in file.read()
        except OSError:
            return False

    wait_until(lambda: waits() or process.poll() is not None)


class Follower:
    """`tradecloud-spool follow` in the background, its lines in a file."""

    def __init__(self, operated, *options, prefix=()):
        self.out = operated.place / "followed"
        with open(self.out, "wb") as stream:
            self.process = subprocess.Popen(operated.words("follow", *options, prefix=prefix),
                                            stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
                                            env=operated.environment())
        operated.processes.append(self.process)
        if not prefix:
            wait_until_it_waits(self.process)

    def lines(self, count):
        wait_until(lambda: len(self.out.read_text().splitlines()) >= count)
        return self.out.read_text().splitlines()


def test_follow(operated):
    operated.put(1)
    follower = Follower(operated)
    name = operated.put(2, subject="PO-é")
    request = operated.put_rejection(3)
    first, second = [line.split("\t") for line in follower.lines(2)]
    assert first[:2] == ["new", name] and first[4] == "PO-é"
    assert second[:2] == ["rejected", request] and "a comma is missing" in second[5]
    follower.process.send_signal(signal.SIGINT)
    assert follower.process.wait(10) == -signal.SIGINT


def test_follow_a_site(operated, site):
    """Real events, as they come through a web server: each once."""
    empty = [site.spool / state for state in ("new", "rejected")]
    assert all(not directory.is_dir() or not list(directory.iterdir()) for directory in empty)
    operated.path = site.spool
    follower = Follower(operated, "--json")
    for body in (order(), order(), shipment()):
        assert send(site, body).status == 202
        assert send(site, body).status == 200
    assert send(site, b"no JSON").status == 400
    seen = [json.loads(line) for line in follower.lines(4)]
    assert sorted(e["name"] for e in seen) == sorted(
        p.name for state in ("new", "rejected") for p in site.entries(state))
    assert [e["state"] for e in seen] == ["new", "new", "new", "rejected"]
    follower.process.terminate()
    assert follower.process.wait(10) == -signal.SIGTERM
    assert len(follower.lines(4)) == 4


def test_follow_when_notice_is_lost(operated):
    """More happens at once than the kernel keeps notice of: what came then is told, each once."""
    follower = Follower(operated)
    with open("/proc/sys/fs/inotify/max_queued_events") as file:
        limit = int(file.read())
    names = [operated.put(1)]
    follower.lines(1)
    follower.process.send_signal(signal.SIGSTOP)
    other = [operated.path / "new" / name for name in ("foreign", "other")]
    other[0].touch()
    for _ in range(limit // 2 + 1):
        other[0].rename(other[1])
        other[1].rename(other[0])
    names += [operated.put(number) for number in range(2, 12)]
    follower.process.send_signal(signal.SIGCONT)
    told = [line.split("\t")[1] for line in follower.lines(len(names))]
    assert told == names


def test_follow_into_missing_directories(operated):
    """In a spool that is new, they are made with the first event."""
    for directory in operated.path.iterdir():
        directory.rmdir()
    follower = Follower(operated)
    for state in ("tmp", "new"):
        (operated.path / state).mkdir()
        (operated.path / state).chmod(0o2770)
    hand_over(operated.path)
    name = operated.put(1)
    assert follower.lines(1)[0].split("\t")[1] == name


def test_follow_without_inotify(operated):
    """Where there is none to be had, and over NFS: by scanning."""
    prefix = ["strace", "-o", "/dev/null", "-e", "trace=inotify_init1", "-e",
              "inject=inotify_init1:error=EMFILE"]
    follower = Follower(operated, prefix=prefix)
    try:
        wait_until(lambda: "only scanned" in follower.out.read_text())
        time.sleep(0.5)
        name = operated.put(1)
        assert follower.lines(2)[1].split("\t")[1] == name
    finally:
        # It would outlive its tracer.
        run("pkill", "-KILL", "-P", follower.process.pid)


def test_follow_tells_no_moves(operated):
    """A claim that is returned is no arrival; nor is what has not an entry's name."""
    name = operated.put(1)
    follower = Follower(operated)
    for state in ("work", "new", "work", "new"):
        [path] = [p for p in operated.path.glob(f"*/{name}")]
        path.rename(operated.path / state / name)
    operated.write("new", "foreign")
    other = operated.put(2)
    assert [line.split("\t")[1] for line in follower.lines(1)] == [other]


def test_follow_what_is_claimed_at_once(operated):
    """A runner may be faster than we: then the entry is read where it has gone."""
    follower = Follower(operated)
    follower.process.send_signal(signal.SIGSTOP)
    name, gone = operated.put(1, subject="claimed"), operated.put(2)
    (operated.path / "new" / name).rename(operated.path / "done" / name)
    (operated.path / "new" / gone).unlink()
    follower.process.send_signal(signal.SIGCONT)
    first, second = [line.split("\t") for line in follower.lines(2)]
    assert first[:2] == ["new", name] and first[4] == "claimed"
    assert second[:2] == ["new", gone] and "removed already" in second[5]


def test_follow_on_a_terminal(operated):
    """Aligned, with headings, and with nothing in it that a terminal obeys."""
    leader, follower = pty.openpty()
    environment = operated.environment(TERM="dumb", LC_ALL="C.UTF-8")
    with subprocess.Popen(operated.words("follow"), stdout=follower, stderr=follower,
                          env=environment) as process:
        os.close(follower)
        wait_until_it_waits(process)
        operated.put(1, subject="\\u001b[2J\\u009b")
        text = ""
        while text.count("\n") < 2:
            text += os.read(leader, 4096).decode()
        process.terminate()
        process.wait(10)
    os.close(leader)
    heading, line = text.splitlines()
    assert heading.split() == ["STATE", "NAME", "BYTES", "TYPE", "SUBJECT", "NOTE"]
    assert "\\x1b[2J\\xc2\\x9b" in line and line.index("order.Order") == heading.index("TYPE")


def test_follow_whose_reader_goes_away(operated):
    with subprocess.Popen(operated.words("follow"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          env=operated.environment()) as process:
        wait_until_it_waits(process)
        operated.put(1)
        process.stdout.readline()
        process.stdout.close()
        operated.put(2)
        assert process.wait(10) == OUTPUT
