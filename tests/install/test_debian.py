"""README.md's "Install it", to the letter, on a Debian with its own systemd: what it says to run is
run, in its order, and events then arrive in a spool with the right owners.

Needs root, debootstrap, systemd-nspawn and a Debian mirror; see `make check-install`.
"""

import json
import pathlib
import re
import secrets
import subprocess
import sys
import tempfile
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/system"))

from machine import Machine, run  # noqa: E402
from server import Authority  # noqa: E402

HOST = "hook.test"
URL = f"https://{HOST}/tradecloud"
SERVERS = {"Apache": "www-data", "nginx": "tradecloud"}  # and whom the programs run as
SPOOL = "/var/spool/tradecloud"
DIRECTORIES = "tmp new work done failed rejected leases attempts".split()


def instructions():
    """Shell blocks of README.md's "Install it", by the bold words that their part begins with."""
    text = (TOP / "README.md").read_text()
    section = re.search(r"^## Install it\n(.*?)^## ", text, re.S | re.M)[1]
    part, blocks = "all", {}
    for bold, block in re.findall(r"^\*\*(.+?)\*\*|^```sh\n(.*?)^```$", section, re.S | re.M):
        if bold:
            part = bold.removesuffix(",")
        else:
            blocks.setdefault(part, []).append(block)
    return blocks


class Installed:
    """A machine on which one server was set up as README.md says."""

    def __init__(self, machine, server, place):
        self.machine = machine
        self.server = server
        self.user = SERVERS[server]
        self.password = secrets.token_urlsafe(12)
        self.authority = Authority(place / "ca")
        self.blocks = instructions()
        for block in self.blocks["all"]:
            assert "htpasswd -B " in block
            machine.run(block.replace("htpasswd -B ", "htpasswd -iB "), stdin=self.password)
        self._set_host_name(place)
        # The package starts its server, as long as nobody says otherwise; the base image did.
        service = {"Apache": "apache2", "nginx": "nginx"}[server]
        machine.run(f"systemctl enable --now {service} 2>&1")
        for block in self.blocks[server]:
            machine.run(block)

    def _set_host_name(self, place):
        """Host name and certificate: the only changes. certbot would put it there, too."""
        certificate, key = self.authority.issue(place / "certificate", f"DNS:{HOST}")
        live = f"/etc/letsencrypt/live/{HOST}"
        self.machine.run(f"install -d -m 700 /etc/letsencrypt/live && mkdir {live}")
        self.machine.file(f"{live}/fullchain.pem").write_bytes(certificate.read_bytes())
        self.machine.file(f"{live}/privkey.pem").write_bytes(key.read_bytes())
        directory = {"Apache": "apache2", "nginx": "nginx"}[self.server]
        self.machine.run(f"sed -i s/webhook.example.com/{HOST}/ "
                         f"/etc/{directory}/sites-available/tradecloud-webhook.conf")

    def call(self, *options, path="", password=None):
        """curl, from outside. Returns the status and the body."""
        done = self.machine.outside(
            "curl", "-sS", "--cacert", self.authority.ca, "--resolve", f"{HOST}:443:127.0.0.1",
            "-u", f"tradecloud:{password or self.password}", "-w", "\n%{http_code}", *options,
            URL + path, stdout=subprocess.PIPE, text=True)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    def post(self, body, **options):
        return self.call("-H", "Content-Type: application/json", "-d", body, **options)

    def status_of(self, path):
        """Owner, group and mode."""
        return self.machine.run(f"stat -c '%U %G %a' '{path}'").strip()

    def log(self):
        if self.server == "Apache":
            return self.machine.run("cat /var/log/apache2/error.log")
        return self.machine.run("journalctl -q --no-pager -u tradecloud-fcgiwrap.service")


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def suite(request):
    return request.param


@pytest.fixture(scope="module", params=list(SERVERS))
def installed(suite, request):
    with tempfile.TemporaryDirectory(prefix="tradecloud-install.") as place:
        with Machine(suite) as machine:
            yield Installed(machine, request.param, pathlib.Path(place))


@pytest.fixture
def confined(installed):
    """One with a service of our own: not the one with Apache; conftest.py leaves that out."""
    return installed


