"""The steps of a release that the ledger records, at each of which something may die."""

from __future__ import annotations

import contextlib
import enum
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_cd.errors import LedgerError
from airflow_cd.states import ActionKind, DeploymentState

if TYPE_CHECKING:
    from airflow_cd.ledger import Deployment, Ledger
    from tests.faults.kills import Lane

PATIENCE = 120.0
"""Seconds that a step may keep one waiting; then it is struck all the same."""
ANY = 25.0
"""Seconds that a release takes, about, on a quiet machine."""


class Fate(enum.Enum):
    """What is to become of a release that nothing happens to."""

    GOOD = "good"
    BAD_AT_HALF = "bad at half"
    BAD_AT_ALL = "bad at all"

    @property
    def share(self) -> int:
        """Percent of the environment at which it turns bad."""
        return 50 if self is Fate.BAD_AT_HALF else 100


@dataclass(frozen=True)
class Step:
    """Something that the ledger records.

    :param reached: whether it has, of a deployment.
    :param fates: of the releases that come to it.
    """

    reached: Callable[[Ledger, Deployment], bool] | None
    fates: tuple[Fate, ...] = tuple(Fate)

    def wait(self, lane: Lane, chance: random.Random) -> None:
        """Return when the step is reached, or a moment after."""
        if self.reached is None:
            time.sleep(chance.uniform(0.0, ANY))
            return
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(LedgerError):
                found = lane.deployment()
                if found is not None and (self.reached(lane.place.ledger, found) or DeploymentState(found.state).final):
                    break
            time.sleep(0.05)
        time.sleep(chance.choice((0.0, 0.0, chance.uniform(0.0, 1.0), chance.uniform(0.0, 3.0))))


def _action(kind: ActionKind, *, ended: bool) -> Callable[[Ledger, Deployment], bool]:
    return lambda ledger, deployment: any(
        one.kind == kind and (one.ok is not None or not ended) for one in ledger.actions.of(deployment.id)
    )


def _deployed(share: int) -> Callable[[Ledger, Deployment], bool]:
    return lambda ledger, deployment: any(
        one.share == share and one.deployed_at for one in ledger.phases.of(deployment.id)
    )


def _verdict(*, final: bool) -> Callable[[Ledger, Deployment], bool]:
    return lambda ledger, deployment: any(one.final or not final for one in ledger.verdicts.of(deployment.id))


_BAD = (Fate.BAD_AT_HALF, Fate.BAD_AT_ALL)
_ALL = (Fate.GOOD, Fate.BAD_AT_ALL)

STEPS: dict[str, Step] = {
    "any moment": Step(None),
    "opened": Step(lambda ledger, deployment: True),
    "deploying": Step(_action(ActionKind.DEPLOY, ended=False)),
    "deployed": Step(_deployed(50)),
    "looked": Step(_verdict(final=False)),
    "decided": Step(_verdict(final=True)),
    "all: started": Step(
        lambda ledger, deployment: any(one.share == 100 for one in ledger.phases.of(deployment.id)), _ALL
    ),
    "all: deployed": Step(_deployed(100), _ALL),
    "drained": Step(_action(ActionKind.DRAIN, ended=True), (Fate.BAD_AT_HALF,)),
    "blamed": Step(lambda ledger, deployment: deployment.cause is not None, _BAD),
    "rolling back": Step(lambda ledger, deployment: deployment.state == DeploymentState.ROLLING_BACK, _BAD),
    "restoring": Step(_action(ActionKind.ROLLBACK, ended=False), _BAD),
    "restored": Step(_action(ActionKind.ROLLBACK, ended=True), _BAD),
    "settled": Step(lambda ledger, deployment: DeploymentState(deployment.state).final),
}
