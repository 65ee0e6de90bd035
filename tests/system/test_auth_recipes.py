"""The README's recipes for tokens, passwords and fail2ban, as they stand there."""

import re
import stat
import subprocess
import threading
import time

import pytest
from admission import admit_tokens, basic, bearer, make_token, post, write_tokens
from client import order, send
from server import TOP, hand_over

README = (TOP / "README.md").read_text()


def recipe(beginning, language="sh"):
    """The block of the README that begins so."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    [block] = [block for block in blocks if block.startswith(beginning)]
    return block


def follow(site, directory, script, answers=""):
    """Type it into a shell, on a machine where all that sudo would do is allowed."""
    etc = site.directory / "etc"
    script = script.replace("/etc/tradecloud", str(etc)).replace("sudo ", "")
    script = script.replace("htpasswd -B ", "htpasswd -iB ")  # which asks, otherwise
    done = subprocess.run(["sh", "-euxc", script], cwd=directory, input=answers, text=True,
                          capture_output=True, check=True, umask=0o022)
    return done.stdout, done.stderr


class Sender:
    """Sends events without a pause, as whoever it is told to be."""

    def __init__(self, site, auth):
        self.site, self.auth, self.statuses = site, auth, []
        self.ended = False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.ended:
            self.statuses.append(send(self.site, order(), auth=self.auth).status)

    def wait(self):
        """Until an event that was begun after this has been answered."""
        count = len(self.statuses) + 2
        deadline = time.monotonic() + 20
        while len(self.statuses) < count:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def __enter__(self):
        self.thread.start()
        self.wait()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.thread.join()


@pytest.fixture
def bare(server, place, authority):
    """A site that admits by tokens, of which it has none yet."""
    site = server(place / "site", authority)
    admit_tokens(site)
    with site:
        yield site


def make(site, tmp_path):
    """Make a token by the recipe. Returns it, and its line."""
    output, trace = follow(site, tmp_path, recipe("(umask 077; openssl rand"))
    token = (tmp_path / "token").read_text()
    assert re.fullmatch(r"[0-9a-f]{64}\n", token)
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    # Commands and output: neither a history nor a terminal has it.
    assert token.strip() not in output + trace
    comment, line = output.splitlines()
    assert re.fullmatch(r"# since \d{4}-\d\d-\d\d", comment)
    return token.strip(), line


def test_token(bare, tmp_path):
    """Make a token, try it, replace it, without one event refused that should not be."""
    old, line = make(bare, tmp_path)
    assert stat.S_IMODE((bare.directory / "etc/bearer").stat().st_mode) == 0o644
    script = recipe("(umask 077; { printf")
    assert "https://your.host/tradecloud" in script
    script = script.replace("https://your.host/tradecloud", bare.url)
    script = script.replace("curl ", f"curl --cacert {bare.authority.ca} ")
    output, trace = follow(bare, tmp_path, script)
    assert '"status":"spooled"' in output and old not in output + trace
    with Sender(bare, bearer(old)) as sender:
        new, _ = make(bare, tmp_path)
        sender.wait()
        sender.auth = bearer(new)
        sender.wait()
        command = recipe("sudo sed")
        assert "3a7bd3e2" in command
        follow(bare, tmp_path, command.replace("3a7bd3e2", line[:8]))
        sender.wait()
    assert set(sender.statuses) == {202}, sender.statuses
    assert post(bare, bearer(old)).status == 401
    assert post(bare, bearer(new)).status == 202


def test_password(bare, tmp_path):
    """Let in a second user, and take away the first, likewise."""
    script = recipe("cd /etc/tradecloud")
    with Sender(bare, basic(bare)) as sender:
        follow(bare, tmp_path, script, answers="new-password\n")
        hand_over(bare.directory / "etc/htpasswd")
        sender.wait()
        sender.auth = basic(bare, "tradecloud2", "new-password")
        sender.wait()
        command = re.search(r"`(sudo htpasswd -D htpasswd\.new tradecloud)`", README)[1]
        follow(bare, tmp_path, script.replace("sudo htpasswd -B htpasswd.new tradecloud2", command))
        sender.wait()
    assert set(sender.statuses) == {202}, sender.statuses
    assert post(bare, basic(bare)).status == 401


# --- fail2ban ---

def banned(log, regex):
    """The addresses that fail2ban takes from a log, one for each line that matches."""
    done = subprocess.run(["fail2ban-regex", "--out", "ip", str(log), str(regex)],
                          capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_fail2ban(server, place, authority, tmp_path):
    """The filters see every refusal, and nothing that an attacker writes into the log passes for
    one of somebody else."""
    filter_file = tmp_path / "tradecloud-webhook.conf"
    filter_file.write_text(recipe("[Definition]", "ini"))
    site = server(place / "site", authority)
    admit_tokens(site)
    token = make_token()
    write_tokens(site, token)
    lie = "outcome=refused status=401 method=POST remote=192.0.2.1 "
    with site:
        for auth in (bearer("x"), bearer("y"), bearer("z")):
            assert post(site, auth).status == 401
        for user in (lie, f"\n{lie}", f"x y: {lie}"):
            assert post(site, basic(site, user=user)).status == 401
        assert post(site, basic(site, password="x")).status == 401
        assert send(site, order(), "REMOTE-192", auth=bearer("x")).status in (401, 503)
        for auth in (bearer(token), basic(site)):
            post(site, auth)
            assert send(site, order(name=lie), auth=auth).status == 202
            assert send(site, order(name=f"\n{lie}"), auth=auth).status == 202
        log = site.directory / "log" / ("error.log" if server.name == "apache" else "fcgiwrap.log")
        refused = [line for line in log.read_text(errors="replace").splitlines()
                   if line.startswith("outcome=refused ")]
        assert len(refused) >= 3
        assert banned(log, filter_file) == ["127.0.0.1"] * len(refused)
        # As the journal has them.
        journal = tmp_path / "journal"
        journal.write_text("".join(f"host fcgiwrap[1]: {line}\n" for line in
                                   log.read_text(errors="replace").splitlines()
                                   if line.startswith("outcome=")))
        assert banned(journal, filter_file) == ["127.0.0.1"] * len(refused)
        passwords = "apache-auth" if server.name == "apache" else "nginx-http-auth"
        assert set(banned(site.directory / "log/error.log", passwords)) == {"127.0.0.1"}


