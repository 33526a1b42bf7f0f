"""What is given once, by a task or a test run, and from then on holds for as long as is watched."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from airflow_cd.verification.samples import Metric, MetricSample, Window

MOMENT = timedelta(seconds=1)
"""Width of the bucket that a result stands in."""

_began: dict[str, datetime] = {}
_arrived: dict[str, datetime] = {}
_lock = threading.Lock()


def watched_since(key: str, window: Window) -> datetime:
    """From when on a source is watched in this process: the earliest window that was read.

    :param key: what tells the source from all others of this process.
    :param window: that is read.
    """
    with _lock:
        _began[key] = min(_began.get(key, window.since), window.since)
        return _began[key]


def given_once(
    key: str,
    window: Window,
    instances: Sequence[str],
    metrics: Sequence[Metric],
    values: Mapping[Metric, float],
    *,
    query: str,
    warnings: Sequence[str] = (),
) -> MetricSample:
    """The sample of values that say something of the release as a whole, in the window in which they were seen first.

    :param key: what tells this result from all others of this process.
    :param window: that is read.
    :param instances: of the canary: the values stand at each of them.
    :param metrics: what may be given.
    :param values: by metric, what has been given by now.
    :param query: where it comes from.
    :param warnings: what a reader should know of it.
    """
    from airflow_cd.sources.frames import partly_counted_metric_frame

    rows = []
    if values and instances and window.length:
        with _lock:
            at = _arrived.setdefault(key, window.since)
        if window.since <= at < window.until:
            rows = [
                (at, instance, metric.name, "", value, float("nan"))
                for metric, value in values.items()
                for instance in sorted(set(instances))
            ]
    return MetricSample(partly_counted_metric_frame(rows), tuple(metrics), query, MOMENT, tuple(warnings))
