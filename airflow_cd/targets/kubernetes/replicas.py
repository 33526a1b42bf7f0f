"""The replicas of a Deployment and of its canary, read from what the cluster has now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_cd.clock import now
from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.instances import EMPTY, FAILED, STARTING, Instance, Track
from airflow_cd.targets.kubernetes.controllers import is_seen
from airflow_cd.targets.kubernetes.health import health_of, last_lines, started_in, time_of
from airflow_cd.targets.kubernetes.images import digest_of, pinned
from airflow_cd.targets.kubernetes.names import CONFIGURATION, label_selector, ours, selector_of
from airflow_cd.targets.kubernetes.template import Configurations, running
from airflow_cd.targets.kubernetes.template_note import told_of_changes, told_of_others
from airflow_cd.targets.kubernetes.traffic import endpoints_of

if TYPE_CHECKING:
    from airflow_cd.targets.kubernetes.routing import Dividing

PROXIES_FOLLOW = timedelta(seconds=2)
"""How far the proxies of the nodes may lag behind the endpoints, and the times of the API behind the clock."""
_HASH = "pod-template-hash"
PASSING = ("failed calling webhook", "timeout", "timed out", "connection refused", "try again")
"""Words of refusals of a pod that may be over a moment later."""


@dataclass(frozen=True)
class TrackState:
    """What there is of a track.

    :param track: which.
    :param deployment: its Deployment; None when that is gone, which its pods may outlive.
    :param sets: the ReplicaSets that it owns.
    :param pods: the pods that it wants or that still get requests; those that have ended are left out.
    """

    track: Track
    deployment: Object | None
    sets: list[Object]
    pods: list[Object]

    @property
    def ready(self) -> list[str]:
        """The names of pods that answer."""
        return [pod["metadata"]["name"] for pod in self.pods if is_ready(pod)]

    @property
    def wanted(self) -> int:
        """How many replicas it is to have."""
        return int(self.deployment["spec"].get("replicas", 1)) if self.deployment is not None else 0


def is_ready(pod: Object) -> bool:
    """Whether a pod answers, and is to stay.

    :param pod: as the API lists it.
    """
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def read_stable(cluster: Cluster, namespace: str, deployment: Object, routing: Dividing) -> TrackState:
    """Read what there is of the stable track. Owners decide, since a canary's pods may have all of its labels.

    :param cluster: the API.
    :param namespace: where.
    :param deployment: the Deployment.
    :param routing: how requests come to its pods.
    """
    selector, uid = label_selector(deployment["spec"]["selector"]), deployment["metadata"]["uid"]
    sets = cluster.every(f"/apis/apps/v1/namespaces/{namespace}/replicasets", selector)
    sets = [one for one in sets if owner_of(one) == uid]
    owned = {one["metadata"]["uid"] for one in sets}
    pods = cluster.every(f"/api/v1/namespaces/{namespace}/pods", selector)
    pods = [one for one in pods if owner_of(one) in owned]
    return TrackState(Track.STABLE, deployment, sets, present(cluster, namespace, pods, routing))


def read_canary(
    cluster: Cluster, namespace: str, name: str, deployment: Object | None, routing: Dividing
) -> TrackState:
    """Read what there is of a canary.

    :param cluster: the API.
    :param namespace: where.
    :param name: of the Deployment that it is the canary of.
    :param deployment: the canary's own; None when it is gone.
    :param routing: how requests come to its pods.
    """
    selector = selector_of(ours(name))
    pods = cluster.every(f"/api/v1/namespaces/{namespace}/pods", selector)
    sets = cluster.every(f"/apis/apps/v1/namespaces/{namespace}/replicasets", selector) if deployment else []
    return TrackState(Track.CANARY, deployment, sets, present(cluster, namespace, pods, routing))


def present(cluster: Cluster, namespace: str, pods: list[Object], routing: Dividing) -> list[Object]:
    """The pods that are there: without those that have ended, or are about to end and get no new request.

    :param cluster: the API.
    :param namespace: where.
    :param pods: as they were listed.
    :param routing: how requests come to them.
    """
    pods = [one for one in pods if (one.get("status") or {}).get("phase") not in ("Failed", "Succeeded")]
    ending = [one for one in pods if one["metadata"].get("deletionTimestamp")]
    if not ending:
        return pods
    asked = endpoints_of(cluster, namespace, routing.services)
    gone = {one["metadata"]["name"] for one in ending if routing.drained(one) or _is_out(one, asked)}
    return [one for one in pods if one["metadata"]["name"] not in gone]


def _is_out(pod: Object, asked: set[str]) -> bool:
    """Whether no proxy sends requests to a pod that is about to end any more; proxies follow the endpoints."""
    meta = pod["metadata"]
    if meta["name"] in asked:
        return False
    until = time_of(meta["deletionTimestamp"])
    begun = until - timedelta(seconds=meta.get("deletionGracePeriodSeconds") or 0) if until else None
    return begun is None or now() - begun >= PROXIES_FOLLOW


@dataclass(frozen=True)
class Reading:
    """What a pod is read with.

    :param container: name of the container that holds the release.
    :param routing: how requests come to the pods.
    :param at: the present time, aware.
    :param configuration: reads the configuration in a Secret.
    :param output: the output of a container, by pod, container and whether the run before is meant.
    :param meaning: by artifact, the digest that it means here.
    """

    container: str
    routing: Dividing
    at: datetime
    configuration: Configurations
    output: Callable[[str, str, bool], str]
    meaning: Mapping[str, str]


def instances_of(state: TrackState, read: Reading) -> list[Instance]:
    """The replicas of a track, those that are wanted and not there yet among them.

    :param state: of the track.
    :param read: what its pods are read with.
    """
    told = _told_of_others(state, read.container)
    found = [instance_of(state, pod, read).saying("" if _is_ending(pod) else told) for pod in state.pods]
    missing = state.wanted - sum(not pod["metadata"].get("deletionTimestamp") for pod in state.pods)
    if state.deployment is not None and (missing > 0 or _is_changing(state)):
        found.append(_missing(state, state.deployment, missing, read))
    if not found and state.deployment is not None and state.track is Track.STABLE:
        name = state.deployment["metadata"]["name"]
        found.append(Instance(name, None, None, health=EMPTY, message="it has no replicas", track=Track.STABLE))
    return found


def instance_of(state: TrackState, pod: Object, read: Reading) -> Instance:
    """What runs in a pod.

    :param state: of its track.
    :param pod: as the API lists it.
    :param read: what it is read with.
    """
    name, weight = pod["metadata"]["name"], read.routing.weight(pod)
    runs = running(pod, read.container, read.configuration)
    health, message = health_of(pod, read.at, lambda of, was: last_lines(read.output(name, of, was)))
    artifact, digest = runs.artifact, digest_of(pod, read.container)
    if digest not in (None, read.meaning.get(artifact, digest)):
        artifact = pinned(artifact, digest)
        said = f"its tag was moved: {runs.artifact} was another image when it was deployed here"
        message = f"{said}; {message}" if message else said
    if gone := runs.configuration.get(CONFIGURATION):
        said = f"{gone}, so a pod that is made anew does not start"
        message = f"{said}; {message}" if message else said
    return Instance(
        name,
        runs.version,
        artifact,
        dict(runs.configuration),
        health=health,
        drained=read.routing.drained(pod),
        message="it is ending and still gets requests" if _is_ending(pod) else message,
        started=started_in(pod, read.container),
        track=state.track,
        weight=weight / len(state.pods) if weight is not None else None,
    )


def _is_ending(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def _told_of_others(state: TrackState, container: str) -> str:
    """What somebody else has changed in a track's Deployment, as a sentence; ``""`` for nothing."""
    if state.deployment is None:
        return ""
    if state.track is Track.STABLE:
        return told_of_others(state.deployment, container)
    return told_of_changes(state.deployment)


