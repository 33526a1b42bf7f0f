"""Reading a StatefulSet that was taken over: itself, its pods, and the revisions of its template."""

from __future__ import annotations

from airflow_cd.hooks.kubernetes import Object
from airflow_cd.targets.kubernetes.by_revision import ByRevision
from airflow_cd.targets.kubernetes.fence import require_current
from airflow_cd.targets.kubernetes.ordinals import Ordered, read_ordered
from airflow_cd.targets.kubernetes.revisions import template_at, templates_of
from airflow_cd.targets.kubernetes.workload import Workload


class StatefulSetReader(Workload):
    """One StatefulSet of a cluster, its pods and revisions.

    It is made with the parameters of :class:`~airflow_cd.targets.kubernetes.workload.Workload`.
    """

    kind = "StatefulSet"
    resource = "statefulsets"

    @property
    def _family(self) -> str:
        """The label value that tells its configurations from those of a Deployment of the same name."""
        return f"{self.name}-set"

    def _state(self) -> tuple[Ordered, ByRevision]:
        there = self._read()
        routing = ByRevision(self.cluster, self.namespace, there)
        return read_ordered(self.cluster, self.namespace, there, routing), routing

    def _state_for(self, token: int) -> tuple[Ordered, ByRevision]:
        """As :meth:`_state`, for whoever is about to write to the StatefulSet."""
        state, routing = self._state()
        require_current(state.stateful_set, token)
        return state, routing

    def _templates(self, there: Object) -> dict[str, Object]:
        return templates_of(self.cluster, self.namespace, there)

    def _templates_known(self) -> list[Object]:
        there = self._read()
        return [*self._templates(there).values(), there["spec"]["template"]]

    def _stable(self, state: Ordered) -> Object:
        """The StatefulSet with the pod template of those pods that are not the canary's."""
        there = state.stateful_set
        if not state.before:
            return there
        template = template_at(self._templates(there), state.before, there)
        return {**there, "spec": {**there["spec"], "template": template}}
