"""Metrics that are written to files: points of instances, gathered into buckets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_cd.errors import SourceUnavailable
from airflow_cd.sources.buckets import Buckets
from airflow_cd.sources.distributions import Distribution, differing
from airflow_cd.sources.file_paths import FilePaths, reading
from airflow_cd.sources.specification import as_metric
from airflow_cd.sources.stamps import Stamps
from airflow_cd.spelling import suggestion
from airflow_cd.verification.samples import SUMMED, Metric, Window
from airflow_cd.wording import ended

_LATER = timedelta(minutes=2)  # after its end, what a window holds may stand in the file

Row = tuple[datetime, str, str, str, float, float, float]


@dataclass(frozen=True)
class Point:
    """Something that was measured.

    :param instance: name of the instance; ``""`` where nothing says it.
    :param name: as the file has it.
    :param at: end of the time that it is of, in seconds since 1970.
    :param value: a level, a number of events, or how measurements are distributed.
    :param level: whether it is a level; else numbers of one bucket are summed up.
    :param group: what the metric is broken down by; ``""`` by default.
    :param failed: how many of the measurements are of requests that failed; NaN where nothing says it.
    :param unit: of the value, ``""`` where nothing says it.
    """

    instance: str
    name: str
    at: float
    value: float | Distribution
    level: bool = False
    group: str = ""
    failed: float = math.nan
    unit: str = ""


@dataclass
class Written:
    """Lines of files.

    :param lines: of each instance, or of all of them under ``""`` where files are shared.
    :param queries: which files were read.
    :param warnings: one sentence each.
    :param missing: of each instance whose files hold too much, up to when lines were left out, in seconds since 1970;
        under ``""`` where files are shared.
    """

    lines: dict[str, list[tuple[datetime, str]]] = field(default_factory=dict)
    queries: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    missing: dict[str, float] = field(default_factory=dict)

    def missing_until(self, instance: str) -> float:
        """Up to when lines of an instance were left out, in seconds since 1970; minus infinity where none were.

        :param instance: its name.
        """
        return self.missing.get(instance, self.missing.get("", -math.inf))

    def whole(self, points: Iterable[Point], buckets: Buckets, *, since_the_one_before: bool = False) -> list[Point]:
        """The points of buckets of which no line was left out; what is left out with them is said.

        :param points: of these lines.
        :param buckets: of the window.
        :param since_the_one_before: whether a point tells what happened since the one before it: then the bucket behind
            the one in which lines are missing is a part as well.
        """
        first = {name: _bucket_of(until, buckets) + 1 + since_the_one_before for name, until in self.missing.items()}
        for name, number in sorted(first.items()):
            if number > 0:
                whose = f"The files of {name}" if name else "The files"
                self.warnings.append(
                    f"{whose} hold more than is read at a time: what was before "
                    f"{buckets.start(number).astimezone(timezone.utc):%H:%M:%S} UTC was left out."
                )
        return [
            point for point in points if _bucket_of(point.at, buckets) >= first.get(point.instance, first.get("", 0))
        ]


def written(paths: FilePaths, names: Sequence[str], window: Window, stamps: Stamps, now: datetime) -> Written:
    """The lines that may hold points of a window.

    :param paths: of the files.
    :param names: of the instances.
    :param window: of the points, with as much before it as is needed.
    :param stamps: of the lines.
    :param now: the present time.
    :raises SourceError: no file is there, or one cannot be read.
    """
    from airflow_cd.sources.file_reading import lines_of

    found = Written()
    wider = Window(window.since, window.until + _LATER)
    for name, files in paths.files_of([""] if paths.shared else names).items():
        pattern = paths.pattern(name)
        found.queries.append(f"{name}: {pattern or 'no files'}" if name else pattern)
        if not files:
            found.warnings.append(f"No file matches {pattern or name}.")
            continue
        with reading(pattern):
            lines = lines_of({name: files}, wider, stamps, now, newest=True)
        found.warnings += lines.damage
        if lines.missing_until is not None:
            found.missing[name] = lines.missing_until.timestamp()
        found.lines[name] = [(moment, text) for moment, _, text in lines.rows]
    if not found.lines and names:
        paths.require_any()
    return found


def chosen(metrics: Mapping[str, Metric | str] | Sequence[str] | str) -> dict[str, Metric]:
    """The metrics that an author names, by their names in the files.

    :param metrics: names, or a :class:`Metric` or a name that says what it is by each name.
    """
    if isinstance(metrics, str):
        metrics = (metrics,)
    given = metrics.items() if isinstance(metrics, Mapping) else [(name, name) for name in metrics]
    return {name: as_metric(what) for name, what in given}


def mistakes_of_metrics(metrics: Any) -> Iterator[str]:
    """What is wrong with the metrics that an author names.

    :param metrics: as of :func:`chosen`.
    """
    if isinstance(metrics, str):
        metrics = (metrics,)
    named = list(metrics) if isinstance(metrics, (Mapping, list, tuple)) else []
    if not named or not all(isinstance(name, str) and name.strip() for name in named):
        yield f"metrics: {metrics!r} names none"
    elif isinstance(metrics, Mapping):
        for name, what in metrics.items():
            if not isinstance(what, Metric) and not (isinstance(what, str) and what.strip()):
                yield f"metrics: {what!r} of {name!r} is neither a Metric nor a name"


@dataclass
class _Cell:
    """What one bucket holds."""

    levels: list[float] = field(default_factory=list)
    number: float = math.nan
    distribution: Distribution | None = None
    failed: float = math.nan


def gathered(
    points: Iterable[Point], metrics: Mapping[str, Metric], buckets: Buckets, names: Sequence[str]
) -> tuple[list[Row], tuple[Metric, ...], list[str]]:
    """Points as the rows of a sample, the metrics that they are of, and what a reader should know of them.

    A point is of the bucket that its time ends in; one that ends with a bucket is of that one.

    :param points: in any order.
    :param metrics: by their names in the files; others are left out.
    :param buckets: of the window.
    :param names: of the instances; others are left out.
    """
    cells: dict[tuple[str, str, str, int], _Cell] = {}
    units: dict[str, str] = {}
    wanted = frozenset(names)
    for point in points:
        number = _bucket_of(point.at, buckets)
        if point.name not in metrics or point.instance not in wanted or not 0 <= number < buckets.number:
            continue
        units.setdefault(point.name, point.unit)
        cell = cells.setdefault((point.instance, point.name, point.group, number), _Cell())
        if isinstance(point.value, Distribution):
            cell.distribution = cell.distribution or Distribution()
            cell.distribution.add(point.value)
            if not math.isnan(point.failed):
                cell.failed = (0.0 if math.isnan(cell.failed) else cell.failed) + point.failed
        elif point.level:
            cell.levels.append(point.value)
        else:
            cell.number = (0.0 if math.isnan(cell.number) else cell.number) + point.value
    made = {name: _with_unit(metric, units.get(name, "")) for name, metric in metrics.items()}
    shared = {name: _shared(name, cells) for name in metrics}
    notes = [differing(name, ends) for name, ends in shared.items() if ends is not None]
    rows: list[Row] = []
    found: dict[str, Metric] = {metric.name: metric for metric in made.values()}
    for (instance, name, group, number), cell in cells.items():
        for metric, value, count, deviation in _measured(cell, made[name], shared[name]):
            found.setdefault(metric.name, metric)
            rows.append((buckets.start(number), instance, metric.name, group, value, count, deviation))
    return rows, tuple(found.values()), notes


def _shared(name: str, cells: Mapping[tuple[str, str, str, int], _Cell]) -> list[float] | None:
    """The ends of buckets that all histograms of a metric have; None where they are the same ones anyway."""
    held = [cell.distribution.ends for place, cell in cells.items() if place[1] == name and cell.distribution]
    return sorted(frozenset.intersection(*held)) if len(set(held)) > 1 else None


def _bucket_of(at: float, buckets: Buckets) -> int:
    return math.ceil((at - buckets.first.timestamp()) / buckets.seconds) - 1


def _measured(
    cell: _Cell, metric: Metric, shared: Sequence[float] | None
) -> Iterator[tuple[Metric, float, float, float]]:
    from airflow_cd.sources.frames import requests_of

    one = cell.distribution
    if one is not None and one.count > 0 and metric.kind in SUMMED:
        yield metric, one.count, requests_of(metric, one.count), math.nan
    elif one is not None and one.count > 0:
        percentile, deviation = one.shape if shared is None else one.shape_by(shared)
        if math.isfinite(one.mean):
            yield metric, one.mean, one.count, deviation
        if math.isfinite(percentile):
            yield replace(metric, name=f"{metric.name}.p95"), percentile, one.count, math.nan
        if not math.isnan(cell.failed):
            errors = Metric(f"{metric.name}.errors", "errors", "higher_is_worse", "requests")
            yield errors, cell.failed, one.count, math.nan
    if math.isfinite(cell.number):
        yield metric, cell.number, requests_of(metric, cell.number), math.nan
    if cell.levels:
        mean = sum(cell.levels) / len(cell.levels)
        yield metric, mean, requests_of(metric, mean), math.nan


def _with_unit(metric: Metric, unit: str) -> Metric:
    return metric if metric.unit or unit not in ("s", "ms", "us", "ns", "By") else replace(metric, unit=unit)


def require(
    metrics: Iterable[str], seen: Iterable[str], source: str, explain: Callable[[], Iterator[str]]
) -> Iterator[str]:
    """Why there is nothing of some instances.

    :param metrics: names that were asked for.
    :param seen: names of all that the files hold of the time.
    :param source: its name.
    :param explain: what is to be said where all of the metrics are there.
    :raises SourceUnavailable: the files hold metrics, and one that was asked for is not among them.
    """
    known = sorted(set(seen))
    if not known:
        yield "Nothing was written at that time, of any metric."
        return
    for name in metrics:
        if name not in known:
            raise SourceUnavailable(
                ended(f"{source}: the files hold no {name}; {suggestion(name, known)}"), next_step="Correct its name."
            )
    yield from explain()
