"""Who may have a hand in the spool: the web server's user, whose it is; a consumer in its group;
strangers; and root, by mistake. Users are numbers here, which no account needs to have."""

import json
import os
import subprocess
from dataclasses import dataclass

import pytest
from client import order
from server import BUILD, run

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can act as several users")

GROUP = 64100  # of the consumers
WITHOUT_TIME = b'{"eventName":"Test"}'  # needs state/


@dataclass
class User:
    number: int
    in_group: bool = False

    def run(self, *command, **options):
        groups = f"--groups={GROUP}" if self.in_group else "--clear-groups"
        return subprocess.run(
            ["setpriv", f"--reuid={self.number}", f"--regid={self.number}", groups,
             "--no-new-privs", *map(str, command)], capture_output=True, timeout=60, **options)


SERVER = User(64001)
SERVER_IN_GROUP = User(64001, in_group=True)  # so it is as shipped for nginx
CONSUMER = User(64002, in_group=True)
STRANGER = User(64003)
ROOT = User(0)


class Spool:
    """As cgi/tmpfiles.d has it made."""

    def __init__(self, place):
        self.path = place / "spool"
        self.path.mkdir()
        for name in "tmp new work done failed rejected leases attempts".split():
            self.make(name, 0o2770)
        self.make("state", 0o700)
        self.own(".", SERVER.number, GROUP, 0o2750)

    def make(self, name, mode):
        (self.path / name).mkdir()
        self.own(name, SERVER.number, GROUP, mode)

    def own(self, name, user, group, mode=None):
        os.chown(self.path / name, user, group, follow_symlinks=False)
        if mode is not None:
            (self.path / name).chmod(mode)

    def entries(self):
        """What is in any directory, but state/."""
        return sorted(str(p.relative_to(self.path)) for p in self.path.glob("*/*")
                      if p.parent.name != "state")

    def receive(self, user, body=WITHOUT_TIME, path=None):
        """The program, run by a user as a web server would run it. Returns status, answer, log."""
        done = user.run(self.path.parent / "webhook", input=body, env={
            "REQUEST_METHOD": "POST", "AUTH_TYPE": "Basic", "CONTENT_LENGTH": str(len(body)),
            "TRADECLOUD_SPOOL": str(path or self.path)})
        head, _, answer = done.stdout.decode().partition("\r\n\r\n")
        return int(head.split()[1]), json.loads(answer), done.stderr.decode()


@pytest.fixture
def spool(place):
    run("install", "-m", "755", BUILD / "tradecloud-webhook", place / "webhook")
    run("install", "-m", "755", BUILD / "tradecloud-fetch", place / "fetch")
    return Spool(place)


def test_server_and_consumer(spool):
    """Each does its work, as itself; neither is in the other's group but by the spool's."""
    body = order(identifier="m")
    status, answer, log = spool.receive(SERVER, body)
    assert status == 202, log
    name = answer["file"]
    path = spool.path / "new" / name
    facts = path.stat()
    assert (facts.st_uid, facts.st_gid, facts.st_mode & 0o7777) == (SERVER.number, GROUP, 0o640)
    assert CONSUMER.run("cat", path).stdout.endswith(b'"data":' + body + b"}")
    for source, target in (("new", "work"), ("work", "done")):
        assert CONSUMER.run("mv", spool.path / source / name, spool.path / target).returncode == 0
        assert spool.receive(SERVER, body)[0] == 200
    assert spool.entries() == [f"done/{name}"]
    assert CONSUMER.run("rm", "-f", spool.path / "done" / name).returncode == 0
    assert spool.receive(SERVER, body)[0] == 202


@pytest.mark.parametrize("command", [
    "cat state/x", "ls state", "touch x", "mkdir x", "mv new old", "rmdir done", "mv state old",
    "chmod 777 new", "chgrp 64002 new", "for entry in new/*; do echo x >>$entry || exit 1; done"])
def test_a_consumer_changes_no_directory(spool, command):
    """Nor what stands in an entry."""
    assert spool.receive(SERVER)[0] == 202
    assert CONSUMER.run("sh", "-c", command, cwd=spool.path).returncode != 0
    assert spool.receive(SERVER)[0] == 200


@pytest.mark.parametrize("command", ["ls .", "ls new", "touch new/x", "cat new/*", "ls state"])
def test_a_stranger_sees_nothing(spool, command):
    assert spool.receive(SERVER)[0] == 202
    done = STRANGER.run("sh", "-c", command, cwd=spool.path)
    assert done.returncode != 0 and b"denied" in done.stderr


def link_to(name):
    """The directory is elsewhere, and a symbolic link here."""
    def change(spool):
        target = spool.path.parent / "elsewhere"
        (spool.path / name).rename(target)
        (spool.path / name).symlink_to(target)
    return change


def given_to(user, group, name, mode=None):
    return lambda spool: spool.own(name, user, group, mode)


