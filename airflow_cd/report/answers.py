"""The report's answers to what a person woken at night asks: what was new, what was done, is it safe now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_cd.report import words
from airflow_cd.verification.verdict import EventKind, Judgement, Verdict

if TYPE_CHECKING:
    from airflow_cd.report.views import EventView, MetricView

NAMED_FIRST = 6


@dataclass(frozen=True)
class Fact:
    """The answer to one of the three questions.

    :param tone: ``good``, ``bad`` or ``wait``.
    :param links: places on the page with their names.
    """

    question: str
    tone: str
    answer: str
    text: str = ""
    links: Sequence[tuple[str, str, str]] = field(default_factory=tuple)


def what_was_new(judgement: Judgement, events: Sequence[EventView], metrics: Sequence[MetricView]) -> Fact:
    """Risks among the events, and metrics that got worse."""
    question = "What was new?"
    judged = (("metrics", judgement.performance), ("logs", judgement.quality))
    risks = [view for view in events if view.event.risk]
    worse = [view for view in metrics if view.result.verdict is Verdict.FAIL]
    links = [(view.anchor, view.title, f"{words.number(view.event.counts.get('canary'))}×") for view in risks]
    links += [
        (view.anchor, f"{view.result.name} {view.result.group}".strip(), words.change(view.result.effect))
        for view in worse
    ]
    if links:
        parts = [counted(len(risks), "event"), counted(len(worse), "worse metric")]
        answer = " and ".join(part for part in parts if part)
        said = [f"the worst {NAMED_FIRST} of {len(links)}"] if len(links) > NAMED_FIRST else []
        said += [f"{name} {side.verdict}" for name, side in judged if side is not None]
        return Fact(question, "bad", answer, ", ".join(said), links[:NAMED_FIRST])
    if not judgement.final:
        return Fact(question, "wait", "Nothing so far", f"after {counted(judgement.looks, 'look')}")
    unknown = sum(view.event.kind is EventKind.UNKNOWN for view in events)
    text = f"{unknown} of {len(events)} events are unknown, none of them a risk" if unknown else ""
    if judgement.verdict is Verdict.PASS:
        return Fact(question, "good", "Nothing that is a risk", text)
    return Fact(question, "wait", "It could not be told", judgement.reasons[0].text if judgement.reasons else "")


def what_was_done(report: Mapping[str, Any], judgement: Judgement) -> Fact:
    """What became of the deployment, and what people did after the verdict."""
    state = _state(report)
    failed = sum(action.get("ok") is False for action in report.get("actions") or [])
    answer = {
        "rolled_back": f"Rolled back to {_before(report)}",
        "rolling_back": f"Rolling back to {_before(report)}",
        "rollback_failed": f"The rollback to {_before(report)} failed",
        "promoted": f"Promoted {release_name(report.get('release') or {})}",
        "running": _goes_on(report, judgement),
    }.get(state, state or "Nothing that is recorded")
    tone = {"rolled_back": "good", "promoted": "good", "rollback_failed": "bad"}.get(state, "wait")
    since = words.moment(judgement.decided)
    said = [
        f"{entry.get('who')}: {entry.get('action')}"
        for entry in report.get("human") or []
        if since and (when := words.moment(entry.get("when"))) and when >= since
    ]
    parts = [counted(failed, "action") + " failed" if failed else "", *said[-2:]]
    return Fact(
        "What was done?", tone, answer, "; ".join(part for part in parts if part), [("done", "step by step", "")]
    )


def _goes_on(report: Mapping[str, Any], judgement: Judgement) -> str:
    if not judgement.final:
        return "Nothing: it is being watched"
    if judgement.verdict is Verdict.PASS:
        return "The deployment goes on"
    return "Drained the canary" if (report.get("clocks") or {}).get("to_safe") is not None else "Nothing yet"


def is_it_safe(report: Mapping[str, Any], judgement: Judgement) -> Fact:
    """Whether the environment runs wholly on something that is known to be good."""
    state, outcome = _state(report), (report.get("outcome") or {}).get("text") or ""
    drained = (report.get("clocks") or {}).get("to_safe") is not None
    away = "The canary gets no more requests. " if drained else ""
    overruled = judgement.final and judgement.verdict is not Verdict.PASS
    tone, answer, text = {
        "rolled_back": ("good", "Yes", "What ran before runs again; artifact and configuration were read back."),
        "rollback_failed": ("bad", "No: act now", f"{outcome} See who is on call; the last step says what runs where."),
        "rolling_back": ("wait", "Not yet", f"{away}What ran before is being put back."),
        "promoted": ("wait", "A person answers for it", f"Promoted in spite of {judgement.verdict}. {outcome}")
        if overruled
        else ("good", "Yes", "The release runs everywhere and was verified."),
        "running": _while_running(judgement, away),
    }.get(state, ("wait", "Unknown", outcome or "The ledger does not say what became of the deployment."))
    return Fact("Is it safe now?", tone, answer, text)


def _while_running(judgement: Judgement, away: str) -> tuple[str, str, str]:
    if not judgement.final:
        return "wait", "Being watched", "The canary serves its share of the traffic while it is compared."
    if judgement.verdict is Verdict.PASS:
        return "good", "So far, yes", "This phase passed; the deployment goes on."
    if away:
        return "wait", "Not wholly", f"{away}The instances still hold the new release."
    return "bad", "Not yet", "The canary still has the new release, as far as the ledger knows."


def _state(report: Mapping[str, Any]) -> str:
    return str((report.get("outcome") or {}).get("state") or "")


def release_name(release: Mapping[str, Any]) -> str:
    """Service and version, as people say them."""
    return f"{release.get('service', '')} {release.get('version', '')}".strip() or "the release"


def _before(report: Mapping[str, Any]) -> str:
    previous = report.get("previous") or []
    if not previous:
        return "nothing (it was empty before)"
    named = ", ".join(sorted({release_name(release) for release in previous}))
    return named if len(previous) == 1 else f"what each instance ran: {named}"


def clock_times(clocks: Mapping[str, Any], *, asked_for: bool = False) -> list[tuple[str, str, str]]:
    """Name, time and meaning of each clock; none at all when nothing was measured.

    :param asked_for: a person's rollback: no verdict came first, and the clocks count from when it was asked for.
    """
    if not any(isinstance(clocks.get(name), int | float) for name in ("to_verdict", "to_safe", "to_restored")):
        return []
    if asked_for:
        return [
            ("To safe", words.duration(clocks.get("to_safe")), "from asking to the last request on what was left"),
            ("To restored", words.duration(clocks.get("to_restored")), "from asking until all is back and checked"),
        ]
    return [
        ("To verdict", words.duration(clocks.get("to_verdict")), "from the first bad event"),
        ("To safe", words.duration(clocks.get("to_safe")), "from the verdict to the last canary request"),
        ("To restored", words.duration(clocks.get("to_restored")), "from the verdict until all is back and checked"),
    ]


def counted(count: int, noun: str) -> str:
    """``3 events``, ``1 event``; nothing at all for none."""
    return "" if not count else f"{count} {noun}" if count == 1 else f"{count} {noun}s"
