"""What a browser shows whoever is not let in: a page that says what to do. Others get JSON, as from Airflow."""

from __future__ import annotations

import base64
import functools
import hashlib
from urllib.parse import urlsplit

from fastapi import FastAPI, HTTPException, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import Response
from markupsafe import Markup

from airflow_cd.plugin.rendering import FOLDER, HEADERS, page

_NO_TOKEN = "Invalid JWT token"  # noqa: S105 - what Airflow says of one that another server, or none, has signed


def answers_refusals(app: FastAPI) -> None:
    """Let the app answer 401 and 403 in HTML where that is what the caller reads."""
    app.add_exception_handler(401, _refused)
    app.add_exception_handler(403, _refused)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - nothing else has these numbers
    if "text/html" not in request.headers.get("accept", ""):
        return await http_exception_handler(request, error)
    ended = error.status_code == 401 or error.detail == _NO_TOKEN
    script, fingerprint = _script()
    answer = page(
        request,
        "refused.html.j2",
        status=401 if ended else error.status_code,
        ended=ended,
        words=str(error.detail),
        sent=request.method != "GET",
        back=_back(request),
        script=script,
    )
    # Style and script are for who is signed in: here they are in the page itself, and nothing else may run.
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
