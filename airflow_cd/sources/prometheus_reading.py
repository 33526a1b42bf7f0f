"""Counters, histograms and levels of Prometheus as what happened in each bucket.

How much a counter has grown is what it held last in a bucket less what it held last in the one before: no increase
falls between two buckets, and none is extrapolated. ``rate`` and ``increase`` do both, and see nothing of what a
counter held when it was scraped first (prometheus/prometheus#3886). A counter that falls began again at 0. What one
holds that appears is looked into: see :mod:`~airflow_cd.sources.prometheus_growth`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_cd.durations import format_duration
from airflow_cd.hooks import promql
from airflow_cd.sources.buckets import Buckets
from airflow_cd.sources.distributions import Distribution, differing, shape_of, shared_ends
from airflow_cd.sources.moving_means import LOOKED_BACK, in_buckets
from airflow_cd.sources.prometheus_counters import (
    BACK,
    FRESH,
    GROWN,
    HEARD,
    HEARD_NEW,
    LIVING,
    OLD,
    PART,
    Counter,
)
from airflow_cd.sources.prometheus_growth import Accepted, Appeared, Grown, How, Key, Place

if TYPE_CHECKING:
    from airflow_cd.hooks.prometheus import PromAnswer, PrometheusHook
    from airflow_cd.sources.prometheus_signals import Level, Traffic

_STATUS = "[1-5]([0-9]{2}|[xX]{2})?( .*)?"
_END = "le"  # label of a classic histogram's buckets

Row = tuple[Any, str, str, str, float, int, float]


@dataclass
class Reader:
    """Reads for one window.

    :param hook: of the connection.
    :param names: of the instances.
    :param label: that holds them.
    :param group_by: label to break down by; ``""`` for none.
    :param where: further matchers.
    :param buckets: of the window.
    :ivar queries: as they were sent.
    :ivar notes: what the server said of them.
    :ivar values: of the label, by the instance that they are.
    """

    hook: PrometheusHook
    names: Collection[str]
    label: str
    group_by: str
    where: str
    buckets: Buckets
    queries: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    values: dict[str, set[str]] = field(default_factory=dict)

    def traffic(self, traffic: Traffic, there: Collection[str], percentile: bool) -> Iterator[Row]:
        """Requests, failures and durations.

        :param traffic: what they are called.
        :param there: names of the metrics that there are.
        :param percentile: whether the histogram is read too.
        """
        native, inside = traffic.counts_natively(there), traffic.measures_natively(there)
        name, part = (traffic.durations, "histogram_count") if native else (traffic.requests, "")
        whole = self._with_new(name, traffic.where, part=part)
        accepted = Accepted(whole)
        # One request may say it under several names, and has failed once.
        apart = [
            (matcher, *map(promql.negated, traffic.errors[:before])) for before, matcher in enumerate(traffic.errors)
        ]
        failures = [self._with_new(name, traffic.where, *matchers, part=part, accepted=accepted) for matchers in apart]
        accepted.check(failures)
        self._note(name, accepted)
        requests = accepted.counted(whole).values
        failed: dict[Place, float] = {}
        unsure: set[Place] = set()
        for matched in map(accepted.counted, failures):
            unsure |= matched.unsure
            for place, more in matched.values.items():
                failed[place] = failed.get(place, 0.0) + more
        sums: Mapping[Place, float] = {}
        shapes: dict[Place, tuple[float, float]] = {}
        if inside:
            sums = self._happened(accepted, traffic.durations, traffic.where, part="histogram_sum")
            shapes = self._native_shapes(traffic.durations, traffic.where, accepted) if percentile else {}
        elif f"{traffic.durations}_sum" in there:
            sums = self._happened(accepted, f"{traffic.durations}_sum", traffic.where)
        if percentile and f"{traffic.durations}_bucket" in there:
            shapes = self._shapes(f"{traffic.durations}_bucket", traffic.where, accepted)
        for place, number in requests.items():
            count = round(number)
            if count <= 0 or not self._inside(place) or place in unsure:
                continue
            for metric, value, deviation in _measured(
                number, failed.get(place, 0.0) if traffic.errors else None, sums.get(place), shapes.get(place), traffic
            ):
                yield self._row(place, metric, value, count, deviation)

    def stated(self, traffic: Traffic, there: Collection[str]) -> set[str]:
        """The instances of whose requests it is said whether they failed.

        :param traffic: what the requests are called.
        :param there: names of the metrics that there are.
        """
        native = traffic.counts_natively(there)
        name, part = (traffic.durations, "histogram_count") if native else (traffic.requests, "")
        found: set[str] = set()
        for label in dict.fromkeys(one for matcher in traffic.errors for one in promql.labels_in(matcher)):
            matcher = f"{label}=~{promql.quoted(_STATUS)}"
            grown = self.grown(name, traffic.where, matcher, part=part)
            # Also a status that nothing has had: a release may leave every request without an answer.
            found |= {place[0] for part_of in (grown.known, grown.new, grown.unsure) for place, _ in part_of}
        return found

    def level(self, level: Level, requests: Mapping[tuple[Any, str, str], int]) -> Iterator[Row]:
        """Whatever else is measured.

        :param level: what it is called.
        :param requests: of each time, instance and group, which say how many a duration is of.
        """
        if level.how == "mean":
            width = format_duration(self.buckets.width)
            selected = self._selector(level.name, level.where)
            found = self._places(self._asked(f"sum by ({self._by()}) (avg_over_time({selected}[{width}]))"))
        elif level.how == "moving mean":
            by = self._by()
            queries = [f"sum by ({by}) ({self._selector(name, level.where)})" for name in level.names]
            means, totals = (self._places(self._asked(query, earlier=LOOKED_BACK)) for query in queries)
            found = in_buckets(means, totals, level.window)
        elif level.how == "events":
            grown = self._with_new(level.name, level.where)
            accepted = Accepted(grown)
            self._note(level.name, accepted)
            found = accepted.counted(grown).values
        else:
            found = {place: value for (place, _), value in self.grown(level.name, level.where).known.items()}
            if level.how == "rate":
                found = {place: value / self.buckets.seconds for place, value in found.items()}
            else:
                whole = {place: value for (place, _), value in self.grown(level.of, level.where).known.items()}
                found = {place: value / whole[place] for place, value in found.items() if whole.get(place, 0.0) > 0}
        for place, value in found.items():
            if self._inside(place) and math.isfinite(value):
                row = self._row(place, level.metric.name, value * level.factor, 1, math.nan)
                if level.metric.kind == "latency":
                    # A mean that a server keeps stands still while it is not asked for anything.
                    row = (*row[:5], requests.get((row[0], row[1], row[3]), 0), row[6])
                if row[5]:
                    yield row

    def grown(self, name: str, *where: str, part: str = "", ends: bool = False) -> Grown:
        """By how much counters have grown.

        :param name: of the metric.
        :param where: matchers.
        :param part: function that takes a counter out of a native histogram; none (``""``) by default.
        :param ends: whether each end of a classic histogram's buckets is a counter of its own; False by default.
        """
        grown = Grown()
        # One more than is wanted: what an instance counts next says what its new series can have counted.
        answer = self._asked(self._counter(name, where, part, ends).growth, more=1)
        for key, value, kind in self._counted(answer):
            if math.isfinite(value):
                into = grown.known if kind == GROWN else grown.new
                into[key] = into.get(key, 0.0) + value
            else:
                grown.unsure.add(key)
        if unsure := sorted({place[0] for place, _ in grown.unsure if self._inside(place)}):
            note = f"{name} of {_listed(unsure)} is no number (NaN) at times; what it counted just then is left out."
            self.notes += [note] if note not in self.notes else []
        return grown

    def _with_new(
        self, name: str, *where: str, part: str = "", ends: bool = False, accepted: Accepted | None = None
    ) -> Grown:
        """As :meth:`grown`, with what is known of series that have appeared, which is asked where it says anything.

        Not among the queries that are shown: it is asked now and then.
        """
        grown = self.grown(name, *where, part=part, ends=ends)
        keys = accepted.compared(grown.new) if accepted else {key for key, value in grown.new.items() if value > 0}
        if keys:
            grown.appeared = self._appeared(name, where, part, ends, keys)
        return grown

    def _appeared(self, name: str, where: Sequence[str], part: str, ends: bool, keys: Collection[Key]) -> Appeared:
        appeared = Appeared()
        numbers = [place[2] for place, _ in keys]
        counter = self._counter(name, where, part, ends, names=sorted({place[0] for place, _ in keys}))
        first = self.buckets.first.timestamp() + (min(numbers) + 1) * self.buckets.seconds
        # Which series go on is seen in the bucket that follows.
        answer = self.hook.range(counter.appearance, first, max(numbers) - min(numbers) + 2, self.buckets.seconds)
        parts = {BACK: appeared.back, FRESH: appeared.fresh, OLD: appeared.old}
        times = {HEARD: appeared.heard, HEARD_NEW: appeared.heard_new}
        for (place, end), value, kind in self._counted(answer):
            at = (place[0], place[2])
            if kind == LIVING:
                appeared.living.add(at)
            elif kind in times:
                times[kind][at] = max(value, times[kind].get(at, 0.0))
            elif math.isfinite(value):
                into = parts[kind]
                into[place, end] = into.get((place, end), 0.0) + value
        return appeared

    def _note(self, name: str, accepted: Accepted) -> None:
        """Say which instances have series that are left out."""
        inside = {instance for instance, number in accepted.left_out if 0 <= number < self.buckets.number}
        if left_out := sorted(inside):
            self.notes.append(
                f"Series of {name} of {_listed(left_out)} appeared with more than they can have counted since the "
                "bucket before: they were away for more than an hour, or have got other labels. What they held is left "
                "out."
            )

    def _happened(self, accepted: Accepted, name: str, *where: str, part: str = "") -> Mapping[Place, float]:
        return accepted.counted(self._with_new(name, *where, part=part, accepted=accepted)).values

    def _counted(self, answer: PromAnswer) -> Iterator[tuple[Key, float, str]]:
        for one in answer.series:
            instance = self._instance(one.labels)
            if instance is None:
                continue
            group, end, kind = (one.labels.get(label, "") for label in (self.group_by, _END, PART))
            for at, value in one.points:
                yield ((instance, group, self.buckets.number_of(at)), end), value, kind

    def _counter(
        self, name: str, where: Sequence[str], part: str, ends: bool, names: Collection[str] | None = None
    ) -> Counter:
        selected = self._selector(name, *where, names=names)
        by = self._by(_END) if ends else self._by()
        return Counter(selected, self.label, by, self.buckets.width, part, ends)

    def _native_shapes(self, name: str, where: str, accepted: Accepted) -> dict[Place, tuple[float, float]]:
        """As :meth:`_shapes`, of a native histogram: series by series, as old versions subtract none from another."""
        found: dict[Place, Distribution] = {}
        for one in self._asked(self._selector(name, where), more=1, earlier=1).series:
            instance = self._instance(one.labels)
            if instance is None:
                continue
            held = {self.buckets.number_of(end): _distribution(buckets) for end, buckets in one.histograms}
            for number in range(self.buckets.number):
                place = (instance, one.labels.get(self.group_by, ""), number)
                now, before = held.get(number), held.get(number - 1)
                if now is None or (before is None and accepted.how(place) is not How.FROM_ZERO):
                    continue
                grown = now if before is None else now.less(before)
                if grown is not None:
                    found.setdefault(place, Distribution()).add(grown)
        shapes = {place: one.shape for place, one in found.items()}
        return {place: shape for place, shape in shapes.items() if math.isfinite(shape[0])}

    def _shapes(self, name: str, where: str, accepted: Accepted) -> dict[Place, tuple[float, float]]:
        """The 95th percentile and the standard deviation of each place, in the histogram's unit."""
        grown = self._with_new(name, where, ends=True, accepted=accepted)
        unsure = {place for place, _ in grown.unsure}
        cumulative: dict[Place, dict[float, float]] = {}
        for (place, end), value in accepted.sums(grown).items():
            if place not in unsure:
                cumulative.setdefault(place, {})[float(end)] = value
        cumulative = {place: own for place, own in cumulative.items() if max(own.values()) > 0}
        shared = shared_ends(cumulative.values())
        if any(len(own) > len(shared) for own in cumulative.values()):
            self.notes.append(differing(name, shared))
        found = {place: shape_of({end: own[end] for end in shared}) for place, own in cumulative.items()}
        return {place: shape for place, shape in found.items() if math.isfinite(shape[0])}

    def _asked(self, query: str, more: int = 0, earlier: int = 0) -> PromAnswer:
        self.queries.append(query)
        first = self.buckets.first.timestamp() + (1 - earlier) * self.buckets.seconds
        answer = self.hook.range(query, first, self.buckets.number + more + earlier, self.buckets.seconds)
        self.notes += [note for note in answer.notes if note not in self.notes]
        return answer

    def _places(self, answer: PromAnswer) -> dict[Place, float]:
        found: dict[Place, float] = {}
        for one in answer.series:
            instance = self._instance(one.labels)
            if instance is not None:
                for end, value in one.points:
                    place = (instance, one.labels.get(self.group_by, ""), self.buckets.number_of(end))
                    found[place] = found.get(place, 0.0) + value
        return found

    def _instance(self, labels: Mapping[str, str]) -> str | None:
        value = labels.get(self.label, "")
        instance = promql.instance_of(value, self.names)
        if instance is not None:
            self.values.setdefault(instance, set()).add(value)
        return instance

    def of_several_processes(self) -> Iterator[str]:
        """What is said of instances that several things were read of, each on a port of its own."""
        for instance, values in self.values.items():
            if len(values) > 1:
                listed = " and ".join(sorted(values)[:5])
                yield (
                    f"{self.label} holds {listed} of {instance}, and all of it is added up. Keep what is meant: "
                    "where='job=\"...\"'."
                )
                return

    def _selector(self, name: str, *where: str, names: Collection[str] | None = None) -> str:
        chosen = sorted(self.names if names is None else names)
        return promql.selector(name, self.where, *where, promql.one_of(self.label, chosen))

    def _by(self, *more: str) -> str:
        return ", ".join(filter(None, (self.label, self.group_by, *more)))

    def _inside(self, place: Place) -> bool:
        return 0 <= place[2] < self.buckets.number

    def _row(self, place: Place, metric: str, value: float, count: int, deviation: float) -> Row:
        return (self.buckets.start(place[2]), place[0], metric, place[1], value, count, deviation)


def _distribution(buckets: Sequence[tuple[float, float, float]]) -> Distribution:
    ends = {(low, high): number for low, high, number in buckets}
    return Distribution(sum(ends.values()), buckets=ends)


def _measured(
    requests: float,
    failed: float | None,
    seconds: float | None,
    shape: tuple[float, float] | None,
    traffic: Traffic,
) -> Iterator[tuple[str, float, float]]:
    """Metric, value and deviation of the requests of one bucket."""
    yield "throughput", requests, math.nan
    if failed is not None:
        yield "error_rate", failed, math.nan
    unit = traffic.milliseconds
    percentile, deviation = shape or (math.nan, math.nan)
    if seconds is not None:
        yield "response_time", seconds / requests * unit, deviation * unit
    if math.isfinite(percentile):
        yield "response_time.p95", percentile * unit, math.nan


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} others" if len(names) > 5 else "")
