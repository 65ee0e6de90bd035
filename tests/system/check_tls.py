"""make check-tls: what testssl.sh finds in both servers as shipped.

Every finding worse than LOW fails the check, but for those that no configuration can mend, each of
which is named here with its reason.
"""

import collections
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from server import SERVERS, Authority

HARMLESS = ("OK", "INFO", "LOW")

NOT_OURS = {
    "engine_problem": "of the OpenSSL that testssl.sh runs with",
    "cert_revocation": "the throw-away CA publishes neither CRL nor OCSP",
}


def findings_of(site, directory):
    """All findings, as a list of dictionaries."""
    output = directory / f"{site.name}.json"
    subprocess.run(["testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none",
                    "--add-ca", str(site.authority.ca), "--jsonfile", str(output),
                    f"localhost:{site.port}"],
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=directory)
    return json.loads(output.read_text())


def report(name, findings):
    """Print a summary. Returns the findings that fail the check."""
    count = collections.Counter(finding["severity"] for finding in findings)
    print(f"{name}: {len(findings)} findings:", flush=True, end=" ")
    print(
          ", ".join(f"{number} {severity}" for severity, number in count.most_common()))
    bad = []
    for finding in findings:
        if finding["severity"] in HARMLESS[:2]:
            continue
        reason = NOT_OURS.get(finding["id"])
        verdict = "" if finding["severity"] == "LOW" else f"  [{reason or 'FAILS'}]"
        print(f"  {finding['severity']:8} {finding['id']}: {finding['finding']}{verdict}")
        if verdict and not reason:
            bad.append(finding)
    return bad


def main():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tradecloud-tls."))
    directory.chmod(0o755)
    bad = []
    try:
        authority = Authority(directory / "ca")
        for name, server in SERVERS.items():
            with server(directory / name, authority) as site:
                findings = findings_of(site, directory)
            # Less would mean that it did not get through.
            if len(findings) < 100:
                sys.exit(f"{name}: testssl.sh ended early, with {len(findings)} findings")
            bad += report(name, findings)
    finally:
        shutil.rmtree(directory)
    sys.exit(f"{len(bad)} findings that a configuration could mend" if bad else 0)


if __name__ == "__main__":
    main()
