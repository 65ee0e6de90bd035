"""A web server of this machine, running the configuration that apache/ or nginx/ ships.

Everything a site needs stands in one directory of its own: a copy of the programs, the shipped
configuration with only host, port and paths substituted, a certificate of a throw-away CA, a
password, the spool and the logs. Nothing runs as root: when called by root, the servers run as
www-data.
"""

import os
import pathlib
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", TOP / "build"))
MODULES = "/usr/lib/apache2/modules"
USER = "tradecloud"
UNPRIVILEGED = (
    ["setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups"] if os.getuid() == 0 else []
)


def run(*arguments, **options):
    """Run a command that must succeed."""
    return subprocess.run([str(a) for a in arguments], check=True, **options)


def free_port():
    """None of those that the system hands out, which others may get before it is used."""
    while True:
        port = random.randrange(10000, 32768)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def hand_over(path):
    """Give a tree to the user that the servers run as."""
    if os.getuid() == 0:
        run("chown", "-R", "www-data:www-data", path)


def substitute(source, target, replacements):
    """Copy a shipped file; every text to be replaced must be there."""
    text = (TOP / source).read_text()
    for old, new in replacements.items():
        if old not in text:
            raise AssertionError(f"{source} does not mention {old}")
        text = text.replace(old, str(new))
    target.write_text(text)


class Authority:
    """A throw-away CA, a certificate for localhost, and others on demand."""

    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

    def __init__(self, directory):
        directory.mkdir(parents=True, exist_ok=True)
        self.ca = directory / "ca.pem"
        self.ca_key = directory / "ca-key.pem"
        run("openssl", "req", "-x509", *self.new_key, "-keyout", self.ca_key, "-out", self.ca,
            "-days", "90", "-subj", "/CN=throw-away CA", "-addext", "keyUsage=critical,keyCertSign",
            **self.quiet)
        self.certificate, self.key = self.issue(directory, "DNS:localhost,IP:127.0.0.1")

    def issue(self, directory, names, days=90, more=""):
        """Make a certificate: its file and its key's. With 0 `days` it expires at once; `more` are
        further extensions."""
        directory.mkdir(parents=True, exist_ok=True)
        certificate, key = directory / "cert.pem", directory / "key.pem"
        request, extensions = directory / "request.pem", directory / "extensions"
        run("openssl", "req", *self.new_key, "-keyout", key, "-out", request, "-subj", "/CN=localhost",
            **self.quiet)
        extensions.write_text(f"subjectAltName={names}\n{more}"
                              "authorityKeyIdentifier=keyid\nextendedKeyUsage=serverAuth\n")
        run("openssl", "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.ca_key,
            "-out", certificate, "-days", days, "-extfile", extensions, **self.quiet)
        return certificate, key


