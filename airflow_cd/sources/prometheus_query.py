"""One metric by a query in PromQL of the author's own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_cd.durations import DurationField, format_duration
from airflow_cd.errors import SourceQueryRejected
from airflow_cd.hooks import promql
from airflow_cd.sources.absence import why_nothing
from airflow_cd.sources.buckets import Buckets, utc_now
from airflow_cd.sources.prometheus_absence import (
    explained,
    looked_for,
    mistakes_of_labels,
    require_group,
    unknown,
    unmatched,
)
from airflow_cd.sources.specification import (
    as_metric,
    mistakes_of_durations,
    mistakes_of_metric,
    mistakes_of_texts,
    reads_answers,
    refuse,
)
from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.verification.remembering import once
from airflow_cd.verification.samples import Metric, MetricSample, Window

if TYPE_CHECKING:
    from airflow_cd.hooks.prometheus import PrometheusHook, Series


@keeps_misspelt_keywords
@dataclass(frozen=True)
class PrometheusQuery:
    """One metric from a query of the author's own.

    :param promql: a query that gives one series for each instance (and group), such as ``sum by (instance)
        (rate(orders_total{job="shop", {instances}}[{bucket}]))``. ``{instances}`` stands for the matcher of the
        instances, ``{bucket}`` for the width of a bucket. It is evaluated at the end of each bucket.
    :param metric: what the number is and how a change in it is judged: a :class:`Metric`, or a name that says it
        (``orders_per_second``, ``queue_depth``).
    :param conn_id: as of :class:`PrometheusMetrics`; so are the others.
    :param requests: a query of the same form for how many requests each value is of; without it those of a metric that
        counts requests are taken.
    :param instance_label: label that holds the instance's name; ``instance`` by default.
    :param group_by: label to break the metric down by; none (``""``) by default.
    :param bucket: width of a bucket; 30 seconds by default.
    :param delay: how long after an event Prometheus usually has it; 30 seconds by default.
    :param name: what reports call the source; ``Prometheus <metric>`` by default.
    """

    promql: str
    metric: Metric | str
    conn_id: str = "prometheus_default"
    requests: str = ""
    instance_label: str = "instance"
    group_by: str = ""
    bucket: DurationField = DurationField("30s")  # noqa: RUF009 - a descriptor
    delay: DurationField = DurationField("30s")  # noqa: RUF009 - a descriptor
    name: str = ""

    whole_buckets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"Prometheus {getattr(self.metric, 'name', self.metric)}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        found = [*mistakes_of_texts(conn_id=self.conn_id)]
        found += mistakes_of_durations(bucket=self.bucket, delay=self.delay)
        found += mistakes_of_labels("", self.instance_label, self.group_by)
        for field, query in (("promql", self.promql), ("requests", self.requests)):
            if field == "promql" or query:
                found += _mistakes_of_query(field, query)
        found += mistakes_of_metric(self.metric)
        return [f"{type(self).__name__}({self.name!r}): {mistake}" for mistake in found]

    @reads_answers
    def read(self, window: Window, instances: Sequence[str]) -> MetricSample:
        """Read the metric of some instances over a window.

        :param window: half-open, aware.
        :param instances: their names, in any order; each counts once.
        :returns: a sample with a row for each bucket that has a number; ``count`` is NaN where nobody says how many
            requests it is of.
        :raises SourceQueryRejected: this specification is wrong, Prometheus rejects the query, or its series cannot be
            told to be of an instance.
        :raises SourceUnavailable: Prometheus does not answer, answers with a part, or has none of the metrics.
        """
        from airflow_cd.hooks.prometheus import PrometheusHook
        from airflow_cd.sources.frames import partly_counted_metric_frame

        refuse(self.mistakes())
        metric = self._metric()
        names = sorted(set(instances))
        buckets = Buckets.of(window, self.bucket, utc_now() - self.delay)
        hook = PrometheusHook(self.conn_id)
        rows: list[Any] = []
        queries: list[str] = []
        warnings: list[str] = []
        for batch in promql.batches(names) if buckets.number else ():
            values = self._values(hook, self.promql, batch, buckets, metric, queries, warnings)
            counts = (
                self._values(hook, self.requests, batch, buckets, metric, queries, warnings) if self.requests else {}
            )
            for (instance, group, number), value in values.items():
                count = counts.get((instance, group, number), math.nan if self.requests else _count(metric, value))
                if not (self.requests and not count > 0):
                    rows.append((buckets.start(number), instance, metric.name, group, value, count))
        silent = sorted(set(names) - {row[1] for row in rows})
        if silent and buckets.number:
            warnings += why_nothing(silent, lambda: self._without(hook, silent, window))
        if self.group_by and rows and not any(row[3] for row in rows):
            warnings += once("without group", lambda: [*self._without_group(hook, window)])
        query = "\n".join(queries) or f"no query: no instance, or no whole bucket of {format_duration(self.bucket)}"
        return MetricSample(partly_counted_metric_frame(rows), (metric,), query, buckets.width, tuple(warnings))

    @reads_answers
    def instances(self, window: Window) -> list[str]:
        """Which instances have had any of the metrics in the query, by the values of their label.

        :param window: when.
        :raises SourceError: as of :meth:`read`.
        """
        from airflow_cd.hooks.prometheus import PrometheusHook

        refuse(self.mistakes())
        match = [f"{{__name__={promql.quoted(name)}}}" for name in promql.metrics_in(self.promql)]
        return PrometheusHook(self.conn_id).values(self.instance_label, match, *looked_for(window))

    def _metric(self) -> Metric:

        return as_metric(self.metric)

    def _values(
        self,
        hook: PrometheusHook,
        query: str,
        names: Sequence[str],
        buckets: Buckets,
        metric: Metric,
        queries: list[str],
        warnings: list[str],
    ) -> dict[tuple[str, str, int], float]:
        matcher = promql.one_of(self.instance_label, names)
        sent = query.replace(promql.INSTANCES, matcher).replace(promql.BUCKET, format_duration(buckets.width))
        answer = hook.range(sent, buckets.first.timestamp() + buckets.seconds, buckets.number, buckets.seconds)
        queries.append(sent)
        warnings += [note for note in answer.notes if note not in warnings]
        found: dict[tuple[str, str, int], float] = {}
        whose: dict[tuple[str, str, int], Series] = {}
        for series in answer.series:
            instance = promql.instance_of(series.labels.get(self.instance_label, ""), names)
            if instance is None:
                raise self._not_an_instance(series)
            if series.histograms and not series.points:
                raise SourceQueryRejected(
                    f"{self.name}: the query returns native histograms, which are no numbers.",
                    next_step="Wrap it into histogram_quantile(0.95, ...), histogram_count(...) or histogram_sum(...).",
                )
            for end, value in series.points:
                place = (instance, series.labels.get(self.group_by, ""), buckets.number_of(end))
                if math.isnan(value) or (math.isinf(value) and metric.kind != "latency"):
                    continue
                if place in found and not metric.adds_up:
                    raise self._several(instance, whose[place], series)
                found[place] = found.get(place, 0.0) + value
                whose[place] = series
        return found

    def _not_an_instance(self, series: Series) -> Exception:
        if self.instance_label in series.labels:
            what = f"a series of {series.labels[self.instance_label]!r}, which was not asked for"
        else:
            what = f"a series without the label {self.instance_label!r} (it has {', '.join(series.labels) or 'none'})"
        return SourceQueryRejected(
            f"{self.name}: the query returns {what}.",
            next_step=f"Aggregate by it, sum by ({self.instance_label}) (...), and put {promql.INSTANCES} into every "
            "selector; or name another instance_label.",
        )

    def _several(self, instance: str, one: Series, other: Series) -> Exception:
        labels = sorted(name for name in {*one.labels, *other.labels} if one.labels.get(name) != other.labels.get(name))
        return SourceQueryRejected(
            f"{self.name}: the query returns several series of {instance}, told apart by {', '.join(labels)}.",
            next_step=f"Aggregate them, avg by ({self.instance_label}) (...), or break the metric down: group_by.",
        )

    def _without(self, hook: PrometheusHook, silent: Sequence[str], window: Window) -> Iterator[str]:
        selectors = [*promql.selectors_in(self.promql), *promql.selectors_in(self.requests)]
        names = list(dict.fromkeys(name for name, _ in selectors))
        if not names:
            return
        match = [f"{{__name__={promql.quoted(name)}}}" for name in names]
        there = hook.values("__name__", match, *looked_for(window))
        if missing := [name for name in names if name not in there]:
            raise unknown(hook, missing, "", "the query", window)
        apart = list(unmatched(hook, selectors, window))
        known = self.instances(window)
        yield from apart
        yield from explained(
            *(known, self.instance_label, names[0], silent, self.conn_id), matched=not apart, ranges="[" in self.promql
        )

    def _without_group(self, hook: PrometheusHook, window: Window) -> Iterator[str]:
        if names := promql.metrics_in(self.promql):
            require_group(hook, self.group_by, names, "", window)
        yield f"No series of the query has the label {self.group_by}, so nothing is broken down: aggregate by it too."


def _count(metric: Metric, value: float) -> float:
    """How many requests a value is of, where it says that itself or does not matter."""
    if metric.kind in ("latency", "errors", "apdex", "share"):
        return math.nan
    if metric.kind == "throughput":
        return max(1.0, round(value)) if value > 0 and not metric.period else math.nan
    return 1.0


def _mistakes_of_query(field: str, query: object) -> Iterator[str]:
    if not isinstance(query, str) or not query.strip():
        yield f"{field}: {query!r} is empty or not a text"
        return
    if promql.INSTANCES not in query:
        yield (
            f"{field}: {promql.INSTANCES} is missing, which stands for the matcher of the instances: "
            f'sum by (instance) (rate(x{{job="shop", {promql.INSTANCES}}}[{promql.BUCKET}]))'
        )
    if not promql.is_balanced(query.replace(promql.INSTANCES, 'i="i"').replace(promql.BUCKET, "1m")):
        yield f"{field}: a quote, a parenthesis, a bracket or a brace does not close"
