"""The selectors of Services, changed for the time of a deployment and given back, and which may not be changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import MERGE, Cluster, Object
from airflow_cd.targets.kubernetes.names import SELECTOR, selector_of
from airflow_cd.targets.kubernetes.ownership import given_up
from airflow_cd.targets.kubernetes.traffic import own_selector
from airflow_cd.targets.kubernetes.writing import until_written


def select(cluster: Cluster, namespace: str, service: Object, selector: dict[str, str], *, keep: bool = True) -> None:
    """Let a Service find pods by a selector.

    :param cluster: the API.
    :param namespace: where.
    :param service: the Service, as it was read.
    :param selector: the labels that it is to ask for, and no others.
    :param keep: whether to note its own selector in an annotation, to be given back later.
    """
    path = f"/api/v1/namespaces/{namespace}/services/{service['metadata']['name']}"

    def attempt() -> None:
        there = cluster.get(path)
        if there is None:
            return
        wanted: dict[str, str | None] = {**dict.fromkeys(there["spec"].get("selector") or {}), **selector}
        mark = json.dumps(own_selector(there), sort_keys=True) if keep else None
        meta = {"resourceVersion": there["metadata"]["resourceVersion"], "annotations": {SELECTOR: mark}}
        cluster.patch(path, {"metadata": meta, "spec": {"selector": wanted}}, MERGE)

    until_written(attempt, f"Service {service['metadata']['name']}")


def _disown(cluster: Cluster, namespace: str, service: Object) -> None:
    """Give up the selector of a Service as a field of ours; nothing is written where it is none."""
    path = f"/api/v1/namespaces/{namespace}/services/{service['metadata']['name']}"

    def attempt() -> None:
        there = cluster.get(path)
        if there is not None and (owned := given_up(there)) is not None:
            meta = {"resourceVersion": there["metadata"]["resourceVersion"], "managedFields": owned}
            cluster.patch(path, {"metadata": meta}, MERGE)

    until_written(attempt, f"Service {service['metadata']['name']}")


def give_back(cluster: Cluster, namespace: str, services: Iterable[Object]) -> bool:
    """Let every Service find its pods by its own selector again, and give that up as a field of ours.

    :param cluster: the API.
    :param namespace: where.
    :param services: as they were read.
    :returns: whether one of them had another selector.
    """
    given = False
    for service in services:
        if SELECTOR in (service["metadata"].get("annotations") or {}):
            select(cluster, namespace, service, own_selector(service), keep=False)
            given = True
        elif given_up(service) is None:
            continue
        # A write of its own: a process may have died before it.
        _disown(cluster, namespace, service)
    return given


def require_alone(
    cluster: Cluster, namespace: str, service: Object, is_known: Callable[[Object], bool], workload: str, why: str
) -> None:
    """Refuse a Service that also sends requests to the pods of others, who would not get any more.

    :param cluster: the API.
    :param namespace: where.
    :param service: the Service, as it was read.
    :param is_known: whether a pod is of the workload, or of its canary.
    :param workload: kind and name, for the error.
    :param why: what the others would lose, and when, as the end of a sentence.
    :raises TargetRejected: it does.
    """
    pods = cluster.every(f"/api/v1/namespaces/{namespace}/pods", selector_of(own_selector(service)))
    others = [one["metadata"]["name"] for one in pods if not one["metadata"].get("deletionTimestamp")]
    known = {one["metadata"]["name"] for one in pods if is_known(one)}
    if others := sorted(set(others) - known):
        raise TargetRejected(
            f"Service {service['metadata']['name']} sends requests to {', '.join(others[:3])} too, which {workload} "
            f"did not make: {why}.",
            state="nothing was changed.",
            next_step=f"Give the {workload.partition(' ')[0]} a Service of its own.",
        )
