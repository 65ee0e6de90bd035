"""A Debian machine to install on: debootstrap's, booted by systemd-nspawn with its own systemd as
process 1, and cut off from any network but its own loopback interface.

What debootstrap made is kept under /var/tmp/tradecloud-debian, and each machine writes to a layer
of its own above it, so that it is as new.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
BASES = pathlib.Path("/var/tmp/tradecloud-debian")
MIRROR = "http://deb.debian.org/debian"
# What README.md has one install, and what the tests themselves need.
PACKAGES = ("systemd systemd-sysv dbus ca-certificates sudo man-db strace curl "
            "gcc make libc6-dev libcurl4-openssl-dev libjson-c-dev libssl-dev "
            "apache2 apache2-utils nginx fcgiwrap").split()
SERVICES = "apache2.service nginx.service fcgiwrap.socket fcgiwrap.service".split()


def run(*arguments, **options):
    return subprocess.run([str(a) for a in arguments], check=True, **options)


def make_base(suite):
    """The installed system, from before anything of ours."""
    base = BASES / suite
    done = base / "var/lib/tradecloud-base"
    if not done.exists():
        print(f"making a Debian {suite} in {base}: this takes some minutes", file=sys.stderr)
        shutil.rmtree(base, ignore_errors=True)
        base.parent.mkdir(parents=True, exist_ok=True)
        run("debootstrap", "--variant=minbase", suite, base, MIRROR, stdout=subprocess.DEVNULL)
        # Servers are not started while they are installed, nor when the machine is booted.
        policy = base / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        (base / "etc/hostname").write_text("debian\n")
        (base / "etc/hosts").write_text("127.0.0.1 localhost debian\n")
        shutil.copy("/etc/resolv.conf", base / "etc/resolv.conf")
        (base / "etc/apt/apt.conf.d/tests").write_text('APT::Get::Assume-Yes "true";\n')
        run("chroot", base, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-q",
            "--no-install-recommends", *PACKAGES, stdout=subprocess.DEVNULL)
        run("systemctl", f"--root={base}", "disable", *SERVICES, stderr=subprocess.DEVNULL)
        policy.unlink()
        done.touch()
    return base


class Machine:
    def __init__(self, suite):
        self.suite = suite
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="tradecloud-machine.", dir="/var/tmp"))
        self.root = self.place / "root"

    def __enter__(self):
        base = make_base(self.suite)
        for name in ("upper", "work", "root"):
            (self.place / name).mkdir()
        run("mount", "-t", "overlay", "overlay", self.root, "-o",
            f"lowerdir={base},upperdir={self.place}/upper,workdir={self.place}/work")
        self._copy_sources()
        self.nspawn = None
        try:
            self._boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._halt()
        run("umount", self.root)
        shutil.rmtree(self.place)

    def reboot(self):
        self._halt()
        self._boot()

    def _boot(self):
        environment = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        with open(self.place / "console", "ab") as console:
            self.nspawn = subprocess.Popen(
                ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit",
                 "--private-network", "--console=passive", "--machine=tradecloud", "-D", self.root],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=environment)
        self._wait()

    def _halt(self):
        if self.nspawn is None:
            return
        self.nspawn.terminate()
        try:
            self.nspawn.wait(60)
        except subprocess.TimeoutExpired:
            self.nspawn.kill()
            self.nspawn.wait()

    def _copy_sources(self):
        """All that git knows or would take up; as a clone, but with what is not committed."""
        names = subprocess.check_output(["git", "-C", TOP, "ls-files", "-z", "--cached", "--others",
                                         "--exclude-standard"])
        target = self.root / "root/tradecloud-webhook"
        target.mkdir()
        run("tar", "-C", TOP, "--null", "-T", "-", "-cf", self.place / "sources.tar", input=names)
        run("tar", "-C", target, "-xf", self.place / "sources.tar", "--no-same-owner")

    def _wait(self):
        children = pathlib.Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children")
        deadline = time.monotonic() + 120
        while True:
            if self.nspawn.poll() is not None or time.monotonic() > deadline:
                console = (self.place / "console").read_text(errors="replace")
                raise RuntimeError(f"Debian {self.suite} does not boot:\n{console}")
            with contextlib.suppress(IndexError, subprocess.CalledProcessError):
                self.leader = children.read_text().split()[0]
                state = self.run("systemctl is-system-running --wait || true", quiet=True).strip()
                if state in ("running", "degraded"):
                    return
            time.sleep(0.2)

    def run(self, script, stdin="", quiet=False):
        """Run a shell script as root on the machine, where the sources are. Returns what it prints,
        errors too; fails if any command of it does."""
        done = subprocess.run(
            ["nsenter", "-t", self.leader, "-a", "env", "-i", "HOME=/root", "LANG=C.UTF-8",
             "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
             "bash", "-euo", "pipefail", "-c", f"cd /root/tradecloud-webhook\n{script}"],
            input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            if not quiet:
                print(f"$ {script}\n{done.stdout}", file=sys.stderr)
            raise subprocess.CalledProcessError(done.returncode, script, done.stdout)
        return done.stdout

    def outside(self, *arguments, **options):
        """Run a program of this machine in the other one's network: as somebody from outside."""
        return run("nsenter", "-t", self.leader, "--net", *arguments, **options)

    def spawn_outside(self, *arguments, **options):
        return subprocess.Popen(["nsenter", "-t", self.leader, "--net", *map(str, arguments)],
                                **options)

    def file(self, path):
        """Where a file of the machine is here."""
        return self.root / path.lstrip("/")
