"""Metrics from New Relic: what authors write in a DAG, and how it is read."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from airflow_cd.durations import DurationField
from airflow_cd.errors import SourceQueryRejected
from airflow_cd.hooks import nrql
from airflow_cd.hooks.nrql import Section
from airflow_cd.http.json_values import number_of
from airflow_cd.sources.absence import why_nothing
from airflow_cd.sources.new_relic_absence import explained
from airflow_cd.sources.specification import mistakes_of_durations, mistakes_of_texts, refuse
from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.verification.samples import Metric, MetricSample, Window

_Row: TypeAlias = "tuple[Any, str, str, str, float, int, float]"
_DEVIATION = "deviation"
_MEASURED = "measured_requests"
_PERCENTILE = re.compile(r"response_time\.p(\d{1,2}(?:\.\d+)?)\Z")
_FIXED = {
    "response_time": Metric("response_time", "latency", "higher_is_worse", "ms"),
    "error_rate": Metric("error_rate", "errors", "higher_is_worse", "errors"),
    "throughput": Metric("throughput", "throughput", "either", "requests"),
    "apdex": Metric("apdex", "apdex", "lower_is_worse", "apdex"),
}
_OURS = ("FACET", "SINCE", "UNTIL", "TIMESERIES", "LIMIT", "COMPARE", "ORDER", "WITH", "SLIDE", "EXTRAPOLATE")


@keeps_misspelt_keywords
@dataclass(frozen=True)
class NewRelicMetrics:
    """An application's response time, errors, throughput and Apdex, as New Relic's APM sees them.

    :param app: the application's name in New Relic.
    :param conn_id: Airflow connection of type ``new_relic``; ``new_relic_default`` by default.
    :param metrics: any of ``response_time`` and ``response_time.pNN`` (ms), ``error_rate`` (number of errors),
        ``throughput`` (number of requests) and ``apdex`` (0 to 1); all of them, with the 95th percentile, by default.
    :param where: a further NRQL condition, ``http.method = 'GET'``; none by default.
    :param host_attribute: attribute that holds the instance's name; ``host`` by default.
    :param group_by: attribute to break the metrics down by; the transaction's ``name`` by default, ``""`` for none.
    :param apdex_t: Apdex threshold in seconds; 0.5 by default.
    :param bucket: width of a bucket, a duration of whole seconds; one minute by default. What a window holds beside
        whole buckets is read as a narrower one, and a shorter window as one bucket.
    :param delay: how long after an event New Relic usually has it, a duration; 30 seconds by default. It does not say
        when it received an event, so its lag is learned: buckets that grow when they are read again were late.
    :param name: what reports call the source; ``New Relic <app>`` by default.
    """

    app: str
    conn_id: str = "new_relic_default"
    metrics: tuple[str, ...] = ("response_time", "response_time.p95", "error_rate", "throughput", "apdex")
    where: str = ""
    host_attribute: str = "host"
    group_by: str = "name"
    apdex_t: float = 0.5
    bucket: DurationField = DurationField("1m")  # noqa: RUF009 - a descriptor
    delay: DurationField = DurationField("30s")  # noqa: RUF009 - a descriptor
    name: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.metrics, str):
            object.__setattr__(self, "metrics", tuple(self.metrics))
        object.__setattr__(self, "name", self.name or f"New Relic {self.app}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        found = [*_mistakes_of_clauses(self.where, self.host_attribute, self.group_by)]
        found += mistakes_of_texts(app=self.app, conn_id=self.conn_id)
        found += mistakes_of_durations(bucket=self.bucket, delay=self.delay)
        try:
            nrql.literal(str(self.app))
        except ValueError as error:
            found.append(f"app: {error}")
        metrics = (self.metrics,) if isinstance(self.metrics, str) else self.metrics
        if isinstance(self.metrics, str) or not metrics:
            found.append(f"metrics: {self.metrics!r} is not a tuple of metric names")
        else:
            known = ", ".join([*_FIXED, "response_time.pNN"])
            found += [
                f"metrics: {name!r} is not a metric; known are {known}" for name in metrics if _metric(name) is None
            ]
            found += [f"metrics: {name!r} is named twice" for name in sorted(set(metrics)) if metrics.count(name) > 1]
        if not isinstance(self.apdex_t, (int, float)) or not 0 < self.apdex_t < math.inf:
            found.append(f"apdex_t: {self.apdex_t!r} is not a positive number of seconds")
        return [f"{type(self).__name__}({self.app!r}): {mistake}" for mistake in found]

    def read(self, window: Window, instances: Sequence[str]) -> MetricSample:
        """Read the metrics of some instances over a window.

        :param window: half-open, aware; its ends are rounded up to whole seconds.
        :param instances: their names, in any order; each counts once.
        :returns: a sample whose frame has the columns ``time``, ``instance``, ``metric``, ``group``, ``value``
            (float64), ``count`` (int64) and ``deviation`` (float64, of the response times in a bucket), and rows only
            for buckets that hold requests.
        :raises SourceQueryRejected: this specification or an instance's name is wrong, or New Relic rejects the query.
        :raises SourceError: New Relic cannot be read.
        """
        refuse(self.mistakes())
        select = ["count(*) AS 'requests'", "average(duration) AS 'mean'"]
        if "response_time" in self.metrics:
            select.append(f"stddev(duration) AS '{_DEVIATION}'")
        if "error_rate" in self.metrics:
            select.append("filter(count(*), WHERE error IS true) AS 'errors'")
        if "apdex" in self.metrics:
            select.append(f"apdex(duration, t: {self.apdex_t:g}) AS 'apdex'")
        for name in self.metrics:
            if percentile := _PERCENTILE.match(name):
                select.append(f"percentile(duration, {percentile[1]}) AS '{_alias(name)}'")
        condition = f"appName = {nrql.literal(self.app)}" + (f" AND ({self.where})" if self.where.strip() else "")
        head = f"SELECT {', '.join(select)} FROM Transaction WHERE {condition}"  # noqa: S608 - quoted by literal()
        metrics = tuple(metric for metric in map(_metric, self.metrics) if metric is not None)
        return _read(self, head, metrics, window, instances, self._values)

    def _values(self, row: Mapping[str, Any]) -> tuple[int, dict[str, float]]:
        requests = _number(row.get("requests")) or 0.0
        values: dict[str, float | None] = {}
        for name in self.metrics:
            if name == "response_time":
                values[name] = _scaled(row.get("mean"), 1000)
            elif name == "error_rate":
                values[name] = _number(row.get("errors")) or 0.0
            elif name == "throughput":
                values[name] = requests
            elif name == "apdex":
                values[name] = _number(row.get("apdex"), "score")
            else:
                values[name] = _scaled(row.get(_alias(name)), 1000)
        return int(requests), {name: value for name, value in values.items() if value is not None}


@keeps_misspelt_keywords
@dataclass(frozen=True)
class NewRelicQuery:
    """One metric from an NRQL query of the author's own.

    :param nrql: ``SELECT <one aggregate> FROM <events> [WHERE …]``; the window, the instances and the grouping are
        added to it.
    :param metric: what the number is and how a change in it is to be judged.
    :param conn_id: as of :class:`NewRelicMetrics`; so are the others.
    :param host_attribute: attribute that holds the instance's name; ``host`` by default.
    :param group_by: attribute to break the metric down by; none (``""``) by default.
    :param bucket: width of a bucket; one minute by default.
    :param delay: how long after an event New Relic usually has it; 30 seconds by default.
    :param name: what reports call the source; ``New Relic <metric>`` by default.
    """

    nrql: str
    metric: Metric
    conn_id: str = "new_relic_default"
    host_attribute: str = "host"
    group_by: str = ""
    bucket: DurationField = DurationField("1m")  # noqa: RUF009 - a descriptor
    delay: DurationField = DurationField("30s")  # noqa: RUF009 - a descriptor
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"New Relic {getattr(self.metric, 'name', self.metric)}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        found = [*_mistakes_of_clauses("", self.host_attribute, self.group_by)]
        found += mistakes_of_texts(nrql=self.nrql, conn_id=self.conn_id)
        found += mistakes_of_durations(bucket=self.bucket, delay=self.delay)
        if not isinstance(self.metric, Metric):
            found.append(f"metric: {self.metric!r} is not a Metric")
        words = [word for word, _, _ in nrql.clauses(str(self.nrql))]
        if not nrql.is_balanced(str(self.nrql)):
            found.append("nrql: a quote or a parenthesis does not close")
        found += [f"nrql: {word} is missing" for word in ("SELECT", "FROM") if word not in words]
        found += [f"nrql: {word} is added when the query is sent, leave it out" for word in _OURS if word in words]
        if words.count("WHERE") > 1:
            found.append("nrql: WHERE is there twice")
        return [f"{type(self).__name__}({self.name!r}): {mistake}" for mistake in found]

    def read(self, window: Window, instances: Sequence[str]) -> MetricSample:
        """Read the metric of some instances over a window.

        :param window: half-open, aware; its ends are rounded up to whole seconds.
        :param instances: their names, in any order; each counts once.
        :returns: a sample as of :meth:`NewRelicMetrics.read`, with rows only for buckets that hold events.
        :raises SourceQueryRejected: this specification or an instance's name is wrong, or New Relic rejects the query.
        :raises SourceError: New Relic cannot be read.
        """
        refuse(self.mistakes())
        places = {word: (begin, end) for word, begin, end in nrql.clauses(self.nrql)}
        _, after_select = places["SELECT"]
        where = places.get("WHERE", (len(self.nrql), len(self.nrql)))
        head = f"{self.nrql[:after_select]} count(*) AS '{_MEASURED}', {self.nrql[after_select : where[0]].strip()}"
        condition = self.nrql[where[1] :].strip()
        head += f" WHERE ({condition})" if condition else f" WHERE {self.host_attribute} IS NOT NULL"
        return _read(self, head, (self.metric,), window, instances, self._value)

    def _value(self, row: Mapping[str, Any]) -> tuple[int, dict[str, float]]:
        ours = {_MEASURED, "beginTimeSeconds", "endTimeSeconds", "inspectedCount", "facet"}
        ours |= {self.host_attribute, self.group_by}
        selected = {name: value for name, value in row.items() if name not in ours}
        if len(selected) > 1:
            raise SourceQueryRejected(
                f"{self.name} selects {len(selected)} values ({', '.join(sorted(selected))}), expected one.",
                next_step="Write one NewRelicQuery for each.",
            )
        value = _number(next(iter(selected.values()), None), "score")
        return int(_number(row.get(_MEASURED)) or 0), {} if value is None else {self.metric.name: value}


def _read(
    source: NewRelicMetrics | NewRelicQuery,
    head: str,
    metrics: tuple[Metric, ...],
    window: Window,
    instances: Sequence[str],
    values: Callable[[Mapping[str, Any]], tuple[int, dict[str, float]]],
) -> MetricSample:
    from airflow_cd.hooks.new_relic import NewRelicHook
    from airflow_cd.sources.frames import spread_metric_frame

    queries: list[str] = []
    warnings: list[str] = []
    rows: list[_Row] = []
    present: set[str] = set()
    without_value = 0
    facets = ", ".join(filter(None, (source.host_attribute, source.group_by)))
    hook = NewRelicHook(source.conn_id)
    for names in nrql.batches(sorted(set(instances))):
        hosts = _hosts(source, names)
        for section in nrql.sections(window, source.bucket):
            query = f"{head} AND {hosts} FACET {facets} LIMIT MAX {section.clause}"
            answer = hook.query(query)
            queries.append(query)
            warnings += [message for message in answer.messages if message not in warnings]
            seen = set()
            for row in answer.results:
                place = _place(row, source)
                seen.add(place)
                count, measured = values(row) if place[0] in names else (0, {})
                if count > 0:
                    present.add(place[0])
                without_value += count > 0 and not measured
                rows += _rows(row, place, section, count, measured)
            if len(seen) >= nrql.MOST_FACETS:
                warnings.append(f"New Relic returned its limit of {nrql.MOST_FACETS} groups; there may be more.")
    if without_value:
        named = ", ".join(metric.name for metric in metrics)
        warnings.append(f"{without_value} buckets hold events but no value of {named}.")
    silent = sorted(set(instances) - present)
    if queries and silent:
        app = source.app if isinstance(source, NewRelicMetrics) else ""
        ask = functools.partial(explained, hook, head, source.host_attribute, silent, window, app)
        warnings += why_nothing(silent, ask)
    bucket = min(source.bucket, window.length) if window.length else source.bucket
    return MetricSample(spread_metric_frame(rows), metrics, "\n".join(queries), bucket, tuple(warnings))


def _rows(
    row: Mapping[str, Any],
    place: tuple[str, str],
    section: Section,
    count: int,
    measured: Mapping[str, float],
) -> Iterator[_Row]:
    begin = _number(row.get("beginTimeSeconds"))
    if begin is None or count <= 0:
        return
    try:
        start = section.start_of(begin)
    except (OverflowError, ValueError, OSError):
        return  # in no year that there is
    deviation = _scaled(row.get(_DEVIATION), 1000)
    for metric, value in measured.items():
        scatter = deviation if metric == "response_time" and deviation is not None else math.nan
        yield (start, place[0], metric, place[1], value, count, scatter)


def _place(row: Mapping[str, Any], source: NewRelicMetrics | NewRelicQuery) -> tuple[str, str]:
    """Instance and group of a row: by the attributes' names, else in the order of the FACET clause."""
    facet = row.get("facet")
    listed = facet if isinstance(facet, list) else [facet]
    found = []
    for position, attribute in enumerate((source.host_attribute, source.group_by)):
        value = row.get(attribute) if attribute else ""
        if value is None and position < len(listed):
            value = listed[position]
        found.append("" if value is None else str(value))
    return found[0], found[1]


