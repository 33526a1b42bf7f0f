"""What is otherwise where nothing divides the traffic."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from airflow_cd.targets.rollout import wait_until

from .site import Site, release

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]


def test_without_a_router_a_drained_container_is_stopped(site: Site, tokens: Iterator[int]) -> None:
    site.run(2)
    target = site.target()
    url = f"http://{site.address('web-1')}:8000"
    assert httpx.get(url).json()["version"] == "1.0"
    token = next(tokens)
    for _ in range(2):
        target.drain(["web-1"], key="drain", token=token)
    with pytest.raises(httpx.TransportError):
        httpx.get(url, timeout=1)
    assert [(one.name, one.drained) for one in target.instances()] == [("web-1", True), ("web-2", False)]
    assert site.answers_of("web-2") == "1.0"
    target.restore(["web-1"], key="restore", token=token)
    wait_until(target, dict.fromkeys(site.names, release("1.0")), timeout=10)
    # Repeated late, it takes the traffic away no more.
    target.drain(["web-1"], key="drain", token=token)
    assert not [one for one in target.instances() if one.drained]
    # What is deployed to a container that was stopped makes it run, and so gives it its requests.
    target.drain(["web-1"], key="again", token=token)
    target.deploy(release("1.1"), ["web-1"], key="deploy", token=token)
    (instance,) = wait_until(target, {"web-1": release("1.1")}, timeout=10)
    assert not instance.drained
    assert site.answers_of("web-1") == "1.1"
