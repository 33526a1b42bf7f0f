"""Log files that say nothing: of a process that stopped logging, or copies of what they are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from airflow_cd.durations import format_duration
from airflow_cd.verification.files.log_times import Course
from airflow_cd.verification.per_instance import PLENTY
from airflow_cd.verification.times import iso_time_of
from airflow_cd.verification.verdict import Reason

_PARTS = 20  # of the time from the file's first record to the end of what was watched
_SILENT = 4  # parts in a row that are a silence
_HARDLY = 0.1  # of what is to be expected


def silent_files(canary: Sequence[Course], control: Sequence[Course]) -> list[Reason]:
    """The canary's files that have no records for much of the time in which there should have been plenty.

    How many there should have been is what the file itself had while it went on, or what the other files had at that
    time, whichever is less.

    :param canary: of each file of the canary.
    :param control: of each file of the control.
    """
    reasons = []
    for one in canary:
        others = [other for other in (*canary, *control) if other is not one and _at_once(one, other)]
        reason = _silence(one, others) if others else None
        if reason is not None:
            reasons.append(reason)
    return reasons


def copies(canary: Sequence[Course], control: Sequence[Course], baseline: Sequence[Course]) -> list[Reason]:
    """The canary's files that are the same as one that they are compared with, times included: they say nothing.

    :param canary: of each file of the canary.
    :param control: of each file of the control.
    :param baseline: of each file of the baseline.
    """
    known = {other.content: other.name for other in (*control, *baseline) if other.records}
    return [
        Reason(
            "same_data",
            f"{one.name} has the same records as {known[one.content]}, times included: that says nothing.",
            {"records": one.records},
        )
        for one in canary
        if _length(one) > 0 and one.content in known
    ]


def _silence(one: Course, others: Sequence[Course]) -> Reason | None:
    edges = np.linspace(one.times[0], max(course.times[-1] for course in (one, *others)), _PARTS + 1)
    usual = np.quantile([_counts(other, edges) for other in others], 0.25, axis=0, method="lower")
    counts = _counts(one, edges)
    expected = np.minimum(usual, one.records / max(1, int(np.count_nonzero(counts))))
    begin, end = _longest_run(counts <= _HARDLY * expected)
    missing, there = float(expected[begin:end].sum()), float(counts[begin:end].sum())
    if end - begin < _SILENT or missing < PLENTY:
        return None
    last = max((time for time in one.times if time <= edges[begin]), default=edges[begin])
    seconds = float(edges[end] - last)
    few, length = "no" if there < 1 else "hardly any", format_duration(timedelta(seconds=round(seconds)))
    since = iso_time_of(int(last * 1000))
    text = (
        f"{one.name} has {few} records after {since} ({length}), where about {missing:.0f} were "
        "to be expected: the others went on."
    )
    return Reason("instance_silent", text, {"expected": missing, "seconds": seconds, "instance": one.name})


def _counts(course: Course, edges: np.ndarray) -> np.ndarray:
    counts: np.ndarray = np.histogram(course.times, edges)[0] * (course.records / len(course.times))
    return counts


def _longest_run(flags: np.ndarray) -> tuple[int, int]:
    best, begin = (0, 0), 0
    for at, flag in enumerate(flags):
        if not flag:
            begin = at + 1
        elif at + 1 - begin > best[1] - best[0]:
            best = begin, at + 1
    return best


def _at_once(one: Course, other: Course) -> bool:
    """Whether both were written at one time; of a log that was rotated one part begins where the other ends."""
    return bool(one.times and other.times) and other.times[0] < one.times[-1] and one.times[0] < other.times[-1]


def _length(course: Course) -> float:
    return course.times[-1] - course.times[0] if course.times else 0.0
