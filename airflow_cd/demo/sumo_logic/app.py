"""Sumo Logic's HTTP surface: the Search Job API, version 1."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import secrets
import time
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from airflow_cd.demo.faults import PATH, SETTINGS_PATH, Fault, Faults, settings_endpoint
from airflow_cd.demo.sumo_logic.jobs import Job, Jobs, Settings
from airflow_cd.demo.sumo_logic.messages import MESSAGE_FIELDS
from airflow_cd.demo.sumo_logic.query import describe
from airflow_cd.demo.sumo_logic.search_request import Refused, read
from airflow_cd.demo.telemetry import LogReader

ACCESS_ID = "suDemoAccessId"
ACCESS_KEY = "demo-access-key-0000000000000000"
SESSION_COOKIE = "JSESSIONID"

_JOBS = "/api/v1/search/jobs"
_REFRESH_SECONDS = 0.1
_CODES = {
    401: ("unauthorized", "Credential could not be verified."),
    403: ("forbidden", "This operation is not allowed for your account type."),
    404: ("notfound", "Requested resource could not be found."),
    405: ("method.unsupported", "Unsupported method for URL."),
    415: ("contenttype.invalid", "Invalid content type."),
    429: ("rate.limit.exceeded", "The API request rate or the number of active search jobs exceeds the limit."),
    500: ("internal.error", "Internal server error."),
    503: ("service.unavailable", "Service is currently unavailable."),
}

Handler = Callable[[Request], Awaitable[Response]]


class Problem(Exception):
    """An answer in Sumo Logic's error format."""

    def __init__(self, status: int, code: str = "", message: str = "", headers: dict[str, str] | None = None) -> None:
        default_code, default_message = _CODES.get(status, ("generic", "Generic error."))
        super().__init__(code or default_code)
        self.status = status
        self.body = {
            "status": status,
            "id": "-".join(secrets.token_hex(3).upper()[:5] for _ in range(3)),
            "code": code or default_code,
            "message": message or default_message,
        }
        self.headers = headers or {}

    def response(self) -> Response:
        """The HTTP answer."""
        return JSONResponse(self.body, self.status, self.headers)


