"""What part of the work the canary has, and what that lets expect of what it counts and uses.

How many requests an instance gets is the router's business. A canary with a weight of ten per cent serves fewer, sends
fewer bytes and holds fewer connections than a control, and is none the worse for it. Nor is a release that was deployed
at a busier time than the one before.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

import numpy as np

from airflow_cd.verification.metrics.cells import Comparison
from airflow_cd.verification.metrics.names.means import is_mean_of_each
from airflow_cd.verification.metrics.names.units import SIZES, suffix_of
from airflow_cd.verification.metrics.names.vocabulary import GRAVE, OCCUPIED, RESOURCES, STATE
from airflow_cd.verification.metrics.names.words import words_of
from airflow_cd.verification.metrics.rows import Rows, summed
from airflow_cd.verification.metrics.series.scale import AS_IT_IS
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.samples import Metric

# Metrics that say how much is asked of an instance, rather than what comes of it.
_ASKED = re.compile(
    r"(?<![a-z])(requests?|sessions?|visits?|calls|hits|rpm|rps|qps|records|consumed|received)(?![a-z])"
)
_ANSWERS = re.compile(r"(?<![a-z])(fail\w*|error\w*|reject\w*|drop\w*|timeouts?|success\w*|retr\w+)(?![a-z])")
UNEQUAL = math.log(1.25)  # a smaller difference of the loads changes nothing
_ANYWAY = frozenset(("gc", "pause", "collection", "period", "heartbeat", "scrape"))  # happen without requests too
_BUSY = frozenset(("cpu", "processor", "busy", "load", "utilization", "utilisation"))  # while requests are served
CONNECTED = frozenset(("connection", "conn", "cx", "session", "client", "subscriber"))
"""Words of what is held while somebody is connected."""

_SERVING = (RESOURCES | OCCUPIED | STATE | CONNECTED) - {"size", "length", "age"}  # summed over what is being served
ALIKE = math.log(1.15)
"""Apart, on the log scale, is what goes along."""

_FILLED = frozenset(("batch", "buffer", "chunk"))
_AVERAGED = frozenset(("avg", "average", "mean", "median"))
_LARGEST = 700.0  # a logarithm: beyond it there is no number


@dataclass(frozen=True)
class Load:
    """How much more or less than an instance of the control an instance of the canary has to do.

    :param ratio: of the canary's load to the control's.
    :param metric: which metric says so; ``""`` if it is the number of requests beside the others.
    :param over_time: without a control, that metric's rows now and before; None beside one.
    :param sure: whether it is a load beyond doubt: work that is lost looks like work that was never asked for.
    """

    ratio: float
    metric: str = ""
    over_time: Sides | None = None
    sure: bool = True

    @property
    def unequal(self) -> bool:
        """Whether the loads differ so much that what is counted differs with them."""
        return abs(math.log(self.ratio)) > UNEQUAL

    def expected(self, metric: Metric, seen: float) -> float:
        """How many times as much as on the control the load lets expect of this metric.

        What comes of requests is as many times as they are. What an instance uses lies between that and no
        difference at all: part of it serves requests, part of it is there anyway.

        :param metric: which metric.
        :param seen: how many times as much was seen.
        """
        if is_mean_of_each(metric.name):
            return 1.0
        if self.over_time is not None:
            # That there are fewer requests may be the release's doing.
            more = self.unequal and self.ratio > 1.0 and goes_with_requests(metric)
            return min(max(seen, 1.0), self.ratio) if more else 1.0
        if metric.kind in ("errors", "apdex", "latency", "share") or is_of_each(metric):
            return 1.0
        if metric.name == self.metric:
            return self.ratio if self.unequal else 1.0
        anyway = metric.kind == "count" and bool(_ANYWAY & set(words_of(metric.name)))
        if metric.kind in ("throughput", "count") and not anyway:
            return self.ratio
        if metric.direction == "lower_is_worse" or metric.unit in ("%", "percent") or not self.unequal:
            return 1.0
        if seen > 0 and abs(math.log(seen)) <= ALIKE:
            return 1.0  # it does not go with the load
        in_step = seen > 0 and abs(math.log(seen / self.ratio)) <= ALIKE
        if not in_step and not goes_with_load(metric):
            return 1.0
        return min(max(seen, min(1.0, self.ratio)), max(1.0, self.ratio))

    def may_explain(self, metric: Metric, seen: float) -> bool:
        """Whether a level whose name says nothing of it may be another one for this load.

        :param metric: which metric.
        :param seen: how many times as much as on the control was seen.
        """
        filled = bool(_FILLED & set(words_of(metric.name)))  # the fuller, the more there is to put in
        level = metric.kind == "gauge" and metric.direction == "either" and (filled or not is_of_each(metric))
        between = min(1.0, self.ratio) <= seen <= max(1.0, self.ratio)
        return self.over_time is None and self.unequal and level and between


def is_of_each(metric: Metric) -> bool:
    """Whether it is so much of each: an average, a quantile, an amount per request. More requests make it no more.

    Averages over time of what is being served (connections, processor) are no such ones.

    :param metric: which metric.
    """
    suffix = suffix_of(words_of(metric.name))
    if "per" in suffix.words:
        return True
    words = words_of(metric.name)
    averaged = suffix.percentile or bool(_AVERAGED & set(words))
    return averaged and not _SERVING & set(words)


def goes_with_load(metric: Metric) -> bool:
    """Whether its name says that an instance has less of it when it is asked for less, though not in proportion.

    :param metric: which metric.
    """
    if is_of_each(metric):
        return False
    told = bool(_SERVING & set(words_of(metric.name)) or metric.unit.removesuffix("/s") in SIZES)
    return metric.direction == "higher_is_worse" or told


def goes_with_requests(metric: Metric) -> bool:
    """Whether more requests are reason enough for more of it: what serves them, but not what is kept in memory.

    :param metric: which metric.
    """
    words = set(words_of(metric.name))
    if metric.kind == "share":
        return metric.direction == "higher_is_worse" and bool(_BUSY & words)
    kept = metric.unit in SIZES and metric.direction == "higher_is_worse"
    return metric.kind in ("gauge", "count") and metric.direction != "lower_is_worse" and not kept and not GRAVE & words


def at_usual_load(sides: Sides, asked: Sides) -> Sides:
    """The values as they would be had there never been more requests than is usual on the other side.

    :param sides: of a metric that goes with the requests.
    :param asked: the requests, of the same times.
    """
    usual = float(np.median(asked.control.value)) if len(asked.control) else 0.0
    if usual <= 0.0:
        return sides
    canary, control = (
        _divided(rows, work, usual) for rows, work in ((sides.canary, asked.canary), (sides.control, asked.control))
    )
    return replace(sides, canary=canary, control=control)


def _divided(rows: Rows, work: Rows, usual: float) -> Rows:
    times, bucket = np.unique(work.time, return_inverse=True)
    if not len(times):
        return rows
    mean = summed(bucket, work.value, len(times)) / summed(bucket, np.ones(len(work)), len(times))
    place = np.minimum(np.searchsorted(times, rows.time), len(times) - 1)
    more = np.where(times[place] == rows.time, np.maximum(mean[place] / usual, 1.0), 1.0)
    return replace(rows, value=rows.value / more)


def is_asked(metric: Metric) -> bool:
    """Whether the metric says how much is asked of an instance.

    :param metric: which metric.
    """
    words = re.sub(r"[^a-z0-9]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", metric.name).lower())
    return metric.kind == "throughput" and bool(_ASKED.search(words)) and not _ANSWERS.search(words)


def times_as_much(sides: Sides, comparison: Comparison) -> float:
    """How many times as much as on the control there is on the canary, in the values themselves.

    :param sides: the rows of one metric.
    :param comparison: of them, which may be on another scale.
    """
    if sides.scale == AS_IT_IS:
        return math.exp(min(float(comparison.log_ratio), _LARGEST))
    ours, theirs = (float(np.mean(rows.value)) for rows in (sides.canary, sides.control))
    return ours / theirs if ours >= 0 and theirs > 0 else 1.0
