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
_SILENT_ALONE = 10  # the same where nothing was watched meanwhile,
_PLENTY_ALONE = 50.0  # so many records are to be expected there,
_LONGER = 3.0  # and it is so many times as long as any silence of the baseline
_HARDLY = 0.1  # of what is to be expected


def silent_files(canary: Sequence[Course], control: Sequence[Course], baseline: Sequence[Course]) -> list[Reason]:
    """The canary's files that have no records for much of the time in which there should have been plenty.

    How many there should have been is what the file itself had while it went on, or what the other files had at that
    time, whichever is less; without another file of that time, what the baseline has in as much time.

    :param canary: of each file of the canary.
    :param control: of each file of the control.
    :param baseline: of each file of the baseline.
    """
    reasons = []
    usual = [other for other in baseline if _length(other) > 0 and other.records >= _PLENTY_ALONE]
    for one in canary:
        others = [other for other in (*canary, *control) if other is not one and _at_once(one, other)]
        reason = _beside(one, others) if others else _alone(one, usual)
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
        if one.times and one.content in known
    ]


def _beside(one: Course, others: Sequence[Course]) -> Reason | None:
    edges = np.linspace(one.times[0], max(course.times[-1] for course in (one, *others)), _PARTS + 1)
    usual = np.quantile([_counts(other, edges) for other in others], 0.25, axis=0, method="lower")
    return _silence(one, edges, usual, _SILENT, PLENTY, "the others went on")


def _alone(one: Course, baseline: Sequence[Course]) -> Reason | None:
    if _length(one) <= 0 or not baseline:
        return None
    edges = np.linspace(one.times[0], one.times[-1], _PARTS + 1)
    rate = min(other.records / _length(other) for other in baseline)
    longest = max(float(np.diff(other.times).max()) for other in baseline)
    parts = max(_SILENT_ALONE, int(np.ceil(_LONGER * longest / (edges[1] - edges[0]))))
    usual = np.full(_PARTS, rate * (edges[1] - edges[0]))
    return _silence(one, edges, usual, parts, _PLENTY_ALONE, "the baseline has no such silence")


def _silence(one: Course, edges: np.ndarray, usual: np.ndarray, parts: int, plenty: float, words: str) -> Reason | None:
    counts = _counts(one, edges)
    expected = np.minimum(usual, one.records / max(1, int(np.count_nonzero(counts))))
    begin, end = _longest_run(counts <= _HARDLY * expected)
    missing, there = float(expected[begin:end].sum()), float(counts[begin:end].sum())
    if end - begin < parts or missing < plenty:
        return None
    last = max((time for time in one.times if time <= edges[begin]), default=edges[begin])
    seconds = float(edges[end] - last)
    few, length = "no" if there < 1 else "hardly any", format_duration(timedelta(seconds=round(seconds)))
    since = iso_time_of(int(last * 1000))
    text = (
        f"{one.name} has {few} records after {since} ({length}), where about {missing:.0f} were "
        f"to be expected: {words}."
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
