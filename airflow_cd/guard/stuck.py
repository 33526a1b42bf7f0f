"""Whether a run can go on: decided from what Airflow and the ledger say, and for how long they have said it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from airflow_cd.guard.airflow_runs import AirflowFacts, RunFacts
from airflow_cd.guard.watching import Signs
from airflow_cd.ledger.records import Claim, Work
from airflow_cd.states import StuckCause
from airflow_cd.task_ids import stage_of

SILENT = 40.0
"""Seconds without a sign of life after which a process is dead; they say that they live every 5. With
``[scheduler] task_instance_heartbeat_timeout=30`` Airflow starts its next attempt before that."""
NO_SCHEDULER = 40.0
"""The same of a scheduler, which says so every 5 seconds, and of Airflow's database."""
PATIENCE = {
    StuckCause.ENDED: 4.0,
    StuckCause.DELETED: 4.0,
    StuckCause.PAUSED: 15.0,
    StuckCause.FILE_BROKEN: 15.0,
    StuckCause.FILE_GONE: 15.0,
    StuckCause.WORKER_DIED: 0.0,
    StuckCause.STALLED: 0.0,
    StuckCause.NO_SCHEDULER: 0.0,
    StuckCause.AIRFLOW_AWAY: 0.0,
}
"""Seconds for which a cause lasts before the guard acts: a person may unpause a DAG, or mend its file, at once."""
DECIDED = 4.0
"""The same where the run has decided against the release already."""

STALLED_DECIDED, STALLED, STALLED_IN_LINE = 40.0, 45.0, 300.0
"""Seconds for which nothing of a run is started although a scheduler runs, as when a scheduler that was killed has left
its locks behind, or no worker takes what is queued: where the run has decided against its release; where nothing is
even scheduled; and where a task is, which may wait for a slot of its pool, or for its retry."""

RUNNING = "running"
_IN_LINE = ("scheduled", "queued", "up_for_retry", "up_for_reschedule")
_ELSEWHERE = ("restarting", "deferred", "awaiting_input")
_COMES_BACK = (*_IN_LINE, *_ELSEWHERE)


@dataclass(frozen=True)
class Stuck:
    """Why a run cannot go on.

    :param detail: the same in one clause.
    """

    cause: StuckCause
    detail: str


def why_stuck(
    claim: Claim, work: Work | None, airflow: AirflowFacts | None, signs: Signs, *, decided: bool = False
) -> Stuck | None:
    """Why the run cannot go on; None as long as it can, or nothing proves yet that it cannot.

    A process that lives always goes on: it drains what is bad itself, and its verdict comes first.

    :param claim: the environment and the run.
    :param work: what the ledger knows of the run's work there.
    :param airflow: what Airflow's database says now; None when it cannot be read.
    :param signs: for how long what is seen has been so.
    :param decided: whether the run has decided against its release already.
    """
    if work is not None and not work.over and signs.unchanged(("work", claim), (work.process, work.beats)) < SILENT:
        return None
    if airflow is None:
        away = signs.unchanged(("airflow", claim), "away")
        return _of(StuckCause.AIRFLOW_AWAY) if away >= NO_SCHEDULER else None
    run = airflow.runs.get((claim[2], claim[3]))
    why = stopped(run)
    if why is not None:
        return why
    assert run is not None  # noqa: S101 - a run that Airflow does not know is stopped
    whole = run
    if work is not None:
        # Other stages of the run say nothing about this environment.
        here = stage_of(work.task_id)
        run = replace(run, tasks=[task for task in run.tasks if stage_of(task.task_id) == here])
    if _dead(claim, work, run, signs):
        return _of(StuckCause.WORKER_DIED, f"the worker of {_task(work, run)} died or hangs")
    if _lives(claim, run, signs):
        return None
    beats = [signs.unchanged(("scheduler", claim, number), beat) for number, beat in airflow.schedulers.items()]
    alone = signs.unchanged(("schedulers", claim), "none") if not beats else min(beats)
    if alone >= NO_SCHEDULER:
        return _of(StuckCause.NO_SCHEDULER)
    return _stalled(claim, whole, signs, decided=decided)