class SumoLogic:
    """The server's state and its endpoints."""

    def __init__(
        self,
        reader: LogReader,
        access_id: str = ACCESS_ID,
        access_key: str = ACCESS_KEY,
        settings: Settings | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings or Settings()
        self.faults = Faults()
        self._reader = reader
        self._jobs = Jobs(reader, wall=wall)
        self._credentials = (access_id, access_key)
        self._recent: dict[str, deque[float]] = defaultdict(deque)
        self._running: Counter[str] = Counter()

    def app(self) -> Starlette:
        """The ASGI application."""
        job = f"{_JOBS}/{{job_id}}"
        return Starlette(
            routes=[
                Route(_JOBS, self._guarded(self._create), methods=["POST"]),
                Route(job, self._guarded(self._status), methods=["GET"]),
                Route(job, self._guarded(self._delete), methods=["DELETE"]),
                Route(f"{job}/messages", self._guarded(self._messages), methods=["GET"]),
                Route(f"{job}/records", self._guarded(self._records), methods=["GET"]),
                Route("/api/v1/collectors", self._guarded(self._collectors), methods=["GET"]),
                Route(PATH, self.faults.endpoint, methods=["PUT", "DELETE"]),
                Route(SETTINGS_PATH, settings_endpoint(lambda: self.settings, self._set), methods=["PUT"]),
            ],
            exception_handlers={HTTPException: _http_error},
        )

    async def follow(self) -> None:
        """Keep reading the logs, so that what arrives is known to have arrived."""
        while True:
            self._reader.refresh()
            await asyncio.sleep(_REFRESH_SECONDS)

    def _set(self, settings: Settings) -> None:
        self.settings = settings

    # What every request meets

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            try:
                fault = await self.faults.meet(request)
                if fault is not None:
                    faulty = fault.response(_fault_body)
                    if faulty is not None:
                        return faulty
                user = self._user(request)
                self._count(user)
                self._running[user] += 1
                try:
                    if self._running[user] > self.settings.concurrent:
                        raise Problem(429)
                    return await handler(request)
                finally:
                    self._running[user] -= 1
            except Problem as problem:
                return problem.response()

        return guarded

    def _user(self, request: Request) -> str:
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            user, _, key = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise Problem(401) from None
        right = secrets.compare_digest(f"{user}:{key}".encode(), ":".join(self._credentials).encode())
        if scheme.lower() != "basic" or not right:
            raise Problem(401)
        return user

    def _count(self, user: str) -> None:
        """Refuse a request over the limit for a second."""
        now = time.monotonic()
        recent = self._recent[user]
        while recent and recent[0] <= now - 1:
            recent.popleft()
        if len(recent) >= self.settings.rate_limit:
            raise Problem(429)
        recent.append(now)

    # The Search Job API

    async def _create(self, request: Request) -> Response:
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            raise Problem(415)
        try:
            wanted = read(await request.body())
        except Refused as error:
            raise Problem(400, error.code, error.message) from None
        if self._jobs.active() >= self.settings.active_jobs:
            raise Problem(429, message=f"The limit of {self.settings.active_jobs} active search jobs is reached.")
        session = request.cookies.get(SESSION_COOKIE) or secrets.token_hex(16)
        job = self._jobs.create(
            wanted.query,
            wanted.since_ms,
            wanted.until_ms,
            session,
            self.settings,
            by_receipt_time=wanted.by_receipt_time,
            raw_messages=wanted.raw_messages,
        )
        location = f"{str(request.base_url).rstrip('/')}{_JOBS}/{job.id}"
        response = JSONResponse(
            {"id": job.id, "link": {"rel": "self", "href": location}}, 202, headers={"Location": location}
        )
        if self.settings.cookies:
            response.set_cookie(SESSION_COOKIE, session, httponly=True)
        return response

    def _job(self, request: Request) -> Job:
        job = self._jobs.get(request.path_params["job_id"], request.cookies.get(SESSION_COOKIE, ""))
        if job is None:
            raise Problem(404, "jobid.invalid", "Job ID is invalid.")
        return job

    def _job_to_page(self, request: Request) -> tuple[Job, int, int]:
        """A job with the offset and limit of the page asked for."""
        if not re.fullmatch(r"[0-9A-F]{16}", request.path_params["job_id"]):
            raise Problem(400, "jobid.invalid", "Job ID is invalid.")
        job = self._job(request)
        offset, limit = (_number(request, name) for name in ("offset", "limit"))
        if limit == 0:
            raise Problem(400, "limit.zero", "Limit cannot be 0.")
        return job, offset, limit

    async def _status(self, request: Request) -> Response:
        return JSONResponse(self._job(request).status(time.monotonic()))

    async def _messages(self, request: Request) -> Response:
        job, offset, limit = self._job_to_page(request)
        page = job.page(job.messages(time.monotonic()), offset, limit)
        fields = [{"name": name, "fieldType": kind, "keyField": False} for name, kind in MESSAGE_FIELDS]
        return JSONResponse({"warning": "", "fields": fields, "messages": [{"map": row} for row in page]})

    async def _records(self, request: Request) -> Response:
        job, offset, limit = self._job_to_page(request)
        if not job.query.is_aggregate:
            raise Problem(400, "no.records.not.an.aggregation.query", "No records; query is not an aggregation")
        page = job.page(job.records(time.monotonic()), offset, limit)
        fields = describe(job.query.keys, job.query.value)
        return JSONResponse({"warning": "", "fields": fields, "records": [{"map": row} for row in page]})

    async def _delete(self, request: Request) -> Response:
        job = self._job(request)
        self._jobs.delete(job)
        return JSONResponse({"id": job.id})

    async def _collectors(self, _request: Request) -> Response:
        return JSONResponse({"collectors": []})


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "").strip()
    if not text:
        raise Problem(400, f"{name}.missing", f"{name.title()} is missing.")
    if not re.fullmatch(r"-?\d+", text):
        raise Problem(400, "generic", f"{name.title()} must be a number.")
    if int(text) < 0:
        raise Problem(400, f"{name}.negative", f"{name.title()} cannot be negative.")
    return int(text)


def _fault_body(fault: Fault) -> Any:
    return Problem(fault.status or 500, fault.code, fault.message).body


async def _http_error(_request: Request, error: Exception) -> Response:
    return Problem(error.status_code if isinstance(error, HTTPException) else 500).response()


def moved_app(url: str) -> Starlette:
    """The endpoint of another deployment: it only knows which deployment the account belongs to.

    :param url: the right endpoint, without a trailing slash.
    """

    async def moved(request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{url}{request.url.path}{query}", 301)

    methods = ["GET", "POST", "PUT", "DELETE"]
    return Starlette(routes=[Route("/{path:path}", moved, methods=methods)])
