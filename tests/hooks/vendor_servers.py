"""Small servers that behave as the vendors' documents say, written without looking at the demo's."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

ACCESS_ID, ACCESS_KEY = "suAccessId", "sumo-secret-access-key"


@dataclass
class Asked:
    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: Any
    at: float = field(default_factory=time.monotonic)


@dataclass
class Answer:
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    wait: threading.Event | None = None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One packet an answer: two would wait for each other (delayed acknowledgement).
    wbufsize = -1
    respond: Callable[[Asked], Answer]

    def _any(self) -> None:
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        asked = Asked(
            method=self.command,
            path=parts.path,
            params={name: values[0] for name, values in parse_qs(parts.query).items()},
            headers={name.lower(): value for name, value in self.headers.items()},
            body=_parsed(content, self.headers.get("content-type") or "") if content else None,
        )
        answer = type(self).respond(asked)
        if answer.wait is not None:
            answer.wait.wait(10)
        if not answer.status:  # none at all
            self.close_connection = True
            return
        payload = answer.raw if answer.raw is not None else json.dumps(answer.body).encode()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

    do_GET = do_POST = do_DELETE = do_PUT = _any  # noqa: N815 - names of http.server

    def log_message(self, *_: Any) -> None:
        pass


def _parsed(content: bytes, kind: str) -> Any:
    return content if "form" in kind else json.loads(content)


@contextlib.contextmanager
def serving(respond: Callable[[Asked], Answer], wrap: Callable[[Any], Any] | None = None) -> Iterator[str]:
    """Serve on a free port; yields the address."""
    handler = type("Handler", (_Handler,), {"respond": staticmethod(respond)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if wrap is not None:
        server.socket = wrap(server.socket)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{'https' if wrap else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Scripted:
    """Gives prepared answers in order, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[Asked] = []

    def __call__(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@dataclass
class SumoJobState:
    messages: list[dict[str, str]]
    polls: int = 0
    cookie: str = ""
    paused: bool = False
    deleted: bool = False


@dataclass
class SumoServer:
    """Sumo Logic's Search Job API over a list of messages, by its public documentation."""

    messages: list[dict[str, str]] = field(default_factory=list)
    records: list[dict[str, str]] | None = None
    pause_at: int = 100_000
    page: int = 10_000
    cookies: bool = True
    lose: int = 0
    delete_status: int = 200
    states: tuple[str, ...] = ("NOT STARTED", "GATHERING RESULTS")
    final: str = "DONE GATHERING RESULTS"
    warnings: list[list[str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    failures: list[Answer] = field(default_factory=list)
    page_failures: list[Answer] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    jobs: dict[str, SumoJobState] = field(default_factory=dict)
    number: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    lock: Any = field(default_factory=threading.Lock)

    def __call__(self, asked: Asked) -> Answer:
        with self.lock:
            self.asked.append(asked)
            if self.failures:
                return self.failures.pop(0)
            if asked.path == "/api/v1/search/jobs" and asked.method == "POST":
                return self._create(asked)
            parts = asked.path.removeprefix("/api/v1/search/jobs/").split("/")
            job = self.jobs.get(parts[0])
            if job is None or job.deleted or (self.cookies and job.cookie not in asked.headers.get("cookie", "")):
                return _error(404, "jobid.invalid", "Job ID is invalid.")
            if asked.method == "DELETE":
                job.deleted = True
                return Answer(self.delete_status, {"id": parts[0]})
            if len(parts) == 1:
                return self._status(parts[0], job)
            return self._page(parts[1], job, asked)

    def _create(self, asked: Asked) -> Answer:
        if asked.headers.get("content-type") != "application/json":
            return _error(415, "contenttype.invalid", "Invalid content type.")
        since, until = int(asked.body["from"]), int(asked.body["to"])
        if until < since:
            return _error(400, "to.smaller.than.from", "The 'from' time cannot be larger than the 'to' time.")
        if "(((" in asked.body["query"]:
            return _error(400, "parse.error", "Unable to parse query.")
        time_field = "_receipttime" if asked.body["byReceiptTime"] else "_messagetime"
        # The end belongs to the window here, as it may: a client must not count a message twice.
        found = [message for message in self.messages if since <= int(message[time_field]) <= until]
        found.sort(key=lambda message: -int(message["_messagetime"]))
        if not asked.body.get("requiresRawMessages"):
            found = []
        job = SumoJobState(found[: self.pause_at], paused=len(found) > self.pause_at)
        identity = f"{next(self.number):016X}"
        job.cookie = f"route={identity}"
        self.jobs[identity] = job
        headers = {"Location": f"/api/v1/search/jobs/{identity}"}
        if self.cookies:
            headers["Set-Cookie"] = f"{job.cookie}; Path=/"
        return Answer(202, {"id": identity, "link": {"rel": "self", "href": ""}}, headers)

    def _status(self, identity: str, job: SumoJobState) -> Answer:
        if self.lose and job.polls:
            self.lose -= 1
            job.deleted = True
            return _error(404, "jobid.invalid", "Job ID is invalid.")
        done = job.polls >= len(self.states)
        state = ("FORCE PAUSED" if job.paused else self.final) if done else self.states[job.polls]
        pending = self.warnings[job.polls] if job.polls < len(self.warnings) else []
        job.polls += 1
        return Answer(
            200,
            {
                "state": state,
                "messageCount": len(job.messages) if done else 0,
                "recordCount": len(self.records or []) if done else 0,
                "pendingErrors": self.errors if done else [],
                "pendingWarnings": pending,
                "histogramBuckets": [],
            },
        )

    def _page(self, what: str, job: SumoJobState, asked: Asked) -> Answer:
        if self.page_failures:
            return self.page_failures.pop(0)
        if what == "records" and self.records is None:
            return _error(400, "no.records.not.an.aggregation.query", "No records; query is not an aggregation")
        offset, limit = int(asked.params["offset"]), int(asked.params["limit"])
        rows = job.messages if what == "messages" else self.records or []
        chosen = rows[offset : offset + min(limit, self.page, 10_000)]
        return Answer(200, {"warning": "", "fields": [], what: [{"map": row} for row in chosen]})

    def count(self, method: str, ending: str = "") -> int:
        return sum(asked.method == method and asked.path.endswith(ending) for asked in self.asked)


def _error(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"status": status, "id": "IUUQI-DGH5I-TJ045", "code": code, "message": message})


def sumo_message(moment: int, text: str, host: str = "shop-1", identity: int = 0) -> dict[str, str]:
    """A message as Sumo Logic gives it; ``moment`` in epoch milliseconds."""
    return {
        "_messageid": str(-9_223_372_036_854_773_763 + (identity or hash((moment, text, host)) % 10**12)),
        "_messagetime": str(moment),
        "_receipttime": str(moment + 40),
        "_sourcehost": host,
        "_sourcecategory": "prod/storefront",
        "_raw": text,
    }
