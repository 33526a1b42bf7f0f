"""Changing the labels that a canary's pods are made with, while the pods that run stay as they are.

Changing the pod template of a Deployment replaces its pods. The templates of its ReplicaSets say what the next pod
looks like, and changing these replaces nothing. A Deployment takes a ReplicaSet for its newest one when both have the
same template (``FindNewReplicaSet`` of its controller). So the Deployment is paused, the ReplicaSets are changed, and
then the Deployment is changed and resumed.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping

from airflow_cd.errors import TargetRejected, TargetUnauthorized
from airflow_cd.hooks.kubernetes import MERGE, Cluster, Object
from airflow_cd.targets.kubernetes.controllers import await_seen, deadline
from airflow_cd.targets.kubernetes.names import canary_of, ours, selector_of

Labels = Mapping[str, "str | None"]
"""By name; None where there is to be none."""


def has_labels(one: Object, labels: Labels) -> bool:
    """Whether a pod, or a pod template, has labels, and lacks those that are to be absent.

    :param one: the pod or the template.
    :param labels: which.
    """
    found = (one.get("metadata") or {}).get("labels") or {}
    return all(found.get(name) == value for name, value in labels.items())


def label_new_pods(cluster: Cluster, namespace: str, deployment: str, labels: Labels) -> None:
    """Let every pod that is made for a canary from now on have labels, or lack them; no pod is replaced.

    It may be repeated wherever it was interrupted. Where the ReplicaSets may not be changed, because a right was taken
    away or a policy added, the pods are replaced after all: their labels matter more.

    :param cluster: the API.
    :param namespace: where.
    :param deployment: name of the Deployment whose canary it is.
    :param labels: which.
    """
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{canary_of(deployment)}"
    canary = cluster.get(path)
    if canary is None:
        return
    sets = [one for one in _sets(cluster, namespace, deployment) if not has_labels(one["spec"]["template"], labels)]
    if has_labels(canary["spec"]["template"], labels) and not sets and not canary["spec"].get("paused"):
        return
    template = {"template": {"metadata": {"labels": dict(labels)}}}
    # What controllers see only later makes them replace the canary's pods by pods with the new labels.
    ends = deadline()
    cluster.patch(path, {"spec": {"paused": True}}, MERGE)
    await_seen(lambda: cluster.get(path), ends)
    # What the Deployment may have made of its template until it was paused is among them.
    sets = [one for one in _sets(cluster, namespace, deployment) if not has_labels(one["spec"]["template"], labels)]
    for one in sets:
        at = f"/apis/apps/v1/namespaces/{namespace}/replicasets/{one['metadata']['name']}"
        with contextlib.suppress(TargetUnauthorized, TargetRejected):
            cluster.patch(at, {"spec": template}, MERGE)
            await_seen(functools.partial(cluster.get, at), ends)
    cluster.patch(path, {"spec": {"paused": None, **template}}, MERGE)


def _sets(cluster: Cluster, namespace: str, deployment: str) -> list[Object]:
    return cluster.every(f"/apis/apps/v1/namespaces/{namespace}/replicasets", selector_of(ours(deployment)))
