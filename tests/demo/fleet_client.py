"""What tests say to a fleet, and how they wait for it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import psutil

from airflow_cd.demo.fleet import FleetProcess
from airflow_cd.release import Release

_numbers = itertools.count(1)
_between_looks = threading.Event()


def shop(version: str, **configuration: Any) -> Release:
    return Release("shop", version, f"shop:{version}", configuration)


def wait_for(condition: Callable[[], Any], what: str, timeout: float = 30.0) -> Any:
    """Poll until the condition holds; returns what it returned."""
    deadline = time.monotonic() + timeout
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}")
        _between_looks.wait(0.02)
    return result


def children(fleet: FleetProcess) -> list[psutil.Process]:
    return psutil.Process(fleet.pid).children(recursive=True)


class FleetClient:
    """The deployment API and the routers of a fleet."""

    def __init__(self, fleet: FleetProcess) -> None:
        self.fleet = fleet
        self.api = httpx.Client(
            base_url=fleet.api_url, headers={"Authorization": f"Bearer {fleet.token}"}, timeout=10.0, trust_env=False
        )
        self.shops = httpx.Client(timeout=10.0, trust_env=False)
        self.token = next(_numbers)

    def __enter__(self) -> FleetClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.api.close()
        self.shops.close()

    def change(
        self, method: str, environment: str, action: str, body: Any, key: str | None = None, token: int | None = None
    ) -> httpx.Response:
        return self.api.request(
            method,
            f"/v1/environments/{environment}/{action}",
            json=body,
            headers={
                "Idempotency-Key": key or f"key-{next(_numbers)}",
                "Fencing-Token": str(self.token if token is None else token),
            },
        )

    def put(
        self, environment: str, release: Release | None, names: Sequence[str] | None = None, **how: Any
    ) -> httpx.Response:
        body = {
            "release": release.as_dict() if release else None,
            "instances": self.names(environment) if names is None else list(names),
        }
        return self.change("PUT", environment, "release", body, **how)

    def drain(self, environment: str, names: Sequence[str], **how: Any) -> httpx.Response:
        return self.change("POST", environment, "drain", {"instances": list(names)}, **how)

    def restore(self, environment: str, names: Sequence[str], **how: Any) -> httpx.Response:
        return self.change("POST", environment, "restore", {"instances": list(names)}, **how)

    def instances(self, environment: str) -> dict[str, dict[str, Any]]:
        answer = self.api.get(f"/v1/environments/{environment}/instances").json()
        return {instance["name"]: instance for instance in answer["instances"]}

    def traffic(self, environment: str) -> dict[str, dict[str, Any]]:
        answer = self.api.get(f"/v1/environments/{environment}/traffic").json()
        return {instance["name"]: instance for instance in answer["instances"]}

    def running(self, environment: str, name: str) -> dict[str, Any]:
        """The newest process of an instance."""
        process: dict[str, Any] = self.traffic(environment)[name]["processes"][-1]
        return process

    def names(self, environment: str) -> list[str]:
        return sorted(self.instances(environment))

    def settled(self, environment: str) -> dict[str, dict[str, Any]]:
        """The instances, once none of them is on its way any more."""
        found: dict[str, dict[str, Any]] = {}

        def look() -> bool:
            found.update(self.instances(environment))
            return all(instance["health"] != "starting" for instance in found.values())

        wait_for(look, f"{environment} settles")
        return found

    def deploy(self, environment: str, release: Release | None, names: Sequence[str] | None = None) -> None:
        """Put a release and wait until it is healthy there."""
        answer = self.put(environment, release, names)
        assert answer.status_code == 202, answer.text
        accepted = answer.json()["accepted"]
        found = self.settled(environment)
        expected = (release.artifact, "healthy") if release else (None, "empty")
        assert {name: (found[name]["artifact"], found[name]["health"]) for name in accepted} == dict.fromkeys(
            accepted, expected
        )

    def visit(self, environment: str, path: str = "/", form: dict[str, Any] | None = None) -> httpx.Response:
        method = "GET" if form is None else "POST"
        return self.shops.request(method, self.fleet.routers[environment] + path, json=form)
