"""What a DAG author writes: stages in order, each an environment, a canary, an approval, a task, or several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_cd.errors import PipelineError
from airflow_cd.pipeline.environment import NAME, Environment, not_a_duration, not_json
from airflow_cd.pipeline.strategies import BlueGreen, Canary
from airflow_cd.secret_values.detection import suspicion
from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.targets import resolve_target, target_kinds
from airflow_cd.verification.settings import Verification

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_cd.commits import CommitSource
    from airflow_cd.targets.base import Target

_ROLLBACK = "-rollback"


_noticed: ContextVar[list[Pipeline] | None] = ContextVar("noticed", default=None)


@contextmanager
def noticing() -> Iterator[list[Pipeline]]:
    """Collect every pipeline that is made in the body, also one of which no DAG is made."""
    made: list[Pipeline] = []
    token = _noticed.set(made)
    try:
        yield made
    finally:
        _noticed.reset(token)


def rollback_name(pipeline: str) -> str:
    """Id of the rollback DAG of a pipeline.

    :param pipeline: name of the pipeline.
    """
    return f"{pipeline}{_ROLLBACK}"


def pipeline_name(dag_id: str) -> str:
    """The pipeline that a DAG belongs to: it is its own DAG, or its rollback DAG.

    :param dag_id: id of the DAG.
    """
    return dag_id.removesuffix(_ROLLBACK)


@keeps_misspelt_keywords
@dataclass(frozen=True)
class Approval:
    """A person approves before the next stage.

    :param approvers: user names that may answer, at least one; by default everybody who may edit the run.
    :param timeout: how long to wait for an answer, such as ``"7d"`` or a timedelta; then it counts as rejected. Must be
        greater than zero.
    :param name: id of its task; letters, digits, dashes and underscores, unique in the pipeline.
    """

    approvers: Sequence[str] | None = None
    timeout: str | timedelta = "7d"
    name: str = "approve"

    def mistakes(self) -> Iterator[str]:
        """Everything that is wrong with it, one sentence each."""
        if not NAME.match(str(self.name)):
            yield f"approval {self.name!r}: a name has letters, digits, dashes and underscores only"
        yield from (f"approval {self.name!r}: {mistake}" for mistake in self._wrong_approvers())
        yield from not_a_duration(f"approval {self.name!r}: timeout", self.timeout)

    def _wrong_approvers(self) -> Iterator[str]:
        if self.approvers is None:
            return
        if isinstance(self.approvers, str):
            yield f"approvers is a list of names, got the text {self.approvers!r}"
        elif not isinstance(self.approvers, Collection):
            yield f"approvers is a list of names, got {self.approvers!r}"
        elif not self.approvers:
            yield "approvers is empty, so nobody could answer; leave it out for everybody who may edit the run"
        elif any(not isinstance(one, str) or not one.strip() for one in self.approvers):
            yield f"approvers holds what is no name: {list(self.approvers)!r}"


Strategy = Canary | BlueGreen
"""How an environment gets a release that is verified on the way."""

Member = Any
"""A stage, or one of several in parallel: of this module, an Airflow operator or task group, or a function that makes
one."""


@keeps_misspelt_keywords
@dataclass(frozen=True)
class Pipeline:
    """Stages in order, and the DAG they become.

    :param name: id of the DAG; letters, digits, dashes and underscores.
    :param stages: each an :class:`Environment`, :class:`Canary`, :class:`BlueGreen`, :class:`Approval`, an Airflow
        operator or task group, a function that makes one when called, or a list of these that run in parallel.
    :param service: name of what is deployed; the pipeline's name by default.
    :param artifact: how a version names its artifact; ``{service}`` and ``{version}`` are filled in.
    :param configuration: run-time configuration of every environment, JSON values by name; the environment's own and a
        run's overrides go on top.
    :param target: kind of target of the environments that give none, such as ``http``.
    :param commits: where the commits of a version are, such as a :class:`~airflow_cd.commits.GitRepository`; an
        approval and a run then show those that a release brings.
    :param supersede: a newer run makes older ones that still wait for an environment fail, instead of queueing.
    :param description: of the DAG, as Airflow shows it.
    :param dag_arguments: further arguments of the DAG (``tags``, ``default_args``, ``max_active_runs`` ...); by default
        it has no schedule.
    """

    name: str
    stages: Sequence[Member | Sequence[Member]]
    service: str = ""
    artifact: str = "{service}:{version}"
    configuration: Mapping[str, Any] = field(default_factory=dict)
    target: str = "http"
    commits: CommitSource | None = None
    supersede: bool = False
    description: str = ""
    dag_arguments: Mapping[str, Any] = field(default_factory=dict)
    has_dag: bool = field(default=False, init=False, repr=False, compare=False)
    """Whether :meth:`dag` has made it; Airflow does not see a pipeline without."""

    def __post_init__(self) -> None:
        if (made := _noticed.get()) is not None:
            made.append(self)

    @property
    def deployed_service(self) -> str:
        """Name of what is deployed: ``service``, or else ``name``."""
        return self.service or self.name

    def strategies(self) -> list[Strategy]:
        """Every canary and blue/green among the stages."""
        return [member for stage in self.members() for member in stage if isinstance(member, Strategy)]

    def members(self) -> list[list[Member]]:
        """Every stage as a list of what runs in parallel in it."""
        stages = self.stages if isinstance(self.stages, Sequence) else [self.stages]
        return [list(stage) if isinstance(stage, list | tuple) else [stage] for stage in stages]

    def target_of(self, environment: Environment) -> Target:
        """The target an environment is reached through.

        :param environment: of this pipeline.
        :raises ValueError: there is no such kind of target.
        """
        return resolve_target(environment.target or f"{self.target}_{environment.name}", environment.name)

    def mistakes(self) -> list[str]:
        """Everything that is wrong with the pipeline, one sentence each."""
        found: list[str] = []
        if not NAME.match(str(self.name)):
            found.append(f"name {self.name!r}: letters, digits, dashes and underscores only")
        if not isinstance(self.stages, list | tuple):
            found.append(f"stages is a list, got {self.stages!r}")
        elif not self.stages:
            found.append("no stages: give at least one environment")
        try:
            self.artifact.format(service="service", version="version")
        except (KeyError, IndexError, ValueError) as error:
            found.append(f"artifact {self.artifact!r}: only {{service}} and {{version}} can be filled in ({error!r})")
        if self.target not in target_kinds():
            found.append(f"target {self.target!r}: unknown kind; known are {', '.join(sorted(target_kinds()))}")
        if why := suspicion("", self.artifact):
            found.append(f"the artifact looks like a secret: {why}. Let the target hold the credentials")
        found.extend(not_json("pipeline", self.configuration))
        found.extend(_not_commits(self.commits))
        found.extend(self._wrong_stages())
        return found

    def _wrong_stages(self) -> Iterator[str]:
        names: Counter[str] = Counter()
        for number, stage in enumerate(self.members(), 1):
            if not stage:
                yield f"stage {number} is empty"
            for member in stage:
                names.update(_names(member))
                yield from self._mistakes_of(member, number)
        yield from self._wrong_verifications()
        for name, count in names.items():
            if count > 1:
                yield f"{name!r} is used {count} times; every environment, approval and task needs its own name"

    def _wrong_verifications(self) -> Iterator[str]:
        """What is wrong with verifications, once for all places that have the same."""
        places: dict[str, list[str]] = {}
        for member in (member for stage in self.members() for member in stage):
            verification, environment = getattr(member, "verify", None), environment_of(member)
            if verification is None or environment is None:
                continue
            wrong = [f"verify is a {type(verification).__name__}, give Verification(...)"]
            if isinstance(verification, Verification):
                wrong = verification.mistakes()
            kind = {Canary: "canary", BlueGreen: "blue/green"}.get(type(member), "environment")
            for mistake in wrong:
                places.setdefault(mistake, []).append(f"{kind} {environment.name!r}")
        yield from (f"{', '.join(dict.fromkeys(where))}: {mistake}" for mistake, where in places.items())

    def _mistakes_of(self, member: Member, number: int) -> Iterator[str]:
        if isinstance(member, Environment | Strategy | Approval):
            yield from member.mistakes()
        elif not callable(member) and not _is_task(member):
            yield (
                f"stage {number}: {member!r} is neither an environment, a canary, a blue/green, an approval, an "
                "operator, a task group nor a function that makes one"
            )
        environment = environment_of(member)
        # An unknown kind for all is one mistake of the pipeline, not one of every environment.
        if environment is not None and (environment.target or self.target in target_kinds()):
            try:
                target = self.target_of(environment)
            except ValueError as error:
                yield f"environment {environment.name!r}: {error}"
            else:
                check = getattr(target, "mistakes", None)
                yield from (f"environment {environment.name!r}: {text}" for text in (check() if check else ()))
                if isinstance(member, Strategy) and not list(member.mistakes()):
                    yield from member.unsuitable(target)

    @property
    def rollback_name(self) -> str:
        """Id of the rollback DAG."""
        return rollback_name(self.name)

    def dag(self) -> DAG | None:
        """The DAG of the pipeline; with it the rollback DAG is made, which Airflow finds by itself.

        :returns: None while Airflow runs a task of another DAG of the same file and does not need this one.
        :raises PipelineError: names every mistake; Airflow shows it as the file's one import error.
        """
        from airflow.sdk import get_parsing_context

        wanted = get_parsing_context().dag_id
        if wanted not in (None, self.name, self.rollback_name):
            return None
        if mistakes := self.mistakes():
            raise PipelineError(mistakes, pipeline=self.name)
        from airflow_cd.pipeline.dag import build
        from airflow_cd.pipeline.rollback_dag import build_rollback

        if wanted != self.name:
            build_rollback(self)
        object.__setattr__(self, "has_dag", True)
        return None if wanted == self.rollback_name else build(self)


def environment_of(member: Member) -> Environment | None:
    """The environment that a member of a stage deploys to; None for one that deploys nothing.

    :param member: of a stage.
    """
    place = member.environment if isinstance(member, Strategy) else member
    return place if isinstance(place, Environment) else None


def _names(member: Member) -> list[str]:
    if isinstance(member, Environment | Approval):
        return [member.name]
    if (environment := environment_of(member)) is not None:
        return [environment.name]
    name = getattr(member, "task_id", None) or getattr(member, "group_id", None)
    return [str(name)] if name else []


def _is_task(member: Member) -> bool:
    return hasattr(member, "task_id") or hasattr(member, "group_id") or hasattr(member, "operator")


def _not_commits(commits: Any) -> Iterator[str]:
    if commits is None:
        return
    if not callable(getattr(commits, "between", None)):
        yield f"commits: a {type(commits).__name__} is not a source of commits; give GitRepository(...)"
    elif check := getattr(commits, "mistakes", None):
        yield from check()
