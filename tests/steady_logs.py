"""What an instance logs that always has something to do: the same records, in whatever pieces they are read.

A source that put everything at the beginning of what is asked for would say nothing of a canary that was alone on its
instance a moment later, as it is on a machine that is busy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone

from airflow_cd.verification.samples import Window

EVERY = 0.2
"""Seconds between two records of an instance."""


def times(window: Window) -> Iterator[datetime]:
    """When something is logged in the window."""
    for tick in range(math.ceil(window.since.timestamp() / EVERY), math.ceil(window.until.timestamp() / EVERY)):
        yield datetime.fromtimestamp(tick * EVERY, timezone.utc)


def orders(window: Window, instances: Sequence[str]) -> list[tuple[datetime, str, str]]:
    """Orders of every instance: time, instance, message."""
    return [
        (at, name, f"2026-01-01T00:00:00.000Z INFO shop - order {round(at.timestamp() / EVERY) % 1000} placed")
        for at in times(window)
        for name in instances
    ]


def errors(window: Window, instances: Sequence[str], since: datetime) -> list[tuple[datetime, str, str]]:
    """The exception of a release that is bad since a moment, likewise."""
    line = "2026-01-01T00:00:00.000Z ERROR shop - TaxTableMissing: no table for region 9"
    return [(at, name, line) for at in times(window) if at >= since for name in instances]
