"""The report's answers where plain files were verified: how much was compared, and what to do with the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_cd.report import words
from airflow_cd.report.answers import Fact, counted
from airflow_cd.report.order import by_weight
from airflow_cd.verification.verdict import EventKind, Judgement, Verdict

_GOOD_BASELINES = 3
_STEPS = {
    "no_baseline": "Give what an earlier good release wrote, with --baseline or --metrics-baseline.",
    "no_data": "Check that the canary's files are the right ones, and that it had any traffic.",
    "few_requests": "Measure for longer, or take --min-requests lower and trust the answer less.",
    "not_certain": "Measure for longer or on more instances, or take --minimum-effect higher.",
    "not_comparable": "Check that both sides hold the same metrics and groups at the same times.",
    "metric_regressed": "Compare the metric's chart in the report with what the release changed.",
}


def what_was_compared(report: Mapping[str, Any], judgement: Judgement) -> Fact:
    """How much of what lay side by side, for files."""
    sides: dict[str, int] = {}
    for file in report.get("files") or []:
        sides[file["side"]] = sides.get(file["side"], 0) + 1
    parts, said = [], []
    if judgement.quality is not None:
        records = judgement.quality.records
        known = records.get("control", 0) + records.get("baseline", 0)
        parts.append(f"{words.number(records.get('canary', 0))} records against {words.number(known)}")
    if judgement.performance is not None:
        pooled = [result for result in judgement.performance.metrics if not result.group]
        parts.append(counted(len(pooled), "metric"))
    named = {"canary": "of the canary", "control": "of a control", "baseline": "of a baseline"}
    said = [f"{counted(count, 'file')} {named.get(side, side)}" for side, count in sorted(sides.items(), reverse=True)]
    unread = judgement.quality is not None and not judgement.quality.levels_stated
    tone = "wait" if judgement.verdict is Verdict.INCONCLUSIVE or judgement.warnings or unread else "good"
    return Fact(
        "What was compared?",
        tone,
        " and ".join(part for part in parts if part) or "Nothing",
        ", ".join(said),
        [("basis", "file by file", "")],
    )


def what_next(report: Mapping[str, Any], judgement: Judgement) -> Fact:
    """What a person may make of the verdict over files."""
    tone, answer = {
        Verdict.FAIL: ("bad", "Do not release it as it is"),
        Verdict.PASS: ("good", "Nothing speaks against it"),
    }.get(judgement.verdict, ("wait", "It takes more evidence"))
    return Fact("What next?", tone, answer, " ".join(next_steps(report, judgement, True)))


def next_steps(report: Mapping[str, Any], judgement: Judgement, has_report: bool) -> list[str]:
    """What to do after a verdict over files, a sentence each.

    :param has_report: whether the reader has the page, and need not be told of it.
    """
    codes = [reason.code for reason in judgement.reasons]
    steps = [step for code, step in _STEPS.items() if code in codes]
    risks = sorted(judgement.quality.risks, key=by_weight) if judgement.quality is not None else []
    if risks:
        pattern = risks[0].exception or " ".join(risks[0].template.split()[-4:])
        steps.append(f"If an event is meant to be, say so and run it again: --expected '{_shown(pattern)}'.")
    if judgement.verdict is Verdict.PASS:
        baselines = sum(file["side"] == "baseline" and file["what"] == "logs" for file in report.get("files") or [])
        if judgement.quality is not None and baselines < _GOOD_BASELINES:
            steps.append("Logs of more earlier deployments after --baseline make the next answer surer.")
        unknown = judgement.quality is not None and any(
            event.kind is EventKind.UNKNOWN and event.severity == "warning" and event.feedback is None
            for event in judgement.quality.events
        )
        if unknown and (report.get("settings") or {}).get("sensitivity") != "high":
            steps.append("--sensitivity high counts unknown warnings too.")
    if not has_report:
        steps.append("--report out.html shows every event and metric.")
    return steps


def _shown(pattern: str) -> str:
    return words.short(str(words.visible(pattern)).replace("'", "?"), 60)
