"""Figures of deliveries: periods of time, and what the deployments that ended in them come to. Rows in, numbers out."""

from __future__ import annotations

import bisect
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta, timezone
from typing import TypeVar

from airflow_cd.ledger.insights import EndedDeployment, FailVerdict, Reach
from airflow_cd.states import DeploymentState

Row = TypeVar("Row", EndedDeployment, FailVerdict)

FEWEST = 5
"""With fewer than this no share and no median is shown: each single one would move it too far."""

MOST_SERVICES = 25
"""Services that have a row of their own."""

DEFAULT_PERIOD = "30"
PERIODS = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "12 months"}


@dataclass(frozen=True)
class Period:
    """Time up to now in equal steps, and as much time before it to compare with.

    :param key: one of :data:`PERIODS`.
    :param step: ``day``, ``week`` or ``month``.
    :param starts: when each step begins, oldest first; each lasts until the next begins, the last until ``until``.
    """

    key: str
    step: str
    starts: Sequence[datetime]
    until: datetime

    @property
    def since(self) -> datetime:
        """When it begins."""
        return self.starts[0]

    @property
    def before(self) -> datetime:
        """When the time before it begins, which is exactly as long."""
        return self.since - (self.until - self.since)

    @property
    def days(self) -> float:
        """How long it is."""
        return (self.until - self.since) / timedelta(days=1)


def period_of(key: str, now: datetime) -> Period:
    """The period of that key, its first step at midnight UTC; of :data:`DEFAULT_PERIOD` for a key that is none."""
    key = key if key in PERIODS else DEFAULT_PERIOD
    now = now.astimezone(timezone.utc)
    today = datetime.combine(now.date(), time(), timezone.utc)
    if key == "365":
        months = [today.year * 12 + today.month - 1 - back for back in range(11, -1, -1)]
        return Period(key, "month", [datetime(m // 12, m % 12 + 1, 1, tzinfo=timezone.utc) for m in months], now)
    days, length = int(key), 7 if key == "90" else 1
    first = today - timedelta(days=days - 1)
    starts = [first + timedelta(days=day) for day in range(0, days, length)]
    return Period(key, "week" if length == 7 else "day", starts, now)


@dataclass(frozen=True)
class Times:
    """Durations in seconds, shortest first."""

    values: Sequence[float] = ()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.values)

    @property
    def median(self) -> float | None:
        """Half of them were shorter, half longer."""
        return statistics.median(self.values) if self.values else None

    @property
    def most(self) -> float | None:
        """The 90th percentile: nine of ten were not longer. Of fewer than ten that is the slowest."""
        return self.values[math.ceil(0.9 * len(self.values)) - 1] if self.values else None

    @property
    def slowest(self) -> float | None:
        """The longest of them."""
        return self.values[-1] if self.values else None


def times(values: Iterable[float | None]) -> Times:
    """The durations that are known. One that clocks which differ make negative is none at all."""
    return Times(sorted(max(0.0, value) for value in values if value is not None))


@dataclass(frozen=True)
class Numbers:
    """A set of deployments in numbers.

    :param failed: rolled back, or whose rollback failed; ``unrestored``: the latter.
    :param lead: of the promoted ones. ``to_verdict``, ``to_safe`` and ``to_restored``: of the failed ones.
    :param alarms: FAIL verdicts; ``false_alarms``: those whose events are not a risk, according to later feedback.
    """

    promoted: int
    failed: int
    unrestored: int
    lead: Times
    to_verdict: Times
    to_safe: Times
    to_restored: Times
    alarms: int
    false_alarms: int

    @property
    def ended(self) -> int:
        """All deployments that ended."""
        return self.promoted + self.failed


def numbers_of(ended: Sequence[EndedDeployment], verdicts: Sequence[FailVerdict]) -> Numbers:
    """What these come to."""
    promoted = [one for one in ended if one.state == DeploymentState.PROMOTED]
    failed = [one for one in ended if one.state != DeploymentState.PROMOTED]
    return Numbers(
        promoted=len(promoted),
        failed=len(failed),
        unrestored=sum(one.state == DeploymentState.ROLLBACK_FAILED for one in failed),
        lead=times(one.lead for one in promoted),
        to_verdict=times(one.to_verdict for one in failed),
        to_safe=times(one.to_safe for one in failed),
        to_restored=times(one.to_restored for one in failed),
        alarms=len(verdicts),
        false_alarms=sum(one.false_alarm for one in verdicts),
    )


@dataclass(frozen=True)
class Insight:
    """A period in numbers.

    :param now: of the period; ``before``: of the time before it; ``steps``: of each step of the period.
    :param services: of each service in the period, those with most deployments first, at most :data:`MOST_SERVICES`;
        ``others``: how many more there are.
    """

    now: Numbers
    before: Numbers
    steps: Sequence[Numbers]
    services: Sequence[tuple[str, Numbers]]
    others: int = 0


def insight(period: Period, ended: Iterable[EndedDeployment], verdicts: Iterable[FailVerdict]) -> Insight:
    """Put deployments and verdicts where they belong.

    :param period: the period.
    :param ended: deployments that ended from ``period.before`` on.
    :param verdicts: FAIL verdicts of deployments that ended since then.
    """
    edges = [start.timestamp() for start in period.starts]
    placed, judged = _by_step(edges, ended), _by_step(edges, verdicts)
    steps = range(len(edges))
    ended_within = [one for step in steps for one in placed[step]]
    verdicts_within = [verdict for step in steps for verdict in judged[step]]
    counts = Counter(one.service for one in ended_within)
    counts.update(dict.fromkeys((verdict.service for verdict in verdicts_within), 0))
    most = sorted(counts, key=lambda service: (-counts[service], service))[:MOST_SERVICES]
    own, alarms = _by_service(ended_within), _by_service(verdicts_within)
    return Insight(
        now=numbers_of(ended_within, verdicts_within),
        before=numbers_of(placed[-1], judged[-1]),
        steps=[numbers_of(placed[step], judged[step]) for step in steps],
        services=[(service, numbers_of(own[service], alarms[service])) for service in most],
        others=max(0, len(counts) - MOST_SERVICES),
    )


def _by_step(edges: Sequence[float], rows: Iterable[Row]) -> defaultdict[int, list[Row]]:
    """Rows by the step that they ended in; -1 is the time before the first."""
    found: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[bisect.bisect_right(edges, row.ended) - 1].append(row)
    return found


def _by_service(rows: Iterable[Row]) -> defaultdict[str, list[Row]]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.service].append(row)
    return found


@dataclass
class Reached:
    """What can be asked about.

    :param services: every one.
    :param ends: by environment of the service that was asked about, how many runs ended there, less those that went on.
    """

    services: set[str] = field(default_factory=set)
    ends: Counter[str] = field(default_factory=Counter)

    @property
    def environments(self) -> list[str]:
        """By name."""
        return sorted(self.ends)

    @property
    def last(self) -> str:
        """The environment that deliveries reach last: where most runs end; ``""`` without any."""
        return max(self.environments, key=lambda name: self.ends[name], default="")


def reached_of(reached: Iterable[Reach], may_see: Collection[str], service: str = "") -> Reached:
    """Sum up what the runs of these pipelines have reached.

    :param service: whose environments are wanted; ``""`` means every one's.
    """
    found = Reached()
    for one in reached:
        if one.pipeline in may_see:
            found.services.add(one.service)
            if service in ("", one.service):
                found.ends[one.environment] += 2 * one.last - one.deployments
    return found
