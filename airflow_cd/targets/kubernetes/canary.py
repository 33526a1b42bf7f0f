"""The canary of a Deployment: a second Deployment beside it, whose pods the same Services find."""

from __future__ import annotations

import copy

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import Object
from airflow_cd.instances import Track
from airflow_cd.targets.kubernetes.names import OF, TRACK, canary_of


def replicas_for(share: int, stable: int) -> int:
    """How many replicas a canary has beside the stable ones: the whole number that comes nearest to its share.

    :param share: percent of all replicas that are to be the canary's, from 1 to 99.
    :param stable: how many stable ones there are.
    """
    exact = stable * share / (100 - share)
    low = max(1, int(exact))
    return min((low, low + 1), key=lambda count: (abs(count / (count + stable) - share / 100), count))


def canary_deployment(
    stable: Object, template: Object, replicas: int, *, services: list[Object], autoscaler: str | None
) -> Object:
    """The Deployment of a canary, made after the stable one.

    Nothing of the stable one's own labels and annotations is copied: another tool would take the canary for its own.

    :param stable: the Deployment, as it was read.
    :param template: the pod template with the canary's release.
    :param replicas: how many it has.
    :param services: the Services that send requests to the stable pods.
    :param autoscaler: name of the autoscaler of the stable one; None without one.
    :raises TargetRejected: the autoscaler would count the canary's pods as the stable one's.
    """
    name = stable["metadata"]["name"]
    ours = {OF: name, TRACK: str(Track.CANARY)}
    template = copy.deepcopy(template)
    meta = template.setdefault("metadata", {})
    meta["labels"] = {**_labels(stable, meta.get("labels") or {}, services, autoscaler), **ours}
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": ours},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}},
        "template": template,
    }
    for kept in ("minReadySeconds", "progressDeadlineSeconds"):
        if kept in stable["spec"]:
            spec[kept] = stable["spec"][kept]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": canary_of(name), "namespace": stable["metadata"]["namespace"], "labels": ours},
        "spec": spec,
    }


def _labels(stable: Object, labels: dict[str, str], services: list[Object], autoscaler: str | None) -> dict[str, str]:
    """The labels of a canary's pods: an autoscaler counts every pod that the selector of its Deployment finds."""
    if autoscaler is None:
        return labels
    selecting = stable["spec"]["selector"].get("matchLabels") or {}
    needed = {name for service in services for name in service["spec"]["selector"]}
    free = [name for name in selecting if name not in needed]
    if free:
        return {name: value for name, value in labels.items() if name not in free}
    raise TargetRejected(
        f"HorizontalPodAutoscaler {autoscaler} would count the canary's pods as those of Deployment "
        f"{stable['metadata']['name']}: its Services find pods by the very labels that the Deployment selects "
        f"({', '.join(sorted(selecting))}).",
        state="nothing was changed.",
        next_step="Give the Deployment one more label to select its pods by, which no Service asks for.",
    )
