"""Whether a canary has crossed a fixed threshold, and where."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from airflow_cd.verification.metrics.rows import Rows, pair_of_rows, summed
from airflow_cd.verification.metrics.thresholds import Threshold
from airflow_cd.verification.metrics.words import number, share
from airflow_cd.verification.samples import Metric
from airflow_cd.verification.times import iso_time_of
from airflow_cd.verification.verdict import Reason

if TYPE_CHECKING:
    import pandas as pd

_PARTS = ("errors", "share")  # kinds whose rows hold parts of 1


def crossed(
    thresholds: Sequence[Threshold],
    metrics: Sequence[Metric],
    canary: pd.DataFrame,
    other: pd.DataFrame | None,
    factors: Mapping[str, float] | None = None,
) -> list[Reason]:
    """A reason (``threshold_crossed``) for each limit that the canary has crossed.

    A threshold of a metric that is not watched is a reason too (``threshold_unknown``): it was meant to protect.

    :param thresholds: the author's limits.
    :param metrics: the metrics that are watched.
    :param canary: rows of the canary, as :class:`~airflow_cd.verification.samples.MetricSample` has them.
    :param other: what the canary is compared with.
    :param factors: by the name of a metric, what the values of the rows were multiplied by since the source gave them;
        limits are on the source's scale. None for nothing.
    """
    found = []
    for threshold in thresholds:
        meant = [metric for metric in metrics if threshold.is_of(metric)]
        for metric in meant:
            factor = (factors or {}).get(metric.name, 1.0)
            reason = _crossed(_read(threshold, metric, factor), metric, canary, other, factor)
            found += [] if reason is None else [reason]
        if not meant and metrics:
            known = ", ".join(metric.name for metric in metrics)
            text = f"There is a threshold of {threshold.metric}, which no source measures; measured are {known}."
            found.append(Reason("threshold_unknown", text, {"metric": threshold.metric}))
    return found


def _read(threshold: Threshold, metric: Metric, factor: float) -> Threshold:
    """The threshold on the scale of the rows."""
    limits = {}
    for name in ("above", "below"):
        limit = getattr(threshold, name)
        if limit is not None:
            per_cent = metric.kind in _PARTS and factor == 1.0 and limit > 1.0
            limits[name] = limit / 100.0 if per_cent else limit * factor
    return replace(threshold, **limits)


def _crossed(
    threshold: Threshold, metric: Metric, canary: pd.DataFrame, other: pd.DataFrame | None, factor: float
) -> Reason | None:
    gauge = metric.kind == "gauge"
    pair = pair_of_rows(
        canary, canary.iloc[:0] if other is None else other, metric.name, ignore_count=gauge, negative=gauge
    )
    (ours, _), (theirs, _) = pair
    times, values, requests = _points(ours, metric)
    counts = metric.kind in ("gauge", "share", "count") or (requests >= threshold.min_requests)
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
        shown = [share(one) if metric.kind in _PARTS else number(one / factor, metric.unit) for one in (value, line)]
        text = f"{metric.name}: {shown[0]} at {iso_time_of(int(times[at]))} is {words} {shown[1]}{row}."
        numbers: dict[str, float | int | str | None] = {
            "value": value / factor,
            "limit": line / factor,
            "in_a_row": threshold.in_a_row,
            "metric": metric.name,
            "at": iso_time_of(int(times[at])),
            "percent": threshold.percent,
        }
        return Reason("threshold_crossed", text, numbers)
    return None


def _limits(
    threshold: Threshold, metric: Metric, times: np.ndarray, other: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> Iterator[tuple[np.ndarray, Callable[[np.ndarray], np.ndarray], str]]:
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
