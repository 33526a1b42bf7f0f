"""What works differently on a Deployment from what a person may expect."""

from __future__ import annotations

from airflow_cd.hooks.kubernetes import Object
from airflow_cd.targets.kubernetes.ownership import changed_since, kept_by
from airflow_cd.targets.kubernetes.routing import Routing
from airflow_cd.targets.kubernetes.template import container_of


def notes_of(stable: Object, routing: Routing, released: str, *, image_known: bool, one_by_one: bool) -> list[str]:
    """One sentence each.

    :param stable: the Deployment, as it was read.
    :param routing: how requests come to its pods.
    :param released: name of the container that a release is put into, ``""`` for the first.
    :param image_known: whether the nodes say which image it runs.
    :param one_by_one: whether a drained canary's pods leave the Services one after the other, for want of a right.
    :raises TargetError: the cluster cannot be asked.
    """
    name = stable["metadata"]["name"]
    container = container_of(stable["spec"]["template"], released)
    found = [changed_since(stable, released)]
    if owner := kept_by(stable):
        found.append(f"{owner} keeps Deployment {name}: it must ignore its pod template")
    found.append(routing.kept())
    if not container.get("readinessProbe"):
        found.append(
            f"container {container['name']} of Deployment {name} has no readiness probe: a pod counts as "
            "ready, and gets requests, as soon as its process runs"
        )
    if not image_known:
        found.append(
            f"the nodes do not say which image {container['image']} is: a rollback goes back to its tag, whatever "
            "that means by then"
        )
    if (stable["spec"].get("strategy") or {}).get("type") == "Recreate":
        found.append(
            f"Deployment {name} has the strategy Recreate: the phase of 100 %, and a rollback after it, end all of its "
            "stable pods before new ones are made, so only a canary answers meanwhile"
        )
    if not routing.services:
        found.append(
            f"no Service sends requests to the pods of Deployment {name}, so a drain keeps nothing from a canary: what "
            "it takes by itself, from a queue for example, it takes until its rollback"
        )
    elif one_by_one:
        found.append(
            "the connection may not patch endpointslices, so the pods of a canary leave the traffic one after the "
            "other: the last of them a second later than with that right"
        )
    return [f"{sentence}." for sentence in found if sentence]
