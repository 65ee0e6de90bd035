"""make install and make uninstall; and sites that run what was installed, from where it was.
What needs a machine of its own is tested in tests/install."""

import os
import re
import shlex
import shutil
import stat
import subprocess

import pytest
from client import order, send
from server import TOP, Apache, Nginx, hand_over, run

SITES = ["etc/apache2/sites-available/tradecloud-webhook.conf",
         "etc/nginx/sites-available/tradecloud-webhook.conf"]
SETTINGS = [*SITES, "etc/tradecloud/apache-location.conf", "etc/tradecloud/apache-oauth.conf",
            "etc/tradecloud/nginx-location.conf"]
PROGRAMS = ["bin/tradecloud-spool", "libexec/tradecloud/tradecloud-fetch", "libexec/tradecloud/tradecloud-webhook"]
SCRIPTS = [f"share/doc/tradecloud-webhook/examples/{name}"
           for name in ("import-files", "load-postgresql", "post-http")]
LINKS = ["bin/tradecloud-fetch"]
DATA = [
    "lib/systemd/system/tradecloud-fcgiwrap.service",
    "lib/systemd/system/tradecloud-fcgiwrap.socket",
    "lib/systemd/system/tradecloud-spool-once@.path",
    "lib/systemd/system/tradecloud-spool-once@.service",
    "lib/systemd/system/tradecloud-spool@.service",
    "lib/sysusers.d/tradecloud-webhook.conf",
    "lib/tmpfiles.d/tradecloud-webhook.conf",
    "share/bash-completion/completions/tradecloud-spool",
    "share/doc/tradecloud-webhook/LICENSE",
    "share/doc/tradecloud-webhook/README.md",
    "share/doc/tradecloud-webhook/examples/schema.sql",
    "share/man/man1/tradecloud-fetch.1",
    "share/man/man1/tradecloud-spool.1",
    "share/man/man5/tradecloud-spool.5",
    "share/man/man8/tradecloud-webhook.8",
    "share/tradecloud/unavailable.asis",
]


class Tree:
    """A directory to install into, with all its variables pointing there."""

    def __init__(self, sources, path):
        self.sources = sources
        self.path = path
        self.variables = [f"prefix={path}/usr", f"sysconfdir={path}/etc",
                          f"localstatedir={path}/var"]

    def make(self, target, *variables, check=True, **options):
        return subprocess.run(
            ["make", "-s", "-j2", "-C", str(self.sources), target, *self.variables, *variables],
            check=check, capture_output=True, text=True, **options)

    def files(self, path=None):
        root = path or self.path
        return sorted(str(p.relative_to(root)) for p in root.rglob("*") if not p.is_dir())


@pytest.fixture(scope="module")
def sources(directory):
    """A copy, as what is built for other paths would be in others' way."""
    copy = directory / "sources"
    shutil.copytree(TOP, copy, ignore=shutil.ignore_patterns("build", ".git"))
    return copy


@pytest.fixture(scope="module")
def tree(sources, directory):
    """Where everything is installed, and nothing is changed."""
    installed = Tree(sources, directory / "installed")
    installed.make("install")
    return installed


@pytest.fixture
def own(tree, place):
    """An installation of one's own, for the same paths, below DESTDIR."""
    tree.make("install", f"DESTDIR={place}")
    return place / str(tree.path).lstrip("/")


def test_what_is_installed(tree):
    below_prefix = [f"usr/{name}" for name in [*PROGRAMS, *SCRIPTS, *LINKS, *DATA]]
    assert tree.files() == sorted([*SETTINGS, *below_prefix])
    for name in LINKS:
        assert os.access(tree.path / "usr" / name, os.X_OK), name


