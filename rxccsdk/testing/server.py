"""The HTTP server of the loopback API: it streams replies and can be closed at any moment."""

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
from rxccsdk.testing.replies import Reply
from rxccsdk.testing.reply_events import BodyPart
from rxccsdk.testing.reply_steps import Break, Pause

_POLL_INTERVAL = 0.02  # seconds between two checks whether to stop
# Seconds close() waits for a thread: a script that blocks forever must not block the test.
_JOIN_TIMEOUT = 5.0


@dataclass(frozen=True)
class Exchange:
    """The response to a request: the id of the message, the model it names, and the answer."""

    message_id: str
    model: str
    answer: Reply | HttpError


Respond: TypeAlias = Callable[[dict[str, Any], Mapping[str, str]], Exchange]


class ApiServer:
    """An HTTP server on `host` and a free port that calls `respond` for each message request.

    An exception of a handler goes to `on_error`, except when the client disconnected.
    """

    def __init__(self, host: str, respond: Respond, on_error: Callable[[Exception], None]) -> None:
        self._http = _HttpServer((host, 0), respond, on_error)
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(_POLL_INTERVAL,), name="loopback-api"
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """The base URL."""
        host, port = self._http.server_address[:2]
        return f"http://{host!s}:{port}"

    def close(self) -> None:
        """Close all connections, and wait for all threads."""
        self._http.closing.set()
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.close_connections()
        self._http.server_close()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True  # A handler that never ends must not keep the test process alive.
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
        # HTTPServer.server_bind resolves the name of the host, which may use the network.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    # socketserver keeps no reference to daemon threads; close_connections() has to join them.
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
        # The socket is closed under the lock: close_connections() must never shut down a recycled descriptor.
        with self._connections_lock:
            self._connections[threading.current_thread()] = None
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Lost connections are normal: an interrupted CLI disconnects in mid-reply.
        error = sys.exception()
        if isinstance(error, Exception) and not isinstance(error, OSError):
            self.on_error(error)

    def close_connections(self) -> None:
        with self._connections_lock:
            threads = list(self._connections)
            for connection in self._connections.values():
                with contextlib.suppress(OSError):  # The client closed it first.
                    if connection is not None:
                        connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(_JOIN_TIMEOUT)


class _Disconnected(Exception):
    """The client disconnected, or the server closes: nothing more may be sent."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _http(self) -> _HttpServer:
        assert isinstance(self.server, _HttpServer)
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
        except (_Disconnected, OSError):
            self.close_connection = True

    def _send(self, exchange: Exchange, *, streaming: bool) -> None:
        answer = exchange.answer
        if isinstance(answer, HttpError):
            extra = {} if answer.retry_after is None else {"retry-after": f"{answer.retry_after:g}"}
            self._answer(answer.status, answer.body, extra)
        elif streaming:
            self._stream(answer, exchange)
        else:
            # The CLI falls back to this when streaming failed too often: a break must break it too.
            for part in answer.body:
                self._wait(part)
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
        for part in answer.body:
            if isinstance(part, bytes):
                self._chunk(part)
            else:
                self._wait(part)
        self.wfile.write(b"0\r\n\r\n")  # The empty chunk that ends a complete response.

    def _chunk(self, data: bytes) -> None:
        if self._http.closing.is_set():
            raise _Disconnected
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _wait(self, part: BodyPart) -> None:
        if isinstance(part, Pause):
            self._pause(part)
        elif isinstance(part, Break):
            if part.kind == "hang":
                self._pause(Pause(math.inf))
            raise _Disconnected

    def _pause(self, pause: Pause) -> None:
        deadline = math.inf if pause.event is not None else time.monotonic() + pause.seconds
        while not (pause.event is not None and pause.event.is_set()):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return
            self._sleep(min(remaining, _POLL_INTERVAL))

    def _sleep(self, seconds: float) -> None:
        """Sleep, but stop when the client or the server closes the connection: the socket turns readable."""
        timeout = self.connection.gettimeout()
        self.connection.settimeout(seconds)
        try:
            if not self.connection.recv(1, socket.MSG_PEEK) or self._http.closing.wait(seconds):
                raise _Disconnected
        except TimeoutError:
            if self._http.closing.is_set():
                raise _Disconnected from None
        finally:
            self.connection.settimeout(timeout)
