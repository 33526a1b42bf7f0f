"""Metrics from InfluxDB: what authors write in a DAG, and how they are read."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_cd.durations import DurationField
from airflow_cd.errors import SourceQueryRejected
from airflow_cd.sources.absence import unknown_instances, why_nothing
from airflow_cd.sources.buckets import Buckets, utc_now
from airflow_cd.sources.influx_names import identifier, literal, refuse_unknown_names
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
    from airflow_cd.hooks.influx_db import InfluxDbHook

_STRING = re.compile(r"'(?:[^'\\]|\\.)*'" + r'|"(?:[^"\\]|\\.)*"')
_OURS = ("group", "fill", "limit", "offset", "slimit", "order", "tz", "as", "from", "into")
_BY_SERIES = re.compile(r"\b(non_negative_)?(difference|derivative|elapsed|moving_average)\s*\(", re.IGNORECASE)
_LOOKED_BACK = 10  # buckets in which a counter may have been written last
_COUNT = "airflow_cd_count"
_INSTANCES_A_QUERY = 200
_HOUR = timedelta(hours=1)
_LISTED = 40


@keeps_misspelt_keywords
@dataclass(frozen=True)
class InfluxDbMetrics:
    """One metric out of InfluxDB.

    :param select: what is selected, an aggregate of one field: ``mean("duration")``.
    :param measurement: its name.
    :param metric: what the number is and how a change in it is judged: a :class:`Metric`, or a name that says it.
    :param database: its name.
    :param where: a further condition of InfluxQL, ``"service" = 'shop'``; none by default.
    :param retention_policy: in which it is kept; the one that is the database's default by default.
    :param instance_tag: tag that holds the instance's name; ``host`` by default.
    :param group_by: tag to break the metric down by; none (``""``) by default.
    :param count: a field whose values are counted: how many requests a value is of, ``"duration"``; unknown by default.
    :param conn_id: Airflow connection of type ``influx_db``; ``influx_db_default`` by default.
    :param bucket: width of a bucket; 30 seconds by default.
    :param delay: how long after an event InfluxDB usually has it; 20 seconds by default: agents send every ten.
    :param name: what reports call the source; ``InfluxDB <metric>`` by default.
    """

    select: str
    measurement: str
    metric: Metric | str
    database: str
    where: str = ""
    retention_policy: str = ""
    instance_tag: str = "host"
    group_by: str = ""
    count: str = ""
    conn_id: str = "influx_db_default"
    bucket: DurationField = DurationField("30s")  # noqa: RUF009 - a descriptor
    delay: DurationField = DurationField("20s")  # noqa: RUF009 - a descriptor
    name: str = ""

    whole_buckets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"InfluxDB {getattr(self.metric, 'name', self.metric)}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        found = [
            *mistakes_of_texts(
                select=self.select,
                measurement=self.measurement,
                database=self.database,
                instance_tag=self.instance_tag,
                conn_id=self.conn_id,
            ),
            *mistakes_of_durations(bucket=self.bucket, delay=self.delay),
        ]
        found += mistakes_of_metric(self.metric)
        for name, text in (("select", self.select), ("where", self.where)):
            bare = _STRING.sub("", str(text))
            if bare.count("(") != bare.count(")") or "'" in bare or '"' in bare or ";" in bare:
                found.append(f"{name}: a quote or a parenthesis does not close, or there is more than one statement")
            if name == "select" and _columns(bare) > 1:
                found.append("select: it selects several numbers, of which one alone can be read")
            words = {word.lower() for word in re.findall(r"\w+", bare)}
            if name == "where" and "time" in words:
                found.append("where: the window is added when the query is sent; leave out time")
            found += [f"{name}: {word.upper()} is added when the query is sent" for word in _OURS if word in words]
        return [f"{type(self).__name__}({self.name!r}): {mistake}" for mistake in found]

    @reads_answers
    def read(self, window: Window, instances: Sequence[str]) -> MetricSample:
        """Read the metric of some instances over a window.

        :param window: half-open, aware.
        :param instances: their names, in any order; each counts once.
        :raises SourceQueryRejected: this specification is wrong, InfluxDB rejects the query, or the measurement has no
            such field or tag.
        :raises SourceUnavailable: InfluxDB does not answer, answers with a part, or has no such measurement.
        """
        from airflow_cd.hooks.influx_db import InfluxDbHook
        from airflow_cd.sources.frames import partly_counted_metric_frame

        refuse(self.mistakes())
        metric = as_metric(self.metric)
        names = sorted(set(instances))
        buckets = Buckets.of(window, self.bucket, utc_now() - self.delay)
        hook = InfluxDbHook(self.conn_id)
        rows: list[Any] = []
        queries: list[str] = []
        for start in range(0, len(names) if buckets.number else 0, _INSTANCES_A_QUERY):
            queries.append(self._resolved(names[start : start + _INSTANCES_A_QUERY], buckets))
            rows += self._rows(hook, queries[-1], names, buckets, metric)
        silent = sorted(set(names) - {row[1] for row in rows})
        uncounted = bool(rows and self.count) and all(math.isnan(row[5]) for row in rows)
        ungrouped = bool(rows and self.group_by) and not any(row[3] for row in rows)
        if queries and (silent or uncounted or ungrouped):
            once("names", lambda: refuse_unknown_names(hook, self))
        warnings: list[str] = []
        if silent and queries:
            warnings = why_nothing(silent, lambda: self._without(hook, silent, buckets))
        query = "\n".join(queries) or "no query: no instance, or no whole bucket"
        return MetricSample(partly_counted_metric_frame(rows), (metric,), query, buckets.width, tuple(warnings))

    @reads_answers
    def instances(self, window: Window) -> list[str]:
        """Which instances the measurement has.

        :param window: not looked at.
        :raises SourceError: as of :meth:`read`.
        """
        from airflow_cd.hooks.influx_db import InfluxDbHook

        refuse(self.mistakes())
        return self._known(InfluxDbHook(self.conn_id))

    @property
    def measured(self) -> str:
        """The measurement as a query names it."""
        return ".".join(identifier(one) for one in (self.retention_policy, self.measurement) if one)

    def _resolved(self, names: Sequence[str], buckets: Buckets) -> str:
        count = f", count({self.count}) AS {_COUNT}" if self.count else ""
        hosts = " OR ".join(f"{identifier(self.instance_tag)} = {literal(name)}" for name in names)
        condition = f" AND ({self.where})" if self.where.strip() else ""
        begin, end = (round(moment.timestamp() * 1000) for moment in (buckets.first, buckets.until))
        tags = ", ".join(identifier(tag) for tag in (self.instance_tag, self.group_by) if tag)
        width = round(buckets.seconds)
        by = f"GROUP BY time({width}s), {tags} fill(none)"
        one = f"SELECT {self.select} AS value{count} FROM {self.measured} WHERE ({hosts}){condition} AND time >= "  # noqa: S608 - quoted
        if not _BY_SERIES.search(self.select):
            return f"{one}{begin}ms AND time < {end}ms {by}"
        # What a counter has grown by is found in each series alone, and from what it held before the window.
        begin -= _LOOKED_BACK * width * 1000
        together = "sum" if as_metric(self.metric).adds_up else "mean"
        summed = f", sum({_COUNT}) AS {_COUNT}" if self.count else ""
        times = f"{begin}ms AND time < {end}ms"
        return (
            f"SELECT {together}(value) AS value{summed} FROM ({one}{times} GROUP BY time({width}s), * fill(none)) "  # noqa: S608 - as above
            f"WHERE time >= {times} {by}"
        )

    def _rows(
        self, hook: InfluxDbHook, query: str, names: Sequence[str], buckets: Buckets, metric: Metric
    ) -> Iterator[tuple[Any, str, str, str, float, float]]:
        for series in hook.query(query, self.database):
            instance, group = series.tags.get(self.instance_tag, ""), series.tags.get(self.group_by, "")
            for row in series.rows:
                value, number = (
                    row.get("value"),
                    round((row["time"] / 1e9 - buckets.first.timestamp()) / buckets.seconds),
                )
                if isinstance(value, str):
                    raise SourceQueryRejected(
                        f"{self.name}: {self.select} of {self.measurement!r} is the text {value[:_LISTED]!r}.",
                        next_step="Select a field that holds numbers, or have them written as such.",
                    )
                if instance in names and isinstance(value, (int, float)) and 0 <= number < buckets.number:
                    count = float(row.get(_COUNT) or math.nan)
                    yield buckets.start(number), instance, metric.name, group, float(value), count

    def _known(self, hook: InfluxDbHook) -> list[str]:
        query = f"SHOW TAG VALUES FROM {self.measured} WITH KEY = {identifier(self.instance_tag)}"
        return sorted({str(row.get("value")) for series in hook.query(query, self.database) for row in series.rows})

    def _without(self, hook: InfluxDbHook, silent: Sequence[str], buckets: Buckets) -> Iterator[str]:
        yield from unknown_instances(silent, self._known(hook), f"the tag {self.instance_tag} of {self.measurement}")
        if self.where.strip():
            begin, end = (round(moment.timestamp() * 1000) for moment in (buckets.first - _HOUR, buckets.until))
            found = hook.query(
                f"SELECT {self.select} AS value FROM {self.measured} WHERE ({self.where}) "  # noqa: S608 - as above
                f"AND time >= {begin}ms AND time < {end}ms",
                self.database,
            )
            if not found:
                yield f"InfluxDB has {self.measurement!r}, but nothing of it with {self.where} in the hour before."


def _columns(select: str) -> int:
    """How many numbers are selected.

    :param select: InfluxQL, without its quoted parts.
    """
    while (inner := re.sub(r"\([^()]*\)", "", select)) != select:
        select = inner
    return select.count(",") + 1
