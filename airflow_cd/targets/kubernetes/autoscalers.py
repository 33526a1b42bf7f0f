"""Autoscalers beside a canary: which there are, what they do to it, and where one stands in the way."""

from __future__ import annotations

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import Cluster, Object


def autoscaler_of(cluster: Cluster, namespace: str, deployment: str) -> str | None:
    """The name of the autoscaler that sets the replicas of a Deployment; None without one.

    :param cluster: the API.
    :param namespace: where.
    :param deployment: its name.
    """
    found = _autoscaler(cluster, namespace, deployment)
    return str(found["metadata"]["name"]) if found is not None else None


def told_of_autoscalers(cluster: Cluster, namespace: str, stable: Object, canary: Object) -> str:
    """What an autoscaler that was added beside a canary does to it, without a full stop; ``""`` where none was.

    :param cluster: the API.
    :param namespace: where.
    :param stable: the Deployment, as it was read.
    :param canary: the canary's, as it was read.
    """
    name, its = stable["metadata"]["name"], canary["metadata"]["name"]
    if (scaling := autoscaler_of(cluster, namespace, its)) is not None:
        return (
            f"HorizontalPodAutoscaler {scaling} scales Deployment {its}, whose replicas the canary's share decides: "
            f"they are put back whenever it has changed them, so delete it, or let it scale Deployment {name}"
        )
    selecting = stable["spec"]["selector"].get("matchLabels") or {}
    labels = canary["spec"]["template"]["metadata"].get("labels") or {}
    counting = autoscaler_of(cluster, namespace, name) if selecting and selecting.items() <= labels.items() else None
    if counting is None:
        return ""
    return (
        f"HorizontalPodAutoscaler {counting} came beside the canary and counts its pods as those of Deployment {name}, "
        "which it may scale too high until the canary is over; the canary keeps its share, and none of its pods is "
        "replaced"
    )


def require_steady(cluster: Cluster, namespace: str, stable: Object) -> None:
    """Refuse to keep stable pods without requests where an autoscaler would remove some meanwhile.

    :param cluster: the API.
    :param namespace: where.
    :param stable: the Deployment, as it was read.
    :raises TargetRejected: there may be fewer of them by the time they are needed again.
    """
    autoscaler = _autoscaler(cluster, namespace, stable["metadata"]["name"])
    replicas = int(stable["spec"].get("replicas", 1))
    least = int(autoscaler["spec"].get("minReplicas", 1)) if autoscaler is not None else replicas
    if autoscaler is not None and least < replicas:
        name = autoscaler["metadata"]["name"]
        raise TargetRejected(
            f"HorizontalPodAutoscaler {name} may take {replicas - least} of the {replicas} stable pods of Deployment "
            f"{stable['metadata']['name']} away while they are kept without requests, and the way back needs all of "
            "them.",
            state="nothing was changed.",
            next_step=f"Set minReplicas of {name} to {replicas} meanwhile, or deploy in phases without bake.",
        )


def told_of_growth(cluster: Cluster, namespace: str, stateful_set: Object) -> str:
    """What an autoscaler does to the canary of a StatefulSet, without a full stop; ``""`` where none can add pods.

    It is not refused: the share is put back at the next look, and every autoscaler that can add pods does this.

    :param cluster: the API.
    :param namespace: where.
    :param stateful_set: as it was read.
    """
    name = stateful_set["metadata"]["name"]
    found = _autoscaler(cluster, namespace, name, "StatefulSet")
    if found is None or int(found["spec"].get("maxReplicas", 1)) <= int(stateful_set["spec"].get("replicas", 1)):
        return ""
    return (
        f"every pod that HorizontalPodAutoscaler {found['metadata']['name']} adds to StatefulSet {name} in mid-canary "
        "is made with the canary's release, and is replaced when the canary is looked at next; to avoid that, set its "
        "maxReplicas to what runs meanwhile"
    )


def _autoscaler(cluster: Cluster, namespace: str, workload: str, kind: str = "Deployment") -> Object | None:
    found = cluster.every(f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers")
    for one in found:
        target = one["spec"]["scaleTargetRef"]
        if (target.get("kind"), target.get("name")) == (kind, workload):
            return one
    return None
