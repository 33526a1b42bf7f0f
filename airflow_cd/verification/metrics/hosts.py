"""How much instances that do the same differ, and what of the other side is not like the rest of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from airflow_cd.verification.metrics.null import COUNTED, Taught
from airflow_cd.verification.metrics.rows import Rows, summed
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.metrics.words import duration, share

_FEWEST = 3  # instances to say how much they differ, and which is the odd one
_ODD = math.log(1.4)  # a smaller difference makes no instance an odd one
_SIGMAS = 5.0  # of the others' spread
_OUTAGE = 8.0  # times the usual share of failed requests
_LEAST_RATE = 0.005  # of the requests: a service of which less fails has no outage at eight times that
_FEWEST_FAILED = 20.0
_LARGEST_PART = 1 / 3  # of the time: what is so more often is usual
_ABSENT = 0.5  # of the usual number of buckets: an instance with fewer says little


def levels(rows: Rows, *, counts: bool) -> dict[int, float]:
    """Logarithm of the level of each instance that was there for most of the time.

    :param rows: of one side.
    :param counts: whether values are numbers of events.
    """
    size = len(rows.instance_names)
    buckets = summed(rows.instance, np.ones(len(rows)), size)
    totals = summed(rows.instance, rows.value if counts else rows.total, size)
    divisor = summed(rows.instance, rows.count, size)
    usual = float(np.median(buckets[buckets > 0])) if (buckets > 0).any() else 0.0
    return {
        code: math.log(totals[code] / divisor[code])
        for code in range(size)
        if buckets[code] >= _ABSENT * usual and divisor[code] > 0 and totals[code] > 0
    }


def with_spread(taught: Taught, rows: Rows, sides: Sides) -> Taught:
    """What was taught, and what these instances say about how much like ones differ.

    :param taught: by earlier deployments.
    :param rows: of instances that did the same at the same time, before the deployment or on the control.
    :param sides: the metric's sides.
    """
    if sides.metric.kind in COUNTED:
        return taught  # sampling is most of what they differ by
    known = list(levels(rows, counts=False).values())
    if len(known) < _FEWEST:
        return taught
    freedom = len(known) - 1.0
    total = float(taught.host_freedom) + freedom
    variance = (float(taught.host_variance) * float(taught.host_freedom) + float(np.var(known)) * len(known)) / total
    return replace(taught, host_variance=variance, host_freedom=total)


def without_odd(sides: Sides) -> tuple[Sides, str]:
    """The sides without the one instance of the control that is far from all others, and a note of it.

    :param sides: of one metric; as they are, and ``""``, where there is none.
    """
    if not sides.paired or sides.metric.kind in COUNTED:
        return sides, ""
    known = levels(sides.control, counts=False)
    if len(known) <= _FEWEST:
        return sides, ""
    codes, values = np.array(list(known)), np.array(list(known.values()))
    odd = int(np.abs(values - np.median(values)).argmax())
    others = np.delete(values, odd)
    apart = abs(values[odd] - float(np.median(others)))
    if apart < max(_ODD, _SIGMAS * float(np.std(others))):
        return sides, ""
    code = int(codes[odd])
    left = replace(sides, control=sides.control.where(sides.control.instance != code))
    return left, f"{sides.control.instance_names[code]} of the control is left out, it is far from all others"


def without_outage(sides: Sides) -> tuple[Sides, str]:
    """The sides without the buckets before the deployment in which far more failed than usual, and what was left out.

    A release that is held against an outage may fail as often as that.

    :param sides: of one metric; as they are, and ``""``, where there is nothing of the kind.
    """
    if sides.paired or sides.metric.kind != "errors" or not len(sides.control):
        return sides, ""
    times, bucket = np.unique(sides.control.time, return_inverse=True)
    failed, asked = (summed(bucket, values, len(times)) for values in (sides.control.value, sides.control.count))
    rate = np.divide(failed, asked, out=np.zeros(len(times)), where=asked > 0)
    usual = max(float(np.median(rate)), _LEAST_RATE)
    out = (rate > _OUTAGE * usual) & (failed >= _FEWEST_FAILED)
    if not out.any() or out.mean() > _LARGEST_PART:
        return sides, ""
    left = replace(sides, control=sides.control.where(~out[bucket]))
    minutes = duration(float(out.sum()) * sides.width / 1000.0)
    return left, f"{minutes} of an outage before the deployment are left out ({share(float(rate[out].max()))} failed)"
