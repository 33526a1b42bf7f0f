"""The pods of a StatefulSet get requests from its Services: all of them, or those of one revision alone.

Every pod has the revision of its template as a label, from its controller, whoever makes it anew and whenever. So a
canary is out of the traffic as long as the Services ask for the revision of the others too; no pod is touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.targets.kubernetes.names import REVISION, called
from airflow_cd.targets.kubernetes.rights import require_unowned
from airflow_cd.targets.kubernetes.selectors import give_back, require_alone, select
from airflow_cd.targets.kubernetes.traffic import own_selector, selects, services_of, wait_until_out


class ByRevision:
    """The Services of a StatefulSet that divide requests between its pods.

    Its own headless Service is none of them: that gives every pod its name, and peers and clients that name a pod reach
    it in any case. Nor is a Service of one pod.

    :param cluster: the API.
    :param namespace: where.
    :param stateful_set: as it was read.
    """

    def __init__(self, cluster: Cluster, namespace: str, stateful_set: Object) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._set = stateful_set

    @cached_property
    def services(self) -> list[Object]:
        """As of :class:`~airflow_cd.targets.kubernetes.routing.Routing`."""
        labels = (self._set["spec"]["template"].get("metadata") or {}).get("labels") or {}
        return [one for one in services_of(self._cluster, self._namespace, labels) if not self._names_pods(one)]

    def drained(self, pod: Object) -> bool:
        """As of :class:`~airflow_cd.targets.kubernetes.routing.Routing`: no Service finds it."""
        labels = pod["metadata"].get("labels") or {}
        return bool(self.services) and not any(selects(service, labels) for service in self.services)

    def weight(self, pod: Object) -> float | None:
        """As of :class:`~airflow_cd.targets.kubernetes.routing.Routing`: every pod has an even part."""
        return None

    def check(self, *, shared_with_gitops: bool) -> None:
        """Refuse what nobody could be kept out of; changes nothing.

        :param shared_with_gitops: whether another tool may keep the Services.
        :raises TargetRejected: a Service sends requests to pods of others too, or another tool puts it back.
        """
        uid = self._set["metadata"]["uid"]
        for service in self.services:
            if not shared_with_gitops:
                require_unowned(service, "Service", "selector")
            require_alone(
                self._cluster,
                self._namespace,
                service,
                lambda pod: any(one.get("uid") == uid for one in pod["metadata"].get("ownerReferences") or ()),
                called(self._set),
                "they would get none while a canary is kept out of the traffic",
            )

    def narrow(self, revision: str, out: Iterable[Object]) -> None:
        """Let the Services find the pods of one revision alone; returns when no request comes to the others any more.

        :param revision: of those that keep their requests.
        :param out: the pods of other revisions.
        """
        for service in self.services:
            select(self._cluster, self._namespace, service, {**own_selector(service), REVISION: revision})
        self.__dict__.pop("services", None)
        wait_until_out(self._cluster, self._namespace, self.services, {one["metadata"]["name"] for one in out})

    def widen(self) -> None:
        """Let the Services find all pods again."""
        if give_back(self._cluster, self._namespace, self.services):
            self.__dict__.pop("services", None)

    def _names_pods(self, service: Object) -> bool:
        named = self._set["spec"].get("serviceName") == service["metadata"]["name"]
        return bool(named) and service["spec"].get("clusterIP") == "None"
