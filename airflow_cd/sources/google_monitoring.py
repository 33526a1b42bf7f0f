"""Metrics from Google Cloud Monitoring: what authors write in a DAG, and how they are read."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_cd.durations import DurationField, format_duration
from airflow_cd.errors import SourceQueryRejected, SourceUnavailable
from airflow_cd.sources.absence import unknown_instances, why_nothing
from airflow_cd.sources.buckets import Buckets, utc_now
from airflow_cd.sources.specification import (
    as_metric,
    mistakes_of_durations,
    mistakes_of_metric,
    mistakes_of_texts,
    reads_answers,
    refuse,
)
from airflow_cd.spelling import keeps_misspelt_keywords, suggestion
from airflow_cd.verification.samples import SUMMED, Metric, MetricSample, Window
from airflow_cd.wording import ended

if TYPE_CHECKING:
    from airflow_cd.hooks.google_monitoring import GoogleMonitoringHook

_TYPE = re.compile(r"[A-Za-z][\w.-]*(?:/[\w./-]+)+\Z")
_LABEL = re.compile(r"(resource\.labels|metric\.labels|metadata\.(?:system|user)_labels)\.([\w/-]+)\Z")
_INSTANCES_A_QUERY = 100
_HOUR = timedelta(hours=1)
_Point = tuple[datetime, str, str, Mapping[str, Any]]
"""When its bucket begins, instance, group, and the value as Google writes it."""


@keeps_misspelt_keywords
@dataclass(frozen=True)
class GoogleCloudMetrics:
    """One type of metrics, whose instances are told apart by a label.

    What a counter has grown by is counted in each bucket, levels are averaged. Distributions give mean, scatter, how
    many measurements there are and, as ``<metric>.p95``, the 95th percentile.

    :param metric_type: ``loadbalancing.googleapis.com/https/backend_latencies``.
    :param metric: what the number is and how a change in it is judged: a :class:`Metric`, or a name that says it; read
        from ``metric_type`` by default.
    :param query: a further condition of Monitoring's filters, ``resource.labels.backend_name = "shop"``; none by
        default.
    :param instance_label: label that holds the instance's name: ``resource.labels.instance_id`` (the default),
        ``resource.labels.pod_name``, ``metric.labels.instance_name``, ``metadata.system_labels.name``.
    :param group_by: label to break the metric down by; none (``""``) by default.
    :param conn_id: Airflow connection of type ``google_observability``; ``google_observability_default`` by default.
    :param bucket: width of a bucket, of whole minutes; one minute by default.
    :param delay: how long after an event Google usually has it; four minutes by default. Where the type's own delay is
        longer, that counts.
    :param name: what reports call the source; ``Google Cloud <metric_type>`` by default.
    """

    metric_type: str
    metric: Metric | str = ""
    query: str = ""
    instance_label: str = "resource.labels.instance_id"
    group_by: str = ""
    conn_id: str = "google_observability_default"
    bucket: DurationField = DurationField("1m")  # noqa: RUF009 - a descriptor
    delay: DurationField = DurationField("4m")  # noqa: RUF009 - a descriptor
    name: str = ""

    whole_buckets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"Google Cloud {self.metric_type}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        from airflow_cd.hooks.google_cloud import installed

        found = [] if installed() else ["Google's library for credentials is not installed: airflow-cd[google]"]
        found += mistakes_of_texts(metric_type=self.metric_type, conn_id=self.conn_id)
        found += mistakes_of_durations(bucket=self.bucket, delay=self.delay)
        if isinstance(self.bucket, timedelta) and self.bucket % timedelta(minutes=1):
            found.append("bucket: Google aligns to whole minutes")
        if isinstance(self.metric_type, str) and self.metric_type.strip() and not _TYPE.match(self.metric_type):
            found.append(f"metric_type: {self.metric_type!r} is not a type of metrics, such as custom.googleapis.com/a")
        found += mistakes_of_metric(self.metric, named_elsewhere=True)
        for name, label in (("instance_label", self.instance_label), ("group_by", self.group_by)):
            if (label or name == "instance_label") and not _LABEL.match(str(label)):
                found.append(f"{name}: {label!r} is not resource.labels.x, metric.labels.x or metadata.system_labels.x")
        if str(self.query).count("(") != str(self.query).count(")") or str(self.query).count('"') % 2:
            found.append("query: a quote or a parenthesis does not close")
        return [f"{type(self).__name__}({self.metric_type!r}): {mistake}" for mistake in found]

    @reads_answers
    def read(self, window: Window, instances: Sequence[str]) -> MetricSample:
        """Read the metric of some instances over a window.

        :param window: half-open, aware.
        :param instances: their names, in any order; each counts once.
        :returns: a sample whose frame has the column ``deviation`` as well.
        :raises SourceQueryRejected: this specification is wrong, Google rejects the query, or no series has the label.
        :raises SourceUnauthorized: Google does not accept the key, or the account may not read metrics.
        :raises SourceUnavailable: Google does not answer, answers with a part, or has no such type of metrics.
        """
        from airflow_cd.hooks.google_monitoring import GoogleMonitoringHook
        from airflow_cd.sources.frames import spread_metric_frame

        refuse(self.mistakes())
        hook = GoogleMonitoringHook(self.conn_id)
        names = sorted(name for name in set(instances) if name)
        descriptor = self._descriptor(hook) if names else {}
        metrics = self._metrics(descriptor)
        own = _seconds(descriptor, "ingestDelay")
        buckets = Buckets.of(window, self.bucket, utc_now() - max(self.delay, own))
        points: list[_Point] = []
        queries: list[str] = []
        for start in range(0, len(names) if buckets.number else 0, _INSTANCES_A_QUERY):
            params = self._asked(descriptor, metrics[0], buckets, names[start : start + _INSTANCES_A_QUERY])
            queries.append(" ".join(f"{name}={value}" for name, value in params.items()))
            for series in hook.series(params):
                points += self._points(series, names, buckets)
        rows, warnings = _rows(points, metrics)
        if own > self.delay:
            warnings.append(f"Google says that {self.metric_type} comes {format_duration(own)} late: raise delay.")
        silent = sorted(set(names) - {row[1] for row in rows})
        if silent and queries:
            warnings += why_nothing(silent, lambda: self._without(hook, silent, window))
        query = "\n".join(queries) or "no query: no instance, or no whole bucket"
        return MetricSample(spread_metric_frame(rows, counted=False), metrics, query, buckets.width, tuple(warnings))

    @reads_answers
    def instances(self, window: Window) -> list[str]:
        """Which instances have had the metric.

        :param window: when.
        :raises SourceError: as of :meth:`read`.
        """
        from airflow_cd.hooks.google_monitoring import GoogleMonitoringHook

        refuse(self.mistakes())
        return self._known(GoogleMonitoringHook(self.conn_id), window)[0]

    def _descriptor(self, hook: GoogleMonitoringHook) -> Mapping[str, Any]:
        found = hook.descriptor(self.metric_type)
        if not found:
            service = self.metric_type.partition("/")[0]
            known = hook.metric_types(f"{service}/") or hook.metric_types()
            raise SourceUnavailable(
                ended(
                    f"Google Cloud Monitoring (connection {self.conn_id!r}, project {hook.project}) has no metrics of "
                    f"type {self.metric_type}; {suggestion(self.metric_type, known)}"
                ),
                next_step="Correct the type, or the project of the connection.",
            )
        if found.get("valueType") in ("STRING", "MONEY"):
            raise SourceQueryRejected(
                f"{self.name}: its values are of type {found['valueType']}, which is no number.",
                next_step="Take another type of metrics.",
            )
        return found

    def _metrics(self, descriptor: Mapping[str, Any]) -> tuple[Metric, ...]:

        last = self.metric_type.rpartition("/")[2]
        metric = as_metric(self.metric or last)
        if not metric.unit and descriptor.get("unit") in ("ms", "s", "us", "ns", "By"):
            metric = replace(metric, unit=str(descriptor["unit"]))
        if descriptor.get("valueType") == "DISTRIBUTION" and metric.kind not in SUMMED:
            return metric, replace(metric, name=f"{metric.name}.p95")
        return (metric,)

    def _asked(
        self, descriptor: Mapping[str, Any], metric: Metric, buckets: Buckets, names: Sequence[str]
    ) -> dict[str, Any]:
        listed = ", ".join(json.dumps(name, ensure_ascii=False) for name in names)
        parts = [f'metric.type = "{self.metric_type}"', f"{self.instance_label} = one_of({listed})"]
        if self.query.strip():
            parts.insert(1, f"({self.query.strip()})")
        aligner, reducer = _aligned(descriptor, metric)
        return {
            "filter": " AND ".join(parts),
            "interval.startTime": _iso(buckets.first),
            "interval.endTime": _iso(buckets.until),
            "aggregation.alignmentPeriod": f"{round(buckets.seconds)}s",
            "aggregation.perSeriesAligner": aligner,
            "aggregation.crossSeriesReducer": reducer,
            "aggregation.groupByFields": [label for label in (self.instance_label, self.group_by) if label],
        }

    def _points(self, series: Mapping[str, Any], names: Sequence[str], buckets: Buckets) -> Iterator[_Point]:
        from airflow_cd.sources.records import instant

        instance, group = _label(series, self.instance_label), _label(series, self.group_by)
        for point in series.get("points") or ():
            # A point is of the interval that ends where it says; it counts in no other one.
            end = instant(point["interval"]["endTime"])
            number = buckets.number_of(end.timestamp()) if end is not None else -1
            if instance in names and 0 <= number < buckets.number:
                yield buckets.start(number), instance, group, point["value"]

    def _known(self, hook: GoogleMonitoringHook, window: Window) -> tuple[list[str], list[str]]:
        """Names of instances that have series, and labels that series have."""
        condition = f'metric.type = "{self.metric_type}"'
        found = hook.series(
            {
                "filter": f"{condition} AND ({self.query.strip()})" if self.query.strip() else condition,
                "interval.startTime": _iso(window.since - _HOUR),
                "interval.endTime": _iso(window.until),
                "view": "HEADERS",
            }
        )
        labels = {
            f"{part}.labels.{name}"
            for series in found
            for part in ("resource", "metric")
            for name in (series.get(part) or {}).get("labels") or {}
        }
        return sorted({_label(series, self.instance_label) for series in found} - {""}), sorted(labels)

    def _without(self, hook: GoogleMonitoringHook, silent: Sequence[str], window: Window) -> Iterator[str]:
        known, labels = self._known(hook, window)
        if known:
            yield from unknown_instances(silent, known, f"the label {self.instance_label}")
        elif labels:
            raise SourceQueryRejected(
                ended(
                    f"{self.name}: no series has the label {self.instance_label!r}; "
                    f"{suggestion(self.instance_label, labels)}"
                ),
                next_step="Name the label that holds the instances' names as instance_label.",
            )
        else:
            yield f"{self.metric_type} has had no point in the hour before, of any instance."


def _rows(points: Sequence[_Point], metrics: Sequence[Metric]) -> tuple[list[Any], list[str]]:
    """Rows of a sample, and what is said of the buckets of distributions that end otherwise."""
    from airflow_cd.sources.distributions import differing
    from airflow_cd.sources.frames import requests_of
    from airflow_cd.sources.google_distributions import distribution_of

    rows: list[Any] = []
    distributions = []
    for start, instance, group, value in points:
        if "distributionValue" in value:
            distributions.append((start, instance, group, *distribution_of(value["distributionValue"])))
            continue
        plain = next((value[kind] for kind in ("doubleValue", "int64Value", "boolValue") if kind in value), None)
        amount = float(plain) if plain is not None else math.nan
        if math.isfinite(amount):
            count = requests_of(metrics[0], amount)
            rows.append((start, instance, metrics[0].name, group, amount, count, math.nan))
    distributions = [one for one in distributions if one[3].count > 0]
    ends = {found.ends for *_, found, _ in distributions}
    shared = sorted(frozenset.intersection(*ends)) if len(metrics) > 1 and len(ends) > 1 else None
    for start, instance, group, found, deviation in distributions:
        count = found.count
        if len(metrics) == 1:
            rows.append((start, instance, metrics[0].name, group, count, count, math.nan))
            continue
        percentile, _ = found.shape if shared is None else found.shape_by(shared)
        rows.append((start, instance, metrics[0].name, group, found.mean, count, deviation))
        if math.isfinite(percentile):
            rows.append((start, instance, metrics[1].name, group, percentile, count, math.nan))
    return rows, [] if shared is None else [differing(metrics[0].name, shared)]


def _aligned(descriptor: Mapping[str, Any], metric: Metric) -> tuple[str, str]:
    """How series are aligned to buckets, and how those of one instance become one."""
    counts = descriptor.get("metricKind") in ("DELTA", "CUMULATIVE")
    if descriptor.get("valueType") == "DISTRIBUTION":
        return ("ALIGN_DELTA" if counts else "ALIGN_SUM"), "REDUCE_SUM"
    if descriptor.get("valueType") == "BOOL":
        return "ALIGN_FRACTION_TRUE", "REDUCE_MEAN"
    if not counts:
        aligned = "ALIGN_SUM" if metric.adds_up_over_time else "ALIGN_MEAN"
        return aligned, "REDUCE_SUM" if metric.adds_up else "REDUCE_MEAN"
    return ("ALIGN_DELTA" if metric.adds_up_over_time else "ALIGN_RATE"), "REDUCE_SUM"


def _label(series: Mapping[str, Any], label: str) -> str:
    found = _LABEL.match(label)
    if found is None:
        return ""
    outer, inner = found[1].split(".")
    if outer == "metadata":
        inner = {"system_labels": "systemLabels", "user_labels": "userLabels"}[inner]
    value = ((series.get(outer) or {}).get(inner) or {}).get(found[2])
    return "" if value is None else str(value)


def _seconds(descriptor: Mapping[str, Any], name: str) -> timedelta:
    """A duration of a descriptor's metadata, ``120s``."""
    given = str((descriptor.get("metadata") or {}).get(name) or "0s").removesuffix("s")
    return timedelta(seconds=float(given))


def _iso(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
