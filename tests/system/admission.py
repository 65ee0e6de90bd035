"""Credentials of all sorts, and changing the shipped configuration as an operator would."""

import hashlib
import secrets
import subprocess

from client import order, send
from server import USER, hand_over, run


def bearer(token, scheme="Bearer"):
    return ["-H", f"Authorization: {scheme} {token}"]


def basic(site, user=USER, password=None):
    return ["-u", f"{user}:{site.password if password is None else password}"]


def make_token():
    return secrets.token_hex(32)


def tokens_file(site, name="bearer"):
    return site.directory / "etc" / name


def write_tokens(site, *tokens, name="bearer"):
    """The file of tokens, as an operator's editor leaves it."""
    path = tokens_file(site, name)
    hashes = [hashlib.sha256(token.encode()).hexdigest() for token in tokens]
    path.unlink(missing_ok=True)
    path.write_text("".join(f"{line}\n" for line in ["# tokens", "", *hashes]))
    path.chmod(0o640)
    hand_over(path)


def add_user(site, user, password, name="htpasswd"):
    """At the least cost, which is no matter here."""
    path = site.directory / "etc" / name
    path.touch()
    run("htpasswd", "-iB", "-C", "4", path, user, input=password.encode(), stderr=subprocess.DEVNULL)
    hand_over(path)


def edit(site, file, *changes):
    """Replace texts that must be there in a file of the configuration."""
    path = site.directory / "etc" / file
    text = path.read_text()
    for old, new in changes:
        assert old in text, f"{path} does not say {old}"
        text = text.replace(old, new)
    path.write_text(text)


def uncomment(site, file, *beginnings):
    """Take the # off the lines that begin so."""
    edit(site, file, *((f"#{text}", text) for text in beginnings))


def admit_tokens(site):
    """As the README says."""
    variable = "SetEnv TRADECLOUD_BEARER_FILE \"" if site.name == "apache" else \
        "fastcgi_param TRADECLOUD_BEARER_FILE"
    uncomment(site, "location.conf", variable)


def restart(site):
    site.stop()
    site.start()


def post(site, auth, **options):
    return send(site, order(), auth=auth, **options)
