"""Logs and metrics from Datadog: what authors write in a DAG, and how they are read."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_cd.durations import DurationField
from airflow_cd.errors import SourceQueryRejected, SourceUnavailable
from airflow_cd.sources.absence import unknown_instances, why_nothing
from airflow_cd.sources.buckets import Buckets, utc_now
from airflow_cd.sources.datadog_absence import HOUR, tags_of, without_events
from airflow_cd.sources.specification import (
    as_metric,
    mistakes_of_durations,
    mistakes_of_metric,
    mistakes_of_texts,
    reads_answers,
    refuse,
)
from airflow_cd.spelling import keeps_misspelt_keywords, suggestion
from airflow_cd.verification.samples import LogSample, Metric, MetricSample, Window
from airflow_cd.wording import ended

if TYPE_CHECKING:
    from airflow_cd.hooks.datadog import DatadogHook

_INSTANCES = "{instances}"
_INSTANCES_A_QUERY = 100
_NAME = re.compile(r"[A-Za-z0-9_.:/-]+\Z")
_METRIC = re.compile(r"[a-z]+:([A-Za-z][\w.]*)\{")


@keeps_misspelt_keywords
@dataclass(frozen=True)
class DatadogLogs:
    """Log events of an application.

    :param query: a search of Datadog, ``service:shop env:production``; ``*`` for all.
    :param instance_tag: what holds the instance's name: ``host`` (the default), or a tag such as ``pod_name``.
    :param conn_id: Airflow connection of type ``datadog_api``; ``datadog_default`` by default.
    :param delay: how long after an event Datadog usually has it, a duration; 30 seconds by default.
    :param name: what reports call the source; ``Datadog <query>`` by default.
    """

    query: str
    instance_tag: str = "host"
    conn_id: str = "datadog_default"
    delay: DurationField = DurationField("30s")  # noqa: RUF009 - a descriptor
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"Datadog {self.query}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        found = [*mistakes_of_texts(query=self.query, instance_tag=self.instance_tag, conn_id=self.conn_id)]
        found += mistakes_of_durations(delay=self.delay)
        if str(self.query).count("(") != str(self.query).count(")") or str(self.query).count('"') % 2:
            found.append("query: a quote or a parenthesis does not close")
        return [f"{type(self).__name__}({self.query!r}): {mistake}" for mistake in found]

    @reads_answers
    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        """Read the log events of some instances over a window.

        :param window: half-open, aware.
        :param instances: their names, in any order; each counts once.
        :returns: a sample with ids; ``truncated`` where there are more events than one read takes.
        :raises SourceQueryRejected: this specification is wrong, Datadog rejects the search, or no event has the tag
            of the instances.
        :raises SourceError: Datadog cannot be read.
        """
        from airflow_cd.hooks.datadog import DatadogHook
        from airflow_cd.sources import records
        from airflow_cd.sources.frames import identified_log_frame

        refuse(self.mistakes())
        names = sorted(set(instances))
        hook = DatadogHook(self.conn_id)
        rows: list[tuple[Any, str, str, str, None]] = []
        queries: list[str] = []
        without_time, cut = 0, False
        for start in range(0, len(names) if window.since < window.until else 0, _INSTANCES_A_QUERY):
            if cut:
                break
            queries.append(self.resolved(names[start : start + _INSTANCES_A_QUERY]))
            # Its end may belong to it, and it has whole milliseconds.
            for event in hook.logs(queries[-1], window.since, window.until + timedelta(milliseconds=1)):
                if cut := len(rows) >= records.MOST_RECORDS:
                    break
                row = self._row(event, names)
                if row is None:
                    without_time += 1
                elif row[1] and window.since <= row[0] < window.until:
                    rows.append(row)
        warnings = [f"{without_time} events without a time were left out."] if without_time else []
        warnings += [records.left_out()] if cut else []
        if queries and not rows:
            warnings += why_nothing(names, lambda: without_events(hook, self, names, window))
        query = "\n".join(queries) or "no query: no instance, or no time"
        return LogSample(identified_log_frame(rows), query, cut or bool(without_time), tuple(warnings), cut=cut)

    def resolved(self, instances: Sequence[str]) -> str:
        """Return the search as it is sent for some instances.

        :param instances: their names.
        :raises SourceQueryRejected: a name could change the search.
        """
        listed = []
        for name in instances:
            if not name or set(name) & set('"\\*?') or not name.isprintable():
                raise SourceQueryRejected(
                    f"{self.name}: the instance name {name!r} is empty or holds a quote, a backslash or a wildcard.",
                    instances=(name,),
                    next_step="Such an instance cannot be part of a search; rename it.",
                )
            listed.append(f'"{name}"')
        return f"({self.query.strip()}) AND {self.instance_tag}:({' OR '.join(listed)})"

    def _row(self, event: Mapping[str, Any], names: Sequence[str]) -> tuple[Any, str, str, str, None] | None:
        from airflow_cd.sources.records import instant, record_text

        attributes = event.get("attributes")
        fields: dict[str, Any] = dict(attributes) if isinstance(attributes, Mapping) else {}
        moment = instant(fields.get("timestamp"))
        if moment is None:
            return None
        candidates = (value for name, value in tags_of(fields) if name == self.instance_tag)
        instance = next((one for one in candidates if one in names), "")
        inner = fields.get("attributes")
        told = {**(inner if isinstance(inner, Mapping) else {}), "message": fields.get("message")}
        if fields.get("status"):
            told.setdefault("level", fields["status"])
        return moment, instance, record_text(told, "message"), str(event.get("id", "")), None


@keeps_misspelt_keywords
@dataclass(frozen=True)
class DatadogMetrics:
    """One metric by a query of Datadog.

    :param query: a query without a rollup, in whose scope ``{instances}`` stands for the condition of the instances, by
        the tag that holds them: ``avg:trace.http.request.duration{service:shop AND {instances}} by {host}``.
    :param metric: what the number is and how a change in it is judged: a :class:`Metric`, or a name that says it.
    :param instance_tag: tag that holds the instance's name; ``host`` by default.
    :param conn_id: Airflow connection of type ``datadog_api``; ``datadog_default`` by default.
    :param bucket: width of a bucket; one minute by default.
    :param delay: how long after an event Datadog usually has it; 90 seconds by default: the newest points are not
        finished.
    :param name: what reports call the source; ``Datadog <metric>`` by default.
    """

    query: str
    metric: Metric | str
    instance_tag: str = "host"
    conn_id: str = "datadog_default"
    bucket: DurationField = DurationField("1m")  # noqa: RUF009 - a descriptor
    delay: DurationField = DurationField("90s")  # noqa: RUF009 - a descriptor
    name: str = ""

    whole_buckets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"Datadog {getattr(self.metric, 'name', self.metric)}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        found = [*mistakes_of_texts(query=self.query, instance_tag=self.instance_tag, conn_id=self.conn_id)]
        found += mistakes_of_durations(bucket=self.bucket, delay=self.delay)
        found += mistakes_of_metric(self.metric)
        text = str(self.query)
        if _INSTANCES not in text:
            found.append(f"query: {_INSTANCES} is missing in its scope")
        if ".rollup(" in text or ".fill(" in text:
            found.append("query: rollup is added when the query is sent, and what is missing stays missing")
        if self.instance_tag not in re.findall(r"[\w.-]+", "".join(re.findall(r"by *\{([^}]*)\}", text))):
            found.append(f"query: it is not grouped, by {{{self.instance_tag}}}")
        return [f"{type(self).__name__}({self.name!r}): {mistake}" for mistake in found]

    @reads_answers
    def read(self, window: Window, instances: Sequence[str]) -> MetricSample:
        """Read the metric of some instances over a window.

        :param window: half-open, aware.
        :param instances: their names, in any order; each counts once.
        :raises SourceQueryRejected: this specification is wrong, or Datadog rejects the query.
        :raises SourceUnavailable: Datadog does not answer, or has no such metric.
        :raises SourceError: Datadog cannot be read.
        """
        from airflow_cd.hooks.datadog import DatadogHook
        from airflow_cd.sources.frames import partly_counted_metric_frame

        refuse(self.mistakes())
        metric = as_metric(self.metric)
        names = sorted(set(instances))
        for name in names:
            if not _NAME.match(name):
                raise SourceQueryRejected(
                    f"{self.name}: the instance name {name!r} cannot be a tag of Datadog.",
                    instances=(name,),
                    next_step="Tags hold letters, digits and _ - : . / alone.",
                )
        buckets = Buckets.of(window, self.bucket, utc_now() - self.delay)
        hook = DatadogHook(self.conn_id)
        rows: list[Any] = []
        queries: list[str] = []
        for start in range(0, len(names) if buckets.number else 0, _INSTANCES_A_QUERY):
            queries.append(self._resolved(names[start : start + _INSTANCES_A_QUERY], metric))
            rows += self._rows(hook, queries[-1], names, buckets, metric)
        if queries and not rows:
            self._require_metric(hook, buckets)
        silent = sorted(set(names) - {row[1] for row in rows})
        warnings: list[str] = []
        if queries and silent:
            warnings = why_nothing(silent, lambda: self._without(hook, silent, buckets))
        query = "\n".join(queries) or "no query: no instance, or no whole bucket"
        return MetricSample(partly_counted_metric_frame(rows), (metric,), query, buckets.width, tuple(warnings))

    def _resolved(self, names: Sequence[str], metric: Metric) -> str:
        scope = f"{self.instance_tag} IN ({','.join(name.lower() for name in names)})"
        how = "sum" if metric.adds_up_over_time else "avg"
        return f"{self.query.replace(_INSTANCES, scope)}.rollup({how}, {round(self.bucket.total_seconds())})"

    def _rows(
        self, hook: DatadogHook, query: str, names: Sequence[str], buckets: Buckets, metric: Metric
    ) -> Iterator[tuple[Any, str, str, str, float, float]]:
        by_tag = {name.lower(): name for name in names}
        for series in hook.series(query, buckets.first.timestamp(), buckets.until.timestamp()):
            if series.get("interval") not in (None, round(buckets.seconds)):
                raise SourceQueryRejected(
                    f"{self.name}: Datadog answers in intervals of {series['interval']} s, not of "
                    f"{buckets.seconds:g} s as it was asked.",
                    next_step="Take wider buckets.",
                )
            tags = dict(str(tag).partition(":")[::2] for tag in series.get("tag_set") or ())
            instance = by_tag.get(tags.pop(self.instance_tag, "").lower())
            group = " ".join(f"{name}:{value}" for name, value in sorted(tags.items()))
            for point in series.get("pointlist") or ():
                number = math.floor((point[0] / 1000 - buckets.first.timestamp()) / buckets.seconds)
                # null is no measurement, and never 0.
                if instance and point[1] is not None and math.isfinite(point[1]) and 0 <= number < buckets.number:
                    yield buckets.start(number), instance, metric.name, group, float(point[1]), math.nan

    def _require_metric(self, hook: DatadogHook, buckets: Buckets) -> None:
        named = _METRIC.findall(self.query)
        known = hook.metric_names(buckets.first.timestamp() - 3600)
        for name in named:
            if name not in known:
                raise SourceUnavailable(
                    ended(
                        f"Datadog (connection {self.conn_id!r}, {hook.default_address}) has no metric {name}; "
                        f"{suggestion(name, known) if known else 'it has none at all.'}"
                    ),
                    next_step="Correct its name, or the site of the connection.",
                )

    def _without(self, hook: DatadogHook, silent: Sequence[str], buckets: Buckets) -> Iterator[str]:
        """What is said of instances without a point: nobody knows them, or nobody has the tag."""
        query = self.query.replace(_INSTANCES, f"{self.instance_tag}:*")
        found = hook.series(query, (buckets.first - HOUR).timestamp(), buckets.until.timestamp())
        tags = (str(tag).partition(":") for series in found for tag in series.get("tag_set") or ())
        known = {value for name, _, value in tags if name == self.instance_tag}
        if known:
            # Datadog knows tags in lower case alone.
            spelt = {name.lower(): name for name in silent}
            known = {spelt.get(value.lower(), value) for value in known}
            yield from unknown_instances(silent, sorted(known), f"the tag {self.instance_tag}")
        else:
            asked = self.query.replace(_INSTANCES, "...")
            yield (
                f"{asked} has had no point with the tag {self.instance_tag} in the hour before, of any instance: "
                "correct the tag, or the rest of its scope."
            )
