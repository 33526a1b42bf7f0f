"""Whether a drain has kept all requests from what was drained, and whether it is the last that was done there."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from airflow_cd.errors import TargetError
from airflow_cd.instances import EMPTY, STARTING
from airflow_cd.states import ActionKind
from airflow_cd.targets.base import in_place

if TYPE_CHECKING:
    from airflow_cd.delivery.sealed_target import SealedTarget
    from airflow_cd.ledger import Deployment, Ledger


def are_out(target: SealedTarget, units: Collection[str]) -> bool:
    """Read back whether no request reaches what was drained.

    A target may have nothing that divides requests, as a worker has not that takes its work from a queue; clients may
    reach an instance past whoever divides them; and nobody divides any where no other is left to answer. What cannot be
    read now is not known to be out.

    :param target: the environment, after the drain.
    :param units: what was drained.
    """
    try:
        instances = target.instances()
    except TargetError:
        return False
    # What has not begun to run gets no requests yet.
    idle = (STARTING, EMPTY)
    there = [one for one in instances if one.unit in units and (one.started or one.health not in idle)]
    # Where the canary is some of the environment's own replicas, none of it means that all of them are taken for it.
    return (bool(there) or not in_place(target)) and all(one.drained for one in there)


def was_drained_last(ledger: Ledger, deployment: Deployment, *, back: ActionKind = ActionKind.RESTORE) -> bool:
    """Whether a deployment was drained, and got its traffic not back since, as the ledger has recorded it.

    :param ledger: has recorded it.
    :param deployment: the canary's.
    :param back: what gives it back.
    """
    either = (ActionKind.DRAIN, back)
    kinds = [one.kind for one in ledger.actions.of(deployment.id) if one.kind in either]
    return kinds[-1:] == [ActionKind.DRAIN]