def due(claim: Claim, found: Stuck, signs: Signs, *, decided: bool) -> bool:
    """Whether it has lasted long enough to act.

    :param claim: the environment and the run.
    :param found: why it cannot go on.
    :param signs: for how long.
    :param decided: whether the run has decided against its release already.
    """
    patience = min(PATIENCE[found.cause], DECIDED) if decided else PATIENCE[found.cause]
    return signs.unchanged(("stuck", claim), found.cause) >= patience


def stopped(run: RunFacts | None) -> Stuck | None:
    """Why Airflow schedules nothing of the run, whoever lives; None when it does.

    :param run: as Airflow's database has it; None when it has none.
    """
    if run is None:
        return _of(StuckCause.DELETED)
    if run.over:
        return _of(StuckCause.ENDED)
    if run.stale and run.error:
        return _of(
            StuckCause.FILE_BROKEN,
            f"its DAG file {run.file} has an error, so Airflow schedules none of its runs: {run.error.rstrip('.')}",
        )
    if run.stale:
        return _of(StuckCause.FILE_GONE, f"its DAG file {run.file} is gone, was renamed, or holds the DAG no more")
    return _of(StuckCause.PAUSED) if run.paused else None


def _dead(claim: Claim, work: Work | None, run: RunFacts, signs: Signs) -> bool:
    """Whether a process died and Airflow has not noticed: it still calls the task running."""
    running = [task for task in run.tasks if task.state == RUNNING]
    if work is not None and not work.over:
        return any(task.task_id == work.task_id for task in running)
    # Another task, as an author's own: Airflow alone knows whether it lives.
    if not running or any(task.state in _COMES_BACK for task in run.tasks):
        return False
    silent = [signs.unchanged(("task", claim, task.task_id, task.map_index), task.heartbeat) for task in running]
    return min(silent) >= SILENT


def _stalled(claim: Claim, run: RunFacts, signs: Signs, *, decided: bool) -> Stuck | None:
    """Whether nothing of the run has moved for too long, though nothing keeps Airflow from going on with it."""
    states = tuple(sorted((task.task_id, task.map_index, task.state) for task in run.tasks))
    still = signs.unchanged(("states", claim), states)
    if not run.tasks or any(task.state == RUNNING or task.state in _ELSEWHERE for task in run.tasks):
        return None
    waiting = [task for task in run.tasks if task.state in _IN_LINE]
    longest = STALLED_DECIDED if decided else STALLED_IN_LINE if waiting else STALLED
    if still < longest:
        return None
    if not waiting:
        return _of(StuckCause.STALLED, f"Airflow has started nothing of it for {still:.0f} s, though a scheduler runs")
    first = waiting[0]
    where = ", ".join(f"{name} {value}" for name, value in (("queue", first.queue), ("pool", first.pool)) if value)
    return _of(
        StuckCause.STALLED,
        f"its task {first.task_id} has been {first.state.replace('_', ' ')} for {still:.0f} s and was not started"
        f"{f' ({where})' if where else ''}",
    )


def _lives(claim: Claim, run: RunFacts, signs: Signs) -> bool:
    """Whether a process of the run is at work, as Airflow sees it: no scheduler is needed for that."""
    return any(
        signs.unchanged(("task", claim, task.task_id, task.map_index), task.heartbeat) < SILENT
        for task in run.tasks
        if task.state == RUNNING
    )


def _task(work: Work | None, run: RunFacts) -> str:
    if work is not None and not work.over:
        return work.task_id
    return ", ".join(sorted({task.task_id for task in run.tasks if task.state == RUNNING}))


def _of(cause: StuckCause, detail: str = "") -> Stuck:
    return Stuck(cause, detail or _DETAILS[cause])


_DETAILS = {
    StuckCause.ENDED: "it ended and left this unfinished",
    StuckCause.DELETED: "it was deleted",
    StuckCause.PAUSED: "its DAG is paused",
    StuckCause.NO_SCHEDULER: "no scheduler of Airflow runs",
    StuckCause.AIRFLOW_AWAY: "Airflow's database cannot be read",
}
