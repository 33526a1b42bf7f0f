"""How fast this machine is while the tests run, so that none fails of what is slow and not wrong."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable

PATIENCE = 900.0
"""Seconds after which what has not come on a real Airflow never will: two processors may have other work as well."""


def slowness() -> float:
    """How many times longer than alone something takes while other processes want the processors as well."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def pace(work: Callable[[], object], times: int = 2) -> float:
    """Processor time of ``work`` as a multiple of a fixed piece's in the same moments, some 50 ms on an idle core.

    :param work: done ``times`` times.
    :param times: the least multiple of so many counts.
    """
    found, before = [], _seconds(_fixed)
    for _ in range(times):
        took, after = _seconds(work), _seconds(_fixed)
        found.append(2 * took / (before + after))
        before = after
    return min(found)


def _fixed() -> None:
    rows = [{"name": f"row {number}", "value": number * 0.5, "kind": str(number % 7)} for number in range(10_000)]
    rows.sort(key=lambda row: row["kind"])
    json.loads(json.dumps(rows, indent=1))


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
