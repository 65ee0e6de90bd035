"""The systemd units of consumers: right by systemd's own judgement, and alike where they must be."""

import re
import subprocess

import pytest
from server import TOP, run

UNITS = ["tradecloud-spool@.service", "tradecloud-spool-once@.service", "tradecloud-spool-once@.path"]


def text_of(unit):
    return (TOP / "cgi" / unit).read_text()


def settings(unit):
    """The lines of [Service]."""
    section = text_of(unit).split("\n[Service]\n")[1].split("\n[")[0]
    return [line for line in section.splitlines() if line and line[0] != "#"]


def test_verify(tmp_path):
    """No line that systemd does not know; the instance is a user that there is."""
    for unit in UNITS:
        text = text_of(unit).replace("/usr/local/bin/tradecloud-spool", "/bin/true")
        (tmp_path / unit).write_text(text)
    names = [tmp_path / unit.replace("@", "@www-data") for unit in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *names], capture_output=True,
                          text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS[:2])
def test_exposure(unit):
    """Of 10, by systemd's count; what remains is the network and what consumers need."""
    report = run("systemd-analyze", "security", "--offline=true", "--no-pager", TOP / "cgi" / unit,
                 stdout=subprocess.PIPE).stdout.decode()
    assert float(re.search(r"Overall exposure level.*: (\d+\.\d)", report).group(1)) <= 1.5


def test_alike():
    """Both services keep consumers on the same leash."""
    own = ("Type=", "ExecStart=", "ExecStopPost=", "Restart")
    both = [[line for line in settings(unit) if not line.startswith(own)] for unit in UNITS[:2]]
    assert both[0] == both[1]
