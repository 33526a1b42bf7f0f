"""What works differently on a StatefulSet from what a person may expect."""

from __future__ import annotations

from airflow_cd.hooks.kubernetes import Cluster
from airflow_cd.targets.kubernetes.autoscalers import told_of_growth
from airflow_cd.targets.kubernetes.by_revision import ByRevision
from airflow_cd.targets.kubernetes.ordinals import Ordered
from airflow_cd.targets.kubernetes.ownership import changed_since, kept_by
from airflow_cd.targets.kubernetes.template import container_of


def notes_of(cluster: Cluster, namespace: str, state: Ordered, routing: ByRevision, released: str) -> list[str]:
    """One sentence each.

    :param cluster: the API.
    :param namespace: where.
    :param state: the StatefulSet and its pods, as they were read.
    :param routing: how requests come to them.
    :param released: name of the container that a release is put into, ``""`` for the first.
    :raises TargetError: the cluster cannot be asked.
    """
    there = state.stateful_set
    name = there["metadata"]["name"]
    container = container_of(there["spec"]["template"], released)
    found = [changed_since(there, released), told_of_growth(cluster, namespace, there)]
    if owner := kept_by(there):
        found.append(f"{owner} keeps StatefulSet {name}: it must ignore its pod template and partition")
    if not container.get("readinessProbe"):
        found.append(
            f"container {container['name']} of StatefulSet {name} has no readiness probe: a pod counts as "
            "ready, and gets requests, as soon as its process runs"
        )
    if not routing.services:
        found.append(
            f"no Service divides requests between the pods of StatefulSet {name}, so only its rollback "
            "keeps anybody from a canary: whoever names a pod reaches it"
        )
    found += [
        f"Service {service} sends requests to {', '.join(names)} by labels that pods are given at run time: "
        "no drain keeps it from a canary, only the rollback does"
        for service, names in routing.undivided(state.pods).items()
    ]
    if state.replicas == 1:
        found.append(f"StatefulSet {name} has one replica, of which there can be no canary")
    return [f"{sentence}." for sentence in found if sentence]