def event(name="OrderIssuedByBuyer", number=0):
    return json.dumps({"eventName": name, "orderEvent": {"orderId": f"a-{number}"},
                       "meta": {"messageId": f"m-{secrets.token_hex(8)}",
                                "createdDateTime": "2025-04-23T10:01:53.812Z"}})


def test_spool(installed):
    """Made by systemd-tmpfiles, for the server's programs and the consumers' group."""
    assert installed.status_of(SPOOL) == f"{installed.user} tradecloud 2750"
    for name in DIRECTORIES:
        assert installed.status_of(f"{SPOOL}/{name}") == f"{installed.user} tradecloud 2770"
    assert installed.status_of(f"{SPOOL}/state") == f"{installed.user} tradecloud 700"


def test_first_event(installed):
    """As README.md has one send it; the CA is not a public one."""
    machine = installed.machine
    machine.file("/root/ca.pem").write_bytes(installed.authority.ca.read_bytes())
    [block] = installed.blocks["Then send an event"]
    block = block.replace("-u tradecloud", f"-u tradecloud:{installed.password}")
    output = machine.run(f"echo 127.0.0.1 {HOST} >>/etc/hosts; export CURL_CA_BUNDLE=/root/ca.pem\n"
                         + block.replace("your.host", HOST))
    answer, file = re.fullmatch(r"(.*})\s*(\S+\.json)\n", output, re.S).groups()
    # curl says on standard error how much it got, unless that is a terminal.
    assert json.loads(answer[answer.index("{"):])["file"] == file


def test_receive(installed):
    body = event()
    status, answer = installed.post(body)
    assert status == 202, (answer, installed.log())
    path = f"{SPOOL}/new/{json.loads(answer)['file']}"
    assert installed.status_of(path) == f"{installed.user} tradecloud 640"
    assert installed.machine.run(f"cat {path}").strip().endswith(f'"data":{body}}}')
    assert installed.post(body)[0] == 200
    assert installed.post("not JSON")[0] == 400
    assert installed.post(event(), password="wrong")[0] == 401
    assert "outcome=spooled status=202" in installed.log()


def test_a_message_without_a_time(installed):
    """Its time of receipt is remembered, in state/, which was made beforehand."""
    assert installed.post('{"eventName":"Timeless"}')[0] == 202
    received = f"{SPOOL}/state/received"
    assert installed.status_of(received).endswith(" 700")
    assert installed.machine.run(f"ls {received}") != ""


def test_a_large_message(installed):
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(event(number="x" * 20_000_000))
        file.flush()
        status, answer = installed.call("-H", "Content-Type: application/json",
                                        "--data-binary", f"@{file.name}")
    assert status == 202, (answer, installed.log())


def test_consumer(installed):
    """A user in the group needs nothing else; who is not sees nothing; neither sees the token."""
    status, answer = installed.post(event())
    assert status == 202
    name = json.loads(answer)["file"]
    machine = installed.machine
    machine.run("id erp || useradd -r erp; id stranger || useradd -r stranger")
    for block in installed.blocks["Who consumes"]:
        machine.run(block)
    as_erp = "setpriv --reuid=erp --regid=erp --init-groups --no-new-privs"
    machine.run(f"cd {SPOOL}; {as_erp} mv new/{name} work/ && {as_erp} cat work/{name} "
                f"&& {as_erp} mv work/{name} done/")
    for path in (f"{SPOOL}/state/x", "/etc/tradecloud/htpasswd"):
        assert "denied" in machine.run(f"! {as_erp} cat {path} 2>&1")
    assert "denied" in machine.run(f"! {as_erp} mkdir {SPOOL}/mine 2>&1")
    assert "denied" in machine.run(f"! {as_erp} mv {SPOOL}/new {SPOOL}/old 2>&1")
    as_stranger = "setpriv --reuid=stranger --regid=stranger --clear-groups"
    assert "denied" in machine.run(f"! {as_stranger} ls {SPOOL} 2>&1")


