"""TLS as shipped: what is spoken, and certificates that are renewed while events come in. What
testssl.sh thinks of it, check_tls.py asks."""

import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest
from admission import uncomment
from client import order, send
from server import free_port, hand_over, run


def handshake(site, **options):
    """What a TLS client gets: (version, cipher, certificate), or None."""
    context = ssl.create_default_context(cafile=str(site.authority.ca))
    for name, value in options.items():
        setattr(context, name, value)
    with socket.create_connection(("127.0.0.1", site.port)) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as tls:
                return tls.version(), tls.cipher()[0], tls.getpeercert(True)
        except (ssl.SSLError, ConnectionError):
            return None


def test_ciphers(site):
    """Of all that this OpenSSL has for TLS 1.2, only what is authenticated and forward secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    accepted = set()
    for cipher in (c["name"] for c in context.get_ciphers() if c["protocol"] != "TLSv1.3"):
        context = ssl.create_default_context(cafile=str(site.authority.ca))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(f"{cipher}:@SECLEVEL=0")
        with socket.create_connection(("127.0.0.1", site.port)) as plain:
            try:
                with context.wrap_socket(plain, server_hostname="localhost") as tls:
                    accepted.add(tls.cipher()[0])
            except (ssl.SSLError, ConnectionError):
                pass
    assert accepted == {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
                        "ECDHE-ECDSA-CHACHA20-POLY1305"}


def test_renewed_certificate(new_site, authority, directory):
    """After the reload that certbot's hook asks for, the new one is shown; no event is refused."""
    site = new_site()
    old = handshake(site)[2]
    certificate, key = authority.issue(directory / f"renewed-{site.name}", "DNS:localhost,IP:127.0.0.1")
    shutil.copy(certificate, site.directory / "etc/cert.pem")
    shutil.copy(key, site.directory / "etc/key.pem")
    hand_over(site.directory / "etc")
    assert handshake(site)[2] == old
    graceful = signal.SIGUSR1 if site.name == "apache" else signal.SIGHUP
    site.processes[-1].send_signal(graceful)
    new = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    deadline = time.monotonic() + 20
    statuses = set()
    while (shown := handshake(site)[2]) != new:
        assert shown == old and time.monotonic() < deadline
        statuses.add(send(site, order()).status)
    statuses.add(send(site, order()).status)
    assert statuses == {202}


@pytest.fixture
def responder(authority, tmp_path):
    """An OCSP responder for one certificate: (certificate and issuer, key)."""
    port = free_port()
    certificate, key = authority.issue(tmp_path / "stapled", "DNS:localhost,IP:127.0.0.1",
                                       more=f"authorityInfoAccess=OCSP;URI:http://127.0.0.1:{port}\n")
    serial = run("openssl", "x509", "-in", certificate, "-noout", "-serial", capture_output=True,
                 text=True).stdout.strip().split("=")[1]
    index = tmp_path / "index.txt"
    index.write_text(f"V\t491231235959Z\t\t{serial}\tunknown\t/CN=localhost\n")
    chain = tmp_path / "fullchain.pem"
    chain.write_text(certificate.read_text() + authority.ca.read_text())
    with subprocess.Popen(["openssl", "ocsp", "-index", index, "-port", str(port), "-rsigner",
                           authority.ca, "-rkey", authority.ca_key, "-CA", authority.ca, "-ndays", "1"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        yield chain, key
        process.kill()


def stapled(site):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{site.port}", "-servername",
                           "localhost", "-status"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True)
    return "Cert Status: good" in done.stdout


def test_stapling(server, place, authority, responder):
    """Where the certificate names a responder, and the lines for it are uncommented."""
    site = server(place / "site", authority)
    shutil.copy(responder[0], site.directory / "etc/cert.pem")
    shutil.copy(responder[1], site.directory / "etc/key.pem")
    hand_over(site.directory / "etc")
    for line in (["SSLStaplingCache", "SSLUseStapling"] if server.name == "apache" else
                 ["ssl_stapling", "resolver"]):
        uncomment(site, "site.conf", line)
    with site:
        deadline = time.monotonic() + 20
        while not stapled(site):
            assert time.monotonic() < deadline, site.log()
            time.sleep(0.1)