# What is changed, what the log calls it, and how it puts the reason and what to do.
UNFIT = {
    "spool of a stranger": (given_to(64003, 64003, ".", 0o2775), "spool/", "another user (64003)"),
    "spool open to all": (given_to(64001, GROUP, ".", 0o2777), "spool/", "chmod o-w"),
    "spool open to all, sticky": (given_to(64001, GROUP, ".", 0o3777), "spool/", "chmod o-w"),
    "new of a stranger": (given_to(64003, 64003, "new", 0o2775), "spool/new", "chown it"),
    "new of a stranger in the group": (given_to(64003, GROUP, "new"), "spool/new", "(64003)"),
    "done of a consumer": (given_to(64002, GROUP, "done"), "spool/done", "(64002)"),
    "tmp open to all": (given_to(64001, GROUP, "tmp", 0o2777), "spool/tmp", "chmod o-w"),
    "new a link": (link_to("new"), "spool/new", "no symbolic link"),
    "tmp a link": (link_to("tmp"), "spool/tmp", "no symbolic link"),
    "rejected a link": (link_to("rejected"), "spool/rejected", "no symbolic link"),
    "state a link": (link_to("state"), "spool/state", "no symbolic link"),
    "state of a stranger": (given_to(64003, 64003, "state"), "spool/state", "Permission denied"),
    "state of root": (given_to(0, 0, "state", 0o755), "spool/state", "chown and chmod 700"),
    "state open to the group": (given_to(64001, GROUP, "state", 0o770), "spool/state", "chmod 700"),
    "state legible to all": (given_to(64001, GROUP, "state", 0o755), "spool/state", "chmod 700"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_unfit(spool, case):
    """Refused, with the thing, the reason and the remedy; and nothing is stored anywhere."""
    change, thing, words = UNFIT[case]
    change(spool)
    status, _, log = spool.receive(SERVER_IN_GROUP)
    assert status == 503
    assert f"{spool.path.parent}/{thing}" in log and words in log, log
    assert spool.entries() == []
    assert spool.receive(SERVER)[0] == 503
    elsewhere = spool.path.parent / "elsewhere"
    assert not elsewhere.exists() or list(elsewhere.iterdir()) == []


def test_a_link_to_the_spool(spool):
    link = spool.path.parent / "link"
    link.symlink_to(spool.path)
    for end in ("", "/", "/."):
        status, _, log = spool.receive(SERVER, path=f"{link}{end}")
        assert status == 503, log
        assert "no symbolic link" in log or "must not end in" in log
    assert spool.entries() == []


def test_root_by_mistake(spool):
    """Root could; but its files would be closed to the web server's user."""
    status, _, log = spool.receive(ROOT)
    assert status == 503
    assert rf"not as root: sudo -u \\#{SERVER.number}" in log, log
    done = ROOT.run(spool.path.parent / "fetch", "order", "an-id",
                    env={"TRADECLOUD_SPOOL": str(spool.path)})
    assert done.returncode == 78 and b"not as root" in done.stderr
    assert spool.entries() == []
    assert list((spool.path / "state").iterdir()) == []
    for path in [spool.path, *spool.path.rglob("*")]:
        assert path.stat().st_uid == SERVER.number


def test_spool_of_root(spool):
    """What belongs to root is trusted, as long as the server's user may write there."""
    for path in [spool.path, *spool.path.iterdir()]:
        if path.name != "state":
            os.chown(path, 0, SERVER.number)
            path.chmod(0o2770)
    assert spool.receive(SERVER)[0] == 202


@pytest.mark.parametrize("name", ["new", "done", "tmp"])
def test_missing_directories_are_not_a_consumers_to_make(spool, name):
    """Else they were a consumer's, and the server's user would be locked out."""
    spool.own(".", SERVER.number, GROUP, 0o2770)
    (spool.path / name).rmdir()
    status, _, log = spool.receive(CONSUMER, order())
    assert status == 503
    assert f"spool/{name} is missing" in log and "mkdir -m 2770" in log
    assert not (spool.path / name).exists()
    assert spool.receive(SERVER, order())[0] == 202
    assert (spool.path / name).stat().st_uid == SERVER.number


def test_hard_links_of_entries(spool):
    """A second name of an entry changes nothing: it is neither written to nor stored anew."""
    body = order(identifier="m")
    name = spool.receive(SERVER, body)[1]["file"]
    second = spool.path / "leases/second"
    os.link(spool.path / "new" / name, second)
    before = second.read_bytes()
    assert spool.receive(SERVER, body)[0] == 200
    assert second.read_bytes() == before
    assert (spool.path / "new" / name).stat().st_nlink == 2


def test_planted_names(spool):
    """A consumer can make us take an event for one that was there: it is trusted with events. It
    cannot make us write anywhere, or follow a link."""
    body = order(identifier="m")
    name = spool.receive(SERVER, body)[1]["file"]
    victim = spool.path.parent / "victim"
    victim.write_text("precious")
    os.chown(victim, SERVER.number, SERVER.number)
    (spool.path / "new" / name).unlink()
    assert CONSUMER.run("ln", "-s", victim, spool.path / "new" / name).returncode == 0
    assert spool.receive(SERVER, body)[0] == 200
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("name", ["token.lock", "pace.connect"])
@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_links_for_locks(spool, name, link):
    """What is written into a lock ends up nowhere else."""
    netrc, victim = spool.path.parent / "netrc", spool.path / "state/victim"
    for file, text in ((netrc, "machine localhost login a password b"), (victim, "precious")):
        file.write_text(text)
        file.chmod(0o600)
        os.chown(file, SERVER.number, SERVER.number)
    link(victim, spool.path / "state" / name)
    done = SERVER.run(spool.path.parent / "fetch", "order", "an-id",
                      env={"TRADECLOUD_SPOOL": str(spool.path), "TRADECLOUD_NETRC": str(netrc),
                           "TRADECLOUD_API_URL": "https://localhost:1/v2"})
    assert done.returncode == 75
    assert f"cannot lock state/{name} in the spool" in done.stderr.decode()
    assert "see tradecloud-fetch(1), FILES" in done.stderr.decode()
    assert victim.read_text() == "precious"
