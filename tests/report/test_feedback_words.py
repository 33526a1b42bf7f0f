"""What was said of an event stands with it in the report, as text."""

from __future__ import annotations

from dataclasses import replace

from airflow_cd.report.page import render_report
from airflow_cd.verification.verdict import Feedback
from tests.report import samples


def test_who_said_what_of_an_event_and_why() -> None:
    red, *others = samples.planted()
    said = Feedback("not_a_risk", "ada <b>", "it is caught & retried", "2026-11-23T08:00:00+00:00")
    forgiven = replace(red, risk=False, feedback=said)
    page = render_report(samples.story(evidence=samples.judgement([forgiven, *others])))
    assert "not a risk</span> ada &lt;b&gt;, 2026-11-23 08:00:00 UTC: it is caught &amp; retried" in page
    assert "<td>unknown, not a risk</td>" in page
    assert "retried" not in render_report(samples.story(evidence=samples.judgement([red, *others])))
