"""The pods of a StatefulSet get requests from its Services: all of them, or those of one revision alone.

Its controller gives every pod the revision of its template as a label, whenever it makes the pod anew. So a canary is
out of the traffic for as long as the Services also ask for the revision of the other pods; no pod is touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.targets.kubernetes.names import REVISION, called
from airflow_cd.targets.kubernetes.ownership import SERVICE_SELECTOR, require_unowned
from airflow_cd.targets.kubernetes.selectors import give_back, require_alone, select
from airflow_cd.targets.kubernetes.traffic import own_selector, selects, wait_until_out

_POD_NAME = "statefulset.kubernetes.io/pod-name"
"""Label that every pod of a StatefulSet has from its controller: its own name."""


class ByRevision:
    """The Services of a StatefulSet that divide requests between its pods.

    Its own headless Service is not one of them: it gives every pod its name, and peers and clients that name a pod
    reach it in any case. Neither is a headless Service by which peers find each other (``publishNotReadyAddresses``:
    they do so before they are ready), nor a Service of one pod.

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
        return [one for one in self._dividing if own_selector(one).items() <= labels.items()]

    @cached_property
    def _dividing(self) -> list[Object]:
        """All Services of the namespace except those that name pods."""
        found = self._cluster.every(f"/api/v1/namespaces/{self._namespace}/services")
        return [one for one in found if own_selector(one) and not self._names_pods(one)]

    def drained(self, pod: Object) -> bool:
        """As of :class:`~airflow_cd.targets.kubernetes.routing.Routing`: no Service finds it.

        None does by a label that pods are given at run time either, such as that of a database's leader.
        """
        labels = pod["metadata"].get("labels") or {}
        return bool(self.services) and not any(selects(service, labels) for service in self._dividing)

    def undivided(self, pods: Iterable[Object]) -> dict[str, list[str]]:
        """The pods that a Service finds by labels which their template does not have, by name of the Service.

        No drain changes such a Service: whoever gives the labels decides which pods it finds.

        :param pods: of the StatefulSet, as they were read.
        """
        known = {one["metadata"]["name"] for one in self.services}
        others = [one for one in self._dividing if one["metadata"]["name"] not in known]
        found = {
            one["metadata"]["name"]: sorted(
                pod["metadata"]["name"] for pod in pods if selects(one, pod["metadata"].get("labels") or {})
            )
            for one in others
        }
        return {name: names for name, names in sorted(found.items()) if names}

    def weight(self, pod: Object) -> float | None:
        """As of :class:`~airflow_cd.targets.kubernetes.routing.Routing`: every pod has an even part."""
        return None

    def check(self, *, shared_with_gitops: bool) -> None:
        """Refuse Services that nobody could be kept out of; changes nothing.

        :param shared_with_gitops: whether another tool may keep the Services.
        :raises TargetRejected: a Service also sends requests to pods of others, or another tool puts it back.
        """
        uid = self._set["metadata"]["uid"]
        for service in self.services:
            if not shared_with_gitops:
                require_unowned(service, "Service", "selector", SERVICE_SELECTOR)
            require_alone(
                self._cluster,
                self._namespace,
                service,
                lambda pod: any(one.get("uid") == uid for one in pod["metadata"].get("ownerReferences") or ()),
                called(self._set),
                "they would get none while a canary is kept out of the traffic",
            )

    def narrow(self, revision: str, out: Iterable[Object]) -> None:
        """Let the Services find the pods of one revision alone; returns when the others get no requests any more.

        :param revision: revision of the pods that keep their requests.
        :param out: the pods of other revisions.
        """
        for service in self.services:
            select(self._cluster, self._namespace, service, {**own_selector(service), REVISION: revision})
        self._forget()
        wait_until_out(self._cluster, self._namespace, self.services, {one["metadata"]["name"] for one in out})

    def widen(self) -> None:
        """Let the Services find all pods again."""
        if give_back(self._cluster, self._namespace, self.services):
            self._forget()

    def _forget(self) -> None:
        """Forget what was read, since it was written to."""
        for name in ("services", "_dividing"):
            self.__dict__.pop(name, None)

    def _names_pods(self, service: Object) -> bool:
        spec = service["spec"]
        if _POD_NAME in own_selector(service):
            return True
        named = self._set["spec"].get("serviceName") == service["metadata"]["name"]
        return spec.get("clusterIP") == "None" and bool(named or spec.get("publishNotReadyAddresses"))
