"""Fixed limits beside the statistics, for those who have promised a number."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_cd.verification.profile import iso_time
from airflow_cd.verification.rows import Rows, pair_of_rows, summed
from airflow_cd.verification.samples import Metric
from airflow_cd.verification.verdict import Reason

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Threshold:
    """A limit that a metric of the canary must not cross, over all its instances and groups together.

    It is checked in every bucket, whatever the statistics say of it: one bucket is enough, or ``in_a_row`` of them
    one after another. Buckets without requests are passed over.

    :param metric: name of the metric, as the source calls it; when several sources are watched, with or without the
        source's name before it (``"New Relic shop: error_rate"``).
    :param above: the value it must not exceed: errors as a share of the requests (0.02 is 2 %), throughput as a number
        for each instance and bucket, everything else in the metric's own unit.
    :param below: the value it must not fall below.
    :param percent: by how many percent it may differ from the other side (the control in the same bucket, else the
        time before), in the direction in which the metric gets worse.
    :param in_a_row: how many buckets one after another must cross it.
    :param min_requests: fewest requests in a bucket for it to count; gauges have none and always count.
    """

    metric: str
    above: float | None = None
    below: float | None = None
    percent: float | None = None
    in_a_row: int = 1
    min_requests: int = 1

    def mistakes(self) -> list[str]:
        """What is wrong with it, one sentence each."""
        return [f"threshold of {self.metric!r}: {mistake}" for mistake in self._mistakes()]

    def _mistakes(self) -> Iterator[str]:
        if not isinstance(self.metric, str) or not self.metric.strip():
            yield "it names no metric"
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
        for name in ("in_a_row", "min_requests"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                yield f"{name} is {value!r}, must be a whole number of at least 1"

    def is_of(self, metric: Metric) -> bool:
        """Whether it speaks of this metric."""
        return metric.name == self.metric or metric.name.endswith(f": {self.metric}")


def mistakes_of(thresholds: object) -> Iterator[str]:
    """What is wrong with what an author gave as thresholds."""
    if not isinstance(thresholds, (list, tuple)):
        yield f"thresholds must be a list, got {thresholds!r}"
        return
    for threshold in thresholds:
        if isinstance(threshold, Threshold):
            yield from threshold.mistakes()
        else:
            yield f"thresholds holds {threshold!r}, which is no Threshold"


def crossed(
    thresholds: Sequence[Threshold], metrics: Sequence[Metric], canary: pd.DataFrame, other: pd.DataFrame | None
) -> list[Reason]:
    """A reason (``threshold_crossed``) for each limit that the canary has crossed.

    A threshold of a metric that is not watched is a reason too (``threshold_unknown``): it was meant to protect.

    :param other: what the canary is compared with.
    """
    found = []
    for threshold in thresholds:
        meant = [metric for metric in metrics if threshold.is_of(metric)]
        for metric in meant:
            reason = _crossed(threshold, metric, canary, other)
            found += [] if reason is None else [reason]
        if not meant and metrics:
            known = ", ".join(metric.name for metric in metrics)
            text = f"There is a threshold of {threshold.metric}, which no source measures; measured are {known}."
            found.append(Reason("threshold_unknown", text, {"metric": threshold.metric}))
    return found


def _crossed(threshold: Threshold, metric: Metric, canary: pd.DataFrame, other: pd.DataFrame | None) -> Reason | None:
    gauge = metric.kind == "gauge"
    pair = pair_of_rows(
        canary, canary.iloc[:0] if other is None else other, metric.name, ignore_count=gauge, negative=gauge
    )
    (ours, _), (theirs, _) = pair
    times, values, requests = _points(ours, metric)
    counts = gauge or (requests >= threshold.min_requests)
    times, values = times[np.broadcast_to(counts, times.shape)], values[np.broadcast_to(counts, values.shape)]
    if not len(times):
        return None
    for limit, beyond, words in _limits(threshold, metric, times, _points(theirs, metric)):
        hits = beyond(values)
        at = _in_a_row(hits, threshold.in_a_row)
        if at is None:
            continue
        value, line = float(values[at]), float(limit[at])
        row = "" if threshold.in_a_row == 1 else f" in {threshold.in_a_row} buckets in a row"
        unit = f" {metric.unit}" if metric.unit else ""
        text = f"{metric.name}: {value:.4g}{unit} at {iso_time(int(times[at]))} is {words} {line:.4g}{unit}{row}."
        numbers: dict[str, float | int | str | None] = {
            "value": value,
            "limit": line,
            "in_a_row": threshold.in_a_row,
            "metric": metric.name,
            "at": iso_time(int(times[at])),
            "percent": threshold.percent,
        }
        return Reason("threshold_crossed", text, numbers)
    return None


def _limits(
    threshold: Threshold, metric: Metric, times: np.ndarray, other: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> Iterator[tuple[np.ndarray, Any, str]]:
    """Each limit as a value for every bucket, the test whether values lie beyond it, and that in words."""
    if threshold.above is not None:
        limit = np.full(len(times), float(threshold.above))
        yield limit, lambda values: values > threshold.above, "above the threshold of"
    if threshold.below is not None:
        limit = np.full(len(times), float(threshold.below))
        yield limit, lambda values: values < threshold.below, "below the threshold of"
    if threshold.percent is None or not len(other[0]):
        return
    usual = float(np.average(other[1], weights=np.maximum(other[2], 1e-9)))
    same_time = dict(zip(other[0].tolist(), other[1].tolist(), strict=True))
    # Without the very bucket, what is usual there.
    levels = np.array([same_time.get(when, usual) for when in times.tolist()])
    share = threshold.percent / 100.0
    high, low = levels * (1.0 + share), levels * (1.0 - share)
    words = f"{threshold.percent:g} % beyond the other side's, more than"
    if metric.direction != "lower_is_worse":
        yield high, lambda values: values > high, words
    if metric.direction != "higher_is_worse":
        yield low, lambda values: values < low, words.replace("more", "less")


def _points(rows: Rows, metric: Metric) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times of the buckets that hold something, the metric's value in each, and its requests."""
    times, bucket = np.unique(rows.time, return_inverse=True)
    size = len(times)
    requests = summed(bucket, rows.count, size)
    if metric.kind in ("errors", "throughput"):
        totals = summed(bucket, rows.value, size)
        divisor = requests if metric.kind == "errors" else np.full(size, max(1, len(np.unique(rows.instance))))
    else:
        totals, divisor = summed(bucket, rows.total, size), requests
    held = divisor > 0
    return times[held], totals[held] / divisor[held], requests[held]


def _in_a_row(hits: np.ndarray, number: int) -> int | None:
    """Where so many hits in a row end, the first time; None if nowhere."""
    length = 0
    for place, hit in enumerate(hits):
        length = length + 1 if hit else 0
        if length == number:
            return place
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
