"""Programs behind web servers, under wrk: the shipped configurations, and the peers beside them."""

import base64
import glob
import json
import os
import shutil
import subprocess
import tempfile

import server
from alone import BENCH, PROGRAMS, TOKEN, Failed, forget_contents, make_spool
from results import Record
from server import USER, free_port, hand_over

PHP = "PHP-FPM"
WEBHOOK = "webhook"
LIMIT = 33554432  # of a body, as shipped
SECONDS = 1  # of one run


class Comparing:
    """A site as shipped that also listens without TLS."""

    programs = tuple(PROGRAMS)

    def __init__(self, directory, authority, **options):
        self.bare_port = free_port()
        super().__init__(directory, authority, **options)

    def add(self, file, text):
        with open(self.directory / "etc" / file, "a") as stream:
            stream.write(text)

    def locate(self, program, tls):
        """Its URL, once it is in place."""
        path = "/php" if program == PHP else "/tradecloud"
        if program != PHP:
            self.install_program(PROGRAMS[program])
        scheme, port = ("https", self.port) if tls else ("http", self.bare_port)
        return f"{scheme}://localhost:{port}{path}"


class Apache(Comparing, server.Apache):
    def configure(self):
        super().configure()
        self.add("apache2.conf", f"""
Listen 127.0.0.1:{self.bare_port}
<VirtualHost *:{self.bare_port}>
    Include "{self.directory}/etc/location.conf"
</VirtualHost>
""")


class Nginx(Comparing, server.Nginx):
    def configure(self):
        super().configure()
        site = self.directory / "etc/site.conf"
        listen = f"    listen 127.0.0.1:{self.port} ssl;\n"
        text = site.read_text()
        assert listen in text
        site.write_text(text.replace(listen,
                                     f"{listen}    listen 127.0.0.1:{self.bare_port};\n"))


class Php:
    """With PHP-FPM behind the server. By itself, as what Apache needs for it is copied each time
    that Apache starts a CGI program."""

    programs = (PHP,)

    def configure(self):
        super().configure()
        shutil.copy(BENCH / "store.php", self.directory / "share/store.php")
        self.script = self.directory / "share/store.php"
        self.php_socket = self.directory / "run/php"
        # What Debian ships, but for the sizes.
        (self.directory / "etc/php.conf").write_text(f"""
[global]
daemonize = no
error_log = {self.directory}/log/php.log
[www]
listen = {self.php_socket}
pm = dynamic
pm.max_children = 5
pm.start_servers = 2
pm.min_spare_servers = 1
pm.max_spare_servers = 3
php_admin_value[memory_limit] = 2G
php_admin_value[post_max_size] = {LIMIT}
""")
        self.configure_php()

    def _commands(self):
        program = sorted(glob.glob("/usr/sbin/php-fpm*"))[-1]
        self._spawn(program, "-y", self.directory / "etc/php.conf", log="php.out")
        super()._commands()

    def _connect(self):
        super()._connect()
        if not self.php_socket.exists():
            raise OSError


class ApachePhp(Php, Apache):
    def configure_php(self):
        self.add("location.conf", f"""
Alias "/php" "{self.script}"
<Location "/php">
    AuthType Basic
    AuthName "tradecloud"
    AuthBasicProvider file
    AuthUserFile "{self.directory}/etc/htpasswd"
    SetEnvIfNoCase Authorization "^Bearer( .*)?$" HTTP_AUTHORIZATION=$0
    Require valid-user
    Require env HTTP_AUTHORIZATION
    LimitRequestBody {LIMIT}
    SetEnv TRADECLOUD_SPOOL "{self.spool}"
    SetEnv BEARER_TOKEN "{TOKEN}"
    SetHandler "proxy:unix:{self.php_socket}|fcgi://localhost/"
</Location>
""")
        self.add("apache2.conf", f"""
LoadModule proxy_module {server.MODULES}/mod_proxy.so
LoadModule proxy_fcgi_module {server.MODULES}/mod_proxy_fcgi.so
""")


class NginxPhp(Php, Nginx):
    def configure_php(self):
        self.add("location.conf", f"""
location = /php {{
    auth_basic $tradecloud_realm;
    auth_basic_user_file {self.directory}/etc/htpasswd;
    client_max_body_size {LIMIT};
    fastcgi_pass unix:{self.php_socket};
    fastcgi_param SCRIPT_FILENAME    {self.script};
    fastcgi_param REQUEST_METHOD     $request_method;
    fastcgi_param CONTENT_TYPE       $content_type;
    fastcgi_param CONTENT_LENGTH     $content_length;
    fastcgi_param AUTH_TYPE          $tradecloud_auth_type;
    fastcgi_param HTTP_AUTHORIZATION $tradecloud_bearer;
    fastcgi_param TRADECLOUD_SPOOL   {self.spool};
    fastcgi_param BEARER_TOKEN       {TOKEN};
}}
""")


