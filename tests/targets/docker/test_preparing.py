"""What stands in the way of a deployment is said before any container is touched."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_cd.errors import ArtifactNotFound, TargetRejected
from airflow_cd.release import Release
from airflow_cd.targets.docker.images import check_image, fetch_image, images_there, known_image
from airflow_cd.targets.docker.preparing import boxes_of, every, notes, require_replaceable, require_representable
from tests.targets.docker.engine_in_memory import Containers, host_of

RELEASE = Release("web", "1.1", "web:1.1", {"TIMEOUT": 1})


class Images:
    """A host's images by name and id, and those that its registry gives."""

    def __init__(self, here: dict[str, str], registry: dict[str, str] | None = None) -> None:
        self.here, self.registry, self.pulled = here, registry or {}, []

    settings = type("Settings", (), {"title": "the Docker host"})

    def image(self, name: str) -> dict[str, Any] | None:
        found = self.here.get(name, name if name in self.here.values() else None)
        return {"Id": found, "RepoDigests": [f"web@{found}"]} if found else None

    def digest_in_registry(self, name: str) -> str:
        if name not in self.registry:
            raise ArtifactNotFound(f"there is no {name}.")
        return self.registry[name]

    def pull(self, name: str) -> None:
        self.here[name] = self.digest_in_registry(name)
        self.pulled.append(name)


def test_a_container_in_whose_network_another_lives_is_not_replaced() -> None:
    containers = Containers()
    made = containers.add("web-1")
    sidecar = containers.add("logs-1")
    host = host_of(containers)
    boxes = boxes_of(host, host.slots().values())
    require_replaceable(host, boxes, RELEASE)
    containers.boxes[sidecar]["HostConfig"]["NetworkMode"] = f"container:{made}"
    with pytest.raises(TargetRejected, match="web-1 shares its network with logs-1, which would lose it") as caught:
        require_replaceable(host, boxes, RELEASE)
    assert caught.value.instances == ("web-1",)


def test_a_health_check_that_says_so_late_is_told_of() -> None:
    containers = Containers()
    made = containers.add("web-1")
    host = host_of(containers)
    host.__dict__["settings"] = SimpleNamespace(conn_id="docker_production")
    containers.boxes[made]["Config"]["Healthcheck"] = {"Test": ["CMD", "true"], "Interval": 10**9, "Timeout": 10**9}
    assert not [note for note in notes(host, 3.0) if "health check" in note]
    containers.boxes[made]["Config"]["Healthcheck"]["StartPeriod"] = 90 * 10**9
    (said,) = [note for note in notes(host, 3.0) if "health check" in note]
    assert "only after 6 s that it is not healthy any more, and after 96 s that it does not come up" in said


def test_what_no_container_can_have_is_refused_with_its_keys() -> None:
    with pytest.raises(TargetRejected, match="'A=B' cannot be the name"):
        require_representable(Release("web", "1", "web:1", {"A=B": "x"}))
    with pytest.raises(ArtifactNotFound, match="no name of an image"):
        require_representable(Release("web", "1", "web: 1", {}))


def test_an_artifact_means_what_runs_under_its_name_then_what_is_remembered() -> None:
    containers = Containers()
    containers.add("web-1", image="web:1.0")
    host = host_of(containers)
    boxes = every(boxes_of(host, host.slots().values()))
    remembered = {"web:1.0": "other", "web:0.9": "sha256:9 web@sha256:99"}
    assert known_image("web:1.0", boxes, remembered) == "id of web:1.0"
    assert known_image("web:0.9", boxes, remembered) == "sha256:9"
    assert known_image("web:2.0", boxes, remembered) is None


def test_a_tag_that_was_moved_is_refused_with_both_images() -> None:
    with pytest.raises(TargetRejected, match=r"means another image now .sha256:b.*sha256:a"):
        check_image(Images({"web:1.0": "sha256:b"}), "web:1.0", "sha256:a")  # type: ignore[arg-type]
    # What is known is there, whatever became of its name.
    check_image(Images({"x": "sha256:a"}), "web:1.0", "sha256:a")  # type: ignore[arg-type]
    with pytest.raises(ArtifactNotFound):
        check_image(Images({}), "web:1.0", None)  # type: ignore[arg-type]


def test_what_was_taken_over_keeps_its_image_when_its_containers_are_gone() -> None:
    containers = Containers()
    for name, image in (("web-1", "web:1.0"), ("web-2", "web:1.0"), ("web-3", "web:1.1")):
        containers.add(name, image=image)
    host = host_of(containers)
    boxes = every(boxes_of(host, host.slots().values()))
    boxes = [{**box, "Image": "sha256:" + box["Image"][-3:]} for box in boxes]
    images = Images({"web:1.0": "sha256:1.0", "web:1.1": "sha256:1.1"})
    found = images_there(images, boxes, {"web:1.1": "known"})  # type: ignore[arg-type]
    assert found == {"web:1.0": "sha256:1.0 web@sha256:1.0"}
    assert known_image("web:1.0", [], found) == "sha256:1.0"
    # Which of two images a name means, nothing says.
    other = {**boxes[0], "Image": "sha256:another"}
    assert images_there(images, [*boxes[:1], other], {}) == {}  # type: ignore[arg-type]


def test_an_image_that_is_not_there_any_more_is_pulled_by_its_digest() -> None:
    images = Images({}, {"web@sha256:99": "sha256:9"})
    remembered = {"web:0.9": "sha256:9 web@sha256:99"}
    fetched = fetch_image(images, "web:0.9", "sha256:9", remembered)  # type: ignore[arg-type]
    assert (images.pulled, fetched["web:0.9"].partition(" ")[0]) == (["web@sha256:99"], "sha256:9")
    moved = Images({}, {"web:1.0": "sha256:b"})
    with pytest.raises(TargetRejected, match="means another image now"):
        fetch_image(moved, "web:1.0", "sha256:a", {})  # type: ignore[arg-type]
