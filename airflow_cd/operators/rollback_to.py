"""Roll an environment back to an earlier good release, after a promotion too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_cd.delivery.outlasting import outlast
from airflow_cd.errors import LedgerRefused
from airflow_cd.operators.base import EnvironmentTask
from airflow_cd.operators.mark import mark
from airflow_cd.states import Role

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.delivery import Delivery
    from airflow_cd.release import Release


class RollbackToOperator(EnvironmentTask):
    """Bring an environment back to a release that was promoted there, and veto the one that ran until now.

    Has three retries by default: a rollback that is not finished is resumed. Parameters of
    :class:`~airflow_cd.operators.base.EnvironmentTask` come on top.

    :param release: version, or the beginning of the digest, of the release to go back to; ``""`` for the last good one
        before what runs now. Templated, by default the run's parameter ``release``.
    :param reason: why, as the ledger keeps it; templated, by default the run's parameter ``reason``.
    :param mark: ids of New Relic connections in which the rollback is marked. Where the environment is known only when
        the task runs, a mapping with those of each environment.
    :param application: New Relic's name of the application; the service by default.
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
        """Roll back.

        :param context: of the task.
        :returns: what was restored, where, and how long it took.
        :raises AirflowFailException: there is no such release, it is vetoed, or runs here already; nothing was changed.
        :raises RollbackIncomplete: the release does not run on every instance yet.
        :raises TargetUnavailable: the target is away. A ledger that is away is waited for.
        """
        return outlast(
            lambda: self._attempt(context),
            log=self.log.warning,
            page=f"The rollback in {self.environment} of {self.service} waits.",
            where=self.place(context),
        )

    def _attempt(self, context: Context) -> dict[str, Any]:
        with self.at_work(context) as delivery:
            release = self._wanted(delivery)
            who = context["dag_run"].triggering_user_name or ""
            deployment = delivery.roll_back_to(release, self.reason, who=who)
            marks = self.mark.get(self.environment, ()) if isinstance(self.mark, dict) else self.mark
            mark(delivery, marks, self.application or self.service, phase="", rolled_back=self.reason)
            self.result = result = {
                "restored": str(release),
                "instances": sorted(deployment.previous),
                "before": sorted({str(old or "nothing") for old in deployment.previous.values()}),
                "because": self.reason,
                "seconds to restored": deployment.to_restored,
            }
        return result

    def _wanted(self, delivery: Delivery) -> Release:
        """The release to go back to; an attempt after the first goes on with the first one's."""
        begun = delivery.deployment()
        if begun is not None:
            return begun.release
        wanted = self.release.strip().removeprefix("sha256:")
        # A release that is asked for by name may be older than those that are offered.
        good = delivery.ledger.deployments.good_releases(self.service, self.environment, limit=100 if wanted else 10)
        if wanted:
            fitting = [
                one for one in good if wanted == one.release.version or one.release.digest[7:].startswith(wanted)
            ]
        else:
            # A half-deployed release gives way to the last good one; otherwise the last good one is what runs.
            unsettled = delivery.ledger.deployments.unsettled(self.service, self.environment)
            fitting = [one for one in good[0 if unsettled else 1 :] if not one.vetoed][:1]
        if not fitting:
            known = ", ".join(f"{one.release}{' (vetoed)' if one.vetoed else ''}" for one in good[:10]) or "none"
            what = f"no release {self.release} was promoted here" if wanted else "there is no release to go back to"
            raise LedgerRefused(
                f"{what}; good releases, starting with the one that runs: {known}.",
                state="nothing was changed.",
                next_step="Choose one of them by its version or digest, or deploy another through the pipeline.",
            )
        # Where several have the version, the one that was promoted last.
        return fitting[0].release
