"""Metrics from files of StatsD: what authors write in a DAG, and how they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from airflow_cd.durations import DurationField
from airflow_cd.sources.buckets import Buckets, utc_now
from airflow_cd.sources.file_paths import FilePaths, named
from airflow_cd.sources.specification import mistakes_of_durations, refuse
from airflow_cd.sources.statsd import StatsdStamps, parsed
from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.verification.samples import Metric, MetricSample, Window


@keeps_misspelt_keywords
@dataclass(frozen=True)
class StatsdFileMetrics:
    """Metrics of StatsD in files: what its console backend prints, Graphite's lines, StatsD's own with a time.

    Counters are summed up in each bucket, gauges and sizes of sets are averaged; timers give mean, scatter, number and,
    as ``<metric>.p95``, the 95th percentile, where the file holds every measurement.

    :param paths: a pattern as of ``ls`` in which ``{instance}`` stands for the instance's name
        (``/var/log/statsd/{instance}.log*``), or such patterns by the names of instances.
    :param metrics: names as the files have them (``shop.orders``), or by such a name a :class:`Metric` or a name that
        says what it is.
    :param bucket: width of a bucket; 30 seconds by default. Take a multiple of the interval of the flushes.
    :param delay: how long after an event it can usually be read; 12 seconds by default: StatsD flushes every ten.
    :param name: what reports call the source; ``StatsD files <paths>`` by default.
    """

    paths: str | Mapping[str, str]
    metrics: Mapping[str, Metric | str] | Sequence[str] | str
    bucket: DurationField = DurationField("30s")  # noqa: RUF009 - a descriptor
    delay: DurationField = DurationField("12s")  # noqa: RUF009 - a descriptor
    name: str = ""

    whole_buckets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"StatsD files {named(self.paths)}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        from airflow_cd.sources.metric_files import mistakes_of_metrics

        found = [*mistakes_of_durations(bucket=self.bucket, delay=self.delay)]
        found += [*self._files.mistakes(), *mistakes_of_metrics(self.metrics)]
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

        refuse(self.mistakes())
        now = utc_now()
        names = sorted(set(instances))
        metrics = chosen(self.metrics)
        buckets = Buckets.of(window, self.bucket, now - self.delay)
        points: list[Point] = []
        whole: list[Point] = []
        warnings: list[str] = []
        queries: list[str] = []
        if names and buckets.number:
            found = written(self._files, names, Window(buckets.first, buckets.until), StatsdStamps(), now)
            queries, warnings = found.queries, found.warnings
            for instance, lines in found.lines.items():
                read = parsed(lines, instance)
                points += read.points
                if read.unread:
                    warnings.append(f"{read.unread} lines or flushes of {instance} are none of StatsD's.")
            whole = found.whole(points, buckets)
        rows, known, notes = gathered(whole, metrics, buckets, names)
        warnings += notes
        silent = sorted(set(names) - {row[1] for row in rows})
        if silent and queries:
            warnings += require(metrics, (one.name for one in points), self.name, lambda: _nothing(silent))
        query = "\n".join(queries) or "no files: no instance, or no whole bucket"
        return MetricSample(spread_metric_frame(rows, counted=False), known, query, buckets.width, tuple(warnings))

    def instances(self, window: Window) -> list[str]:
        """Which instances have files.

        :param window: not looked at.
        """
        refuse(self.mistakes())
        return self._files.instances()

    @property
    def _files(self) -> FilePaths:
        return FilePaths(self.name, self.paths)


def _nothing(silent: Sequence[str]) -> Iterator[str]:
    yield f"Nothing of the metrics was written by {', '.join(silent)}."
