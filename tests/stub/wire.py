"""HTTP/1.1 and HTTP/2 over TLS, as a server that may misbehave at will.

`serve(socket, handle)` answers the requests of one connection, one after the other: `handle` makes
a `Reply` of a `Request`. A reply need not make sense: it may announce another length than it has,
break off, or never come.
"""

import functools
import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus

import h2.config
import h2.connection
import h2.events
import h2.exceptions

HEAD_LIMIT = 256 * 1024
SO_TIMESTAMPING = 37  # Python has no names for these
RX_SOFTWARE = 1 << 3 | 1 << 4


@dataclass
class Request:
    method: str
    path: str  # as it was sent, query and all
    version: str  # "1.1" or "2"
    headers: dict  # names in lower case
    arrived: float  # by time.monotonic()
    body: bytes = b""


@dataclass
class Reply:
    status: int = 200
    headers: list = field(default_factory=list)  # pairs
    pieces: Iterable = ()  # of the body; a generator may take its time
    length: int | None = None  # announced; None: no length is announced
    end: str = "whole"  # or "cut": closed there; or "odd": the length was a lie
    silence: str | None = None  # instead of an answer: "close" the connection, or "hang"


def reply(body, content_type="application/json", status=200, headers=()):
    """An honest one."""
    return Reply(status, [("Content-Type", content_type), *headers], [body], len(body))


class Gone(Exception):
    """The other side has closed the connection, or we are to."""


def serve(sock, handle):
    """Serve a TLS connection until it ends."""
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, RX_SOFTWARE)
    connection = Http2 if sock.selected_alpn_protocol() == "h2" else Http1
    try:
        connection(sock, handle).run()
    except (Gone, OSError, ValueError, h2.exceptions.ProtocolError):
        pass  # clients may be as rude as they like


def receive(sock):
    """What came, and when by time.monotonic(): as the kernel says, which on a busy machine may be long
    before this thread has its turn."""
    ancillary = []
    if not sock.pending():
        ancillary = socket.socket.recvmsg(sock, 1, 256, socket.MSG_PEEK)[1]
    data = sock.recv(65536)
    if not data:
        raise Gone
    now = time.monotonic()
    for _, kind, stamp in ancillary:
        if kind == SO_TIMESTAMPING:
            seconds, nanoseconds = struct.unpack_from("qq", stamp)
            now -= max(0, time.time() - seconds - nanoseconds / 1e9)
    return data, now


def keep_silent(sock, silence):
    """Never answer: close at once, or when the other side loses patience."""
    while silence == "hang":
        receive(sock)
    raise Gone


class Http1:
    """RFC 9112, with connections kept alive."""

    def __init__(self, sock, handle):
        self.sock = sock
        self.handle = handle
        self.buffer = b""
        self.arrived = 0  # what is in there

    def run(self):
        while True:
            request = self._read_request()
            self._write(self.handle(request))
            if request.headers.get("connection", "").lower() == "close":
                return

    def _read_request(self):
        while b"\r\n\r\n" not in self.buffer:
            if len(self.buffer) > HEAD_LIMIT:
                raise Gone
            self._receive()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        fields = (line.split(":", 1) for line in lines)
        headers = {name.lower(): value.strip() for name, value in fields}
        body = self._read_body(headers)
        return Request(method, path, "1.1", headers, self.arrived, body)

    def _receive(self):
        data, self.arrived = receive(self.sock)
        self.buffer += data

    def _read_body(self, headers):
        length = int(headers.get("content-length", 0))
        while len(self.buffer) < length:
            self._receive()
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return body

    def _write(self, answer):
        if answer.silence:
            keep_silent(self.sock, answer.silence)
        chunked = answer.length is None
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {answer.length}"
        head = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
                *(f"{name}: {value}" for name, value in answer.headers), framing, "", ""]
        pending = "\r\n".join(head).encode("latin-1")
        for piece in answer.pieces:
            if chunked and piece:
                piece = b"%x\r\n%s\r\n" % (len(piece), piece)
            self.sock.sendall(pending + piece)
            pending = b""
        if answer.end != "whole":
            raise Gone
        self.sock.sendall(pending + (b"0\r\n\r\n" if chunked else b""))


class Http2:
    """RFC 9113, one stream at a time."""

    def __init__(self, sock, handle):
        self.sock = sock
        self.handle = handle
        self.state = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="latin-1"))
        # Huffman coding takes seconds for a huge header.
        encoder = self.state.encoder
        encoder.encode = functools.partial(encoder.encode, huffman=False)
        self.open = {}  # streams whose request is not complete
        self.waiting = []  # streams and requests to be answered

    def run(self):
        self.state.initiate_connection()
        self._flush()
        while True:
            self._receive()
            while self.waiting:
                stream, request = self.waiting.pop(0)
                self._write(stream, self.handle(request))

    def _flush(self):
        self.sock.sendall(self.state.data_to_send())

    def _receive(self):
        data, arrived = receive(self.sock)
        for event in self.state.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                headers = dict(event.headers)
                self.open[event.stream_id] = Request(
                    headers.pop(":method"), headers.pop(":path"), "2", headers, arrived)
            elif isinstance(event, h2.events.DataReceived):
                self.open[event.stream_id].body += event.data
                self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.waiting.append((event.stream_id, self.open.pop(event.stream_id)))
            elif isinstance(event, h2.events.ConnectionTerminated):
                raise Gone
        self._flush()

    def _write(self, stream, answer):
        if answer.silence:
            keep_silent(self.sock, answer.silence)
        headers = [(":status", str(answer.status))]
        headers += [(name.lower(), value) for name, value in answer.headers]
        if answer.length is not None:
            headers.append(("content-length", str(answer.length)))
        try:
            self.state.send_headers(stream, headers)
            for piece in answer.pieces:
                self._send(stream, piece)
            if answer.end == "cut":
                raise Gone
            self.state.end_stream(stream)
        except h2.exceptions.StreamClosedError:
            return  # the client wants no more of it
        self._flush()

    def _send(self, stream, piece):
        """Send as much as the client's windows allow, then wait for it to open them."""
        while piece:
            room = min(self.state.local_flow_control_window(stream),
                       self.state.max_outbound_frame_size)
            if room <= 0:
                self._flush()
                self._receive()
                continue
            self.state.send_data(stream, piece[:room])
            piece = piece[room:]
            self._flush()
