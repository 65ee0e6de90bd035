"""make check-tls: what testssl.sh finds in both servers as shipped.

A finding of severity MEDIUM or above fails the check, but for those that no configuration can mend,
each of which is named here with its reason. LOW is HSTS, which is for browsers. WARN says that a
check could not be made.
"""

import collections
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from server import SERVERS, Authority

FAILING = ("MEDIUM", "HIGH", "CRITICAL")
QUIET = ("OK", "INFO")

NOT_OURS = {
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
    """Print a summary. Returns how many findings fail the check."""
    failures = 0
    count = collections.Counter(finding["severity"] for finding in findings)
    print(f"{name}: {len(findings)} findings:",
          ", ".join(f"{number} {severity}" for severity, number in count.most_common()))
    for finding in findings:
        severity, identifier = finding["severity"], finding["id"]
        if severity in QUIET:
            continue
        verdict = ""
        if severity in FAILING:
            failures += identifier not in NOT_OURS
            verdict = f"  [{NOT_OURS.get(identifier, 'FAILS')}]"
        print(f"  {severity:8} {identifier}: {finding['finding']}{verdict}", flush=True)
    return failures


def main():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tradecloud-tls."))
    directory.chmod(0o755)
    failures = 0
    try:
        authority = Authority(directory / "ca")
        for name, server in SERVERS.items():
            with server(directory / name, authority) as site:
                findings = findings_of(site, directory)
            # Less would mean that it did not get through.
            if len(findings) < 100:
                sys.exit(f"{name}: testssl.sh ended early, with {len(findings)} findings")
            failures += report(name, findings)
    finally:
        shutil.rmtree(directory)
    sys.exit(f"{failures} findings that a configuration could mend" if failures else 0)


if __name__ == "__main__":
    main()
