"""What a spool file must be, judged from outside: by the CloudEvents 1.0 specification and by the
promise that the data is what was received."""

import json
import re

NAME = re.compile(r"\d{8}T\d{6}\.\d{3}Z_"
                  r"(order|order-documents|shipment|unknown|(order|shipment|legacy-order)-fetched)"
                  r"_[A-Za-z0-9._-]{1,128}\.json")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
ATTRIBUTE = re.compile(r"[a-z0-9]+")


def check_cloudevent(content):
    """The event as a dictionary, if it is one by CloudEvents 1.0.2 (sections 2 and 3) and its JSON
    format."""
    event = json.loads(content.decode("utf-8"))
    for required in ("id", "source", "specversion", "type"):
        assert isinstance(event[required], str) and event[required], required
    assert event["specversion"] == "1.0"
    assert re.fullmatch(r"https?://[^\s\"<>]+", event["source"])
    assert event["datacontenttype"] == "application/json"
    if "time" in event:
        assert RFC3339.fullmatch(event["time"]), event["time"]
    if "subject" in event:
        assert isinstance(event["subject"], str) and event["subject"]
    for attribute in event:
        assert ATTRIBUTE.fullmatch(attribute), attribute
    return event


def check_entry(path, body):
    """The event in a spool file; its name must be safe and its data the body, byte for byte."""
    assert NAME.fullmatch(path.name), path.name
    assert len(path.name) <= 200
    content = path.read_bytes()
    event = check_cloudevent(content)
    start = content.index(b'"data":') + len(b'"data":')
    assert content[start:] == body + b"}"
    assert path.stat().st_mode & 0o7777 == 0o640
    return event


def check_spool(spool):
    """Every entry in every state, as a test leaves them."""
    for state in ("new", "work", "done", "failed"):
        for path in (spool / state).glob("*.json"):
            assert NAME.fullmatch(path.name), path
            check_cloudevent(path.read_bytes())
