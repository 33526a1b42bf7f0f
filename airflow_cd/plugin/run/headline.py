"""What a reader of a run sees first: how it stands in a word, the sentence that decides, and three answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_cd.errors import VerificationError
from airflow_cd.ledger import Deployment, Question, VerdictRecord
from airflow_cd.plugin.dag_runs.tasks import Run
from airflow_cd.plugin.run.facts import RunFacts
from airflow_cd.plugin.run.phases import said
from airflow_cd.plugin.run.stages import StageView
from airflow_cd.report.answers import Fact, is_it_safe, what_was_done, what_was_new
from airflow_cd.report.gathering import deployment_report
from airflow_cd.report.report import ManualAction, Report
from airflow_cd.report.views import events_of, metrics_of
from airflow_cd.verification.verdict import Judgement, Reason, Verdict

_WORST_FIRST = (
    "rollback failed",
    "left unfinished",
    "rolling back",
    "rolled back",
    "rejected",
    "no answer in time",
    "failed",
)
_MORE_REASONS = 4
_NOW = {
    "deploying": "Deploying to {}.",
    "promoting": "Promoting in {}.",
    "rolling back": "Rolling back {}.",
    "going back": "Rolling back {}.",
    "settling": "Settling {}.",
    "under way": "Now in {}.",
}


@dataclass(frozen=True)
class Headline:
    """The top of the page.

    :param look: ``good``, ``bad`` or ``wait``; ``word`` is the same for those who do not see colours.
    :param says: the one sentence; ``more`` stands below it.
    :param question: what a person is asked now.
    :param answers: what was new, what was done, is it safe now; of a delivery that went wrong.
    :param report: the task whose report the first answer's links lead into, ``""`` without one.
    """

    look: str
    word: str
    says: str
    more: Sequence[str] = ()
    question: Question | None = None
    answers: Sequence[Fact] = ()
    report: str = ""


def headline_of(run: Run, facts: RunFacts, stages: Sequence[StageView]) -> Headline:
    """The decisive of what is known: what asks or went wrong comes before what goes on, and that before the rest."""
    bad = sorted((stage for stage in stages if stage.look == "bad"), key=lambda stage: _rank(stage.state))
    there = _what_runs(stages)
    asking = next((stage for stage in stages if stage.asks), None)
    if asking is not None and not (bad and bad[0].state == _WORST_FIRST[0]):
        return _asked(asking, facts, there)
    if bad:
        return _went_wrong(run, bad, facts, there)
    now = _going_on(stages)
    if not run.over:
        begun = any(stage.seconds is not None for stage in stages)
        return Headline("wait", "RUNNING" if begun else "QUEUED", " ".join(now) or _between(begun=begun), there)
    if run.state == "failed":
        return Headline("bad", "FAILED", f"The run has failed, or was marked failed{_by(facts)}.", there)
    if not there:
        return Headline("wait", "NOTHING DEPLOYED", "This run has deployed nothing.")
    restored = [_plain(stage.why) for stage in stages if stage.state == "restored"]
    if restored:
        return Headline("good", "RESTORED", restored[0], there)
    return Headline("good", "DELIVERED", there[0], _in_spite(facts, stages))


def _rank(state: str) -> int:
    return _WORST_FIRST.index(state) if state in _WORST_FIRST else len(_WORST_FIRST)


def _what_runs(stages: Sequence[StageView]) -> list[str]:
    by_release: dict[str, list[str]] = {}
    for stage in stages:
        if stage.deployment is not None and stage.state in ("promoted", "restored"):
            release = stage.deployment.release
            by_release.setdefault(f"{release.service} {release.version}", []).append(stage.deployment.environment)
    said = [f"{release} runs in {_listed(names)}" for release, names in by_release.items()]
    return [f"{'; '.join(said)}."] if said else []


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _asked(stage: StageView, facts: RunFacts, there: list[str]) -> Headline:
    question = stage.question
    assert question is not None  # noqa: S101 - a stage asks only with a question
    who = " or ".join(question.approvers) or "anybody who may edit the run"
    says = f"{question.subject} Waits for {who}."
    if stage.deployment is None:
        return Headline("wait", "WAITING", says, there, question)
    answers, report = _answers(stage, facts)
    return Headline("wait", "WAITING", says, [*_reasons(stage, facts), *there], question, answers, report)


def _went_wrong(run: Run, bad: Sequence[StageView], facts: RunFacts, there: list[str]) -> Headline:
    first = bad[0]
    reasons = _reasons(first, facts)
    says = f"{first.environment}: {reasons[0] if reasons else 'the ledger and the tasks do not say why'}"
    if first.state in ("rejected", "no answer in time") and first.question is not None:
        who = f"Rejected by {first.question.who}" if first.question.who else "Nobody answered in time"
        said_why = f"{who}. {first.why}" if first.why else f"{who}, without a reason."
        says = f"{first.environment}: {said_why}"
    more = [*reasons[1:]] if first.deployment is not None else []
    more += [f"{stage.environment}, too: {stage.state}. {_plain(stage.why)}".strip() for stage in bad[1:]]
    answers, report = _answers(first, facts) if first.deployment is not None else ((), "")
    word = first.state.upper()
    if not run.over and first.state in ("rejected", "failed", "rolled back"):
        more.append("The run has not ended yet.")
    return Headline("bad", word, says, [*more, *there], None, answers, report)


def _reasons(stage: StageView, facts: RunFacts) -> list[str]:
    """The decisive one first: the verdict's own, as long as it is what the deployment ended by."""
    verdict = _judged(stage.deployment, facts) if stage.deployment is not None else None
    told = said(verdict)
    outcome = _plain(stage.why)
    if told and (not outcome or outcome.startswith(told[0])):
        return [outcome or told[0], *told[1 : 1 + _MORE_REASONS]]
    return [outcome] if outcome else []


