"""One instance: the shop behind HTTP."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from airflow_cd.demo.shop.web import Request, Response

if TYPE_CHECKING:
    from airflow_cd.demo.shop.releases.v1_0 import Shop
    from airflow_cd.demo.shop.telemetry import TransactionFile

_boot = logging.getLogger("shop.boot")
_web = logging.getLogger("shop.web")


class ShopServer(ThreadingHTTPServer):
    """Serves a shop, records every request, and knows how many are being answered.

    :param identity: what ``/health`` answers: which artifact and configuration this process really runs.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, shop: Shop, identity: dict[str, Any], transactions: TransactionFile) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.shop = shop
        self.identity = identity
        self.transactions = transactions
        self._idle = threading.Condition()
        self._in_flight = 0
        self.answered = 0

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Count a request while it is being answered."""
        with self._idle:
            self._in_flight += 1
        try:
            yield
        finally:
            with self._idle:
                self._in_flight -= 1
                self.answered += 1
                self._idle.notify_all()

    def wait_until_idle(self, timeout: float) -> bool:
        """Whether every request was answered within so many seconds."""
        with self._idle:
            return self._idle.wait_for(lambda: self._in_flight == 0, timeout)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over clients that went away; anything else is a defect of the server and is logged as one."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            _web.exception("the connection from %s failed", client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: ShopServer

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def handle_one_request(self) -> None:
        with ExitStack() as self._request:
            super().handle_one_request()

    def parse_request(self) -> bool:
        """Count the request from its first line on: a client that was told to go on is waited for."""
        self._request.enter_context(self.server.answering())
        return super().parse_request()

    def handle_expect_100(self) -> bool:
        """Say "go on" at once: the client sends nothing before it has heard it."""
        proceed = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Keep quiet: the record of requests is the transactions' file."""

    def _answer(self) -> None:
        if self.path == "/health":
            content = json.dumps({"status": "ok", **self.server.identity}).encode()
            self._send(Response("health", content=content, content_type="application/json"))
            return
        timestamp, began = time.time(), time.perf_counter()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request.parse(self.command, self.path, body)
        name, page = self.server.shop.find(request)
        error_class = None
        try:
            response = page(request)
        except Exception as error:  # noqa: BLE001 - that is what a web server is for
            error_class = type(error).__name__
            _web.exception("unhandled exception in %s", name)
            response = Response("Something went wrong", ("Please try again.",), status=500)
        try:
            self._send(response)
        finally:
            self.server.transactions.record(
                timestamp=timestamp,
                name=name,
                duration=time.perf_counter() - began,
                status=response.status,
                error_class=error_class,
            )

    def _send(self, response: Response) -> None:
        identity = self.server.identity
        content = response.render(f"shop {identity['version']} on {identity['instance']}")
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Shop-Version", identity["version"])
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()


def serve(server: ShopServer) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is in flight and return within a second."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=server.serve_forever, args=(0.05,), name="accept", daemon=True).start()
    port = server.server_address[1]
    _boot.info("shop %s is ready on port %d", server.identity["version"], port)
    sys.stdout.write(json.dumps({"port": port}) + "\n")
    sys.stdout.flush()
    stop.wait()
    server.shutdown()
    server.wait_until_idle(0.7)
    _boot.info("shop %s stops after %d requests", server.identity["version"], server.answered)
