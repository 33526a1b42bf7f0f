"""Metrics from files of OpenTelemetry's collector: what authors write in a DAG, and how they are read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from airflow_cd.durations import DurationField
from airflow_cd.errors import SourceQueryRejected
from airflow_cd.sources.absence import unknown_instances
from airflow_cd.sources.buckets import Buckets, utc_now
from airflow_cd.sources.distributions import Distribution
from airflow_cd.sources.file_paths import FilePaths, named
from airflow_cd.sources.otlp import OtlpStamps, Raw, raw_points
from airflow_cd.sources.specification import mistakes_of_durations, mistakes_of_texts, refuse
from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.verification.samples import Metric, MetricSample, Window

_LOOKED_BACK = timedelta(minutes=5)
_LISTED = 5
STATUS = "http.response.status_code"
"""The attribute that OpenTelemetry's conventions give a status of HTTP."""


@keeps_misspelt_keywords
@dataclass(frozen=True)
class OtlpFileMetrics:
    """Metrics that the OpenTelemetry collector's file exporter has written, rotated and compressed files among them.

    Histograms, exponential ones too, give mean, scatter, number and, as ``<metric>.p95``, the 95th percentile; where
    their points have a status of HTTP, ``<metric>.errors`` are those of 5xx. Sums count what happened in each bucket,
    whether they are written as deltas or since a start; gauges, and sums that may fall, are averaged.

    :param paths: a pattern as of ``ls`` of files that hold all instances (``/var/lib/otel/metrics.json*``) or, with
        ``{instance}`` in it, those of one; or such patterns by the names of instances.
    :param metrics: names of instruments (``http.server.request.duration``), or by such a name a :class:`Metric` or a
        name that says what it is.
    :param instance_attribute: attribute of the resource, or of the points, that holds the instance's name where files
        hold all of them; ``service.instance.id`` by default.
    :param group_by: attribute of the points to break metrics down by; none (``""``) by default.
    :param status_attribute: attribute of the points that holds a status of HTTP; ``http.response.status_code`` by
        default.
    :param bucket: width of a bucket; one minute by default: the interval in which SDKs export.
    :param delay: how long after an event its point can usually be read; 70 seconds by default: that interval, and the
        collector's batch.
    :param name: what reports call the source; ``OTLP files <paths>`` by default.
    """

    paths: str | Mapping[str, str]
    metrics: Mapping[str, Metric | str] | Sequence[str] | str
    instance_attribute: str = "service.instance.id"
    group_by: str = ""
    status_attribute: str = STATUS
    bucket: DurationField = DurationField("1m")  # noqa: RUF009 - a descriptor
    delay: DurationField = DurationField("70s")  # noqa: RUF009 - a descriptor
    name: str = ""

    whole_buckets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"OTLP files {named(self.paths)}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        from airflow_cd.sources.metric_files import mistakes_of_metrics

        found = [*mistakes_of_durations(bucket=self.bucket, delay=self.delay)]
        found += mistakes_of_texts(instance_attribute=self.instance_attribute)
        found += [*self._files.mistakes(shared=True), *mistakes_of_metrics(self.metrics)]
        return [f"{type(self).__name__}({self.paths!r}): {mistake}" for mistake in found]

    def read(self, window: Window, instances: Sequence[str]) -> MetricSample:
        """Read the metrics of some instances over a window.

        :param window: half-open, aware.
        :param instances: their names, in any order; each counts once.
        :returns: a sample whose frame has the column ``deviation`` as well.
        :raises SourceQueryRejected: this specification is wrong.
        :raises SourceUnauthorized: a file may not be read.
        :raises SourceUnavailable: there is no file at all, one cannot be read now, or none has the metric.
        """
        from airflow_cd.sources.frames import spread_metric_frame
        from airflow_cd.sources.metric_files import Point, chosen, gathered, require, written
        from airflow_cd.sources.otlp_series import happened

        refuse(self.mistakes())
        now = utc_now()
        names = sorted(set(instances))
        metrics = chosen(self.metrics)
        buckets = Buckets.of(window, self.bucket, now - self.delay)
        back = max(_LOOKED_BACK, 2 * buckets.width)
        raw: list[Raw] = []
        points: list[Point] = []
        warnings: list[str] = []
        queries: list[str] = []
        if names and buckets.number:
            wider = Window(buckets.first - back, buckets.until)
            found = written(self._files, names, wider, OtlpStamps(), now)
            queries, warnings = found.queries, found.warnings
            raw, unread = self._parsed(found.lines)
            if unread:
                warnings.append(f"{unread} lines are no batches of metrics in OTLP's JSON.")
            began = wider.since.timestamp()
            told = happened(
                raw, self.group_by, self.status_attribute, lambda name: max(began, found.missing_until(name))
            )
            warnings += _of_several(told.shared, metrics, names)
            counted = any(one.kind == "cumulative" for one in raw)
            points = found.whole(told.points, buckets, since_the_one_before=counted)
        self._require_status(raw, metrics, names)
        rows, known, notes = gathered(points, metrics, buckets, names)
        warnings += notes
        silent = sorted(set(names) - {row[1] for row in rows})
        if silent and queries:
            warnings += require(metrics, (one.name for one in raw), self.name, lambda: self._silent(silent, raw))
        query = "\n".join(queries) or "no files: no instance, or no whole bucket"
        return MetricSample(spread_metric_frame(rows, counted=False), known, query, buckets.width, tuple(warnings))

    def instances(self, window: Window) -> list[str]:
        """Which instances the files hold.

        :param window: when.
        :raises SourceError: as of :meth:`read`.
        """
        from airflow_cd.sources.metric_files import written

        refuse(self.mistakes())
        if not self._files.shared:
            return self._files.instances()
        found = written(self._files, [""], window, OtlpStamps(), utc_now())
        return sorted({one.instance for one in self._parsed(found.lines)[0]} - {""})

    @property
    def _files(self) -> FilePaths:
        return FilePaths(self.name, self.paths)

    def _parsed(self, lines: Mapping[str, Sequence[tuple[datetime, str]]]) -> tuple[list[Raw], int]:
        """Data points, and how many lines are none."""
        from dataclasses import replace

        found: list[Raw] = []
        unread = 0
        for owner, own in lines.items():
            for _, line in own:
                try:
                    points = list(raw_points(line, self.instance_attribute))
                except (ValueError, TypeError, AttributeError, ArithmeticError, RecursionError):
                    unread += 1
                    continue
                found += [replace(one, instance=owner) for one in points] if owner else points
        return found, unread

    def _require_status(self, raw: Sequence[Raw], metrics: Collection[str], names: Collection[str]) -> None:
        """Refuse requests of which nothing says whether they failed, where others of them do, or an author says so."""
        known: dict[str, dict[str, bool]] = {}
        for one in raw:
            if one.name in metrics and one.instance in names and isinstance(one.value, Distribution):
                of_metric = known.setdefault(one.name, {})
                told = any(name == self.status_attribute for name, _ in one.attributes)
                of_metric[one.instance] = of_metric.get(one.instance, False) or told
        said = self.status_attribute != STATUS and known and not any(any(one.values()) for one in known.values())
        for metric, told_of in known.items():
            if (said or any(told_of.values())) and (
                silent := sorted(name for name, told in told_of.items() if not told)
            ):
                raise SourceQueryRejected(
                    f"{self.name}: no point of {metric} of {', '.join(silent[:_LISTED])} has the attribute "
                    f"{self.status_attribute}: nothing says which requests failed.",
                    next_step="Name the attribute that holds their status as status_attribute.",
                )

    def _silent(self, silent: Sequence[str], raw: Sequence[Raw]) -> Iterator[str]:
        known = sorted({one.instance for one in raw} - {""})
        if known:
            yield from unknown_instances(silent, known, f"the attribute {self.instance_attribute}")
        else:
            yield f"No point has the attribute {self.instance_attribute}: name the one that holds the instances' names."


def _of_several(shared: Sequence[tuple[str, str]], metrics: Collection[str], names: Collection[str]) -> Iterator[str]:
    for metric in sorted({metric for instance, metric in shared if metric in metrics and instance in names}):
        whose = [instance for instance, name in shared if name == metric and instance in names]
        yield (
            f"{metric} of {', '.join(whose[:_LISTED])} was left out: several processes write it, and nothing tells "
            "their points apart. Give each a service.instance.id or process.pid in its resource."
        )
