"""Roll an environment back because a person wants it, after a promotion too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from airflow_cd.errors import AirflowCdError, LeaseLost, LedgerError, LedgerRefused, ReleaseError
from airflow_cd.operators.base import EnvironmentTask
from airflow_cd.operators.mark import mark
from airflow_cd.states import Role

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.delivery import Delivery
    from airflow_cd.release import Release


class RollbackToOperator(EnvironmentTask):
    """Bring an environment back to a release that was good there, whole, and veto the one that ran until now.

    :param release: its version, or the beginning of its digest; empty for the last good one before what runs now.
    :param reason: why, as the ledger is to remember it.
    :param mark: New Relic connections in which the rollback is marked; of each environment its own where the
        environment is known only when the task runs.
    """

    template_fields: Sequence[str] = (*EnvironmentTask.template_fields, "release", "reason")
    role = Role.ROLLBACK_TO
    ui_color = "#ffd0d0"

    def __init__(
        self,
        *,
        release: str = "{{ params.get('release') or '' }}",
        reason: str = "{{ params.reason }}",
        mark: Sequence[str] | Mapping[str, Sequence[str]] = (),
        application: str = "",
        **kwargs: Any,
    ) -> None:
        # Nothing else brings the environment back: a worker that dies, or a target that is away, is tried again.
        kwargs.setdefault("retries", 3)
        kwargs.setdefault("retry_delay", timedelta(seconds=2))
        super().__init__(**kwargs)
        self.release = release
        self.reason = reason
        self.mark = dict(mark) if isinstance(mark, Mapping) else tuple(mark)
        self.application = application

    def execute(self, context: Context) -> dict[str, Any]:
        """Roll back; raises :class:`AirflowFailException` where trying again cannot help."""
        delivery = self.delivery(context)
        try:
            release = self._wanted(delivery)
            who = context["dag_run"].triggering_user_name or ""
            deployment = delivery.roll_back_to(release, self.reason, who=who)
            marks = self.mark.get(self.environment, ()) if isinstance(self.mark, dict) else self.mark
            mark(delivery, marks, self.application or self.service, phase="", rolled_back=self.reason)
        except LeaseLost:
            raise
        except (LedgerError, ReleaseError) as error:
            self.result = {"failed": str(error)}
            raise AirflowFailException(str(error)) from error
        except AirflowCdError as error:
            self.result = {"failed": str(error)}
            self.log.error("%s", error)
            raise
        self.result = {
            "restored": str(release),
            "instances": sorted(deployment.previous),
            "before": sorted({str(old or "nothing") for old in deployment.previous.values()}),
            "because": self.reason,
            "seconds to restored": deployment.to_restored,
        }
        return self.result

    def _wanted(self, delivery: Delivery) -> Release:
        begun = delivery.deployment()
        if begun is not None:
            return begun.release
        wanted = self.release.strip().removeprefix("sha256:")
        # One that is named may be older than those that are offered.
        good = delivery.ledger.deployments.good_releases(self.service, self.environment, limit=100 if wanted else 10)
        if wanted:
            fitting = [
                one for one in good if wanted == one.release.version or one.release.digest[7:].startswith(wanted)
            ]
        else:
            # What a run has left half deployed goes back to the last good one; else the last good one is what runs.
            left = delivery.ledger.deployments.unsettled(self.service, self.environment)
            fitting = [one for one in good[0 if left else 1 :] if not one.vetoed][:1]
        if not fitting:
            known = ", ".join(f"{one.release}{' (vetoed)' if one.vetoed else ''}" for one in good[:10]) or "none"
            what = f"no release {self.release} was promoted here" if wanted else "there is no release to go back to"
            raise LedgerRefused(
                f"{what}; good ones are, the one that runs first: {known}.",
                pipeline=delivery.pipeline,
                environment=self.environment,
                state="nothing was touched.",
                next_step="Name one of them by its version or digest, or deploy another through the pipeline.",
            )
        # The last one that was promoted, where several have the version.
        return fitting[0].release
