"""Which image an artifact is: a name is resolved once, and means that image from then on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_cd.errors import ArtifactNotFound, TargetRejected
from airflow_cd.targets.docker.engine import Engine
from airflow_cd.targets.docker.host import Box
from airflow_cd.targets.docker.reading import artifact_of


def known_image(artifact: str, boxes: Iterable[Box], remembered: Mapping[str, str]) -> str | None:
    """The image that an artifact has meant here so far; None when it has not been here.

    :param artifact: name of an image.
    :param boxes: the environment's containers on the host, those kept for the way back too.
    :param remembered: as the host remembers it: the image's id, and after a blank its digest in a registry.
    """
    for box in boxes:
        if artifact_of(box) == artifact:
            return str(box["Image"])
    return remembered[artifact].partition(" ")[0] if artifact in remembered else None


def check_image(engine: Engine, artifact: str, known: str | None) -> None:
    """Check that an image is there or can be had, and is the one that its name has meant so far.

    :param engine: the host.
    :param artifact: name of the image.
    :param known: as of :func:`known_image`.
    :raises ArtifactNotFound: it is neither here nor in its registry.
    :raises TargetRejected: the name means another image now.
    """
    here = engine.image(artifact)
    if here is None:
        if known is None or engine.image(known) is None:
            engine.digest_in_registry(artifact)
    elif known is not None and here["Id"] != known:
        raise _moved(artifact, known, str(here["Id"]))


def fetch_image(engine: Engine, artifact: str, known: str | None, remembered: Mapping[str, str]) -> dict[str, str]:
    """Have an image on the host.

    :param engine: the host.
    :param artifact: name of the image.
    :param known: as of :func:`known_image`.
    :param remembered: as the host remembers it.
    :returns: what is to be remembered of it: id and digest by the artifact.
    :raises ArtifactNotFound: it is neither here nor in its registry.
    :raises TargetRejected: what the registry gives for it is another image now.
    """
    image = engine.image(known) if known is not None else engine.image(artifact)
    if image is None:
        digest = remembered.get(artifact, "").partition(" ")[2]
        engine.pull(digest or artifact)
        image = engine.image(digest or artifact)
        if image is None:
            raise ArtifactNotFound(f"image {artifact} was pulled by {engine.settings.title} and is not there.")
        if known is not None and image["Id"] != known:
            raise _moved(artifact, known, str(image["Id"]))
    return {artifact: _to_remember(image)}


def images_there(engine: Engine, boxes: Iterable[Box], remembered: Mapping[str, str]) -> dict[str, str]:
    """What the artifacts of containers mean that no deployment has resolved, so that they mean it afterwards as well.

    :param engine: the host.
    :param boxes: containers that run before a deployment.
    :param remembered: as the host remembers it.
    :returns: what is to be remembered of them, as of :func:`fetch_image`; nothing of a name that means several images.
    """
    meant: dict[str, set[str]] = {}
    for box in boxes:
        meant.setdefault(artifact_of(box), set()).add(str(box["Image"]))
    found = {}
    for artifact, ids in meant.items():
        image = engine.image(next(iter(ids))) if artifact not in remembered and len(ids) == 1 else None
        if image is not None:
            found[artifact] = _to_remember(image)
    return found


def _to_remember(image: Mapping[str, Any]) -> str:
    return " ".join([str(image["Id"]), *(str(digest) for digest in (image.get("RepoDigests") or ())[:1])])


def _moved(artifact: str, known: str, now: str) -> TargetRejected:
    return TargetRejected(
        f"{artifact} means another image now ({now[:19]}) than the one that ran here under this name ({known[:19]}).",
        state="nothing was changed.",
        next_step="Give every build a tag of its own, or deploy by digest (name@sha256:...).",
    )
