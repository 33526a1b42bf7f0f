"""The canary's pods have a Service of their own, and whoever divides requests gives that a weight."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property

from airflow_cd.errors import TargetUnavailable
from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.instances import WHOLE
from airflow_cd.targets.kubernetes.names import TRACK, canary_of
from airflow_cd.targets.kubernetes.traffic import (
    delete_own_services,
    endpoints_of,
    make_own_service,
    services_of,
    traffic_labels,
)


class ByWeight(ABC):
    """What is the same whoever divides the requests; see :class:`~airflow_cd.targets.kubernetes.routing.Routing`.

    :param cluster: the API.
    :param namespace: where.
    :param stable: the Deployment, as it was read.
    """

    def __init__(self, cluster: Cluster, namespace: str, stable: Object) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._stable = stable
        self._name: str = stable["metadata"]["name"]

    @property
    @abstractmethod
    def _service(self) -> str:
        """Name of the Service of the stable pods."""

    @property
    @abstractmethod
    def _weight(self) -> int | None:
        """Percent of the requests that the canary has; None where it has no place there."""

    @abstractmethod
    def _write(self, share: int | None) -> None:
        """Set the canary's percent, None to take its place away; returns when that is in force."""

    @abstractmethod
    def check(self) -> None:
        """As of :class:`Routing`."""

    def prepare(self, traffic: int | None) -> None:
        """As of :class:`Routing`: the canary's Service, and its place, with no weight yet.

        :raises TargetRejected: as of :meth:`check`.
        """
        if self._weight is not None:
            return
        self.check()
        make_own_service(self._cluster, self._namespace, self._service, self._name)
        self._write(0)

    def clear(self) -> None:
        """As of :class:`Routing`: whoever divides the requests does as before."""
        self._write(None)
        delete_own_services(self._cluster, self._namespace, self._name)

    @cached_property
    def services(self) -> list[Object]:
        """As of :class:`Routing`."""
        own = self._cluster.get(f"/api/v1/namespaces/{self._namespace}/services/{canary_of(self._service)}")
        return self._stable_services + ([own] if own else [])

    def labels(self, labels: dict[str, str], traffic: int | None, has: dict[str, str] | None = None) -> dict[str, str]:
        """As of :class:`Routing`: no Service or autoscaler of the stable pods finds them."""
        if has is not None:
            return has
        selecting = self._stable["spec"]["selector"].get("matchLabels") or {}
        services = services_of(self._cluster, self._namespace, labels)
        return {name: value for name, value in labels.items() if name not in {**selecting, **traffic_labels(services)}}

    def drained(self, pod: Object) -> bool:
        """As of :class:`Routing`: its track has no weight."""
        return self.weight(pod) == 0

    def weight(self, pod: Object) -> float:
        """As of :class:`Routing`."""
        canary = float(self._weight or 0)
        is_canary = (pod["metadata"].get("labels") or {}).get(TRACK) == "canary"
        return canary if is_canary else WHOLE - canary

    def take_out(self, pods: Sequence[Object]) -> None:
        """As of :class:`Routing`."""
        if self._weight is not None:
            self._write(0)

    def give(self, pods: Sequence[Object], share: int) -> None:
        """As of :class:`Routing`: only to pods that can answer.

        :raises TargetUnavailable: none of them is ready.
        """
        own = [one for one in self.services if one["metadata"]["name"] == canary_of(self._service)]
        if not endpoints_of(self._cluster, self._namespace, own):
            raise TargetUnavailable(
                f"the canary of {self._name} gets no requests: none of its pods is ready.",
                next_step="Read why in the messages of the pods.",
            )
        self._write(share)

    def undone(self) -> str:
        """As of :class:`Routing`: a weight is read back as it is."""
        return ""

    @property
    def _stable_services(self) -> list[Object]:
        labels = self._stable["spec"]["template"]["metadata"].get("labels") or {}
        return services_of(self._cluster, self._namespace, labels)
