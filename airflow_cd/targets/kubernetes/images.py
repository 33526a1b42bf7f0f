"""Which image an artifact is: tags move, so what its pods really run is remembered, and deployed, by digest.

A name is resolved once, when its canary begins, and means that image from then on; the way back goes to the digest that
ran before.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import Object
from airflow_cd.targets.kubernetes.names import IMAGES, called, kind_of
from airflow_cd.targets.kubernetes.template import container_of, running

_KEPT = 20
"""Artifacts that a Deployment remembers the digests of."""
_HUB = "docker.io"


def digest_of(pod: Object, container: str) -> str | None:
    """The digest of the image that a pod really runs; None where the node does not say it or pulls no images.

    :param pod: as the API lists it.
    :param container: name of the container, ``""`` for the first.
    """
    image, place, digest = _runs(pod, container)
    # The same image may have been pulled from elsewhere too, under another digest.
    return digest if digest and repository_of(place) == repository_of(image) else None


def digest_elsewhere(pod: Object, container: str) -> str | None:
    """The digest of a pod's image in another repository, where the node names that one instead.

    An image that is copied from one repository to another keeps its digest; whether this one was is still to be seen.

    :param pod: as the API lists it.
    :param container: name of the container, ``""`` for the first.
    """
    image, place, digest = _runs(pod, container)
    return digest if digest and repository_of(place) != repository_of(image) else None


def _runs(pod: Object, container: str) -> tuple[str, str, str]:
    """The image, and the repository and digest that the node names for it."""
    wanted = container_of(pod, container)
    image = str(wanted["image"])
    if wanted.get("imagePullPolicy") != "Never":
        for one in (pod.get("status") or {}).get("containerStatuses") or ():
            if one["name"] == wanted["name"]:
                place, _, digest = str(one.get("imageID") or "").rpartition("://")[2].partition("@")
                return image, place, digest
    return image, "", ""


def repository_of(image: str) -> str:
    """The repository of an image, its registry included.

    :param image: as a container names it.
    """
    name = image.partition("@")[0]
    place, _, last = name.rpartition("/")
    name = f"{place}/{last.partition(':')[0]}" if place else last.partition(":")[0]
    first = name.partition("/")[0]
    if "/" not in name:
        return f"{_HUB}/library/{name}"
    return name if "." in first or ":" in first or first == "localhost" else f"{_HUB}/{name}"


def pinned(artifact: str, digest: str | None) -> str:
    """An artifact with the digest that it stands for; unchanged where none is known or it has one.

    :param artifact: name of an image.
    :param digest: such as ``sha256:...``.
    """
    return artifact if digest is None or "@" in artifact else f"{artifact}@{digest}"


def remembered(deployment: Object) -> dict[str, str]:
    """By artifact, the digest that it has meant here.

    :param deployment: as it was read.
    """
    written = (deployment["metadata"].get("annotations") or {}).get(IMAGES)
    found: dict[str, str] = json.loads(written) if written else {}
    return found


def to_remember(known: Mapping[str, str]) -> dict[str, str]:
    """The annotation of what artifacts mean.

    :param known: digest by artifact, the newest last.
    """
    return {IMAGES: json.dumps(dict(list(known.items())[-_KEPT:]))}


def meanings(pods: Iterable[Object], container: str) -> dict[str, Counter[str]]:
    """By artifact, the digests that pods run under its name, with how many do.

    :param pods: as the API lists them.
    :param container: name of the container, ``""`` for the first.
    """
    found: dict[str, Counter[str]] = {}
    for pod in pods:
        artifact = running(pod, container, lambda secret: {}).artifact
        digest = digest_of(pod, container)
        if digest is not None and "@" not in artifact:
            found.setdefault(artifact, Counter())[digest] += 1
    return found


def most(meaning: Mapping[str, Counter[str]]) -> dict[str, str]:
    """By artifact, the digest that most pods run.

    :param meaning: as of :func:`meanings`.
    """
    return {artifact: counted.most_common(1)[0][0] for artifact, counted in meaning.items()}


def require_one_image(deployment: Object, pods: Iterable[Object], container: str) -> None:
    """Refuse a Deployment whose pods run different images under one name.

    :param deployment: as it was read.
    :param pods: its own.
    :param container: name of the container, ``""`` for the first.
    :raises TargetRejected: they do.
    """
    for artifact, counted in meanings(pods, container).items():
        if len(counted) > 1:
            resource = f"{kind_of(deployment).lower()} {deployment['metadata']['name']}"
            listed = ", ".join(f"{count} run {digest[:19]}" for digest, count in counted.most_common())
            raise TargetRejected(
                f"the pods of {called(deployment)} run different images under the name {artifact}: {listed}. Its "
                "tag was moved while they came and went.",
                state="nothing was changed.",
                next_step=f"Bring them to one image first: kubectl rollout restart {resource}, or name "
                "the image by its digest. Give every build a tag of its own.",
            )
