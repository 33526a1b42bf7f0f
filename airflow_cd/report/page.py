"""The report of one verification as one HTML page that needs nothing else: no script, no address, no font.

The page answers first what a person woken at night asks: what was new, what was done, is it safe now. Everything
else follows as evidence. Whatever came from logs, configuration or people is shown as text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from jinja2 import TemplateError

from airflow_cd.errors import VerificationError
from airflow_cd.release import differences
from airflow_cd.report import words
from airflow_cd.report.answers import (
    Fact,
    clock_times,
    is_it_safe,
    what_was_done,
    what_was_new,
)
from airflow_cd.report.figures import CHART_HEIGHT, CHART_WIDTH
from airflow_cd.report.file_answers import what_next, what_was_compared
from airflow_cd.report.jinja import templates
from airflow_cd.report.manual_actions import manual_action_label
from airflow_cd.report.report import Outcome, Report, ReportedRelease
from airflow_cd.report.views import columns_of, events_of, kinds_of, metrics_of
from airflow_cd.verification.verdict import Verdict

OPEN_CHARTS = 4


def render_report(report: Report) -> str:
    """The page of a report, as ``<!doctype html>…``; whatever came from logs or people is text in it.

    :param report: of a deployment or of files.
    :raises airflow_cd.errors.VerificationError: its evidence is damaged, or of a newer version.
    """
    template = templates().get_template("report.html.j2")
    with _of_what_is_stored():
        return template.render(frame="report_file.html.j2", **report_context(report))


@contextmanager
def _of_what_is_stored() -> Iterator[None]:
    """Say of evidence whose values are not what they should be that it is damaged: it was stored, perhaps elsewhere."""
    try:
        yield
    except (TypeError, AttributeError, ValueError, LookupError, ArithmeticError, TemplateError) as error:
        raise VerificationError(
            f"the report is damaged: {type(error).__name__}: {error}.",
            next_step="Write it again from the ledger or the files.",
        ) from error


def report_context(report: Report) -> dict[str, Any]:
    """The variables of the template ``report.html.j2``.

    :param report: of a deployment or of files.
    :raises airflow_cd.errors.VerificationError: its evidence is damaged, or of a newer version.
    """
    judgement = report.judgement
    events = events_of(judgement)
    metrics = metrics_of(judgement)
    return {
        "report": report,
        "release": report.release or ReportedRelease(),
        "outcome": report.outcome or Outcome(),
        "judgement": judgement,
        "events": events,
        "rows": events,
        "unfound": (),
        "notes": {view.event.id: view.event.feedback.words for view in events if view.event.feedback},
        "columns": columns_of(judgement, events),
        "risks": [view for view in events if view.event.risk],
        "metrics": metrics,
        "open_charts": max(OPEN_CHARTS, sum(view.result.verdict is Verdict.FAIL for view in metrics)),
        "facts": [what_was_new(judgement, events, metrics), *_answers(report)],
        "files": report.files,
        "records_hidden": report.records_hidden,
        "clocks": clock_times(report.clocks),
        "steps": _steps(report),
        "changes": _changes(report),
        "kinds": kinds_of(events),
        "width": CHART_WIDTH,
        "height": CHART_HEIGHT,
    }


def _answers(report: Report) -> list[Fact]:
    """For a deployment what was made of the verdict; for files what a person may make of it."""
    if report.files:
        return [what_was_compared(report), what_next(report)]
    return [what_was_done(report), is_it_safe(report)]


@dataclass(frozen=True)
class Step:
    """One line of what happened.

    :param when: ISO 8601 time.
    :param what: in a few words.
    :param took: seconds; None where it is not known.
    :param detail: what it was done to, or why.
    :param ok: True when it was done, False when it failed, None when it is under way or nothing to be done.
    :param mark: what stands in place of a tick: ``verdict``, ``person``, ``first`` (bad event), or ``""``.
    """

    when: str
    what: str
    ok: bool | None = None
    took: float | None = None
    detail: str = ""
    mark: str = ""


def _steps(report: Report) -> list[Step]:
    """What was done to the environment, what people did, and the verdict, in the order of time."""
    judgement = report.judgement
    steps = [
        Step(
            action.began or "",
            action.kind,
            action.ok,
            words.seconds_between(action.began, action.ended),
            words.as_text(action.detail),
        )
        for action in report.actions
    ]
    for entry in report.manual_actions:
        steps.append(
            Step(entry.when or "", f"{entry.who}: {manual_action_label(entry.action)}", detail=entry.why, mark="person")
        )
    if judgement.first_bad:
        steps.append(Step(judgement.first_bad, "first bad moment", mark="first"))
    if judgement.final and judgement.decided:
        reason = judgement.reasons[0].text if judgement.reasons else ""
        steps.append(Step(judgement.decided, f"verdict {judgement.verdict}", detail=reason, mark="verdict"))
    latest = datetime.max.replace(tzinfo=timezone.utc)
    return sorted(steps, key=lambda step: words.moment(step.when) or latest)


@dataclass(frozen=True)
class Change:
    """How the release differs from one that ran before.

    :param before: the release that ran before.
    :param rows: what differs: name, before, now.
    """

    before: str
    rows: Sequence[tuple[str, str, str]]


def _changes(report: Report) -> list[Change]:
    """What differs between the release and each of those before it."""
    release = asdict(report.release) if report.release is not None else {}
    return [
        Change(
            before.name,
            [(name, words.as_text(was), words.as_text(now)) for name, was, now in differences(asdict(before), release)],
        )
        for before in report.previous
    ]
