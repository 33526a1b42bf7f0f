"""The canary of a Deployment: a second Deployment beside it, whose pods the same Services find."""

from __future__ import annotations

import copy

from airflow_cd.hooks.kubernetes import Object
from airflow_cd.instances import WHOLE
from airflow_cd.targets.kubernetes.names import SHARE, canary_of, ours


def replicas_for(share: int, stable: int) -> int:
    """How many replicas a canary has beside the stable ones: the number that comes nearest to its share.

    :param share: percent of all replicas that are to be the canary's; 100 for as many as there are stable ones, which
        are kept without requests.
    :param stable: how many stable ones there are.
    """
    if share >= WHOLE:
        return stable
    exact = stable * share / (100 - share)
    low = max(1, int(exact))
    return min((low, low + 1), key=lambda count: (abs(count / (count + stable) - share / 100), count))


def replicas_of(share: int, total: int) -> int:
    """How many of a workload's own replicas are the canary: at least one, and at least one is left beside it.

    :param share: percent of all replicas that are to be the canary's, below 100.
    :param total: how many there are, two or more.
    """
    return min(max(1, int(share * total / 100 + 0.5)), total - 1)


def canary_deployment(stable: Object, template: Object, replicas: int, *, labels: dict[str, str], share: int) -> Object:
    """The Deployment of a canary, modelled on the stable one.

    The stable one's own labels and annotations are not copied: another tool would take the canary for its own.

    :param stable: the Deployment, as it was read.
    :param template: the pod template with the canary's release.
    :param replicas: how many it has.
    :param labels: the labels of its pods, without ours.
    :param share: percent of the requests that it is to have.
    """
    name = stable["metadata"]["name"]
    marks = ours(name)
    template = copy.deepcopy(template)
    template.setdefault("metadata", {})["labels"] = {**labels, **marks}
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": marks},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}},
        "template": template,
    }
    for kept in ("minReadySeconds", "progressDeadlineSeconds"):
        if kept in stable["spec"]:
            spec[kept] = stable["spec"][kept]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": canary_of(name),
            "namespace": stable["metadata"]["namespace"],
            "labels": marks,
            "annotations": {SHARE: str(share)},
        },
        "spec": spec,
    }


def share_of(canary: Object | None) -> int:
    """Percent of the requests that a canary is to have; 0 without one.

    :param canary: its Deployment, as it was read.
    """
    written = ((canary or {}).get("metadata", {}).get("annotations") or {}).get(SHARE, "0")
    return int(written) if written.isdigit() else 0
