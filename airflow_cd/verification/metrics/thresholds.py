"""Fixed limits beside the statistics, for service level objectives and the like."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.verification.samples import Metric


@keeps_misspelt_keywords
@dataclass(frozen=True)
class Threshold:
    """A limit that a metric of the canary must not cross, over all its instances and groups together.

    It is checked in every bucket, whatever the statistics say of it: one bucket is enough, or ``in_a_row`` of them
    one after another. Buckets without requests are passed over. At least one of ``above``, ``below`` and ``percent``
    must be given.

    :param metric: name of the metric, as the source calls it; when several sources are watched, with or without the
        source's name before it (``"New Relic shop: error_rate"``).
    :param above: the value it must not exceed, on the scale on which the source gives the metric: milliseconds,
        requests per minute, a success rate from 0 to 1 or in per cent. Errors that come as numbers are a share of the
        requests (0.02 is 2 %); requests and events that come as numbers are a number for each instance and bucket. Of
        what comes as a part of 1 a limit above 1 is in per cent.
    :param below: the value it must not fall below.
    :param percent: by how many percent it may differ from the other side (the control in the same bucket, else the
        time before), in the direction in which the metric gets worse; 50 is half as much again.
    :param in_a_row: how many buckets one after another must cross it; 1 by default.
    :param min_requests: fewest requests in a bucket for it to count, 1 by default; buckets of gauges, shares and
        counts of events always count.
    """

    metric: str
    above: float | None = None
    below: float | None = None
    percent: float | None = None
    in_a_row: int = 1
    min_requests: int = 1

    def mistakes(self) -> list[str]:
        """Everything that is wrong with it, one sentence each; empty when it can be used."""
        return [f"threshold of {self.metric!r}: {mistake}" for mistake in self._mistakes()]

    def _mistakes(self) -> Iterator[str]:
        if not isinstance(self.metric, str) or not self.metric.strip():
            yield "it names no metric"
        yield from self._wrong_limits()
        for name in ("in_a_row", "min_requests"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                yield f"{name} is {value!r}, must be a whole number of at least 1"

    def _wrong_limits(self) -> Iterator[str]:
        given = {name: getattr(self, name) for name in ("above", "below", "percent")}
        if all(value is None for value in given.values()):
            yield "give above, below or percent"
        for name, value in given.items():
            if value is not None and not _is_number(value):
                yield f"{name} is {value!r}, must be a number"
        above, below, percent = (value if _is_number(value) else None for value in given.values())
        if percent is not None and percent <= 0:
            yield f"percent is {percent!r}, must be above 0 (50 is half as much again)"
        if above is not None and below is not None and below >= above:
            yield f"below ({below!r}) is not less than above ({above!r}), so nothing could pass"

    def is_of(self, metric: Metric) -> bool:
        """Whether it speaks of this metric."""
        return is_named(metric, self.metric)


def is_named(metric: Metric, name: str) -> bool:
    """Whether an author's name is this metric's, with or without the name of its source before it.

    :param metric: as it is watched.
    :param name: as the author wrote it.
    """
    return metric.name == name or metric.name.endswith(f": {name}")


def mistakes_of(thresholds: object) -> Iterator[str]:
    """What is wrong with what an author gave as thresholds, one sentence each.

    :param thresholds: what was given; should be a list of :class:`Threshold`.
    """
    if not isinstance(thresholds, (list, tuple)):
        yield f"thresholds must be a list, got {thresholds!r}"
        return
    for threshold in thresholds:
        if isinstance(threshold, Threshold):
            yield from threshold.mistakes()
        else:
            yield f"thresholds holds {threshold!r}, which is not a Threshold"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
