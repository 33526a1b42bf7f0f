"""One environment of a service: what runs there, rolling it back now, freezing it, and lifting vetoes.

The path names the pipeline whose rights count. What is changed belongs to it: a rollback is a run of the pipeline's
own rollback DAG, only vetoes that its own runs recorded are lifted here, and only where it delivers is frozen.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response

from airflow_cd.delivery.delivery import now
from airflow_cd.errors import AirflowCdError, DeploymentSettled, Refused
from airflow_cd.ledger import Deployment, Ledger, open_ledger
from airflow_cd.pipeline.specification import pipeline_name
from airflow_cd.plugin.access import MAY_READ_RUN, Right, User, may, readable, requires
from airflow_cd.plugin.airflow_api import AirflowUnavailable, ask_airflow
from airflow_cd.plugin.dag_runs.ended import ended_runs, is_over
from airflow_cd.plugin.dag_runs.stuck import somebody_works, why_stopped
from airflow_cd.plugin.dag_runs.tasks import shape_of
from airflow_cd.plugin.environment.stopping import tasks_to_fail
from airflow_cd.plugin.environment.view import rollback_of, view_of
from airflow_cd.plugin.error_pages import headers_of, status_of
from airflow_cd.plugin.rendering import LONGEST_REASON, accepted, page

router = APIRouter(prefix="/environment/{dag_id}/{service}/{environment}")

LIVE, LIVE_MEANWHILE = 5, 2  # seconds between looks; the second while something is deployed
LONGEST_NOTE = 1_000  # characters that Airflow keeps of the note of a task or a run
UNCHANGED = "Nothing was changed."
_KEY = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{6}\Z")
_RUN_EXISTS = 409

Field = Annotated[str, Form()]


@router.get("", dependencies=MAY_READ_RUN)
def environment_page(request: Request, user: User, dag_id: str, service: str, environment: str) -> HTMLResponse:
    """What runs there, and what can be done about it."""
    return _render(request, user, dag_id, service, environment)


@router.post("/rollback", dependencies=requires(Right.ROLLBACK))
async def roll_back(
    request: Request,
    user: User,
    dag_id: str,
    service: str,
    environment: str,
    release: Field = "",
    why: Field = "",
    key: Field = "",
) -> Response:
    """Start the rollback, and show its run."""
    again = _again(request, user, dag_id, service, environment, why)
    name, cannot = await run_in_threadpool(rollback_of, dag_id)
    try:
        _require_reason(why)
        if cannot or not release or not _KEY.match(key):
            raise Refused(cannot or "The form was not complete.", state=UNCHANGED)
    except Refused as error:
        return await again(error)
    await run_in_threadpool(_free, dag_id, service, environment)
    run_id = f"{environment}-{key}"
    conf = {"environment": environment, "release": release, "reason": why.strip()}
    body = {"dag_run_id": run_id, "logical_date": None, "conf": conf, "note": why.strip()[:LONGEST_NOTE]}
    try:
        # A form that is sent twice is meant once.
        await ask_airflow(request, "POST", [name, "dagRuns"], body, done=_RUN_EXISTS)
    except AirflowCdError as error:
        return await again(error)
    return _to_run(request, name, run_id)


@router.post("/stop", dependencies=requires(Right.ROLLBACK))
async def stop(
    request: Request, user: User, dag_id: str, service: str, environment: str, deployment: Field = "", why: Field = ""
) -> Response:
    """Roll back what is being deployed there now: the same as marking its verification failed."""
    again = _again(request, user, dag_id, service, environment, why)
    try:
        _require_reason(why, LONGEST_NOTE)
        found = await run_in_threadpool(_deployment, dag_id, service, environment, deployment)
        tasks = await run_in_threadpool(tasks_to_fail, found.pipeline, found.run_id, environment)
        if not tasks:
            raise Refused("Its run has no task here that could be stopped.", state=UNCHANGED)
        for task in tasks:
            place = [found.pipeline, "dagRuns", found.run_id, "taskInstances", task]
            await ask_airflow(request, "PATCH", place, {"new_state": "failed", "note": why.strip()})
    except (Refused, AirflowUnavailable) as error:
        return await again(error)
    return _to_run(request, found.pipeline, found.run_id)


def _deployment(dag_id: str, service: str, environment: str, deployment: str) -> Deployment:
    """The deployment of the pipeline that is in progress there, if it still is."""
    unsettled = open_ledger().deployments.unsettled(service, environment)
    found = next((one for one in unsettled if one.id == deployment and one.pipeline == dag_id), None)
    if found is None:
        raise DeploymentSettled("That deployment is over.", state=f"{UNCHANGED} This page shows the current state.")
    return found


@router.post("/lift", dependencies=requires(Right.VETO))
def lift(
    request: Request, user: User, dag_id: str, service: str, environment: str, digest: Field = "", why: Field = ""
) -> Response:
    """Allow a release there again."""
    ledger = open_ledger()
    try:
        _require_reason(why)
        standing = [veto for veto in ledger.vetoes.of(service, environment) if veto.lifted_at is None]
        mine = {veto.digest for veto in standing if pipeline_name(veto.pipeline) == dag_id}
        if digest not in mine:
            raise Refused(f"No veto by a run of {dag_id} is in force against it.", state=UNCHANGED)
        ledger.vetoes.lift(service, environment, digest, who=user.get_name(), why=why.strip())
    except Refused as error:
        return _render(request, user, dag_id, service, environment, refused=error, written=why, at=digest)
    return accepted(request, f"{request.url.path.removesuffix('/lift')}#vetoes")


@router.post("/freeze", dependencies=requires(Right.FREEZE))
def freeze(
    request: Request, user: User, dag_id: str, service: str, environment: str, lift: Field = "", why: Field = ""
) -> Response:
    """Let no deployment begin there, or lift that."""
    freezes = open_ledger().freezes
    try:
        _require_reason(why)
        if not any((one.service, one.environment) == (service, environment) for one in shape_of(dag_id).values()):
            raise Refused(f"{dag_id} does not deliver {service} to {environment}.", state=UNCHANGED)
        do = freezes.lift if lift else freezes.freeze
        do(service, environment, who=user.get_name(), why=why.strip())
    except Refused as error:
        return _render(request, user, dag_id, service, environment, refused=error, written=why, at="freeze")
    return accepted(request, f"{request.url.path.removesuffix('/freeze')}#freeze")


def _free(dag_id: str, service: str, environment: str) -> None:
    """Take the environment from a run of the pipeline that ended and kept it: its rollback could not finish."""
    ledger = open_ledger()
    lease = ledger.leases.current(service, environment)
    if lease is None or pipeline_name(lease.pipeline) != dag_id:
        return
    if ended_runs([(lease.pipeline, lease.run_id)]):
        ledger.leases.release(lease)


def _again(
    request: Request, user: User, dag_id: str, service: str, environment: str, why: str
) -> Callable[[AirflowCdError], Awaitable[Response]]:
    """Shows the page with what was written, and why it was not done."""

    async def again(refused: AirflowCdError) -> Response:
        shown = partial(_render, request, user, dag_id, service, environment, written=why, at="rollback")
        return await run_in_threadpool(shown, refused=refused)

    return again


def _require_reason(why: str, longest: int = LONGEST_REASON) -> None:
    if not why.strip():
        raise Refused("A reason is missing.", state=UNCHANGED)
    if len(why) > longest:
        raise Refused(
            f"The reason has {len(why)} characters; at most {longest} are kept.",
            state=UNCHANGED,
            next_step="Shorten it.",
        )


def _to_run(request: Request, dag_id: str, run_id: str) -> Response:
    base = request.scope.get("root_path", "").rstrip("/")
    return accepted(request, f"{base}/run/{quote(dag_id, safe='')}/{quote(run_id, safe='')}")


def _render(
    request: Request,
    user: User,
    dag_id: str,
    service: str,
    environment: str,
    *,
    refused: AirflowCdError | None = None,
    written: str = "",
    at: str = "",
) -> HTMLResponse:
    ledger = open_ledger()
    view = view_of(
        ledger,
        service,
        environment,
        readable=partial(readable, user=user),
        over=partial(_left, ledger, service, environment),
    )
    known = bool(view.history or view.running)
    status = status_of(refused) if refused is not None else 200 if known else 404
    rollback, cannot = rollback_of(dag_id)
    return page(
        request,
        "environment.html.j2",
        status=status,
        headers=headers_of(refused) if refused is not None else None,
        view=view,
        known=known,
        dag_id=dag_id,
        rollback=rollback,
        cannot=cannot,
        may=may(Right.ROLLBACK, dag_id, user),
        may_lift=may(Right.VETO, dag_id, user),
        may_freeze=may(Right.FREEZE, dag_id, user),
        freeze=ledger.freezes.in_force(service, environment),
        longest_note=LONGEST_NOTE,
        reader=user.get_name(),
        key=f"{now():%Y%m%dT%H%M%S}-{secrets.token_hex(3)}",
        refused=refused,
        written=written,
        at=at,
        live=0 if refused else LIVE_MEANWHILE if view.open is not None and not view.left else LIVE,
    )


def _left(ledger: Ledger, service: str, environment: str, pipeline: str, run_id: str) -> bool:
    """Whether nobody works on what a run has begun here, and its run does nothing more about it."""
    if is_over(pipeline, run_id):
        return True
    stopped = bool(why_stopped(pipeline, run_id))
    return stopped and not somebody_works(ledger, service, environment, pipeline, run_id)
