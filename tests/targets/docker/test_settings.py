"""What is carried over from a container to the one that replaces it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_cd.release import Release
from airflow_cd.targets.docker.settings import COVERED, KINDS, VERSION, hindrances, successor

IMAGE = {
    "Config": {
        "Env": ["PATH=/usr/bin", "APP_HOME=/srv", "LEVEL=info"],
        "Cmd": ["serve"],
        "Entrypoint": ["/init"],
        "WorkingDir": "/srv",
        "User": "app",
        "Labels": {"org.opencontainers.image.version": "1.0", "vendor": "acme"},
        "Healthcheck": {"Test": ["CMD", "true"]},
        "ExposedPorts": {"8000/tcp": {}},
    }
}


def container(**config: Any) -> dict[str, Any]:
    return {
        "Id": "0123456789abcdef",
        "Image": "sha256:old",
        "Config": {
            **{key: value for key, value in IMAGE["Config"].items() if key not in ("Env", "Labels")},
            "Hostname": "0123456789ab",
            "Image": "web:1.0",
            "Env": ["PATH=/usr/bin", "APP_HOME=/srv", "LEVEL=debug", "DB_HOST=db"],
            "Labels": {"org.opencontainers.image.version": "1.0", "vendor": "acme", "team": "shop"},
            "StopTimeout": 30,
            **config,
        },
        "HostConfig": {
            "NetworkMode": "shop",
            "Binds": ["/data:/data:rw"],
            "PortBindings": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8001"}]},
            "RestartPolicy": {"Name": "always"},
            "Memory": 1024,
        },
        "Mounts": [
            {"Type": "bind", "Source": "/data", "Destination": "/data"},
            {"Type": "volume", "Name": "f00", "Destination": "/var/cache", "RW": True},
        ],
        "NetworkSettings": {
            "Networks": {
                "shop": {
                    "NetworkID": "n1",
                    "Aliases": ["web", "0123456789ab"],
                    "IPAMConfig": None,
                    "IPAddress": "10.0.0.2",
                },
                "metrics": {"NetworkID": "n2", "Aliases": None, "IPAMConfig": {"IPv4Address": "10.1.0.9"}},
            }
        },
    }


def release(**configuration: Any) -> Release:
    return Release("web", "1.1", "web:1.1", configuration)


def made(before: dict[str, Any], configuration: dict[str, Any]) -> Any:
    return successor(before, IMAGE, release(**configuration), "sha256:new")


def as_container(payload: Any) -> dict[str, Any]:
    """The container that a daemon makes of it: the new image's own variables are there as well."""
    own = {entry.partition("=")[0] for entry in payload["Env"]}
    inherited = [entry for entry in IMAGE["Config"]["Env"] if entry.partition("=")[0] not in own]
    before = container()
    return {**before, "Config": {**before["Config"], "Env": [*payload["Env"], *inherited], "Labels": payload["Labels"]}}


def test_what_came_from_the_image_is_left_to_the_new_one() -> None:
    payload = made(container(), {}).payload
    assert not {"Cmd", "Entrypoint", "WorkingDir", "User", "Healthcheck", "ExposedPorts", "Hostname"} & set(payload)
    assert sorted(payload["Env"]) == ["DB_HOST=db", "LEVEL=debug"]
    assert "vendor" not in payload["Labels"]
    assert payload["Image"] == "sha256:new"


def test_what_the_container_had_of_its_own_is_kept() -> None:
    payload = made(
        container(Cmd=["serve", "--verbose"], User="1000", Hostname="web-1", Healthcheck={"Test": ["NONE"]}), {}
    ).payload
    assert (payload["Cmd"], payload["User"], payload["Hostname"]) == (["serve", "--verbose"], "1000", "web-1")
    assert payload["Healthcheck"] == {"Test": ["NONE"]}
    assert (payload["StopTimeout"], payload["Labels"]["team"]) == (30, "shop")
    host = payload["HostConfig"]
    assert (host["Memory"], host["RestartPolicy"]) == (1024, {"Name": "always"})
    assert host["PortBindings"]["8000/tcp"][0]["HostPort"] == "8001"


