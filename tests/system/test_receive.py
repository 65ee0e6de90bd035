"""An event that is posted is in the spool, once, under the right name, byte for byte."""

import json
import subprocess
import time

import pytest
from client import credentials, documents, message_id, order, send, shipment
from spoolfile import check_cloudevent, check_entry

MEGABYTE = 1_000_000

EVENTS = {
    "order": (order(identifier="m-1"), "20250423T100153.812Z_order_m-1.json",
              "com.tradecloud1.order.OrderLinesAcceptedBySupplier"),
    "single delivery": (order(container="singleDeliveryOrderEvent", identifier="m-2"),
                        "20250423T100153.812Z_order_m-2.json",
                        "com.tradecloud1.order.OrderLinesAcceptedBySupplier"),
    "simple": (order(container="simpleOrderEvent", identifier="m-3"),
               "20250423T100153.812Z_order_m-3.json",
               "com.tradecloud1.order.OrderLinesAcceptedBySupplier"),
    "documents": (documents("m-4"), "20250423T100154.000Z_order-documents_m-4.json",
                  "com.tradecloud1.order-documents.OrderDocumentsAttachedByBuyer"),
    "shipment": (shipment("m-5"), "20250423T100155.500Z_shipment_m-5.json",
                 "com.tradecloud1.shipment.ShipmentIssuedBySupplier"),
    "old shipment": (shipment("m-6", container="shipmentEvent"),
                     "20250423T100155.500Z_shipment_m-6.json",
                     "com.tradecloud1.shipment.ShipmentIssuedBySupplier"),
    "unknown": (b'{"eventName":"PlanetsAligned","planetEvent":{},"meta":{"messageId":"m-7",'
                b'"createdDateTime":"2025-04-23T10:01:56"}}',
                "20250423T100156.000Z_unknown_m-7.json",
                "com.tradecloud1.unknown.PlanetsAligned"),
    "1.5 MB": (order(identifier="m-8", filler=1_500_000), "20250423T100153.812Z_order_m-8.json",
               "com.tradecloud1.order.OrderLinesAcceptedBySupplier"),
    "20 MB": (order(identifier="m-9", filler=20 * MEGABYTE), "20250423T100153.812Z_order_m-9.json",
              "com.tradecloud1.order.OrderLinesAcceptedBySupplier"),
}


