"""What is not let into Airflow's API: JSON that nobody can read, secrets in what a run is triggered with, XComs.

Airflow keeps the configuration of a run as it was given and shows it on its pages, so a secret in it must be refused
before there is a run. What the tasks of a delivery hand to each other by XCom, such as what a rollback returns to while
the ledger is away, is theirs: nobody changes it by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_cd.pipeline.specification import pipeline_name
from airflow_cd.plugin.access import Right, has_own_right
from airflow_cd.plugin.audit.manual_actions import ROOT, RUNS
from airflow_cd.plugin.audit.run_secrets import why_not_kept

DEEPEST = 200
"""Levels of lists and objects; Python's parser stops at a few thousand, in the middle of a request."""
_BACKFILLS = "/api/v2/backfills"
_TASK = ROOT + "{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries"
# The router's own way of matching: a path that only it understands would get past us.
_XCOMS = tuple(compile_path(template)[0] for template in (_TASK, _TASK + "/{key:path}"))
_CHANGING = ("POST", "PUT", "PATCH", "DELETE")
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


class BodyMiddleware:
    """ASGI middleware over Airflow's API server; see the module."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on but what is refused, with 422."""
        if scope["type"] != "http" or scope["method"] not in _CHANGING or "/api/v2/" not in scope["path"]:
            await self.app(scope, receive, send)
            return
        body, replay = await buffered(receive)
        path = scope["path"][scope["path"].index("/api/v2/") :]
        refused = await run_in_threadpool(why_refused, scope["method"], path, body)
        if refused:
            await JSONResponse({"detail": refused}, status_code=422)(scope, replay, send)
            return
        if _starts_rollback(scope["method"], path) and (denied := await _may_not_roll_back(Request(scope))):
            await JSONResponse({"detail": denied}, status_code=403)(scope, replay, send)
            return
        await self.app(scope, replay, send)


def why_refused(method: str, path: str, body: bytes) -> str:
    """Why a request is refused whoever sends it; ``""`` when it is not.

    :param method: of the request.
    :param path: of the URL, from ``/api/v2/`` on.
    :param body: as it was sent.
    """
    if is_too_deep(body):
        return f"The request is nested in more than {DEEPEST} levels. Nothing was changed."
    if any(_is_handed_over(*found.group("dag", "run", "task")) for route in _XCOMS if (found := route.match(path))):
        return "What the tasks of a delivery hand to each other is not changed by hand. Nothing was changed."
    found = RUNS.match(path) if method == "POST" else None
    if not body or method != "POST" or not (found or path.rstrip("/") == _BACKFILLS):
        return ""
    try:
        content = json.loads(body)
    except ValueError:
        return ""  # Airflow says what is wrong with it
    if not isinstance(content, Mapping):
        return ""
    if found is None:
        return why_not_kept(content.get("dag_run_conf"), str(content.get("dag_id")))
    return why_not_kept(content.get("conf"), found["dag"])


def _is_handed_over(dag_id: str, run_id: str, task_id: str) -> bool:
    from airflow_cd.plugin.dag_runs.tasks import shape_of, shape_of_run

    place = {**shape_of(dag_id), **shape_of_run(dag_id, run_id)}.get(task_id)
    return place is not None and place.role is not None


def _starts_rollback(method: str, path: str) -> bool:
    found = RUNS.match(path) if path.startswith(ROOT) and method == "POST" else None
    return found is not None and pipeline_name(found["dag"]) != found["dag"]


async def _may_not_roll_back(request: Request) -> str:
    """Why the user of a request may not start a rollback, where that is a right of its own; ``""`` if they may."""
    from airflow.api_fastapi.core_api.security import bearer_scheme, get_user
    from fastapi import HTTPException

    try:
        user = await get_user(request, None, await bearer_scheme(request))
    except HTTPException:
        return ""  # Airflow refuses whom it does not know
    if await run_in_threadpool(has_own_right, Right.ROLLBACK, user):
        return ""
    return f"You may not start a rollback: it needs 'can edit' on '{Right.ROLLBACK.resource}'. Nothing was started."


def is_too_deep(body: bytes) -> bool:
    """Whether JSON is nested deeper than anybody means; in linear time.

    :param body: as it was sent.
    """
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return False
    depth = 0
    for bracket in _BRACKET.finditer(_TEXT.sub(b"", body)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > DEEPEST:
            return True
    return False


async def buffered(receive: Receive) -> tuple[bytes, Receive]:
    """The whole body of a request, and what gives it once more to whom the request is passed on.

    :param receive: of the request.
    """
    chunks: list[bytes] = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            break
    body = b"".join(chunks)
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return body, replay