def test_fetch(installed):
    """A GET, from within the confined service, and an operator's, by hand."""
    machine = installed.machine
    with tempfile.TemporaryDirectory(prefix="tradecloud-install.") as name:
        place = pathlib.Path(name)
        (place / "order").write_text('{"id":"an-id","version":1}')
        stub = machine.spawn_outside(
            sys.executable, "-B", TOP / "tests/stub/stub.py", "--login-delay", "0",
            "--order", f"an-id={place / 'order'}", stdout=subprocess.PIPE, text=True)
        try:
            lines = [stub.stdout.readline().strip() for _ in range(4)]
            facts = dict(line.split(None, 1) for line in lines)
            machine.file("/etc/tradecloud/ca.pem").write_text(pathlib.Path(facts["CA"]).read_text())
            _configure_fetching(installed, facts)
            status, answer = installed.call(path="/order/an-id")
            assert status == 202, (answer, installed.log())
            path = f"{SPOOL}/new/{json.loads(answer)['file']}"
            assert installed.status_of(path) == f"{installed.user} tradecloud 640"
            assert installed.status_of(f"{SPOOL}/state/token.json").endswith(" 600")
            [by_hand] = [b for b in installed.blocks["For GET webhooks"] if "order ID" in b]
            by_hand = re.sub(r"https://\S+", facts["API"], by_hand).replace(" ID", " an-id")
            by_hand = by_hand.replace("-u tradecloud", f"-u {installed.user} "
                                      "TRADECLOUD_CA_FILE=/etc/tradecloud/ca.pem")
            assert machine.run(by_hand).strip() == path.rpartition("/")[2]
            as_root = by_hand.replace(f"-u {installed.user}", "")
            assert "not as root" in machine.run(f"! {as_root.strip()} 2>&1")
        finally:
            stub.kill()
            stub.wait()


def _configure_fetching(installed, facts):
    machine = installed.machine
    editor = machine.file("/usr/local/bin/editor")
    editor.write_text(f"#!/bin/sh\necho '{facts['netrc']}' >\"$1\"\n")
    editor.chmod(0o755)
    prepare = installed.blocks["For GET webhooks"][0]
    machine.run(prepare.replace("-o tradecloud", f"-o {installed.user}"))
    variables = {"TRADECLOUD_API_URL": facts["API"],
                 "TRADECLOUD_CA_FILE": "/etc/tradecloud/ca.pem"}
    if installed.server == "Apache":
        location, form = "/etc/tradecloud/apache-location.conf", 'SetEnv {} "{}"'
        reload = "apachectl graceful"
    else:
        location, form = "/etc/tradecloud/nginx-location.conf", "fastcgi_param {} {};"
        reload = "systemctl reload nginx"
    lines = "\\n".join(form.format(k, v) for k, v in variables.items())
    machine.run(f"sed -i '0,/^.*TRADECLOUD_SPOOL.*$/s||&\\n{lines}|' {location}; {reload}")
    time.sleep(1)


def test_confinement(confined):
    """What the program can do in the service, seen from a program in its place."""
    machine = confined.machine
    program = "/usr/local/libexec/tradecloud/tradecloud-webhook"
    probe = machine.file(f"{program}.probe")
    probe.write_text("""#!/bin/sh
cat >/dev/null
printf 'Status: 200 OK\\r\\nContent-Type: text/plain\\r\\n\\r\\n'
exec 2>&1
for file in /etc/x /usr/local/libexec/tradecloud/x /var/lib/x /run/x /home/x /dev/shm/x; do
    touch $file && echo "WROTE $file"
done
cd /var/spool/tradecloud
touch new/probe && echo "spool is writable" && rm new/probe
mkdir made && stat -c 'made %a %G' made
chmod 2770 made && echo "SET the bit"
rmdir made
unshare -Ur true && echo "MADE a namespace"
sudo -n true && echo "BECAME root"
strace -o /dev/null true && echo "TRACED"
ls /proc | grep -c '^[0-9]' | sed 's/^/processes seen: /'
grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status
ulimit -c | sed 's/^/core: /'
""")
    probe.chmod(0o755)
    machine.run(f"mv {program} {program}.real; mv {program}.probe {program}")
    try:
        answer = confined.post(event())[1]
    finally:
        machine.run(f"mv {program}.real {program}")
    print(answer)
    assert not re.search(r"^(WROTE|SET|MADE|BECAME|TRACED)", answer, re.M), answer
    assert "spool is writable" in answer and "made 2700 tradecloud" in answer
    assert re.search(r"CapBnd:\s*0+$", answer, re.M) and re.search(r"NoNewPrivs:\s*1", answer)
    assert re.search(r"Seccomp:\s*2", answer) and "core: 0" in answer