class Webhook(server.Site):
    """Debian's webhook, with its own HTTP server: once with TLS, once without."""

    name = "own server"
    programs = (WEBHOOK,)

    def __init__(self, directory, authority, **options):
        self.bare_port = free_port()
        super().__init__(directory, authority, **options)

    def configure(self):
        script = self.directory / "libexec/store.sh"
        shutil.copy(BENCH / "store.sh", script)
        # It makes a file of each body and removes it. Not on the disk: without a journal, ext4 gives
        # a removed file's inode to nobody for minutes, and whoever creates one passes all of them.
        self.temporary = tempfile.mkdtemp(prefix="tradecloud-bench.", dir="/dev/shm")
        hand_over(self.temporary)
        authorized = {"or": [{"match": {"type": "value", "value": value, "parameter":
                                        {"source": "header", "name": "Authorization"}}}
                             for value in (authorize(self, False), authorize(self, True))]}
        hook = {"id": "tradecloud", "execute-command": str(script), "http-methods": ["POST"],
                "command-working-directory": self.temporary,
                "include-command-output-in-response": True, "success-http-response-code": 202,
                "pass-arguments-to-command": [
                    {"source": "payload", "name": "orderEvent.meta.messageId"}],
                "pass-file-to-command": [{"source": "raw-request-body", "envname": "BODY"}],
                "trigger-rule": authorized,
                "trigger-rule-mismatch-http-response-code": 401}
        (self.directory / "etc/hooks.json").write_text(json.dumps([hook]))

    def _commands(self):
        etc = self.directory / "etc"
        variables = {**os.environ, "TRADECLOUD_SPOOL": str(self.spool)}
        for port, options in ((self.bare_port, ()),
                              (self.port, ("-secure", "-cert", etc / "cert.pem",
                                           "-key", etc / "key.pem"))):
            self._spawn("webhook", "-hooks", etc / "hooks.json", "-ip", "127.0.0.1", "-port", port,
                        *options, log="webhook.log", env=variables)

    def stop(self):
        super().stop()
        shutil.rmtree(self.temporary)

    def locate(self, program, tls):
        scheme, port = ("https", self.port) if tls else ("http", self.bare_port)
        return f"{scheme}://localhost:{port}/hooks/tradecloud"


def authorize(site, bearer):
    if bearer:
        return f"Bearer {TOKEN}"
    return "Basic " + base64.b64encode(f"{USER}:{site.password}".encode()).decode()


def put_away(site, size, requests):
    """Begin with an empty new/ again, and make sure that the events did come in."""
    old = site.spool / f"counted.{len(os.listdir(site.spool))}"
    (site.spool / "new").rename(old)
    # What wrk did not wait for may have made it again.
    (site.spool / "new").mkdir(exist_ok=True)
    (site.spool / "new").chmod(0o2770)
    hand_over(site.spool / "new")
    found = len(os.listdir(old))
    if found < requests:
        raise Failed(f"of {requests} events that were accepted, {found} are in the spool")
    if size > 10_000:
        forget_contents(old)


def attack(site, program, body, connections, tls, again, bearer, seconds=SECONDS, tries=3):
    """What wrk tells of one run, with the password or a bearer token. It counts what ended within
    its time: for whom that is too short, it is made longer. A run in which a connection broke, as
    may happen at a server under load, is no measure of speed, and repeated."""
    url = site.locate(program, tls)
    seed = int.from_bytes(os.urandom(4), "big")
    done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s",
                           "-s", BENCH / "load.lua", url, "--", body.path,
                           str(-1 if again else body.offset), str(seed),
                           authorize(site, bearer)],
                          check=True, text=True, stdout=subprocess.PIPE)
    run = json.loads(done.stdout.splitlines()[-1])
    if run["refused"] or (run["broken"] and tries == 1):
        raise Failed(f"{program} behind {site.name}: {run}\n{site.log()[-2000:]}")
    if run["broken"]:
        return attack(site, program, body, connections, tls, again, bearer, seconds, tries - 1)
    if run["requests"] or seconds > 30:
        return run
    return attack(site, program, body, connections, tls, again, bearer, 4 * seconds, tries)


def load(site, program, body, connections, tls, meter, again=False, bearer=False):
    before = meter.milliseconds()
    run = attack(site, program, body, connections, tls, again, bearer)
    after = meter.milliseconds()
    if not run["requests"]:
        raise Failed(f"{program} behind {site.name} has not ended one request in time")
    put_away(site, body.size, 1 if again else run["requests"])
    return {"per_second": run["requests"] / run["seconds"], "p50_ms": run["p50"],
            "p99_ms": run["p99"],
            "cpu_ms": None if before is None else (after - before) / run["requests"]}


def measure(sites, meter, case, rounds, body, connections, tls, programs=None, **options):
    """All programs of all sites, interleaved."""
    records = {}
    for number in range(rounds):
        for site in sites:
            for program in site.programs:
                if programs and program not in programs:
                    continue
                record = records.setdefault((site.name, program), Record(
                    program, case, site.name, body.size, connections, tls))
                record.rounds.append(load(site, program, body, connections, tls, meter,
                                          **options))
    return list(records.values())


def start_sites(directory, authority, meter, variables):
    sites = []
    with meter.inside():
        for kind in (Apache, ApachePhp, Nginx, NginxPhp, Webhook):
            place = directory / kind.__name__.lower()
            spool = make_spool(place / "spool")
            spool.chmod(0o2770)
            hand_over(place)
            sites.append(kind(place, authority, environment=variables).start())
    return sites