class Site:
    """One server with one spool. `environment` are variables for the program; `timeout` replaces
    the 65 seconds after which the server gives a hanging program up."""

    name = None  # of the server

    def __init__(self, directory, authority, port=None, environment=None, timeout=None, spool=None):
        self.directory = pathlib.Path(directory)
        self.authority = authority
        self.port = port or free_port()
        self.plain_port = free_port()  # without TLS
        self.fetch_program = self.directory / "libexec" / "tradecloud-fetch"
        self.environment = {"TRADECLOUD_FETCH_PROGRAM": self.fetch_program, **(environment or {})}
        self.timeout = timeout
        self.password = secrets.token_urlsafe(12)
        self.spool = pathlib.Path(spool) if spool else self.directory / "spool"
        self.program = self.directory / "libexec" / "tradecloud-webhook"
        self.url = f"https://localhost:{self.port}/tradecloud"
        self.processes = []
        self._prepare()

    def _prepare(self):
        for sub in ("libexec", "share", "etc", "log", "run", "tmp", "www"):
            (self.directory / sub).mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o755)
        if not self.spool.exists():
            self.spool.mkdir()
            self.spool.chmod(0o2770)
        self.install_program()
        run("install", "-m", "755", BUILD / "tradecloud-fetch", self.fetch_program)
        (self.directory / "etc/htpasswd").write_text("")
        run("htpasswd", "-iB", self.directory / "etc/htpasswd", USER,
            input=self.password.encode(), stderr=subprocess.DEVNULL)
        shutil.copy(self.authority.certificate, self.directory / "etc/cert.pem")
        shutil.copy(self.authority.key, self.directory / "etc/key.pem")
        self.configure()
        hand_over(self.directory)

    def install_program(self, source=None):
        """Put a program in the webhook's place: ours, or what a test wants there."""
        temporary = self.program.with_suffix(".new")
        shutil.copy(source or BUILD / "tradecloud-webhook", temporary)
        temporary.chmod(0o755)
        temporary.rename(self.program)

    def trace_program(self, *options):
        """Run our program under strace."""
        real = self.directory / "libexec/real"
        run("install", "-m", "755", BUILD / "tradecloud-webhook", real)
        wrapper = self.directory / "libexec/wrapper"
        wrapper.write_text(f"#!/bin/sh\nexec strace {' '.join(map(str, options))} {real}\n")
        self.install_program(wrapper)

    def _paths(self):
        """What is substituted in the shipped files of both servers."""
        return {
            "/usr/local/libexec/tradecloud": self.directory / "libexec",
            "/var/spool/tradecloud": self.spool,
        }

    def _site_paths(self):
        certificate = "/etc/letsencrypt/live/webhook.example.com/"
        return {
            f"{certificate}fullchain.pem": self.directory / "etc/cert.pem",
            f"{certificate}privkey.pem": self.directory / "etc/key.pem",
            "/var/www/html": self.directory / "www",
            "webhook.example.com": "localhost",
        }

    def configure(self):
        """Write the server's configuration."""
        raise NotImplementedError

    def _set_variables(self, form):
        """Set the variables of `environment` in the location's file, where an operator would."""
        location = self.directory / "etc/location.conf"
        lines = []
        for line in location.read_text().splitlines():
            if "TRADECLOUD_SPOOL" in line and line.strip().startswith(form.split()[0]):
                variables = {"TRADECLOUD_SPOOL": self.spool, **self.environment}
                lines += [form.format(name=k, value=v) for k, v in variables.items()]
            else:
                lines.append(line)
        location.write_text("\n".join(lines) + "\n")

    def _spawn(self, *arguments, log, prefix=(), **options):
        with open(self.directory / "log" / log, "ab") as stream:
            process = subprocess.Popen([*UNPRIVILEGED, *prefix, *[str(a) for a in arguments]],
                                       stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
                                       start_new_session=True, **options)
        self.processes.append(process)
        return process

    def _commands(self):
        raise NotImplementedError

    def _connect(self):
        """Raise OSError while the site is not up."""
        socket.create_connection(("127.0.0.1", self.port), 1).close()

    def start(self):
        self._commands()
        deadline = time.monotonic() + 20
        while True:
            try:
                self._connect()
                return self
            except OSError:
                dead = [p for p in self.processes if p.poll() is not None]
                if dead or time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"{self.name} does not start:\n{self.log()}") from None
                time.sleep(0.02)

    def stop(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                pass
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        if self.processes:
            self._wait_until_deaf()
        self.processes = []

    def _wait_until_deaf(self):
        """Until also those whose parent was killed have let go of the port: as long as one listens,
        the next server cannot, and whoever looks whether that has started meets the old one."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                return
            time.sleep(0.01)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def log(self):
        """All that the server and the program have logged."""
        files = sorted((self.directory / "log").iterdir())
        return "".join(f.read_text(errors="replace") for f in files if f.is_file())

    def log_lines(self):
        """The program's own lines, as dictionaries."""
        lines = []
        for line in self.log().splitlines():
            start = line.find("outcome=")
            if start >= 0:
                pairs = re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', line[start:])
                lines.append({k: v.strip('"') for k, v in pairs})
        return lines

    def entries(self, state="new"):
        """The files of one state, oldest first."""
        path = self.spool / state
        return sorted(path.iterdir()) if path.is_dir() else []


class Apache(Site):
    name = "apache"
    mpm = "event"

    def ports(self):
        """What stands in the shipped site, and what is to."""
        return {"*:443": f"*:{self.port}", "*:80": f"*:{self.plain_port}"}

    def configure(self):
        etc = self.directory / "etc"
        share = {"/usr/local/share/tradecloud": self.directory / "share"}
        paths = {**self._paths(), **share, "/etc/tradecloud": etc}
        shutil.copy(TOP / "apache/unavailable.asis", self.directory / "share/unavailable.asis")
        if self.timeout:
            paths["Timeout 65"] = f"Timeout {self.timeout}"
        substitute("apache/apache-location.conf", etc / "location.conf", paths)
        substitute("apache/tradecloud-webhook.conf", etc / "site.conf", {
            **self._site_paths(), **share, **self.ports(),
            "/etc/tradecloud/apache-location.conf": etc / "location.conf"})
        self._set_variables('SetEnv {name} "{value}"')
        modules = [f"mpm_{self.mpm}", "cgi" if self.mpm == "prefork" else "cgid", "asis",
                   "authn_core", "authn_file", "authz_core", "authz_host", "authz_user",
                   "auth_basic", "alias", "env", "reqtimeout", "setenvif", "socache_shmcb", "ssl"]
        lines = [f"LoadModule {m}_module {MODULES}/mod_{m}.so" for m in modules]
        if self.mpm != "prefork":
            lines.append(f"ScriptSock \"{self.directory}/run/cgisock\"")
        (etc / "apache2.conf").write_text("\n".join(lines) + f"""
ServerName localhost
ServerRoot "{self.directory}"
DefaultRuntimeDir "{self.directory}/run"
PidFile "{self.directory}/run/apache2.pid"
ErrorLog "{self.directory}/log/error.log"
Listen 127.0.0.1:{self.port}
Listen 127.0.0.1:{self.plain_port}
<Directory "/">
    Require all denied
</Directory>
Include "{etc}/site.conf"
""")

    def _commands(self):
        self._spawn("apache2", "-D", "FOREGROUND", "-f", self.directory / "etc/apache2.conf",
                    log="apache.log")


class Nginx(Site):
    name = "nginx"
    children = 32

    def ports(self):
        return {"listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
                "    listen [::]:443 ssl;\n": "", "    listen [::]:80;\n": "",
                "listen 80": f"listen 127.0.0.1:{self.plain_port}"}

    def configure(self):
        etc = self.directory / "etc"
        socket_path = self.directory / "run/fcgiwrap"
        paths = {**self._paths(), "/run/tradecloud-fcgiwrap.socket": socket_path}
        if self.timeout:
            paths["65s"] = f"{self.timeout}s"
        substitute("nginx/nginx-location.conf", etc / "location.conf", paths)
        substitute("nginx/tradecloud-webhook.conf", etc / "site.conf", {
            **self._site_paths(), **self.ports(),
            "/etc/tradecloud/nginx-location.conf": etc / "location.conf",
            "/etc/tradecloud": etc})
        spaces = "\n".join(f"    {kind}_temp_path {self.directory}/tmp/{kind};"
                           for kind in ("client_body", "fastcgi", "proxy", "scgi", "uwsgi"))
        self._set_variables('fastcgi_param {name} "{value}";')
        (etc / "nginx.conf").write_text(f"""
daemon off;
worker_processes 2;
pid {self.directory}/run/nginx.pid;
error_log {self.directory}/log/error.log info;
events {{ worker_connections 1024; }}
http {{
    access_log off;
{spaces}
    include {etc}/site.conf;
}}
""")

    def _connect(self):
        """nginx may be up before fcgiwrap, and would answer 502."""
        super()._connect()
        with socket.socket(socket.AF_UNIX) as fcgiwrap:
            fcgiwrap.connect(str(self.directory / "run/fcgiwrap"))

    def _commands(self):
        (self.directory / "run/fcgiwrap").unlink(missing_ok=True)
        self._spawn("fcgiwrap", "-c", self.children, "-s", f"unix:{self.directory}/run/fcgiwrap",
                    log="fcgiwrap.log")
        self._spawn("nginx", "-e", self.directory / "log/error.log", "-c",
                    self.directory / "etc/nginx.conf", log="nginx.log")


SERVERS = {"apache": Apache, "nginx": Nginx}
