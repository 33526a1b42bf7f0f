"""A small server that gives the answers a test has prepared."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Answer:
    """What the server answers once.

    :param raw: goes out as it is, in place of an HTTP answer.
    :param wait: is waited for before the answer.
    :param trickle: seconds between any two bytes of the body, or of ``raw``.
    """

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    wait: threading.Event | None = None
    trickle: float = 0.0


@dataclass
class Asked:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    port: int
    """Of the client's end of the connection."""


class ScriptedServer:
    """Gives its answers in order, the last one for ever, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [Answer()]
        self.asked: list[Asked] = []
        self.stopped = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                server.asked.append(Asked(self.command, self.path, dict(self.headers), body, self.client_address[1]))
                answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
                if answer.wait is not None:
                    answer.wait.wait(10)
                if answer.raw is not None:
                    self.close_connection = True
                    self.give(answer.raw, answer.trickle)
                    return
                content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.give(content, answer.trickle)

            def give(self, content: bytes, trickle: float) -> None:
                if not trickle:
                    self.wfile.write(content)
                    return
                for number in range(len(content)):
                    self.wfile.write(content[number : number + 1])
                    if server.stopped.wait(trickle):
                        return

            do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        # Clients that hang up are what is being tested, not something to report.
        self.http.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def answer_with(self, *answers: Answer) -> None:
        self.answers = list(answers)

    def use_tls(self, context: ssl.SSLContext) -> None:
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.url = self.url.replace("http:", "https:")

    def stop(self) -> None:
        self.stopped.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    yield scripted
    scripted.stop()
