"""Bodies of order webhooks, of any size, with the members that Tradecloud's orders have."""

import json
import random

PLACE = "00000000-0000-4000-8000-000000000000"  # of the message id, which each request has anew
WORDS = ("round tube ø60x45, steel plate 3 mm; flange DN80 drilled as drawing B, deburred\nand "
         "coated; packed in boxes of ten, 12.5 kg, for dock 12, see \"remarks\"").split(" ")
NOTE = "Call before delivery, the gate is closed after four. "


class Maker:
    """Values for members, the same ones at every run."""

    def __init__(self, size):
        self.random = random.Random(size)

    def digits(self, count):
        return "".join(self.random.choices("0123456789", k=count))

    def uuid(self):
        return "-".join(f"{self.random.getrandbits(4 * n):0{n}x}" for n in (8, 4, 4, 4, 12))

    def text(self, words):
        return " ".join(self.random.choices(WORDS, k=words))

    def amount(self):
        return self.random.randrange(100, 1000000) / 100

    def date(self):
        return f"2026-{self.random.randrange(1, 13):02}-{self.random.randrange(1, 29):02}"

    def price(self):
        return {"priceInTransactionCurrency": {"value": self.amount(), "currencyIso": "EUR"}}

    def party(self):
        return {"companyId": self.uuid(), "id": self.digits(13), "idScheme": "GLN",
                "names": [self.text(2), self.text(1)], "addressLines": [self.text(3)],
                "postalCode": self.digits(4) + " AB", "city": "Rotterdam", "countryCodeIso2": "NL",
                "countryName": "The Netherlands"}

    def schedule(self, count):
        return [{"position": f"{i:04}", "date": self.date(), "quantity": self.amount(),
                 "status": "Open", "transportMode": self.text(1)} for i in range(1, count + 1)]

    def item(self):
        return {"number": self.digits(8), "revision": "B", "name": self.text(4),
                "description": self.text(10), "purchaseUnitOfMeasureIso": "PCE",
                "supplierItemNumber": self.digits(6),
                "dimensions": [{"attribute": "mass", "measure": self.amount(),
                                "unitOfMeasureUnece": "KGM"}]}

    def document(self):
        return {"code": self.digits(9), "revision": "B", "name": self.text(3),
                "objectId": self.uuid(), "type": "General", "description": self.text(5)}

    def line(self, position):
        return {"id": self.uuid(), "position": f"{position:04}", "row": str(position),
                "description": self.text(8), "item": self.item(),
                "deliverySchedule": self.schedule(4), "deliveryHistory": self.schedule(2),
                "prices": {"grossPrice": self.price(), "discountPercentage": 50,
                           "netPrice": self.price(), "priceUnitOfMeasureIso": "PCE",
                           "priceUnitQuantity": 100},
                "terms": {"contractNumber": self.digits(9), "contractPosition": "0001"},
                "indicators": {"shipped": False, "delivered": False, "completed": False,
                               "cancelled": False},
                "projectNumber": None, "properties": [{"key": "colour", "value": "red"}],
                "documents": [self.document()], "notes": [self.text(12)], "labels": [self.text(2)],
                "lastUpdatedAt": "2026-11-23T10:01:53.700Z"}


def order_event(size, indent=None):
    """The body, exactly `size` bytes (from 700 on). Lines are added until the rest is a note."""
    maker = Maker(size)
    separators = (",", ":") if indent is None else (",", ": ")

    def dump(value):
        return json.dumps(value, ensure_ascii=False, indent=indent, separators=separators).encode()

    event = {"orderId": f"{maker.uuid()}-PO{maker.digits(9)}", "version": 3,
             "lastUpdatedAt": "2026-11-23T10:01:53.700Z", "status": {"processStatus": "Issued"},
             "lines": [], "notes": [""],
             "meta": {"messageId": PLACE, "createdDateTime": "2026-11-23T10:01:53.812Z",
                      "source": {"traceId": maker.uuid(), "userId": None, "companyId": None}}}
    body = {"eventName": "OrderLinesAcceptedBySupplier", "orderEvent": event}
    if size > 3000:
        event.update(buyerOrder={"buyerParty": maker.party(), "destination": maker.party()},
                     supplierOrder={"supplierParty": maker.party()})
    deeper = 0 if indent is None else 3 * indent
    room = size - len(dump(body)) - 200
    while True:
        line = maker.line(len(event["lines"]) + 1)
        text = dump(line)
        room -= len(text) + 2 + deeper * (text.count(b"\n") + 1)
        if room < 0:
            break
        event["lines"].append(line)
    rest = size - len(dump(body))
    event["notes"][0] = (NOTE * (rest // len(NOTE) + 1))[:rest]
    return dump(body)
