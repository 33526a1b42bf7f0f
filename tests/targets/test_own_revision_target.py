"""The target of revisions in docs/targets/your-own.md, as it stands there, keeps the contract."""

from __future__ import annotations

import sys
import textwrap
import types
from collections.abc import Mapping
from typing import Any

import pytest

from airflow_cd.release import Release
from airflow_cd.targets.revision_contract import Meddle, RevisionContract
from airflow_cd.targets.revisions import RevisionTarget
from tests.targets.test_own_target import DOCUMENT


class Traffic(types.ModuleType):
    """A router's client: revisions in memory, and one route with an ETag."""

    def __init__(self) -> None:
        super().__init__("traffic_client")
        self.made: dict[str, dict[str, Any]] = {}
        self.state: dict[str, Any] = {"percent": {}, "comment": "", "etag": "0"}

    def route(self, service: str) -> dict[str, Any]:
        return dict(self.state)

    def set_route(self, service: str, percent: Mapping[str, float], *, comment: str, if_match: str) -> bool:
        if if_match != self.state["etag"]:
            return False
        self.state = {"percent": dict(percent), "comment": comment, "etag": str(int(if_match) + 1)}
        return True

    def revisions(self, service: str) -> list[str]:
        return sorted(self.made)

    def revision(self, service: str, name: str) -> dict[str, Any] | None:
        return self.made.get(name)

    def publish(self, service: str, version: str, image: str, settings: dict[str, Any]) -> str:
        name = f"shop-{len(self.made) + 1:03d}"
        broken = version == "1.4"
        state, reason = ("broken", "exit 1") if broken else ("ready", "")
        self.made[name] = {"version": version, "image": image, "settings": settings, "state": state, "reason": reason}
        return name

    def has_image(self, image: str) -> bool:
        return image in ("shop:1.0", "shop:1.1", "shop:1.4")


def source() -> str:
    """The example, as it stands in the document."""
    lines = DOCUMENT.read_text().partition("`traffic`:\n")[2].partition("\nEverything else")[0]
    return textwrap.dedent(lines).strip() + "\n"


class TestOwnRevisions(RevisionContract):
    timeout = 1.0

    @pytest.fixture
    def traffic(self, monkeypatch: pytest.MonkeyPatch) -> Traffic:
        client = Traffic()
        monkeypatch.setitem(sys.modules, "traffic_client", client)
        return client

    @pytest.fixture
    def target(self, traffic: Traffic, monkeypatch: pytest.MonkeyPatch) -> RevisionTarget:
        module = types.ModuleType("your_own")
        monkeypatch.setitem(sys.modules, "your_own", module)
        exec(compile(source(), str(DOCUMENT), "exec"), module.__dict__)
        made: RevisionTarget = module.TrafficTarget.from_connection("traffic_test", "test")
        return made

    @pytest.fixture
    def meddle(self, traffic: Traffic) -> Meddle:
        def changed(weights: Mapping[str, float]) -> None:
            traffic.state |= {"percent": dict(weights), "etag": str(int(traffic.state["etag"]) + 1)}

        return changed

    @pytest.fixture
    def good(self) -> Release:
        return Release("shop", "1.0", "shop:1.0", {"greeting": "hello"})

    @pytest.fixture
    def other(self) -> Release:
        return Release("shop", "1.1", "shop:1.1", {"greeting": "good day"})

    @pytest.fixture
    def broken(self) -> Release:
        return Release("shop", "1.4", "shop:1.4", {"greeting": "hello"})


def test_it_is_as_short_as_it_is_said_to_be() -> None:
    assert len(source().splitlines()) < 60
