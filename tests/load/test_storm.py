"""Through a real web server, under load, while about every second something breaks: what was sent is
what is spooled, exactly, and the sender never hears what would make it give up.

DURATION is the number of seconds for each server, SEED what repeats a sequence of troubles."""

import glob
import os
import random
import signal
import subprocess
import time
from collections import Counter, defaultdict

import pytest
from consumers import Consumers
from fetching import api_environment
from sender import Sender
from server import BUILD, hand_over, run
from spoolfile import check_cloudevent, check_entry

DURATION = float(os.environ.get("DURATION", 20))
SEED = int(os.environ.get("SEED", random.SystemRandom().getrandbits(32)))
CONNECTIONS = 8
ANNOUNCING = 2  # connections by GET; the API is asked ten times a second at most
AS_ROOT = [] if os.getuid() == 0 else ["sudo", "-n"]
SIZE = 4 << 30  # bytes for the spool; half an hour's events take a quarter of it


def children(pid):
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout
    return [int(child) for child in found.split()]


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Storm:
    """What can break. Each trouble returns what ends it, or None if it passes by itself."""

    def __init__(self, site, disk, rng, consumers):
        self.site = site
        self.disk = disk
        self.rng = rng
        self.consumers = consumers
        self.seen = Counter()

    @property
    def master(self):
        """Of Apache or nginx."""
        return self.site.processes[-1].pid

    def graceful_restart(self):
        os.kill(self.master, signal.SIGUSR1 if self.site.name == "apache" else signal.SIGHUP)

    def restart(self):
        self.site.stop()
        self.site.start()

    def kill_everything(self):
        for process in self.site.processes:
            os.killpg(process.pid, signal.SIGKILL)
        self.site.stop()
        self.site.start()

    def kill_worker(self):
        """Of Apache, that can be mod_cgid's daemon."""
        self._kill_child(self.master)

    def kill_fcgiwrap_child(self):
        if self.site.name == "nginx":
            self._kill_child(self.site.processes[0].pid)

    def _kill_child(self, pid):
        """Any of them, if there is one."""
        found = children(pid)
        if found:
            kill(self.rng.choice(found))

    def kill_fcgiwrap(self):
        """As systemd would start it again."""
        if self.site.name == "apache":
            return None
        os.killpg(self.site.processes[0].pid, signal.SIGKILL)
        self.site.processes[0].wait()

        def repair():
            (self.site.directory / "run/fcgiwrap").unlink(missing_ok=True)
            nginx = self.site.processes[1]
            self.site.processes = []
            self.site._spawn("fcgiwrap", "-c", self.site.children, "-s",
                             f"unix:{self.site.directory}/run/fcgiwrap", log="fcgiwrap.log")
            self.site.processes.append(nginx)

        return repair

    def kill_programs(self):
        """Ours, wherever they are."""
        for _ in range(20):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    if os.readlink(f"/proc/{pid}/exe").startswith(str(self.site.program.parent)):
                        os.kill(int(pid), signal.SIGKILL)
                        self.seen["programs killed"] += 1
                except OSError:
                    pass
            time.sleep(0.01)

    def fill_disk(self):
        """By making it as small as what is in it, and a little."""
        usage = os.statvfs(self.disk)
        used = (usage.f_blocks - usage.f_bfree) * usage.f_frsize
        # 0 would be no limit, and Linux does not set one again where there was none.
        self._remount(f"size={max(1, used + self.rng.choice((0, 5000, 200_000)))}")
        return lambda: self._remount(f"size={SIZE}")

    def read_only(self):
        """A file that is open to be written, as every runner has one, keeps it from being done."""
        with self.consumers.away:
            self.consumers.kill()
            for _ in range(20):
                if self._remount("ro"):
                    self.seen["remounted"] += 1
                    break
                time.sleep(0.01)
        return lambda: self._remount("rw")

    def forbid(self):
        """Nobody may change anything; what is open stays so."""
        directories = [path for path in self.site.spool.iterdir() if path.name != "state"]
        modes = {path: path.stat().st_mode & 0o7777 for path in directories}
        for path in directories:
            self._chmod(0o550, path)
        return lambda: [self._chmod(modes[path], path) for path in directories]

    def _chmod(self, mode, path):
        run(*AS_ROOT, "chmod", f"{mode:o}", path)

    def _remount(self, options):
        """Returns whether it could be done."""
        command = [*AS_ROOT, "mount", "-o", f"remount,{options}", self.disk]
        return subprocess.run(command, capture_output=True).returncode == 0

    def upgrade(self):
        """A new version in the place of the old, as install does it; and for a moment none."""
        if self.rng.random() < 0.5:
            self.site.program.unlink()
            time.sleep(0.1)
        self.site.install_program()

    def jump(self):
        """The clock, for the program: days to either side. (A static program cannot be told another
        time, so this one has shared libraries.)"""
        wrapper = self.site.directory / "libexec/elsewhen"
        real = self.site.directory / "libexec/real"
        run("install", "-m", "755", BUILD / "valgrind/tradecloud-webhook", real)
        wrapper.write_text(f"#!/bin/sh\nFAKETIME_DONT_FAKE_MONOTONIC=1 exec faketime -f "
                           f"{self.rng.randint(-10**6, 10**6):+d}s {real}\n")
        self.site.install_program(wrapper)
        return self.site.install_program

    def rage(self, end):
        troubles = [self.graceful_restart, self.restart, self.kill_everything, self.kill_worker,
                    self.kill_worker, self.kill_fcgiwrap_child, self.kill_fcgiwrap,
                    self.kill_programs, self.kill_programs, self.fill_disk, self.read_only,
                    self.forbid, self.upgrade, self.jump, self.jump]
        while time.monotonic() < end:
            self.rng.shuffle(troubles)
            for trouble in troubles:
                repair = trouble()
                self.seen[trouble.__name__] += 1
                time.sleep(self.rng.uniform(0.1, 0.8))
                if repair:
                    repair()
                    time.sleep(0.2)
                if time.monotonic() >= end:
                    return


