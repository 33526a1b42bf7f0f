"""The report of one verification as one HTML page that needs nothing else: no script, no address, no font.

The page answers first what a person woken at night asks: what was new, what was done, is it safe now. Everything
else follows as evidence. Whatever came from logs, configuration or people is shown as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from airflow_cd.errors import VerificationError
from airflow_cd.release import differences
from airflow_cd.report import words
from airflow_cd.report.answers import (
    Fact,
    clock_times,
    is_it_safe,
    release_name,
    what_was_done,
    what_was_new,
)
from airflow_cd.report.figures import CHART_HEIGHT, CHART_WIDTH
from airflow_cd.report.file_answers import what_next, what_was_compared
from airflow_cd.report.jinja import templates
from airflow_cd.report.views import columns_of, events_of, kinds_of, metrics_of
from airflow_cd.verification.verdict import Judgement, Verdict

SCHEMA = 1
OPEN_CHARTS = 4


def render_report(report: Mapping[str, Any]) -> str:
    """The page of a report, as ``<!doctype html>…``.

    :param report: as :func:`report_scene` takes it.
    :raises airflow_cd.errors.VerificationError: it is no report, or one of a newer version.
    """
    return templates().get_template("report.html.j2").render(frame="report_file.html.j2", **report_scene(report))


def report_scene(report: Mapping[str, Any]) -> dict[str, Any]:
    """What the template ``report.html.j2`` shows of a report.

    :param report: JSON values: ``schema``, ``service``, ``pipeline``, ``run_id``, ``environment``, ``phase``,
        ``release`` and ``previous`` (as releases write themselves), ``judgement``
        (:meth:`~airflow_cd.verification.verdict.Judgement.as_dict`), ``actions`` (``kind``, ``ok``, ``began``,
        ``ended``, ``detail``), ``clocks`` (seconds: ``to_verdict``, ``to_safe``, ``to_restored``), ``outcome``
        (``state``, ``text``) and ``human`` (``who``, ``action``, ``when``, ``why``). A report with ``files``
        (:meth:`~airflow_cd.verification.files.verification.Verified.report`) is of no deployment.
    :raises airflow_cd.errors.VerificationError: it is no report, or one of a newer version.
    """
    if report.get("schema") != SCHEMA:
        raise VerificationError(
            f"the report is of schema {report.get('schema')!r}, this installation shows {SCHEMA}.",
            next_step="Show it with the version of airflow-cd that wrote it.",
        )
    judgement = Judgement.from_dict(report["judgement"])
    events = events_of(judgement)
    metrics = metrics_of(judgement)
    return {
        "report": report,
        "release": {"service": "", "version": "", "artifact": "", "digest": "", **(report.get("release") or {})},
        "outcome": {"state": "", "text": "", **(report.get("outcome") or {})},
        "judgement": judgement,
        "events": events,
        "rows": events,
        "unfound": (),
        "notes": {view.event.id: view.event.feedback.words for view in events if view.event.feedback},
        "columns": columns_of(judgement, events),
        "risks": [view for view in events if view.event.risk],
        "metrics": metrics,
        "open_charts": max(OPEN_CHARTS, sum(view.result.verdict is Verdict.FAIL for view in metrics)),
        "facts": [what_was_new(judgement, events, metrics), *_answers(report, judgement)],
        "files": report.get("files") or [],
        "clocks": clock_times(report.get("clocks") or {}),
        "steps": _steps(report, judgement),
        "changes": _changes(report),
        "kinds": kinds_of(events),
        "width": CHART_WIDTH,
        "height": CHART_HEIGHT,
    }


def _answers(report: Mapping[str, Any], judgement: Judgement) -> list[Fact]:
    """What a deployment makes of a verdict; of files a person does."""
    if report.get("files"):
        return [what_was_compared(report, judgement), what_next(report, judgement)]
    return [what_was_done(report, judgement), is_it_safe(report, judgement)]


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
    return [
        {
            "before": release_name(before),
            "rows": [(name, words.plainly(was), words.plainly(now)) for name, was, now in differences(before, release)],
        }
        for before in report.get("previous") or []
    ]
