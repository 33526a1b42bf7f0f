"""Deploy a release to an environment, or to a share of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_cd.delivery import Delivery
from airflow_cd.operators.approved import require_approved
from airflow_cd.operators.base import EnvironmentTask
from airflow_cd.operators.handing_over import handing_over, say_promoting
from airflow_cd.operators.rendered_secrets import RefusesSecrets
from airflow_cd.release import Release, planned_release
from airflow_cd.states import Role, RollbackMode

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.commits import CommitSource


class DeployOperator(RefusesSecrets, EnvironmentTask):
    """Bring a release to every instance of an environment, wait until they are healthy, and record it in the ledger.

    After an approval it deploys what was approved there, and nothing else.

    Repeating it does only what is not done yet, so it may be given retries: they are used when the target or the
    ledger is unavailable. By itself it is the whole deployment of the environment and makes the release the one to
    return to; before a verification, pass ``promote=False`` and end with a
    :class:`~airflow_cd.operators.promote.PromoteOperator`. Parameters of
    :class:`~airflow_cd.operators.base.EnvironmentTask` come on top.

    :param version: version to deploy; templated, by default the run's parameter ``version``.
    :param artifact: how a version names its artifact; ``{service}`` and ``{version}`` are filled in.
    :param configuration: run-time configuration; templated.
    :param overrides: this run's configuration on top, a mapping or its JSON; a null removes a key. Templated, by
        default the run's parameter ``configuration``.
    :param reason: why, as the ledger keeps it; templated, by default the run's parameter ``reason``.
    :param rollback: who decides after a failed verification, see :class:`~airflow_cd.states.RollbackMode`:
        ``automatic`` or ``human``. Templated, by default the run's parameter ``rollback``, else ``automatic``.
    :param learn: take what this deployment logs as known good, where something runs that nothing is known of yet; a
        bool, or a text that is true when it is ``true``. Templated, by default the run's parameter ``learn``, else
        false. A first release, in an environment that is empty, is noticed without it.
    :param commits: where the commits of the release are. They are read beside the deployment, which never fails because
        of them and waits a few seconds for them when everything else is done.
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
    configuration_fields = ("configuration", "overrides")
    phase_name = "all"
    share = 100
    traffic: int | None = None

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
        """The requested release.

        :raises ReleaseError: the configuration overrides are not an object, or hold a secret.
        """
        self.refuse_secrets()
        return planned_release(
            self.service,
            self.version,
            self.artifact,
            self.configuration,
            self.overrides,
            environment=self.environment,
        )

    def execute(self, context: Context) -> dict[str, Any]:
        """Deploy.

        :param context: of the task.
        :returns: what was deployed where; the same is in the rendered fields.
        :raises AirflowFailException: the deployment failed or was refused; says what was left in which state.
        :raises Unavailable: the target or the ledger is away; the environment is restored unless a retry succeeds.
        """
        with self.at_work(context) as delivery:
            self.result = result = self._deploy(delivery, context)
            if self.promote:
                say_promoting(self, context)
                first = delivery.require_deployment().first
                delivery.promote("deployed and healthy" + (", the first release here" if first else ""))
        return result

    def _deploy(self, delivery: Delivery, context: Context) -> dict[str, Any]:
        release = self.release()
        if delivery.deployment() is None:
            # Later phases go on with what was opened, which no other release can take the place of.
            require_approved(self, delivery, release, context)
        phase = delivery.deploy(
            release,
            phase=self.phase_name,
            share=self.share,
            traffic=self.traffic,
            reason=self.reason,
            triggered_by=context["dag_run"].triggering_user_name or "",
            rollback=self.rollback or RollbackMode.AUTOMATIC,
            learn=str(self.learn).lower() == "true",
            commits=self.commits,
            hand_over=handing_over(self, context),
        )
        previous = delivery.require_deployment().previous
        return {
            "release": str(release),
            "configuration": dict(release.configuration),
            "instances": list(phase.instances),
            "of": len(previous),
            "before": sorted({str(old or "nothing") for old in previous.values()}),
        }


class CanaryDeployOperator(DeployOperator):
    """Deploy one phase of a canary: a share of the environment's instances, those of earlier phases among them.

    It ends with a :class:`~airflow_cd.operators.promote.PromoteOperator`. Parameters of :class:`DeployOperator`
    except ``promote`` come on top.

    :param phase: name of the phase, unique in the deployment.
    :param share: percent of all instances that run the release after this phase, from 1 to 100.
    :param traffic: percent of the requests that they have then, from 0 to 100, where the target divides requests apart
        from replicas; None, the default, for what the share brings. What ran before is kept beside it until a phase
        of share 100 without.
    """

    ui_color = "#fff3c4"

    def __init__(self, *, phase: str, share: int, traffic: int | None = None, **kwargs: Any) -> None:
        super().__init__(promote=False, **kwargs)
        self.phase_name = phase
        self.share = share
        self.traffic = traffic
