"""The audit log of manual actions: marks, answers and clears, recorded with user, time and reason.

Airflow's own audit log misses bulk marks and shows refused ones as done, so the API server's requests themselves
are what is recorded here, with their outcome. Where an approval has approvers, nobody else gets a run through it:
:mod:`~airflow_cd.plugin.audit.enforcement` says which requests would.
"""

from __future__ import annotations

import asyncio
import http
import json
import logging
import time

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_cd.errors import AirflowCdError
from airflow_cd.ledger import Ledger, open_ledger
from airflow_cd.operators.verify import GO_ON, ROLL_BACK
from airflow_cd.plugin.audit.enforcement import refusal
from airflow_cd.plugin.audit.manual_actions import CHANGING, ROOT, RequestedAction, manual_actions_in
from airflow_cd.sensors.approval import APPROVE, REJECT
from airflow_cd.states import HumanAction

log = logging.getLogger(__name__)

LONGEST_PARKING = 20.0  # seconds; longer than a loaded machine takes from showing a question to parking its task


class AuditMiddleware:
    """ASGI middleware over Airflow's API server; see the module."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; look at, and perhaps refuse, what marks or answers."""
        if scope["type"] != "http" or scope["method"] not in CHANGING or ROOT not in scope["path"]:
            await self.app(scope, receive, send)
            return
        body, replay = await _buffer(receive)
        path = scope["path"][scope["path"].index(ROOT) :]
        try:
            content = json.loads(body) if body else None
        except (ValueError, RecursionError):
            content = None
        actions = list(manual_actions_in(scope["method"], path, content))
        who = await _user(Request(scope)) if actions else None
        if not actions or who is None:
            await self.app(scope, replay, send)
            return
        refused = await run_in_threadpool(refusal, actions, who)
        if refused:
            await run_in_threadpool(_record, actions, who, False, ours=True)
            answer = JSONResponse(
                {"detail": refused.message}, status_code=refused.status, headers=dict(refused.headers)
            )
            await answer(scope, replay, send)
            return
        await _parked(actions)
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # Recorded before the answer is sent: who reads the ledger next must find it there. What failed on
                # Airflow's own side was neither done nor refused, and is asked for again.
                if status < http.HTTPStatus.INTERNAL_SERVER_ERROR:
                    await run_in_threadpool(_record, actions, who, status < http.HTTPStatus.BAD_REQUEST)
            await send(message)

        await self.app(scope, replay, watch)


async def _parked(actions: list[RequestedAction]) -> None:
    """Hold an answer to a question of ours back until its task waits for it.

    The question can be seen a moment before the task is parked. Airflow accepts an answer in that moment, wakes
    nobody, and parks the task until its time is over.
    """
    for action in actions:
        if action.option is None or not await run_in_threadpool(_asks, action):
            continue
        deadline = time.monotonic() + LONGEST_PARKING
        while time.monotonic() < deadline and await run_in_threadpool(_state, action) in ("running", "queued"):
            await asyncio.sleep(0.1)


def _asks(action: RequestedAction) -> bool:
    try:
        return open_ledger().questions.get(action.pipeline, action.run_id, action.task_id) is not None
    except AirflowCdError:
        log.exception(
            "The ledger cannot say whether %s has a question; its answer is passed on at once", action.task_id
        )
        return False


def _state(action: RequestedAction) -> str | None:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(TaskInstance.state).where(
        TaskInstance.dag_id == action.pipeline,
        TaskInstance.run_id == action.run_id,
        TaskInstance.task_id == action.task_id,
    )
    with create_session() as session:
        state = session.scalars(query).first()
    return None if state is None else str(state)


async def _buffer(receive: Receive) -> tuple[bytes, Receive]:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            break
    body = b"".join(chunks)
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return body, replay


async def _user(request: Request) -> str | None:
    """The name of the user Airflow will take the request for; None when it will refuse it anyway."""
    from airflow.api_fastapi.core_api.security import bearer_scheme, get_user
    from fastapi import HTTPException

    try:
        # As Airflow does it: a user whom it finds elsewhere than we look would be nobody here, and get through.
        user = await get_user(request, None, await bearer_scheme(request))
    except HTTPException:
        return None
    return str(user.get_name())


def _record(actions: list[RequestedAction], who: str, allowed: bool, *, ours: bool = False) -> None:
    try:
        ledger = open_ledger()
        for action in actions:
            if not ours and not _is_ours(ledger, action):
                continue
            if allowed and _answer(ledger, action, who):
                continue
            ledger.audit.record(
                who=who,
                action=action.text,
                why=action.why,
                pipeline=action.pipeline,
                run_id=action.run_id or None,
                task_id=action.task_id or None,
                allowed=allowed,
            )
    except AirflowCdError:
        log.exception("A manual action could not be recorded: %s by %s", actions, who)


def _answer(ledger: Ledger, action: RequestedAction, who: str) -> bool:
    """Keep a mark or a button on a task that asks as its answer; False when nothing was asked."""
    question = ledger.questions.get(action.pipeline, action.run_id, action.task_id) if action.task_id else None
    if question is None or question.option is not None:
        return False
    approval = APPROVE in question.options
    by_mark = {
        HumanAction.MARKED_SUCCESS: APPROVE if approval else GO_ON,
        HumanAction.MARKED_FAILED: REJECT if approval else ROLL_BACK,
    }
    option = action.option or by_mark.get(action.kind)
    if option is None or option not in question.options:
        return False
    ledger.questions.answer(action.pipeline, action.run_id, action.task_id, option=option, who=who, why=action.why)
    return True


def _is_ours(ledger: Ledger, action: RequestedAction) -> bool:
    return bool(
        (action.run_id and ledger.questions.of_run(action.pipeline, action.run_id))
        or ledger.deployments.matching(pipeline=action.pipeline, limit=1)
    )
