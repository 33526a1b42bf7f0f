"""The revisions of a StatefulSet's pod template that the cluster keeps: what its pods run, and what to go back to."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes.names import called, label_selector
from airflow_cd.targets.kubernetes.replicas import owner_of
from airflow_cd.targets.kubernetes.template import Configurations, container_of, running, without_release


def templates_of(cluster: Cluster, namespace: str, stateful_set: Object) -> dict[str, Object]:
    """The pod template of each revision, by its name; the newest last.

    :param cluster: the API.
    :param namespace: where.
    :param stateful_set: as it was read.
    """
    path = f"/apis/apps/v1/namespaces/{namespace}/controllerrevisions"
    listed = cluster.every(path, label_selector(stateful_set["spec"]["selector"]))
    own = [one for one in listed if owner_of(one) == stateful_set["metadata"]["uid"]]
    return {
        one["metadata"]["name"]: _template_in(one) for one in sorted(own, key=lambda one: int(one.get("revision") or 0))
    }


def _template_in(revision: Object) -> Object:
    """The template in a revision, which is a patch that replaces the whole template."""
    template: Object = copy.deepcopy(revision["data"]["spec"]["template"])
    template.pop("$patch", None)
    return template


def template_at(templates: Mapping[str, Object], revision: str, stateful_set: Object) -> Object:
    """The pod template of a revision.

    :param templates: of :func:`templates_of`.
    :param revision: its name.
    :param stateful_set: as it was read.
    :raises TargetRejected: the cluster does not have it any more.
    """
    if revision not in templates:
        raise TargetRejected(
            f"the cluster has no revision {revision} of {called(stateful_set)} any more, which its pods had before the "
            "canary.",
            state="its pod template is as it was.",
            next_step="Give it the template that is to run: kubectl apply -f, or kubectl rollout undo.",
        )
    return templates[revision]


def template_with(
    templates: Mapping[str, Object],
    stateful_set: Object,
    release: Release,
    image: str,
    *,
    container: str,
    configuration: Configurations,
) -> Object | None:
    """The template that ran a release here before, if nothing else in it has changed since.

    Pods that have it need not be replaced.

    :param templates: of :func:`templates_of`.
    :param stateful_set: as it was read.
    :param release: what is to run.
    :param image: what stands for its artifact.
    :param container: name of the container, ``""`` for the first.
    :param configuration: reads the configuration in a Secret.
    """
    now = stateful_set["spec"]["template"]
    bare = _without_image(now, container)
    found = [
        one
        for one in (*templates.values(), now)
        if _without_image(one, container) == bare and running(one, container, configuration).is_of(release)
    ]
    pinned = [one for one in found if container_of(one, container)["image"] == image]
    fitting = pinned or found
    return fitting[-1] if fitting else None


def _without_image(template: Object, container: str) -> Object:
    bare = without_release(template, container)
    chosen = container_of(bare, container)
    chosen["image"] = ""
    meta = bare.get("metadata") or {}
    bare["metadata"] = {name: value for name, value in meta.items() if value}
    return bare
