"""Deploy a release to an environment, or to a share of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from airflow_cd.delivery import Delivery
from airflow_cd.errors import AirflowCdError
from airflow_cd.operators.base import EnvironmentTask
from airflow_cd.release import Release, planned_release
from airflow_cd.states import Role

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.commits import CommitSource
    from airflow_cd.ledger import Phase


class DeployOperator(EnvironmentTask):
    """Bring a release to an environment, see it healthy, and record it in the ledger.

    Repeating it does again only what is not yet so. By itself it is the whole deployment of the environment and
    makes the release its good one; followed by a verification, pass ``promote=False`` and end in a
    :class:`~airflow_cd.operators.promote.PromoteOperator`.

    :param version: version to deploy.
    :param artifact: how a version names its artifact; ``{service}`` and ``{version}`` are filled in.
    :param configuration: run-time configuration.
    :param overrides: this run's configuration on top, an object or its JSON; a null removes a key.
    :param reason: why, as the ledger is to remember it.
    :param rollback: ``automatic``, or ``human``: a failed verification asks a person.
    :param learn: take this deployment as known good, for a service that never ran here.
    :param commits: where the commits that the release brings are; they are read beside the deployment, which never
        fails with them, and waits for them only when all else is done, a few seconds.
    :param promote: whether the deployment is over when the instances are healthy.
    """

    template_fields: Sequence[str] = (
        *EnvironmentTask.template_fields,
        "version",
        "configuration",
        "overrides",
        "reason",
        "rollback",
        "learn",
    )
    template_fields_renderers = {**EnvironmentTask.template_fields_renderers, "configuration": "json"}  # noqa: RUF012
    role = Role.DEPLOY
    ui_color = "#d5e8ff"
    phase_name = "all"
    share = 100

    def __init__(
        self,
        *,
        version: str = "{{ params.version }}",
        artifact: str = "{service}:{version}",
        configuration: Mapping[str, Any] | None = None,
        overrides: Mapping[str, Any] | str = "{{ (params.get('configuration') or {}) | tojson }}",
        reason: str = "{{ params.get('reason') or '' }}",
        rollback: str = "{{ params.get('rollback') or 'automatic' }}",
        learn: bool | str = "{{ params.get('learn') or false }}",
        commits: CommitSource | None = None,
        promote: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.version = version
        self.artifact = artifact
        self.configuration = dict(configuration or {})
        self.overrides = overrides
        self.reason = reason
        self.rollback = rollback
        self.learn = learn
        self.commits = commits
        self.promote = promote

    def release(self) -> Release:
        """The release that was asked for; raises :class:`~airflow_cd.errors.ReleaseError`."""
        return planned_release(
            self.service,
            self.version,
            self.artifact,
            self.configuration,
            self.overrides,
            environment=self.environment,
        )

    def execute(self, context: Context) -> dict[str, Any]:
        """Deploy; raises :class:`AirflowFailException` with what was left in which state."""
        delivery = self.delivery(context)
        try:
            phase = self._deploy(delivery, context)
            if self.promote:
                delivery.promote("deployed and healthy")
        except AirflowCdError as error:
            self.result = {"failed": str(error)}
            raise AirflowFailException(str(error)) from error
        return self.result if isinstance(self.result, dict) else {"phase": phase.name}

    def _deploy(self, delivery: Delivery, context: Context) -> Phase:
        release = self.release()
        phase = delivery.deploy(
            release,
            phase=self.phase_name,
            share=self.share,
            reason=self.reason,
            triggered_by=context["dag_run"].triggering_user_name or "",
            rollback=self.rollback or "automatic",
            learn=str(self.learn).lower() == "true",
            commits=self.commits,
        )
        previous = delivery.require_deployment().previous
        self.result = {
            "release": str(release),
            "configuration": dict(release.configuration),
            "instances": list(phase.instances),
            "of": len(previous),
            "before": sorted({str(old or "nothing") for old in previous.values()}),
        }
        return phase


class CanaryDeployOperator(DeployOperator):
    """Deploy one phase of a canary: a share of the environment's instances, with those of earlier phases.

    :param phase: name of the phase, unique in the deployment.
    :param share: percent of all instances that run the release after this phase.
    """

    ui_color = "#fff3c4"

    def __init__(self, *, phase: str, share: int, **kwargs: Any) -> None:
        super().__init__(promote=False, **kwargs)
        self.phase_name = phase
        self.share = share
