"""What a reader of a run sees first: how it stands in a word, the sentence that decides, and three answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_cd.errors import VerificationError
from airflow_cd.ledger import Deployment, Question, VerdictRecord
from airflow_cd.operators.question import TIMED_OUT
from airflow_cd.plugin.dag_runs.tasks import Run
from airflow_cd.plugin.run.facts import RunFacts
from airflow_cd.plugin.run.phases import reasons_of
from airflow_cd.plugin.run.stages import StageView
from airflow_cd.plugin.states import Look, StepState
from airflow_cd.plugin.words import approvers_label
from airflow_cd.report.answers import Fact, is_it_safe, what_was_done, what_was_new
from airflow_cd.report.gathering import deployment_report
from airflow_cd.report.report import ManualAction, Report
from airflow_cd.report.views import events_of, metrics_of
from airflow_cd.states import HumanAction
from airflow_cd.verification.verdict import Judgement, Reason, Verdict
from airflow_cd.wording import first_sentence

_WORST_FIRST = (
    StepState.ROLLBACK_FAILED,
    StepState.LEFT_UNFINISHED,
    StepState.ROLLING_BACK,
    StepState.ROLLED_BACK,
    StepState.REJECTED,
    StepState.TIMED_OUT,
    StepState.FAILED,
)
_ENDS_LATER = (StepState.REJECTED, StepState.FAILED, StepState.ROLLED_BACK)
_MORE_REASONS = 4
_NOW = {
    StepState.DEPLOYING: "Deploying to {}.",
    StepState.PROMOTING: "Promoting in {}.",
    StepState.ROLLING_BACK: "Rolling back {}.",
    StepState.RESTORING: "Rolling back {}.",
    StepState.SETTLING: "Finishing in {}.",
}


@dataclass(frozen=True)
class Headline:
    """The top of the page.

    :param look: how it is drawn; ``word`` is the same for those who do not see colours.
    :param says: the one sentence; ``more`` stands below it.
    :param question: what a person is asked now.
    :param answers: what was new, what was done, is it safe now; of a delivery that went wrong.
    :param report: the task whose report the first answer's links lead into, ``""`` without one.
    """

    look: Look
    word: str
    says: str
    more: Sequence[str] = ()
    question: Question | None = None
    answers: Sequence[Fact] = ()
    report: str = ""


def headline_of(run: Run, facts: RunFacts, stages: Sequence[StageView]) -> Headline:
    """What decides: a question or a failure comes before what is in progress, and that before the rest.

    :param run: the run as Airflow has it.
    :param facts: what the ledger holds of it.
    :param stages: its stages, in their order.
    """
    found = _headline(run, facts, stages)
    return dataclasses.replace(found, more=[*found.more, *facts.notes]) if facts.notes else found


def _headline(run: Run, facts: RunFacts, stages: Sequence[StageView]) -> Headline:
    bad = sorted((stage for stage in stages if stage.look is Look.BAD), key=lambda stage: _rank(stage.state))
    there = _what_runs(stages)
    asking = next((stage for stage in stages if stage.asks), None)
    if asking is not None and not (bad and bad[0].state is StepState.ROLLBACK_FAILED):
        return _asked(asking, facts, there)
    if bad:
        return _went_wrong(run, bad, facts, there)
    return _ended_well(run, facts, stages, there) if run.over else _in_progress(stages, there)


def _in_progress(stages: Sequence[StageView], there: list[str]) -> Headline:
    begun = any(stage.seconds is not None for stage in stages)
    between = "Between two tasks: the next one starts in a moment." if begun else "Nothing has started yet."
    now = " ".join(_activities(stages)) or between
    return Headline(Look.WAIT, "RUNNING" if begun else "QUEUED", now, there)


def _ended_well(run: Run, facts: RunFacts, stages: Sequence[StageView], there: list[str]) -> Headline:
    """The end of a run of which no stage went wrong."""
    if run.state == "failed":
        return Headline(Look.BAD, "FAILED", f"The run failed, or was marked failed{_by(facts)}.", there)
    if not there:
        return Headline(Look.WAIT, "NOTHING DEPLOYED", "This run has deployed nothing.")
    restored = [stage for stage in stages if stage.state is StepState.RESTORED]
    if restored:
        return Headline(Look.GOOD, restored[0].label.upper(), _plain(restored[0].why), there)
    return Headline(Look.GOOD, "DELIVERED", there[0], [*_in_spite(facts, stages), *_first(stages)])


def _first(stages: Sequence[StageView]) -> list[str]:
    """Environments in which nothing of the service ran before."""
    names = [stage.environment for stage in stages if stage.deployment is not None and stage.deployment.first]
    return [f"The first release in {_listed(names)}: there was nothing to compare it with."] if names else []


def _rank(state: StepState) -> int:
    return _WORST_FIRST.index(state) if state in _WORST_FIRST else len(_WORST_FIRST)


def _what_runs(stages: Sequence[StageView]) -> list[str]:
    by_release: dict[str, list[str]] = {}
    for stage in stages:
        if stage.deployment is not None and stage.state in (StepState.PROMOTED, StepState.RESTORED):
            release = stage.deployment.release
            by_release.setdefault(f"{release.service} {release.version}", []).append(stage.deployment.environment)
    sentences = [f"{release} runs in {_listed(names)}" for release, names in by_release.items()]
    return [f"{'; '.join(sentences)}."] if sentences else []


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _asked(stage: StageView, facts: RunFacts, there: list[str]) -> Headline:
    question = stage.question
    assert question is not None  # noqa: S101 - a stage asks only with a question
    says = f"{question.subject} Waiting for {approvers_label(question.approvers)}."
    if stage.deployment is None:
        return Headline(Look.WAIT, "WAITING", says, there, question)
    answers, report = _answers(stage, facts)
    return Headline(Look.WAIT, "WAITING", says, [*_reasons(stage, facts), *there], question, answers, report)


def _went_wrong(run: Run, bad: Sequence[StageView], facts: RunFacts, there: list[str]) -> Headline:
    first = bad[0]
    reasons = _reasons(first, facts)
    says = f"{first.environment}: {reasons[0] if reasons else 'no reason was recorded'}"
    if first.question is not None and first.state in (StepState.REJECTED, StepState.TIMED_OUT):
        says = f"{first.environment}: {_refusal(first.question, first.why)}"
        reasons = [] if first.why else reasons
    more = reasons[1:]
    more += [f"{stage.environment}, too: {stage.label}. {_plain(stage.why)}".strip() for stage in bad[1:]]
    answers, report = _answers(first, facts) if first.deployment is not None else ((), "")
    word = "TIMED OUT" if first.state is StepState.TIMED_OUT else first.label.upper()
    if not run.over and first.state in _ENDS_LATER:
        more.append("The run has not ended yet.")
    return Headline(Look.BAD, word, says, [*more, *there], None, answers, report)


def _refusal(question: Question, why: str) -> str:
    if not question.who:
        return f"{TIMED_OUT}, so the default answer was applied: {question.option}. {why}".strip()
    return f"rejected by {question.who}. {why}" if why else f"rejected by {question.who}, without a reason."


def _reasons(stage: StageView, facts: RunFacts) -> list[str]:
    """The decisive one first: the verdict's own, as long as the deployment ended by it; else its first sentence."""
    verdict = _judged(stage.deployment, facts) if stage.deployment is not None else None
    reasons = reasons_of(verdict)
    outcome = _plain(stage.why)
    if reasons and (not outcome or outcome.startswith(reasons[0])):
        return [outcome or reasons[0], *reasons[1 : 1 + _MORE_REASONS]]
    return [part for part in first_sentence(outcome) if part]


