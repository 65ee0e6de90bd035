"""make install and make uninstall, into an empty tree; and Apache's other process model."""

import shutil
import subprocess

import pytest
from client import order, send
from server import TOP, Apache, run

PREFIX = ["prefix=/usr", "sysconfdir=/etc", "spooldir=/srv/spool"]


@pytest.fixture(scope="module")
def sources(directory):
    """A copy of the sources, as what is built for another prefix would be in others' way."""
    copy = directory / "sources"
    shutil.copytree(TOP, copy, ignore=shutil.ignore_patterns("build", ".git"))
    return copy


@pytest.fixture
def make(sources, place):
    def run_make(target):
        return subprocess.run(["make", "-s", "-j2", "-C", str(sources), target, f"DESTDIR={place}",
                               *PREFIX], check=True, capture_output=True, text=True).stdout

    return run_make


def files(tree):
    return sorted(str(p.relative_to(tree)) for p in tree.rglob("*") if p.is_file())


CONFIGURATION = [
    "etc/apache2/sites-available/tradecloud-webhook.conf",
    "etc/nginx/sites-available/tradecloud-webhook.conf",
    "etc/systemd/system/tradecloud-fcgiwrap.service",
    "etc/systemd/system/tradecloud-fcgiwrap.socket",
    "etc/tradecloud/apache-location.conf",
    "etc/tradecloud/nginx-location.conf",
]

UNITS = [
    "usr/lib/systemd/system/tradecloud-spool-once@.path",
    "usr/lib/systemd/system/tradecloud-spool-once@.service",
    "usr/lib/systemd/system/tradecloud-spool@.service",
]


def test_install(make, place):
    make("install")
    assert files(place) == [
        *CONFIGURATION,
        *UNITS,
        "usr/libexec/tradecloud/tradecloud-fetch",
        "usr/libexec/tradecloud/tradecloud-webhook",
        "usr/share/doc/tradecloud-webhook/LICENSE",
        "usr/share/doc/tradecloud-webhook/README.md",
        "usr/share/doc/tradecloud-webhook/examples/import-files",
        "usr/share/doc/tradecloud-webhook/examples/load-postgresql",
        "usr/share/doc/tradecloud-webhook/examples/post-http",
        "usr/share/doc/tradecloud-webhook/examples/schema.sql",
        "usr/share/man/man1/tradecloud-fetch.1",
        "usr/share/man/man8/tradecloud-webhook.8",
        "usr/share/tradecloud/unavailable.asis",
    ]
    for name in CONFIGURATION + UNITS:
        text = (place / name).read_text()
        assert "/usr/local" not in text and "/var/spool/tradecloud" not in text, name
    assert "/srv/spool" in (place / "etc/tradecloud/nginx-location.conf").read_text()
    make("uninstall")
    assert files(place) == CONFIGURATION


def test_changed_configuration_is_kept(make, place):
    make("install")
    changed = place / "etc/tradecloud/apache-location.conf"
    changed.write_text("mine\n")
    assert f"kept {changed} as it was" in make("install")
    assert changed.read_text() == "mine\n"
    assert (place / "etc/tradecloud/apache-location.conf.new").exists()


def test_programs_know_each_other(make, place):
    """The path of tradecloud-fetch is built into tradecloud-webhook."""
    program = place / "usr/libexec/tradecloud/tradecloud-webhook"
    make("install")
    strings = subprocess.check_output(["strings", program], text=True).splitlines()
    assert "/usr/libexec/tradecloud/tradecloud-fetch" in strings


class Prefork(Apache):
    mpm = "prefork"


def test_apache_prefork(place, authority):
    """With mod_cgi instead of mod_cgid."""
    with Prefork(place / "site", authority) as site:
        body = order(filler=1_000_000)
        assert send(site, body).status == 202
        assert send(site, body, chunked=True).status == 200
        for text in ("#!/bin/sh\nkill -KILL $$\n", "#!/nonexistent\n"):
            program = place / "program"
            program.write_text(text)
            site.install_program(program)
            answer = send(site, body)
            assert answer.status == 503 and answer.headers["retry-after"] == "60"
        site.program.unlink()
        assert send(site, body).status == 503
        run("test", "-d", site.spool / "new")
