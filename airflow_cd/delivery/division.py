"""How a deployment divides an environment: by instances that have names, or by tracks of replicas.

What was touched, what it is to return to and who is the canary is worked out here for both shapes of targets, from
the share of a phase and from what is read back; nothing else in this package asks which shape it has before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from airflow_cd.delivery.capture import choose_instances
from airflow_cd.errors import ReleaseError
from airflow_cd.instances import STARTING, WHOLE, Instance, Track
from airflow_cd.release import most_common
from airflow_cd.targets.base import in_place, makes_replicas
from airflow_cd.targets.rollout import Wanted

if TYPE_CHECKING:
    from airflow_cd.ledger import Phase
    from airflow_cd.release import Release

Previous = Mapping[str, "Release | None"]
"""By name of an instance, what it ran before a deployment; None where it was empty."""


class Division(Protocol):
    """How a deployment divides one environment."""

    def chosen(self, previous: Previous, share: int, already: Sequence[str], traffic: int | None = None) -> list[str]:
        """The units that a phase changes.

        :param previous: what every instance ran before the deployment.
        :param share: percent of the environment that has the release after the phase.
        :param already: the units that the deployment has touched.
        :param traffic: percent of the requests that the canary has after the phase, where its share does not say it;
            None by default. What ran before is then still there beside it.
        :raises PipelineError: the share is nothing at all.
        """
        ...

    def forward(self, release: Release, chosen: Sequence[str], share: int) -> list[Wanted]:
        """What a phase asks for, one step after the other.

        :param release: the deployment's.
        :param chosen: of :meth:`chosen`.
        :param share: the phase's.
        """
        ...

    def back(self, previous: Previous, touched: Sequence[str]) -> list[Wanted]:
        """What a rollback asks for, one step after the other.

        :param previous: what every instance ran before the deployment.
        :param touched: of :meth:`touched`.
        :raises ReleaseError: it is not known what a unit is to return to.
        """
        ...

    def recovering(self, previous: Previous, touched: Sequence[str]) -> Wanted:
        """What has to be healthy after the steps of :meth:`back`, though none of them asked for it.

        :param previous: what every instance ran before the deployment.
        :param touched: of :meth:`touched`.
        """
        ...

    def whole(self, previous: Previous, release: Release) -> Wanted:
        """What runs when the release has the whole environment.

        :param previous: what every instance ran before the deployment.
        :param release: the deployment's.
        """
        ...

    def touched(self, phases: Iterable[Phase]) -> list[str]:
        """Every unit that a deployment has, or may have, changed.

        :param phases: those that have begun.
        """
        ...

    def carried(self, previous: Previous, touched: Sequence[str]) -> bool:
        """Whether others can carry the traffic of what was touched.

        :param previous: what every instance ran before the deployment.
        :param touched: of :meth:`touched`.
        """
        ...

    def named(self, chosen: Sequence[str], instances: Sequence[Instance], release: Release) -> list[str]:
        """The names of the instances that a phase has deployed to.

        :param chosen: of :meth:`chosen`.
        :param instances: as the target has just listed them.
        :param release: the deployment's.
        """
        ...

    def sides(
        self, phase: Phase, previous: Previous, release: Release, instances: Sequence[Instance]
    ) -> tuple[list[str], list[str]]:
        """The names of canary and control.

        :param phase: the phase that is verified.
        :param previous: what every instance ran before the deployment.
        :param release: the deployment's.
        :param instances: as the target has just listed them.
        """
        ...


class ByInstance:
    """Instances have names: each phase takes so many of them, and remembers which."""

    def chosen(self, previous: Previous, share: int, already: Sequence[str], traffic: int | None = None) -> list[str]:
        """As of :class:`Division`: those of earlier phases, and the first others by name up to the share."""
        return choose_instances(sorted(previous), share, already)

    def forward(self, release: Release, chosen: Sequence[str], share: int) -> list[Wanted]:
        """As of :class:`Division`: all at once."""
        return [dict.fromkeys(chosen, release)]

    def back(self, previous: Previous, touched: Sequence[str]) -> list[Wanted]:
        """As of :class:`Division`: all at once, each to its own release."""
        if unknown := [name for name in touched if name not in previous]:
            raise ReleaseError(f"it is not known what {', '.join(unknown)} ran before the deployment.")
        return [{name: previous[name] for name in touched}]

    def recovering(self, previous: Previous, touched: Sequence[str]) -> Wanted:
        """As of :class:`Division`: nothing else."""
        return {}

    def whole(self, previous: Previous, release: Release) -> Wanted:
        """As of :class:`Division`: it runs on every instance."""
        return dict.fromkeys(previous, release)

    def touched(self, phases: Iterable[Phase]) -> list[str]:
        """As of :class:`Division`: the instances of all phases, sorted by name."""
        return sorted({name for phase in phases for name in phase.instances})

    def carried(self, previous: Previous, touched: Sequence[str]) -> bool:
        """As of :class:`Division`: another instance is there."""
        return not set(previous) <= set(touched)

    def named(self, chosen: Sequence[str], instances: Sequence[Instance], release: Release) -> list[str]:
        """As of :class:`Division`: the chosen ones."""
        return list(chosen)

    def sides(
        self, phase: Phase, previous: Previous, release: Release, instances: Sequence[Instance]
    ) -> tuple[list[str], list[str]]:
        """As of :class:`Division`: those of the phase, and the others on which something ran."""
        running = {name for name, old in previous.items() if old is not None}
        return list(phase.instances), sorted(running - set(phase.instances))


class ByTrack:
    """The platform makes replicas: a canary beside the stable ones has a share, the last phase changes these."""

    def chosen(self, previous: Previous, share: int, already: Sequence[str], traffic: int | None = None) -> list[str]:
        """As of :class:`Division`: the canary, with the whole environment the stable replicas too."""
        return [Track.CANARY] if share < WHOLE or traffic is not None else [Track.CANARY, Track.STABLE]

    def forward(self, release: Release, chosen: Sequence[str], share: int) -> list[Wanted]:
        """As of :class:`Division`: the canary carries traffic until the stable replicas have the release."""
        if Track.STABLE not in chosen:
            return [{Track.CANARY: release}]
        return [{Track.STABLE: release}, {Track.CANARY: None}]

    def back(self, previous: Previous, touched: Sequence[str]) -> list[Wanted]:
        """As of :class:`Division`: the stable replicas first where they were touched, then the canary goes."""
        steps: list[Wanted] = []
        if Track.STABLE in touched:
            steps.append({Track.STABLE: most_common(previous.values())})
        return [*steps, {Track.CANARY: None}] if touched else steps

    def recovering(self, previous: Previous, touched: Sequence[str]) -> Wanted:
        """As of :class:`Division`: nothing else, the stable replicas are as they were."""
        return {}

    def whole(self, previous: Previous, release: Release) -> Wanted:
        """As of :class:`Division`: it runs on the stable replicas, and there are no others."""
        return {Track.STABLE: release, Track.CANARY: None}

    def touched(self, phases: Iterable[Phase]) -> list[str]:
        """As of :class:`Division`: what a phase of its share changes, whatever its replicas are called by now."""
        units = {unit for phase in phases for unit in self.chosen({}, phase.share, (), phase.traffic)}
        return sorted(units)

    def carried(self, previous: Previous, touched: Sequence[str]) -> bool:
        """As of :class:`Division`: the stable replicas are as they were, and there are some."""
        return Track.STABLE not in touched and any(old is not None for old in previous.values())

    def named(self, chosen: Sequence[str], instances: Sequence[Instance], release: Release) -> list[str]:
        """As of :class:`Division`: the replicas that run the release now."""
        found = [one for one in instances if one.unit in chosen and one.runs(release)]
        return sorted(one.name for one in found if one.health != STARTING)

    def sides(
        self, phase: Phase, previous: Previous, release: Release, instances: Sequence[Instance]
    ) -> tuple[list[str], list[str]]:
        """As of :class:`Division`: the replicas that run the release now, and those that run what ran before.

        Those that are kept without requests until the deployment is over are no control: they show nothing.
        """
        if phase.traffic == WHOLE:
            previous = {}
        before = [old for old in previous.values() if old is not None]
        # What has not begun to run has nothing to show, and perhaps no name yet.
        instances = [one for one in instances if one.started is not None or one.health != STARTING]
        canary = [one.name for one in instances if one.runs(release)]
        control = [one.name for one in instances if not one.runs(release) and any(one.runs(old) for old in before)]
        return sorted(canary), sorted(control)


class InPlace(ByTrack):
    """The canary is made of stable replicas, which are stable ones again when they have come back from it."""

    def back(self, previous: Previous, touched: Sequence[str]) -> list[Wanted]:
        """As of :class:`Division`: what the canary was made of first, whose template may be that of all of them."""
        return super().back(previous, touched)[::-1]

    def recovering(self, previous: Previous, touched: Sequence[str]) -> Wanted:
        """As of :class:`Division`: those that the canary was made of."""
        return {Track.STABLE: most_common(previous.values())} if touched and previous else {}


def division_of(target: Any) -> Division:
    """How deployments divide the environment of a target.

    :param target: of either shape, or what stands for it.
    """
    if in_place(target):
        return InPlace()
    return ByTrack() if makes_replicas(target) else ByInstance()
