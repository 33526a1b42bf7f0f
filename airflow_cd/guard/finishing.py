"""What the guard does for a run that cannot go on: safe first, then whole, then free for the next run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_cd.delivery import Delivery
from airflow_cd.delivery.causes import Why, unfinished_reason
from airflow_cd.delivery.delivery import LEASE_TTL
from airflow_cd.delivery.late_verdict import HandedVerdict, write_down
from airflow_cd.errors import AirflowCdError, DeploymentSettled, LeaseLost, RollbackIncomplete, TargetConflict
from airflow_cd.guard.stuck import Stuck
from airflow_cd.states import DeploymentState, FindingState, RollbackCause, StuckCause
from airflow_cd.targets import described_target

if TYPE_CHECKING:
    from airflow_cd.ledger import Deployment, Ledger, Work
    from airflow_cd.ledger.records import Claim
    from airflow_cd.targets.base import Target

log = logging.getLogger(__name__)

TIMEOUT = timedelta(minutes=5)
FORWARD_ATTEMPTS = 3
"""After so many, a person's rollback that does not come up is given up for what ran before it."""
_BY_A_PERSON = (StuckCause.ENDED, StuckCause.DELETED, StuckCause.PAUSED)


@dataclass(frozen=True)
class Outcome:
    """What became of it.

    :param state: *failing* is tried again.
    :param text: the same in one sentence.
    """

    state: FindingState
    text: str


def reach(work: Work | None) -> Target:
    """The target of a run's work, for a process that has not read the DAG file.

    :param work: as the ledger has it.
    :raises RollbackIncomplete: there is none, or it cannot be made here.
    """
    next_step = "Mend that, or bring the environment back at the target itself; the guard tries again."
    if work is None or work.target is None:
        raise RollbackIncomplete(
            "the guard cannot reach the environment: its target is neither a connection nor of a registered kind.",
            next_step=next_step,
        )
    try:
        return described_target(work.target)
    except ValueError as error:
        raise RollbackIncomplete(f"the guard cannot reach the environment: {error}.", next_step=next_step) from error


def finish(
    ledger: Ledger,
    claim: Claim,
    stuck: Stuck,
    *,
    target: Target | None,
    work: Work | None,
    attempt: int,
    guard: int,
    handed: Sequence[HandedVerdict] = (),
) -> Outcome:
    """Restore what the run has left unfinished, release its lease, and leave its place in the queue.

    The run's own identity is used, under a new token: whatever of it still works is void, and what is left of it finds
    everything settled.

    :param ledger: the ledger.
    :param claim: the environment and the run.
    :param stuck: why the run cannot go on.
    :param target: the environment, where it was reached before; None to make it from ``work``.
    :param work: the run's work there, as the ledger has it.
    :param attempt: which attempt this is, from 1.
    :param guard: fencing token of the acting guard.
    :param handed: verdicts that the run could not record.
    :raises LedgerUnavailable: the ledger is away: it is found, and done, again.
    """
    service, environment, pipeline, run_id = claim
    deployment = ledger.deployments.of_run(pipeline, run_id, service, environment)
    unsettled = deployment is not None and not DeploymentState(deployment.state).final
    try:
        ledger.guarding.check(guard)
        if not unsettled:
            return Outcome(FindingState.DONE, _free(ledger, claim))
        assert deployment is not None  # noqa: S101 - unsettled says so
        ledger.leases.overrule(service, environment, pipeline=pipeline, run_id=run_id, ttl=LEASE_TTL)
        delivery = Delivery(
            ledger,
            target or reach(work),
            pipeline=pipeline,
            run_id=run_id,
            service=service,
            environment=environment,
            log=lambda line: log.info("%s: %s", environment, line),
            timeout=timedelta(seconds=work.timeout) if work is not None else TIMEOUT,
        )
        write_down(delivery, handed)
        text = _put_right(delivery, delivery.require_deployment(), stuck, attempt)
        delivery.let_go(delivery.deployment())
        _free(ledger, claim)
    except (LeaseLost, TargetConflict) as overruled:
        return Outcome(FindingState.OVER, f"Another process has taken it over: {overruled.what}")
    except DeploymentSettled as settled:
        _free(ledger, claim)
        return Outcome(FindingState.OVER, f"It was settled meanwhile: {settled.what}")
    except AirflowCdError as error:
        return Outcome(FindingState.FAILING, str(error.at(pipeline=pipeline, environment=environment)))
    return Outcome(FindingState.DONE, text)


def _put_right(delivery: Delivery, deployment: Deployment, stuck: Stuck, attempt: int) -> str:
    forward = deployment.rolls_back is not None and deployment.state == DeploymentState.RUNNING
    if forward and attempt <= FORWARD_ATTEMPTS:
        # A person wants this good release back: what ran before is what they rolled back.
        done = delivery.roll_back_to(deployment.release, deployment.reason, who=deployment.triggered_by)
        return f"The guard finished the rollback to {done.release}."
    cause = RollbackCause.RUN_ENDED if stuck.cause in _BY_A_PERSON else RollbackCause.FAULT
    otherwise = Why(cause, f"the run could not go on: {stuck.detail}")
    restored = delivery.roll_back(unfinished_reason(delivery.ledger, deployment, otherwise))
    if restored is None:
        return "It was restored already."
    where = ", ".join(restored.instances) or "nothing"
    return f"The guard restored {restored.release or 'an empty environment'} on {where}, in {restored.seconds:.1f} s."


def _free(ledger: Ledger, claim: Claim) -> str:
    service, environment, pipeline, run_id = claim
    current = ledger.leases.current(service, environment)
    owns = current is not None and (current.pipeline, current.run_id) == (pipeline, run_id)
    if current is not None and owns:
        ledger.leases.release(current)
    ledger.leases.leave_queue(service, environment, pipeline=pipeline, run_id=run_id)
    return "The guard released its lease." if owns else "The guard took it out of the queue."
