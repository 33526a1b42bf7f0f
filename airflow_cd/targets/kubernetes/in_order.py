"""What a StatefulSet's controller does with its pods in their order, and where it needs help."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from airflow_cd.errors import TargetRejected, TargetUnavailable
from airflow_cd.hooks.kubernetes import Cluster, Conflict, Object
from airflow_cd.targets.kubernetes.by_revision import ByRevision
from airflow_cd.targets.kubernetes.controllers import await_seen
from airflow_cd.targets.kubernetes.names import called
from airflow_cd.targets.kubernetes.ordinals import ORDERED, Ordered
from airflow_cd.targets.kubernetes.replicas import is_ready

_Read = Callable[[], "tuple[Ordered, ByRevision]"]


def refuse_unsuitable(state: Ordered) -> None:
    """Refuse a StatefulSet of which there can be no canary now; while one is under way, only what would end it.

    :param state: as it was read.
    :raises TargetRejected: its strategy, or a rollout or partition of somebody else, is in the way.
    :raises TargetUnavailable: its controller replaces no pod now, since one is not ready.
    """
    name, what = state.stateful_set["metadata"]["name"], called(state.stateful_set)
    strategy = state.strategy.get("type") or "RollingUpdate"
    if strategy != "RollingUpdate":
        raise TargetRejected(
            f"{what} has the updateStrategy {strategy}: its controller replaces no pod, and gives the newest pod "
            "template to every pod that it makes anew for whatever reason, so no canary could be kept apart.",
            state="nothing was changed.",
            next_step="Set updateStrategy.type to RollingUpdate.",
        )
    if state.before:
        if state.current != state.before:
            raise TargetRejected(
                f"the rollout of {what} was finished by somebody else in the middle of a canary: its controller makes "
                f"pods of revision {state.current} everywhere, no longer of {state.before}.",
                state="its pods run what was asked for the canary.",
                next_step="Roll it back, or promote it on the grid.",
            )
        return
    if state.partition:
        raise TargetRejected(
            f"{what} has a partition of {state.partition} in its updateStrategy, which somebody else has set: a canary "
            "of theirs, or something that keeps pods as they are.",
            state="nothing was changed.",
            next_step="Finish that, and set updateStrategy.rollingUpdate.partition to 0.",
        )
    if state.stateful_set["spec"].get("revisionHistoryLimit") == 0:
        raise TargetRejected(
            f"{what} has a revisionHistoryLimit of 0: the cluster keeps nothing of it to go back to.",
            state="nothing was changed.",
            next_step="Set revisionHistoryLimit to 1 or more.",
        )
    if not state.is_seen or state.current != state.newest or state.misplaced:
        raise TargetUnavailable(
            f"a rollout of {what} is under way: its pods do not all have its newest pod template yet.",
            state="nothing was changed.",
            next_step=f"Wait until it is done, or undo it: kubectl rollout status statefulset {name}.",
        )
    if state.is_ordered and state.unready:
        raise TargetUnavailable(
            f"{state.unready[0]} of {what} is not ready, and no pod is replaced until it is ({ORDERED}).",
            state="nothing was changed.",
            next_step=f"Bring it up first: kubectl describe pod {state.unready[0]}.",
        )


def require_answering(state: Ordered, routing: ByRevision) -> None:
    """Refuse to take away, or out of the traffic, the last pods that answer.

    Where no pod is left as it was, because somebody has finished the rollout, they come back one after the other.

    :param state: as it was read, with a canary.
    :param routing: how requests come to its pods.
    :raises TargetUnavailable: none but the canary's answers.
    """
    answering = [one for one in state.others if is_ready(one) and not routing.drained(one)]
    if answering and state.staying and not any(map(is_ready, state.staying)):
        what = called(state.stateful_set)
        raise TargetUnavailable(
            f"none of the pods of {what} that are no canary is ready, so only the canary's pods answer.",
            instances=[one["metadata"]["name"] for one in answering],
            state="the canary still has its traffic.",
            next_step=f"Bring the others up first: kubectl describe pod {state.unready[0]}.",
        )


def replace_misplaced(cluster: Cluster, read: _Read) -> Ordered:
    """Replace pods that do not have the revision they are to have, where their controller leaves them alone.

    With ``OrderedReady`` a controller does nothing at all while a pod is not ready, so a pod that cannot start is not
    replaced even when its template is put right (a known limitation of Kubernetes): such a pod is deleted where its
    release is being taken away. A pod with the release from before is left to the controller, which comes to it in its
    own time. The controller also leaves alone the pods below the partition that have the newest revision, since they
    were made before the partition was raised: these are evicted one at a time.

    :param cluster: the API.
    :param read: reads the StatefulSet and its pods.
    :returns: as they are then.
    :raises TargetUnavailable: more of them are to follow, a PodDisruptionBudget does not let one go now, or the
        controller is away.
    """
    await_seen(lambda: read()[0].stateful_set)
    state, _ = read()
    for pod in state.misplaced:
        if not is_ready(pod) and state.is_left(pod):
            _require_seen(state, pod)
            # Whoever was made anew meanwhile is another pod.
            with contextlib.suppress(Conflict):
                cluster.delete(_path(pod), uid=pod["metadata"]["uid"])
    surplus = [one for one in state.misplaced if is_ready(one) and state.place_of(one) < state.partition]
    if state.wants_canary and surplus:
        _require_seen(state, surplus[0])
        _give_back(cluster, state, surplus)
    return read()[0]


def _give_back(cluster: Cluster, state: Ordered, surplus: list[Object]) -> None:
    """Evict one pod that has the canary's release and is not the canary's; the others follow once it is ready again."""
    left = [one["metadata"]["name"] for one in surplus]
    if not state.unready:
        # Whoever was made anew meanwhile is another pod.
        with contextlib.suppress(Conflict):
            cluster.evict(_path(surplus[0]), surplus[0]["metadata"]["uid"])
        del left[0]
    if left:
        more = "1 more pod has" if len(left) == 1 else f"{len(left)} more pods have"
        raise TargetUnavailable(
            f"{more} the canary's release since somebody has scaled "
            f"{called(state.stateful_set)}: one after the other is replaced.",
            instances=left,
            state="the canary still has more than its share.",
            next_step="Nothing to do: it is tried again.",
        )


def _path(pod: Object) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def _require_seen(state: Ordered, pod: Object) -> None:
    if not state.is_seen:
        raise TargetUnavailable(
            f"the controller of {called(state.stateful_set)} has not seen its change yet and would make "
            f"{pod['metadata']['name']} of the pod template before.",
            next_step="Check the controller manager of the cluster.",
        )