@pytest.mark.parametrize("chunked", [False, True], ids=["counted", "chunked"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("case", EVENTS)
def test_event_is_spooled(site, case, method, chunked):
    body, name, kind = EVENTS[case]
    answer = send(site, body, method, chunked)
    assert answer.status == 202, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    [path] = site.entries()
    assert answer.json() == {"status": "spooled", "id": json.loads(path.read_bytes())["id"],
                             "file": name}
    assert path.name == name
    event = check_entry(path, body)
    assert event["type"] == kind
    assert event["source"] == "https://api.accp.tradecloud1.com/v2"
    assert site.entries("tmp") == []
    [line] = site.log_lines()
    assert (line["outcome"], line["status"], line["file"]) == ("spooled", "202", name)
    assert line["bytes"] == str(len(body))


def test_attributes(site):
    send(site, EVENTS["order"][0])
    [path] = site.entries()
    event = check_cloudevent(path.read_bytes())
    assert event["id"] == "m-1"
    assert event["subject"] == "f56aa4ce-8ec8-5197-bc26-77716a58add7-PO-m-1"
    assert event["time"] == "2025-04-23T10:01:53.812Z"
    assert list(event) == ["specversion", "id", "source", "type", "subject", "time",
                           "datacontenttype", "data"]


@pytest.mark.parametrize("content_type", [
    None, "application/json", "application/json; charset=utf-8", "APPLICATION/JSON",
    "application/vnd.tradecloud+json"])
def test_json_content_types(site, content_type):
    assert send(site, order(), content_type=content_type).status == 202


VERBATIM = [
    b'{"orderEvent":{"price":78.90,"big":1e400,"tiny":-1E-400,"id":1234567890123456789012345}}',
    b'{"orderEvent":{"a":"\\u00e9\\/\\n\\ud83d\\ude00","b":"\xc3\xa9\xf0\x9f\x98\x80\x7f"}}',
    b' \t\r\n{ "orderEvent" : { } , "x" : [ 1 , 2 ] } \r\n\t ',
    b'{"orderEvent":{"orderId":"a","orderId":"b"},"orderEvent":{"orderId":"c"}}',
    b'{"data":"}","orderEvent":{"data":"\\"data\\":"}}',
    b"{}",
]


@pytest.mark.parametrize("body", VERBATIM)
def test_data_is_verbatim(site, body):
    assert send(site, body).status == 202
    [path] = site.entries()
    check_entry(path, body)


@pytest.mark.parametrize("state", ["new", "work", "done", "failed"])
def test_the_same_message_again(site, state):
    body = order()
    assert send(site, body).status == 202
    [path] = site.entries()
    if state != "new":
        path.rename(site.spool / state / path.name)
    for _ in range(2):
        answer = send(site, body)
        assert answer.status == 200
        assert answer.json()["status"] == "duplicate"
        assert answer.json()["file"] == path.name
    assert [p.name for p in site.entries(state)] == [path.name]
    assert state == "new" or site.entries() == []


TIMELESS = [
    b'{"eventName":"PlanetsAligned"}',
    b'{"eventName":"OrderSynced","orderEvent":{"orderId":"x","meta":{"messageId":"m"}}}',
]


@pytest.mark.parametrize("body", TIMELESS)
def test_the_same_message_without_a_time_again(site, body):
    """Its name has the time of receipt, and a retry must have the same name even so."""
    before = time.strftime("%Y%m%dT%H%M%S", time.gmtime(time.time() - 1))
    assert [send(site, body).status for _ in range(3)] == [202, 200, 200]
    [path] = site.entries()
    assert before <= path.name[:15] <= time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    path.rename(site.spool / "done" / path.name)
    assert send(site, body).status == 200
    assert site.entries() == []


def test_order_of_names_is_order_of_creation(site):
    times = ["2025-04-23T10:01:53.812Z", "2025-04-23T12:01:53.813+02:00", "2025-04-23T10:01:54",
             "2025-04-23T10:01:54.0001Z", "2025-04-23T09:01:55.123456-01:00"]
    identifiers = [f"{9 - i}" for i in range(len(times))]
    for created, identifier in reversed(list(zip(times, identifiers))):
        assert send(site, order(created=created, identifier=identifier)).status == 202
    # The fourth has the third's millisecond, so there the message id decides.
    expected = [*identifiers[:2], identifiers[3], identifiers[2], identifiers[4]]
    assert [json.loads(p.read_bytes())["id"] for p in site.entries()] == expected


def test_another_source(new_site):
    site = new_site(environment={"TRADECLOUD_API_URL": "https://api.tradecloud1.com/v2"})
    assert send(site, order()).status == 202
    [path] = site.entries()
    assert check_cloudevent(path.read_bytes())["source"] == "https://api.tradecloud1.com/v2"


HOSTILE = {
    "dots": "../../../../etc/passwd",
    "slash": "/etc/passwd",
    "NUL": "a\0b",
    "control": "a\n\r\t\x1b[31m\x7f\u009b0m",
    "long": "x" * 10_000,
    "non-ASCII": "Bestellung-ÄÖ-発注-🚚",
    "quotes": "\"'`$(reboot)\\",
    "dot": ".",
    "hidden": ".hidden",
    "number sign": "PO-05-#51388860",
    "percent": "%2e%2e%2f",
}


@pytest.mark.parametrize("place", ["orderId", "eventName", "messageId"])
@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_values(site, case, place):
    value = HOSTILE[case]
    event = {"eventName": "OrderSynced",
             "orderEvent": {"orderId": "id", "meta": {"messageId": "m",
                                                     "createdDateTime": "2025-04-23T10:01:53Z"}}}
    if place == "eventName":
        event["eventName"] = value
    elif place == "orderId":
        event["orderEvent"]["orderId"] = value
    else:
        event["orderEvent"]["meta"]["messageId"] = value
    body = json.dumps(event).encode()
    answer = send(site, body)
    assert answer.status == 202, answer.body
    [path] = site.entries()
    spooled = check_entry(path, body)
    attribute = {"orderId": "subject", "messageId": "id", "eventName": "type"}[place]
    expected = "com.tradecloud1.order." + value if place == "eventName" else value
    assert spooled[attribute] == expected
    assert send(site, body).status == 200
    assert not any(c < " " or c > "~" for c in "".join(
        line for line in site.log().splitlines() if line.startswith("outcome=")))


def test_twenty_at_once_are_one(site, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(order())
    codes = parallel(site, tmp_path, [body] * 20, 20)
    assert sorted(codes) == ["200"] * 19 + ["202"]
    assert len(site.entries()) == 1


def test_two_thousand_events_by_fifty_clients(site, tmp_path):
    bodies = []
    for i in range(2000):
        bodies.append(tmp_path / str(i))
        bodies[-1].write_bytes(order(identifier=message_id(), filler=i))
    codes = parallel(site, tmp_path, bodies, 50)
    assert codes == ["202"] * 2000
    sent = sorted(b.read_bytes() for b in bodies)
    entries = site.entries()
    assert sorted(p.read_bytes().split(b'"data":', 1)[1][:-1] for p in entries) == sent
    assert site.entries("tmp") == []


def parallel(site, tmp_path, bodies, connections):
    """Send files, many at once, by one curl. Returns the statuses."""
    config = tmp_path / "config"
    sections = [f'url = "{site.url}"\ndata-binary = "@{body}"\n'
                f'header = "Content-Type: application/json"\n'
                f'user = "{credentials(site)[1]}"\ncacert = "{site.authority.ca}"\n'
                f'output = "/dev/null"\nwrite-out = "%{{http_code}}\\n"\n' for body in bodies]
    config.write_text("next\n".join(sections))
    done = subprocess.run(["curl", "-sS", "--no-progress-meter", "--parallel", "--parallel-immediate",
                           "--parallel-max", str(connections), "--config", str(config)],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()
