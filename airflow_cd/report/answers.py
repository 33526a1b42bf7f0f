"""The report's answers to what a person woken at night asks: what was new, what was done, is it safe now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_cd.report import words
from airflow_cd.report.manual_actions import manual_action_label
from airflow_cd.report.report import Clocks, Report
from airflow_cd.states import ActionKind, DeploymentState
from airflow_cd.verification.verdict import EventKind, Judgement, Verdict

if TYPE_CHECKING:
    from airflow_cd.report.views import EventView, MetricView

NAMED_FIRST = 6
_DEEDS: Mapping[str, str] = {
    ActionKind.DEPLOY: "deploy the release",
    ActionKind.ROLLBACK: "roll it back",
    ActionKind.DRAIN: "drain it",
    ActionKind.RESTORE: "give it its traffic back",
    ActionKind.MARK: "mark the deployment",
}


@dataclass(frozen=True)
class Fact:
    """The answer to one of the three questions.

    :param question: as a heading puts it.
    :param tone: ``good``, ``bad`` or ``wait``; colours the answer.
    :param answer: in a few words.
    :param text: what is to be known beside it; ``""`` if nothing is.
    :param links: places on the page: anchor, name, and a value beside it.
    """

    question: str
    tone: str
    answer: str
    text: str = ""
    links: Sequence[tuple[str, str, str]] = field(default_factory=tuple)


def what_was_new(judgement: Judgement, events: Sequence[EventView], metrics: Sequence[MetricView]) -> Fact:
    """Risks among the events, and metrics that got worse.

    :param judgement: final or not.
    :param events: the events of the judgement as the page shows them, risks first; ``metrics`` likewise.
    """
    question = "What was new?"
    risks = [view for view in events if view.event.risk]
    worse = [view for view in metrics if view.result.verdict is Verdict.FAIL]
    if risks or worse:
        return _what_got_worse(question, judgement, risks, worse)
    if not judgement.final:
        return Fact(question, "wait", "Nothing so far", f"after {counted(judgement.looks, 'look')}")
    if judgement.verdict is Verdict.PASS:
        unknown = sum(view.event.kind is EventKind.UNKNOWN for view in events)
        text = f"{unknown} of {len(events)} events are unknown, none of them a risk" if unknown else ""
        return Fact(question, "good", "No risks", text)
    return Fact(question, "wait", "Undecided", judgement.reasons[0].text if judgement.reasons else "")


def _what_got_worse(
    question: str, judgement: Judgement, risks: Sequence[EventView], worse: Sequence[MetricView]
) -> Fact:
    links = [(view.anchor, view.title, f"{words.number(view.event.counts.get('canary'))}×") for view in risks]
    links += [
        (view.anchor, f"{view.result.name} {view.result.group}".strip(), words.change(view.result.effect))
        for view in worse
    ]
    parts = [counted(len(risks), "event"), counted(len(worse), "worse metric")]
    notes = [f"the worst {NAMED_FIRST} of {len(links)}"] if len(links) > NAMED_FIRST else []
    judged = (("metrics", judgement.performance), ("logs", judgement.quality))
    notes += [f"{name} {part.verdict}" for name, part in judged if part is not None]
    return Fact(question, "bad", " and ".join(part for part in parts if part), ", ".join(notes), links[:NAMED_FIRST])


def what_was_done(report: Report) -> Fact:
    """What became of the deployment, and what people did after the verdict.

    :param report: of a deployment.
    """
    before = _before(report)
    answer = {
        DeploymentState.ROLLED_BACK: f"Rolled back to {before}",
        DeploymentState.ROLLING_BACK: f"Rolling back to {before}",
        DeploymentState.ROLLBACK_FAILED: f"The rollback to {before} failed",
        DeploymentState.PROMOTED: f"{'Rolled back to' if report.rolls_back else 'Promoted'} {_released(report)}",
        DeploymentState.RUNNING: _under_way(report),
        None: (report.outcome.state if report.outcome else "") or "Nothing recorded",
    }[report.state]
    tone = {
        DeploymentState.ROLLED_BACK: "good",
        DeploymentState.PROMOTED: "good",
        DeploymentState.ROLLBACK_FAILED: "bad",
    }.get(report.state or DeploymentState.RUNNING, "wait")
    parts = [*_failed_actions(report), *_manual_actions_since(report)[-2:]]
    if report.state is DeploymentState.ROLLED_BACK and report.outcome is not None and report.outcome.vetoed is False:
        parts.append("the release is not vetoed: a new run may deploy it again")
    return Fact(
        "What was done?", tone, answer, "; ".join(part for part in parts if part), [("done", "step by step", "")]
    )


def _failed_actions(report: Report) -> list[str]:
    """Which kinds of actions failed, in the order of the first of each: a rollback may succeed after one that did."""
    failed = Counter(action.kind for action in report.actions if action.ok is False)
    said = []
    for kind, times in failed.items():
        deed = _DEEDS.get(kind, kind)
        said.append(f"an attempt to {deed} failed" if times == 1 else f"{times} attempts to {deed} failed")
    return said


def _manual_actions_since(report: Report) -> list[str]:
    """Who did what by hand since the verdict stood, oldest first."""
    since = words.moment(report.judgement.decided)
    return [
        f"{action.who}: {manual_action_label(action.action)}"
        for action in report.manual_actions
        if since and (when := words.moment(action.when)) and when >= since
    ]


def _under_way(report: Report) -> str:
    if not report.judgement.final:
        return "Nothing: it is being watched"
    if report.judgement.verdict is Verdict.PASS:
        return "The deployment continues"
    if _is_drained(report):
        return "Drained the canary"
    return "Held where it is" if report.judgement.verdict is Verdict.INCONCLUSIVE else "Nothing yet"


def is_it_safe(report: Report) -> Fact:
    """Whether the environment runs wholly on something that is known to be good.

    :param report: of a deployment.
    """
    outcome = report.outcome.text if report.outcome else ""
    drained = "The canary gets no more requests. " if _is_drained(report) else ""
    tone, answer, text = {
        DeploymentState.ROLLED_BACK: _when_rolled_back(report),
        DeploymentState.ROLLBACK_FAILED: (
            "bad",
            "No: act now",
            f"{outcome} See who is on call; the last step says what runs where.",
        ),
        DeploymentState.ROLLING_BACK: (
            "wait",
            "Not yet",
            f"{drained}The previous release is not back everywhere.",
        ),
        DeploymentState.PROMOTED: _when_promoted(report, outcome),
        DeploymentState.RUNNING: _while_running(report.judgement, drained),
        None: ("wait", "Unknown", outcome or "The ledger does not say what became of the deployment."),
    }[report.state]
    return Fact("Is it safe now?", tone, answer, text)


def _when_rolled_back(report: Report) -> tuple[str, str, str]:
    if not report.previous:
        return "wait", "Nothing runs", "The environment is empty, as it was before: there was no release to return to."
    return "good", "Yes", "What ran before runs again; artifact and configuration were read back."


def _when_promoted(report: Report, outcome: str) -> tuple[str, str, str]:
    judgement = report.judgement
    if report.rolls_back:
        return "good", "Yes", "The release it was rolled back to runs everywhere and was read back."
    if judgement.final and judgement.verdict is not Verdict.PASS:
        return "wait", "A person answers for it", f"Promoted in spite of {judgement.verdict}. {outcome}"
    return "good", "Yes", "The release runs everywhere and was verified."


def _while_running(judgement: Judgement, drained: str) -> tuple[str, str, str]:
    if not judgement.final:
        return "wait", "Being watched", "The canary serves its share of the traffic while it is compared."
    if judgement.verdict is Verdict.PASS:
        return "good", "So far, yes", "This phase passed; the deployment continues."
    if judgement.verdict is Verdict.INCONCLUSIVE and not drained:
        return "wait", "Undecided", "Nothing is proven against the canary, which serves its share until it is decided."
    if drained:
        return "wait", "Not wholly", f"{drained}The instances still hold the new release."
    return "bad", "Not yet", "The canary still has the new release, as far as the ledger knows."


def _is_drained(report: Report) -> bool:
    return report.clocks is not None and report.clocks.to_safe is not None


def _released(report: Report) -> str:
    return report.release.name if report.release is not None else "the release"


def _before(report: Report) -> str:
    if not report.previous:
        return "nothing (it was empty before)"
    named = ", ".join(sorted({release.name for release in report.previous}))
    return named if len(report.previous) == 1 else f"what each instance ran: {named}"


def clock_times(clocks: Clocks | None, *, asked_for: bool = False) -> list[tuple[str, str, str]]:
    """Name, time and meaning of each clock; none at all when nothing was measured.

    :param clocks: in seconds; None when there is no deployment.
    :param asked_for: a person's rollback: no verdict came first, and the clocks count from when it was asked for.
    """
    if clocks is None or not clocks.measured:
        return []
    if asked_for:
        return [
            ("To safe", words.duration(clocks.to_safe), "from asking to the last request on what was left"),
            ("To restored", words.duration(clocks.to_restored), "from asking until all is back and checked"),
        ]
    return [
        ("To verdict", words.duration(clocks.to_verdict), "from the first bad event"),
        ("To safe", words.duration(clocks.to_safe), "from the verdict to the last canary request"),
        ("To restored", words.duration(clocks.to_restored), "from the verdict until all is back and checked"),
    ]


def counted(count: int, noun: str) -> str:
    """``3 events``, ``1 event``; nothing at all for none.

    :param count: how many.
    :param noun: in the singular.
    """
    return "" if not count else f"{count} {noun}" if count == 1 else f"{count} {noun}s"
