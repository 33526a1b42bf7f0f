"""Judge a canary from its metrics and logs, and branch: on to the next phase, or back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BranchMixIn
from airflow.sdk.exceptions import AirflowFailException

from airflow_cd.delivery.delivery import LEASE_TTL, now
from airflow_cd.durations import parse_duration
from airflow_cd.errors import AirflowCdError, LeaseLost, TargetConflict
from airflow_cd.operators.base import EnvironmentTask, life
from airflow_cd.operators.question import Answer, ask, read_answer
from airflow_cd.operators.report_link import VerificationReportLink
from airflow_cd.states import Role
from airflow_cd.verification.samples import Window
from airflow_cd.verification.verdict import Judgement, Verdict

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.delivery import Delivery
    from airflow_cd.ledger import Deployment, Lease
    from airflow_cd.verification.settings import Verification
    from airflow_cd.verification.watch import Outcome

DECISION = "decision"
OVERRULED = "a person or the end of the run has overruled this verification; its verdict changes nothing."
ROLL_BACK, GO_ON, AGAIN = "Roll back", "Go on", "Verify again"


class VerifyOperator(EnvironmentTask, BranchMixIn):
    """Watch a phase of a canary until the verdict stands, then branch; it succeeds with either branch.

    On a FAIL the canary is drained first, inside this process. With human rollback the task then waits for a
    person (roll back, go on, verify again) and costs nothing while it waits. Marking it success on the grid is a
    person's promotion, marking it failed a person's rollback.

    :param verification: what is watched and how it is judged.
    :param follow: task id to go on to.
    :param rollback: task id of the rollback.
    :param phase: name of the phase that is judged.
    :param ask_timeout: how long a person has to answer; then the answer is to roll back.
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
        """Verify; returns the task id that was branched to."""
        delivery = self.delivery(context)
        try:
            question = self._question(delivery)
            if life(context) > 1:
                # Retries exist for one thing: a person's answer that the resume race has thrown away.
                if question is None:
                    self._give_up("the attempt before was killed, so nobody knows what the canary did since.")
                if question.option is None:
                    self._wait(delivery, context, question.body)
                return self._answered(delivery, context, Answer(question.option, question.who, question.why))
            if question is not None:
                delivery.ledger.questions.reopen(delivery.pipeline, delivery.run_id, self.task_id)
            return self._verify(delivery, context, since=None)
        except AirflowCdError as error:
            self.result = {"failed": str(error)}
            raise AirflowFailException(str(error)) from error

    def execute_answered(self, context: Context, event: dict[str, Any]) -> str:
        """Go on after a person has answered, or the time to answer is over."""
        delivery = self.delivery(context)
        try:
            answer = read_answer(delivery.ledger, context, event, default=ROLL_BACK)
            return self._answered(delivery, context, answer)
        except AirflowCdError as error:
            self.result = {"failed": str(error)}
            raise AirflowFailException(str(error)) from error

    # -- one verification --------------------------------------------------------------------------------------

    def _verify(self, delivery: Delivery, context: Context, since: datetime | None) -> str:
        deployment = delivery.require_deployment()
        if deployment.state != "running":
            self._give_up(
                f"this run's deployment is over: {deployment.state.replace('_', ' ')} ({deployment.outcome})."
            )
        lease = delivery.lease()
        # Its first call opens the connection and shows trouble now, not in the moment when every second counts.
        delivery.target.instances()
        action, drained = "fail", False

        def act(judgement: Judgement, policy_key: str | None) -> None:
            nonlocal action, drained
            action = self._action(deployment, judgement, policy_key)
            if action == "fail" or (action == "ask" and judgement.verdict == Verdict.FAIL):
                delivery.ledger.leases.check(lease)
                drained = delivery.drain(lease, deployment)
                self._clocks(delivery, deployment, judgement)

        try:
            outcome = self._watch(delivery, deployment, lease, since, act)
            judgement = outcome.judgement
            self._record(delivery, deployment, lease, judgement, final=True)
            kept = [("logs", source, profile.to_bytes()) for source, profile in outcome.profiles.items()]
            for source, profile in outcome.running.items():
                kept.append(("control", source, profile.without_instances().to_bytes()))
            for source, normal in outcome.metric_profiles.items():
                kept.append(("metrics", source, normal.to_bytes()))
            for kind, source, content in kept:
                delivery.ledger.profiles.save(
                    deployment.id,
                    self.phase,
                    source,
                    kind=kind,
                    content=content,
                    teaches=kind != "control" and judgement.verdict == Verdict.PASS,
                    token=lease.token,
                )
        except (LeaseLost, TargetConflict):
            self._give_up(OVERRULED)
        self._say(judgement)
        if action == "ask":
            self._ask(delivery, context, judgement, drained=drained)
        return self._branch(context, self.follow if action == "pass" else self.rollback, judgement.sentence)

    def _watch(
        self,
        delivery: Delivery,
        deployment: Deployment,
        lease: Lease,
        since: datetime | None,
        act: Callable[[Judgement, str | None], None],
    ) -> Outcome:
        from airflow_cd.delivery.learned import log_baseline, metric_baseline, opinions
        from airflow_cd.verification.watch import Watch

        phase = delivery.phase(self.phase)
        if phase is None or phase.deployed_at is None:
            self._give_up(f"phase {self.phase!r} has not been deployed by this run.")
        canary = list(phase.instances)
        control = sorted(set(deployment.previous) - set(canary))
        self.log.info("Canary: %s. Control: %s.", ", ".join(canary), ", ".join(control) or "none; compared with before")
        lost = False

        def on_look(judgement: Judgement) -> None:
            nonlocal lost
            try:
                self._record(delivery, deployment, lease, judgement, final=False)
                delivery.ledger.leases.renew(lease, LEASE_TTL)
            except LeaseLost:
                lost = True
            self.log.info("Look %s: %s", judgement.looks, judgement.sentence)

        outcome = Watch(
            self.verification,
            canary=canary,
            control=control,
            since=since or phase.deployed_at,
            before=self._before(delivery, deployment),
            baselines={
                source.name: log_baseline(delivery, source.name, self.verification.baseline)
                for source in self.verification.logs
            },
            metric_baselines={
                source.name: metric_baseline(delivery, source.name) for source in self.verification.metrics
            },
            opinions=lambda: opinions(delivery, self.verification.expectations),
            learn=deployment.learn,
            on_look=on_look,
            on_verdict=act,
            stop=lambda: lost,
        ).run()
        if lost:
            self._give_up(OVERRULED)
        return outcome

    def _before(self, delivery: Delivery, deployment: Deployment) -> Window | None:
        """A time when the environment ran the release before and nothing else; None if there was none."""
        if all(release is None for release in deployment.previous.values()):
            return None
        since = deployment.opened_at - parse_duration(self.verification.duration)
        # What a canary that was rolled back has logged is no reason to know it.
        for earlier in delivery.ledger.deployments.matching(self.service, self.environment, limit=2):
            settled = earlier.settled_at if earlier.id != deployment.id else None
            since = max(since, settled) if settled is not None else since
        return Window(since, deployment.opened_at) if since < deployment.opened_at else None

    def _action(self, deployment: Deployment, judgement: Judgement, policy_key: str | None) -> str:
        """``pass``, ``fail`` or ``ask``: the verdict under the author's and the run's policies."""
        verdict = judgement.verdict
        if verdict == Verdict.PASS or self.verification.advisory:
            return "pass"
        if verdict == Verdict.FAIL:
            action = "fail"
        else:
            action = self.verification.policy(policy_key or "inconclusive")
            # A watch that was told to wait has waited by now.
            action = "fail" if action == "wait" else action
        return "ask" if action == "fail" and deployment.rollback == "human" else action

    def _record(
        self, delivery: Delivery, deployment: Deployment, lease: Lease, judgement: Judgement, *, final: bool
    ) -> None:
        delivery.ledger.verdicts.record(
            deployment.id,
            self.phase,
            token=lease.token,
            verdict=str(judgement.verdict),
            evidence=judgement.as_dict(),
            final=final,
        )

    @staticmethod
    def _clocks(delivery: Delivery, deployment: Deployment, judgement: Judgement) -> None:
        decided = datetime.fromisoformat(judgement.decided) if judgement.decided else now()
        first_bad = datetime.fromisoformat(judgement.first_bad) if judgement.first_bad else None
        delivery.ledger.deployments.set_clock(deployment.id, verdict_at=decided, first_bad_at=first_bad)

    def _say(self, judgement: Judgement) -> None:
        level = logging.INFO if judgement.verdict == Verdict.PASS else logging.ERROR
        self.log.log(level, "VERDICT %s", judgement.sentence)
        for reason in judgement.reasons[1:]:
            self.log.log(level, "  %s", reason.text)
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

    def _question(self, delivery: Delivery) -> Any:
        return delivery.ledger.questions.get(delivery.pipeline, delivery.run_id, self.task_id)

    def _ask(self, delivery: Delivery, context: Context, judgement: Judgement, *, drained: bool) -> None:
        state = "is drained: no request reaches it" if drained else "still serves its share of the traffic"
        body = f"{judgement.sentence}\n\nThe canary {state}. Without an answer it is rolled back."
        if self._question(delivery) is not None:
            delivery.ledger.questions.reopen(delivery.pipeline, delivery.run_id, self.task_id)
        self._wait(delivery, context, body)

    def _wait(self, delivery: Delivery, context: Context, body: str) -> None:
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
        who = answer.who or "nobody in time"
        self.log.info("Answer: %s, by %s. %s", answer.option, who, answer.why)
        if answer.option == ROLL_BACK:
            return self._branch(context, self.rollback, f"rolled back by {who}. {answer.why}".strip())
        deployment = delivery.require_deployment()
        if deployment.state != "running":
            self._give_up(f"this run's deployment is over: {deployment.state.replace('_', ' ')}.")
        delivery.restore_traffic(deployment)
        if answer.option == GO_ON:
            return self._branch(context, self.follow, f"{who} decided to go on. {answer.why}".strip())
        return self._verify(delivery, context, since=now())

    def _branch(self, context: Context, task_id: str, why: str) -> str:
        if not isinstance(self.result, dict):
            self.result = {}
        self.result = {**self.result, "went on to": task_id, "decision": why}
        # A branch that skips tasks ends by an exception, without a return value: the rollback reads this instead.
        context["ti"].xcom_push(key=DECISION, value=task_id)
        self.do_branch(context, task_id)
        return task_id

    def _give_up(self, why: str) -> NoReturn:
        self.result = {"failed": why}
        raise AirflowFailException(f"[{self.environment}] Not verified: {why}")