def test_directories_are_made_again(installed):
    """Also in the service, which must not set the set-group-ID bit, as it is inherited."""
    installed.machine.run(f"cd {SPOOL}; rm -r rejected failed state")
    assert installed.post('{"eventName":"Another"}')[0] == 202, installed.log()
    for state in ("rejected", "failed"):
        assert installed.status_of(f"{SPOOL}/{state}") == f"{installed.user} tradecloud 2770"
    assert installed.status_of(f"{SPOOL}/state").startswith(f"{installed.user} ")
    assert installed.status_of(f"{SPOOL}/state").endswith("700")


def test_consumers_of_another_group(confined):
    """The service knows no other group than its own; and still, what it makes is for that group."""
    machine = confined.machine
    machine.run(f"groupadd -f others; chgrp -R others {SPOOL}; rmdir {SPOOL}/rejected")
    status, answer = confined.post(event())
    assert status == 202, confined.log()
    path = f"{SPOOL}/new/{json.loads(answer)['file']}"
    assert confined.status_of(path) == "tradecloud others 640"
    assert confined.status_of(f"{SPOOL}/rejected") == "tradecloud others 2770"
    machine.run("systemd-tmpfiles --create tradecloud-webhook.conf")
    test_spool(confined)


def test_service_is_always_there(confined):
    """However often it is killed: the socket waits, and the next event starts it again."""
    for _ in range(12):
        confined.machine.run("systemctl kill -s KILL tradecloud-fcgiwrap.service; sleep 0.05")
    deadline = time.monotonic() + 10
    while confined.post(event())[0] != 202:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    confined.machine.run("systemctl stop tradecloud-fcgiwrap.service")
    assert confined.post(event())[0] == 202


def test_units(installed):
    """systemd has nothing to complain of; how much the service is exposed."""
    units = "tradecloud-fcgiwrap.service tradecloud-fcgiwrap.socket"
    assert installed.machine.run(f"systemd-analyze verify {units} 2>&1") == ""
    output = installed.machine.run("systemd-analyze security --no-pager tradecloud-fcgiwrap 2>&1")
    exposure = float(re.search(r"exposure level for \S+: ([\d.]+)", output)[1])
    print(f"{installed.machine.suite}: exposure {exposure}")
    assert exposure < 1.5, output


def test_cleaning(installed):
    """What systemd does daily removes nothing that is recent, nor anything that was consumed."""
    names = "tmp/a new/a work/a done/a failed/a rejected/a"
    output = installed.machine.run(f"cd {SPOOL}; touch {names}; "
                                   f"systemd-tmpfiles --clean 2>/dev/null; ls {names}; rm {names}")
    assert sorted(output.split()) == sorted(names.split())


def test_restart_of_the_machine(installed):
    """What was enabled comes back; the spool's directories stay as they are."""
    before = installed.machine.run(f"ls {SPOOL}/new")
    installed.machine.reboot()
    test_spool(installed)
    assert installed.machine.run(f"ls {SPOOL}/new") == before
    assert installed.post(event())[0] == 202


def test_uninstall(installed):
    """Last: it refuses while the site is in service, and leaves what is the operator's."""
    machine = installed.machine
    directory = {"Apache": "apache2", "nginx": "nginx"}[installed.server]
    assert "out of service" in machine.run("! make uninstall 2>&1")
    machine.run(f"rm /etc/{directory}/sites-enabled/tradecloud-webhook.conf")
    if installed.server == "nginx":
        machine.run("systemctl disable --now tradecloud-fcgiwrap.{socket,service}")
    output = machine.run("make uninstall")
    assert f"Left, as it was changed: /etc/{directory}/sites-available" in output
    assert machine.run("find /usr/local -name '*tradecloud*'") == ""
    assert machine.run(f"ls {SPOOL}/new") != ""
