"""What is answered when something cannot be done: a page that says what to do for a browser, JSON for the others.

The one place that tells what is refused (401, 403, 404, 409 or 400: the same request gets the same answer) from what is
unavailable (503 with ``Retry-After``: the ledger or Airflow's database is away or busy, so try again).
"""

from __future__ import annotations

import base64
import functools
import hashlib
import http
import math
import re
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import JSONResponse, Response
from markupsafe import Markup
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_cd.errors import (
    AirflowCdError,
    DeploymentSettled,
    EnvironmentFrozen,
    LeaseLost,
    Refused,
    ReleaseVetoed,
    Unavailable,
)
from airflow_cd.ledger.columns import NAME_LENGTH
from airflow_cd.plugin.airflow_api import AirflowRefused
from airflow_cd.plugin.rendering import FOLDER, HEADERS, page

_UNNAMEABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
RETRY_AFTER = 10
"""Seconds to wait where an error does not say how long."""

_CONFLICTS = (DeploymentSettled, EnvironmentFrozen, LeaseLost, ReleaseVetoed)
_NO_TOKEN = "Invalid JWT token"  # noqa: S105 - what Airflow says of one that another server, or none, has signed


def status_of(error: AirflowCdError) -> int:
    """The HTTP status that an error is answered with.

    :param error: what was raised while the request was handled.
    """
    if isinstance(error, Unavailable):
        return http.HTTPStatus.SERVICE_UNAVAILABLE
    if isinstance(error, AirflowRefused):
        return error.status
    if isinstance(error, _CONFLICTS):
        return http.HTTPStatus.CONFLICT
    return http.HTTPStatus.BAD_REQUEST if isinstance(error, Refused) else http.HTTPStatus.INTERNAL_SERVER_ERROR


def headers_of(error: AirflowCdError) -> dict[str, str]:
    """Headers of that answer: when to try again, where that can help.

    :param error: what was raised while the request was handled.
    """
    if not isinstance(error, Unavailable):
        return {}
    return {"Retry-After": str(math.ceil(error.retry_after or RETRY_AFTER))}


def handle_errors(app: FastAPI) -> None:
    """Let an app answer its errors as this module says.

    :param app: the app of the pages.
    """
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(AirflowCdError, _error)
    app.add_exception_handler(OperationalError, _database_error)
    app.add_middleware(_NothingThere)


class _NothingThere:
    """404 for addresses in which a part is nothing that Airflow or the ledger could have as a name."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and any(map(_is_absurd, scope["path"].split("/"))):
            answer = await _http_error(Request(scope), HTTPException(404, "There is nothing at this address."))
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _is_absurd(part: str) -> bool:
    return len(part) > NAME_LENGTH or _UNNAMEABLE.search(part) is not None


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    if not _is_browser(request):
        return await http_exception_handler(request, error)
    ended = error.status_code == http.HTTPStatus.UNAUTHORIZED or error.detail == _NO_TOKEN
    return _page(
        request,
        "refused.html.j2",
        http.HTTPStatus.UNAUTHORIZED if ended else error.status_code,
        ended=ended,
        not_found=error.status_code == http.HTTPStatus.NOT_FOUND,
        message=str(error.detail),
    )


async def _error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AirflowCdError)  # noqa: S101 - registered for nothing else
    status, headers = status_of(error), headers_of(error)
    if not _is_browser(request):
        return JSONResponse({"detail": str(error)}, status_code=status, headers=headers)
    unavailable = isinstance(error, Unavailable)
    answer = _page(
        request,
        "error.html.j2",
        status,
        error=error,
        unavailable=unavailable,
        live=int(headers["Retry-After"]) if unavailable and request.method == "GET" else 0,
    )
    answer.headers.update(headers)
    return answer


async def _database_error(request: Request, _error_: Exception) -> Response:
    return await _error(
        request,
        Unavailable(
            "Airflow's own database is busy or does not answer.",
            state="Nothing was changed.",
            next_step="Try again in a few seconds; if it stays away, the API server's log says why.",
        ),
    )


def _is_browser(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _page(request: Request, template: str, status: int, **content: Any) -> Response:
    script, fingerprint = _script()
    answer = page(
        request,
        template,
        status=status,
        sent=request.method != "GET",
        back=_back(request),
        script=script,
        **content,
    )
    # The files of style and script ask for a user, whom Airflow looks up: here they are in the page itself, and no
    # other script may run.
    answer.headers["Content-Security-Policy"] = HEADERS["Content-Security-Policy"].replace(
        "script-src 'self'", f"script-src '{fingerprint}'"
    )
    return answer


@functools.cache
def _script() -> tuple[Markup, str]:
    content = (FOLDER / "static" / "pages.js").read_bytes()
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return Markup(content.decode()), f"sha256-{digest}"  # noqa: S704 - our own script, not text of anybody


def _back(request: Request) -> str:
    """The page that was asked for, or from which the form was sent."""
    if request.method == "GET":
        return str(request.url)
    referer = request.headers.get("referer", "")
    same = urlsplit(referer).netloc == request.url.netloc and urlsplit(referer).scheme in ("http", "https")
    return referer if same else request.scope.get("root_path", "").removesuffix("/airflow-cd") + "/"
