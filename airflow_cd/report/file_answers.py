"""The report's answers where plain files were verified: how much was compared, and what to do with the verdict."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_cd.report import words
from airflow_cd.report.answers import Fact, counted
from airflow_cd.report.order import by_weight
from airflow_cd.report.report import Report, Settings
from airflow_cd.verification.verdict import Event, EventKind, Quality, Verdict

_DECLARED = 3  # events that are named as a pattern
_GOOD_BASELINES = 3
_SHIFTS = {"excursion", "not_certain", "not_comparable", "went_silent"}  # codes of what may come with another time
_CONTROL = (
    "Give metrics of instances on the old release in the same period, with --metrics-control: they say what the time "
    "and the traffic do by themselves."
)
_STEPS = {
    "no_baseline": "Give what an earlier good release wrote, with --baseline or --metrics-baseline.",
    "no_data": "Check that the canary's files are the right ones, and that it had any traffic.",
    "few_requests": "Measure for longer, or lower --min-requests and trust the answer less.",
    "not_measured": "Check what writes this metric, or leave it out.",
    "not_certain": "Measure for longer or on more instances, or raise --minimum-effect.",
    "not_precise": "Measure for longer or on more instances, or name the metrics that matter with --decisive.",
    "not_comparable": "Check that both sides hold the same metrics and groups at the same times.",
    "excursion": "Look at what the release did in those minutes, and measure again.",
    "unit_changed": "Give both sides in one unit; a name may say which: _ms, _bytes, _percent, _per_second.",
    "unit_unknown": "Say in the metric's name which it is: _percent or _ratio.",
    "misread": "Check the numbers of requests in both files: their unit, and how thousands and decimals are written.",
    "rows_differ": "Give a column that tells the rows apart (instance, group), or each export once.",
    "instance_differs": "Look at that instance and what it runs on, and measure again.",
    "metric_regressed": "Compare the metric's chart in the report with what the release changed.",
}


def what_was_compared(report: Report) -> Fact:
    """How much of what lay side by side, for files.

    :param report: of files.
    """
    judgement = report.judgement
    parts = []
    if judgement.quality is not None:
        records = judgement.quality.records
        known = records.get("control", 0) + records.get("baseline", 0)
        parts.append(f"{words.number(records.get('canary', 0))} records against {words.number(known)}")
    if judgement.performance is not None:
        parts.append(counted(sum(not result.group for result in judgement.performance.metrics), "metric"))
    unread = judgement.quality is not None and not judgement.quality.levels_stated
    return Fact(
        "What was compared?",
        "wait" if judgement.verdict is Verdict.INCONCLUSIVE or judgement.warnings or unread else "good",
        " and ".join(part for part in parts if part) or "Nothing",
        ", ".join(_files_by_side(report)),
        [("basis", "file by file", "")],
    )


def _files_by_side(report: Report) -> list[str]:
    named = {"canary": "of the canary", "control": "of a control", "baseline": "of a baseline"}
    sides: dict[str, int] = {}
    for file in report.files:
        sides[file.side] = sides.get(file.side, 0) + 1
    return [f"{counted(count, 'file')} {named.get(side, side)}" for side, count in sorted(sides.items(), reverse=True)]


def what_next(report: Report) -> Fact:
    """What a person may make of the verdict over files.

    :param report: of files.
    """
    tone, answer = {
        Verdict.FAIL: ("bad", "Do not release it as it is"),
        Verdict.PASS: ("good", "No problems found"),
    }.get(report.judgement.verdict, ("wait", "More evidence is needed"))
    return Fact("What next?", tone, answer, " ".join(next_steps(report, has_page=True)))


def next_steps(report: Report, *, has_page: bool) -> list[str]:
    """What to do after a verdict over files, a sentence each.

    :param report: of files.
    :param has_page: whether the reader has the report as a page, and need not be told how to get it.
    """
    judgement = report.judgement
    codes = [reason.code for reason in judgement.reasons]
    steps = [step for code, step in _STEPS.items() if code in codes]
    if judgement.verdict is Verdict.INCONCLUSIVE and _SHIFTS & set(codes) and not _has_metrics_control(report):
        steps.insert(0, _CONTROL)
    if judgement.quality is not None:
        steps += _steps_for_logs(report, judgement.verdict, judgement.quality)
    if not has_page:
        steps.append("--report out.html shows every event and metric.")
    return steps


def _has_metrics_control(report: Report) -> bool:
    """Whether metrics are of the same time on both sides, or are not what was verified."""
    metrics = [file.side for file in report.files if file.what == "metrics"]
    return not metrics or "control" in metrics


def _steps_for_logs(report: Report, verdict: Verdict, quality: Quality) -> Iterator[str]:
    risks = sorted(quality.risks, key=by_weight)
    if risks:
        patterns = dict.fromkeys(_shown(risk.exception or " ".join(risk.template.split()[-4:])) for risk in risks)
        named = " ".join(f"'{pattern}'" for pattern in list(patterns)[:_DECLARED])
        meant, each = ("an event is", "it") if len(patterns) == 1 else ("these events are", "each")
        yield f"If {meant} meant to be, declare {each} and run it again: --expected {named}."
    if verdict is not Verdict.PASS:
        return
    if sum(file.side == "baseline" and file.what == "logs" for file in report.files) < _GOOD_BASELINES:
        yield "Logs of more earlier deployments after --baseline make the next verdict more reliable."
    if any(map(_is_unknown_warning, quality.events)) and not _is_high(report.settings):
        yield "--sensitivity high counts unknown warnings too."


def _is_unknown_warning(event: Event) -> bool:
    return event.kind is EventKind.UNKNOWN and event.severity == "warning" and event.feedback is None


def _is_high(settings: Settings | None) -> bool:
    return settings is not None and settings.sensitivity == "high"


def _shown(pattern: str) -> str:
    return words.short(str(words.visible(pattern)).replace("'", "?"), 60)
