"""One environment of a service as its page shows it: what runs, what it can go back to, what is vetoed, what was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_cd.ledger import Deployment, Finding, Ledger, Question
from airflow_cd.ledger.records import GoodRelease, Veto
from airflow_cd.pipeline.specification import rollback_name
from airflow_cd.plugin.environment.decisions import environment_state, look_of
from airflow_cd.plugin.instances import InstanceSummary, summarize
from airflow_cd.plugin.states import EnvironmentState, Look
from airflow_cd.plugin.words import environment_sentence
from airflow_cd.release import Release, changed_beside_version, changes, most_common
from airflow_cd.states import DeploymentState, StuckCause
from airflow_cd.targets import TargetLabel, label_of
from airflow_cd.task_ids import stage_of

HISTORY = 25


@dataclass(frozen=True)
class Choice:
    """A release that the environment can be rolled back to.

    :param good: the release, with when and by whom it was promoted.
    :param rows: name, what it is now, what it would be.
    :param chosen: whether it is offered first: the last good one before what runs.
    """

    good: GoodRelease
    rows: Sequence[tuple[str, Any, Any]]
    chosen: bool


@dataclass(frozen=True)
class EnvironmentView:
    """The whole page.

    :param running: the last release promoted here, None without one.
    :param instances: what the instances were last seen to run.
    :param target: how the environment is reached; None where nothing is known of it.
    :param open: a deployment in progress or left unfinished here, None without one.
    :param rows: what ``open`` changes: name, what it was, what it is.
    :param back_to: what ``open`` would be rolled back to, as people say it.
    :param left: whether the run of ``open`` has ended, so that nothing continues it.
    :param question: what ``open`` waits for a person to answer, None when it does not.
    :param vetoes: in force; ``lifted`` those that a person has lifted. Newest first.
    :param history: the newest deployments here, of pipelines that the reader may read.
    :param hidden: whether a pipeline that the reader may not read has deployed here, too.
    :param put_back: what was rolled back and runs here again, put there by somebody else; ``""`` where nothing does.
    :param replaced: what runs here in the place of what was promoted, put there by somebody else; ``""`` for nothing.
    """

    service: str
    environment: str
    running: GoodRelease | None
    instances: InstanceSummary
    target: TargetLabel | None
    open: Deployment | None
    rows: Sequence[tuple[str, Any, Any]]
    back_to: str
    left: bool
    question: Question | None
    choices: Sequence[Choice]
    vetoes: Sequence[Veto]
    lifted: Sequence[Veto]
    history: Sequence[Deployment]
    hidden: bool
    put_back: str
    replaced: str

    @property
    def restoring(self) -> bool:
        """Whether what is in progress is itself a person's rollback."""
        return self.open is not None and self.open.rolls_back is not None

    @property
    def state(self) -> EnvironmentState:
        """How the environment stands."""
        return environment_state(
            DeploymentState(self.open.state) if self.open is not None else None,
            rollback=self.restoring,
            left=self.left,
            promoted=self.running is not None,
            replaced=bool(self.replaced),
        )

    @property
    def look(self) -> Look:
        """How the environment is drawn."""
        return look_of(self.state, problems=bool(self.instances.problems or self.put_back))

    @property
    def headline(self) -> str:
        """How it stands, in one sentence."""
        if self.open is None:
            version = self.running.release.version if self.running else ""
        else:
            version = self.open.release.version + (f" ({self.open.changed})" if self.open.changed else "")
        return environment_sentence(self.state, self.service, version, self.environment)

    @property
    def changed(self) -> Mapping[str, str]:
        """By digest of a release that was deployed here: what its version does not say."""
        return defaultdict(str, {one.release.digest: one.changed for one in reversed(self.history)})


