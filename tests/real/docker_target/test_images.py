"""Images from a registry: pulled when they are needed, by tag or digest, and not needed for the way back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_cd.errors import ArtifactNotFound, TargetUnavailable
from airflow_cd.release import Release
from airflow_cd.targets.rollout import wait_until

from .registry import Registry
from .site import Site

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

OLD = Release("web", "1.0", "web:1.0", {})


def test_images_come_from_the_registry_and_go_back_without_it(
    site: Site, images_of: Registry, tokens: Iterator[int]
) -> None:
    site.run(1)
    target, engine = site.target(), site.engine
    names = {version: f"{images_of.name}/team/web:{version}" for version in ("1.1", "1.0")}
    digests = {}
    for version, name in names.items():
        engine("docker", "tag", f"web:{version}", name)
        engine("docker", "push", "--quiet", name)
        digests[version] = engine("docker", "inspect", "--format", "{{index .RepoDigests 0}}", name).strip()
        engine("docker", "rmi", name)

    for artifact, version in ((names["1.1"], "1.1"), (digests["1.0"], "1.0")):
        release = Release("web", version, artifact, {})
        target.check(release)
        target.deploy(release, ["web-1"], key=artifact, token=next(tokens))
        (instance,) = wait_until(target, {"web-1": release}, timeout=20)
        assert (instance.artifact, site.answers_of("web-1")) == (artifact, version)

    with pytest.raises(ArtifactNotFound, match=f"{images_of.name}/team/web:9"):
        target.check(Release("web", "9", f"{images_of.name}/team/web:9", {}))
    images_of.stop()
    with pytest.raises(TargetUnavailable, match="its registry cannot be asked"):
        target.check(Release("web", "9", f"{images_of.name}/team/web:9", {}))
    # Two releases back, of which nothing is kept but the image.
    for release in (Release("web", "1.1", names["1.1"], {}), OLD):
        target.deploy(release, ["web-1"], key=f"back to {release}", token=next(tokens))
        wait_until(target, {"web-1": release}, timeout=20)
    assert site.answers_of("web-1") == "1.0"
