"""What all ways to divide requests by weights share: the canary has a Service of its own, which is given a weight."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from airflow_cd.errors import TargetRejected, TargetUnavailable
from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.instances import WHOLE, Track
from airflow_cd.targets.kubernetes.names import GIVEN, TRACK, WEIGHT, canary_of
from airflow_cd.targets.kubernetes.ownership import given_up, kept_by, last_writer, require_unowned
from airflow_cd.targets.kubernetes.traffic import (
    delete_own_services,
    endpoints_of,
    make_own_service,
    own_services,
    services_of,
    traffic_labels,
)
from airflow_cd.targets.kubernetes.writing import until_written


@dataclass(frozen=True)
class Divider:
    """The object whose weights divide requests.

    :param kind: its kind.
    :param name: its name.
    :param object: the object as it was read; None where it is gone.
    :param part: which part of it is changed, in words.
    :param field: the same part as a path in the API's ``managedFields``.
    :param is_theirs: whether it was there before the canary.
    """

    kind: str
    name: str
    object: Object | None
    part: str
    field: tuple[str, ...]
    is_theirs: bool = True

    @property
    def called(self) -> str:
        """Kind and name, as they stand in a sentence."""
        return f"{self.kind} {self.name}"


def note_given(one: Object, share: int | None) -> None:
    """Note on an object which weight it gives a canary.

    :param one: the object; it is changed.
    :param share: percent; None removes the note, and those of the weights that its rules had before. Their numbers may
        be of other rules by now: somebody may have added one.
    """
    annotations = one["metadata"].setdefault("annotations", {})
    if share is not None:
        annotations[GIVEN] = str(share)
        return
    for name in [name for name in annotations if name == GIVEN or name.startswith(f"{WEIGHT}.")]:
        del annotations[name]


class ByWeight(ABC):
    """What is the same whichever object divides requests; see :class:`~airflow_cd.targets.kubernetes.routing.Routing`.

    :param cluster: the API.
    :param namespace: where.
    :param stable: the Deployment, as it was read.
    :param follows_within: seconds that the data plane may be behind what the API says; None for what is known of its
        kind.
    """

    _path: str
    """Path of the object that has the weight."""

    def __init__(
        self, cluster: Cluster, namespace: str, stable: Object, *, follows_within: float | None = None
    ) -> None:
        self._cluster = cluster
        self._follows_within = follows_within
        self._namespace = namespace
        self._stable = stable
        self._name: str = stable["metadata"]["name"]

    @property
    @abstractmethod
    def _served(self) -> list[str]:
        """Names of what the object that divides requests sends them to; none where it is gone."""

    @abstractmethod
    def _unserved(self) -> TargetRejected:
        """The error where the object sends no requests to the stable pods, or is not there."""

    @cached_property
    def _known_service(self) -> str:
        """Name of the Service of the stable pods that requests are divided for; ``""`` where there is none.

        Whatever somebody does to the object in mid-canary, it is the one beside which the canary has its own.
        """
        stable = [str(one["metadata"]["name"]) for one in self._stable_services]
        if named := next((name for name in self._served if name in stable), ""):
            return named
        own = own_services(self._cluster, self._namespace, self._name)
        return next((name for name in stable if canary_of(name) in own), "")

    @property
    def _service(self) -> str:
        """The same, where there has to be one.

        :raises TargetRejected: there is none.
        """
        if not self._known_service:
            raise self._unserved()
        return self._known_service

    def _served_service(self) -> str:
        """The same, where requests are sent to it now.

        :raises TargetRejected: none are.
        """
        if self._known_service not in self._served:
            raise self._unserved()
        return self._known_service

    @cached_property
    def _weight(self) -> int | None:
        """Percent of the requests that the canary has; None where it has no place in the object."""
        return self._weight_in(self._divider.object)

    @abstractmethod
    def _weight_in(self, there: Object | None) -> int | None:
        """The same, in the object as it was read."""

    @abstractmethod
    def _write(self, share: int | None) -> None:
        """Set the canary's percent, or take its place away with None; returns when the change is in force."""

    def _await_followed(self, known: float) -> None:
        """Wait until the data plane follows what was written.

        :param known: seconds within which data planes of its kind are known to follow.
        """
        time.sleep(known if self._follows_within is None else self._follows_within)

    @property
    @abstractmethod
    def _divider(self) -> Divider:
        """The object that has the weight, as it is now."""

    @abstractmethod
    def _require_suitable(self) -> None:
        """Refuse an object that cannot give a canary requests; changes nothing."""

    def check(self, *, shared_with_gitops: bool = True) -> None:
        """As of :class:`Routing`.

        :param shared_with_gitops: as there.
        :raises TargetRejected: says what is in the way.
        """
        there = self._divider
        if there.is_theirs and there.object is not None and not shared_with_gitops:
            require_unowned(there.object, there.kind, there.part, there.field)
        self._require_suitable()

    def kept(self) -> str:
        """As of :class:`Routing`."""
        there = self._divider
        owner = kept_by(there.object, there.field) if there.is_theirs and there.object is not None else None
        return f"{owner} keeps {there.called}: it must ignore its {there.part}" if owner else ""

    def prepare(self, traffic: int | None) -> None:
        """As of :class:`Routing`: the canary's Service, and its place, with no weight yet.

        :raises TargetRejected: as of :meth:`check`.
        """
        begins = self._weight is None
        if begins:
            self._require_suitable()
        # Somebody may have deleted it since the canary began.
        make_own_service(self._cluster, self._namespace, self._service, self._name)
        if begins:
            self._write(0)

    def clear(self) -> None:
        """As of :class:`Routing`: the object is as it was before, and belongs to nobody but its owners."""
        self._write(None)
        if self._divider.is_theirs:
            until_written(self._give_up, self._divider.called)
        delete_own_services(self._cluster, self._namespace, self._name)

    def _give_up(self) -> None:
        there = self._divider.object
        owned = given_up(there) if there is not None else None
        if there is not None and owned is not None:
            self._cluster.put(self._path, {**there, "metadata": {**there["metadata"], "managedFields": owned}})

    def abandoned(self) -> str:
        """As of :class:`Routing`: the canary still has its weight."""
        there = self._divider
        weight = self._weight_in(there.object)
        return f"{there.called} gives it {weight} % of the requests" if weight else ""

    @cached_property
    def services(self) -> list[Object]:
        """As of :class:`Routing`."""
        own = own_services(self._cluster, self._namespace, self._name)
        path = f"/api/v1/namespaces/{self._namespace}/services"
        found = [self._cluster.get(f"{path}/{name}") for name in own]
        return [*self._stable_services, *(one for one in found if one is not None)]

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
        is_canary = (pod["metadata"].get("labels") or {}).get(TRACK) == Track.CANARY
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

    def reweighed(self) -> str:
        """As of :class:`Routing`: by what was noted in the same write as the weight."""
        there = self._divider
        weight = self._weight_in(there.object)
        meta = there.object["metadata"] if there.object is not None else {}
        given = (meta.get("annotations") or {}).get(GIVEN)
        if weight is None:
            # Its Service is deleted after its place: as long as that is there, somebody else has taken the place away.
            if not own_services(self._cluster, self._namespace, self._name):
                return ""
            said = "the canary has no requests by it any more"
        elif given is None or given == str(weight):
            return ""
        else:
            said = f"the canary has {weight} % of the requests, and was given {given} %"
        by = last_writer(there.object, there.field) if there.object is not None else ""
        return f"{there.called} was {'changed' if there.object is not None else 'deleted'}{by}: {said}"

    def undone(self) -> str:
        """As of :class:`Routing`."""
        return self.reweighed()

    @property
    def _stable_services(self) -> list[Object]:
        labels = self._stable["spec"]["template"]["metadata"].get("labels") or {}
        return services_of(self._cluster, self._namespace, labels)
