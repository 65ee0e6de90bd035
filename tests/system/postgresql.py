"""A PostgreSQL server of one's own, in a directory, on a socket there, not as root; and a history of
events with the state that its tables are to come to."""

import json
import pathlib
import random
import subprocess
import time

from client import BUYER
from consumer import CONSUMERS, make_entry
from server import UNPRIVILEGED, hand_over, run

SCHEMA = CONSUMERS / "schema.sql"


def programs():
    """The directory of the newest server that is installed."""
    found = pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres")
    return max(found, key=lambda path: int(path.parts[-3])).parent


class Server:
    def __init__(self, directory):
        self.directory = directory
        directory.mkdir()
        hand_over(directory)
        run(*UNPRIVILEGED, programs() / "initdb", "-D", directory / "data", "-U", "postgres",
            "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust", "--no-sync",
            stdout=subprocess.DEVNULL, cwd="/")
        self.process = None

    def connection(self, user="loader"):
        return f"host={self.directory} dbname=postgres user={user}"

    def start(self):
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                [*UNPRIVILEGED, programs() / "postgres", "-D", self.directory / "data", "-k",
                 self.directory, "-c", "listen_addresses=", "-c", "fsync=off"],
                stdout=log, stderr=log, cwd="/")
        deadline = time.monotonic() + 60
        while subprocess.run([programs() / "pg_isready", "-q", "-h", self.directory]).returncode:
            assert self.process.poll() is None and time.monotonic() < deadline, self.log()
            time.sleep(0.05)
        return self

    def log(self):
        return (self.directory / "log").read_text()

    def stop(self, signal="TERM"):
        """TERM waits for clients, INT does not, QUIT is as a crash."""
        run("kill", f"-{signal}", self.process.pid)
        self.process.wait(60)

    def psql(self, *arguments, user="postgres", **options):
        """The server's own psql, as Debian's in the PATH first runs Perl."""
        return run(programs() / "psql", "-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1",
                   "-d", self.connection(user), *arguments, **options)

    def sql(self, text):
        """The rows, as lists."""
        output = self.psql(input=text.encode(), stdout=subprocess.PIPE).stdout.decode()
        return [line.split("\t") for line in output.split("\n")[:-1]]

    def create(self):
        """The tables, empty, and a role that may do no more than load."""
        self.psql("-1", "-c", "SET client_min_messages = error;"
                  "DROP SCHEMA IF EXISTS tradecloud CASCADE;"
                  "DROP ROLE IF EXISTS loader; CREATE ROLE loader LOGIN;",
                  "-f", SCHEMA,
                  "-c", "GRANT USAGE ON SCHEMA tradecloud TO loader;"
                  "GRANT INSERT ON tradecloud.inbox TO loader;")

    def state(self):
        """What the tables hold: of each order, its line and shipment, the contents."""
        rows = self.sql("""
            SELECT json_build_array('order', order_id, '', content) FROM tradecloud.orders
            UNION ALL
            SELECT json_build_array('line', order_id, line, content) FROM tradecloud.order_lines
            UNION ALL
            SELECT json_build_array('shipment', shipment_id, '', content) FROM tradecloud.shipments
            """.replace("content", "content::text"))
        state = {}
        for (row,) in rows:
            table, identifier, line, content = json.loads(row)
            state[table, identifier, line] = json.loads(content)
        return state


def moment(minute):
    return f"2025-04-23T{10 + minute // 60:02}:{minute % 60:02}:53.812Z"


def make_line(position, content):
    return {"id": f"id-{position}", "buyerLine": {"position": position, "item": {"number": "4711"}},
            "note": content}


class History:
    """What happened at Tradecloud, one after the other: entries, and the state they lead to."""

    def __init__(self, seed, orders=4):
        self.random = random.Random(seed)
        self.entries = []
        self.state = {}
        for i in range(orders):
            self._order(f"{BUYER}-PO{i}", versioned=True)
        for i in range(orders // 2):
            self._order(f"legacy-{i}", versioned=False)
        self._shipment(f"{BUYER}-SN1")

    def _order(self, identifier, versioned):
        lines = {}
        for step in range(1, 9):
            time = moment(step)
            fetched = self.random.random() < 0.3
            if fetched and len(lines) > 2:
                del lines[self.random.choice(list(lines))]
            changed = {f"{n:04}" for n in self.random.sample(range(6), 2)}
            for position in changed:
                lines[position] = make_line(position, f"{identifier} {step}")
            shown = lines if fetched else changed
            body = {"buyerOrder": {"description": f"step {step}"}, "lastUpdatedAt": time,
                    "lines": [lines[position] for position in sorted(shown)]}
            # A number that has been sent as a string, too.
            if versioned:
                body["version"] = str(step) if step == 3 else step
            if fetched:
                body["id"] = identifier
                kind, data = ("order-fetched" if versioned else "legacy-order-fetched"), body
            else:
                body["orderId"] = identifier
                container = self.random.choice(["orderEvent", "singleDeliveryOrderEvent"])
                kind = "order.OrderLinesUpdatedByBuyer"
                data = {"eventName": "X", container: {**body, "meta": {"messageId": str(step)}}}
            # Versions tell, not clocks.
            sent = moment(step + (self.random.randint(-3, 3) if versioned else 0))
            self.entries.append(make_entry(kind, data, subject=identifier, time=sent))
            header = {k: v for k, v in body.items() if k != "lines"}
            self.state["order", identifier, ""] = header
        for position, content in lines.items():
            self.state["line", identifier, position] = content

    def _shipment(self, identifier):
        for step in range(5):
            body = {"id": identifier, "meta": {"lastUpdatedAt": moment(step)}, "lines": [step]}
            kind, data = (("shipment-fetched", body) if step % 2 else
                          ("shipment.ShipmentIssuedBySupplier", {"shipment": body}))
            self.entries.append(make_entry(kind, data, subject=identifier, time=moment(step)))
            self.state["shipment", identifier, ""] = body

    def shuffled(self):
        """All of them, in any order, some twice."""
        entries = self.entries + self.random.sample(self.entries, len(self.entries) // 2)
        self.random.shuffle(entries)
        return entries
