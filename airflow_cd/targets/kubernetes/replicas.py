"""The replicas of a Deployment and of its canary, read from what the cluster has now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.instances import EMPTY, FAILED, STARTING, Instance, Track
from airflow_cd.targets.kubernetes.health import health_of, last_lines, time_of
from airflow_cd.targets.kubernetes.names import OF, TRACK, label_selector, selector_of
from airflow_cd.targets.kubernetes.template import running
from airflow_cd.targets.kubernetes.traffic import endpoints_of

if TYPE_CHECKING:
    from airflow_cd.targets.kubernetes.routing import Routing

_PASSING = ("failed calling webhook", "timeout", "timed out", "connection refused", "try again")
"""Refusals of a pod that may be over a moment later."""


@dataclass(frozen=True)
class TrackState:
    """What there is of a track.

    :param track: which.
    :param deployment: its Deployment; None when that is gone, which its pods may outlive.
    :param sets: the ReplicaSets that it owns.
    :param pods: those that it wants or that still get requests; what has ended is left out.
    """

    track: Track
    deployment: Object | None
    sets: list[Object]
    pods: list[Object]

    @property
    def wanted(self) -> int:
        """How many replicas it is to have."""
        return int(self.deployment["spec"].get("replicas", 1)) if self.deployment is not None else 0


Services = Callable[[], list[Object]]
"""Called for the Services that send a track requests, where a pod of it is about to end."""


def read_stable(cluster: Cluster, namespace: str, deployment: Object, services: Services) -> TrackState:
    """Read what there is of the stable track: a canary's pods may have all labels of its own.

    :param cluster: the API.
    :param namespace: where.
    :param deployment: the Deployment.
    :param services: the Services that send it requests.
    """
    selector, uid = label_selector(deployment["spec"]["selector"]), deployment["metadata"]["uid"]
    sets = cluster.every(f"/apis/apps/v1/namespaces/{namespace}/replicasets", selector)
    sets = [one for one in sets if _owner(one) == uid]
    owned = {one["metadata"]["uid"] for one in sets}
    pods = cluster.every(f"/api/v1/namespaces/{namespace}/pods", selector)
    pods = [one for one in pods if _owner(one) in owned]
    return TrackState(Track.STABLE, deployment, sets, _present(cluster, namespace, pods, services))


def read_canary(
    cluster: Cluster, namespace: str, name: str, deployment: Object | None, services: Services
) -> TrackState:
    """Read what there is of a canary.

    :param cluster: the API.
    :param namespace: where.
    :param name: of the Deployment that it is the canary of.
    :param deployment: the canary's own; None when it is gone.
    :param services: the Services that send it requests.
    """
    selector = selector_of({OF: name, TRACK: str(Track.CANARY)})
    pods = cluster.every(f"/api/v1/namespaces/{namespace}/pods", selector)
    sets = cluster.every(f"/apis/apps/v1/namespaces/{namespace}/replicasets", selector) if deployment else []
    return TrackState(Track.CANARY, deployment, sets, _present(cluster, namespace, pods, services))


def _present(cluster: Cluster, namespace: str, pods: list[Object], services: Services) -> list[Object]:
    """Without pods that have ended, or are about to and get no new request."""
    pods = [one for one in pods if (one.get("status") or {}).get("phase") not in ("Failed", "Succeeded")]
    ending = {one["metadata"]["name"] for one in pods if one["metadata"].get("deletionTimestamp")}
    gone = ending - endpoints_of(cluster, namespace, services()) if ending else set()
    return [one for one in pods if one["metadata"]["name"] not in gone]


def instances_of(
    state: TrackState,
    *,
    container: str,
    routing: Routing,
    now: datetime,
    configuration: Callable[[str], Mapping[str, Any] | None],
    output: Callable[[str, str, bool], str],
) -> list[Instance]:
    """The replicas of a track, those that are wanted and not there yet among them.

    :param state: of the track.
    :param container: name of the container that holds the release, ``""`` for the first.
    :param routing: how requests come to its pods.
    :param now: the present time, aware.
    :param configuration: the configuration in a Secret, by its name.
    :param output: the output of a container, by pod, container and whether the run before is meant.
    """
    found = [_instance(state, pod, container, routing, now, configuration, output) for pod in state.pods]
    missing = state.wanted - sum(not pod["metadata"].get("deletionTimestamp") for pod in state.pods)
    if missing > 0 and state.deployment is not None:
        found.append(_missing(state, state.deployment, missing, container, configuration))
    if not found and state.deployment is not None and state.track is Track.STABLE:
        name = state.deployment["metadata"]["name"]
        found.append(Instance(name, None, None, health=EMPTY, message="it has no replicas", track=Track.STABLE))
    return found


def _instance(
    state: TrackState,
    pod: Object,
    container: str,
    routing: Routing,
    now: datetime,
    configuration: Callable[[str], Mapping[str, Any] | None],
    output: Callable[[str, str, bool], str],
) -> Instance:
    name, weight = pod["metadata"]["name"], routing.weight(pod)
    runs = running(pod, container, configuration)
    health, message = health_of(pod, container, now, lambda of, before: last_lines(output(name, of, before)))
    if pod["metadata"].get("deletionTimestamp"):
        message = "it is ending and still gets requests"
    return Instance(
        name,
        runs.version,
        runs.artifact,
        dict(runs.configuration),
        health=health,
        drained=routing.drained(pod),
        message=message,
        started=time_of((pod.get("status") or {}).get("startTime")),
        track=state.track,
        weight=weight / len(state.pods) if weight is not None else None,
    )


def _missing(
    state: TrackState,
    deployment: Object,
    count: int,
    container: str,
    configuration: Callable[[str], Mapping[str, Any] | None],
) -> Instance:
    """What stands for replicas that the cluster has not made yet."""
    runs = running(deployment["spec"]["template"], container, configuration)
    refused = [
        condition["message"]
        for one in state.sets
        for condition in (one.get("status") or {}).get("conditions") or ()
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True" and one["spec"].get("replicas")
    ]
    passing = not refused or any(word in refused[0].lower() for word in _PASSING)
    many = f"{count} replica{' is' if count == 1 else 's are'}"
    return Instance(
        f"{deployment['metadata']['name']} (not made yet)",
        runs.version,
        runs.artifact,
        dict(runs.configuration),
        health=STARTING if passing else FAILED,
        message=f"the cluster refuses the pod: {refused[0]}" if refused else f"{many} not made yet",
        track=state.track,
    )


def _owner(one: Object) -> str | None:
    owners = one["metadata"].get("ownerReferences") or ()
    return next((owner["uid"] for owner in owners if owner.get("controller")), None)


def is_canary(deployment: Object) -> bool:
    """Whether a Deployment is a canary of ours.

    :param deployment: as the API lists it.
    """
    return (deployment["metadata"].get("labels") or {}).get(TRACK) == Track.CANARY
