"""Judge a canary from its metrics and logs, and branch: on to the next phase, or back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BranchMixIn

from airflow_cd.answers import AGAIN, GO_ON, ROLL_BACK, WATCH
from airflow_cd.capacity import VERIFICATIONS
from airflow_cd.delivery import LEASE_TTL, now
from airflow_cd.delivery.outlasting import outlast
from airflow_cd.delivery.verifying import (
    Conclusion,
    Consequence,
    PhaseVerification,
    running_deployment,
    undecided,
)
from airflow_cd.durations import format_duration, parse_duration
from airflow_cd.errors import Unavailable, VerificationError
from airflow_cd.operators.attempts import remembering, starts_over
from airflow_cd.operators.base import EnvironmentTask
from airflow_cd.operators.handing_over import hand_token, hand_verdict
from airflow_cd.operators.question import Answer, ask, given_answer, present_question, read_answer
from airflow_cd.operators.report_link import VerificationReportLink
from airflow_cd.operators.verify_questions import Asking, as_markdown, asking, watch_for
from airflow_cd.states import Role, RollbackCause
from airflow_cd.verification.undecided import points_to_harm
from airflow_cd.verification.verdict import Judgement, Verdict

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.delivery import Delivery
    from airflow_cd.ledger import Deployment, Question
    from airflow_cd.verification.settings import Verification

__all__ = ["AGAIN", "DECISION", "GO_ON", "ROLL_BACK", "WATCH", "VerifyOperator"]

DECISION = "decision"
FIRST_RELEASE = (
    "Nothing to compare with: deployed as the first release, so it is not verified. Once it runs healthy everywhere it "
    "is the baseline of those that follow."
)


class VerifyOperator(EnvironmentTask, BranchMixIn):
    """Watch a phase of a canary until the verdict stands, then branch; it succeeds with either branch.

    A canary that fails is drained first, inside this process. With human rollback the task then waits for a person
    (roll back, go on, verify again). Where the evidence does not suffice the canary stays where it is, drained only if
    something points to harm, and a person decides (go on, keep watching, roll back). While it waits the task costs
    nothing: no worker, no triggerer, no pool slot. Without an answer the release is rolled back, and only a FAIL then
    vetoes it. Marking the task success on the grid promotes, marking it failed rolls back. Has three retries by
    default, for a ledger or target that is unavailable, for an answer that is lost while Airflow resumes the task, and
    for a worker that was killed: every attempt judges from when the phase was deployed. A first release, with which
    there is nothing to compare, goes on at once. Parameters of
    :class:`~airflow_cd.operators.base.EnvironmentTask` come on top.

    :param verification: what is watched and how it is judged.
    :param follow: id of the task to go on to.
    :param rollback: id of the task that rolls back.
    :param phase: name of the phase that is judged.
    :param ask_timeout: how long a person has to answer, such as ``"30m"`` or a timedelta; then the release is rolled
        back. By default as the verification has it.
    """

    template_fields: Sequence[str] = EnvironmentTask.template_fields
    operator_extra_links = (VerificationReportLink(),)
    inherits_from_skipmixin = True
    role = Role.VERIFY
    ui_color = "#ffe0b8"

    def __init__(
        self,
        *,
        verification: Verification,
        follow: str,
        rollback: str,
        phase: str = "all",
        ask_timeout: str | timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("retries", 3)
        kwargs.setdefault("retry_delay", timedelta(seconds=1))
        # It holds a worker slot for as long as it watches; some are left for going back.
        kwargs.setdefault("pool", VERIFICATIONS)
        super().__init__(**kwargs)
        self.verification = verification
        self.follow = follow
        self.rollback = rollback
        self.phase = phase
        self.ask_timeout = ask_timeout if ask_timeout is not None else verification.ask_timeout

    def execute(self, context: Context) -> str:
        """Verify.

        :param context: of the task.
        :returns: id of the task that was branched to.
        :raises TaskAwaitingInput: a person is asked.
        :raises AirflowFailException: there is nothing to verify (any more).
        :raises TargetUnavailable: the target is away; the next attempt verifies again. A ledger that is away is waited
            for, unless the canary is to be rolled back: then that does not wait.
        """
        return outlast(lambda: self._attempt(context), log=self.log.warning)

    def _attempt(self, context: Context) -> str:
        asked = not starts_over(context)
        with remembering(context, asked=asked), self.at_work(context) as delivery:
            if not asked:
                if delivery.ledger.questions.get(delivery.pipeline, delivery.run_id, self.task_id) is not None:
                    delivery.ledger.questions.reopen(delivery.pipeline, delivery.run_id, self.task_id)
                return self._verify(delivery, context)
            question = present_question(delivery.ledger, context)
            if question is None:
                return self._resume(delivery, context)
            answer = given_answer(question, default=ROLL_BACK)
            if answer is None:
                self._wait(delivery, context, question)
            return self._answered(delivery, context, answer)

    def execute_answered(self, context: Context, event: dict[str, Any]) -> str:
        """Go on after a person has answered, or the question has timed out.

        :param context: of the task.
        :param event: Airflow's record of the answer.
        :returns: id of the task that was branched to.
        """
        return outlast(lambda: self._attempt_answered(context, event), log=self.log.warning)

    def _attempt_answered(self, context: Context, event: dict[str, Any]) -> str:
        with remembering(context, asked=True), self.at_work(context) as delivery:
            answer = read_answer(delivery.ledger, context, event, default=ROLL_BACK)
            return self._answered(delivery, context, answer)

    # -- one verification --------------------------------------------------------------------------------------

    def _verify(self, delivery: Delivery, context: Context, until: datetime | None = None) -> str:
        if running_deployment(delivery).first:
            self.log.info("%s", FIRST_RELEASE)
            self.result = {"verdict": "not verified", "because": [FIRST_RELEASE]}
            return self._branch(context, self.follow, FIRST_RELEASE)
        verifying = PhaseVerification(delivery, self.verification, self.phase, on_look=self._log_look)
        if verifying.token != verifying.deployment.token:
            # An attempt has lost what the one before it handed over.
            hand_token(self, context, verifying.token)
        control = ", ".join(verifying.control) or "none; compared with before"
        self.log.info("Canary: %s. Control: %s.", ", ".join(verifying.canary), control)
        concluded = verifying.run(until=until)
        if not concluded.recorded:
            hand_verdict(self, context, verifying.evidence(concluded.judgement), self.phase)
        self._report(concluded.judgement)
        if concluded.consequence is Consequence.ASK:
            try:
                self._ask(delivery, context, concluded)
            except Unavailable as error:
                if not concluded.drained:
                    raise
                # A drained canary cannot be verified once more.
                raise VerificationError(f"nobody could be asked about the canary: {error.what}") from None
        follow = concluded.consequence is Consequence.GO_ON
        return self._branch(context, self.follow if follow else self.rollback, concluded.judgement.sentence)

    def _resume(self, delivery: Delivery, context: Context) -> str:
        """Go on after an attempt that was killed: its sources are read again from when the phase was deployed."""
        deployment = running_deployment(delivery)
        if deployment.cause is not None and deployment.cause.vetoes:
            self.log.error("The attempt before was killed after its verdict: %s", deployment.outcome)
            return self._branch(context, self.rollback, deployment.outcome)
        if delivery.drained(deployment):
            # Without its traffic there is nothing to judge it by.
            raise VerificationError(
                "not verified: the attempt before was killed after it had taken the canary out of the traffic.",
                next_step="It is rolled back; start a new run to deploy again.",
            )
        self.log.warning("The attempt before was killed; going on from when the phase was deployed.")
        return self._verify(delivery, context)

    def _log_look(self, judgement: Judgement) -> None:
        self.log.info("Look %s: %s", judgement.looks, judgement.sentence)

    def _report(self, judgement: Judgement) -> None:
        level = logging.INFO if judgement.verdict == Verdict.PASS else logging.ERROR
        self.log.log(level, "VERDICT %s", judgement.sentence)
        for reason in judgement.reasons[1:]:
            self.log.log(level, "  %s", reason.text)
        for name, lag in judgement.lags.items():
            self.log.info("  Lag of %s: %s", name, lag.words)
        for name, said in judgement.throttling.items():
            self.log.info("  Rate limit of %s: %s", name, said.words)
        quality, performance = judgement.quality, judgement.performance
        self.result = {
            "verdict": str(judgement.verdict),
            "because": [reason.text for reason in judgement.reasons],
            "performance": str(performance.verdict) if performance else "not watched",
            "quality": str(quality.verdict) if quality else "not watched",
            "red events": [event.template for event in quality.risks] if quality else [],
            "looks": judgement.looks,
        }
        for event in quality.risks if quality else ():
            count = event.counts.get("canary", 0.0)
            self.log.error("  red: %s (%.0f on the canary)", event.exception or event.template, count)

    # -- a person is asked -------------------------------------------------------------------------------------

    def _ask(self, delivery: Delivery, context: Context, concluded: Conclusion) -> None:
        question = asking(
            concluded,
            release=f"{self.service} {running_deployment(delivery).release.version}",
            place=self.environment,
            phase=self.phase,
            follow=self.follow,
            timeout=parse_duration(self.ask_timeout),
            more=watch_for(concluded.judgement, concluded.since, self.verification.length),
        )
        for line in question.lines:
            self.log.info("  %s", line)
        questions = delivery.ledger.questions
        if questions.get(delivery.pipeline, delivery.run_id, self.task_id) is not None:
            questions.reopen(delivery.pipeline, delivery.run_id, self.task_id)
        self._wait(delivery, context, question)

    def _wait(self, delivery: Delivery, context: Context, question: Asking | Question) -> NoReturn:
        timeout = parse_duration(self.ask_timeout)
        delivery.ledger.leases.renew(delivery.lease(), timeout + LEASE_TTL)
        ask(
            delivery.ledger,
            context,
            subject=question.subject,
            body=question.body,
            markdown=as_markdown(question.body.split("\n")),
            options=question.options,
            default=ROLL_BACK,
            timeout=timeout,
            method="execute_answered",
        )

    def _answered(self, delivery: Delivery, context: Context, answer: Answer) -> str:
        why = answer.why or "no reason given"
        self.log.info("Answer: %s, by %s: %s", answer.option, answer.by, why)
        deployment = running_deployment(delivery)
        if answer.option == ROLL_BACK:
            self._blame(delivery, deployment, answer)
            return self._branch(context, self.rollback, f"rolled back by {answer.by}: {why}")
        drained = delivery.drained(deployment)
        if drained or answer.option == AGAIN:
            lease = delivery.overrule()
            hand_token(self, context, lease.token)
            delivery.restore_traffic(deployment, lease)
        token = delivery.lease().token
        delivery.ledger.settlement.blame(deployment.id, token=token, cause=None, outcome="")
        judgement = undecided(delivery, deployment, self.phase)
        if answer.option == GO_ON:
            if judgement is not None and not points_to_harm(judgement):
                # A quiet service would never learn what is normal: a person's word makes it good.
                delivery.ledger.profiles.teach(deployment.id, self.phase, token=token)
            return self._branch(context, self.follow, f"{answer.by} decided to continue: {why}")
        if drained or answer.option == AGAIN or judgement is None:
            return self._verify(delivery, context)
        phase = delivery.phase(self.phase)
        since = phase.deployed_at if phase is not None and phase.deployed_at is not None else now()
        more = watch_for(judgement, since, self.verification.length)
        return self._verify(delivery, context, until=now() + more)

    def _blame(self, delivery: Delivery, deployment: Deployment, answer: Answer) -> None:
        """Record what the answer to roll back is held against: a person's is the release's, a time-out is nobody's."""
        cause, text = deployment.cause, deployment.outcome
        if answer.who:
            cause, text = RollbackCause.PERSON, f"{answer.who} rolled it back{': ' + answer.why if answer.why else ''}"
        elif text and "Nobody answered" not in text:
            text = f"{text} Nobody answered within {format_duration(parse_duration(self.ask_timeout))}."
        token = delivery.lease().token
        delivery.ledger.settlement.blame(deployment.id, token=token, cause=cause, outcome=text)

    def _branch(self, context: Context, task_id: str, why: str) -> str:
        before = self.result if isinstance(self.result, dict) else {}
        self.result = {**before, "went on to": task_id, "decision": why}
        # A branch that skips tasks ends by an exception, without a return value: the rollback reads this instead.
        context["ti"].xcom_push(key=DECISION, value=task_id)
        self.do_branch(context, task_id)
        return task_id
