"""How an environment gets a release that is verified on the way: in phases, or on a new side that takes over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from airflow_cd.delivery.capture import share_of
from airflow_cd.durations import DurationLike, parse_duration
from airflow_cd.errors import PipelineError
from airflow_cd.instances import WHOLE
from airflow_cd.pipeline.environment import Environment, not_a_duration
from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.targets.base import makes_replicas, mirrors
from airflow_cd.task_ids import BAKE, FINISH, GREEN, SWITCH, phase_name
from airflow_cd.verification.settings import Verification

if TYPE_CHECKING:
    from airflow_cd.targets.base import Target

NEEDS_REPLICAS = (
    "its target changes instances in place, so there is no second side that could have requests of its own: this needs "
    "a target that makes replicas, such as kubernetes"
)


@keeps_misspelt_keywords
@dataclass(frozen=True)
class Phase:
    """One phase of a canary, where its share alone does not say everything.

    :param share: percent of the environment's replicas that have the release, from 1 to 100.
    :param traffic: percent of the requests that these get, from 0 to 100, where the target divides requests apart from
        replicas; None, the default, for the part that their number brings.
    :param pause: how long it is watched on before the next phase begins, beyond the duration of the verification; None,
        the default, for the canary's ``pause``.
    """

    share: int
    traffic: int | None = None
    pause: DurationLike | None = None

    def mistakes(self) -> Iterator[str]:
        """Everything that is wrong with it, one sentence each."""
        if not _is_percent(self.share, least=1):
            yield f"phase {self.share!r}: a share is a whole percent from 1 to 100"
        if self.traffic is not None and not _is_percent(self.traffic, least=0):
            yield f"phase {self.share!r}: traffic is {self.traffic!r}, must be a whole percent from 0 to 100"
        if self.pause is not None:
            yield from not_a_duration(f"phase {self.share!r}: pause", self.pause, or_none=True)

    @property
    def name(self) -> str:
        """Name of its task group."""
        return phase_name(self.share, self.traffic)

    @property
    def is_last(self) -> bool:
        """Whether the release has the whole environment in it, and all of the requests."""
        return self.share == WHOLE and self.traffic in (None, WHOLE)

    @property
    def words(self) -> str:
        """The phase in one phrase."""
        return f"{self.share} %" + (f" with {self.traffic} % of the requests" if self.traffic is not None else "")


@dataclass(frozen=True)
class Step:
    """One task group of an environment that is verified.

    :param name: of the group, and of the phase in the ledger.
    :param share: percent of the environment that has the release afterwards.
    :param traffic: percent of the requests that it has then; None for what the share brings, and then nothing of the
        release before is kept at a share of 100.
    :param verify: what is watched then; None where nothing is.
    :param marked: whether the deployment is marked in it.
    :param tests: a task of the author's own between its deployment and its verification, if any.
    """

    name: str
    share: int
    traffic: int | None = None
    verify: Verification | None = None
    marked: bool = True
    tests: Any = None


@keeps_misspelt_keywords
@dataclass(frozen=True)
class Canary:
    """An environment that gets the release in phases, each of them verified before the next.

    :param environment: the environment; its own ``verify`` is not used.
    :param phases: shares of the environment in whole percent, growing, the last one 100; or :class:`Phase` where the
        share alone does not say everything.
    :param verify: what is watched in each phase and how it is judged; required.
    :param mark: ids of New Relic connections in which every phase, and a rollback, is marked.
    :param pause: how long each phase but the last is watched on before the next begins, beyond the duration of the
        verification, such as ``"10m"``; nothing by default.
    :param bake: how long the release is watched on when it has the whole environment, before it is promoted, such as
        ``"30m"``; nothing by default. On a target of replicas, those of the release before are kept meanwhile, without
        requests, and going back is a switch; instances that have names are given the release before again.
    """

    environment: Environment
    phases: Sequence[int | Phase] = (20, 100)
    verify: Verification | None = None
    mark: Sequence[str] = ()
    pause: DurationLike = 0
    bake: DurationLike = 0

    def mistakes(self) -> Iterator[str]:
        """Everything that is wrong with it, one sentence each."""
        name = f"canary {getattr(self.environment, 'name', self.environment)!r}"
        yield from _common_mistakes(self, name)
        yield from not_a_duration(f"{name}: pause", self.pause, or_none=True)
        if isinstance(self.environment, Environment):
            yield from (f"{name}: {mistake}" for mistake in self._wrong_phases())

    def unsuitable(self, target: Target) -> Iterator[str]:
        """What its target cannot do of it, one sentence each.

        :param target: of its environment.
        """
        parts = [(phase.share, phase.traffic) for phase in self.planned if phase.traffic is not None]
        if makes_replicas(target) and parse_duration(self.bake):
            parts.append((WHOLE, WHOLE))
        yield from _unsuitable(target, f"canary {self.environment.name!r}", parts)

    @property
    def planned(self) -> list[Phase]:
        """Every phase as a :class:`Phase`."""
        return [one if isinstance(one, Phase) else Phase(one) for one in self.phases]

    def pause_of(self, phase: Phase) -> DurationLike:
        """How long a phase is watched on before the next begins.

        :param phase: of :attr:`planned`.
        """
        return self.pause if phase.pause is None and not phase.is_last else phase.pause or 0

    def steps(self, target: Target) -> list[Step]:
        """The task groups that it becomes.

        :param target: of its environment.
        """
        assert self.verify is not None  # noqa: S101 - mistakes() has refused it
        bakes = parse_duration(self.bake) > timedelta(0)
        keeps = bakes and makes_replicas(target)
        steps = []
        for phase in self.planned:
            traffic = WHOLE if phase.is_last and keeps else phase.traffic
            verify = _unasked(self.verify, target) if traffic == 0 else self.verify
            watched = verify and _watched_on(verify, self.pause_of(phase))
            steps.append(Step(phase.name, phase.share, traffic, watched))
        if bakes:
            steps.append(_bake(self.verify, self.bake, WHOLE if keeps else steps[-1].traffic))
        return _finished(steps)

    def _wrong_phases(self) -> Iterator[str]:
        given = list(self.phases) if isinstance(self.phases, Sequence) and not isinstance(self.phases, str) else []
        if not given or not all(isinstance(one, Phase) or _is_percent(one, least=1) for one in given):
            yield f"phases {self.phases!r} must be whole percents from 1 to 100"
            return
        if wrong := [mistake for one in given if isinstance(one, Phase) for mistake in one.mistakes()]:
            yield from wrong
            return
        phases = self.planned
        parts = [(one.share, one.share if one.traffic is None else one.traffic) for one in phases]
        listed = [one if isinstance(one, int) else one.words for one in self.phases]
        if any(later <= one or later[1] < one[1] for one, later in pairwise(parts)):
            yield f"phases {listed} must increase"
        if parts[-1] != (WHOLE, WHOLE):
            yield f"phases {listed} must end at 100, or some instances never get the release"
        total = self.environment.instances
        if isinstance(total, int) and total > 0:
            yield from _uncountable([one.share for one in phases if one.traffic is None], total)


@keeps_misspelt_keywords
@dataclass(frozen=True)
class BlueGreen:
    """An environment that gets the release on a new side, as large as the old one, which takes over in one step.

    The new side is verified without requests first, then with all of them, while the old one stays as it was and going
    back is a switch. Then the old side gets the release as well, and the new one goes. Needs a target of replicas.

    :param environment: the environment; its own ``verify`` is not used.
    :param verify: what is watched once the new side has the requests, and how it is judged; required.
    :param preview: what is watched of the new side before. By default the logs of ``verify``, for their duration: an
        error never seen before fails the release, and what is missing, as it is without requests, holds up nothing.
        Where the target sends it copies of requests, all of ``verify``. Give one of its own where tests reach it.
    :param tests: a task of your own that runs when the new side is up, before it is verified: an operator, a task
        group, or a function that makes one. When it fails, the release is rolled back.
    :param bake: how long the release is watched on with all requests beyond ``verify``, such as ``"30m"``; nothing by
        default.
    :param mark: ids of New Relic connections in which the switch, and a rollback, is marked.
    """

    environment: Environment
    verify: Verification | None = None
    preview: Verification | None = None
    tests: Any = None
    bake: DurationLike = 0
    mark: Sequence[str] = ()

    def mistakes(self) -> Iterator[str]:
        """Everything that is wrong with it, one sentence each."""
        name = f"blue/green {getattr(self.environment, 'name', self.environment)!r}"
        yield from _common_mistakes(self, name)
        is_task = callable(self.tests) or hasattr(self.tests, "task_id") or hasattr(self.tests, "group_id")
        if self.tests is not None and not is_task:
            yield f"{name}: tests is {self.tests!r}, give an operator, a task group or a function that makes one"
        if self.preview is not None and not isinstance(self.preview, Verification):
            yield f"{name}: preview is a {type(self.preview).__name__}, give Verification(...)"
        elif self.preview is not None:
            yield from (f"{name}: preview: {mistake}" for mistake in self.preview.mistakes())

    def unsuitable(self, target: Target) -> Iterator[str]:
        """What its target cannot do of it, one sentence each.

        :param target: of its environment.
        """
        yield from _unsuitable(target, f"blue/green {self.environment.name!r}", [(WHOLE, 0), (WHOLE, WHOLE)])

    def steps(self, target: Target) -> list[Step]:
        """The task groups that it becomes.

        :param target: of its environment.
        """
        assert self.verify is not None  # noqa: S101 - mistakes() has refused it
        preview = self.preview if self.preview is not None else _unasked(self.verify, target)
        steps = [
            Step(GREEN, WHOLE, 0, preview, marked=False, tests=self.tests),
            Step(SWITCH, WHOLE, WHOLE, self.verify),
        ]
        if parse_duration(self.bake) > timedelta(0):
            steps.append(_bake(self.verify, self.bake, WHOLE))
        return _finished(steps)


def _unasked(verification: Verification, target: Target) -> Verification | None:
    """What can be verified of replicas that nobody asks: all of it where they get copies of requests."""
    return verification if mirrors(target) else without_requests(verification)


def without_requests(verification: Verification) -> Verification | None:
    """What can be verified of replicas that get no requests: that they log no error that is new.

    :param verification: how they are verified once they have requests.
    :returns: None when no logs are watched.
    """
    if not verification.logs:
        return None
    return replace(
        verification,
        metrics=(),
        thresholds=(),
        decisive=(),
        # At high sensitivity what has gone silent counts too.
        sensitivity="medium" if verification.sensitivity == "high" else verification.sensitivity,
        on_no_data="pass",
        on_inconclusive="pass",
    )


def _bake(verification: Verification, length: DurationLike, traffic: int | None) -> Step:
    return Step(BAKE, WHOLE, traffic, verification.lasting(parse_duration(length)), marked=False)


def _finished(steps: list[Step]) -> list[Step]:
    """With the step that gives the release to what was kept of the one before, if anything was."""
    return [*steps, Step(FINISH, WHOLE, marked=False)] if steps[-1].traffic is not None else steps


def _watched_on(verification: Verification, pause: DurationLike) -> Verification:
    more = parse_duration(pause)
    return verification.lasting(verification.length + more) if more else verification


def _common_mistakes(one: Canary | BlueGreen, name: str) -> Iterator[str]:
    if not isinstance(one.environment, Environment):
        yield f"{name}: give Environment(...), not a {type(one.environment).__name__}"
        return
    yield from one.environment.mistakes()
    if one.verify is None:
        yield f"{name}: needs a verification, which decides whether to go on; give verify="
    if isinstance(one.mark, str):
        yield f"{name}: mark is a list of connections, got the text {one.mark!r}"
    yield from not_a_duration(f"{name}: bake", one.bake, or_none=True)


def _is_percent(value: Any, *, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= WHOLE


def _uncountable(shares: list[int], total: int) -> Iterator[str]:
    """Phases that come to no instance, or to as many as the one before."""
    counts: dict[int, int] = {}
    for share in shares:
        try:
            counts[share] = share_of(share, total)
        except PipelineError as error:
            yield error.mistakes[0]
    for (one, few), (other, many) in pairwise(counts.items()):
        if few == many:
            yield f"{one} % and {other} % of {total} instances are the same {few}; drop a phase"


def _unsuitable(target: Any, name: str, parts: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Why a target cannot divide requests as it is to, once for every reason."""
    if not parts:
        return
    if not makes_replicas(target):
        yield f"{name}: {NEEDS_REPLICAS}"
        return
    refuse = getattr(target, "traffic_mistake", None)
    if refuse is None:
        yield f"{name}: its target divides no requests apart from replicas"
        return
    found = [mistake for share, traffic in parts if (mistake := refuse(share, traffic))]
    yield from (f"{name}: {mistake}" for mistake in dict.fromkeys(found))
