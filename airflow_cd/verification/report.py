"""The report of one verification as one HTML page that needs nothing else: no script, no address, no font.

The page answers first what a person woken at night asks: what was new, what was done, is it safe now. Everything
else follows as evidence. Whatever came from logs, configuration or people is shown as text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from airflow_cd.errors import VerificationError
from airflow_cd.verification import report_words as words
from airflow_cd.verification.report_answers import (
    Fact,
    clock_times,
    is_it_safe,
    release_name,
    what_was_done,
    what_was_new,
)
from airflow_cd.verification.report_figures import (
    CHART_HEIGHT,
    CHART_WIDTH,
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
from airflow_cd.verification.report_file_answers import what_next, what_was_compared
from airflow_cd.verification.report_order import by_weight, worst_first
from airflow_cd.verification.report_templates import templates
from airflow_cd.verification.verdict import Event, EventKind, Judgement, MetricResult, Verdict

SCHEMA = 1
OPEN_EVENTS = 40
"""Risks whose details stand on the page; those of all other events open when they are asked for."""
OPEN_CHARTS = 4
MOST_SAMPLES = {True: 5, False: 2}
LONGEST_SAMPLE = {True: 6_000, False: 1_200}


@dataclass(frozen=True)
class EventView:
    """An event as the page shows it.

    :param number: what its dot, its row and its details are found by.
    :param counts: on ``canary``, ``control``, in the ``baseline``, and ``expected``, as text.
    :param summary: all that is known of it in numbers, on one line.
    :param open: True when its details stand on the page, False when they open on demand.
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

    @property
    def anchor(self) -> str:
        """Id of its details on the page."""
        return f"event-{self.number}"


@dataclass(frozen=True)
class MetricView:
    """A metric as the page shows it."""

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


def render_report(report: Mapping[str, Any]) -> str:
    """The page of a report, as ``<!doctype html>…``.

    :param report: JSON values: ``schema``, ``service``, ``pipeline``, ``run_id``, ``environment``, ``phase``,
        ``release`` and ``previous`` (as releases write themselves), ``judgement``
        (:meth:`~airflow_cd.verification.verdict.Judgement.as_dict`), ``actions`` (``kind``, ``ok``, ``began``,
        ``ended``, ``detail``), ``clocks`` (seconds: ``to_verdict``, ``to_safe``, ``to_restored``), ``outcome``
        (``state``, ``text``) and ``human`` (``who``, ``action``, ``when``, ``why``). A report with ``files``
        (:meth:`~airflow_cd.verification.file_verification.Verified.report`) is of no deployment.
    :raises airflow_cd.errors.VerificationError: it is no report, or one of a newer version.
    """
    if report.get("schema") != SCHEMA:
        raise VerificationError(
            f"the report is of schema {report.get('schema')!r}, this installation shows {SCHEMA}.",
            next_step="Show it with the version of airflow-cd that wrote it.",
        )
    judgement = Judgement.from_dict(report["judgement"])
    events = _events(judgement)
    metrics = _metrics(judgement)
    return (
        templates()
        .get_template("report.html.j2")
        .render(
            report=report,
            release={"service": "", "version": "", "artifact": "", "digest": "", **(report.get("release") or {})},
            outcome={"state": "", "text": "", **(report.get("outcome") or {})},
            judgement=judgement,
            events=events,
            risks=[view for view in events if view.event.risk],
            metrics=metrics,
            open_charts=max(OPEN_CHARTS, sum(view.result.verdict is Verdict.FAIL for view in metrics)),
            facts=[what_was_new(judgement, events, metrics), *_answers(report, judgement)],
            files=report.get("files") or [],
            clocks=clock_times(report.get("clocks") or {}),
            steps=_steps(report, judgement),
            changes=_changes(report),
            kinds=_kinds(events),
            width=CHART_WIDTH,
            height=CHART_HEIGHT,
        )
    )


def _answers(report: Mapping[str, Any], judgement: Judgement) -> list[Fact]:
    """What a deployment makes of a verdict; of files a person does."""
    if report.get("files"):
        return [what_was_compared(report, judgement), what_next(report, judgement)]
    return [what_was_done(report, judgement), is_it_safe(report, judgement)]


