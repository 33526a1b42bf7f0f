"""Requests: how many an instance gets is the router's business, unless they all but stop, or one instance gets none."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from airflow_cd.verification.metrics.findings import reason_of, title_of
from airflow_cd.verification.metrics.layout import moments_of
from airflow_cd.verification.metrics.load import is_asked
from airflow_cd.verification.metrics.rows import Rows
from airflow_cd.verification.metrics.siblings import DIFFERS
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.metrics.spared import is_asked_of_others
from airflow_cd.verification.metrics.words import number
from airflow_cd.verification.verdict import MetricResult, Reason, Verdict

_COLLAPSED = 0.1  # of its share of the traffic before, or of what its siblings get
_ENOUGH_TO_COLLAPSE = 30.0  # requests to be expected
_CLEARLY_FEWER = 2 / 3  # of the fewest there were before, over as long a time
_SIGMAS = 4.0  # by which numbers of requests differ by chance
_FEWEST_SIBLINGS = 2
_LIKE_EACH_OTHER = 1 / 3  # of their median, that each sibling gets: else a router or a leader decides
_FEWEST_MOMENTS = 9  # to tell a line by
_FELL = 0.5  # of its share at first, that is left at last
_STRAIGHT = 0.9  # correlation of the share with time, without its sign


def judge_throughput(base: MetricResult, sides: Sides) -> MetricResult:
    """How much traffic an instance gets is the router's business; only that it all but stops is the release's.

    What may be either is INCONCLUSIVE: far fewer requests than ever before where there is no control, a share that
    falls all the time beside one, and an instance that gets none of what the others get.

    :param base: the result so far.
    :param sides: its rows.
    """
    ours, theirs = base.canary["mean"], base.control["mean"]
    effect = ours / theirs - 1.0 if theirs else None
    result = replace(base, effect=effect)
    if sides.compared_with == "control" and not sides.group:
        times = np.unique(sides.control.time)
        late = times[-max(1, len(times) // 3)]
        was = [float(side.value[side.time < late].sum()) for side in (sides.canary, sides.control)]
        now = [float(side.value[side.time >= late].sum()) for side in (sides.canary, sides.control)]
        expected = was[0] / was[1] * now[1] if was[1] else 0.0
        if expected >= _ENOUGH_TO_COLLAPSE and now[0] < _COLLAPSED * expected:
            text = f"{title_of(sides)}: collapsed to {now[0]:.0f} requests where {expected:.0f} were to be expected."
            numbers = {"observed": now[0], "expected": expected}
            return replace(result, verdict=Verdict.FAIL, reason=Reason("metric_regressed", text, numbers))
    asked = is_asked(sides.metric) and not is_asked_of_others(sides.metric) and not sides.group and not sides.groups
    doubted = (_far_fewer(result, sides) or _falling(sides) or _left_out(sides)) if asked else None
    if doubted is not None:
        return replace(result, verdict=Verdict.INCONCLUSIVE, reason=doubted)
    return replace(result, verdict=Verdict.PASS, reason=reason_of(result, sides, "no_regression"))


def _far_fewer(result: MetricResult, sides: Sides) -> Reason | None:
    """Why there are fewer requests than there ever were before, if so: nobody knows whether users or the release."""
    if sides.paired:
        return None
    parts = []
    # More instances get fewer requests each, and of fewer instances not all may have the release.
    for each in (False, True):
        ours, theirs = (_over_time(rows, each=each) for rows in (sides.canary, sides.control))
        length = min(len(ours), len(theirs))
        if length < _FEWEST_MOMENTS:
            return None
        fewest = float(np.lib.stride_tricks.sliding_window_view(theirs, length).mean(axis=1).min())
        chance = _SIGMAS / math.sqrt(max(fewest * length, 1.0))
        parts.append(float(ours.mean()) / (fewest * (1.0 - chance)) if fewest > 0 and chance < 1.0 else 1.0)
    if max(parts) > _CLEARLY_FEWER:
        return None
    reason = reason_of(result, sides, "not_certain")
    text = f"{reason.text[:-1]}, fewer than ever before. Do fewer users come, or does the release lose their requests?"
    return replace(reason, text=text)


def _falling(sides: Sides) -> Reason | None:
    """Why a share of the traffic that falls all the time is asked about, if it does: requests may go elsewhere."""
    if not sides.paired:
        return None
    times = np.intersect1d(sides.canary.time, sides.control.time)
    both = [_over_time(rows.where(np.isin(rows.time, times)), each=True) for rows in (sides.canary, sides.control)]
    if len(times) < _FEWEST_MOMENTS or both[0].sum() < _ENOUGH_TO_COLLAPSE or both[1].min() <= 0.0:
        return None
    part = both[0] / both[1]
    third = len(part) // 3
    first, middle, last = float(part[:third].mean()), float(part[third:-third].mean()), float(part[-third:].mean())
    if not first > middle > last or last > _FELL * first or not part.std():
        return None
    if float(np.corrcoef(part, np.arange(len(part)))[0, 1]) > -_STRAIGHT:
        return None
    text = (
        f"{title_of(sides)}: as many as {number(first)} times what an instance of the control gets at first, "
        f"{number(last)} times at last, and fewer all the time. Do requests go elsewhere?"
    )
    return Reason("not_certain", text, {"first": first, "last": last})


def _left_out(sides: Sides) -> Reason | None:
    """Why an instance that gets next to nothing of what all others of the canary get is asked about, if there is one.

    One that got as little before, or as one of the control gets, stands by, as it always did.
    """
    ours = _rates(sides.canary)
    name = min(ours, key=lambda one: ours[one], default="")
    others = [rate for other, rate in ours.items() if other != name]
    if len(others) < _FEWEST_SIBLINGS:
        return None
    usual = float(np.median(others))
    expected = usual * float((sides.canary.instance == sides.canary.instance_names.index(name)).sum())
    if expected < _ENOUGH_TO_COLLAPSE or ours[name] >= _COLLAPSED * usual or min(others) < _LIKE_EACH_OTHER * usual:
        return None
    if any(rate < _COLLAPSED * usual for rate in _rates(sides.control).values()):
        return None
    text = f"{title_of(sides)}: {number(ours[name])} on {name}, {number(usual)} on the other instances of the canary."
    return Reason(DIFFERS, text, {"instance": name, "instances": len(ours)})


def _rates(rows: Rows) -> dict[str, float]:
    """How many requests each instance gets in a bucket."""
    return {rows.instance_names[code]: float(rows.value[rows.instance == code].mean()) for code in rows.instances()}


def _over_time(rows: Rows, *, each: bool) -> np.ndarray:
    """How many requests there are in each bucket: all of them, or by instance."""
    if not len(rows):
        return np.zeros(0)
    moments, _ = moments_of(replace(rows, value=rows.value + 1.0, count=np.ones(len(rows))))
    values = np.where(moments.present, moments.value - 1.0, np.nan)
    known = np.isfinite(values).any(axis=0)
    return np.asarray((np.nanmean if each else np.nansum)(values[:, known], axis=0))
