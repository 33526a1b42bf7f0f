"""Who did what with their hands: marks, answers and clears, recorded with user, time and reason.

Airflow's own audit log misses bulk marks and shows refused ones as done, so the API server's requests themselves
are what is recorded here, with their outcome. Where an approval has approvers, nobody else's mark gets through.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_cd.errors import AirflowCdError
from airflow_cd.ledger import Ledger, open_ledger
from airflow_cd.operators.verify import GO_ON, ROLL_BACK
from airflow_cd.sensors.approval import APPROVE, REJECT

log = logging.getLogger(__name__)

TASK = re.compile(
    r"/api/v2/dags/(?P<dag>[^/]+)/dagRuns/(?P<run>[^/]+)/taskInstances(?:/(?P<task>[^/]+)(?:/(?P<map>-?\d+))?)?\Z"
)
ANSWER = re.compile(
    r"/api/v2/dags/(?P<dag>[^/]+)/dagRuns/(?P<run>[^/]+)/taskInstances/(?P<task>[^/]+)/-?\d+/hitlDetails\Z"
)
RUN = re.compile(r"/api/v2/dags/(?P<dag>[^/]+)/dagRuns/(?P<run>[^/]+)\Z")
GROUP = re.compile(r"/api/v2/dags/(?P<dag>[^/]+)/dagRuns/(?P<run>[^/]+)/taskGroupInstances/(?P<task>[^/]+)\Z")
CLEAR = re.compile(r"/api/v2/dags/(?P<dag>[^/]+)/clearTaskInstances\Z")
LARGEST_BODY = 1_000_000
LONGEST_PARKING = 20.0  # seconds; longer than a loaded machine takes from showing a question to parking its task


@dataclass(frozen=True)
class Hand:
    """One thing a person asks of one task or run."""

    pipeline: str
    run_id: str
    task_id: str
    action: str
    why: str = ""
    option: str | None = None


def hands_in(method: str, path: str, body: Any) -> Iterator[Hand]:
    """What a request to Airflow's API asks for, as far as a delivery is concerned.

    :param path: decoded path below the server's root.
    :param body: the request's JSON, or None.
    """
    content = body if isinstance(body, dict) else {}
    if method == "PATCH" and (found := ANSWER.match(path)):
        option = next(iter(content.get("chosen_options") or ()), "")
        why = str((content.get("params_input") or {}).get("reason") or "")
        yield Hand(found["dag"], found["run"], found["task"], f"answered {option}", why, option)
    elif method == "PATCH" and (found := TASK.match(path)):
        if found["task"]:
            yield from _mark(found["dag"], found["run"], found["task"], content)
            return
        for action in content.get("actions") or ():
            for entity in action.get("entities") or () if action.get("action") == "update" else ():
                dag = entity.get("dag_id") or found["dag"]
                yield from _mark(dag, entity.get("dag_run_id") or found["run"], entity.get("task_id") or "", entity)
    elif method == "PATCH" and (found := GROUP.match(path)):
        if content.get("new_state"):
            why = str(content.get("note") or "")
            yield Hand(found["dag"], found["run"], found["task"], f"marked group {content['new_state']}", why)
    elif method == "PATCH" and (found := RUN.match(path)):
        if content.get("state"):
            yield Hand(found["dag"], found["run"], "", f"marked run {content['state']}", str(content.get("note") or ""))
    elif method == "POST" and (found := CLEAR.match(path)) and content.get("dry_run") is False:
        for task in content.get("task_ids") or ("",):
            name = task[0] if isinstance(task, list) and task else task
            yield Hand(found["dag"], str(content.get("dag_run_id") or ""), str(name), "cleared")


def _mark(dag: str, run: str, task: str, content: dict[str, Any]) -> Iterator[Hand]:
    state = content.get("new_state")
    if state in ("success", "failed", "skipped"):
        yield Hand(dag, run, task, f"marked {state}", str(content.get("note") or ""))


class HandsMiddleware:
    """ASGI middleware over Airflow's API server; see the module."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; look at, and perhaps refuse, what marks or answers."""
        if scope["type"] != "http" or scope["method"] not in ("PATCH", "POST") or "/api/v2/dags/" not in scope["path"]:
            await self.app(scope, receive, send)
            return
        body, replay = await _buffer(receive)
        path = unquote(scope["path"][scope["path"].index("/api/v2/dags/") :])
        try:
            content = json.loads(body) if body and len(body) <= LARGEST_BODY else None
        except ValueError:
            content = None
        hands = list(hands_in(scope["method"], path, content))
        who = await _user(Request(scope)) if hands else None
        if not hands or who is None:
            await self.app(scope, replay, send)
            return
        refusal = await run_in_threadpool(_refusal, hands, who)
        if refusal:
            await run_in_threadpool(_record, hands, who, False)
            await JSONResponse({"detail": refusal}, status_code=403)(scope, replay, send)
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
        return open_ledger().question(hand.pipeline, hand.run_id, hand.task_id) is not None
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
    from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
    from airflow.api_fastapi.core_api.security import resolve_user_from_token
    from fastapi import HTTPException

    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    bearer = token if scheme.lower() == "bearer" else request.cookies.get(COOKIE_NAME_JWT_TOKEN)
    try:
        user = await resolve_user_from_token(bearer)
    except HTTPException:
        return None
    return str(user.get_name())


def _refusal(hands: list[Hand], who: str) -> str | None:
    """Why a request may not pass: it answers an approval and the user is none of its approvers."""
    try:
        ledger = open_ledger()
        for hand in hands:
            question = ledger.question(hand.pipeline, hand.run_id, hand.task_id) if hand.task_id else None
            if question and question.approvers and who not in question.approvers and hand.action != "cleared":
                return (
                    f"{who} is not an approver of {hand.task_id}; approvers are {', '.join(question.approvers)}. "
                    "Nothing was changed; the attempt is in the ledger."
                )
    except AirflowCdError:
        log.exception("The ledger cannot say who may answer; the request is left to Airflow's own checks")
    return None


def _record(hands: list[Hand], who: str, allowed: bool) -> None:
    try:
        ledger = open_ledger()
        for hand in hands:
            if not _is_ours(ledger, hand):
                continue
            if allowed and _answer(ledger, hand, who):
                continue
            ledger.record_human_action(
                who=who,
                action=hand.action,
                why=hand.why,
                pipeline=hand.pipeline,
                run_id=hand.run_id,
                task_id=hand.task_id,
                allowed=allowed,
            )
    except AirflowCdError:
        log.exception("A human action could not be recorded: %s by %s", hands, who)


def _answer(ledger: Ledger, hand: Hand, who: str) -> bool:
    """Keep a mark or a button on a task that asks as its answer; False when nothing was asked."""
    question = ledger.question(hand.pipeline, hand.run_id, hand.task_id) if hand.task_id else None
    if question is None or question.option is not None:
        return False
    approval = APPROVE in question.options
    by_mark = {"marked success": APPROVE if approval else GO_ON, "marked failed": REJECT if approval else ROLL_BACK}
    option = hand.option or by_mark.get(hand.action)
    if option is None or option not in question.options:
        return False
    ledger.answer(hand.pipeline, hand.run_id, hand.task_id, option=option, who=who, why=hand.why)
    return True


def _is_ours(ledger: Ledger, hand: Hand) -> bool:
    return bool(
        (hand.task_id and ledger.question(hand.pipeline, hand.run_id, hand.task_id))
        or ledger.deployments(pipeline=hand.pipeline, limit=1)
    )