def _plain(outcome: str) -> str:
    """Without the verdict that the page says in a word."""
    for verdict in Verdict:
        outcome = outcome.removeprefix(f"{verdict}: ")
    return outcome


def _judged(deployment: Deployment | None, facts: RunFacts) -> VerdictRecord | None:
    verdicts = facts.verdicts.get(deployment.id, ()) if deployment is not None else ()
    return next((verdict for verdict in reversed(verdicts) if verdict.final), None)


def _answers(stage: StageView, facts: RunFacts) -> tuple[list[Fact], str]:
    """What the report would answer, with the deployment's outcome where nothing was judged; and the report's task."""
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
        new = Fact(
            "What was new?", "wait", "Nothing was verified" if not verdict else f"It was {verdict.verdict}", text
        )
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
            ManualAction(action.who, action.detail.get("option") or action.action, _iso(action.at), action.why)
            for action in facts.manual_actions
            if action.allowed
        ],
    )


def _iso(moment: Any) -> str | None:
    return moment.isoformat() if moment is not None else None


def _activities(stages: Sequence[StageView]) -> list[str]:
    """What happens now, a sentence for each kind of it."""
    by_state: dict[StepState, list[StageView]] = {}
    for stage in stages:
        if stage.look is Look.WAIT:
            by_state.setdefault(stage.state, []).append(stage)
    sentences = []
    for state, found in by_state.items():
        if state is StepState.VERIFYING:
            sentences += [_verifying(stage) for stage in found]
        elif state is StepState.DEPLOYING:
            sentences += _deploying(found)
        elif state is StepState.QUEUED:
            sentences += [f"Queued for {stage.environment}. {stage.why}".strip() for stage in found]
        else:
            sentences.append(_NOW.get(state, "Now in {}.").format(_listed([stage.environment for stage in found])))
    return sentences


def _deploying(stages: Sequence[StageView]) -> list[str]:
    return [_NOW[StepState.DEPLOYING].format(_listed([stage.environment for stage in stages])), *_first(stages)]


def _verifying(stage: StageView) -> str:
    phase = next((found for found in stage.phases if found.state is StepState.VERIFYING), None)
    if phase is None:
        return f"Verifying {stage.environment}."
    looks = f" after {phase.looks} look{'s' if phase.looks != 1 else ''}" if phase.looks else ""
    reason = f": {phase.reason}" if phase.reason else "."
    return f"Verifying {stage.environment}, {phase.title[:1].lower()}{phase.title[1:]}{looks}{reason}"


def _by(facts: RunFacts) -> str:
    marks = [
        action for action in facts.manual_actions if action.allowed and action.action == HumanAction.MARKED_RUN_FAILED
    ]
    return f" by {marks[-1].who}{': ' + marks[-1].why if marks[-1].why else ''}" if marks else ""


def _in_spite(facts: RunFacts, stages: Sequence[StageView]) -> list[str]:
    """Environments promoted against their verdict, which a person is responsible for."""
    found = []
    for stage in stages:
        verdict = _judged(stage.deployment, facts)
        if stage.state is StepState.PROMOTED and verdict is not None and verdict.verdict != Verdict.PASS:
            found.append(f"{stage.environment} was promoted despite {verdict.verdict}: {stage.why}".rstrip(": "))
    return found