def test_modes(sources, place):
    """Whatever the umask: everybody may read and run, its owner alone may write."""
    runnable = tuple(f"/{name}" for name in [*PROGRAMS, *SCRIPTS])
    for mask in ("077", "000"):
        path = place / mask
        Tree(sources, place / "same").make("install", f"DESTDIR={path}", umask=int(mask, 8))
        for file in path.rglob("*"):
            if file.is_symlink():
                continue
            mode = stat.S_IMODE(file.stat().st_mode)
            executable = file.is_dir() or str(file).endswith(runnable)
            assert mode == (0o755 if executable else 0o644), (file, oct(mode))


def test_paths(tree):
    """No text speaks of a place where nothing is; the programs know where they are."""
    for name in tree.files():
        file = tree.path / name
        if name.endswith(("README.md", "LICENSE")) or name.startswith(("usr/libexec", "usr/bin")):
            continue
        text = file.read_text()
        for default in ("/usr/local", " /etc/tradecloud", '"/etc/tradecloud', " /var/spool/trade"):
            assert default not in text, (name, default)
    program = tree.path / "usr/libexec/tradecloud/tradecloud-webhook"
    strings = subprocess.check_output(["strings", program], text=True).splitlines()
    assert f"{tree.path}/usr/libexec/tradecloud/tradecloud-fetch" in strings
    assert f"{tree.path}/var/spool/tradecloud" in strings


def test_directories_of_ones_choice(sources, place):
    """As a packager sets them."""
    Tree(sources, place).make("install", f"DESTDIR={place}", "prefix=/usr", "sysconfdir=/etc",
                              "localstatedir=/var", "cgidir=/usr/lib/cgi-bin",
                              "unitdir=/units", "bindir=/programs")
    for name in ("usr/lib/cgi-bin/tradecloud-webhook", "units/tradecloud-fcgiwrap.service",
                 "usr/share/man/man8/tradecloud-webhook.8", "etc/tradecloud/nginx-location.conf"):
        assert (place / name).is_file(), name
    target = os.readlink(place / "programs/tradecloud-fetch")
    assert target == "/usr/libexec/tradecloud/tradecloud-fetch"
    for name in ("units/tradecloud-fcgiwrap.service", "etc/tradecloud/nginx-location.conf",
                 "etc/tradecloud/apache-location.conf"):
        assert "/usr/lib/cgi-bin/tradecloud-webhook" in (place / name).read_text()


def test_strip(tree, place):
    tree.make("install-strip", f"DESTDIR={place}")
    programs = place / str(tree.path).lstrip("/") / "usr"
    for name in PROGRAMS:
        assert (programs / name).stat().st_size < (tree.path / "usr" / name).stat().st_size


def test_what_was_changed_is_kept(tree, own, place):
    changed = own / "etc/tradecloud/apache-location.conf"
    shipped = changed.read_text()
    changed.write_text("mine\n")
    output = tree.make("install", f"DESTDIR={place}").stdout
    assert f"keeping {changed} as it is; the new version is {changed}.new" in output
    assert changed.read_text() == "mine\n"
    assert changed.with_name("apache-location.conf.new").read_text() == shipped
    # Units and the like are changed by files of the administrator's own, elsewhere.
    unit = own / "usr/lib/systemd/system/tradecloud-fcgiwrap.service"
    unit.write_text("old\n")
    tree.make("install", f"DESTDIR={place}")
    assert "ExecStart" in unit.read_text()


def test_uninstall(tree, own, place):
    """All but what was changed and what others put there."""
    changed = own / SITES[0]
    changed.write_text("mine\n")
    tree.make("install", f"DESTDIR={place}")
    (own / "etc/tradecloud/htpasswd").write_text("secret\n")
    (own / "var/spool/tradecloud/new").mkdir(parents=True)
    output = tree.make("uninstall", f"DESTDIR={place}").stdout
    assert f"Left, as it was changed: {changed}" in output
    assert f"Left: the spool {tree.path}/var/spool/tradecloud" in output
    assert tree.files(own) == [SITES[0], "etc/tradecloud/htpasswd"]
    for name in ("libexec/tradecloud", "share/tradecloud", "share/doc/tradecloud-webhook"):
        assert not (own / "usr" / name).exists()
    # A second time there is nothing to do.
    assert tree.make("uninstall", f"DESTDIR={place}").returncode == 0


