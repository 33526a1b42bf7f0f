"""Return an environment to the release before, and make sure at a run's end that nothing is left half."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import TriggerRule
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_cd.errors import AirflowCdError, DeploymentFailed
from airflow_cd.operators.base import EnvironmentTask
from airflow_cd.operators.mark import mark
from airflow_cd.operators.verify import DECISION
from airflow_cd.states import Role
from airflow_cd.verification.verdict import Judgement, Verdict

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.delivery import Delivery
    from airflow_cd.ledger import VerdictRecord


def _sentence(verdict: VerdictRecord) -> str:
    return Judgement.from_dict(verdict.evidence).sentence


class RollbackOperator(EnvironmentTask):
    """Return artifact and configuration to what they were, read them back, and veto the release here.

    Runs whatever became of the tasks before it and decides for itself: after a verification that failed or that a
    person marked failed, after a deploy or a verification that failed or was killed. Never after a person marked
    the verification success, never for a phase that touched nothing, never after a promotion.

    :param verify_task_id: the verification it belongs to; without one it rolls back whenever it runs.
    :param phase: name of the phase it belongs to.
    :param mark: New Relic connections in which the rollback is marked.
    """

    role = Role.ROLLBACK
    ui_color = "#ffd0d0"

    def __init__(
        self,
        *,
        verify_task_id: str | None = None,
        phase: str = "",
        mark: Sequence[str] = (),
        application: str = "",
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("trigger_rule", TriggerRule.ALL_DONE)
        kwargs.setdefault("retries", 3)
        kwargs.setdefault("retry_delay", timedelta(seconds=2))
        super().__init__(**kwargs)
        self.verify_task_id = verify_task_id
        self.phase = phase
        self.mark = tuple(mark)
        self.application = application

    def execute(self, context: Context) -> dict[str, Any]:
        """Roll back, or skip and say why there is nothing to roll back."""
        delivery = self.delivery(context)
        why = self._why(delivery, context)
        try:
            restored = delivery.roll_back(why)
        except AirflowCdError as error:
            self.result = {"failed": str(error)}
            self.log.error("%s", error)
            raise
        if restored is None:
            self._skip("this deployment is rolled back already")
        if self.mark:
            mark(delivery, self.mark, self.application or self.service, phase=self.phase, rolled_back=why)
        deployment = delivery.require_deployment()
        self.result = {
            "restored": str(restored.release or "empty"),
            "instances": list(restored.instances),
            "because": why,
            "seconds to verdict": deployment.to_verdict,
            "seconds to safe": deployment.to_safe,
            "seconds to restored": deployment.to_restored,
        }
        return self.result

    def _why(self, delivery: Delivery, context: Context) -> str:
        deployment = delivery.deployment()
        if deployment is None:
            self._skip("nothing was deployed")
        if deployment.state == "promoted":
            self._skip("the release was promoted")
        if self.phase and delivery.phase(self.phase) is None:
            self._skip(f"{self.phase} touched nothing")
        if self.verify_task_id is None:
            return deployment.reason or "asked for"
        state = self._state_of(self.verify_task_id, context)
        if state == "success" and not self._chosen(context):
            self._skip("a person marked the verification success: that is a promotion")
        if state == "skipped":
            self._skip("the verification was skipped; the end of the run settles what is left")
        verdicts = delivery.ledger.verdicts.of(deployment.id, self.phase or None)
        final = [verdict for verdict in verdicts if verdict.final]
        if state == "success" and final:
            return _sentence(final[-1])
        if state == "failed":
            if final and final[-1].verdict != Verdict.PASS:
                return _sentence(final[-1])
            return self._by_hand(delivery) or "the verification failed, was killed, or was marked failed by a person"
        said = delivery.failure(deployment)
        return f"the deployment failed before it could be verified{': ' + said if said else ''}"

    def _by_hand(self, delivery: Delivery) -> str:
        """Who marked the verification failed and why, as far as that is in the ledger."""
        hands = delivery.ledger.audit.actions(pipeline=delivery.pipeline, run_id=delivery.run_id)
        for hand in hands:
            if hand.allowed and hand.task_id == self.verify_task_id and hand.action == "marked failed":
                return f"{hand.who} rolled it back{': ' + hand.why if hand.why else ''}"
        return ""

    def _state_of(self, task_id: str, context: Context) -> str | None:
        ti = context["ti"]
        states = ti.get_task_states(dag_id=ti.dag_id, task_ids=[task_id], run_ids=[ti.run_id])
        return states.get(ti.run_id, {}).get(task_id)

    def _chosen(self, context: Context) -> bool:
        return bool(context["ti"].xcom_pull(task_ids=self.verify_task_id, key=DECISION) == self.task_id)

    def _skip(self, why: str) -> NoReturn:
        self.result = {"skipped": why}
        raise AirflowSkipException(f"Not rolling back: {why}.")


class SettleOperator(EnvironmentTask):
    """The end of a run's work on an environment: the safety net, as teardown of the lease.

    Restores whatever is neither promoted nor rolled back, whoever ended the run and however; lets the next run
    have the environment; and fails when the release did not get there or did not stay, so that the run's colour
    tells the truth.

    :param mark: New Relic connections in which a rollback made here is marked.
    """

    role = Role.SETTLE
    ui_color = "#eeeeee"

    def __init__(self, *, mark: Sequence[str] = (), application: str = "", **kwargs: Any) -> None:
        kwargs.setdefault("retries", 3)
        kwargs.setdefault("retry_delay", timedelta(seconds=2))
        super().__init__(**kwargs)
        self.mark = tuple(mark)
        self.application = application

    def execute(self, context: Context) -> dict[str, Any]:
        """Settle; raises :class:`AirflowFailException` with the decisive reason unless the release stays."""
        delivery = self.delivery(context)
        before = delivery.deployment()
        try:
            deployment = delivery.settle()
        except AirflowCdError as error:
            self.result = {"failed": str(error)}
            self.log.error("%s", error)
            raise
        if deployment is None:
            self.result = {"deployed": "nothing"}
            raise self._failed(
                DeploymentFailed(
                    "Nothing was deployed here by this run.",
                    state="what ran before still runs.",
                    next_step="The log of the deploy task says why.",
                ).at(pipeline=delivery.pipeline, environment=self.environment)
            )
        if deployment.state == "promoted":
            self.result = {"running": str(deployment.release), "state": "promoted"}
            return self.result
        if self.mark and before is not None and before.state != deployment.state:
            mark(delivery, self.mark, self.application or self.service, phase="", rolled_back=deployment.outcome)
        self.result = {"running": "the release before", "state": deployment.state, "because": deployment.outcome}
        raise self._failed(
            DeploymentFailed(
                f"{deployment.release} was rolled back: {deployment.outcome.rstrip('.')}.",
                state="the release before runs again, artifact and configuration read back.",
                next_step="Read the verification report; the release is vetoed here until a person lifts the veto.",
            ).at(pipeline=deployment.pipeline, environment=self.environment)
        )

    def _failed(self, failure: AirflowCdError) -> AirflowFailException:
        # A line each: Airflow shows an exception's text as one line, cut off at the edge of the screen.
        for line in (failure.what, f"State: {failure.state}", f"Next: {failure.next_step}"):
            self.log.error("%s", line)
        return AirflowFailException(str(failure))
