"""Metrics from Amazon CloudWatch: what authors write in a DAG, and how they are read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_cd.durations import DurationField
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
from airflow_cd.verification.samples import Metric, MetricSample, Window
from airflow_cd.wording import ended

if TYPE_CHECKING:
    from airflow_cd.hooks.cloud_watch import CloudWatch

_QUERIES_AT_ONCE = 250  # two of an instance, of 500 that one call may have


@keeps_misspelt_keywords
@dataclass(frozen=True)
class CloudWatchMetrics:
    """One metric of CloudWatch, whose instances are told apart by a dimension.

    :param namespace: ``AWS/ApplicationELB``.
    :param metric_name: as CloudWatch calls it, ``TargetResponseTime``.
    :param metric: what the number is and how a change in it is judged: a :class:`Metric`, or a name that says it; read
        from ``metric_name`` by default.
    :param dimension: name of the dimension that holds the instance's name; ``InstanceId`` by default.
    :param dimensions: the other dimensions, all of them: CloudWatch knows a metric by the whole set.
    :param stat: ``Average``, ``Sum``, ``p95`` and so on; by default *Sum* of numbers and *Average* of everything else.
    :param conn_id: Airflow connection of type ``aws``; ``aws_default`` by default.
    :param region: ``eu-central-1``; the connection's by default.
    :param bucket: width of a bucket, the period of CloudWatch: whole minutes, or 1, 5, 10, 20 or 30 seconds for metrics
        that are published as often; one minute by default.
    :param delay: how long after an event CloudWatch usually has it, a duration; three minutes by default, as most
        services publish every one to five.
    :param name: what reports call the source; ``CloudWatch <metric_name>`` by default.
    :param per_request: whether every request publishes one value, as Lambda's ``Errors`` and ``Duration`` do: then the
        number of values is that of the requests. False, the default, where only those that failed publish one.
    """

    namespace: str
    metric_name: str
    metric: Metric | str = ""
    dimension: str = "InstanceId"
    dimensions: Mapping[str, str] = field(default_factory=dict)
    stat: str = ""
    conn_id: str = "aws_default"
    region: str = ""
    bucket: DurationField = DurationField("1m")  # noqa: RUF009 - a descriptor
    delay: DurationField = DurationField("3m")  # noqa: RUF009 - a descriptor
    name: str = ""
    per_request: bool = False

    whole_buckets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"CloudWatch {self.metric_name}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        from airflow_cd.hooks.cloud_watch import installed

        found = [] if installed() else ["the client of AWS is not installed: pip install 'airflow-cd[aws]'"]
        found += mistakes_of_texts(
            namespace=self.namespace, metric_name=self.metric_name, dimension=self.dimension, conn_id=self.conn_id
        )
        found += mistakes_of_durations(bucket=self.bucket, delay=self.delay)
        seconds = self.bucket.total_seconds() if isinstance(self.bucket, timedelta) else 60.0
        if seconds % 60 and seconds not in (1, 5, 10, 20, 30):
            found.append("bucket: CloudWatch has periods of whole minutes, and of 1, 5, 10, 20 and 30 seconds")
        found += mistakes_of_metric(self.metric, named_elsewhere=True)
        return [f"{type(self).__name__}({self.metric_name!r}): {mistake}" for mistake in found]

    @reads_answers
    def read(self, window: Window, instances: Sequence[str]) -> MetricSample:
        """Read the metric of some instances over a window.

        :param window: half-open, aware.
        :param instances: their names, in any order; each counts once.
        :raises SourceQueryRejected: this specification is wrong, or CloudWatch rejects the query.
        :raises SourceUnauthorized: the credentials are refused, or do not allow the metric.
        :raises SourceUnavailable: CloudWatch does not answer, answers with a part, or has no such metric.
        """
        from airflow_cd.hooks.cloud_watch import CloudWatch
        from airflow_cd.sources.frames import partly_counted_metric_frame

        refuse(self.mistakes())
        metric = self._metric()
        names = sorted(name for name in set(instances) if name and len(name) <= 1024 and name.isprintable())
        buckets = Buckets.of(window, self.bucket, utc_now() - self.delay)
        cloud_watch = CloudWatch(self.conn_id, self.region)
        rows: list[Any] = []
        warnings: list[str] = []
        for start in range(0, len(names) if buckets.number else 0, _QUERIES_AT_ONCE):
            own, said = self._rows(cloud_watch, names[start : start + _QUERIES_AT_ONCE], buckets, metric)
            rows += own
            warnings += [text for text in said if text not in warnings]
        silent = sorted(set(names) - {row[1] for row in rows})
        if silent and buckets.number:
            warnings += why_nothing(silent, lambda: self._without(cloud_watch, silent))
        others = "".join(f", {name}={value}" for name, value in self.dimensions.items())
        query = (
            f"{self._stat(metric)} of {self.namespace} {self.metric_name} by {self.dimension}{others}, "
            f"{buckets.first.isoformat()} to {buckets.until.isoformat()}"
        )
        return MetricSample(partly_counted_metric_frame(rows), (metric,), query, buckets.width, tuple(warnings))

    @reads_answers
    def instances(self, window: Window) -> list[str]:
        """Which instances have the metric.

        :param window: not looked at: CloudWatch lists what had data in the last two weeks.
        :raises SourceError: as of :meth:`read`.
        """
        from airflow_cd.hooks.cloud_watch import CloudWatch

        refuse(self.mistakes())
        return self._known(CloudWatch(self.conn_id, self.region))

    def _metric(self) -> Metric:

        return as_metric(self.metric or self.metric_name)

    def _stat(self, metric: Metric) -> str:
        return self.stat or ("Sum" if metric.adds_up_over_time else "Average")

    def _rows(
        self, cloud_watch: CloudWatch, names: Sequence[str], buckets: Buckets, metric: Metric
    ) -> tuple[list[tuple[datetime, str, str, str, float, float]], list[str]]:
        """Rows of some instances, and what CloudWatch says besides them."""
        from airflow_cd.sources.frames import requests_of

        stat = self._stat(metric)
        asked = [(f"v{number}", name, stat) for number, name in enumerate(names)]
        asked += [(f"n{number}", name, "SampleCount") for number, name in enumerate(names)]
        points, said = cloud_watch.metric_data(
            MetricDataQueries=[self._query(key, name, one, buckets) for key, name, one in asked],
            StartTime=buckets.first,
            EndTime=buckets.until,
            ScanBy="TimestampAscending",
        )
        found = {
            key: {(moment - buckets.first) // buckets.width: value for moment, value in own}
            for key, own in points.items()
        }
        rows = []
        for place, name in enumerate(names):
            counts = found.get(f"n{place}", {})
            for number, value in found.get(f"v{place}", {}).items():
                if 0 <= number < buckets.number and math.isfinite(value):
                    count = counts.get(number, math.nan)
                    requests = count if self.per_request else requests_of(metric, value, count)
                    rows.append((buckets.start(number), name, metric.name, "", value, requests))
        return rows, said

    def _query(self, key: str, name: str, stat: str, buckets: Buckets) -> dict[str, Any]:
        dimensions = {**self.dimensions, self.dimension: name}
        return {
            "Id": key,
            "ReturnData": True,
            "MetricStat": {
                "Metric": {
                    "Namespace": self.namespace,
                    "MetricName": self.metric_name,
                    "Dimensions": [{"Name": one, "Value": value} for one, value in sorted(dimensions.items())],
                },
                "Period": round(buckets.seconds),
                "Stat": stat,
            },
        }

    def _known(self, cloud_watch: CloudWatch) -> list[str]:
        given = {"Namespace": self.namespace, "MetricName": self.metric_name}
        found = set()
        for page in cloud_watch.pages("cloudwatch", "list_metrics", **given):
            for metric in page.get("Metrics", ()):
                dimensions = {one["Name"]: one["Value"] for one in metric.get("Dimensions", ())}
                if {*dimensions} == {self.dimension, *self.dimensions} and dict(self.dimensions).items() <= (
                    dimensions.items()
                ):
                    found.add(dimensions[self.dimension])
        return sorted(found)

    def _without(self, cloud_watch: CloudWatch, silent: Sequence[str]) -> Iterator[str]:
        known = self._known(cloud_watch)
        if known:
            yield from unknown_instances(silent, known, f"the dimension {self.dimension} of {self.metric_name}")
            return
        all_of_it = [
            metric
            for page in cloud_watch.pages("cloudwatch", "list_metrics", Namespace=self.namespace)
            for metric in page.get("Metrics", ())
        ]
        names = sorted({str(metric["MetricName"]) for metric in all_of_it})
        if self.metric_name not in names:
            hint = f"; {suggestion(self.metric_name, names)}" if names else ", nor any other"
            raise SourceUnavailable(
                ended(
                    f"CloudWatch (connection {self.conn_id!r}) has no metric {self.metric_name} in "
                    f"{self.namespace}{hint}"
                ),
                next_step="Correct its name, or the region: a metric is known there once it was published.",
            )
        sets = {
            ", ".join(sorted(one["Name"] for one in metric.get("Dimensions", ())))
            for metric in all_of_it
            if metric["MetricName"] == self.metric_name
        }
        raise SourceQueryRejected(
            f"CloudWatch has {self.metric_name} by {' or by '.join(sorted(sets))}, and not by "
            f"{', '.join(sorted((self.dimension, *self.dimensions)))} with these values.",
            next_step="Name every dimension that the metric has: dimension, and the others as dimensions={...}.",
        )
