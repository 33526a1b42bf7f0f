"""One environment of a service as its page shows it: what runs, what it can go back to, what is vetoed, what was."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_cd.ledger import Deployment, Ledger
from airflow_cd.ledger.records import GoodRelease, Veto
from airflow_cd.pipeline.specification import rollback_name
from airflow_cd.plugin.seen import Seen, seen_of
from airflow_cd.release import Release, changes

HISTORY = 25


@dataclass(frozen=True)
class Choice:
    """A release that the environment can go back to.

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
    :param seen: what the instances were last seen to run.
    :param open: a deployment under way or left unfinished here, None without one; ``back_to`` is what it would be
        rolled back to, in words, ``going_back`` whether it is itself a person's rollback, and ``left`` whether its run
        has ended, so that nobody goes on with it.
    :param vetoes: in force; ``lifted`` those that a person has lifted. Newest first.
    :param history: the newest deployments here, of pipelines that the reader may read.
    :param hidden: whether a pipeline that the reader may not read has deployed here, too.
    """

    service: str
    environment: str
    running: GoodRelease | None
    seen: Seen
    open: Deployment | None
    back_to: str
    left: bool
    choices: Sequence[Choice]
    vetoes: Sequence[Veto]
    lifted: Sequence[Veto]
    history: Sequence[Deployment]
    hidden: bool

    @property
    def going_back(self) -> bool:
        """Whether what is under way is itself a person's rollback."""
        return self.open is not None and self.open.rolls_back is not None

    @property
    def look(self) -> str:
        """``good``, ``wait``, ``bad`` or ``idle``."""
        if self.open is not None:
            return "wait" if self.open.state == "running" and not self.left else "bad"
        if self.running is None:
            return "idle"
        return "bad" if self.seen.trouble else "good"

    @property
    def says(self) -> str:
        """How it stands, in one sentence."""
        if self.open is not None:
            what = f"{self.open.release.service} {self.open.release.version}"
            if self.left or self.open.state == "rollback_failed":
                why = "was left unfinished" if self.open.state == "running" else "could not be rolled back"
                return f"{self.environment} is between two releases: {what} {why}."
            word = "is being deployed" if self.open.state == "running" else "is being rolled back"
            return f"{what} {word} in {self.environment}."
        if self.running is None:
            return f"Nothing of {self.service} has been promoted in {self.environment} yet."
        return f"{self.service} {self.running.release.version} runs in {self.environment}."


def view_of(
    ledger: Ledger,
    service: str,
    environment: str,
    *,
    readable: Callable[[Iterable[str]], Collection[str]],
    over: Callable[[str, str], bool],
) -> EnvironmentView:
    """Gather what the page shows.

    :param readable: those of some pipelines that the reader may see.
    :param over: whether a run of a pipeline has ended.
    """
    deployments = ledger.deployments.matching(service, environment, limit=HISTORY)
    unsettled = ledger.deployments.unsettled(service, environment)
    good = ledger.deployments.good_releases(service, environment)
    vetoes = ledger.vetoes.of(service, environment)
    records: list[Deployment | GoodRelease | Veto] = [*deployments, *unsettled, *good, *vetoes]
    pipelines = {one.pipeline for one in records}
    may_see = readable(pipelines)
    hidden = len(may_see) < len(pipelines)
    running = good[0] if good and good[0].pipeline in may_see else None
    # What runs, and how it differs, may be what a pipeline that is not theirs to read has brought.
    looked_at = [] if hidden else ledger.instances.running(service, environment)
    under_way = next((found for found in unsettled if found.pipeline in may_see), None)
    left = under_way is not None and over(under_way.pipeline, under_way.run_id)
    # What was left half deployed can go back to the last good one, too; else that is what runs.
    candidates = [one for one in (good if left else good[1:]) if one.pipeline in may_see and running is not None]
    first = next((one for one in candidates if not one.vetoed), None)
    now = under_way.release if under_way is not None and left else good[0].release if good else None
    return EnvironmentView(
        service=service,
        environment=environment,
        running=running,
        seen=seen_of(looked_at),
        open=under_way,
        back_to=_back_to(under_way),
        left=left,
        choices=[Choice(one, changes(now, one.release), one is first) for one in candidates],
        vetoes=[veto for veto in vetoes if veto.lifted_at is None and veto.pipeline in may_see],
        lifted=[veto for veto in vetoes if veto.lifted_at is not None and veto.pipeline in may_see],
        history=[found for found in deployments if found.pipeline in may_see],
        hidden=hidden,
    )


def _back_to(deployment: Deployment | None) -> str:
    if deployment is None:
        return ""
    before: set[Release | None] = set(deployment.previous.values())
    return " and ".join(sorted(f"{old.service} {old.version}" if old else "nothing" for old in before))


def rollback_of(pipeline: str) -> tuple[str, str]:
    """The DAG that rolls a pipeline's environments back, and why it cannot be started now (``""`` if it can)."""
    from airflow.models.dag import DagModel

    name = rollback_name(pipeline)
    model = DagModel.get_dagmodel(name)
    if model is None or model.is_stale:
        return name, (
            f"Airflow has no DAG {name}: {pipeline} is no pipeline of Airflow CD, or its file was not read again yet. "
            "Deploy the earlier version instead."
        )
    if model.is_paused:
        return name, f"The DAG {name} is paused. Unpause it, and roll back then."
    return name, ""