@pytest.fixture
def clocks():
    """What libfaketime leaves in memory of those who were killed."""
    yield
    left = [path for path in glob.glob("/dev/shm/*faketime_*")
            if not os.path.exists(f"/proc/{path.rpartition('_')[2]}")]
    run(*AS_ROOT, "rm", "-f", *left)


@pytest.fixture
def disk(place):
    """A file system of its own for the spool."""
    directory = place / "disk"
    directory.mkdir()
    run(*AS_ROOT, "mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755", "tmpfs", directory)
    run(*AS_ROOT, "install", "-d", "-m", "2770", "-o", str(os.getuid()), directory / "spool")
    hand_over(directory / "spool")
    yield directory
    run(*AS_ROOT, "umount", "-l", directory)


def check_events(files, accepted):
    """Exactly those that were accepted. Returns the names of each subject's, as they were sent."""
    names = {file.name.split("_")[2][:-5]: file for file in files}
    subjects = defaultdict(list)
    assert len(names) == len(files)
    assert names.keys() == accepted.keys()
    for identifier, body in accepted.items():
        event = check_entry(names[identifier], body)
        subjects[event.get("subject", identifier)].append(names[identifier].name)
    return subjects


def check_orders(files, announced):
    """Exactly those that were announced"""
    subjects = Counter()
    for file in files:
        subject = check_cloudevent(file.read_bytes())["subject"]
        subjects[subject] += 1
        check_entry(file, announced[subject])
    assert subjects.keys() == announced.keys()
    assert set(subjects.values()) <= {1}


def check_consumed(site, consumers, subjects):
    """In the end all is in done/, and was consumed, in the order of each subject. One that came
    twice, as spool.h has it, was set aside under a name of its own, and may have come late."""
    files = entries(site)
    twins = {file.name.split(".json")[0] + ".json" for file in site.entries("done")
             if ".twin-" in file.name}
    consumers.seen["came as twins"] = len(twins)
    assert files == [file for file in site.entries("done") if ".twin-" not in file.name]
    assert consumers.consumed() == {file.name for file in files}
    consumers.check_content(files)
    consumers.check_order({subject: [name for name in names if name not in twins]
                           for subject, names in subjects.items()})
    assert site.entries("leases") == []


