"""The pods of a StatefulSet by their places: which of them are the canary, which wait for their turn, which are stuck.

Its controller gives the places from the partition on the newest revision of the pod template, the highest first, and
keeps those below it on the revision before, whenever it makes one of them anew.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow_cd.errors import TargetError
from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.instances import EMPTY, FAILED, HEALTHY, STARTING, Instance, Track
from airflow_cd.targets.kubernetes.by_revision import ByRevision
from airflow_cd.targets.kubernetes.canary import share_of
from airflow_cd.targets.kubernetes.controllers import is_seen
from airflow_cd.targets.kubernetes.names import BEFORE, LEFT, REVISION, label_selector
from airflow_cd.targets.kubernetes.replicas import (
    PASSING,
    Reading,
    TrackState,
    instance_of,
    is_ready,
    owner_of,
    present,
)
from airflow_cd.targets.kubernetes.template import running
from airflow_cd.targets.kubernetes.template_note import told_of_others

ORDERED = "OrderedReady"
_MADE, _REFUSED = "SuccessfulCreate", "FailedCreate"


@dataclass(frozen=True)
class Ordered:
    """A StatefulSet and its pods, as they are now.

    :param stateful_set: as it was read.
    :param pods: all of its own that are there, including those that are about to end and still get requests.
    """

    stateful_set: Object
    pods: list[Object]

    @property
    def replicas(self) -> int:
        """How many it is to have."""
        return int(self.stateful_set["spec"].get("replicas", 1))

    @property
    def before(self) -> str:
        """The revision that its pods had before the canary; ``""`` without a canary."""
        return str((self.stateful_set["metadata"].get("annotations") or {}).get(BEFORE) or "")

    @property
    def left(self) -> list[str]:
        """The revisions that its pods leave when all of them go back."""
        found: list[str] = json.loads((self.stateful_set["metadata"].get("annotations") or {}).get(LEFT) or "[]")
        return found

    def is_left(self, pod: Object) -> bool:
        """Whether a pod has a release that is being taken away, and not the one from before a canary or a promotion.

        :param pod: of its own.
        """
        revision = revision_of(pod)
        return revision != self.before if self.before else revision in self.left

    @property
    def wants_canary(self) -> bool:
        """Whether a canary is asked for; if not, one that was asked for before is on its way back."""
        return bool(self.before) and share_of(self.stateful_set) > 0

    @property
    def partition(self) -> int:
        """The first place that is to have the newest revision."""
        return int((self.strategy.get("rollingUpdate") or {}).get("partition") or 0)

    @property
    def strategy(self) -> Object:
        """How its controller replaces pods."""
        return self.stateful_set["spec"].get("updateStrategy") or {}

    @property
    def is_ordered(self) -> bool:
        """Whether its controller does nothing more while a pod is not ready."""
        return bool(self.stateful_set["spec"].get("podManagementPolicy", ORDERED) == ORDERED)

    @property
    def is_seen(self) -> bool:
        """Whether its controller has seen it as it is written."""
        return is_seen(self.stateful_set)

    @property
    def newest(self) -> str:
        """The revision of its pod template, once its controller has seen that."""
        return str((self.stateful_set.get("status") or {}).get("updateRevision") or "")

    @property
    def current(self) -> str:
        """The revision that its controller gives the places below the partition."""
        return str((self.stateful_set.get("status") or {}).get("currentRevision") or self.newest)

    def place_of(self, pod: Object) -> int:
        """The place of a pod, from 0.

        :param pod: of its own.
        """
        ordinal = pod["metadata"]["name"].rpartition("-")[2]
        start = int((self.stateful_set["spec"].get("ordinals") or {}).get("start") or 0)
        return int(ordinal) - start if ordinal.isdigit() else -1

    def name_at(self, place: int) -> str:
        """The name of the pod at a place.

        :param place: from 0.
        """
        start = int((self.stateful_set["spec"].get("ordinals") or {}).get("start") or 0)
        return f"{self.stateful_set['metadata']['name']}-{start + place}"

    def wanted_at(self, place: int) -> str:
        """The revision that the pod at a place is to have.

        :param place: from 0.
        """
        if self.before and not (self.wants_canary and place >= self.partition):
            return self.before
        return self.newest

    def is_canary(self, place: int, revision: str) -> bool:
        """Whether a pod is on the canary's track.

        :param place: from 0.
        :param revision: that it has.
        """
        if self.wants_canary:
            return place >= self.partition
        return bool(self.before) and revision != self.before

    @property
    def others(self) -> list[Object]:
        """The pods that do not have the revision from before the canary; none without a canary."""
        return [one for one in self.pods if self.before and revision_of(one) != self.before]

    @property
    def staying(self) -> list[Object]:
        """The pods that still have the revision from before the canary; none without a canary."""
        return [one for one in self.pods if self.before and revision_of(one) == self.before]

    @property
    def misplaced(self) -> list[Object]:
        """The pods that are to stay and do not have the revision they are to have; the highest place first."""
        staying = [one for one in self.pods if not one["metadata"].get("deletionTimestamp")]
        wrong = [
            one
            for one in staying
            if 0 <= (place := self.place_of(one)) < self.replicas and revision_of(one) != self.wanted_at(place)
        ]
        return sorted(wrong, key=self.place_of, reverse=True)

    @property
    def unready(self) -> list[str]:
        """The names of its places whose pod does not answer, the lowest first."""
        ready = {self.place_of(one) for one in self.pods if is_ready(one)}
        return [self.name_at(place) for place in range(self.replicas) if place not in ready]


def revision_of(pod: Object) -> str:
    """The revision of the template that a pod was made of.

    :param pod: as the API lists it.
    """
    return str((pod["metadata"].get("labels") or {}).get(REVISION) or "")


def read_ordered(cluster: Cluster, namespace: str, stateful_set: Object, routing: ByRevision) -> Ordered:
    """Read the pods of a StatefulSet.

    :param cluster: the API.
    :param namespace: where.
    :param stateful_set: as it was read.
    :param routing: how requests come to them.
    """
    listed = cluster.every(f"/api/v1/namespaces/{namespace}/pods", label_selector(stateful_set["spec"]["selector"]))
    own = [one for one in listed if owner_of(one) == stateful_set["metadata"]["uid"]]
    return Ordered(stateful_set, present(cluster, namespace, own, routing))


def instances_in(
    state: Ordered, templates: Mapping[str, Object], read: Reading, refusals: Mapping[str, str]
) -> list[Instance]:
    """The pods of a StatefulSet, those that are wanted and not there yet among them.

    :param state: of the StatefulSet.
    :param templates: its pod template by revision.
    :param read: what pods are read with.
    :param refusals: by name of a pod, why the cluster does not take it.
    """
    told = told_of_others(state.stateful_set, read.container)
    found = [_there(state, pod, read, told) for pod in state.pods]
    names = {one.name for one in found}
    missing = [place for place in range(state.replicas) if state.name_at(place) not in names]
    found += [_missing(state, place, templates, read, refusals) for place in missing]
    name = state.stateful_set["metadata"]["name"]
    return found or [Instance(name, None, None, health=EMPTY, message="it has no replicas", track=Track.STABLE)]


def _there(state: Ordered, pod: Object, read: Reading, told: str) -> Instance:
    place, revision = state.place_of(pod), revision_of(pod)
    track = Track.CANARY if state.is_canary(place, revision) else Track.STABLE
    found = instance_of(TrackState(track, None, [], state.pods), pod, read)
    # A change of the template only changes what is to run at these places.
    changed = told if state.wanted_at(place) == state.newest else ""
    if changed and not (state.wants_canary and track is Track.STABLE):
        found = found.saying(changed)
    if pod["metadata"].get("deletionTimestamp") or place >= state.replicas:
        return found
    if state.is_seen and revision == state.wanted_at(place):
        return found
    said = "the controllers of the cluster have not yet done what was asked for"
    if state.is_seen:
        said = "it waits for its turn to be replaced"
        if state.is_ordered and (waits := [name for name in state.unready if name != found.name]):
            said += f", and no pod is while {waits[0]} is not ready ({ORDERED})"
    return replace(found, health=STARTING if found.health == HEALTHY else found.health).saying(said)


def _missing(
    state: Ordered, place: int, templates: Mapping[str, Object], read: Reading, refusals: Mapping[str, str]
) -> Instance:
    wanted, name = state.wanted_at(place), state.name_at(place)
    template = templates.get(wanted) or state.stateful_set["spec"]["template"]
    runs, refused = running(template, read.container, read.configuration), refusals.get(name)
    passing = not refused or any(word in refused.lower() for word in PASSING)
    return Instance(
        name,
        runs.version,
        runs.artifact,
        dict(runs.configuration),
        health=STARTING if passing else FAILED,
        message=f"the cluster refuses the pod: {refused}" if refused else "it is not made yet",
        track=Track.CANARY if state.is_canary(place, wanted) else Track.STABLE,
    )


def refusals_of(cluster: Cluster, namespace: str, state: Ordered) -> dict[str, str]:
    """By name of a pod that is not there, why the cluster did not take it when it was last tried.

    :param cluster: the API.
    :param namespace: where.
    :param state: of the StatefulSet.
    """
    there = {state.place_of(one) for one in state.pods}
    missing = [state.name_at(place) for place in range(state.replicas) if place not in there]
    if not missing:
        return {}
    uid = state.stateful_set["metadata"]["uid"]
    events: list[Object] = []
    with contextlib.suppress(TargetError):  # they only add to what is said of a pod
        path = f"/api/v1/namespaces/{namespace}/events"
        events = cluster.every(path, fieldSelector=f"involvedObject.uid={uid}")
    last: dict[str, tuple[str, Any]] = {}
    for event in events:
        message, when = str(event.get("message") or ""), str(event.get("lastTimestamp") or event.get("eventTime") or "")
        for name in missing:
            about = event.get("reason") in (_MADE, _REFUSED) and f"create Pod {name} in " in message
            if about and when >= last.get(name, ("", None))[0]:
                last[name] = when, event
    return {
        name: event["message"].partition(" error: ")[2] or event["message"]
        for name, (_, event) in last.items()
        if event["reason"] == _REFUSED
    }
