"""A PostgreSQL server of one's own: in a directory, on a socket there, not as root."""

import json
import pathlib
import subprocess
import time

from consumer import CONSUMERS
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

    def sql(self, text, user="postgres"):
        """The rows, as lists."""
        done = run("psql", "-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", self.connection(user),
                   input=text.encode(), stdout=subprocess.PIPE)
        return [line.split("\t") for line in done.stdout.decode().split("\n")[:-1]]

    def create(self):
        """The tables, empty, and a role that may do no more than load."""
        self.sql("SET client_min_messages = error; DROP SCHEMA IF EXISTS tradecloud CASCADE;"
                 "DROP ROLE IF EXISTS loader; CREATE ROLE loader LOGIN;")
        run("psql", "-Xq", "--set=ON_ERROR_STOP=1", "--single-transaction", f"--file={SCHEMA}",
            "-d", self.connection("postgres"))
        self.sql("GRANT USAGE ON SCHEMA tradecloud TO loader;"
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
