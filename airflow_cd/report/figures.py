"""Geometry of the report's pictures: dots of events, lines of metrics, intervals. Numbers in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from airflow_cd.report.words import change, clock_time, moment, number
from airflow_cd.verification.verdict import Event, EventKind, MetricResult

CHART_WIDTH = 600.0
CHART_HEIGHT = 120.0
MOST_POINTS = 400
_HEADROOM = 1.08  # height of a chart for its highest value
SMALLEST_SCALE = 25
"""Records that a dot of full size stands for at least, so that one among ones is not drawn large."""

_CLASS = {
    EventKind.KNOWN: "known",
    EventKind.UNKNOWN: "unknown",
    EventKind.UNEXPECTED_FREQUENCY: "frequency",
    EventKind.WENT_SILENT: "silent",
}


@dataclass(frozen=True)
class Dot:
    """One event in the picture.

    :param x: per cent of the picture's width; ``y`` of its height.
    :param radius: pixels.
    :param look: class names that colour it.
    """

    x: float
    y: float
    radius: float
    look: str


def look_of(event: Event) -> str:
    """Class names of an event: its kind, and ``risk`` where it is one.

    :param event: as it was judged.
    """
    return f"{_CLASS[event.kind]} risk" if event.risk else _CLASS[event.kind]


def dots(events: Sequence[Event]) -> list[Dot]:
    """A dot for each event; its area stands for its records (the records that stayed away when it went silent).

    :param events: laid out.
    """
    largest, smallest = (20.0, 4.5) if len(events) <= 150 else (14.0, 3.5) if len(events) <= 600 else (9.0, 2.5)
    sizes = [max(finite(event.counts.get("canary")), finite(event.expected)) for event in events]
    scale = max([SMALLEST_SCALE, *sizes])
    placed = []
    for event, size in zip(events, sizes, strict=True):
        radius = max(smallest, largest * math.sqrt(size / scale))
        # A red dot holds its number, however rare it is: rare is no reason to overlook it.
        radius = max(radius, 10.0) if event.risk else radius
        x, y = (100 * min(1.0, max(0.0, finite(place, 0.5))) for place in (event.x, event.y))
        placed.append(Dot(round(x, 2), round(y, 2), round(radius, 1), look_of(event)))
    return placed


@dataclass(frozen=True)
class Chart:
    """Canary against control over time, in a box of :data:`CHART_WIDTH` by :data:`CHART_HEIGHT`.

    :param bottom: the lowest value, as text.
    :param begins: time of the first point; ``ends`` of the last one.
    :param lines: for ``canary`` and ``control``, the path of the line; ``""`` without data.
    :param marks: vertical lines as position and name: where the first bad moment was, when it was decided.
    :param threshold: height of the line beyond which the canary would have regressed, None where there is none.
    :param top: the highest value, as text; the lowest is at the bottom, 0 unless values are negative.
    """

    lines: Mapping[str, str]
    marks: Sequence[tuple[float, str]]
    threshold: float | None
    top: str
    bottom: str
    begins: str
    ends: str


def unit_of(result: MetricResult) -> str:
    """The unit in which means and points are to be read: errors are shares of the requests, apdex has none.

    :param result: of a metric.
    """
    return {"errors": "share", "share": "share", "apdex": ""}.get(result.kind, result.unit)


def threshold_of(result: MetricResult) -> str:
    """From which change on the metric counts as worse, with its sign.

    :param result: of a metric.
    """
    if result.threshold is None or result.direction == "higher_is_worse":
        return change(result.threshold)
    text = change(-result.threshold)
    return text if result.direction == "lower_is_worse" else text.replace("−", "±")


def chart(result: MetricResult, marks: Mapping[str, str]) -> Chart | None:
    """The chart of a metric, None when it has no points.

    :param result: of a metric.
    :param marks: by name, ISO 8601 times that are drawn where they fall into the chart.
    """
    series = {name: _points(result.series.get(name, ())) for name in ("control", "canary")}
    points = [point for found in series.values() for point in found]
    if not points:
        return None
    limit = _limit(result)
    scale = _Scale.of(points, limit)
    paths = {name: [(scale.x(time), scale.y(value)) for time, value in found] for name, found in series.items()}
    iso = sorted((text for found in result.series.values() for text, _ in found), key=_timestamp)
    unit = unit_of(result)
    return Chart(
        lines={name: _path(path) for name, path in paths.items()},
        marks=scale.marks(marks),
        threshold=None if limit is None else round(scale.y(limit), 1),
        top=number(scale.high / _HEADROOM if scale.low == 0 else scale.high, unit),
        bottom=number(scale.low, unit),
        begins=clock_time(iso[0]),
        ends=clock_time(iso[-1]),
    )


@dataclass(frozen=True)
class _Scale:
    """Where times (seconds since 1970) and values are in the box of a chart."""

    since: float
    until: float
    low: float
    high: float

    @classmethod
    def of(cls, points: Sequence[tuple[float, float]], limit: float | None) -> _Scale:
        times = [time for time, _ in points]
        values = [value for _, value in points] + ([limit] if limit is not None else [])
        low, high = min(0.0, *values), max(0.0, *values)
        return cls(min(times), max(times), low, high + ((_HEADROOM - 1.0) * (high - low) or 1.0))

    def marks(self, times: Mapping[str, str]) -> list[tuple[float, str]]:
        named = [(parsed.timestamp(), name) for name, text in times.items() if (parsed := moment(text)) is not None]
        return [(round(self.x(time), 1), name) for time, name in named if self.since <= time <= self.until]

    def x(self, time: float) -> float:
        length = self.until - self.since
        return CHART_WIDTH * (time - self.since) / length if length > 0 else CHART_WIDTH / 2

    def y(self, value: float) -> float:
        return CHART_HEIGHT * (1 - (value - self.low) / (self.high - self.low))


def _limit(result: MetricResult) -> float | None:
    """The value beyond which the canary counts as worse; counts have no single one."""
    mean = result.control.get("mean")
    if mean is None or result.threshold is None or result.kind not in ("latency", "gauge", "apdex"):
        return None
    if result.direction == "either":
        return None
    return finite(mean) * (1 + result.threshold * (-1 if result.direction == "lower_is_worse" else 1))


def _points(series: Sequence[tuple[str, float]]) -> list[tuple[float, float]]:
    points = []
    for text, value in series:
        parsed = moment(text)
        if parsed is not None and isinstance(value, int | float) and math.isfinite(value):
            points.append((parsed.timestamp(), float(value)))
    step = math.ceil(len(points) / MOST_POINTS) or 1
    return sorted(points)[::step]


def _path(points: Sequence[tuple[float, float]]) -> str:
    if len(points) == 1:
        # A lone point would be invisible as a line: it gets a short one.
        ((x, y),) = points
        return f"M{x - 4:.1f} {y:.1f}L{x + 4:.1f} {y:.1f}"
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) if points else ""


@dataclass(frozen=True)
class IntervalFigure:
    """A change with its interval on an axis from 0 to 100.

    :param effect: where the change itself is.
    :param begins: the lowest change on the axis, as text; ``ends`` the highest.
    :param zero: where no change is; ``low`` to ``high`` is the interval; ``thresholds`` are where worse begins.
    """

    zero: float
    low: float
    high: float
    effect: float
    thresholds: Sequence[float]
    begins: str
    ends: str


def interval_figure(result: MetricResult) -> IntervalFigure | None:
    """The interval of a metric's change, None where there is none.

    :param result: of a metric.
    """
    if result.effect is None or result.interval is None or not math.isfinite(result.effect):
        return None
    low, high = (
        end if isinstance(end, int | float) and math.isfinite(end) else result.effect for end in result.interval
    )
    threshold = result.threshold or 0.0
    limits = {
        "higher_is_worse": [threshold],
        "lower_is_worse": [-threshold],
    }.get(result.direction, [-threshold, threshold])
    reach = 1.15 * max(0.01, *(abs(value) for value in (low, high, result.effect, *limits)))

    def place(value: float) -> float:
        return round(50 + 50 * value / reach, 1)

    return IntervalFigure(
        zero=50.0,
        low=place(low),
        high=place(high),
        effect=place(result.effect),
        thresholds=[place(value) for value in limits if value],
        begins=change(-reach),
        ends=change(reach),
    )


def _timestamp(text: str) -> float:
    parsed = moment(text)
    return parsed.timestamp() if parsed else 0.0


def finite(value: float | None, fallback: float = 0.0) -> float:
    """The value where it is a number one can draw, else the fallback.

    :param value: anything.
    :param fallback: for what cannot be drawn.
    """
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else fallback