def _events(judgement: Judgement) -> list[EventView]:
    """Risks first, then by kind, severity and number of records."""
    if judgement.quality is None:
        return []
    ordered = sorted(judgement.quality.events, key=by_weight)
    # Of a side that nobody read, nothing is known: that is not the same as none.
    sides = [side for side in ("canary", "control", "baseline") if judgement.quality.records.get(side, 1)]
    return [
        _event(number, event, dot, sides)
        for number, (event, dot) in enumerate(zip(ordered, dots(ordered), strict=True), 1)
    ]


def _event(number: int, event: Event, dot: Dot, sides: Sequence[str]) -> EventView:
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
    )


def _metrics(judgement: Judgement) -> list[MetricView]:
    """Worst first."""
    found = judgement.performance.metrics if judgement.performance else ()
    marks = {"first bad": judgement.first_bad, "decided": judgement.decided if judgement.final else ""}
    return [
        MetricView(number, result, chart(result, marks), interval_figure(result), unit_of(result), threshold_of(result))
        for number, result in enumerate(sorted(found, key=worst_first), 1)
    ]


@dataclass(frozen=True)
class Step:
    """One line of what happened.

    :param ok: True when it was done, False when it failed, None when it is under way or nothing to be done.
    :param mark: what stands in place of a tick: ``verdict``, ``person``, ``first`` (bad event), or ``""``.
    """

    when: str
    what: str
    ok: bool | None = None
    took: float | None = None
    detail: str = ""
    mark: str = ""


def _steps(report: Mapping[str, Any], judgement: Judgement) -> list[Step]:
    """What the system did, what people did, and the verdict, in the order of time."""
    steps = [
        Step(
            action.get("began") or "",
            str(action.get("kind")),
            action.get("ok"),
            words.seconds_between(action.get("began"), action.get("ended")),
            words.plainly(action.get("detail") or {}),
        )
        for action in report.get("actions") or []
    ]
    for entry in report.get("human") or []:
        who = f"{entry.get('who')}: {entry.get('action')}"
        steps.append(Step(entry.get("when") or "", who, detail=entry.get("why") or "", mark="person"))
    if judgement.first_bad:
        steps.append(Step(judgement.first_bad, "first bad moment", mark="first"))
    if judgement.final and judgement.decided:
        reason = judgement.reasons[0].text if judgement.reasons else ""
        steps.append(Step(judgement.decided, f"verdict {judgement.verdict}", detail=reason, mark="verdict"))
    latest = datetime.max.replace(tzinfo=timezone.utc)
    return sorted(steps, key=lambda step: words.moment(step.when) or latest)


def _changes(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What differs between the release and each of those before it: rows of name, before, now."""
    release = report.get("release") or {}
    changes = []
    for before in report.get("previous") or []:
        rows: list[tuple[str, Any, Any]] = [
            (name, before.get(name), release.get(name))
            for name in ("version", "artifact")
            if before.get(name) != release.get(name)
        ]
        old, new = before.get("configuration") or {}, release.get("configuration") or {}
        for key in sorted({*old, *new}):
            if key not in old or key not in new or old[key] != new[key]:
                was, now = (words.plainly(side[key]) if key in side else "(unset)" for side in (old, new))
                rows.append((f"configuration: {key}", was, now))
        changes.append({"before": release_name(before), "rows": rows})
    return changes


def _kinds(events: Sequence[EventView]) -> list[tuple[str, str, int]]:
    """Legend of the dots: class names, words, how many."""
    rows = [
        ("unknown risk", "unknown, a risk", lambda event: event.kind is EventKind.UNKNOWN and event.risk),
        ("unknown", "unknown, no risk", lambda event: event.kind is EventKind.UNKNOWN and not event.risk),
        ("frequency", "unexpected frequency", lambda event: event.kind is EventKind.UNEXPECTED_FREQUENCY),
        ("silent", "went silent", lambda event: event.kind is EventKind.WENT_SILENT),
        ("known", "known", lambda event: event.kind is EventKind.KNOWN and not event.risk),
        ("known risk", "known, marked a risk", lambda event: event.kind is EventKind.KNOWN and event.risk),
    ]
    counted = [(look, name, sum(belongs(view.event) for view in events)) for look, name, belongs in rows]
    return [row for row in counted if row[2]]
