"""What part of the work the canary has, and what that lets expect of what it counts and uses.

How many requests an instance gets is the router's business. A canary with a weight of ten per cent serves fewer, sends
fewer bytes and holds fewer connections than a control, and is none the worse for it. Nor is a release that was deployed
at a busier time than the one before.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from airflow_cd.verification.metrics.cells import Comparison
from airflow_cd.verification.metrics.names.units import SIZES
from airflow_cd.verification.metrics.names.vocabulary import GRAVE
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
_CONNECTED = frozenset(("connection", "conn", "cx", "session", "client", "subscriber"))
_ALIKE = math.log(1.15)  # apart is what goes along
_VISITED = frozenset(("view", "pageview", "visit", "visitor", "impression", "session"))  # by users, who then do more
_LARGEST = 700.0  # a logarithm: beyond it there is no number
_FEWEST = 20.0  # requests on either side to know by


@dataclass(frozen=True)
class Load:
    """How much more or less than an instance of the control an instance of the canary has to do.

    :param ratio: of the canary's load to the control's.
    :param metric: which metric says so; ``""`` if it is the number of requests beside the others.
    :param over_time: without a control, that metric's rows now and before; None beside one.
    """

    ratio: float
    metric: str = ""
    over_time: Sides | None = None

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
        if self.over_time is not None:
            # That there are fewer requests may be the release's doing.
            more = self.unequal and self.ratio > 1.0 and goes_with_requests(metric)
            return min(max(seen, 1.0), self.ratio) if more else 1.0
        if metric.name == self.metric or metric.kind in ("errors", "apdex", "latency", "share"):
            return 1.0
        anyway = metric.kind == "count" and bool(_ANYWAY & set(words_of(metric.name)))
        if metric.kind in ("throughput", "count") and not anyway:
            return self.ratio
        if metric.direction == "lower_is_worse" or metric.unit in ("%", "percent") or not self.unequal:
            return 1.0
        return min(max(seen, min(1.0, self.ratio)), max(1.0, self.ratio))


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


def load_of(sides: Sequence[Sides]) -> Load | None:
    """The load as the metrics say it; None where none does.

    :param sides: of all metrics.
    """
    over_time = [one for one in sides if not one.paired and is_asked(one.metric) and len(one.canary)]
    if over_time:
        busiest = max(over_time, key=lambda one: float(one.control.value.sum()))
        rates = [float(np.mean(rows.value)) if len(rows) else 0.0 for rows in (busiest.canary, busiest.control)]
        return Load(rates[0] / rates[1], busiest.metric.name, busiest) if min(rates) > 0 else None
    known = [one for one in sides if one.paired and len(one.canary) and len(one.control)]
    asked = [one for one in known if is_asked(one.metric)]
    if asked:
        largest = max(asked, key=lambda one: float(one.control.value.sum()))
        return _load(largest, largest.canary.value, largest.control.value, largest.metric.name)
    counted = [one for one in known if one.metric.kind in ("latency", "errors", "apdex")]
    most = max(counted, key=lambda one: one.control.requests, default=None)
    by_rows = None if most is None else _load(most, most.canary.count, most.control.count, "")
    if most is not None and most.control.requests > len(most.control):
        return by_rows
    return _by_visits(known) or _by_connections(known) or by_rows


def _by_visits(known: Sequence[Sides]) -> Load | None:
    """The load as visits say it: what users do is done on them.

    :param known: of all metrics that both sides have.
    """
    counted = [one for one in known if one.metric.kind == "count" and one.metric.direction == "lower_is_worse"]
    visits = [one for one in counted if _VISITED & set(words_of(one.metric.name)) and not one.groups]
    most = max(visits, key=lambda one: float(one.control.value.sum()), default=None)
    return None if most is None else _load(most, most.canary.value, most.control.value, most.metric.name)


def _by_connections(known: Sequence[Sides]) -> Load | None:
    """The load as open connections say it, where nobody counts requests; None unless all that is done goes with them.

    :param known: of all metrics that both sides have.
    """
    held = [one for one in known if one.metric.kind == "gauge" and _CONNECTED & set(words_of(one.metric.name))]
    done = [one for one in known if one.metric.kind == "count" and one.metric.direction == "lower_is_worse"]
    loads = [
        load for one in (*held, *done) if (load := _load(one, one.canary.value, one.control.value, one.metric.name))
    ]
    if not held or not done or len(loads) < len(held) + len(done) or not loads[0].unequal:
        return None
    apart = [abs(math.log(load.ratio / loads[0].ratio)) if load.ratio > 0 else math.inf for load in loads]
    return loads[0] if max(apart) <= _ALIKE else None


def _load(sides: Sides, ours: np.ndarray, theirs: np.ndarray, name: str) -> Load | None:
    """From what either side had to do in the buckets that both have, per instance and bucket."""
    common = np.intersect1d(sides.canary.time, sides.control.time)
    rates = []
    for rows, work in ((sides.canary, ours), (sides.control, theirs)):
        there = np.isin(rows.time, common)
        cells = len(np.unique(np.stack([rows.time[there], rows.instance[there]]), axis=1).T)
        total = float(work[there].sum())
        if total < _FEWEST or not cells:
            return None
        rates.append(total / cells)
    return Load(rates[0] / rates[1], name)