def _hosts(source: NewRelicMetrics | NewRelicQuery, names: Sequence[str]) -> str:
    listed = []
    for name in names:
        try:
            listed.append(nrql.literal(name))
        except ValueError as error:
            raise SourceQueryRejected(
                f"{source.name}: the instance name {error}.",
                instances=(name,),
                next_step="Such an instance cannot be part of a query; rename it.",
            ) from error
    return f"{source.host_attribute} IN ({', '.join(listed)})"


def _metric(name: object) -> Metric | None:
    if name in _FIXED:
        return _FIXED[str(name)]
    percentile = _PERCENTILE.match(name) if isinstance(name, str) else None
    if percentile and 0 < float(percentile[1]) < 100:
        return Metric(str(name), "latency", "higher_is_worse", "ms")
    return None


def _alias(name: str) -> str:
    return name.replace("response_time.", "").replace(".", "_")


def _number(value: Any, key: str = "") -> float | None:
    """A finite number; of an object the number under the key, else its only one (``{"95": 0.4}``)."""
    if isinstance(value, Mapping):
        inner = [value[key]] if key in value else list(value.values())
        return _number(inner[0]) if len(inner) == 1 else None
    return number_of(value)


def _scaled(value: Any, factor: float) -> float | None:
    number = _number(value)
    return None if number is None else number * factor


def _mistakes_of_clauses(where: str, host_attribute: str, group_by: str) -> Iterator[str]:
    if not isinstance(where, str) or not nrql.is_balanced(where):
        yield f"where: a quote or a parenthesis does not close in {where!r}"
    else:
        for word, _, _ in nrql.clauses(where):
            if word in (*_OURS, "SELECT", "FROM", "WHERE"):
                yield f"where: {word} cannot be part of a condition"
    if not nrql.is_name(str(host_attribute)):
        yield f"host_attribute: {host_attribute!r} is not the name of an attribute"
    if group_by and not nrql.is_name(str(group_by)):
        yield f"group_by: {group_by!r} is not the name of an attribute"
