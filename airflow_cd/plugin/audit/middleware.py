"""The audit log of manual actions: marks, answers and clears, recorded with user, time and reason.

Airflow's own audit log misses bulk marks and shows refused ones as done, so the API server's requests themselves are
what is recorded here: the intent before Airflow gets it, refused where that is impossible, and then the outcome. Where
an approval has approvers, nobody else gets a run through it: :mod:`~airflow_cd.plugin.audit.enforcement` says which
requests would. A run with parameters that its pipeline does not have is not started.
"""

from __future__ import annotations

import json

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_cd.ledger.records import Intended
from airflow_cd.plugin.audit import intents
from airflow_cd.plugin.audit.bodies import buffered
from airflow_cd.plugin.audit.enforcement import Refusal, refusal
from airflow_cd.plugin.audit.intents import Planned
from airflow_cd.plugin.audit.manual_actions import CHANGING, ROOT, RequestedAction, manual_actions_in
from airflow_cd.plugin.audit.parking import until_parked
from airflow_cd.plugin.audit.triggers import run_in, run_refusal
from airflow_cd.states import Role


class AuditMiddleware:
    """ASGI middleware over Airflow's API server; see the module."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; look at, and perhaps refuse, what starts a run, marks or answers."""
        if scope["type"] != "http" or scope["method"] not in CHANGING or ROOT not in scope["path"]:
            await self.app(scope, receive, send)
            return
        body, replay = await buffered(receive)
        path = scope["path"][scope["path"].index(ROOT) :]
        try:
            content = json.loads(body) if body else None
        except (ValueError, RecursionError):
            content = None
        run = run_in(scope["method"], path, content)
        actions = list(manual_actions_in(scope["method"], path, content))
        who = await _user(Request(scope)) if actions or run else None
        if who is None:
            await self.app(scope, replay, send)
        elif run is not None:
            refused = await run_in_threadpool(run_refusal, run)
            await (_refuse(refused, scope, replay, send) if refused else self.app(scope, replay, send))
        else:
            await self._act(actions, who, scope, replay, send)

    async def _act(self, actions: list[RequestedAction], who: str, scope: Scope, replay: Receive, send: Send) -> None:
        """Let pass what may pass: once it is recorded, and every task that is about to wait waits."""
        refused = await run_in_threadpool(refusal, actions, who)
        if refused:
            await run_in_threadpool(intents.refused, actions, who, refused.message)
            await _refuse(refused, scope, replay, send)
            return
        plans = await run_in_threadpool(intents.planned, actions, who)
        await until_parked([(plan, _approvals(plan)) for plan in plans])
        refused = await run_in_threadpool(intents.unasked, plans)
        intended: list[Intended] = []
        if refused is None:
            intended, refused = await run_in_threadpool(intents.recorded, plans)
        if refused:
            await _refuse(refused, scope, replay, send)
            return
        await until_parked([(plan, record.open) for plan, record in zip(plans, intended, strict=True)])
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # Recorded before the answer is sent: who reads the ledger next must find it there.
                await run_in_threadpool(intents.done, plans, intended, status)
            await send(message)

        try:
            await self.app(scope, replay, watch)
        finally:
            if not status:
                await run_in_threadpool(intents.done, plans, intended, 0)


def _approvals(plan: Planned) -> list[str]:
    """The approvals that a mark or an answer is for; one that runs is about to ask, a verification may be long."""
    return [task for task in plan.intent.answers if plan.shape[task].role is Role.APPROVAL]


async def _refuse(refused: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    answer = JSONResponse({"detail": refused.message}, status_code=refused.status, headers=dict(refused.headers))
    await answer(scope, receive, send)


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
