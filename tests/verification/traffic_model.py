"""A model of a small shop's traffic, for verifications by the hundred: what a metric source would hand out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from airflow_cd.verification.samples import METRIC_COLUMNS, Metric

START = pd.Timestamp("2026-11-23T08:00:00Z")
METRICS = (
    Metric("response_time", "latency", unit="ms"),
    Metric("response_time.p95", "latency", unit="ms"),
    Metric("error_rate", "errors", unit="share"),
    Metric("throughput", "throughput", "either", unit="requests"),
    Metric("apdex", "apdex", "lower_is_worse"),
)
PAGES = ("home", "product", "search", "basket", "checkout", "quote", "gift", "returns", "admin")
_SHARES = np.array([0.3, 0.25, 0.15, 0.1, 0.08, 0.05, 0.03, 0.02, 0.02])
_MILLISECONDS = np.array([6.0, 9, 14, 8, 22, 12, 15, 18, 25])
_SATISFIED = 20.0


@dataclass(frozen=True)
class Model:
    """How the instances behave.

    :param rate: requests a second and instance.
    :param slower: factor on every duration; a sequence has one for each instance.
    :param errors: share of requests that fail.
    :param hosts: standard deviation between like instances.
    :param spread: standard deviation of the logarithm of durations.
    """

    buckets: int = 60
    bucket: float = 1.0
    rate: float = 4.0
    slower: float | Sequence[float] = 1.0
    errors: float = 0.01
    hosts: float = 0.03
    spread: float = 0.5


def shared_load(rng: np.random.Generator, buckets: int) -> np.ndarray:
    """Factors on durations that every instance has at the same time: slow waves of about 10 %."""
    waves = np.convolve(rng.normal(0, 0.3, buckets + 20), np.ones(10) / 10, "same")[10 : 10 + buckets]
    return np.exp(waves)


def metric_rows(rng: np.random.Generator, names: Sequence[str], load: np.ndarray, model: Model) -> pd.DataFrame:
    """Rows as a metric source hands them out, for these instances."""
    per_cell = rng.poisson(model.rate * model.bucket, (model.buckets, len(names)))
    bucket, instance = (np.repeat(index.ravel(), per_cell.ravel()) for index in np.indices(per_cell.shape))
    page = rng.choice(len(PAGES), len(bucket), p=_SHARES)
    host = np.exp(rng.normal(0, model.hosts, len(names))) * np.broadcast_to(model.slower, len(names))
    duration = _MILLISECONDS[page] * np.exp(rng.normal(0, model.spread, len(bucket))) * host[instance] * load[bucket]
    failed = (rng.random(len(bucket)) < model.errors).astype(float)
    score = np.where(duration <= _SATISFIED, 1.0, np.where(duration <= 4 * _SATISFIED, 0.5, 0.0))
    cells, cell, count = np.unique(
        (bucket * len(names) + instance) * len(PAGES) + page, return_inverse=True, return_counts=True
    )
    order = np.lexsort((duration, cell))
    ends = np.cumsum(count)
    p95 = duration[order][ends - 1 - np.floor(0.05 * count).astype(int)]
    values = {
        "response_time": np.bincount(cell, duration) / count,
        "response_time.p95": p95,
        "error_rate": np.bincount(cell, failed),
        "throughput": count.astype(float),
        "apdex": np.bincount(cell, score) / count,
    }
    times = START + pd.to_timedelta(cells // len(PAGES) // len(names) * model.bucket, unit="s")
    hosts = np.array(names)[cells // len(PAGES) % len(names)]
    pages = np.array(PAGES)[cells % len(PAGES)]
    columns = dict(zip(METRIC_COLUMNS, (times, hosts, "", pages, 0.0, count), strict=True))
    return pd.concat(
        [pd.DataFrame({**columns, "metric": name, "value": value}) for name, value in values.items()],
        ignore_index=True,
    )


def until(frame: pd.DataFrame, seconds: float) -> pd.DataFrame:
    """What was there after so many seconds."""
    return frame[frame["time"] < START + pd.Timedelta(seconds=seconds)]
