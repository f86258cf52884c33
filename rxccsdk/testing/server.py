"""The HTTP side of the loopback API: takes requests, streams replies, ends at once."""

from __future__ import annotations

import contextlib
import json
import math
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

from rxccsdk.testing.http_errors import HttpError
from rxccsdk.testing.replies import Break, Pause, Reply

# How often waiting code looks whether it should end, in seconds.
_TICK = 0.02
# How long close() waits for a thread, in seconds: a script that blocks for ever must not block the test.
_PATIENCE = 5.0


@dataclass(frozen=True)
class Exchange:
    """What to answer a request with: the message's id, the model it names, the answer."""

    message_id: str
    model: str
    answer: Reply | HttpError


Respond: TypeAlias = Callable[[dict[str, Any], Mapping[str, str]], Exchange]


class ApiServer:
    """An HTTP server on `host` and a free port that gives each request for messages to `respond`.

    What goes wrong in a handler, other than that the client left, is given to `on_error`.
    """

    def __init__(self, host: str, respond: Respond, on_error: Callable[[Exception], None]) -> None:
        self._http = _Http((host, 0), respond, on_error)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(_TICK,), name="loopback-api")
        self._thread.start()

    @property
    def url(self) -> str:
        """The base URL."""
        host, port = self._http.server_address[:2]
        return f"http://{host!s}:{port}"

    def close(self) -> None:
        """End all connections, and return when no thread is left."""
        self._http.closing.set()
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.end_connections()
        self._http.server_close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True  # A handler that will not end must not keep the test process alive.
    request_queue_size = 64

    def __init__(
        self, address: tuple[str, int], respond: Respond, on_error: Callable[[Exception], None]
    ) -> None:
        self.respond = respond
        self.on_error = on_error
        self.closing = threading.Event()
        self._connections: dict[threading.Thread, socket.socket | None] = {}
        self._connections_lock = threading.Lock()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer's own asks the resolver for the name of the machine, which may leave it.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    # socketserver does not remember daemon threads, so that they could not be joined.
    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(
            target=self.process_request_thread,
            args=(request, client_address),
            name="loopback-api-connection",
            daemon=True,
        )
        with self._connections_lock:
            for ended in [thread for thread in self._connections if not thread.is_alive()]:
                del self._connections[ended]
            thread.start()
            self._connections[thread] = request

    def shutdown_request(self, request: Any) -> None:
        # The socket is closed under the lock: end_connections() must never shut down a recycled descriptor.
        with self._connections_lock:
            self._connections[threading.current_thread()] = None
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # No word about lost connections: the CLI leaves in mid-reply whenever it is interrupted.
        error = sys.exception()
        if isinstance(error, Exception) and not isinstance(error, OSError):
            self.on_error(error)

    def end_connections(self) -> None:
        with self._connections_lock:
            threads = list(self._connections)
            for connection in self._connections.values():
                with contextlib.suppress(OSError):  # The client was faster.
                    if connection is not None:
                        connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(_PATIENCE)


class _Left(Exception):
    """The client has gone, or the server closes: nothing more is to be sent."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _http(self) -> _Http:
        assert isinstance(self.server, _Http)
        return self.server

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log."""

    def do_HEAD(self) -> None:
        self._answer(200, b"")

    def do_GET(self) -> None:
        self._answer(404, b"{}")

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        path = self.path.partition("?")[0].rstrip("/")
        if path == "/v1/messages/count_tokens":
            self._answer(200, b'{"input_tokens": 25}')
            return
        if path != "/v1/messages":
            self._answer(404, b"{}")
            return
        try:
            body = json.loads(raw)
        except ValueError:
            self._answer(400, HttpError(400, "invalid_request_error", "not JSON").body)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        exchange = self._http.respond(body, headers)
        try:
            self._send(exchange, streaming=bool(body.get("stream")))
        except (_Left, OSError):
            self.close_connection = True

    def _send(self, exchange: Exchange, *, streaming: bool) -> None:
        answer = exchange.answer
        if isinstance(answer, HttpError):
            extra = {} if answer.retry_after is None else {"retry-after": f"{answer.retry_after:g}"}
            self._answer(answer.status, answer.body, extra)
        elif streaming:
            self._stream(answer, exchange)
        else:
            # The CLI asks so when streaming has failed too often: what breaks a stream must break this too.
            for item in answer.body:
                self._wait(item)
            self._answer(200, json.dumps(answer.whole(exchange.message_id, exchange.model)).encode())

    def _answer(self, status: int, body: bytes, extra: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, answer: Reply, exchange: Exchange) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("cache-control", "no-cache")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self._chunk(answer.start_event(exchange.message_id, exchange.model))
        for item in answer.body:
            if isinstance(item, bytes):
                self._chunk(item)
            else:
                self._wait(item)
        self.wfile.write(b"0\r\n\r\n")  # Without this last, empty chunk the client knows that it was cut off.

    def _chunk(self, data: bytes) -> None:
        if self._http.closing.is_set():
            raise _Left
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _wait(self, item: bytes | Pause | Break) -> None:
        if isinstance(item, Pause):
            self._pause(item)
        elif isinstance(item, Break):
            if item.kind == "hang":
                self._pause(Pause(math.inf))
            raise _Left

    def _pause(self, pause: Pause) -> None:
        ends = math.inf if pause.event is not None else time.monotonic() + pause.seconds
        while not (pause.event is not None and pause.event.is_set()):
            left = ends - time.monotonic()
            if left <= 0:
                return
            self._listen(min(left, _TICK))

    def _listen(self, seconds: float) -> None:
        """Wait, unless the client leaves or the server closes: then a socket has something to read."""
        before = self.connection.gettimeout()
        self.connection.settimeout(seconds)
        try:
            if not self.connection.recv(1, socket.MSG_PEEK) or self._http.closing.wait(seconds):
                raise _Left
        except TimeoutError:
            if self._http.closing.is_set():
                raise _Left from None
        finally:
            self.connection.settimeout(before)
