"""What the instances of an environment were last seen to run, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_cd.ledger import RunningInstance
from airflow_cd.targets.base import EMPTY, HEALTHY


@dataclass(frozen=True)
class Seen:
    """What was seen.

    :param releases: what runs, on how many instances.
    :param trouble: instances that are not as they should be, in words.
    :param at: when they were looked at; None when they never were.
    """

    releases: Sequence[tuple[str, int]]
    trouble: str
    at: datetime | None


def seen_of(running: Sequence[RunningInstance]) -> Seen:
    """The ledger's observations of one environment, put together."""
    instances = [found.instance for found in running]
    counted = Counter(found.artifact or found.version or "nothing" for found in instances)
    ill = [f"{found.name} is {found.health}" for found in instances if found.health not in (HEALTHY, EMPTY)]
    ill += [f"{found.name} gets no requests" for found in instances if found.drained]
    at = max((found.observed_at for found in running), default=None)
    return Seen(counted.most_common(), "; ".join(ill), at)
