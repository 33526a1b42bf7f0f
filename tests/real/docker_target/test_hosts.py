"""An environment on several Docker hosts; here one daemon, reached by two connections with containers of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_cd.errors import TargetConflict, TargetRejected, TargetUnavailable
from airflow_cd.targets import DockerTarget
from airflow_cd.targets.rollout import wait_until

from .site import LABEL, Site, release

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

HERE, THERE = "docker_eu1", "docker_us1"


@pytest.fixture
def target(site: Site) -> Iterator[DockerTarget]:
    site.run(2)
    site.connection(HERE, containers=[f"label={LABEL}", "name=web-1"])
    site.connection(THERE, containers=[f"label={LABEL}", "name=web-2"])
    yield DockerTarget(HERE, "production", hosts=[THERE], settle=0.5)
    site.clear()


def test_instances_have_their_hosts_name_and_each_is_changed_alone(
    target: DockerTarget, site: Site, tokens: Iterator[int]
) -> None:
    assert [one.name for one in target.instances()] == ["eu1/web-1", "us1/web-2"]
    target.check(release("1.1"))
    token = next(tokens)
    target.deploy(release("1.1"), ["us1/web-2"], key="deploy", token=token)
    wait_until(target, {"eu1/web-1": release("1.0"), "us1/web-2": release("1.1")}, timeout=20)
    assert (site.answers_of("web-1"), site.answers_of("web-2")) == ("1.0", "1.1")
    with pytest.raises(TargetRejected, match="no container web-2"):
        target.deploy(release("1.1"), ["web-2"], key="other", token=token)
    with pytest.raises(TargetConflict):
        target.drain(["eu1/web-1"], key="late", token=token - 1)


def test_a_host_that_is_away_is_not_left_out_and_keeps_no_other_from_being_drained(
    target: DockerTarget, site: Site, tokens: Iterator[int]
) -> None:
    site.connection(THERE, docker_url="tcp://127.0.0.1:1", containers="name=web-2")
    with pytest.raises(TargetUnavailable, match="docker_us1"):
        target.instances()
    target.drain(["eu1/web-1"], key="drain", token=next(tokens))
    assert not site.inspect("web-1")["State"]["Running"]
