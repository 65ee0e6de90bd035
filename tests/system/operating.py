"""An operator at tradecloud-spool: its commands, with and without a terminal."""

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios

from consuming import Spool
from server import UNPRIVILEGED, hand_over, run

STRANGER = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
MEMBER = ["setpriv", "--reuid=nobody", "--regid=www-data", "--clear-groups"]
USAGE, DATA, MISSING, OUTPUT, FORBIDDEN, CONFIGURATION = 64, 65, 66, 74, 77, 78

REJECTION = (b"Status: 400\nReason: at byte 7: a comma is missing\n"
             b"Received: 2025-04-23T10:01:53.812Z\n\n")


def rejection_name(number):
    return f"20250423T1201{number:02}.000Z_rejected_{number:064x}.txt"


class Operator(Spool):
    """Its `path` is the spool; entries are put there by hand (see Spool)."""

    def stop_all(self):
        """Those that follow end as they do when an operator has seen enough."""
        for process in self.processes:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
        super().stop_all()

    def words(self, *arguments, user=None, prefix=()):
        return [*(UNPRIVILEGED if user is None else user), *map(str, prefix), str(self.program),
                *map(str, arguments)]

    def call(self, *arguments, user=None, prefix=(), text=True, stdout=subprocess.PIPE,
             **variables):
        """One command, to its end: a subprocess.CompletedProcess."""
        return subprocess.run(self.words(*arguments, user=user, prefix=prefix),
                              stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE,
                              text=text, timeout=60, env=self.environment(**variables))

    def good(self, *arguments, **options):
        """The lines that a command prints, which must succeed and complain of nothing."""
        done = self.call(*arguments, **options)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout.splitlines()

    def rows(self, *arguments):
        """The cells of each line."""
        return [line.split("\t") for line in self.good(*arguments)]

    def look(self, *arguments, width=200, **variables):
        """What a terminal gets: the exit status and the text, standard error in it."""
        environment = self.environment(TERM="xterm", LC_ALL="C.UTF-8", **variables)
        return look(self.words(*arguments), environment, width)

    def write(self, state, name, content=b"", mode=0o640):
        """Any file, in its place."""
        path = self.path / state / name
        path.write_bytes(content)
        path.chmod(mode)
        hand_over(path)
        return name

    def put_rejection(self, number, body=b"no JSON"):
        """A rejected request, that appears whole, as entries do."""
        name = rejection_name(number)
        self.write("tmp", name, REJECTION + body)
        os.link(self.path / "tmp" / name, self.path / "rejected" / name)
        (self.path / "tmp" / name).unlink()
        return name

    def remember(self, name, attempts=3, error="exit 1: ERP is closed"):
        """What a runner remembers of an entry."""
        directory = self.path / "attempts"
        if not directory.exists():
            directory.mkdir()
            directory.chmod(0o2770)
            hand_over(directory)
        self.write("attempts", name, f"attempts {attempts}\nfailures {attempts}\n"
                   f"retry 2025-04-23T10:01:53.812Z\nerror {error}\n".encode())


def look(words, environment, width=200):
    """Run a command on a terminal of its own."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=follower, stderr=follower,
                          env=environment) as process:
        os.close(follower)
        text = b""
        while True:
            try:
                more = os.read(leader, 65536)
            except OSError:  # the last one has closed it
                break
            text += more
            if not more:
                break
        os.close(leader)
        status = process.wait(60)
    return status, text.decode("utf-8").replace("\r\n", "\n")


def put_odd_things(operator, state="new"):
    """All that can be in a directory and is no entry: the names."""
    directory = operator.path / state
    name = "20250423T1300{:02}.000Z_order_odd{}.json".format
    made = {"name": ["foreign", ".hidden", "x.json", "a\nb", "\x1b[2Jc\x9b", "ü", "-x", "z" * 255,
                     "20250423T130000.000Z_order_" + "k" * 129 + ".json",
                     "20250423T130000.000Z_nokind_k.json", "20250423T130000.000Z_order_a b.json"],
            "kind": [], "content": []}
    for odd in made["name"]:
        operator.write(state, odd, b"{}")
    (directory / name(1, "directory")).mkdir()
    (directory / name(2, "link")).symlink_to("/etc/passwd")
    (directory / name(3, "dangling")).symlink_to("nowhere")
    os.mkfifo(directory / name(4, "pipe"))
    bind = "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])"
    run("/usr/bin/python3", "-c", bind, name(5, "socket"), cwd=directory)
    made["kind"] = [name(1, "directory"), name(2, "link"), name(3, "dangling"), name(4, "pipe"),
                    name(5, "socket")]
    made["content"] = [operator.write(state, name(6, "empty")),
                       operator.write(state, name(7, "text"), b"no JSON"),
                       operator.write(state, name(8, "cut"), b'{"specversion":"1.0","id":"x"')]
    made["unreadable"] = [operator.write(state, name(9, "unreadable"), b"{}", mode=0)]
    return made
