"""Return an environment to the release before its deployment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import TriggerRule
from airflow.sdk.exceptions import AirflowSkipException

from airflow_cd.answers import ROLL_BACK
from airflow_cd.capacity import URGENT
from airflow_cd.delivery.causes import Why, deploy_error, known_reason, verdict_reason
from airflow_cd.delivery.marking import mark
from airflow_cd.delivery.outlasting import outlast
from airflow_cd.errors import DeploymentSettled
from airflow_cd.operators.handing_over import write_down_verdict
from airflow_cd.operators.restoring import RestoringTask
from airflow_cd.operators.verify import DECISION
from airflow_cd.states import DeploymentState, HumanAction, Role, RollbackCause

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.delivery import Delivery
    from airflow_cd.ledger import Deployment, Question

PROMOTED = "the release was promoted"


class RollbackOperator(RestoringTask):
    """Return artifact and configuration to what they were, read them back, and veto the release here if it is at fault.

    Runs whatever became of the tasks before it (trigger rule *all done*) and decides for itself: it rolls back after a
    verification that failed or that a person marked failed, and after a deploy or a verification that failed or was
    killed. The release is vetoed after a FAIL, a person's rollback, and when instances were not healthy on it; not
    after an INCONCLUSIVE, nor because a worker died or the target, the ledger or a source was away. It skips itself
    after a person marked the verification success, for a phase that changed nothing, and after a promotion. Has three
    retries by default: a rollback that is not finished is resumed. Parameters of
    :class:`~airflow_cd.operators.base.EnvironmentTask` come on top.

    :param verify_task_id: id of the verification it belongs to; without one it rolls back whenever it runs.
    :param phase: name of the phase it belongs to; ``""`` for the whole deployment.
    :param mark: ids of New Relic connections in which the rollback is marked.
    :param application: New Relic's name of the application; the service by default.
    """

    role = Role.ROLLBACK
    binding = False
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
        kwargs = {**URGENT, **kwargs}
        kwargs.setdefault("trigger_rule", TriggerRule.ALL_DONE)
        kwargs.setdefault("retries", 3)
        kwargs.setdefault("retry_delay", timedelta(seconds=2))
        super().__init__(**kwargs)
        self.verify_task_id = verify_task_id
        self.phase = phase
        self.mark = tuple(mark)
        self.application = application

    def execute(self, context: Context) -> dict[str, Any]:
        """Roll back.

        :param context: of the task.
        :returns: what was restored, where, why, and the three clocks in seconds.
        :raises AirflowSkipException: there is nothing to roll back; says why.
        :raises AirflowFailException: another run owns the environment by now.
        :raises RollbackIncomplete: part of the environment is not back on its release, and waiting does not help.
            A ledger or a target that is away is waited for; without the ledger the environment is restored meanwhile.
        """
        return outlast(
            lambda: self._attempt(context),
            log=self.log.warning,
            meanwhile=lambda: self._meanwhile(context),
            page=f"The rollback in {self.environment} of {self.service} waits.",
            where=self.place(context),
        )

    def _attempt(self, context: Context) -> dict[str, Any]:
        with self.at_work(context) as delivery:
            write_down_verdict(self, context, delivery)
            why = self._why(delivery, context)
            self.write_down_restore(delivery)
            try:
                restored = delivery.roll_back(why)
            except DeploymentSettled:
                if delivery.require_deployment().state != DeploymentState.PROMOTED:
                    raise
                # A promotion that was faster.
                self._skip(PROMOTED)
            if restored is None:
                found = delivery.require_deployment()
                if found.state == DeploymentState.ROLLED_BACK or found.ended_by is None:
                    self._skip("this deployment is rolled back already")
                self._skip(f"run {found.ended_by[1]} of {found.ended_by[0]} rolls this deployment back")
            if self.mark:
                mark(delivery, self.mark, self.application or self.service, phase=self.phase, rolled_back=why.text)
            deployment = delivery.require_deployment()
            self.result = result = {
                "restored": str(restored.release or "empty"),
                "instances": list(restored.instances),
                "because": why.text,
                "seconds to verdict": deployment.to_verdict,
                "seconds to safe": deployment.to_safe,
                "seconds to restored": deployment.to_restored,
            }
        return result

    def _meanwhile(self, context: Context) -> None:
        """Restore without the ledger, if it is certain without it that this rolls back."""
        if self.verify_task_id is not None:
            verify = self._state_of(self.verify_task_id, context)
            if verify not in ("failed", "upstream_failed") and not (verify == "success" and self._chosen(context)):
                return
        self.restore_meanwhile(context)

    def _why(self, delivery: Delivery, context: Context) -> Why:
        """The reason; skips the task when there is none."""
        deployment = delivery.deployment()
        if deployment is None:
            self._skip("nothing was deployed")
        if deployment.state == DeploymentState.PROMOTED:
            self._skip(PROMOTED)
        if self.phase and delivery.phase(self.phase) is None:
            self._skip(f"{self.phase} changed nothing")
        if self.verify_task_id is None:
            return _requested(delivery, deployment)
        return self._why_after(self._state_of(self.verify_task_id, context), delivery, deployment, context)

    def _why_after(self, verify: str | None, delivery: Delivery, deployment: Deployment, context: Context) -> Why:
        """The reason, by Airflow's state of the verification."""
        if verify == "skipped":
            self._skip("the verification was skipped; the end of the run settles what is left")
        if verify == "success" and not self._chosen(context):
            self._skip("a person marked the verification success: that is a promotion")
        known = known_reason(deployment)
        if verify in ("success", "failed"):
            known = known or self._verdict(delivery, deployment)
        if verify == "failed" and (known is None or not known.cause.vetoes):
            known = self._by_a_person(delivery) or known
        if known is not None:
            return known
        if verify == "failed":
            return Why(RollbackCause.FAULT, "the verification failed, was killed, or was marked failed by a person")
        failure = deploy_error(delivery.ledger, deployment)
        text = f"the deployment failed before it could be verified{': ' + failure if failure else ''}"
        return Why(RollbackCause.FAULT, text)

    def _verdict(self, delivery: Delivery, deployment: Deployment) -> Why | None:
        """What the last verdict holds against the release, unless a person has decided to go on after it."""
        final = [one for one in delivery.ledger.verdicts.of(deployment.id, self.phase or None) if one.final]
        question = self._question(delivery)
        if not final or (
            question is not None
            and question.option not in (None, ROLL_BACK)
            and question.answered_at is not None
            and question.answered_at > final[-1].recorded_at
        ):
            return None
        return verdict_reason(final[-1])

    def _by_a_person(self, delivery: Delivery) -> Why | None:
        """Who answered that it is rolled back, or marked the verification failed; None when no record names anybody."""
        question = self._question(delivery)
        if question is not None and question.option == ROLL_BACK and question.who:
            return _rolled_back_by(question.who, question.why or "")
        for action in delivery.ledger.audit.actions(pipeline=delivery.pipeline, run_id=delivery.run_id):
            is_mark = action.task_id == self.verify_task_id and action.action == HumanAction.MARKED_FAILED
            if action.allowed and is_mark:
                return _rolled_back_by(action.who, action.why)
        return None

    def _question(self, delivery: Delivery) -> Question | None:
        return delivery.ledger.questions.get(delivery.pipeline, delivery.run_id, str(self.verify_task_id))

    def _state_of(self, task_id: str, context: Context) -> str | None:
        ti = context["ti"]
        states = ti.get_task_states(dag_id=ti.dag_id, task_ids=[task_id], run_ids=[ti.run_id])
        state: str | None = states.get(ti.run_id, {}).get(task_id)
        return state

    def _chosen(self, context: Context) -> bool:
        """Whether the verification branched to this task."""
        return bool(context["ti"].xcom_pull(task_ids=self.verify_task_id, key=DECISION) == self.task_id)

    def _skip(self, why: str) -> NoReturn:
        self.result = {"skipped": why}
        raise AirflowSkipException(f"Not rolling back: {why}.")


def _rolled_back_by(who: str, why: str) -> Why:
    return Why(RollbackCause.PERSON, f"{who} rolled it back{': ' + why if why else ''}")


def _requested(delivery: Delivery, deployment: Deployment) -> Why:
    """Without a verification: the reason of a DAG's author, unless the deployment has failed."""
    if known := known_reason(deployment):
        return known
    if failure := deploy_error(delivery.ledger, deployment):
        return Why(RollbackCause.FAULT, f"the deployment failed: {failure}")
    return Why(RollbackCause.PERSON, deployment.reason or "a rollback was requested")
