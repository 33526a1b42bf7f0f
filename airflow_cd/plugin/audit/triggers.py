"""Runs that are asked for with a parameter that their pipeline does not have, or under the name of an earlier run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from airflow_cd.errors import AirflowCdError
from airflow_cd.plan import unknown_parameters
from airflow_cd.plugin.audit.audited import audited
from airflow_cd.plugin.audit.enforcement import Refusal
from airflow_cd.plugin.audit.manual_actions import RUNS
from airflow_cd.plugin.dag_runs.tasks import parameters_of

UNPROCESSABLE = 422
CONFLICT = 409
UNAVAILABLE = 503


@dataclass(frozen=True)
class RequestedRun:
    """A run that somebody asks for.

    :param run_id: ``""`` where Airflow is to choose one.
    :param parameters: by name.
    :param requested_at: when it is said to have been requested, as it was sent; ``""`` for now.
    """

    pipeline: str
    run_id: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    requested_at: str = ""


def run_in(method: str, path: str, body: Any) -> RequestedRun | None:
    """The run that a request to Airflow's API asks for; None when it asks for none.

    :param method: HTTP method, in capitals.
    :param path: below the server's root, decoded once, as the router has it.
    :param body: the request's JSON, or None.
    """
    found = RUNS.match(path) if method == "POST" else None
    if found is None or not isinstance(body, dict):
        return None
    conf, run_id, at = body.get("conf"), body.get("dag_run_id"), body.get("run_after")
    return RequestedRun(
        found["dag"],
        run_id if isinstance(run_id, str) else "",
        conf if isinstance(conf, dict) else {},
        at if isinstance(at, str) else "",
    )


def run_refusal(run: RequestedRun) -> Refusal | None:
    """Why the run may not begin; None when it may, as every run of a DAG that was written by hand.

    :param run: as it is asked for.
    """
    known = parameters_of(run.pipeline)
    if known is None:
        return None
    if mistakes := unknown_parameters(list(run.parameters), known):
        return Refusal(UNPROCESSABLE, f"{run.pipeline}: {'; '.join(mistakes)}. Nothing was started.")
    try:
        again = bool(run.run_id and run.requested_at) and _is_an_earlier_one(run)
    except AirflowCdError as error:
        return Refusal(
            UNAVAILABLE, f"It is unknown whether {run.run_id} was there before: {error} Nothing was started."
        )
    if again:
        return Refusal(
            CONFLICT,
            f"A run {run.run_id} of {run.pipeline} was requested at exactly {run.requested_at} before, and what is "
            "recorded of that one would count for this one. Leave run_after out. Nothing was started.",
        )
    return None


def _is_an_earlier_one(run: RequestedRun) -> bool:
    try:
        at = datetime.fromisoformat(run.requested_at.replace("Z", "+00:00"))
    except ValueError:
        return False
    aware = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
    return audited(run.pipeline).runs.was_requested(run.pipeline, run.run_id, aware)