def view_of(
    ledger: Ledger,
    service: str,
    environment: str,
    *,
    readable: Callable[[Iterable[str]], Collection[str]],
    over: Callable[[str, str], bool],
) -> EnvironmentView:
    """Gather what the page shows.

    :param ledger: where it is.
    :param service: what is deployed.
    :param environment: where.
    :param readable: those of some pipelines that the reader may see.
    :param over: whether a run (pipeline, run id) has ended.
    """
    records = _Records(
        ledger.deployments.matching(service, environment, limit=HISTORY),
        ledger.deployments.unsettled(service, environment),
        ledger.deployments.good_releases(service, environment),
        ledger.vetoes.of(service, environment),
    )
    pipelines = records.pipelines()
    may_see = readable(pipelines)
    hidden = len(may_see) < len(pipelines)
    seen = records.of(may_see)
    open_now = next(iter(seen.unsettled), None)
    left = open_now is not None and over(open_now.pipeline, open_now.run_id)
    newest = records.good[0] if records.good else None
    target = _target(ledger, seen.deployments)
    findings = [one for one in ledger.guarding.put_back(service, environment) if one.pipeline in may_see and not hidden]
    return EnvironmentView(
        service=service,
        environment=environment,
        running=newest if newest in seen.good else None,
        # What runs, and how it differs, may have been brought by a pipeline that the reader may not see.
        instances=summarize(
            [] if hidden else ledger.instances.running(service, environment),
            open_now.release if open_now is not None else None,
            target,
        ),
        target=target,
        open=open_now,
        rows=changes(most_common(open_now.previous.values()), open_now.release) if open_now is not None else (),
        back_to=_back_to(open_now),
        left=left,
        question=None if open_now is None or left else _question(ledger, open_now),
        choices=_choices(records.good, seen.good, open_now.release if open_now is not None and left else None),
        vetoes=[veto for veto in seen.vetoes if veto.lifted_at is None],
        lifted=[veto for veto in seen.vetoes if veto.lifted_at is not None],
        history=seen.deployments,
        hidden=hidden,
        put_back=_told(findings, StuckCause.PUT_BACK),
        replaced=_told(findings, StuckCause.REPLACED),
    )


def _told(findings: Iterable[Finding], cause: StuckCause) -> str:
    """What the guard has told of an environment where a deployment is over."""
    return "; ".join(f"since {one.found_at:%Y-%m-%d %H:%M} UTC {one.detail}" for one in findings if one.cause is cause)


@dataclass(frozen=True)
class _Records:
    """The ledger's records of one environment, each newest first."""

    deployments: Sequence[Deployment]
    unsettled: Sequence[Deployment]
    good: Sequence[GoodRelease]
    vetoes: Sequence[Veto]

    def pipelines(self) -> set[str]:
        """Every pipeline that they are of."""
        records: list[Deployment | GoodRelease | Veto] = [*self.deployments, *self.unsettled, *self.good, *self.vetoes]
        return {one.pipeline for one in records}

    def of(self, pipelines: Collection[str]) -> _Records:
        """Those of these pipelines alone."""
        return _Records(
            [one for one in self.deployments if one.pipeline in pipelines],
            [one for one in self.unsettled if one.pipeline in pipelines],
            [one for one in self.good if one.pipeline in pipelines],
            [one for one in self.vetoes if one.pipeline in pipelines],
        )


def _choices(good: Sequence[GoodRelease], seen: Sequence[GoodRelease], left: Release | None) -> list[Choice]:
    """What the environment can be rolled back to.

    :param good: every good release, the one that should run first.
    :param seen: those of them that the reader may see.
    :param left: a release that a run has left half deployed; the one that should run is then a choice, too.
    """
    if not good or good[0] not in seen:
        return []
    candidates = [one for one in seen if left is not None or one is not good[0]]
    first = next((one for one in candidates if not one.vetoed), None)
    now = left or good[0].release
    return [Choice(one, changes(now, one.release), one is first) for one in candidates]


def _target(ledger: Ledger, deployments: Sequence[Deployment]) -> TargetLabel | None:
    """How the newest of the deployments of which that is known has reached the environment."""
    claims = [(one.service, one.environment, one.pipeline, one.run_id) for one in deployments]
    found = ledger.work.targets_of(claims)
    return next((label_of(found[claim]) for claim in claims if claim in found), None)


def _question(ledger: Ledger, deployment: Deployment) -> Question | None:
    """What the run asks about this deployment; another stage's question is not the environment's."""
    asked = ledger.questions.of_run(deployment.pipeline, deployment.run_id)
    here = [one for one in asked if one.option is None and stage_of(one.task_id) == deployment.environment]
    return here[0] if here else None


def _back_to(deployment: Deployment | None) -> str:
    if deployment is None:
        return ""
    before: set[Release | None] = set(deployment.previous.values())
    return " and ".join(sorted(_named(old, deployment.release) if old else "nothing" for old in before))


def _named(release: Release, instead_of: Release) -> str:
    """A release as people say it, and what it differs in from one that they would call the same."""
    changed = changed_beside_version(instead_of, release)
    return f"{release.service} {release.version}" + (f" ({changed})" if changed else "")


def rollback_of(pipeline: str) -> tuple[str, str]:
    """The DAG that rolls a pipeline's environments back, and why it cannot be started now (``""`` if it can).

    :param pipeline: name of the pipeline.
    """
    from airflow.models.dag import DagModel

    name = rollback_name(pipeline)
    model = DagModel.get_dagmodel(name)
    if model is None or model.is_stale:
        return name, (
            f"Airflow has no DAG {name}: {pipeline} is not a pipeline of Airflow CD, or its file has not been parsed "
            "again yet. Deploy the earlier version instead."
        )
    if model.is_paused:
        return name, f"The DAG {name} is paused. Unpause it, then roll back."
    return name, ""
