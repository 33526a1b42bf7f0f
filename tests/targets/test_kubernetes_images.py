"""Images by digest: what a pod really runs, what its name stands for, and a template that goes back to it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_cd.errors import TargetRejected
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes.images import (
    digest_of,
    meanings,
    most,
    pinned,
    remembered,
    repository_of,
    require_one_image,
    to_remember,
)
from airflow_cd.targets.kubernetes.template import running, with_release, without_release

OLD, NEW = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


def pod(image: str, image_id: str, policy: str = "Always") -> dict[str, Any]:
    return {
        "metadata": {"name": "web-1"},
        "spec": {"containers": [{"name": "web", "image": image, "imagePullPolicy": policy}]},
        "status": {"containerStatuses": [{"name": "web", "image": image, "imageID": image_id}]},
    }


@pytest.mark.parametrize(
    ("image", "image_id", "digest"),
    [
        ("registry:5000/shop/web:1.0", f"registry:5000/shop/web@{OLD}", OLD),
        ("registry:5000/shop/web:1.0", f"docker-pullable://registry:5000/shop/web@{OLD}", OLD),
        ("nginx:1.27", f"docker.io/library/nginx@{OLD}", OLD),
        ("team/web", f"docker.io/team/web@{OLD}", OLD),
        ("registry:5000/shop/web:1.0", OLD, None),
        ("registry:5000/shop/web:1.0", f"elsewhere:5000/shop/web@{OLD}", None),
        ("registry:5000/shop/web:1.0", "", None),
    ],
    ids=["a registry", "as Docker says it", "the hub", "the hub, a team", "imported", "from elsewhere", "not yet"],
)
def test_what_a_pod_runs_is_known_by_digest(image: str, image_id: str, digest: str | None) -> None:
    assert digest_of(pod(image, image_id), "web") == digest


def test_an_image_that_is_never_pulled_has_no_digest_to_go_back_to() -> None:
    assert digest_of(pod("registry:5000/web:1", f"registry:5000/web@{OLD}", "Never"), "web") is None


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        ("web", "docker.io/library/web"),
        ("web:1.0", "docker.io/library/web"),
        ("localhost/web:1.0", "localhost/web"),
        (f"registry:5000/web:1@{OLD}", "registry:5000/web"),
        ("ghcr.io/team/web", "ghcr.io/team/web"),
    ],
)
def test_a_repository_is_what_is_left_without_tag_and_digest(image: str, repository: str) -> None:
    assert repository_of(image) == repository


def test_a_release_is_read_back_by_its_artifact_whatever_digest_stands_for_it() -> None:
    release = Release("web", "1.0", "registry:5000/web:1.0", {})
    template = {"spec": {"containers": [{"name": "web", "image": "registry:5000/web:0.9"}]}}
    image = pinned(release.artifact, OLD)
    assert image == f"registry:5000/web:1.0@{OLD}"
    found = running(with_release(template, release, image, secret="web-cd-1", container=""), "", lambda name: {})
    assert (found.artifact, found.version, found.image) == (release.artifact, "1.0", image)
    assert pinned(f"registry:5000/web@{NEW}", OLD) == f"registry:5000/web@{NEW}"


@pytest.mark.parametrize("policy", ["Always", "IfNotPresent", None])
def test_a_digest_needs_no_registry_and_the_pull_policy_comes_back(policy: str | None) -> None:
    container = {"name": "web", "image": "web:0.9"} | ({"imagePullPolicy": policy} if policy else {})
    template = {"metadata": {"annotations": {}}, "spec": {"containers": [container]}}
    release = Release("web", "1.0", "web:1.0", {})
    given = with_release(template, release, pinned("web:1.0", OLD), secret="web-cd-1", container="")
    assert given["spec"]["containers"][0].get("imagePullPolicy") == ("IfNotPresent" if policy else None)
    again = with_release(given, release, pinned("web:1.0", NEW), secret="web-cd-1", container="")
    after = without_release(again, "")["spec"]["containers"][0]
    assert after.get("imagePullPolicy") == policy
    by_tag = with_release(template, release, "web:1.0", secret="web-cd-1", container="")
    assert by_tag["spec"]["containers"][0].get("imagePullPolicy") == policy


def test_pods_that_run_different_images_under_one_name_are_counted_and_refused() -> None:
    pods = [pod("registry:5000/web:1", f"registry:5000/web@{digest}") for digest in (OLD, OLD, NEW)]
    assert most(meanings(pods, "")) == {"registry:5000/web:1": OLD}
    require_one_image({"metadata": {"name": "web"}}, pods[:2], "")
    with pytest.raises(TargetRejected, match=r"registry:5000/web:1: 2 run sha256:aaaaaaaaaaaa, 1 run sha256:bbbb"):
        require_one_image({"metadata": {"name": "web"}}, pods, "")


def test_what_names_mean_is_remembered_the_newest_longest() -> None:
    many = {f"web:{number}": OLD for number in range(50)} | {"web:last": NEW}
    kept = remembered({"metadata": {"annotations": to_remember(many)}})
    assert kept["web:last"] == NEW
    assert "web:0" not in kept
    assert remembered({"metadata": {}}) == {}
