from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from typing import Any

import pytest

from airflow_cd.errors import AirflowCdError
from airflow_cd.sources import NewRelicMetrics, NewRelicQuery, SumoLogicLogs, source_kinds


class OwnSource:
    """A source of a user's."""


def offering(monkeypatch: pytest.MonkeyPatch, *entries: metadata.EntryPoint) -> None:
    def entry_points(*, group: str) -> Any:
        return [entry for entry in entries if entry.group == group]

    monkeypatch.setattr(metadata, "entry_points", entry_points)


def entry(name: str, value: str) -> metadata.EntryPoint:
    return metadata.EntryPoint(name=name, value=value, group="airflow_cd.sources")


def test_ours_are_known():
    kinds = source_kinds()
    assert kinds["NewRelicMetrics"] is NewRelicMetrics
    assert kinds["NewRelicQuery"] is NewRelicQuery
    assert kinds["SumoLogicLogs"] is SumoLogicLogs


def test_users_own_are_known(monkeypatch):
    offering(monkeypatch, entry("OwnSource", f"{__name__}:OwnSource"))
    assert source_kinds()["OwnSource"] is OwnSource


def test_a_broken_one_is_named(monkeypatch):
    offering(monkeypatch, entry("Broken", "no_such_module:Nothing"))
    with pytest.raises(AirflowCdError, match=r"'Broken'.*no_such_module"):
        source_kinds()


def test_a_name_that_is_taken_is_refused(monkeypatch):
    offering(monkeypatch, entry("SumoLogicLogs", f"{__name__}:OwnSource"))
    with pytest.raises(AirflowCdError, match="two sources are called 'SumoLogicLogs'"):
        source_kinds()


def test_parsing_a_dag_imports_nothing_heavy():
    code = (
        "import sys, airflow_cd; before = set(sys.modules);"
        "import airflow_cd.sources.new_relic, airflow_cd.sources.sumo_logic;"
        "added = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(sorted(added & {'pandas', 'numpy', 'httpx', 'requests', 'tenacity', 'sklearn', 'scipy'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"
