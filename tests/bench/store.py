#!/usr/bin/python3
"""A receiver of events in Python, a peer in the measurements: the web server has checked the
password, a bearer token is compared here; the JSON is checked and kept in a durable file."""

import json
import os
import sys

bearer = "Bearer " + os.environ.get("BEARER_TOKEN", "")
if not os.environ.get("AUTH_TYPE") and os.environ.get("HTTP_AUTHORIZATION") != bearer:
    sys.stdout.write("Status: 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\n\r\n")
    sys.exit()
body = sys.stdin.buffer.read(int(os.environ["CONTENT_LENGTH"]))
identifier = json.loads(body)["orderEvent"]["meta"]["messageId"]

spool = os.environ["TRADECLOUD_SPOOL"]
temporary = f"{spool}/tmp/{identifier}.{os.getpid()}"
with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640), "wb") as file:
    file.write(body)
    file.flush()
    os.fsync(file.fileno())
os.link(temporary, f"{spool}/new/{identifier}.json")
directory = os.open(f"{spool}/new", os.O_RDONLY | os.O_DIRECTORY)
os.fsync(directory)
os.close(directory)
os.unlink(temporary)
sys.stdout.write("Status: 202 Accepted\r\nContent-Type: application/json\r\n\r\n{}\n")
