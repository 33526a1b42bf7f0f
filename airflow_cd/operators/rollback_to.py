"""Roll an environment back to an earlier good release, after a promotion too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_cd.capacity import URGENT
from airflow_cd.delivery.going_back import go_back
from airflow_cd.delivery.marking import mark
from airflow_cd.delivery.outlasting import outlast
from airflow_cd.operators.base import EnvironmentTask
from airflow_cd.states import Role

if TYPE_CHECKING:
    from airflow.sdk import Context


class RollbackToOperator(EnvironmentTask):
    """Bring an environment back to a release that was good there, and veto the one that is taken back.

    It goes from what ran when the run was asked for, however late it begins. A deployment that was under way then is
    stopped and restored; what was deployed since, which nobody had seen, is never taken back.

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
        kwargs = {**URGENT, **kwargs}
        # Nothing else brings the environment back: a worker that dies, or a target that is away, is tried again.
        kwargs.setdefault("retries", 3)
        kwargs.setdefault("retry_delay", timedelta(seconds=2))
        super().__init__(**kwargs)
        self.release = release
        self.reason = reason
        self.mark = dict(mark) if isinstance(mark, Mapping) else tuple(mark)
        self.application = application

    def execute(self, context: Context) -> dict[str, Any]:
        """Roll back, from what ran when the run was asked for.

        :param context: of the task.
        :returns: what was restored, where, and how long it took.
        :raises AirflowFailException: there is no such release, it is vetoed or runs here already, or something was
            deployed after the run was asked for; nothing was changed.
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
            who = context["dag_run"].triggering_user_name or ""
            deployment = go_back(delivery, self.release.strip(), who=who, why=self.reason)
            mine = (deployment.pipeline, deployment.run_id) == (delivery.pipeline, delivery.run_id)
            if mine:
                marks = self.mark.get(self.environment, ()) if isinstance(self.mark, dict) else self.mark
                mark(delivery, marks, self.application or self.service, phase="", rolled_back=self.reason)
            before = deployment.previous.values()
            restored = [deployment.release] if mine else before
            self.result = result = {
                "restored": ", ".join(sorted({str(release or "nothing") for release in restored})),
                "instances": sorted(deployment.previous),
                "before": sorted({str(old or "nothing") for old in (before if mine else [deployment.release])}),
                "because": self.reason,
                "seconds to restored": deployment.to_restored,
            }
        return result
