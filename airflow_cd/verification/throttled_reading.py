"""Reading a source with what it says of its rate limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from airflow_cd.verification.samples import LogSample, LogSource, MetricSample, MetricSource, Window
from airflow_cd.verification.throttling import Notes, Throttling, note, noted

Sample = TypeVar("Sample", LogSample, MetricSample)


def read_logs(source: LogSource, window: Window, names: Sequence[str]) -> LogSample:
    """Read a source of logs, with what it says of its rate limit in the sample.

    :param source: to be read.
    :param window: of the records.
    :param names: of the instances.
    :raises Exception: whatever the source raises.
    """
    with noted() as notes:
        sample = source.read(window, names)
    return _with(sample, notes)


def read_metrics(source: MetricSource, window: Window, names: Sequence[str]) -> MetricSample:
    """Read a source of metrics, with what it says of its rate limit in the sample.

    :param source: to be read.
    :param window: of the metrics.
    :param names: of the instances.
    :raises Exception: whatever the source raises.
    """
    with noted() as notes:
        sample = source.read(window, names)
    return _with(sample, notes)


def _with(sample: Sample, notes: Notes) -> Sample:
    said, own = notes.all, getattr(sample, "throttling", None)
    if own is not None:  # of a source that calls its service in its own way
        note(own)
    if said == Throttling() or not hasattr(sample, "throttling"):
        return sample
    return replace(sample, throttling=(own or Throttling()) + said)
