"""A release in a pod template: put there, and read back."""

from __future__ import annotations

import copy
import json
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import Object
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes.configuration import files_of, variables_of
from airflow_cd.targets.kubernetes.names import ARTIFACT, CONFIGURATION, FILES, IMAGE, POLICY, REPLACED, VERSION

_MODE = 0o644
"""Mode of a release's files: what the API fills in, so that a template is read as it was written."""
_OURS = (ARTIFACT, VERSION, IMAGE, CONFIGURATION, POLICY, REPLACED)

Configurations = Callable[[str], "Mapping[str, Any] | None"]
"""Reads the configuration in a Secret, by its name; None where that is gone."""


@dataclass(frozen=True)
class Running:
    """What the pods of a template run, by the template.

    :param artifact: as its release names it, else the image.
    :param version: of the release, else the image's tag; None without one.
    :param configuration: of the release; none where Airflow CD has given none.
    :param image: of the container.
    """

    artifact: str
    version: str | None
    configuration: Mapping[str, Any]
    image: str

    def is_of(self, release: Release) -> bool:
        """Whether it is exactly a release.

        :param release: artifact and configuration.
        """
        return self.artifact == release.artifact and dict(self.configuration) == dict(release.configuration)


def container_of(template: Object, name: str) -> Object:
    """The container that a release is put into.

    :param template: a pod template, or a pod.
    :param name: its name; ``""`` for the first.
    :raises KeyError: there is none of that name.
    """
    containers: list[Object] = template["spec"].get("containers") or []
    for one in containers:
        if not name or one["name"] == name:
            return one
    raise KeyError(name)


def name_of_container(deployment: Object, name: str) -> str:
    """The name of the container that a release is put into; in a pod, others may stand before it.

    :param deployment: as it was read.
    :param name: as the target was told; ``""`` for the first of its pod template.
    """
    return str(container_of(deployment["spec"]["template"], name)["name"])


def with_release(template: Object, release: Release, image: str, *, secret: str, container: str) -> Object:
    """The template with another release; everything else stays as it is.

    :param template: the pod template; it is not changed.
    :param release: what is to run.
    :param image: what stands for its artifact.
    :param secret: name of the Secret that holds its configuration; of no meaning where it has none.
    :param container: name of the container, ``""`` for the first.
    """
    changed = without_release(template, container)
    annotations = changed.setdefault("metadata", {}).setdefault("annotations", {})
    annotations |= {ARTIFACT: release.artifact, VERSION: release.version, IMAGE: image}
    chosen = container_of(changed, container)
    chosen["image"] = image
    if image != release.artifact and chosen.get("imagePullPolicy") == "Always":
        # No registry has to be asked what a digest means, and one that is down must not keep a pod from going back.
        annotations[POLICY], chosen["imagePullPolicy"] = "Always", "IfNotPresent"
    if not release.configuration:
        return changed
    annotations[CONFIGURATION] = secret
    variables = variables_of(release.configuration, secret)
    given = {one["name"] for one in variables}
    theirs = chosen.get("env") or []
    if replaced := [(place, one) for place, one in enumerate(theirs) if one["name"] in given]:
        annotations[REPLACED] = json.dumps(replaced)
    chosen["env"] = [*(one for one in theirs if one["name"] not in given), *variables]
    files = files_of(release.configuration)
    if files:
        volumes = changed["spec"].get("volumes") or []
        changed["spec"]["volumes"] = [*volumes, {"name": FILES, "secret": {"secretName": secret, "defaultMode": _MODE}}]
        mounts = [{"name": FILES, "mountPath": path, "subPath": key, "readOnly": True} for path, key in files.items()]
        chosen["volumeMounts"] = [*(chosen.get("volumeMounts") or ()), *mounts]
    return changed


def require_free_paths(template: Object, release: Release, *, container: str) -> None:
    """Refuse a file of a release at a path where the container already has something mounted.

    :param template: the pod template, with a release of ours or without.
    :param release: what is to run.
    :param container: name of the container, ``""`` for the first.
    :raises TargetRejected: names every such path, and its volume.
    """
    chosen = container_of(without_release(template, container), container)
    mounted = {posixpath.normpath(one["mountPath"]): one["name"] for one in chosen.get("volumeMounts") or ()}
    mounted |= {posixpath.normpath(one["devicePath"]): one["name"] for one in chosen.get("volumeDevices") or ()}
    paths = {path: mounted.get(posixpath.normpath(path)) for path in files_of(release.configuration)}
    taken = [f"{path} (volume {volume})" for path, volume in paths.items() if volume is not None]
    if taken:
        raise TargetRejected(
            f"container {chosen['name']} has something mounted at {', '.join(taken)} already, where the configuration "
            "has a file.",
            state="nothing was changed.",
            next_step="Take the mount out of the pod template, or the key out of the configuration.",
        )


def without_release(template: Object, container: str) -> Object:
    """The template without what a release of ours has put there, except for the image.

    :param template: the pod template; it is not changed.
    :param container: name of the container, ``""`` for the first.
    """
    bare = copy.deepcopy(template)
    annotations = (bare.get("metadata") or {}).get("annotations") or {}
    if policy := annotations.get(POLICY):
        container_of(bare, container)["imagePullPolicy"] = policy
    secret, replaced = annotations.get(CONFIGURATION), json.loads(annotations.get(REPLACED) or "[]")
    for name in _OURS:
        annotations.pop(name, None)
    if not annotations:
        (bare.get("metadata") or {}).pop("annotations", None)
    if not secret:
        return bare
    chosen = container_of(bare, container)
    theirs = [one for one in chosen.get("env") or () if _source(one) != secret]
    for place, one in replaced:
        theirs.insert(place, one)  # a variable may refer to one that stands before it
    mounts = [one for one in chosen.get("volumeMounts") or () if one["name"] != FILES]
    volumes = [one for one in bare["spec"].get("volumes") or () if one["name"] != FILES]
    for of, name, left in (
        (chosen, "env", theirs),
        (chosen, "volumeMounts", mounts),
        (bare["spec"], "volumes", volumes),
    ):
        of[name] = left
        if not left:
            del of[name]  # the API leaves out what is empty
    return bare


def running(template: Object, container: str, read: Configurations) -> Running:
    """What the pods of a template run.

    :param template: a pod template, or a pod.
    :param container: name of the container, ``""`` for the first.
    :param read: reads the configuration that its release has.
    """
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    image = str(container_of(template, container)["image"])
    ours = annotations.get(IMAGE) == image
    artifact = annotations.get(ARTIFACT, image) if ours else image
    version = annotations.get(VERSION) if ours else tag_of(image)
    secret = annotations.get(CONFIGURATION)
    configuration = read(secret) if secret else {}
    if configuration is None:
        configuration = {CONFIGURATION: f"the Secret {secret} is gone"}
    return Running(artifact, version, configuration, image)


def tag_of(image: str) -> str | None:
    """The tag of an image, or the beginning of its digest; None where it has neither.

    :param image: as a container names it.
    """
    name, _, digest = image.partition("@")
    tag = re.search(r":([^/:]+)$", name)
    return tag.group(1) if tag else digest.removeprefix("sha256:")[:12] or None


def _source(variable: Object) -> str | None:
    reference = (variable.get("valueFrom") or {}).get("secretKeyRef") or {}
    found: str | None = reference.get("name")
    return found
