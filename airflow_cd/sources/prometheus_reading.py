"""Counters, histograms and levels of Prometheus as what happened in each bucket.

How much a counter has grown is what it held last in a bucket less what it held last in the one before: no increase
falls between two buckets, and none is extrapolated. ``rate`` and ``increase`` do both, and see nothing of what a
counter held when it was scraped first (prometheus/prometheus#3886). A counter that falls began again at 0. What one
holds that appears is looked into: see :mod:`~airflow_cd.sources.prometheus_growth`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_cd.durations import format_duration
from airflow_cd.hooks import promql
from airflow_cd.sources.distributions import Distribution, differing, shape_of, shared_ends
from airflow_cd.sources.moving_means import LOOKED_BACK, in_buckets
from airflow_cd.sources.prometheus_counting import CounterReader
from airflow_cd.sources.prometheus_growth import Accepted, How, Place

if TYPE_CHECKING:
    from airflow_cd.hooks.prometheus import PromAnswer
    from airflow_cd.sources.prometheus_signals import Level, Traffic

_STATUS = "[1-5]([0-9]{2}|[xX]{2})?( .*)?"

Row = tuple[Any, str, str, str, float, int, float]


class Reader(CounterReader):
    """Reads for one window; see :class:`CounterReader`."""

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

    def _places(self, answer: PromAnswer) -> dict[Place, float]:
        found: dict[Place, float] = {}
        for one in answer.series:
            instance = self._instance(one.labels)
            if instance is not None:
                for end, value in one.points:
                    place = (instance, one.labels.get(self.group_by, ""), self.buckets.number_of(end))
                    found[place] = found.get(place, 0.0) + value
        return found

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
