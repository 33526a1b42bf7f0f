"""What the instances of an environment were last seen to run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_cd.ledger import RunningInstance
from airflow_cd.targets.base import EMPTY, HEALTHY


@dataclass(frozen=True)
class InstanceSummary:
    """The instances of one environment, put together.

    :param releases: what runs, and on how many instances, the most frequent first.
    :param problems: instances that are not as they should be, in a sentence; ``""`` without any.
    :param at: when they were last looked at; None when they never were.
    """

    releases: Sequence[tuple[str, int]]
    problems: str
    at: datetime | None


def summarize(running: Sequence[RunningInstance]) -> InstanceSummary:
    """Put the ledger's observations of one environment together.

    :param running: the last observation of each instance.
    """
    instances = [found.instance for found in running]
    counted = Counter(found.artifact or found.version or "nothing" for found in instances)
    problems = [f"{found.name} is {found.health}" for found in instances if found.health not in (HEALTHY, EMPTY)]
    problems += [f"{found.name} gets no requests" for found in instances if found.drained]
    at = max((found.observed_at for found in running), default=None)
    return InstanceSummary(counted.most_common(), "; ".join(problems), at)
