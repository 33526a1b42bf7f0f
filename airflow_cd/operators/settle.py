"""Make sure at a run's end that an environment is wholly on one release."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from airflow_cd.capacity import URGENT
from airflow_cd.delivery.causes import deploy_error
from airflow_cd.delivery.going_back import finish
from airflow_cd.delivery.marking import mark
from airflow_cd.delivery.outlasting import outlast
from airflow_cd.delivery.what_runs import replaced, stayed, what_runs
from airflow_cd.errors import DeploymentFailed
from airflow_cd.operators.handing_over import refusal, write_down_verdict
from airflow_cd.operators.restoring import RestoringTask
from airflow_cd.states import DeploymentState, Role
from airflow_cd.wording import ended

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.delivery import Delivery
    from airflow_cd.ledger import Deployment


class SettleOperator(RestoringTask):
    """The end of a run's work on an environment: the safety net, as teardown of the lease.

    Restores whatever is neither promoted nor rolled back, whoever ended the run and however; releases the lease; and
    fails when the release did not get there or did not stay, so that the run's state is true. Has three retries by
    default: a rollback that is not finished is resumed. Parameters of
    :class:`~airflow_cd.operators.base.EnvironmentTask` come on top.

    :param mark: ids of New Relic connections in which a rollback made here is marked.
    :param application: New Relic's name of the application; the service by default.
    :param going_back: whether the run was asked for to bring the environment back: then a deployment that is gone is
        what was asked for.
    """

    role = Role.SETTLE
    binding = False
    ui_color = "#eeeeee"

    def __init__(
        self, *, mark: Sequence[str] = (), application: str = "", going_back: bool = False, **kwargs: Any
    ) -> None:
        kwargs = {**URGENT, **kwargs}
        kwargs.setdefault("retries", 3)
        kwargs.setdefault("retry_delay", timedelta(seconds=2))
        super().__init__(**kwargs)
        self.mark = tuple(mark)
        self.application = application
        self.going_back = going_back

    def execute(self, context: Context) -> dict[str, Any]:
        """Settle.

        :param context: of the task.
        :returns: what runs, when it is what this run deployed, or what was to be taken back is gone.
        :raises AirflowFailException: the environment runs the release before, or by now another one; says the
            decisive reason.
        :raises RollbackIncomplete: part of the environment is not back on its release, and waiting does not help; the
            lease is kept. A ledger or a target that is away is waited for; without the ledger it restores meanwhile.
        """
        return outlast(
            lambda: self._attempt(context),
            log=self.log.warning,
            meanwhile=lambda: self.restore_meanwhile(context),
            page=f"The end of a run in {self.environment} of {self.service} waits.",
            where=self.place(context),
        )

    def _attempt(self, context: Context) -> dict[str, Any]:
        with self.at_work(context) as delivery:
            before = delivery.deployment()
            if before is not None and before.state != DeploymentState.PROMOTED:
                # Whoever has restored it meanwhile did not know what the run has found out.
                write_down_verdict(self, context, delivery)
            if before is not None and not DeploymentState(before.state).final:
                self.write_down_restore(delivery)
            gone = finish(delivery) if self.going_back else None
            deployment = delivery.settle(restored=partial(self._mark, delivery))
            running = what_runs(delivery)
            if deployment is None and gone is not None and _as_asked(gone, context):
                self.result = result = {"rolled back": str(gone.release), "running": running, "because": gone.outcome}
                return result
            next_step = _after_rollback(delivery, deployment) if deployment is not None else ""
            cleared = bool(getattr(context["dag_run"], "clear_number", None))
            wrong = stayed(delivery, deployment, cleared=cleared) if deployment is not None else None
            runs = running if deployment is None or replaced(delivery, deployment) else str(deployment.release)
        if deployment is None:
            self.result = {"deployed": "nothing"}
            raise self._failed(_nothing_deployed(running, refusal(self, context)), context)
        if deployment.state != DeploymentState.PROMOTED:
            because = deployment.outcome
            self.result = {"running": "the release before", "state": str(deployment.state), "because": because}
            raise self._failed(_rolled_back(deployment, running, next_step), context)
        if wrong:
            self.result = {"running": running, "state": str(deployment.state), "because": wrong.what}
            raise self._failed(wrong, context)
        self.result = result = {"running": runs, "state": str(deployment.state)}
        return result

    def _mark(self, delivery: Delivery, deployment: Deployment) -> None:
        if self.mark:
            why = deployment.outcome
            mark(delivery, self.mark, self.application or self.service, phase="", rolled_back=why)

    def _failed(self, failure: DeploymentFailed, context: Context) -> AirflowFailException:
        # A line each: Airflow shows an exception's text as one line, cut off at the edge of the screen.
        for line in (failure.what, f"State: {failure.state}", f"Next: {failure.next_step}"):
            self.log.error("%s", line)
        return AirflowFailException(str(failure.at(pipeline=context["dag_run"].dag_id, environment=self.environment)))


def _as_asked(gone: Deployment, context: Context) -> bool:
    """Whether the rollback of a deployment is what the run was asked for; a release may have been named."""
    wanted = str(context.get("params", {}).get("release") or "").strip().removeprefix("sha256:")
    back = set(gone.previous.values())
    named = all(old and (old.version == wanted or old.digest[7:].startswith(wanted)) for old in back)
    return gone.state == DeploymentState.ROLLED_BACK and (not wanted or named)


def _after_rollback(delivery: Delivery, deployment: Deployment) -> str:
    """What a person can do once a release was rolled back: by what it was found out with, and whether it is vetoed."""
    read = ""
    if any(verdict.final for verdict in delivery.ledger.verdicts.of(deployment.id)):
        read = "Read the verification report. "
    elif deploy_error(delivery.ledger, deployment):
        read = "Read the log of the task that deployed it: what its instances said is there. "
    release, place = deployment.release, (deployment.service, deployment.environment)
    if delivery.ledger.vetoes.in_force(*place, release) is None:
        return f"{read}The release is not vetoed: start a new run to deploy it again."
    lift = f"airflow-cd veto lift {' '.join(place)} {release.digest[7:15]} --why ..."
    return f"{read}Deploy another release; this one is vetoed here until a person lifts the veto: {lift}"


def _nothing_deployed(running: str, refused: tuple[str, str] | None) -> DeploymentFailed:
    if refused is None:
        what, next_step = "Nothing was deployed here by this run.", "Read the log of its first task here that failed."
    else:
        what, next_step = f"Nothing was deployed here by this run: {ended(refused[0].strip())}", refused[1]
    return DeploymentFailed(what, state=f"{running}.", next_step=next_step or "Read the log of the task that failed.")


def _rolled_back(deployment: Deployment, running: str, next_step: str) -> DeploymentFailed:
    return DeploymentFailed(
        f"{deployment.release} was rolled back: {deployment.outcome.rstrip('.')}.",
        state=f"{running}.",
        next_step=next_step,
    )
