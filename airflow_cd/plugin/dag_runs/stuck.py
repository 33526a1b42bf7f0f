"""Runs that Airflow schedules nothing of, and what the guard does about them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from airflow_cd.clock import now
from airflow_cd.guard.airflow_runs import read_airflow, runs_of_stale_dags
from airflow_cd.guard.stuck import SILENT, stopped
from airflow_cd.ledger import Finding, Ledger
from airflow_cd.states import FindingState, StuckCause

_OVER = (StuckCause.PUT_BACK, StuckCause.REPLACED)
"""What is found of runs that are over."""
_NO_GUARD = "No guard acts: start Airflow's scheduler, or `airflow-cd guard`."
_GUARD = "The guard restores what ran before within a minute."


def why_stopped(pipeline: str, run_id: str) -> str:
    """Why Airflow schedules nothing of a run that has not ended; ``""`` when it does.

    :param pipeline: its DAG.
    :param run_id: its id.
    """
    run = read_airflow({(pipeline, run_id)}).runs.get((pipeline, run_id))
    found = stopped(run) if run is not None else None
    return found.detail if found is not None and found.cause is not StuckCause.ENDED else ""


@dataclass(frozen=True)
class Stopped:
    """A pipeline whose file Airflow cannot read, or does not find it in, and the runs that are stuck.

    :param why: in one clause, with the file and its error.
    :param runs: ids of its runs that have not ended.
    """

    pipeline: str
    why: str
    runs: Sequence[str]


def stopped_pipelines(readable: Callable[[Iterable[str]], Collection[str]], ours: Collection[str]) -> list[Stopped]:
    """Those that have runs which have not ended, by name.

    :param readable: those of some pipelines that the reader may see.
    :param ours: pipelines that the ledger knows.
    """
    keys = {key for key in runs_of_stale_dags() if key[0] in ours}
    may_see = readable({pipeline for pipeline, _ in keys}) if keys else ()
    facts = read_airflow({key for key in keys if key[0] in may_see}).runs if may_see else {}
    found: dict[tuple[str, str], list[str]] = {}
    for (pipeline, run_id), run in facts.items():
        if why := stopped(run):
            found.setdefault((pipeline, why.detail), []).append(run_id)
    return [Stopped(pipeline, why, sorted(runs)) for (pipeline, why), runs in sorted(found.items())]


def somebody_works(ledger: Ledger, service: str, environment: str, pipeline: str, run_id: str) -> bool:
    """Whether a process of the run lives that is at work on the environment, or the guard works for it.

    :param ledger: processes say there that they live.
    :param service: what is deployed; ``environment`` where.
    :param pipeline: the pipeline of the run.
    :param run_id: the run.
    """
    work = ledger.work.of_run(service, environment, pipeline, run_id)
    if work is not None and not work.over and work.beat_at > now() - timedelta(seconds=SILENT):
        return True
    acting = ledger.guarding.findings(pipeline, run_id, only_open=True)
    return any(finding.environment == environment and finding.state is FindingState.ACTING for finding in acting)


def sentences(ledger: Ledger, why: str, findings: Sequence[Finding], *, left: bool) -> list[str]:
    """What a reader has to know of a run that could not go on.

    :param ledger: says whether a guard acts.
    :param why: as :func:`why_stopped` has it.
    :param findings: what the guard found of it, newest first.
    :param left: whether something is unfinished and nobody works on it.
    """
    found = [f"Airflow schedules nothing of this run: {why}."] if why else []
    found += [
        f"{one.environment}, {one.found_at:%H:%M:%S} UTC: "
        f"{'' if one.cause in _OVER else 'it could not go on: '}{one.detail}. {one.outcome}".strip()
        for one in reversed(findings)
    ]
    if left:
        found.append(_GUARD if ledger.guarding.acting() is not None else _NO_GUARD)
    return found
