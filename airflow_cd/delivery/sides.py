"""Who canary and control are, and how, asked of the target: where a platform makes replicas, they come and go."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_cd import clock
from airflow_cd.delivery.division import ByTrack, division_of
from airflow_cd.delivery.draining import was_drained_last
from airflow_cd.errors import TargetError, TargetRejected, TargetUnavailable
from airflow_cd.instances import FAILED, HEALTHY, STARTING, UNHEALTHY, WHOLE, Track
from airflow_cd.targets.base import in_place, keeps_names
from airflow_cd.verification.health import Condition
from airflow_cd.verification.reading import Sides

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from airflow_cd.delivery.delivery import Delivery
    from airflow_cd.instances import Instance
    from airflow_cd.ledger import Deployment, Phase


AWAY_FOR = timedelta(minutes=1)
"""How long a target of named instances that did not answer is not asked again: the watch must not wait for it."""

MOST_NOTES = 10
"""How much of what a target says of healthy replicas is told."""

GONE = "no replicas of the canary any more, which somebody has taken away"

NEAR = 1.0
"""Percent of the requests by which a weight may differ that is divided among replicas and rounded."""


class SidesNow:
    """Canary and control of a phase that is verified.

    :param delivery: the environment.
    :param deployment: the run's.
    :param phase: the phase.
    """

    def __init__(self, delivery: Delivery, deployment: Deployment, phase: Phase) -> None:
        self._delivery = delivery
        self._deployment = deployment
        self._phase = phase
        self._division = division_of(delivery.target)
        self._stable: int | None = None
        self._canary: int | None = None
        drained = was_drained_last(delivery.ledger, deployment)
        self._weight = 0.0 if drained else float(phase.share if phase.traffic is None else phase.traffic)
        self._not_before: datetime | None = None
        self._notes: dict[str, str] = {}

    @property
    def change(self) -> bool:
        """Whether they may be others at every look."""
        return isinstance(self._division, ByTrack)

    def at_first(self) -> tuple[list[str], list[str]]:
        """Their names when the verification begins.

        :raises TargetError: the target has to be asked, and cannot be.
        """
        instances = self._delivery.target.instances() if self.change else []
        canary, control = self._read(instances)
        # A canary none of whose replicas is left is watched by the names that it had.
        return canary or list(self._phase.instances), control

    def now(self) -> Sides | None:
        """Who they are now, and how; None while the target does not say it.

        :raises TargetRejected: somebody else has changed the canary, or nobody knows any more which one it is.
        """
        if self._not_before is not None and clock.now() < self._not_before:
            return None
        try:
            instances = self._delivery.target.instances()
        except TargetError as error:
            self._delivery.log(f"Which instances there are, and how they are, is unknown now: {error.what}")
            self._not_before = None if self.change else clock.now() + AWAY_FOR
            return None
        self._not_before = None
        self._delivery.show(instances)
        if not self.change:
            canary, control = self._read(instances)
            return Sides(tuple(canary), tuple(control), conditions=_conditions(instances))
        self._note(instances)
        self._require_canary(instances)
        canary, control = self._read(instances)
        self._keep_share(instances)
        deployed = self._phase.instances
        # Those that were deployed to are the new release's from then on, however often they have started again since.
        joined = set(canary) - set(deployed)
        starts = {one.name: one.started for one in instances if one.started is not None and one.name in joined}
        # What never ran, as the cluster refuses it, says nothing about the release.
        conditions = _conditions(one for one in instances if one.started is not None or one.name in deployed)
        return Sides(tuple(canary), tuple(control), starts, conditions, tuple(self._notes.values()))

    def _note(self, instances: Sequence[Instance]) -> None:
        """Tell, once, what a target says of replicas that are well: whoever has changed something beside the canary."""
        for one in instances:
            # What counts something says the same when it counts more.
            known = re.sub(r"\d+", "", one.message)
            if one.health == HEALTHY and known and known not in self._notes and len(self._notes) < MOST_NOTES:
                self._notes[known] = f"{one.name}: {one.message}."
                self._delivery.log(self._notes[known])

    @property
    def _has_canary(self) -> bool:
        """Whether the release is beside what ran before, and not in its place."""
        return self._phase.share < WHOLE or self._phase.traffic is not None

    def _require_canary(self, instances: Sequence[Instance]) -> None:
        """Refuse to go on where a revision was the canary and none is: what is watched then is anybody's."""
        if not keeps_names(self._delivery.target) or not self._has_canary:
            return
        if not any(one.track == Track.CANARY for one in instances):
            there = "; ".join(sorted({one.message for one in instances} - {""}))
            raise TargetRejected(
                f"{', '.join(self._phase.instances)} is the canary no more: {there or 'somebody has taken it away'}.",
                state="nothing was changed by this look.",
                next_step="Find out who has changed it. The deployment goes back to what ran before; start it again "
                "when nobody else changes it.",
            )

    def _keep_share(self, instances: Sequence[Instance]) -> None:
        """Ask for the canary's share again when there are more or fewer replicas, or its weight is another one."""
        weight = self._weight_of_canary(instances)
        if weight is not None:
            changed = self._other_weight(weight)
            if not changed or self._ask(changed):
                # What could not be asked for now is another weight at the next look, too.
                self._weight = weight
        canary = sum(one.track == Track.CANARY for one in instances)
        if not canary and not in_place(self._delivery.target) and self._has_canary:
            self._notes.setdefault(GONE, f"At one look there were {GONE}.")
            self._ask(GONE)
            self._canary = None
            return
        if self._phase.share >= WHOLE:
            return
        # Of replicas that are the canary's in their places there are as many as before, whichever they are.
        stable = sum(one.track == Track.STABLE or in_place(self._delivery.target) for one in instances)
        # While replicas are being made or taken away, their number says nothing of what was asked for.
        settled = all(one.health != STARTING for one in instances)
        if self._stable not in (None, stable):
            changed = f"{stable} stable replicas now, not {self._stable}"
        elif settled and self._canary not in (None, canary):
            changed = f"{canary} replicas of the canary now, not {self._canary}"
        else:
            self._stable = stable
            self._canary = canary if settled else self._canary
            return
        if not self._ask(changed):
            return
        # Of another number of stable replicas it is another number.
        self._canary = self._canary if stable == self._stable else None
        self._stable = stable

    def _weight_of_canary(self, instances: Sequence[Instance]) -> float | None:
        """Percent of the requests at the canary; None where there are no weights, or not all of them yet."""
        of_canary = [one for one in instances if one.track == Track.CANARY]
        if not of_canary or any(one.weight is None or one.health == STARTING for one in of_canary):
            return None
        return sum(one.weight or 0.0 for one in of_canary)

    def _other_weight(self, weight: float) -> str:
        """What has become of the canary's weight since it was given, or the last look; ``""`` where it is the same."""
        if abs(weight - self._weight) <= NEAR:
            return ""
        return f"{weight:g} % of the requests at the canary now, not {self._weight:g} %"

    def _ask(self, changed: str) -> bool:
        """Ask for the canary's share; whether it was asked for. A target that refuses ends the verification."""
        self._delivery.log(f"There are {changed}: asking for the share of the canary again.")
        try:
            self._delivery.ask_for_share(self._deployment, self._phase)
        except TargetUnavailable as error:
            self._delivery.log(f"The canary's share is as it was: {error.what}")
            return False
        return True

    def _read(self, instances: Sequence[Instance]) -> tuple[list[str], list[str]]:
        previous, release = self._deployment.previous, self._deployment.release
        return self._division.sides(self._phase, previous, release, instances)


def _conditions(instances: Iterable[Instance]) -> dict[str, Condition]:
    return {
        one.name: Condition(
            (one.message or f"it is {one.health}") if one.health in (FAILED, UNHEALTHY) else "",
            one.health == FAILED,
            one.started,
        )
        for one in instances
    }
