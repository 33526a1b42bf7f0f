"""Who did what with their hands: marks, answers and clears, recorded with user, time and reason.

Airflow's own audit log misses bulk marks and shows refused ones as done, so the API server's requests themselves
are what is recorded here, with their outcome. Where an approval has approvers, nobody else gets a run through it:
:mod:`~airflow_cd.plugin.audit.enforcement` says which requests would.
"""

from __future__ import annotations

import asyncio
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
from airflow_cd.plugin.audit.requests import CHANGING, ROOT, Hand, hands_in
from airflow_cd.sensors.approval import APPROVE, REJECT

log = logging.getLogger(__name__)

LONGEST_PARKING = 20.0  # seconds; longer than a loaded machine takes from showing a question to parking its task


class HandsMiddleware:
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
        except ValueError:
            content = None
        hands = list(hands_in(scope["method"], path, content))
        who = await _user(Request(scope)) if hands else None
        if not hands or who is None:
            await self.app(scope, replay, send)
            return
        refused = await run_in_threadpool(refusal, hands, who)
        if refused:
            await run_in_threadpool(_record, hands, who, False, ours=True)
            await JSONResponse({"detail": refused.words}, status_code=refused.status)(scope, replay, send)
            return
        await _parked(hands)
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # Recorded before the caller hears of it: whoever reads the ledger next must find it there.
                await run_in_threadpool(_record, hands, who, status < 400)
            await send(message)

        await self.app(scope, replay, watch)


async def _parked(hands: list[Hand]) -> None:
    """Hold an answer to a question of ours back until its task waits for it.

    The question can be seen a moment before the task is parked. Airflow accepts an answer in that moment, wakes
    nobody, and parks the task until its time is over.
    """
    for hand in hands:
        if hand.option is None or not await run_in_threadpool(_asks, hand):
            continue
        deadline = time.monotonic() + LONGEST_PARKING
        while time.monotonic() < deadline and await run_in_threadpool(_state, hand) in ("running", "queued"):
            await asyncio.sleep(0.1)


def _asks(hand: Hand) -> bool:
    try:
        return open_ledger().questions.get(hand.pipeline, hand.run_id, hand.task_id) is not None
    except AirflowCdError:
        log.exception("The ledger cannot say whether %s asks; its answer is passed on at once", hand.task_id)
        return False


def _state(hand: Hand) -> str | None:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(TaskInstance.state).where(
        TaskInstance.dag_id == hand.pipeline, TaskInstance.run_id == hand.run_id, TaskInstance.task_id == hand.task_id
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
        # Airflow's own words: whom it finds elsewhere than we look would be nobody here, and get through.
        user = await get_user(request, None, await bearer_scheme(request))
    except HTTPException:
        return None
    return str(user.get_name())


def _record(hands: list[Hand], who: str, allowed: bool, *, ours: bool = False) -> None:
    try:
        ledger = open_ledger()
        for hand in hands:
            if not ours and not _is_ours(ledger, hand):
                continue
            if allowed and _answer(ledger, hand, who):
                continue
            ledger.audit.record(
                who=who,
                action=hand.action,
                why=hand.why,
                pipeline=hand.pipeline,
                run_id=hand.run_id or None,
                task_id=hand.task_id or None,
                allowed=allowed,
            )
    except AirflowCdError:
        log.exception("A human action could not be recorded: %s by %s", hands, who)


def _answer(ledger: Ledger, hand: Hand, who: str) -> bool:
    """Keep a mark or a button on a task that asks as its answer; False when nothing was asked."""
    question = ledger.questions.get(hand.pipeline, hand.run_id, hand.task_id) if hand.task_id else None
    if question is None or question.option is not None:
        return False
    approval = APPROVE in question.options
    by_mark = {"marked success": APPROVE if approval else GO_ON, "marked failed": REJECT if approval else ROLL_BACK}
    option = hand.option or by_mark.get(hand.action)
    if option is None or option not in question.options:
        return False
    ledger.questions.answer(hand.pipeline, hand.run_id, hand.task_id, option=option, who=who, why=hand.why)
    return True


def _is_ours(ledger: Ledger, hand: Hand) -> bool:
    return bool(
        (hand.run_id and ledger.questions.of_run(hand.pipeline, hand.run_id))
        or ledger.deployments.matching(pipeline=hand.pipeline, limit=1)
    )
