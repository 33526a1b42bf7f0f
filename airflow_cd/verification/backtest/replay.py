"""Replaying a verification over past deployments, before it may block anyone.

Each deployment is judged as it would have been on its day: against the good ones before it, and never against what
came later. One that was rolled back should be blocked, one that was promoted should not. Then regressions are put
into the good ones (see :mod:`airflow_cd.verification.backtest.injection`): those should be blocked, too.

Logs only: metrics are judged from their series, which are not kept.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from airflow_cd.errors import VerificationError
from airflow_cd.verification.backtest.injection import REGRESSIONS, Regression
from airflow_cd.verification.baseline_choice import BASELINES
from airflow_cd.verification.logs.baselines import Baseline, Learned
from airflow_cd.verification.logs.events import compare
from airflow_cd.verification.logs.feedback import Opinions
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import BASELINES_USED, judge_quality
from airflow_cd.verification.sensitivity import SENSITIVITIES, Sensitivity
from airflow_cd.verification.verdict import Quality, Reason, Verdict, worst

_FIRST = "There is neither a good deployment before it nor a control to compare it with."


@dataclass(frozen=True)
class PastPhase:
    """What one log source showed of one phase.

    :param name: of the phase.
    :param source: name of the log source.
    :param profile: what the canary logged.
    :param control: what instances on the running release logged meanwhile, where that was kept.
    :param teaches: whether it is part of the baseline, if the deployment is good.
    """

    name: str
    source: str
    profile: LogProfile
    control: LogProfile | None = None
    teaches: bool = True


@dataclass(frozen=True)
class PastDeployment:
    """A deployment that is over.

    :param id: of the deployment.
    :param version: that it brought.
    :param name: what reports call it.
    :param good: True when it was promoted, False when it was rolled back, None when it was rolled back for what its
        logs could not show (its metrics); then it is judged and not counted.
    :param outcome: how it ended, in one sentence.
    :param phases: in their order.
    """

    id: str
    version: str
    name: str
    good: bool | None
    outcome: str
    phases: Sequence[PastPhase]


@dataclass(frozen=True)
class Answer:
    """The verdict on a case at one sensitivity.

    :param verdict: FAIL blocks; INCONCLUSIVE means there was nothing to compare with.
    :param reason: why, in one sentence.
    :param risks: the events it rests on.
    """

    verdict: Verdict
    reason: str
    risks: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Case:
    """One deployment, as it was or with a regression put into it.

    :param deployment: which deployment.
    :param regression: name of the regression; ``""`` for the deployment as it was.
    :param bad: whether it should be blocked; None when its logs need not show it.
    :param answers: for each sensitivity.
    """

    deployment: PastDeployment
    regression: str
    bad: bool | None
    answers: Mapping[Sensitivity, Answer]

    @property
    def decided(self) -> bool:
        """Whether any sensitivity reached a verdict."""
        return any(answer.verdict is not Verdict.INCONCLUSIVE for answer in self.answers.values())


@dataclass(frozen=True)
class Score:
    """How many cases had which result, at one sensitivity.

    :param blocked_rightly: bad ones that were blocked; ``missed`` those that were not.
    :param blocked_wrongly: good ones that were blocked; ``passed_rightly`` those that were not.
    :param undecided: cases without a verdict.
    :param uncounted: cases of which nobody knows whether they should be blocked.
    """

    blocked_rightly: int = 0
    missed: int = 0
    blocked_wrongly: int = 0
    passed_rightly: int = 0
    undecided: int = 0
    uncounted: int = 0

    @property
    def bad(self) -> int:
        """Cases that should be blocked and were judged."""
        return self.blocked_rightly + self.missed

    @property
    def good(self) -> int:
        """Cases that should pass and were judged."""
        return self.blocked_wrongly + self.passed_rightly


@dataclass(frozen=True)
class Backtest:
    """The result of a replay.

    :param sensitivities: at which each case was judged.
    :param cases: deployments oldest first, each followed by its injected regressions.
    :param not_injected: for each regression, into how many deployments it could not be put.
    """

    sensitivities: Sequence[Sensitivity]
    cases: Sequence[Case]
    not_injected: Mapping[str, int] = field(default_factory=dict)

    @property
    def deployments(self) -> list[Case]:
        """The cases as they were."""
        return [case for case in self.cases if not case.regression]

    @property
    def regressions(self) -> list[str]:
        """Names of the regressions that were injected at least once."""
        return list(dict.fromkeys(case.regression for case in self.cases if case.regression))

    def score(self, sensitivity: Sensitivity, regression: str = "") -> Score:
        """The score over the deployments as they were, or with one regression in them.

        :param sensitivity: one of :attr:`sensitivities`.
        :param regression: name of the regression; ``""`` for the deployments as they were.
        """
        results = [result_of(case, sensitivity) for case in self.cases if case.regression == regression]
        return Score(*(results.count(one) for one in RESULTS))


RESULTS = ("blocked rightly", "missed", "blocked wrongly", "passed rightly", "no verdict", "not counted")


def result_of(case: Case, sensitivity: Sensitivity) -> str:
    """Which of :data:`RESULTS` a case has at a sensitivity.

    :param case: one case of a backtest.
    :param sensitivity: at which it was judged.
    """
    verdict = case.answers[sensitivity].verdict
    if verdict is Verdict.INCONCLUSIVE:
        return "no verdict"
    if case.bad is None:
        return "not counted"
    if case.bad:
        return "blocked rightly" if verdict is Verdict.FAIL else "missed"
    return "blocked wrongly" if verdict is Verdict.FAIL else "passed rightly"


def backtest(
    deployments: Sequence[PastDeployment],
    *,
    sensitivities: Sequence[Sensitivity] = ("low", "medium", "high"),
    baseline: str = "all",
    opinions: Opinions | None = None,
    inject: bool = True,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Backtest:
    """Replay a verification of logs over past deployments.

    :param deployments: oldest first; those without a phase are left out.
    :param sensitivities: at which each is judged; at least one of
        :data:`~airflow_cd.verification.sensitivity.SENSITIVITIES`.
    :param baseline: which earlier good deployments each is compared with, as in
        :class:`~airflow_cd.verification.settings.Verification`.
    :param opinions: today's feedback, and what the pipeline expects; none by default.
    :param inject: whether regressions are put into the good deployments too.
    :param seed: chooses among the events that a regression can change; the same seed gives the same regressions.
    :param progress: called with the number of deployments done, and of all.
    :raises airflow_cd.errors.VerificationError: there is nothing to replay, or a sensitivity is unknown.
    """
    _check_sensitivities(sensitivities)
    kept = [deployment for deployment in deployments if deployment.phases]
    if not kept:
        raise VerificationError(
            "there is nothing to replay: no deployment has left a log profile.",
            next_step="Verify some deployments first; `advisory=True` judges them without blocking any.",
        )
    judge = _Judge(sensitivities, opinions or Opinions())
    cases: list[Case] = []
    not_injected: dict[str, int] = {}
    for number, deployment in enumerate(kept):
        references = _references(kept[:number], deployment, baseline)
        case = judge.as_it_was(deployment, references)
        cases.append(case)
        for regression in REGRESSIONS if inject and deployment.good and case.decided else ():
            injected = judge.with_regression(deployment, references, regression, f"{seed} {deployment.id}", case)
            if injected is None:
                not_injected[regression.name] = not_injected.get(regression.name, 0) + 1
            else:
                cases.append(injected)
        if progress is not None:
            progress(number + 1, len(kept))
    return Backtest(tuple(sensitivities), cases, not_injected)


def _check_sensitivities(sensitivities: Sequence[Sensitivity]) -> None:
    unknown = [repr(name) for name in sensitivities if name not in SENSITIVITIES]
    if unknown or not sensitivities:
        raise VerificationError(
            f"unknown sensitivity {', '.join(unknown)}." if unknown else "a backtest needs a sensitivity.",
            next_step=f"Use one or more of {', '.join(SENSITIVITIES)}.",
        )


def _references(earlier: Sequence[PastDeployment], deployment: PastDeployment, choice: str) -> dict[str, Baseline]:
    """For each source of the deployment what it would have been compared with."""
    sources = dict.fromkeys(phase.source for phase in deployment.phases)
    return {source: _chosen(earlier, source, choice) for source in sources}


def _chosen(earlier: Sequence[PastDeployment], source: str, choice: str) -> Baseline:
    if choice == "control":
        return Baseline()
    good = [(past, learned) for past in reversed(earlier) if (learned := _learned(past, source)) is not None]
    if choice not in BASELINES:
        pinned = [learned for past, learned in good if choice in (past.id, past.version)][:1]
        return Baseline(pinned, "" if pinned else f"The baseline {choice} had not been promoted by then.")
    return Baseline([learned for _, learned in good[: 1 if choice == "previous" else BASELINES_USED]])


def _learned(past: PastDeployment, source: str) -> Learned | None:
    """What a deployment adds to the baseline of a log source; None if it was not good, or adds nothing."""
    profiles = [phase.profile for phase in past.phases if phase.source == source and phase.teaches]
    return Learned(past.name, LogProfile.merge(*profiles)) if past.good and profiles else None


class _Judge:
    """Judges cases at every sensitivity."""

    def __init__(self, sensitivities: Sequence[Sensitivity], opinions: Opinions) -> None:
        self.sensitivities = sensitivities
        self.opinions = opinions

    def as_it_was(self, deployment: PastDeployment, references: Mapping[str, Baseline]) -> Case:
        answers = {
            sensitivity: _answer(
                [self._quality(phase, references[phase.source], sensitivity) for phase in deployment.phases]
            )
            for sensitivity in self.sensitivities
        }
        return Case(deployment, "", None if deployment.good is None else not deployment.good, answers)

    def with_regression(
        self,
        deployment: PastDeployment,
        references: Mapping[str, Baseline],
        regression: Regression,
        seed: str,
        as_it_was: Case,
    ) -> Case | None:
        """The deployment's first phase with the regression in it: that is where it is to be stopped."""
        for phase in deployment.phases:
            if phase.name != deployment.phases[0].name:
                break
            baseline = references[phase.source]
            learned = [one.profile for one in baseline.learned]
            if not learned and phase.control is None:
                continue
            comparison = compare(phase.profile, phase.control, learned)
            profile = regression.inject(phase.profile, comparison, random.Random(f"{seed} {regression.name}"))  # noqa: S311
            if profile is None:
                continue
            faulty = PastPhase(phase.name, phase.source, profile, phase.control)
            answers = {}
            for sensitivity in self.sensitivities:
                answer = _answer([self._quality(faulty, baseline, sensitivity)])
                if not answer.risks - as_it_was.answers[sensitivity].risks and answer.verdict is Verdict.FAIL:
                    # What was red without the regression has not found it.
                    answer = Answer(Verdict.PASS, "Nothing is red that was not red before.")
                answers[sensitivity] = answer
            return Case(deployment, regression.name, True, answers)
        return None

    def _quality(self, phase: PastPhase, baseline: Baseline, sensitivity: Sensitivity) -> Quality:
        if baseline.unusable:
            return Quality(Verdict.INCONCLUSIVE, [Reason("no_baseline", baseline.unusable)])
        if not baseline.learned and phase.control is None:
            return Quality(Verdict.INCONCLUSIVE, [Reason("no_baseline", _FIRST)])
        return judge_quality(
            phase.profile,
            phase.control,
            [one.profile for one in baseline.learned],
            sensitivity=sensitivity,
            opinions=self.opinions,
            baseline_names=[one.name for one in baseline.learned],
        )


def _answer(qualities: Sequence[Quality]) -> Answer:
    """One phase that fails blocks; else one that could not be judged leaves it open."""
    verdict = worst(quality.verdict for quality in qualities)
    decisive = next(quality for quality in qualities if quality.verdict is verdict)
    risks = frozenset((event.id, str(event.kind)) for quality in qualities for event in quality.risks)
    return Answer(verdict, decisive.reasons[0].text if decisive.reasons else "", risks)
