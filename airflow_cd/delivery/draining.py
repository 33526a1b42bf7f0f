"""Whether a drain has kept all requests from what was drained."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from airflow_cd.errors import TargetError
from airflow_cd.instances import STARTING
from airflow_cd.targets.base import in_place

if TYPE_CHECKING:
    from airflow_cd.delivery.sealed_target import SealedTarget


def are_out(target: SealedTarget, units: Collection[str]) -> bool:
    """Read back whether no request reaches what was drained.

    Replicas that are changed in place have names of their own, or roles, by which clients reach them past whoever
    divides requests; and nobody divides any where no other is left to answer. Of all other targets a drain that returns
    is done. What cannot be read now is not known to be out.

    :param target: the environment, after the drain.
    :param units: what was drained.
    """
    if not in_place(target):
        return True
    try:
        instances = target.instances()
    except TargetError:
        return False
    # What has not begun to run gets no requests yet.
    there = [one for one in instances if one.unit in units and (one.started or one.health != STARTING)]
    return bool(there) and all(one.drained for one in there)
