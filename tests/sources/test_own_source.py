"""The source in docs/sources/your-own.md, as it stands there, keeps the contract."""

from __future__ import annotations

import datetime as dt
import sys
import textwrap
import types
from pathlib import Path
from typing import Any

import pytest

from airflow_cd.cli import main
from airflow_cd.sources.contract import LogSourceContract
from airflow_cd.verification.samples import Window

DOCUMENT = Path(__file__).parents[2] / "docs" / "sources" / "your-own.md"
BEGIN = dt.datetime(2026, 11, 23, 5, tzinfo=dt.timezone.utc)
WINDOW = Window(BEGIN, BEGIN + dt.timedelta(minutes=2))
PAGE = 100


class Store(types.ModuleType):
    """A store's client that hands out pages, and includes the end."""

    class NoAccess(Exception):
        """The key is wrong."""

    class NoSuchApp(Exception):
        """There is no such application."""

    class TooFast(Exception):
        seconds = 1.0

    def __init__(self) -> None:
        super().__init__("store_client")
        self.records = [
            {
                "time": BEGIN + dt.timedelta(seconds=second),
                "host": host,
                "text": f"{'ERROR failed' if second % 50 == 0 else 'INFO served'} {second}",
                "id": f"{host} {second}",
                "received": BEGIN + dt.timedelta(seconds=second + 2),
            }
            for second in range(-30, 150)
            for host in ("shop-1", "shop-2")
        ]

    def hosts(self, app: str) -> list[str]:
        if app != "shop":
            raise self.NoSuchApp(app)
        return ["shop-1", "shop-2"]

    def search(self, app: str, hosts: list[str], since: Any, until: Any, *, cursor: int | None) -> dict[str, Any]:
        self.hosts(app)
        found = [one for one in self.records if one["host"] in hosts and since <= one["time"] <= until]
        start = cursor or 0
        return {"records": found[start : start + PAGE], "next": start + PAGE if start + PAGE < len(found) else None}


def source() -> str:
    text = DOCUMENT.read_text()
    return textwrap.dedent(text[text.index("    from dataclasses") : text.index("What a source has to keep")])


@pytest.fixture
def own(monkeypatch) -> Any:
    monkeypatch.setitem(sys.modules, "store_client", Store())
    module = types.ModuleType("own_source")
    monkeypatch.setitem(sys.modules, "own_source", module)
    exec(compile(source(), str(DOCUMENT), "exec"), module.__dict__)
    return module


class TestOwnSource(LogSourceContract):
    @pytest.fixture
    def source(self, own):
        return own.StoreLogs("shop")

    @pytest.fixture
    def broken(self, own):
        return own.StoreLogs("shpo")

    @pytest.fixture
    def window(self):
        return WINDOW

    @pytest.fixture
    def instances(self):
        return ["shop-1", "shop-2"]


def test_it_is_as_short_as_is_said():
    assert len(source().strip().splitlines()) < 60


def test_it_is_known_by_its_name_and_can_be_looked_at(own, monkeypatch, capsys):
    from airflow_cd import sources

    kinds = {**sources.source_kinds(), "StoreLogs": own.StoreLogs}
    monkeypatch.setattr(sources, "source_kinds", lambda: kinds)
    monkeypatch.setattr("airflow_cd.sources.examination.utc_now", lambda: WINDOW.until)
    assert main(["source", "check", "StoreLogs('shop')", "--last", "2m"]) == 0
    said = capsys.readouterr().out
    assert "240 rows of the last 2m" in said
    assert "Instances: shop-1 (120), shop-2 (120)." in said
    assert "Levels: 6 error, 234 info." in said
    assert "the newest is 1.0 s old, records were received up to 2.0 s after their time" in said
    assert main(["source", "check", "StoreLogs('shop')", "--last", "2m", "--instances", "shop-1", "shop-7"]) == 1
    assert "WRONG  Nothing of shop-7." in capsys.readouterr().out
    assert main(["source", "check", "StoreLogs('shpo')"]) == 1
    assert "the store has no shpo" in capsys.readouterr().out
