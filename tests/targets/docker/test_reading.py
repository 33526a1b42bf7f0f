"""What is said of an instance: what its containers are, and what its router gives it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_cd.hooks.docker_naming import Role, name_as
from airflow_cd.instances import EMPTY, FAILED, HEALTHY, UNHEALTHY, Instance
from airflow_cd.targets.docker.reading import Traffic, read_instance, tag_of
from airflow_cd.targets.docker.register import State
from airflow_cd.targets.haproxy import HaproxyRouter, HaproxySettings
from airflow_cd.targets.haproxy.answers import Load, Server
from tests.targets.docker.engine_in_memory import Containers, host_of

SETTLE = timedelta(seconds=3)


@pytest.fixture
def containers() -> Containers:
    made = Containers()
    made.add("web-1")
    return made


def server(name: str, *, address: str = "127.0.0.1", out: bool = False, weight: int = 1) -> Server:
    return Server(name, address, 8000, out, weight, 1)


def read(containers: Containers, *servers: Server, drained: str = "", load: dict[str, Load] | None = None) -> Instance:
    host = host_of(containers)
    if servers:
        host.__dict__["router"] = HaproxyRouter(HaproxySettings(("/nowhere",), "web"))
    (slot,) = host.slots().values()
    traffic = Traffic(({one.name: one for one in servers},), load or {}) if servers else Traffic()
    found = read_instance(host, slot, host.boxes(slot), State(drained=frozenset({drained} - {""})), traffic, SETTLE)
    assert found is not None
    return found


def test_a_container_that_somebody_started_is_its_image_without_a_configuration_of_ours(containers: Containers) -> None:
    found = read(containers)
    assert (found.name, found.version, found.artifact, found.configuration) == ("web-1", "1.0", "web:1.0", {})
    assert (found.health, found.drained, found.weight) == (HEALTHY, False, None)


def test_without_a_router_a_container_is_drained_only_if_it_was_stopped_for_that(
    containers: Containers,
) -> None:
    containers.stop(containers.names()["web-1"], 1)
    assert not read(containers).drained
    assert read(containers, drained="web-1").drained
    containers.start(containers.names()["web-1"])
    assert not read(containers, drained="web-1").drained


def test_with_a_router_what_it_does_counts_and_not_what_was_asked_of_it(containers: Containers) -> None:
    assert read(containers, server("web-1", out=True)).drained
    again = read(containers, server("web-1"), drained="web-1")
    assert (again.drained, "HAProxy gives it traffic again" in again.message) == (False, True)
    # One that the router does not know gets nothing.
    assert read(containers, server("web-9")).drained


def test_one_that_its_router_does_not_reach_is_not_healthy(containers: Containers) -> None:
    down = read(containers, server("web-1"), load={"web-1": Load(0, "DOWN", "L4CON")})
    assert (down.health, down.message) == (UNHEALTHY, "HAProxy does not reach it (L4CON)")
    box = containers.boxes[containers.names()["web-1"]]
    box["NetworkSettings"]["Networks"] = {"shop": {"IPAddress": "10.0.0.9", "IPPrefixLen": 24, "Gateway": "10.0.0.1"}}
    moved = read(containers, server("web-1", address="10.0.0.2"))
    assert (moved.health, "it is at 10.0.0.9" in moved.message) == (UNHEALTHY, True)
    for right in ("10.0.0.9", "10.0.0.1", "127.0.0.1"):
        assert read(containers, server("web-1", address=right)).health == HEALTHY


@pytest.mark.parametrize(
    ("weights", "expected"), [((1, 1), None), ((1, 3), 25.0), ((0, 4), None), ((2, 2), None), ((90, 10), 90.0)]
)
def test_weights_are_said_where_they_differ(containers: Containers, weights: tuple[int, int], expected: Any) -> None:
    one, other = weights
    servers = [server("web-1", weight=one, out=one == 0), server("web-2", weight=other)]
    assert read(containers, *servers).weight == expected


def test_one_whose_container_is_gone_is_said_to_be_with_what_is_kept(containers: Containers) -> None:
    made = containers.names()["web-1"]
    containers.rename(made, name_as("web-1", Role.KEPT))
    gone = read(containers)
    assert (gone.name, gone.health, gone.artifact) == ("web-1", FAILED, "web:1.0")
    assert "its container is gone; web-1.airflow-cd.kept is still there" in gone.message
    containers.rename(made, name_as("web-1", Role.EMPTY))
    assert (read(containers).health, read(containers).artifact) == (EMPTY, None)


@pytest.mark.parametrize(
    ("artifact", "version"),
    [
        ("web:1.0", "1.0"),
        ("registry:5000/team/web:1.0", "1.0"),
        ("registry:5000/team/web", "registry:5000/team/web"),
        ("web:1.0@sha256:abc", "1.0"),
        ("web@sha256:abc", "web@sha256:abc"),
        ("sha256:abc", "abc"),
    ],
)
def test_a_tag_stands_for_the_version(artifact: str, version: str) -> None:
    assert tag_of(artifact) == version