def _plain(outcome: str) -> str:
    """Without the verdict that the page says in a word."""
    for verdict in Verdict:
        outcome = outcome.removeprefix(f"{verdict}: ")
    return outcome


def _judged(deployment: Deployment | None, facts: RunFacts) -> VerdictRecord | None:
    verdicts = facts.verdicts.get(deployment.id, ()) if deployment is not None else ()
    return next((verdict for verdict in reversed(verdicts) if verdict.final), None)


def _answers(stage: StageView, facts: RunFacts) -> tuple[list[Fact], str]:
    """What the report would answer, with the run's own words where nothing was judged; and the report's task."""
    deployment = stage.deployment
    assert deployment is not None  # noqa: S101 - asked of deployments only
    verdict = _judged(deployment, facts)
    report = next((phase.task for phase in stage.phases if verdict is not None and phase.name == verdict.phase), "")
    try:
        judgement = Judgement.from_dict(verdict.evidence) if verdict is not None else None
    except VerificationError:
        judgement = None
    if judgement is None:
        reason = Reason("", _plain(deployment.outcome))
        word = verdict.verdict if verdict is not None else str(Verdict.INCONCLUSIVE)
        judgement = Judgement(Verdict(word), (reason,), decided=_iso(deployment.verdict_at) or "")
        text = "Its evidence cannot be read any more." if verdict else "It ended before it could be verified."
        new = Fact("What was new?", "wait", "Nothing was judged" if not verdict else f"It was {verdict.verdict}", text)
    else:
        new = what_was_new(judgement, events_of(judgement), metrics_of(judgement))
    content = _report(deployment, judgement, facts)
    return [new, dataclasses.replace(what_was_done(content), links=()), is_it_safe(content)], report


def _report(deployment: Deployment, judgement: Judgement, facts: RunFacts) -> Report:
    """As much of a report as the answers read."""
    report = deployment_report(deployment, judgement, actions=facts.actions.get(deployment.id, ()))
    return dataclasses.replace(
        report,
        manual_actions=[
            ManualAction(hand.who, hand.detail.get("option") or hand.action, _iso(hand.at), hand.why)
            for hand in facts.hands
            if hand.allowed
        ],
    )


def _iso(moment: Any) -> str | None:
    return moment.isoformat() if moment is not None else None


def _going_on(stages: Sequence[StageView]) -> list[str]:
    """What happens now, a sentence for each kind of it."""
    by_state: dict[str, list[StageView]] = {}
    for stage in stages:
        if stage.look == "wait":
            by_state.setdefault(stage.state, []).append(stage)
    told = []
    for state, found in by_state.items():
        if state == "verifying":
            told += [_verifying(stage) for stage in found]
        elif state == "waiting for its turn":
            told += [f"Waiting for its turn in {stage.environment}. {stage.why}".strip() for stage in found]
        else:
            told.append(_NOW.get(state, "Now in {}.").format(_listed([stage.environment for stage in found])))
    return told


def _verifying(stage: StageView) -> str:
    phase = next((found for found in stage.phases if found.state == "verifying"), None)
    if phase is None:
        return f"Verifying {stage.environment}."
    looks = f" after {phase.looks} look{'s' if phase.looks != 1 else ''}" if phase.looks else ""
    reason = f": {phase.reason}" if phase.reason else "."
    return f"Verifying {stage.environment}, {phase.title[:1].lower()}{phase.title[1:]}{looks}{reason}"


def _between(*, begun: bool) -> str:
    return "Between two tasks: the next one begins in a moment." if begun else "Nothing of it has begun yet."


def _by(facts: RunFacts) -> str:
    marks = [hand for hand in facts.hands if hand.allowed and hand.action == "marked run failed"]
    return f": {marks[-1].who} did{', ' + marks[-1].why if marks[-1].why else ''}" if marks else ""


def _in_spite(facts: RunFacts, stages: Sequence[StageView]) -> list[str]:
    """Promoted against its verdict: a person answers for that."""
    found = []
    for stage in stages:
        verdict = _judged(stage.deployment, facts)
        if stage.state == "promoted" and verdict is not None and verdict.verdict != Verdict.PASS:
            found.append(f"{stage.environment} was promoted in spite of {verdict.verdict}: {stage.why}".rstrip(": "))
    return found