def test_the_data_of_a_volume_without_a_name_is_not_left_behind() -> None:
    assert made(container(), {}).payload["HostConfig"]["Binds"] == ["/data:/data:rw", "f00:/var/cache"]


def test_networks_come_with_their_aliases_and_fixed_addresses_and_no_other() -> None:
    new = made(container(), {})
    assert new.payload["NetworkingConfig"] == {"EndpointsConfig": {"shop": {"Aliases": ["web"]}}}
    assert new.connections == {"metrics": {"IPAMConfig": {"IPv4Address": "10.1.0.9"}}}


@pytest.mark.parametrize("mode", ["default", "bridge", "host", "none", "container:abc"])
def test_a_container_outside_of_any_network_of_its_own_stays_there(mode: str) -> None:
    before = container()
    before["HostConfig"]["NetworkMode"] = mode
    before["NetworkSettings"]["Networks"] = {mode: {"NetworkID": "n"}} if mode in ("bridge", "host", "none") else {}
    new = made(before, {})
    assert (new.payload["NetworkingConfig"], new.connections) == ({"EndpointsConfig": {}}, {})


def test_a_variable_that_a_release_covers_comes_back_after_any_number_of_releases() -> None:
    first = made(container(), {"LEVEL": "warning", "TIMEOUT": 1})
    assert {"LEVEL=warning", "TIMEOUT=1", "DB_HOST=db"} < set(first.payload["Env"])
    second = made(as_container(first.payload), {"LEVEL": "error"})
    assert "TIMEOUT" not in "".join(second.payload["Env"])
    third = made(as_container(second.payload), {})
    assert sorted(third.payload["Env"]) == ["DB_HOST=db", "LEVEL=debug"]


def test_no_value_of_a_configuration_is_in_a_label() -> None:
    new = made(container(Env=["DB_PASSWORD=base-secret"]), {"DB_PASSWORD": "new-secret", "/etc/key": "file-secret"})
    assert "secret" not in json.dumps(new.payload["Labels"])
    assert json.loads(new.payload["Labels"][KINDS]) == {"DB_PASSWORD": "text", "/etc/key": "text"}
    assert new.payload["Labels"][VERSION] == "1.1"
    assert f"{COVERED}=" in "".join(new.payload["Env"])


def test_null_takes_a_variable_of_the_image_away() -> None:
    assert "APP_HOME" in made(container(), {"APP_HOME": None}).payload["Env"]


def test_an_image_that_is_gone_costs_no_setting() -> None:
    payload = successor(container(), None, release(), "sha256:new").payload
    assert (payload["Cmd"], payload["Entrypoint"]) == (["serve"], ["/init"])


@pytest.mark.parametrize(
    ("host", "path", "words"),
    [
        ({"AutoRemove": True}, "TIMEOUT", "started with --rm"),
        ({"ReadonlyRootfs": True}, "/etc/web/x", "read-only file system"),
        ({}, "/data/x", "has a mount at /data"),
        ({}, "/data", "has a mount at /data"),
        ({"Tmpfs": {"/run": ""}}, "/run/x", "has a mount at /run"),
    ],
)
def test_what_stands_in_the_way_is_said_before(host: dict[str, Any], path: str, words: str) -> None:
    before = container()
    before["HostConfig"].update(host)
    (reason,) = hindrances(before, release(**{path: "x"}))
    assert words in reason


@pytest.mark.parametrize(
    ("label", "owner"), [("com.docker.swarm.service.name", "Swarm"), ("io.kubernetes.pod.name", "Kubernetes")]
)
def test_what_something_else_keeps_is_left_to_it(label: str, owner: str) -> None:
    (reason,) = hindrances(container(Labels={label: "shop"}), release())
    assert f"is kept by a {owner}" in reason


def test_a_file_beside_a_mount_is_none_of_its_business() -> None:
    assert hindrances(container(), release(**{"/database/x": "x", "LEVEL": "x"})) == []
