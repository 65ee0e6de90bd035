"""Tradecloud as it is known to send, by POST and by GET: 2xx is the end of an event; what is above 500, and a connection
that fails, it tries again; at anything else it gives the event up, which must never happen."""

import base64
import http.client
import itertools
import random
import ssl
import threading
import time
from collections import Counter
from datetime import datetime, timedelta

from client import message_id, order
from fetching import offer
from server import USER

BEGINNING = datetime(2025, 4, 23, 10)
TIMELESS = '{{"eventName":"OrderSynced","meta":{{"messageId":"{}"}}}}'  # named after its receipt
FILLERS = [0] * 10 + [3000] * 10 + [100_000]
ORDERS = 5  # of each connection; their events come one after the other
RETRY = (0.02, 0.5)  # seconds between attempts; in reality more, and growing
PATIENCE = 30  # seconds for one attempt


class Sender:
    """So many connections at once, each with one event after the other; and so many that announce
    orders, which the stub has, by GET."""

    def __init__(self, site, connections, announcing=0, stub=None):
        self.site = site
        self.stub = stub
        self.context = ssl.create_default_context(cafile=str(site.authority.ca))
        secret = base64.b64encode(f"{USER}:{site.password}".encode()).decode()
        self.headers = {"Authorization": f"Basic {secret}", "Content-Type": "application/json"}
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.answers = Counter()
        self.given_up = []  # what the sender would never send again
        self.accepted = {}  # the bodies of the events that were answered 2xx
        self.announced = {}  # the orders for which that was answered
        self.threads = [threading.Thread(target=self._work, args=(work,), daemon=True)
                        for work in [self._post] * connections + [self._get] * announcing]
        self.created = itertools.count()  # milliseconds
        for thread in self.threads:
            thread.start()

    def _attempt(self, connection, *request):
        """The status, or the name of what went wrong."""
        try:
            connection.request(*request, self.headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return type(error).__name__

    def _post(self):
        identifier = message_id()
        body = TIMELESS.format(identifier).encode()
        if random.random() < 0.7:
            created = BEGINNING + timedelta(milliseconds=next(self.created))
            body = order(f"{threading.get_ident()}-{random.randrange(ORDERS)}",
                         created=f"{created:%Y-%m-%dT%H:%M:%S}.{created.microsecond // 1000:03}Z",
                         identifier=identifier, filler=random.choice(FILLERS))
        return self.accepted, identifier, body, ("POST", "/tradecloud", body)

    def _get(self):
        identifier = message_id()
        content = offer(self.stub, identifier=identifier)
        return self.announced, identifier, content, ("GET", f"/tradecloud/order/{identifier}", None)

    def _work(self, work):
        connection = http.client.HTTPSConnection("localhost", self.site.port, timeout=PATIENCE,
                                                 context=self.context)
        while not self.stopping.is_set():
            done, identifier, content, request = work()
            while True:
                status = self._attempt(connection, *request)
                with self.lock:
                    self.answers[status] += 1
                    if isinstance(status, int) and 200 <= status < 300:
                        done[identifier] = content
                        break
                    if isinstance(status, int) and status <= 500:
                        self.given_up.append((identifier, status))
                        break
                time.sleep(random.uniform(*RETRY))
        connection.close()

    def finish(self, seconds):
        """Let each connection bring its last event home. Returns whether all did."""
        self.stopping.set()
        end = time.monotonic() + seconds
        for thread in self.threads:
            thread.join(max(0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self.threads)
