"""The images of a workload's releases: what stands for an artifact, and whether there is a way back to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from airflow_cd.errors import ArtifactNotFound, TargetUnavailable
from airflow_cd.hooks.kubernetes import MERGE, Cluster, Object
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes.images import (
    digest_elsewhere,
    meanings,
    most,
    pinned,
    remembered,
    require_one_image,
    to_remember,
)
from airflow_cd.targets.kubernetes.names import called_at
from airflow_cd.targets.kubernetes.pulling import Pull, Pulled, pull
from airflow_cd.targets.kubernetes.template import container_of, name_of_container, running
from airflow_cd.targets.kubernetes.writing import until_written

_BEFORE, _RELEASE, _NODE = "before", "release", "node"


class Artifacts:
    """What the artifacts of one Deployment or StatefulSet mean.

    :param cluster: the API.
    :param container: name of the container that a release is put into, ``""`` for the first.
    :param look: whether to find out, before a canary begins, that images can be pulled and which they are.
    """

    def __init__(self, cluster: Cluster, container: str, *, look: bool) -> None:
        self._cluster = cluster
        self._container = container
        self._look = look
        self._found: dict[str, str] = {}
        self._looked: set[str] = set()

    def looks(self, stable: Object) -> bool:
        """Whether images are looked for before a canary begins.

        :param stable: the Deployment, as it was read.
        """
        return self._look and not self._pulls_nothing(stable)

    def known(self, stable: Object, pods: Sequence[Object], *, begun: bool) -> dict[str, str]:
        """By artifact, the digest that it means here.

        :param stable: the Deployment, as it was read.
        :param pods: of both tracks.
        :param begun: whether there is a canary: what was remembered when it began holds until it is over.
        """
        if self._pulls_nothing(stable):
            return {}
        name = name_of_container(stable, self._container)
        now, before = most(meanings(pods, name)), remembered(stable)
        known = {**now, **before} if begun else {**before, **now}
        return {**{name: self._found[name] for name in self._found if name in self._here(stable, pods)}, **known}

    def digest_now(self, stable: Object, pods: Sequence[Object]) -> str | None:
        """The digest of what the stable pods run; None where it is not known.

        :param stable: the Deployment, as it was read.
        :param pods: of both tracks.
        """
        artifact = self.of(stable)
        return artifact.partition("@")[2] or self.known(stable, pods, begun=False).get(artifact)

    def check(self, stable: Object, pods: Sequence[Object], release: Release) -> None:
        """Refuse a release whose image is not there, and one that could not be gone back from; changes nothing.

        :param stable: the Deployment, as it was read.
        :param pods: of its own.
        :param release: the release.
        :raises ArtifactNotFound: its image, or the one that runs now, cannot be pulled.
        :raises TargetRejected: the pods run different images under one name.
        :raises TargetUnavailable: the registry does not answer.
        """
        if self._pulls_nothing(stable):
            return
        require_one_image(stable, pods, name_of_container(stable, self._container))
        if not self._look:
            return
        known = self.known(stable, pods, begun=False)
        before = self.of(stable)
        wanted, guessed = [], self._guess(stable, pods, before)
        if "@" in before or before in known or guessed:
            wanted.append(Pull(_BEFORE, pinned(before, known.get(before, guessed))))
        if release.artifact != before:
            wanted += self._new(stable, release.artifact, known.get(release.artifact))
        found = self._pull(stable, pods, wanted)
        way_back = found.get(_BEFORE, Pulled(None))
        if way_back.there and guessed:
            self._found.setdefault(before, guessed)
        elif way_back.there is False and ("@" in before or before in known):
            _no_way_back(wanted[0].image, way_back)
        self._take(stable, pods, release.artifact, found)

    def image_of(
        self, stable: Object, pods: Sequence[Object], release: Release, known: Mapping[str, str], *, begins: bool
    ) -> str:
        """The image that stands for a release's artifact.

        :param stable: the Deployment, as it was read.
        :param pods: of both tracks.
        :param release: the release.
        :param known: of :meth:`known`.
        :param begins: whether a canary of it is about to begin; a way back never waits for a registry.
        :raises ArtifactNotFound: it is not there.
        :raises TargetUnavailable: the registry does not answer.
        """
        artifact = release.artifact
        if "@" in artifact or artifact in known or self._pulls_nothing(stable):
            return pinned(artifact, known.get(artifact))
        if begins and self._look and artifact not in self._looked:
            self._take(stable, pods, artifact, self._pull(stable, pods, self._new(stable, artifact, None)))
        return pinned(artifact, self._found.get(artifact))

    def of(self, deployment: Object) -> str:
        """The artifact that a Deployment, or a canary, is to run.

        :param deployment: as it was read.
        """
        return running(deployment["spec"]["template"], self._container, lambda secret: {}).artifact

    def remember(
        self, read: Callable[[], Object], path: str, known: Mapping[str, str], artifact: str, image: str
    ) -> None:
        """Write down what artifacts mean, before anything else is changed.

        :param read: reads the Deployment.
        :param path: of its URL.
        :param known: of :meth:`known`.
        :param artifact: of the release that is about to run.
        :param image: what stands for it.
        """
        digest = image.partition("@")[2]
        more = {artifact: digest} if digest and "@" not in artifact else {}
        self._write(read, path, lambda before: {**before, **known, **more})

    def forget(self, read: Callable[[], Object], path: str, artifact: str) -> None:
        """Forget what an artifact has meant: somebody may have built it anew by the time it is deployed again.

        :param read: reads the Deployment.
        :param path: of its URL.
        :param artifact: one that was rolled back.
        """
        self._write(read, path, lambda before: {name: before[name] for name in before if name != artifact})

    # -- inside --------------------------------------------------------------------------------------------------

    def _write(self, read: Callable[[], Object], path: str, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
        def attempt() -> None:
            stable = read()
            if (after := change(before := remembered(stable))) != before:
                meta = {"resourceVersion": stable["metadata"]["resourceVersion"], "annotations": to_remember(after)}
                self._cluster.patch(path, {"metadata": meta}, MERGE)

        until_written(attempt, called_at(path))

    def _pulls_nothing(self, stable: Object) -> bool:
        return container_of(stable["spec"]["template"], self._container).get("imagePullPolicy") == "Never"

    def _new(self, stable: Object, artifact: str, digest: str | None) -> list[Pull]:
        wanted = [Pull(_RELEASE, pinned(artifact, digest))]
        if container_of(stable["spec"]["template"], self._container).get("imagePullPolicy") != "Always":
            # Images may have been put onto the nodes by hand, and be in no registry.
            wanted.append(Pull(_NODE, pinned(artifact, digest), "IfNotPresent"))
        return wanted

    def _pull(self, stable: Object, pods: Sequence[Object], wanted: Sequence[Pull]) -> dict[str, Pulled]:
        if not wanted:
            return {}
        node = next((str(pod["spec"]["nodeName"]) for pod in pods if pod["spec"].get("nodeName")), "")
        found = pull(self._cluster, stable, self._container, wanted, node=node)
        return {one.name: pulled for one, pulled in zip(wanted, found, strict=True)}

    def _here(self, stable: Object, pods: Sequence[Object]) -> set[str]:
        """The artifacts that run here."""
        name = name_of_container(stable, self._container)
        return {running(pod, name, lambda secret: {}).artifact for pod in pods}

    def _guess(self, stable: Object, pods: Sequence[Object], artifact: str) -> str | None:
        """The digest that an artifact may have, since its image has it in another repository."""
        name = name_of_container(stable, self._container)
        of_it = [one for one in pods if running(one, name, lambda secret: {}).artifact == artifact]
        found = {digest_elsewhere(pod, name) for pod in of_it}
        return found.pop() if len(found) == 1 else None

    def _take(self, stable: Object, pods: Sequence[Object], artifact: str, found: Mapping[str, Pulled]) -> None:
        """Remember what stands for an artifact, or refuse it."""
        asked, here = found.get(_RELEASE, Pulled(None)), found.get(_NODE, Pulled(False))
        if asked.there is False and here.there is False:
            if asked.absent:
                raise ArtifactNotFound(
                    f"image {artifact} cannot be pulled: {asked.why}.",
                    state="nothing was changed.",
                    next_step="Push it, or correct the pipeline's artifact; the service account of its pods "
                    "needs the registry's credentials.",
                )
            raise TargetUnavailable(
                f"image {artifact} cannot be pulled now: {asked.why}.",
                state="nothing was changed.",
                next_step="Check the registry, and the nodes' way to it.",
            )
        self._looked.add(artifact)
        best = asked if asked.there else here
        digest = best.digest
        if digest is None and best.elsewhere is not None:
            wanted = [Pull(_RELEASE, pinned(artifact, best.elsewhere))]
            digest = best.elsewhere if self._pull(stable, pods, wanted)[_RELEASE].there else None
        if digest is not None:
            self._found[artifact] = digest


def _no_way_back(image: str, found: Pulled) -> NoReturn:
    if found.absent:
        raise ArtifactNotFound(
            f"the image that runs now, {image}, cannot be pulled any more: {found.why}. A pod of it that moves to "
            "another node would not start, and a rollback neither.",
            state="nothing was changed.",
            next_step="Push that image again; or go on without a way back: KubernetesTarget(..., pull_check=False).",
        )
    raise TargetUnavailable(
        f"whether the image that runs now, {image}, could be gone back to is not known: {found.why}.",
        state="nothing was changed.",
        next_step="Check the registry, and the nodes' way to it.",
    )
