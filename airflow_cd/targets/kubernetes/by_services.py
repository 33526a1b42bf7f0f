"""The canary's pods get requests from the Services of the stable pods: an even part each, or all of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from functools import cached_property

from airflow_cd.errors import TargetRejected, TargetUnavailable
from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.instances import WHOLE
from airflow_cd.targets.kubernetes.labels_of_new_pods import label_new_pods
from airflow_cd.targets.kubernetes.names import SELECTOR, ours, selector_of
from airflow_cd.targets.kubernetes.ownership import SERVICE_SELECTOR, require_unowned
from airflow_cd.targets.kubernetes.replicas import read_stable
from airflow_cd.targets.kubernetes.rights import FOR_SWITCHES, require_rights
from airflow_cd.targets.kubernetes.selectors import give_back, require_alone, select
from airflow_cd.targets.kubernetes.traffic import (
    delete_own_services,
    endpoints_of,
    make_own_service,
    selects,
    services_of,
    set_labels,
    take_out_at_once,
    traffic_labels,
    wait_until_in,
    wait_until_out,
)


class ByServices:
    """The canary's pods have the labels that Services find the stable ones by, and every pod has an even part.

    A canary that is to have none of the requests lacks these labels. One that is to have all of them gets them by
    Services that ask for its own labels instead: one write for each, and the same way back.

    :param cluster: the API.
    :param namespace: where.
    :param stable: the Deployment, as it was read.
    :param autoscaler: returns the name of its autoscaler; None without one.
    """

    def __init__(self, cluster: Cluster, namespace: str, stable: Object, autoscaler: Callable[[], str | None]) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._stable = stable
        self._name: str = stable["metadata"]["name"]
        self._autoscaler = autoscaler
        self._labels: dict[str, str] = stable["spec"]["template"]["metadata"].get("labels") or {}

    @cached_property
    def services(self) -> list[Object]:
        """As of :class:`Routing`."""
        return services_of(self._cluster, self._namespace, self._labels)

    def labels(self, labels: dict[str, str], traffic: int | None, has: dict[str, str] | None = None) -> dict[str, str]:
        """As of :class:`Routing`: an autoscaler counts every pod that the selector of its Deployment finds.

        :raises TargetRejected: the autoscaler would count the canary's pods as the stable one's.
        """
        asked = traffic_labels(self.services)
        if has is not None:
            return {name: value for name, value in has.items() if traffic != 0 or name not in asked}
        if traffic in (0, WHOLE):
            labels = {name: value for name, value in labels.items() if name not in asked}
        autoscaler = self._autoscaler()
        if autoscaler is None:
            return labels
        selecting = self._stable["spec"]["selector"].get("matchLabels") or {}
        free = [name for name in selecting if name not in asked or traffic in (0, WHOLE)]
        if free:
            return {name: value for name, value in labels.items() if name not in free}
        raise TargetRejected(
            f"HorizontalPodAutoscaler {autoscaler} would count the canary's pods as those of Deployment "
            f"{self._name}: its Services find pods by the very labels that the Deployment "
            f"selects ({', '.join(sorted(selecting))}).",
            state="nothing was changed.",
            next_step="Give the Deployment one more label to select its pods by, which no Service asks for, or divide "
            "requests by an HTTPRoute: KubernetesTarget(..., route=...).",
        )

    def check(self, *, shared_with_gitops: bool = True) -> None:
        """As of :class:`Routing`: an autoscaler may stand in the way. Nothing is changed that a tool could keep."""
        self.labels(self._labels, None)

    def kept(self) -> str:
        """As of :class:`Routing`."""
        return ""

    def drained(self, pod: Object) -> bool:
        """As of :class:`Routing`: no Service finds it."""
        labels = pod["metadata"].get("labels") or {}
        return bool(self.services) and not any(selects(service, labels) for service in self.services)

    def prepare(self, traffic: int | None) -> None:
        """As of :class:`Routing`: a Service of its own, for tests, where the canary gets no requests otherwise.

        :raises TargetRejected: others would lose their requests along with the stable pods.
        """
        if traffic not in (0, WHOLE):
            return
        require_rights(self._cluster, self._namespace, *FOR_SWITCHES)
        if not self.services:
            raise TargetRejected(
                f"no Service sends requests to the pods of Deployment {self._name}, so there are none to give to a "
                "new side.",
                state="nothing was changed.",
                next_step="Give it a Service, or deploy it as a canary.",
            )
        for service in self.services:
            require_unowned(service, "Service", "selector", SERVICE_SELECTOR)
            require_alone(
                self._cluster,
                self._namespace,
                service,
                self._knowing(),
                f"Deployment {self._name}",
                "they would get none while a new side has all of them",
            )
        for service in self.services:
            make_own_service(self._cluster, self._namespace, service["metadata"]["name"], self._name)

    def take_out(self, pods: Sequence[Object]) -> None:
        """As of :class:`Routing`."""
        absent = dict.fromkeys(traffic_labels(self.services))
        take_out_at_once(self._cluster, self._namespace, self.services, pods)
        # Their labels go before that: Services that are given back would find the pods by them.
        set_labels(self._cluster, pods, absent)
        self._give_services_back()
        self._wait_until_out(pods, lambda: label_new_pods(self._cluster, self._namespace, self._name, absent))
        # In place of one that was evicted or died with its node, another may have been made before that was so.
        late = [one for one in self._pods() if not self.drained(one) and not one["metadata"].get("deletionTimestamp")]
        if late:
            set_labels(self._cluster, late, absent)
            self._wait_until_out(late)

    def give(self, pods: Sequence[Object], share: int) -> None:
        """As of :class:`Routing`."""
        if share < WHOLE:
            labels = traffic_labels(self.services)
            label_new_pods(self._cluster, self._namespace, self._name, labels)
            set_labels(self._cluster, self._pods(), dict(labels))
            self._give_services_back()
            return
        names = {one["metadata"]["name"] for one in pods}
        if not self._ready(pods):
            raise TargetUnavailable(
                f"the canary of {self._name} gets no requests: none of its pods is ready.",
                next_step="Read why in the messages of the pods.",
            )
        for service in self.services:
            select(self._cluster, self._namespace, service, ours(self._name))
        self.__dict__.pop("services", None)
        wait_until_in(
            self._cluster,
            self._namespace,
            self.services,
            lambda found: bool(found) and found <= names,
            f"the canary of {self._name}",
        )

    def reweighed(self) -> str:
        """As of :class:`Routing`: there are no weights."""
        return ""

    def abandoned(self) -> str:
        """As of :class:`Routing`: the Services still ask for its pods alone."""
        taken = [
            one["metadata"]["name"] for one in self.services if SELECTOR in (one["metadata"].get("annotations") or {})
        ]
        return f"Service {', '.join(taken)} sends all requests to it" if taken else ""

    def undone(self) -> str:
        """As of :class:`Routing`: what its pods get is read back from their labels."""
        return ""

    def clear(self) -> None:
        """As of :class:`Routing`: the Services find the stable pods again."""
        if self._give_services_back():
            canary = {one["metadata"]["name"] for one in self._pods()}
            wait_until_in(
                self._cluster,
                self._namespace,
                self.services,
                lambda found: bool(found - canary),
                f"the stable pods of {self._name}",
            )
        delete_own_services(self._cluster, self._namespace, self._name)

    def weight(self, pod: Object) -> float | None:
        """As of :class:`Routing`."""
        return None

    # -- inside --------------------------------------------------------------------------------------------------

    def _knowing(self) -> Callable[[Object], bool]:
        """A function that says whether a pod belongs to the Deployment or to its canary.

        The Deployment's own pods are read when the function is first called, and so after the pods that it is called
        with: one that was made in between counts as its own.
        """
        canary = ours(self._name).items()

        @functools.cache
        def own() -> set[str]:
            stable = read_stable(self._cluster, self._namespace, self._stable, self)
            return {one["metadata"]["name"] for one in stable.pods}

        return lambda pod: canary <= (pod["metadata"].get("labels") or {}).items() or pod["metadata"]["name"] in own()

    def _pods(self) -> list[Object]:
        """The canary's pods, as they are now."""
        return self._cluster.every(f"/api/v1/namespaces/{self._namespace}/pods", selector_of(ours(self._name)))

    def _wait_until_out(self, pods: Sequence[Object], meanwhile: Callable[[], None] | None = None) -> None:
        names = {one["metadata"]["name"] for one in pods}
        wait_until_out(self._cluster, self._namespace, self.services, names, meanwhile)

    def _give_services_back(self) -> bool:
        """Let every Service find its pods by its own selector; returns whether one had another."""
        given = give_back(self._cluster, self._namespace, self.services)
        if given:
            self.__dict__.pop("services", None)
        return given

    def _ready(self, pods: Sequence[Object]) -> set[str]:
        """Which of the canary's pods can answer, by the endpoints of its own Services."""
        own = services_of(self._cluster, self._namespace, ours(self._name))
        names = {one["metadata"]["name"] for one in pods}
        return endpoints_of(self._cluster, self._namespace, own) & names