@pytest.mark.parametrize("server", ["apache2", "nginx"])
def test_uninstall_refuses_while_a_site_is_in_service(tree, own, place, server):
    """Its server would not start again without the files that the site includes."""
    enabled = own / f"etc/{server}/sites-enabled/tradecloud-webhook.conf"
    enabled.parent.mkdir()
    enabled.symlink_to("../sites-available/tradecloud-webhook.conf")
    before = tree.files(own)
    done = tree.make("uninstall", f"DESTDIR={place}", check=False)
    assert done.returncode != 0 and "out of service" in done.stderr
    assert tree.files(own) == before


# --- sites ---

class InstalledSite:
    """A site whose location is the installed file, and whose programs are those installed. Changed
    are the host name and certificate, and port and socket, as there may be others here."""

    tree = None

    def configure(self):
        super().configure()
        tree = self.tree.path
        self.program = tree / "usr/libexec/tradecloud/tradecloud-webhook"
        shutil.copy(self.directory / "etc/htpasswd", tree / "etc/tradecloud/htpasswd")
        replacements = {**self._site_paths(), **self.ports()}
        text = (tree / self.site_file).read_text()
        for old, new in replacements.items():
            assert old in text, old
            text = text.replace(old, str(new))
        (self.directory / "etc/site.conf").write_text(text)


class InstalledApache(InstalledSite, Apache):
    site_file = SITES[0]

    def ports(self):
        return {"*:443": f"*:{self.port}"}


class InstalledNginx(InstalledSite, Nginx):
    site_file = SITES[1]

    def ports(self):
        return {"listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
                "    listen [::]:443 ssl;\n": ""}

    def _commands(self):
        tree = self.tree.path
        location = tree / "etc/tradecloud/nginx-location.conf"
        socket = self.directory / "run/fcgiwrap"
        text = location.read_text()
        location.write_text(text.replace("/run/tradecloud-fcgiwrap.socket", str(socket)))
        socket.unlink(missing_ok=True)
        unit = (tree / "usr/lib/systemd/system/tradecloud-fcgiwrap.service").read_text()
        command = shlex.split(re.search(r"^ExecStart=(.*)$", unit, re.M)[1])
        self._spawn(*command, "-s", f"unix:{socket}", log="fcgiwrap.log")
        self._spawn("nginx", "-e", self.directory / "log/error.log", "-c",
                    self.directory / "etc/nginx.conf", log="nginx.log")


@pytest.mark.parametrize("server", [InstalledApache, InstalledNginx])
def test_site(tree, authority, place, server):
    spool = tree.path / "var/spool/tradecloud"
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir(parents=True)
    spool.chmod(0o2770)
    hand_over(spool)
    server.tree = tree
    body = order(filler=100_000)
    with server(place / "site", authority, spool=spool) as site:
        answer = send(site, body)
        assert answer.status == 202, (answer.body, site.log())
        assert send(site, body, chunked=True).status == 200
        [path] = site.entries()
        assert path.name == answer.json()["file"]
        assert path.read_bytes().endswith(b'"data":' + body + b"}")
        assert send(site, b"not JSON").status == 400
        assert send(site, body, auth=["-u", "tradecloud:wrong"]).status == 401
        # Trouble of the server's own is 503, from an installed file with Apache.
        program = place / "program"
        program.write_text("#!/bin/sh\nkill -KILL $$\n")
        program.chmod(0o755)
        aside = site.program.with_suffix(".aside")
        site.program.rename(aside)
        shutil.copy(program, site.program)
        try:
            assert send(site, body).status in (502, 503)
        finally:
            aside.rename(site.program)


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
