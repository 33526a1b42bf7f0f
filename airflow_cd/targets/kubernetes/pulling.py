"""Whether images can be pulled, and which they are, as the cluster itself finds out.

A pod is made whose containers name a command that no image has: their images are pulled with the rights, mirrors and
credentials of the Deployment's own pods, and nothing of them ever runs. No registry is asked from here.
"""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_cd.errors import TargetRejected, TargetUnauthorized
from airflow_cd.hooks.kubernetes import Cluster, Conflict, Object
from airflow_cd.targets.kubernetes.health import ABSENT
from airflow_cd.targets.kubernetes.images import digest_elsewhere, digest_of
from airflow_cd.targets.kubernetes.names import PULLS, kind_of
from airflow_cd.targets.kubernetes.template import container_of, without_release

_WITHIN = 120.0
"""Seconds that pulling may take; a pod that is left over ends by itself then."""
_SCHEDULED_WITHIN = 10.0
_POLL = 0.1
_COMMAND = "/airflow-cd-pulls-and-runs-nothing"
_COPIED = (
    *("serviceAccountName", "imagePullSecrets", "nodeSelector", "tolerations", "securityContext"),
    *("schedulerName", "runtimeClassName", "priorityClassName", "os"),
)
"""The fields of a pod that decide where it is put and what may be pulled there."""
_REFUSED = {"ErrImagePull", "ErrImageNeverPull", "ImagePullBackOff", "InvalidImageName", "RegistryUnavailable"}


@dataclass(frozen=True)
class Pull:
    """An image that is to be pulled.

    :param name: unique among those that are pulled together.
    :param image: as a container would name it.
    :param policy: *Always* asks its registry, *IfNotPresent* only where the node does not have it.
    """

    name: str
    image: str
    policy: str = "Always"


@dataclass(frozen=True)
class Pulled:
    """What came of a pull.

    :param there: whether the image can be had; None where the cluster has not said.
    :param digest: of the image, where the node says it.
    :param elsewhere: its digest in another repository, where the node names that one instead.
    :param why: why it cannot be had, in the node's words.
    """

    there: bool | None
    digest: str | None = None
    elsewhere: str | None = None
    why: str = ""

    @property
    def absent(self) -> bool:
        """Whether the registry does not have it, or does not give it; then waiting does not help."""
        return self.there is False and any(word in self.why.lower() for word in ABSENT)


def pull(cluster: Cluster, stable: Object, container: str, wanted: Sequence[Pull], *, node: str = "") -> list[Pulled]:
    """Pull images, without running any.

    :param cluster: the API.
    :param stable: the Deployment, as it was read.
    :param container: name of the container that a release is put into, ``""`` for the first.
    :param wanted: the images.
    :param node: name of a node that already has some of them and is preferred.
    :returns: what came of each, in the same order; nothing is known where the cluster refuses the pod.
    """
    unknown = [Pulled(None)] * len(wanted)
    path = f"/api/v1/namespaces/{stable['metadata']['namespace']}/pods"
    name = stable["metadata"]["name"]
    for left in cluster.every(path, f"{PULLS}={name}"):
        if (left.get("status") or {}).get("phase") == "Failed":
            cluster.delete(f"{path}/{left['metadata']['name']}")
    try:
        made = cluster.create(path, _pod(stable, container, wanted, node))
    except (TargetRejected, TargetUnauthorized):
        # A policy or quota of the cluster, which may let the canary's own pods through.
        return unknown
    try:
        return _watch(cluster, f"{path}/{made['metadata']['name']}", wanted)
    finally:
        with contextlib.suppress(Conflict):
            cluster.delete(f"{path}/{made['metadata']['name']}")


def _watch(cluster: Cluster, path: str, wanted: Sequence[Pull]) -> list[Pulled]:
    began = time.monotonic()
    found = [Pulled(None)] * len(wanted)
    while (waited := time.monotonic() - began) < _WITHIN:
        pod = cluster.get(path)
        if pod is None:
            break
        found = [_pulled(pod, one) for one in wanted]
        scheduled = bool(pod["spec"].get("nodeName"))
        over = (pod.get("status") or {}).get("phase") == "Failed"
        if all(one.there is not None for one in found) or over or (not scheduled and waited > _SCHEDULED_WITHIN):
            break
        time.sleep(_POLL)
    return found


def _pulled(pod: Object, wanted: Pull) -> Pulled:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    one = next((one for one in statuses if one["name"] == wanted.name), None)
    if one is None:
        return Pulled(None)
    if one.get("imageID"):
        return Pulled(True, digest_of(pod, wanted.name), digest_elsewhere(pod, wanted.name))
    waiting = (one.get("state") or {}).get("waiting") or {}
    reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    if reason in _REFUSED:
        return Pulled(False, why=" ".join(message.split()) or reason)
    # Where its container cannot be made for another reason, the image was pulled.
    return Pulled(True if reason.startswith(("CreateContainer", "RunContainer")) else None)


def _pod(stable: Object, container: str, wanted: Sequence[Pull], node: str) -> Object:
    name = stable["metadata"]["name"]
    template = without_release(stable["spec"]["template"], container)
    theirs = container_of(template, container)
    resources = copy.deepcopy(theirs.get("resources") or {})
    # A quota may demand requests; nothing runs, so the least will do.
    least = {"cpu": "1m", "memory": "1Mi", "ephemeral-storage": "1Mi"}
    resources["requests"] = {key: least.get(key, value) for key, value in (resources.get("requests") or {}).items()}
    kept = {key: theirs[key] for key in ("securityContext",) if key in theirs}
    containers = [
        {
            "name": one.name,
            "image": one.image,
            "imagePullPolicy": one.policy,
            "command": [_COMMAND],
            "resources": resources,
            **kept,
        }
        for one in wanted
    ]
    spec = {key: template["spec"][key] for key in _COPIED if key in template["spec"]}
    spec |= {
        "containers": containers,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "activeDeadlineSeconds": int(_WITHIN),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
    }
    on_nodes = (template["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    if node:
        here = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
        preferred = [{"weight": 100, "preference": here}]
        on_nodes = {**on_nodes, "preferredDuringSchedulingIgnoredDuringExecution": preferred}
    if on_nodes:
        spec["affinity"] = {"nodeAffinity": on_nodes}
    owner = {"apiVersion": "apps/v1", "kind": kind_of(stable), "name": name, "uid": stable["metadata"]["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{name[:40]}-pulls-",
            "labels": {PULLS: name},
            "ownerReferences": [owner],
        },
        "spec": spec,
    }
