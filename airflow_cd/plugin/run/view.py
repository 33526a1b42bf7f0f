"""A run as its page shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airflow_cd.commits import Commits
from airflow_cd.ledger import AuditRecord, Deployment
from airflow_cd.plugin.dag_runs.tasks import Run
from airflow_cd.plugin.instances import InstanceSummary, summarize
from airflow_cd.plugin.run.facts import RunFacts
from airflow_cd.plugin.run.headline import Headline, headline_of
from airflow_cd.plugin.run.stages import StageView, columns_of
from airflow_cd.plugin.states import Look
from airflow_cd.release import Release, changed_beside_version, changes
from airflow_cd.report.answers import clock_times
from airflow_cd.report.report import Clocks
from airflow_cd.targets import TargetLabel


@dataclass(frozen=True)
class ChangeView:
    """What the release differs in from what ran before, in every environment where that is the same.

    :param before: what ran there, as people say it.
    :param proposed: whether it is only asked for so far.
    :param commits: what it brings; None where the pipeline names no repository.
    """

    environments: Sequence[str]
    before: str
    now: str
    rows: Sequence[tuple[str, Any, Any]]
    proposed: bool = False
    commits: Commits | None = None


@dataclass(frozen=True)
class Runs:
    """What one environment runs now, whichever run deployed it.

    :param target: how it is reached; None where nothing is known of it.
    :param instances: what its instances run.
    :param state: what the run has come to there, as people say it; ``sign`` is one character for it.
    """

    environment: str
    state: str
    sign: str
    look: Look
    target: TargetLabel | None
    instances: InstanceSummary


@dataclass(frozen=True)
class RunView:
    """The whole page.

    :param ours: whether it is a run of a pipeline at all.
    :param columns: the stages; those that may run at once together.
    :param clocks: by environment: name, time and meaning of each.
    :param manual_actions: what people did by hand, refused attempts too; oldest first.
    :param changed: what the release differs in from what ran before, where that has the same version.
    """

    ours: bool
    over: bool
    headline: Headline
    columns: Sequence[Sequence[StageView]]
    clocks: Sequence[tuple[str, Sequence[tuple[str, str, str]]]]
    changes: Sequence[ChangeView]
    runs: Sequence[Runs]
    manual_actions: Sequence[AuditRecord]
    service: str
    version: str
    changed: str
    reason: str
    by: str


def view_of(run: Run, facts: RunFacts, now: datetime) -> RunView:
    """Shape a run for its page.

    :param run: the run as Airflow has it.
    :param facts: what the ledger holds of it.
    :param now: what durations of what is still at work count up to.
    """
    columns = columns_of(run, facts, now)
    stages = [stage for column in columns for stage in column]
    newest = facts.deployments[-1] if facts.deployments else None
    return RunView(
        ours=bool(facts.deployments or facts.questions) or any(task.place.role for task in run.tasks),
        over=run.over,
        headline=headline_of(run, facts, stages),
        columns=columns,
        clocks=_clocks(facts.deployments),
        changes=_changes(stages, facts),
        runs=[_runs(stage, facts) for stage in stages if stage.deployment is not None],
        manual_actions=facts.manual_actions,
        service=newest.release.service if newest else "",
        version=newest.release.version if newest else _text(run.asked.get("version")),
        changed=newest.changed if newest else "",
        reason=newest.reason if newest else _text(run.asked.get("reason")),
        by=run.by or (newest.triggered_by if newest else ""),
    )


def _clocks(deployments: Sequence[Deployment]) -> list[tuple[str, Sequence[tuple[str, str, str]]]]:
    """The clocks of each deployment that has any."""
    timed = [
        (
            found.environment,
            clock_times(
                Clocks(found.to_verdict, found.to_safe, found.to_restored),
                asked_for=found.rolls_back is not None,
            ),
        )
        for found in deployments
    ]
    return [(environment, times) for environment, times in timed if times]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _changes(stages: Sequence[StageView], facts: RunFacts) -> list[ChangeView]:
    """Every difference once, with all environments that it is the same in."""
    # Five environments that differ in the same two lines are one table.
    tables: dict[str, tuple[list[str], ChangeView]] = {}
    for environment, view in (*_deployed(stages), *_proposed(facts)):
        names, _ = tables.setdefault(repr((view.before, view.now, view.rows, view.proposed, view.commits)), ([], view))
        if environment not in names:
            names.append(environment)
    return [replace(view, environments=names) for names, view in tables.values()]


def _deployed(stages: Sequence[StageView]) -> Iterator[tuple[str, ChangeView]]:
    for deployment in (stage.deployment for stage in stages if stage.deployment is not None):
        distinct = {release.digest if release else "": release for release in deployment.previous.values()}
        for before in distinct.values():
            was = _name(before) if before else "nothing"
            rows = changes(before, deployment.release)
            view = ChangeView((), was, _named(before, deployment.release), rows, commits=deployment.commits)
            yield deployment.environment, view


def _proposed(facts: RunFacts) -> Iterator[tuple[str, ChangeView]]:
    deployed = {deployment.environment for deployment in facts.deployments}
    for question in facts.questions.values():
        for environment, release in question.proposed.items():
            if environment not in deployed:
                before = facts.good.get(environment)
                was = _name(before) if before else "nothing that Airflow CD has deployed"
                commits = question.commits.get(environment)
                name = _named(before, release)
                view = ChangeView((), was, name, changes(before, release), proposed=True, commits=commits)
                yield environment, view


def _name(release: Release) -> str:
    """A release as people say it, without its digest."""
    return f"{release.service} {release.version}"


def _named(before: Release | None, release: Release) -> str:
    """The same, with what tells it apart from another release of the same version."""
    changed = changed_beside_version(before, release)
    return f"{_name(release)} ({changed})" if changed else _name(release)


def _runs(stage: StageView, facts: RunFacts) -> Runs:
    environment = stage.environment
    target = facts.targets.get(environment)
    seen = summarize(facts.running.get(environment, ()), target=target)
    return Runs(environment, stage.label, stage.state.sign, stage.look, target, seen)
