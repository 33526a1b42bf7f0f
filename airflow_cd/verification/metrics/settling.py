"""Processes that still settle after their start, found by all their metrics at once.

How long a start takes nobody knows, and one metric alone is too noisy to say: a release that is slow and a process that
warms up look the same at first. But a process warms up as a whole: most of what it is measured by falls together. As
long as that goes on, and for as long again as a warm-up may take by itself, no level fails. A release that is slow in
one of many metrics, or slow in all of them alike from the first minute on, is none of this.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from airflow_cd.verification.metrics.judge import NEW
from airflow_cd.verification.metrics.limits import Limits
from airflow_cd.verification.metrics.rows import summed
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.metrics.words import duration
from airflow_cd.verification.verdict import MetricResult, Verdict

SETTLING = "settling"
"""Code of the reason of a result that is held up by it."""

_FEWEST = 4  # metrics that say the same
_KINDS = ("latency", "gauge", "share")  # kinds of which a start changes the level
_FALLS = math.log(1.15)  # from one moment to the next ones: less is nothing
_SIGMAS = 2.0  # of the middle of all metrics
_OF_A_MEDIAN = 1.25  # times as wide as a mean's: the standard error of a median
_NORMAL = 1.4826  # standard deviations to a median absolute deviation


def while_settling(results: Sequence[MetricResult], sides: Mapping[str, Sides], limits: Limits) -> list[MetricResult]:
    """The results, those that fail by a level held up while the canary's processes still settle.

    :param results: of all metrics and groups.
    :param sides: by the name of a metric, its rows.
    :param limits: what every metric is held to.
    """
    held = [place for place, one in enumerate(results) if one.verdict is Verdict.FAIL and one.kind in _KINDS]
    changed = list(results)
    if not held:
        return changed
    since = settled_since(list(sides.values()), limits)
    if since is None:
        return changed
    for place in held:
        one = results[place]
        text = (
            f"{one.reason.text[:-1]}; but all metrics together fell until {duration(since / 1000.0)} after the start."
        )
        changed[place] = replace(
            one, verdict=Verdict.INCONCLUSIVE, reason=replace(one.reason, code=SETTLING, text=text)
        )
    return changed


def settled_since(sides: Sequence[Sides], limits: Limits) -> float | None:
    """At what age, in milliseconds, a process of the canary came to rest that may not be at rest; None without any.

    :param sides: of all metrics.
    :param limits: what every metric is held to.
    """
    known = [one for one in sides if one.metric.kind in _KINDS and one.width and len(one.canary) and len(one.control)]
    if len(known) < _FEWEST:
        return None
    width = min(one.width for one in known)
    found = []
    for name in sorted({name for one in known for name in one.instances}):
        own = [one.of_instance(name) for one in known if name in one.instances]
        watched = max(one.watched for one in own)
        longest = limits.longest(watched)
        courses = [_course(one, width, math.ceil(NEW * longest / width)) for one in own]
        fell = _falls_until(np.array(courses)) * width
        if fell and watched - fell <= longest:
            found.append(float(fell))
    return max(found, default=None)


def _course(sides: Sides, width: int, buckets: int) -> np.ndarray:
    """How far an instance was from the other side at each age, for the worse, on the log scale; NaN where unknown."""
    ours, theirs = sides.scale.of(sides.canary), sides.scale.of(sides.control)
    usual = np.array([np.median(theirs.value[own]) if own.any() else 0.0 for own in _groups(theirs.group, sides)])
    ages = sides.lives.ages(sides.canary) // width
    good = (ours.value > 0) & (usual[ours.group] > 0) & (ages < buckets)
    logs = np.log(ours.value[good] / usual[ours.group[good]])
    if sides.paired:
        logs = logs - _shared(sides, usual, ours.time[good])
    sign = -1.0 if sides.direction == "lower_is_worse" else 1.0
    place = ages[good].astype(int)
    number = summed(place, np.ones(len(place)), buckets)
    total = summed(place, sign * logs, buckets)
    return np.where(number > 0, total / np.maximum(number, 1.0), np.nan)


def _groups(group: np.ndarray, sides: Sides) -> list[np.ndarray]:
    return [group == code for code in range(len(sides.control.group_names))]


def _shared(sides: Sides, usual: np.ndarray, at: np.ndarray) -> np.ndarray:
    """How far the other side was from its own usual level at these times: both sides have that in common."""
    theirs = sides.scale.of(sides.control)
    good = (theirs.value > 0) & (usual[theirs.group] > 0)
    times, bucket = np.unique(theirs.time[good], return_inverse=True)
    if not len(times):
        return np.zeros(len(at))
    logs = np.log(theirs.value[good] / usual[theirs.group[good]])
    mean = summed(bucket, logs, len(times)) / summed(bucket, np.ones(len(logs)), len(times))
    place = np.minimum(np.searchsorted(times, at), len(times) - 1)
    return np.where(times[place] == at, mean[place], 0.0)


def _falls_until(courses: np.ndarray) -> int:
    """The number of buckets after which all metrics together no longer fall; 0 if they never do.

    :param courses: metrics and ages.
    """
    there = (~np.isnan(courses)).sum(axis=0) >= _FEWEST
    courses = courses[:, there]
    if courses.shape[1] < 2:
        return 0
    middle = np.nanmedian(courses, axis=0)
    spread = _NORMAL * np.nanmedian(np.abs(courses - middle)) * _OF_A_MEDIAN / math.sqrt(len(courses))
    least = max(_FALLS, _SIGMAS * math.sqrt(2.0) * float(spread))
    # The lowest of what follows, two moments in a row: a single low one is chance.
    after = np.minimum.accumulate(np.convolve(middle, [0.5, 0.5], "valid")[::-1])[::-1]
    after = np.append(after, min(after[-1], middle[-1]))[1:]
    falling = np.flatnonzero((middle[:-1] > least) & (middle[:-1] - after > least))
    return int(falling[-1]) + 1 if len(falling) else 0
