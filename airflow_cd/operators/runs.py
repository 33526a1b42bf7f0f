"""The run that a task belongs to: as the ledger names it, and bound to what it was begun with."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, cast

from airflow_cd.errors import LedgerError, PlanChanged, UnknownParameter
from airflow_cd.plan import unknown_parameters
from airflow_cd.states import DeploymentState, RollbackCause

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

    from airflow_cd.ledger import KnownRun, Ledger
    from airflow_cd.plan import Plan

MOST = 8
"""Differences that are listed."""


def run_of(ledger: Ledger, context: Context) -> KnownRun:
    """The task's run; records of an earlier run that had its id are told apart from now on.

    :param ledger: where they are.
    :param context: of the task.
    :raises LedgerUnavailable: the ledger is away.
    """
    run = context["dag_run"]
    return ledger.runs.begin(run.dag_id, run.run_id, run.run_after)


def begin_run(ledger: Ledger, context: Context, task: BaseOperator, plan: Plan | None) -> KnownRun:
    """The task's run, provided that the task may go on with it.

    Airflow moves a run that waits to the newest version of its DAG: whatever a run has begun, it goes on by the plan
    that it was begun with, or not at all.

    :param ledger: where runs are recorded.
    :param context: of the task.
    :param task: is about to go on.
    :param plan: of its pipeline, as its file has it now; None in a DAG written by hand.
    :raises UnknownParameter: the run was asked for something that its pipeline does not know.
    :raises PlanChanged: the pipeline is not the one that the run began with.
    :raises LedgerUnavailable: the ledger is away.
    """
    if plan is None:
        return run_of(ledger, context)
    run = context["dag_run"]
    _require_known(task, run.conf or {}, pipeline=run.dag_id)
    known = ledger.runs.begin(run.dag_id, run.run_id, run.run_after, plan=plan.steps or None)
    if plan.steps and known.plan is not None and (changed := plan.differences(known.plan)):
        more = f", and {len(changed) - MOST} more" if len(changed) > MOST else ""
        raise PlanChanged(
            f"{run.dag_id} has changed since this run began: {'; '.join(changed[:MOST])}{more}.",
            pipeline=run.dag_id,
            state="this task changed nothing; what the run has left unfinished is restored.",
            next_step="Start a new run: it goes by the new plan from its first stage on.",
        )
    return known


def keep_reason(ledger: Ledger, context: Context, changed: PlanChanged, *, service: str, environment: str) -> None:
    """Let whoever restores what the run has left unfinished say why; nobody holds it against the release.

    :param ledger: where deployments are.
    :param context: of the task that does not go on.
    :param changed: why it does not.
    :param service: what the task delivers; ``environment`` where.
    """
    with contextlib.suppress(LedgerError):
        run = run_of(ledger, context)
        deployment = ledger.deployments.of_run(run.pipeline, run.run_id, service, environment)
        lease = ledger.leases.current(service, environment)
        if deployment is None or deployment.state != DeploymentState.RUNNING or deployment.cause is not None:
            return
        if lease is not None and (lease.pipeline, lease.run_id) == (run.pipeline, run.run_id):
            cause, token = RollbackCause.FAULT, lease.token
            ledger.settlement.blame(deployment.id, token=token, cause=cause, outcome=changed.what.rstrip("."))


def _require_known(task: BaseOperator, given: dict[str, Any], *, pipeline: str) -> None:
    # Untyped in Airflow.
    if not given or not cast("Any", task).has_dag():
        return
    dag = cast("Any", task).dag
    known = {*dag.params, *(name for one in dag.tasks for name in one.params)}
    if mistakes := unknown_parameters(given, known):
        raise UnknownParameter(
            f"{'; '.join(mistakes)}.",
            pipeline=pipeline,
            state="nothing was changed.",
            next_step="Start a new run with the right name.",
        )