def _is_changing(state: TrackState) -> bool:
    """Whether a controller has not yet done what was asked for: it may still make pods of what was asked for before."""
    unseen = [one for one in (state.deployment, *state.sets) if one is not None and not is_seen(one)]
    # What is remembered in a Deployment's annotations changes it without giving a controller anything to do.
    if (
        state.deployment is not None
        and unseen == [state.deployment]
        and _asks_for_nothing(state.deployment, state.sets)
    ):
        unseen = []
    made = ((one.get("status") or {}).get("replicas", 0) != one["spec"].get("replicas", 1) for one in state.sets)
    return bool(unseen) or any(made)


def _asks_for_nothing(deployment: Object, sets: list[Object]) -> bool:
    """Whether its ReplicaSets are already as a Deployment asks: one has its template and all of its replicas."""
    wanted = int(deployment["spec"].get("replicas", 1))
    having = [one for one in sets if int(one["spec"].get("replicas", 1))]
    if not wanted:
        return not having
    return [(_template_of(one), int(one["spec"]["replicas"])) for one in having] == [(_template_of(deployment), wanted)]


def _template_of(one: Object) -> Object:
    """The pod template, without the label that tells the pods of a ReplicaSet apart."""
    template: Object = one["spec"]["template"]
    meta = template.get("metadata") or {}
    labels = {name: value for name, value in (meta.get("labels") or {}).items() if name != _HASH}
    return {**template, "metadata": {**meta, "labels": labels}}


def _missing(state: TrackState, deployment: Object, count: int, read: Reading) -> Instance:
    """The instance that stands for replicas that the cluster has not made yet, or not yet removed."""
    runs = running(deployment["spec"]["template"], read.container, read.configuration)
    refused = [
        condition["message"]
        for one in state.sets
        for condition in (one.get("status") or {}).get("conditions") or ()
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True" and one["spec"].get("replicas")
    ]
    passing = not refused or any(word in refused[0].lower() for word in PASSING)
    said = f"{count} replica{' is' if count == 1 else 's are'} not made yet"
    if count <= 0:
        said = "the controllers of the cluster have not yet done what was asked for"
    return Instance(
        f"{deployment['metadata']['name']} (not made yet)",
        runs.version,
        runs.artifact,
        dict(runs.configuration),
        health=STARTING if passing else FAILED,
        drained=read.routing.drained(deployment["spec"]["template"]),
        message=f"the cluster refuses the pod: {refused[0]}" if refused else said,
        track=state.track,
    )


def owner_of(one: Object) -> str | None:
    """The uid of the controller that an object belongs to.

    :param one: as the API lists it.
    """
    owners = one["metadata"].get("ownerReferences") or ()
    return next((owner["uid"] for owner in owners if owner.get("controller")), None)


def is_canary(deployment: Object, of: str) -> bool:
    """Whether a Deployment is the canary of another one.

    :param deployment: as the API lists it.
    :param of: name of the other one. What two long names are cut to may be the same.
    """
    return ours(of).items() <= (deployment["metadata"].get("labels") or {}).items()
