"""Whether the controllers of the cluster have seen an object as it is written."""

from __future__ import annotations

import time
from collections.abc import Callable

from airflow_cd.hooks.kubernetes import Object

_POLL = 0.05
_SEEN_WITHIN = 3.0
"""Seconds within which a controller that is at work has seen a change."""


def is_seen(one: Object) -> bool:
    """Whether its controller has seen an object as it is written; an annotation is a change to it, too.

    :param one: as it was read.
    """
    seen = (one.get("status") or {}).get("observedGeneration", 0)
    return bool(seen >= one["metadata"].get("generation", 0))


def deadline() -> float:
    """When a controller that is at work has seen what is written now, in seconds of the monotonic clock."""
    return time.monotonic() + _SEEN_WITHIN


def await_seen(read: Callable[[], Object | None], ends: float | None = None) -> None:
    """Wait a moment until its controller has seen an object. Whoever reads it then says so where it never does.

    :param read: reads the object; None where it is gone, for which nothing is waited.
    :param ends: as of :func:`deadline`, for several that are waited for together; by default it counts from now.
    """
    ends = deadline() if ends is None else ends
    while time.monotonic() < ends:
        there = read()
        if there is None or is_seen(there):
            return
        time.sleep(_POLL)
