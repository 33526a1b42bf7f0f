"""The target in docs/targets/your-own.md, as it stands there, keeps the contract."""

from __future__ import annotations

import sys
import textwrap
import types
from pathlib import Path
from typing import Any

import pytest

from airflow_cd.release import Release
from airflow_cd.targets.base import Target
from airflow_cd.targets.contract import TargetContract

DOCUMENT = Path(__file__).parents[2] / "docs" / "targets" / "your-own.md"


class Platform(types.ModuleType):
    """A platform's client: nodes in memory, which remember keys and the highest token."""

    class TooOld(Exception):
        """A newer token was seen."""

    class NoSuchNode(Exception):
        """There is no node of that name."""

    class Down(Exception):
        """It does not answer."""

    def __init__(self) -> None:
        super().__init__("platform_client")
        self.token = 0
        self.done: set[str] = set()
        empty = {"version": None, "image": None, "settings": {}, "state": "none", "traffic": True, "last_output": ""}
        self.state: dict[str, dict[str, Any]] = {name: {"name": name, **empty} for name in ("b", "a", "c")}

    def nodes(self, group: str) -> list[dict[str, Any]]:
        return list(self.state.values())

    def has_image(self, group: str, image: str) -> bool:
        return image in ("shop:1.0", "shop:1.1", "shop:1.4")

    def run(self, group: str, nodes: list[str], image: dict[str, Any] | None, *, key: str, token: int) -> None:
        if self._is_new(nodes, key, token):
            for name in nodes:
                off: dict[str, Any] = {"version": None, "image": None, "settings": {}, "state": "none"}
                dead = image is not None and image["version"] == "1.4"
                on = {**(image or {}), "state": "dead" if dead else "up", "last_output": "exit 1" if dead else ""}
                self.state[name] |= on if image else off

    def traffic(self, group: str, nodes: list[str], *, on: bool, key: str, token: int) -> None:
        if self._is_new(nodes, key, token):
            for name in nodes:
                self.state[name]["traffic"] = on

    def _is_new(self, nodes: list[str], key: str, token: int) -> bool:
        if token < self.token:
            raise self.TooOld(f"token {token} is older than {self.token}")
        if unknown := set(nodes) - set(self.state):
            raise self.NoSuchNode(f"there is no node {unknown}")
        self.token = token
        if key in self.done:
            return False
        self.done.add(key)
        return True


def source() -> str:
    """The example, as it stands in the document."""
    lines = DOCUMENT.read_text().partition("`platform`:\n")[2].partition("\nWhat a target")[0]
    return textwrap.dedent(lines).strip() + "\n"


class TestOwnTarget(TargetContract):
    @pytest.fixture
    def target(self, monkeypatch: pytest.MonkeyPatch) -> Target:
        monkeypatch.setitem(sys.modules, "platform_client", Platform())
        module = types.ModuleType("your_own")
        monkeypatch.setitem(sys.modules, "your_own", module)
        exec(compile(source(), str(DOCUMENT), "exec"), module.__dict__)
        made: Target = module.PlatformTarget.from_connection("platform_test", "test")
        return made

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
