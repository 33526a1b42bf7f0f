"""Judge a canary from its metrics and logs, and branch: on to the next phase, or back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BranchMixIn

from airflow_cd.delivery import LEASE_TTL, now
from airflow_cd.delivery.verifying import Conclusion, Consequence, PhaseVerification, running_deployment
from airflow_cd.durations import parse_duration
from airflow_cd.errors import Unavailable, VerificationError
from airflow_cd.operators.attempts import remembering, starts_over
from airflow_cd.operators.base import EnvironmentTask
from airflow_cd.operators.question import Answer, ask, given_answer, read_answer
from airflow_cd.operators.report_link import VerificationReportLink
from airflow_cd.states import Role
from airflow_cd.verification.verdict import Judgement, Verdict

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.delivery import Delivery
    from airflow_cd.verification.settings import Verification

DECISION = "decision"
ROLL_BACK, GO_ON, AGAIN = "Roll back", "Go on", "Verify again"


class VerifyOperator(EnvironmentTask, BranchMixIn):
    """Watch a phase of a canary until the verdict stands, then branch; it succeeds with either branch.

    A canary that fails is drained first, inside this process. With human rollback the task then waits for a person
    (roll back, go on, verify again) and costs nothing while it waits. Marking it success on the grid promotes, marking
    it failed rolls back. Has three retries by default, for a ledger or target that is unavailable and for an answer
    that is lost while Airflow resumes the task; after a worker was killed it fails instead. Parameters of
    :class:`~airflow_cd.operators.base.EnvironmentTask` come on top.

    :param verification: what is watched and how it is judged.
    :param follow: id of the task to go on to.
    :param rollback: id of the task that rolls back.
    :param phase: name of the phase that is judged.
    :param ask_timeout: how long a person has to answer, such as ``"30m"`` or a timedelta; then the release is rolled
        back.
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
        ask_timeout: str | timedelta = "30m",
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("retries", 3)
        kwargs.setdefault("retry_delay", timedelta(seconds=1))
        super().__init__(**kwargs)
        self.verification = verification
        self.follow = follow
        self.rollback = rollback
        self.phase = phase
        self.ask_timeout = ask_timeout

    def execute(self, context: Context) -> str:
        """Verify.

        :param context: of the task.
        :returns: id of the task that was branched to.
        :raises TaskAwaitingInput: a person is asked.
        :raises AirflowFailException: there is nothing to verify (any more), or the attempt before was killed.
        :raises Unavailable: the ledger or the target is away; the next attempt verifies again.
        """
        asked = not starts_over(context)
        with remembering(context, asked=asked), self.at_work(context) as delivery:
            question = delivery.ledger.questions.get(delivery.pipeline, delivery.run_id, self.task_id)
            if not asked:
                if question is not None:
                    delivery.ledger.questions.reopen(delivery.pipeline, delivery.run_id, self.task_id)
                return self._verify(delivery, context)
            if question is None:
                raise VerificationError(
                    "not verified: the attempt before was killed, so the canary was not watched since.",
                    next_step="It is rolled back; start a new run to deploy again.",
                )
            answer = given_answer(question, default=ROLL_BACK)
            if answer is None:
                self._wait(delivery, context, question.body)
            return self._answered(delivery, context, answer)

    def execute_answered(self, context: Context, event: dict[str, Any]) -> str:
        """Go on after a person has answered, or the question has timed out.

        :param context: of the task.
        :param event: Airflow's record of the answer.
        :returns: id of the task that was branched to.
        """
        with remembering(context, asked=True), self.at_work(context) as delivery:
            answer = read_answer(delivery.ledger, context, event, default=ROLL_BACK)
            return self._answered(delivery, context, answer)

    # -- one verification --------------------------------------------------------------------------------------

    def _verify(self, delivery: Delivery, context: Context, since: datetime | None = None) -> str:
        verifying = PhaseVerification(delivery, self.verification, self.phase, on_look=self._log_look)
        control = ", ".join(verifying.control) or "none; compared with before"
        self.log.info("Canary: %s. Control: %s.", ", ".join(verifying.canary), control)
        concluded = verifying.run(since)
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

    def _log_look(self, judgement: Judgement) -> None:
        self.log.info("Look %s: %s", judgement.looks, judgement.sentence)

    def _report(self, judgement: Judgement) -> None:
        level = logging.INFO if judgement.verdict == Verdict.PASS else logging.ERROR
        self.log.log(level, "VERDICT %s", judgement.sentence)
        for reason in judgement.reasons[1:]:
            self.log.log(level, "  %s", reason.text)
        for name, lag in judgement.lags.items():
            self.log.info("  Lag of %s: %s", name, lag.words)
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
        state = "is drained: no request reaches it" if concluded.drained else "still serves its share of the traffic"
        body = f"{concluded.judgement.sentence}\n\nThe canary {state}. Without an answer it is rolled back."
        questions = delivery.ledger.questions
        if questions.get(delivery.pipeline, delivery.run_id, self.task_id) is not None:
            questions.reopen(delivery.pipeline, delivery.run_id, self.task_id)
        self._wait(delivery, context, body)

    def _wait(self, delivery: Delivery, context: Context, body: str) -> NoReturn:
        timeout = parse_duration(self.ask_timeout)
        delivery.ledger.leases.renew(delivery.lease(), timeout + LEASE_TTL)
        ask(
            delivery.ledger,
            context,
            subject=f"{self.service} in {self.environment}: the verification failed. Roll back?",
            body=body,
            options=[ROLL_BACK, GO_ON, AGAIN],
            default=ROLL_BACK,
            timeout=timeout,
            method="execute_answered",
        )

    def _answered(self, delivery: Delivery, context: Context, answer: Answer) -> str:
        why = answer.why or "no reason given"
        self.log.info("Answer: %s, by %s: %s", answer.option, answer.by, why)
        if answer.option == ROLL_BACK:
            return self._branch(context, self.rollback, f"rolled back by {answer.by}: {why}")
        delivery.restore_traffic(running_deployment(delivery))
        if answer.option == GO_ON:
            return self._branch(context, self.follow, f"{answer.by} decided to continue: {why}")
        return self._verify(delivery, context, since=now())

    def _branch(self, context: Context, task_id: str, why: str) -> str:
        before = self.result if isinstance(self.result, dict) else {}
        self.result = {**before, "went on to": task_id, "decision": why}
        # A branch that skips tasks ends by an exception, without a return value: the rollback reads this instead.
        context["ti"].xcom_push(key=DECISION, value=task_id)
        self.do_branch(context, task_id)
        return task_id
