"""Events and metrics as the report shows them: in which order, under which anchor, with which words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from airflow_cd.report import words
from airflow_cd.report.figures import (
    Chart,
    Dot,
    IntervalFigure,
    chart,
    dots,
    interval_figure,
    look_of,
    threshold_of,
    unit_of,
)
from airflow_cd.report.order import by_weight, worst_first
from airflow_cd.verification.verdict import Event, EventKind, Judgement, MetricResult

OPEN_EVENTS = 40
"""Risks whose details stand on the page; those of all other events open when they are asked for."""
MOST_SAMPLES = {True: 5, False: 2}
LONGEST_SAMPLE = {True: 6_000, False: 1_200}

_PLAIN_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)


@dataclass(frozen=True)
class EventView:
    """An event as the page shows it.

    :param event: the event.
    :param dot: its dot in the picture.
    :param title: its exception, or its message on one line.
    :param look: class names that colour it.
    :param instances: records for each instance, as text.
    :param samples: a few of its records, shortened, newest last.
    :param number: what its dot, its row and its details are found by.
    :param counts: on ``canary``, ``control``, in the ``baseline``, and ``expected``, as text.
    :param summary: all that is known of it in numbers, on one line.
    :param open: True when its details stand on the page, False when they open on demand.
    :param anchor: id of its details on the page: the event's own, so that a link still means it when others come.
    """

    number: int
    event: Event
    dot: Dot
    title: str
    look: str
    counts: Mapping[str, str]
    summary: str
    instances: str
    samples: Sequence[str]
    open: bool
    anchor: str


@dataclass(frozen=True)
class MetricView:
    """A metric as the page shows it.

    :param number: what its chart is found by.
    :param result: the result.
    :param chart: over time; None without points.
    :param interval: of the change; None without one.
    :param unit: in which values are shown.
    :param threshold: from which change on it counts as worse, as text.
    """

    number: int
    result: MetricResult
    chart: Chart | None
    interval: IntervalFigure | None
    unit: str
    threshold: str

    @property
    def anchor(self) -> str:
        """Id of its chart on the page."""
        return f"metric-{self.number}"


def events_of(judgement: Judgement) -> list[EventView]:
    """Risks first, then by kind, severity and number of records.

    :param judgement: final or not.
    """
    if judgement.quality is None:
        return []
    ordered = sorted(judgement.quality.events, key=by_weight)
    # Of a side that nobody read, nothing is known: that is not the same as none.
    sides = [side for side in ("canary", "control", "baseline") if judgement.quality.records.get(side, 1)]
    taken: set[str] = set()
    views = []
    for number, (event, dot) in enumerate(zip(ordered, dots(ordered), strict=True), 1):
        own = _PLAIN_ID.fullmatch(event.id) and event.id not in taken
        taken.add(event.id)
        views.append(_event(number, event, dot, sides, f"event-{event.id if own else f'number-{number}'}"))
    return views


def _event(number: int, event: Event, dot: Dot, sides: Sequence[str], anchor: str) -> EventView:
    counts = {
        side: words.number(event.counts.get(side) if side in sides else None)
        for side in ("canary", "control", "baseline")
    }
    counts["expected"] = words.number(event.expected)
    summary = [
        f"{event.kind}, {'a risk' if event.risk else 'no risk'}",
        event.severity,
        *(f"{side} {count}" for side, count in counts.items() if count != words.MISSING),
    ]
    if event.p_value is not None:
        summary.append(f"p {words.number(event.p_value)}")
    if event.first_seen:
        summary.append(f"{words.clock_time(event.first_seen)} to {words.clock_time(event.last_seen)} UTC")
    # The same record twice teaches nothing; the newest stand last.
    samples = list(dict.fromkeys(event.samples))[-MOST_SAMPLES[event.risk] :]
    return EventView(
        number,
        event,
        dot,
        event.exception or words.one_line(event.template) or "(an empty message)",
        look_of(event),
        counts,
        " · ".join(summary),
        ", ".join(f"{name} {words.number(count)}" for name, count in sorted(event.instances.items())),
        [words.short(sample, LONGEST_SAMPLE[event.risk]) for sample in samples],
        event.risk and number <= OPEN_EVENTS,
        anchor,
    )


def metrics_of(judgement: Judgement) -> list[MetricView]:
    """Worst first.

    :param judgement: final or not.
    """
    found = judgement.performance.metrics if judgement.performance else ()
    marks = {"first bad": judgement.first_bad, "decided": judgement.decided if judgement.final else ""}
    return [
        MetricView(number, result, chart(result, marks), interval_figure(result), unit_of(result), threshold_of(result))
        for number, result in enumerate(sorted(found, key=worst_first), 1)
    ]


def kinds_of(events: Sequence[EventView]) -> list[tuple[str, str, int]]:
    """Legend of the dots: class names, words, how many.

    :param events: as the page shows them.
    """
    rows: tuple[tuple[str, str, EventKind, tuple[bool, ...]], ...] = (
        ("unknown risk", "unknown, a risk", EventKind.UNKNOWN, (True,)),
        ("unknown", "unknown, no risk", EventKind.UNKNOWN, (False,)),
        ("frequency", "unexpected frequency", EventKind.UNEXPECTED_FREQUENCY, (True, False)),
        ("silent", "went silent", EventKind.WENT_SILENT, (True, False)),
        ("known", "known", EventKind.KNOWN, (False,)),
        ("known risk", "known, marked a risk", EventKind.KNOWN, (True,)),
    )
    counts = Counter((view.event.kind, view.event.risk) for view in events)
    counted = [(look, name, sum(counts[kind, risk] for risk in risks)) for look, name, kind, risks in rows]
    return [row for row in counted if row[2]]


@dataclass(frozen=True)
class Column:
    """A column of the table of events.

    :param name: by which the table is sorted.
    :param title: of its head.
    :param number: whether it holds numbers.
    """

    name: str
    title: str
    number: bool = False


def columns_of(judgement: Judgement, events: Sequence[EventView]) -> list[Column]:
    """The columns there is something to say in.

    :param judgement: final or not.
    :param events: as the page shows them.
    """
    columns = [
        Column("number", "#", True),
        Column("event", "Event"),
        Column("kind", "Kind"),
        Column("severity", "Severity"),
        Column("canary", "Canary", True),
        Column("expected", "Expected", True),
    ]
    if judgement.quality is not None and judgement.quality.records.get("control"):
        columns.append(Column("control", "Control", True))
    columns.append(Column("baseline", "Baseline", True))
    if any(view.event.first_seen for view in events):
        columns.append(Column("first", "First (UTC)"))
    return columns