def entries(site):
    """In whatever state; none in two."""
    found = [file for state in ("new", "work", "done", "failed") for file in site.entries(state)
             if ".twin-" not in file.name]
    assert len({file.name for file in found}) == len(found)
    return found


@pytest.mark.parametrize("consuming", [0, 2], ids=["alone", "consumed"])
def test_storm(server, place, authority, disk, clocks, stub, say, consuming):
    """Troubles come in an order that SEED gives; when each comes, the machine decides. With so many
    runners that consume meanwhile, and are killed as well."""
    site = server(place / "site", authority, spool=disk / "spool",
                  environment=api_environment(stub, TRADECLOUD_MIN_FREE="0")).start()
    consumers = Consumers(consuming, place, site.spool, random.Random(SEED + 1))
    try:
        storm = Storm(site, disk, random.Random(SEED), consumers)
        sender = Sender(site, CONNECTIONS, ANNOUNCING, stub)
        consumers.start()
        try:
            storm.rage(time.monotonic() + DURATION)
        finally:
            done = sender.finish(60)
            consumers.stop()
        log = site.log()
        logged = {reason: log.count(reason) for reason in (
            "disk is full", "No space left", "Read-only", "Permission", "SIGTERM", "cut short")}
        say(f"{site.name}: {len(sender.accepted)} events, {len(sender.announced)} orders, answers {dict(sender.answers)}; "
            f"{dict(storm.seen)}; logged {logged}; SEED={SEED}")
        assert sender.given_up == [], site.log()[-5000:]
        assert done, "an event never came through: " + site.log()[-1000:]
        files = entries(site)
        subjects = check_events([f for f in files if "-fetched_" not in f.name], sender.accepted)
        check_orders([f for f in files if "-fetched_" in f.name], sender.announced)
        assert site.entries("failed") == [] and site.entries("rejected") == []
        if consuming:
            left = len(site.entries("new")) + len(site.entries("work"))
            assert consumers.drain(60 + DURATION * 2) == 0, consumers.log.read_text()[-5000:]
            for file in entries(site):
                if "-fetched_" in file.name:
                    subjects[file.name].append(file.name)
            check_consumed(site, consumers, subjects)
            # Rarely, libfaketime finds what one that was killed has left under the same number.
            assert consumers.seen["ended 1"] <= consumers.seen["clock behind"] / 4
            say(f"{len(files) - left} consumed meanwhile, {left} afterwards; {dict(consumers.seen)}")
    finally:
        consumers.stop()
        site.stop()


def test_wrong_order_is_noticed(place):
    """As well as what is consumed while another of its subject is."""
    consumers = Consumers(0, place, place, random.Random())
    good = ["1 start a", "2 start a", "2 end a -", "3 start a", "3 end a -", "4 start b", "4 end b -"]
    consumers.record.write_text("\n".join(good))
    consumers.check_order({"s": ["a", "b"]})
    for bad in (good[:2] + ["1 end a -"] + good[2:], good[5:] + good[:5], good[:5], good + good[:1]):
        consumers.record.write_text("\n".join(bad))
        with pytest.raises(AssertionError):
            consumers.check_order({"s": ["a", "b"]})


def test_the_sender_gives_up(server, place, authority):
    """Else nothing would be shown: a server that answers 500 is noticed."""
    site = server(place / "site", authority).start()
    try:
        script = place / "script"
        script.write_text("#!/bin/sh\ncat >/dev/null\nprintf 'Status: 404 Not Found\\r\\n\\r\\n'\n")
        site.install_program(script)
        sender = Sender(site, 1)
        time.sleep(0.5)
        assert sender.finish(20) and sender.given_up
    finally:
        site.stop()
