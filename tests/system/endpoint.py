"""An ERP's HTTP endpoint that misbehaves on demand: what it does is the path of the request."""

import http.server
import os
import pathlib
import socket
import ssl
import struct
import threading
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.path, dict(self.headers), body, command_lines()))
        getattr(self, "_" + self.path.strip("/").split("/")[0])(*self.path.split("/")[2:])

    def _answer(self, status, content):
        self.send_response(int(status))
        if status in ("301", "302", "307"):
            self.send_header("Location", "/status/200")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _status(self, status):
        self._answer(status, b"" if status == "204" else b'{"detail":"unit of\nmeasure\x1b unknown"}')

    def _unwell(self, refused):
        """503 at first; then one event is refused, and the others are not."""
        key = self.headers["Idempotency-Key"]
        again = sum(headers["Idempotency-Key"] == key for _, headers, _, _ in self.server.requests) > 1
        self._status("503" if not again else "422" if key == f'"{refused}"' else "200")

    def _long(self, status):
        self._answer(status, b"\0 " * 5_000_000 + b"the end")

    def _hang(self):
        time.sleep(10)

    def _short(self, status):
        """Less than was announced."""
        self.send_response(int(status))
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"{")
        self.close_connection = True

    def _reset(self):
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.request.close()
        self.close_connection = True

    def _nonsense(self):
        self.wfile.write(b"220 mail.example.com ESMTP\r\n")
        self.close_connection = True

    def handle(self):
        try:
            super().handle()
        except OSError:
            pass  # the client went away

    def finish(self):
        try:
            super().finish()
        except (OSError, ValueError):
            pass

    def log_message(self, *_):
        pass


def command_lines():
    """What every user of the machine can read."""
    found = b""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            found += pathlib.Path("/proc", pid, "cmdline").read_bytes() + b"\n"
        except OSError:
            pass  # it has ended
    return found


class Endpoint(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, authority):
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.certificate, authority.key)
        self.socket = context.wrap_socket(self.socket, server_side=True,
                                          do_handshake_on_connect=False)
        self.url = f"https://localhost:{self.server_port}"
        self.requests = []
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self.thread.start()

    def handle_error(self, *_):
        pass

    def stop(self):
        self.shutdown()
        self.thread.join()
        self.server_close()
