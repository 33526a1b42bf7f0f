"""What a report shows of one metric: its figures on either side, its course, its instances."""

from __future__ import annotations

import math

import numpy as np

from airflow_cd.verification.metrics.rows import Rows, summed
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.samples import Metric
from airflow_cd.verification.times import iso_time_of

POINTS_KEPT = 240  # of a series in the evidence


def summary_of(rows: Rows, metric: Metric) -> dict[str, float]:
    """``mean`` (a share for errors, per instance and bucket for throughput), ``requests`` and ``buckets``.

    :param rows: of one side.
    :param metric: which metric.
    """
    buckets = float(len(np.unique(rows.time)))
    summary = {"mean": 0.0, "requests": rows.requests, "buckets": buckets}
    if metric.kind == "errors":
        summary["errors"] = float(rows.value.sum())
        summary["mean"] = summary["errors"] / rows.requests if rows.requests else 0.0
    elif metric.kind == "throughput":
        cells = buckets * len(np.unique(rows.instance))
        summary["mean"] = float(rows.value.sum()) / cells if cells else 0.0
    elif rows.requests:
        summary["mean"] = float(rows.total.sum() / rows.requests)
    return summary


def series_of(sides: Sides) -> dict[str, list[tuple[str, float]]]:
    """Points over time of either side, pooled over instances and groups, thinned to :data:`POINTS_KEPT`.

    :param sides: the rows of one metric on either side.
    """
    return {"canary": _points(sides.canary, sides.metric), "control": _points(sides.control, sides.metric)}


def means_of(sides: Sides) -> dict[str, float]:
    """Mean of each canary instance.

    :param sides: the rows of one metric on either side.
    """
    return {name: summary_of(sides.of_instance(name).canary, sides.metric)["mean"] for name in sides.instances}


def _points(rows: Rows, metric: Metric) -> list[tuple[str, float]]:
    times, bucket = np.unique(rows.time, return_inverse=True)
    step = max(1, math.ceil(len(times) / POINTS_KEPT))
    point = bucket // step
    size = -(-len(times) // step)
    counted = metric.kind in ("errors", "throughput")
    totals = summed(point, rows.value if counted else rows.total, size)
    divisor = summed(point, rows.count, size)
    if metric.kind == "throughput":
        cells = np.unique(bucket * (int(rows.instance.max(initial=0)) + 1) + rows.instance, return_index=True)[1]
        divisor = summed(point[cells], np.ones(len(cells)), size)
    values = np.divide(totals, divisor, out=np.zeros(size), where=divisor > 0)
    return [(iso_time_of(int(when)), float(value)) for when, value in zip(times[::step], values, strict=True)]
