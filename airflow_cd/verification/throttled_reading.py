"""Reading a source with what it says of its rate limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from airflow_cd.verification.samples import LogSample, MetricSample, Window
from airflow_cd.verification.throttling import Throttling, note, noted

Sample = TypeVar("Sample", bound="LogSample | MetricSample")


def read_sample(read: Callable[[Window, Sequence[str]], Sample], window: Window, names: Sequence[str]) -> Sample:
    """Read a source, with what it says of its rate limit in the sample.

    :param read: of the source.
    :param window: that is read.
    :param names: of the instances.
    :raises Exception: whatever the source raises.
    """
    with noted() as notes:
        sample = read(window, names)
    said, own = notes.all, getattr(sample, "throttling", None)
    if own is not None:  # of a source that calls its service in its own way
        note(own)
    if said == Throttling() or not hasattr(sample, "throttling"):
        return sample
    return replace(sample, throttling=(own or Throttling()) + said)
