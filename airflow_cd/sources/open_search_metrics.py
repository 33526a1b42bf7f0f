"""Metrics from OpenSearch and Elasticsearch, by aggregations: what authors write in a DAG, and how they are read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_cd.durations import DurationField
from airflow_cd.errors import SourceQueryRejected
from airflow_cd.sources.absence import unknown_instances, why_nothing
from airflow_cd.sources.buckets import Buckets, utc_now
from airflow_cd.sources.open_search_query import (
    documents,
    instance_field,
    is_index,
    mistakes_of_query,
    refuse_nested,
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
from airflow_cd.verification.samples import Metric, MetricSample, Window

if TYPE_CHECKING:
    from airflow_cd.hooks.open_search import OpenSearchHook

MOST_BUCKETS = 10_000
"""Of one answer; servers allow 65,535 by default."""

_MOST_GROUPS = 100
_NUMBERS = {"value", "values", "doc_count", "std_deviation"}
_HOUR = timedelta(hours=1)


@keeps_misspelt_keywords
@dataclass(frozen=True)
class OpenSearchMetrics:
    """One metric that is made of documents, by aggregations over time.

    Without ``value_field`` and ``aggregation`` documents are counted. With a field, durations give mean, scatter,
    number and, as ``<metric>.p95``, the 95th percentile; numbers are summed up, everything else is averaged.

    :param index: names or patterns of indices, data streams or aliases, commas between: ``logs-shop-*``.
    :param metric: what the number is and how a change in it is judged: a :class:`Metric`, or a name that says it.
    :param value_field: field that holds what is measured, ``event.duration``; none (``""``) by default.
    :param aggregation: one of your own in the place of it, as the server takes it: one that has a ``value``
        (``{"weighted_avg": ...}``), one percentile (``{"percentiles": {"field": ..., "percents": [99]}}``), or a
        filter, whose documents are counted (``{"filter": {"range": {"http.response.status_code": {"gte": 500}}}}``).
    :param query: a query string (Lucene), ``app:shop AND event.dataset:access``; none (``""``) by default.
    :param instance_field: field that holds the instance's name, compared as a whole; ``host.name`` by default.
    :param group_by: field to break the metric down by; none (``""``) by default.
    :param time_field: field that holds the time; ``@timestamp`` by default.
    :param conn_id: Airflow connection; ``search_cluster_default`` by default.
    :param bucket: width of a bucket; 30 seconds by default.
    :param delay: how long after an event it can usually be found, a duration; 30 seconds by default.
    :param name: what reports call the source; ``OpenSearch <metric>`` by default.
    """

    index: str
    metric: Metric | str
    value_field: str = ""
    aggregation: Mapping[str, Any] = field(default_factory=dict)
    query: str = ""
    instance_field: str = "host.name"
    group_by: str = ""
    time_field: str = "@timestamp"
    conn_id: str = "search_cluster_default"
    bucket: DurationField = DurationField("30s")  # noqa: RUF009 - a descriptor
    delay: DurationField = DurationField("30s")  # noqa: RUF009 - a descriptor
    name: str = ""

    whole_buckets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        product = type(self).__name__.removesuffix("Metrics")
        object.__setattr__(self, "name", self.name or f"{product} {getattr(self.metric, 'name', self.metric)}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        found = [
            *mistakes_of_texts(
                index=self.index,
                instance_field=self.instance_field,
                time_field=self.time_field,
                conn_id=self.conn_id,
            ),
            *mistakes_of_durations(bucket=self.bucket, delay=self.delay),
        ]
        if isinstance(self.index, str) and not is_index(self.index):
            found.append(f"index: {self.index!r} is not the name of an index")
        found += mistakes_of_query(self.query, self.time_field)
        found += mistakes_of_metric(self.metric)
        if not isinstance(self.aggregation, Mapping) or len(self.aggregation) > 1:
            found.append(
                f'aggregation: {self.aggregation!r} is not one aggregation, such as {{"max": {{"field": "a"}}}}'
            )
        elif self.aggregation and self.value_field:
            found.append("value_field: the aggregation names its own")
        return [f"{type(self).__name__}({self.name!r}): {mistake}" for mistake in found]

    @reads_answers
    def read(self, window: Window, instances: Sequence[str]) -> MetricSample:
        """Read the metric of some instances over a window.

        :param window: half-open, aware.
        :param instances: their names, in any order; each counts once.
        :returns: a sample whose frame has the column ``deviation`` as well.
        :raises SourceQueryRejected: this specification is wrong, an aggregation is rejected, or there is no such index
            or field.
        :raises SourceUnavailable: no answer that every shard took part in was to be had.
        """
        from airflow_cd.hooks.open_search import OpenSearchHook
        from airflow_cd.sources.frames import spread_metric_frame

        refuse(self.mistakes())
        names = sorted(set(instances))
        metrics = self._metrics()
        buckets = Buckets.of(window, self.bucket, utc_now() - self.delay)
        hook = OpenSearchHook(self.conn_id)
        rows: list[Any] = []
        queries: list[str] = []
        warnings: list[str] = []
        place = self._instance_field(hook) if names and buckets.number else ""
        at_once = max(1, MOST_BUCKETS // max(1, buckets.number))
        for start in range(0, len(names) if place else 0, at_once):
            own = names[start : start + at_once]
            query = self._found_by(Window(buckets.first, buckets.until), {"terms": {place: own}})
            aggregations = self._aggregations(place, own, buckets, metrics[0])
            queries.append(f"{self.index}: {json.dumps({'query': query, 'aggs': aggregations}, ensure_ascii=False)}")
            answer = hook.aggregate(self.index, query, aggregations)
            rows += self._rows(answer, own, buckets, metrics)
            if self.group_by and any(
                one["groups"].get("sum_other_doc_count") for one in answer["instances"]["buckets"]
            ):
                warnings = [f"{self.group_by} has more than {_MOST_GROUPS} values; the rarest were left out."]
        silent = sorted(set(names) - {row[1] for row in rows})
        if silent and place:
            warnings += why_nothing(silent, lambda: self._without(hook, place, silent, window))
        query_text = "\n".join(queries) or "no query: no instance, or no whole bucket"
        frame = spread_metric_frame(rows, counted=False)
        return MetricSample(frame, metrics, query_text, buckets.width, tuple(warnings))

    @reads_answers
    def instances(self, window: Window) -> list[str]:
        """Which instances have documents that the query finds.

        :param window: when.
        :raises SourceError: as of :meth:`read`.
        """
        from airflow_cd.hooks.open_search import OpenSearchHook

        refuse(self.mistakes())
        hook = OpenSearchHook(self.conn_id)
        return sorted(hook.values(self.index, self._instance_field(hook), self._found_by(window)))

    def _metrics(self) -> tuple[Metric, ...]:

        metric = as_metric(self.metric)
        if self.value_field and metric.kind == "latency":
            return metric, replace(metric, name=f"{metric.name}.p95")
        return (metric,)

    def _found_by(self, window: Window, *more: Mapping[str, Any]) -> dict[str, Any]:
        return documents(window, self.time_field, self.query, "message", *more)

    def _instance_field(self, hook: OpenSearchHook) -> str:
        wanted = {"value_field": self.value_field, "group_by": self.group_by}
        fields = {name: given for name, given in wanted.items() if given}
        fields |= {f"aggregation {number}": one for number, one in enumerate(_fields_of(self.aggregation), start=1)}
        found, exact = instance_field(hook, self.name, self.index, self.instance_field, self.time_field, **fields)
        if not exact:
            raise SourceQueryRejected(
                f"{self.name}: the field {self.instance_field!r} is searched by its words, and cannot be aggregated.",
                next_step="Name a field of type keyword as instance_field.",
            )
        return found

    def _aggregations(self, place: str, names: Sequence[str], buckets: Buckets, metric: Metric) -> dict[str, Any]:
        interval = f"{round(buckets.seconds)}s"
        times: dict[str, Any] = {
            "date_histogram": {"field": self.time_field, "fixed_interval": interval, "min_doc_count": 1}
        }
        values = self._values(metric)
        if values:
            times["aggs"] = values
        inner = {"times": times}
        if self.group_by:
            groups = {"terms": {"field": self.group_by, "size": _MOST_GROUPS}, "aggs": inner}
            inner = {"groups": groups, "others": {"missing": {"field": self.group_by}, "aggs": inner}}
        # As many as there are names: nothing is estimated.
        terms = {"field": place, "include": list(names), "size": len(names)}
        return {"instances": {"terms": terms, "aggs": inner}}

    def _values(self, metric: Metric) -> dict[str, Any]:
        if self.aggregation:
            return {"value": dict(self.aggregation)}
        if not self.value_field:
            return {}
        if metric.kind == "latency":
            return {
                "value": {"extended_stats": {"field": self.value_field}},
                "percentile": {"percentiles": {"field": self.value_field, "percents": [95]}},
            }
        return {"value": {"sum" if metric.adds_up_over_time else "avg": {"field": self.value_field}}}

    def _rows(
        self, answer: Mapping[str, Any], names: Sequence[str], buckets: Buckets, metrics: Sequence[Metric]
    ) -> Iterator[tuple[datetime, str, str, str, float, float, float]]:
        for one in answer["instances"]["buckets"]:
            instance = str(one.get("key_as_string", one["key"]))
            # What does not say of which group it is has happened all the same.
            groups = [*one["groups"]["buckets"], one["others"]] if self.group_by else [one]
            for group in groups if instance in names else ():
                named = str(group.get("key_as_string", group.get("key", ""))) if self.group_by else ""
                for time in group["times"]["buckets"]:
                    number = round((time["key"] / 1000 - buckets.first.timestamp()) / buckets.seconds)
                    if 0 <= number < buckets.number:
                        self._require_number(time)
                        for metric, value, count, deviation in _measured(time, metrics):
                            yield buckets.start(number), instance, metric.name, named, value, count, deviation

    def _require_number(self, bucket: Mapping[str, Any]) -> None:
        found = bucket.get("value")
        if isinstance(found, Mapping) and not found.keys() & _NUMBERS:
            [kind] = self.aggregation or {"": None}
            raise SourceQueryRejected(
                f"{self.name}: the aggregation {kind} gives no number ({', '.join(sorted(found))}).",
                next_step="Take one that has a value, one percentile or a filter, or name the field as value_field.",
            )

    def _without(self, hook: OpenSearchHook, place: str, silent: Sequence[str], window: Window) -> Iterator[str]:
        known = hook.values(self.index, place, self._found_by(Window(window.since - _HOUR, window.until)))
        if not known:
            refuse_nested(hook, self.name, self.index, place)
            yield "The query has found no document of the hour before, of any instance."
        else:
            yield from unknown_instances(silent, known, f"the field {place}")


@keeps_misspelt_keywords
@dataclass(frozen=True)
class ElasticsearchMetrics(OpenSearchMetrics):
    """One metric that is made of documents in Elasticsearch; see :class:`OpenSearchMetrics`."""


def _measured(bucket: Mapping[str, Any], metrics: Sequence[Metric]) -> Iterator[tuple[Metric, float, float, float]]:
    """The metrics of one bucket: value, number of requests, standard deviation."""
    from airflow_cd.sources.frames import requests_of

    metric, found, there = metrics[0], bucket.get("value"), float(bucket["doc_count"])
    deviation, measured = math.nan, there
    if found is None:
        value = there
    elif "std_deviation" in found:
        value, deviation, measured = _number(found["avg"]), _number(found["std_deviation"]), _number(found["count"])
    elif "values" in found:
        value = _number(next(iter(found["values"].values()), None))
    else:
        value = _number(found["value"] if "value" in found else found.get("doc_count"))
    if not math.isfinite(value):
        return
    counted = there if metric.kind in ("errors", "share", "apdex") and found is not None else None
    yield metric, value, counted or requests_of(metric, value, measured), deviation
    if len(metrics) > 1:
        percentile = _number(next(iter(bucket["percentile"]["values"].values()), None))
        if math.isfinite(percentile):
            yield metrics[1], percentile, measured, math.nan


def _number(value: Any) -> float:
    """A number of an answer; what is null, or a text such as NaN, is missing."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan


def _fields_of(aggregation: Any) -> Iterator[str]:
    """Names of the fields that an aggregation reads."""
    for name, value in aggregation.items() if isinstance(aggregation, Mapping) else ():
        if name == "field" and isinstance(value, str):
            yield value
        else:
            yield from _fields_of(value)
