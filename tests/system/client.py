"""Tradecloud's side: events, and the real curl sending them."""

import json
import pathlib
import subprocess
import tempfile
import uuid
from dataclasses import dataclass

from server import USER

BUYER = "f56aa4ce-8ec8-5197-bc26-77716a58add7"


@dataclass
class Answer:
    status: int
    headers: dict  # names in lower case
    body: bytes
    curl_exit: int = 0

    def json(self):
        return json.loads(self.body)


def credentials(site):
    return ["-u", f"{USER}:{site.password}"]


def curl(site, *options, path="", auth=None, timeout=60):
    """One request by curl. Status 0: no answer came."""
    with tempfile.TemporaryDirectory() as directory:
        head = pathlib.Path(directory, "head")
        content = pathlib.Path(directory, "content")
        command = ["curl", "-sS", "--http1.1", "--cacert", str(site.authority.ca), "-m", str(timeout),
                   "-D", str(head), "-o", str(content), "-w", "%{http_code}",
                   *(credentials(site) if auth is None else auth), *options, site.url + path]
        done = subprocess.run(command, capture_output=True, text=True)
        headers = {}
        if head.exists():
            blocks = head.read_bytes().decode("latin-1").strip().split("\r\n\r\n")
            for line in blocks[-1].split("\r\n")[1:]:
                name, value = line.split(":", 1)
                headers[name.lower()] = value.strip()
        return Answer(int(done.stdout or 0), headers,
                      content.read_bytes() if content.exists() else b"", done.returncode)


def send(site, body, method="POST", chunked=False, content_type="application/json", **options):
    """Post a body as Tradecloud does."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        arguments = ["-X", method, "--data-binary", f"@{file.name}",
                     "-H", f"Content-Type: {content_type}" if content_type else "Content-Type:"]
        if chunked:
            arguments += ["-H", "Transfer-Encoding: chunked"]
        return curl(site, *arguments, "-H", "Expect:", **options)


def message_id():
    return str(uuid.uuid4())


def order(number=None, container="orderEvent", name="OrderLinesAcceptedBySupplier", filler=0,
          created="2025-04-23T10:01:53.812Z", identifier=None):
    """The body of an order webhook. `filler` bytes make its lines longer."""
    identifier = identifier or message_id()
    line = {"position": "0001", "price": "PRICE", "note": "één\nregel " + "x" * filler}
    event = {"orderId": f"{BUYER}-PO-{number or identifier[:8]}", "version": 3,
             "lastUpdatedAt": "2025-04-23T10:01:53.700Z", "lines": [line],
             "meta": {"messageId": identifier, "createdDateTime": created,
                      "source": {"traceId": "5c5d29f2-8a3a-4f2c-b0e5-1f6a2d1b3c4d", "userId": None, "companyId": None}}}
    body = json.dumps({"eventName": name, container: event}, ensure_ascii=False, indent=1)
    # Numbers as no serialiser would write them again.
    return body.replace('"PRICE"', "78.90").encode()


def documents(identifier=None):
    identifier = identifier or message_id()
    return json.dumps({
        "eventName": "OrderDocumentsAttachedByBuyer",
        "orderDocumentsEvent": {
            "orderId": f"{BUYER}-PO-05-#51388860",
            "documents": [{"name": "Drawing", "objectId": message_id()}],
            "meta": {"messageId": identifier, "createdDateTime": "2025-04-23T10:01:54Z"}},
    }).encode()


def shipment(identifier=None, container="shipment"):
    identifier = identifier or message_id()
    return json.dumps({
        "eventName": "ShipmentIssuedBySupplier",
        container: {"id": f"{BUYER}-SN123456789", "lines": [],
                    "meta": {"lastUpdatedAt": "2025-04-23T09:00:00.000Z"}},
        "meta": {"messageId": identifier, "createdDateTime": "2025-04-23T12:01:55.5+02:00"},
    }).encode()
