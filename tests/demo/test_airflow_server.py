from __future__ import annotations

from pathlib import Path

from airflow_cd.demo import sqlite
from airflow_cd.demo.airflow_server import DATABASE, DATABASE_ARGUMENTS, AirflowServer


def test_on_sqlite_airflow_waits_longer_for_a_lock(tmp_path: Path) -> None:
    environment = AirflowServer(tmp_path, dags=tmp_path, environment={DATABASE: "sqlite:////tmp/a.db"}).environment
    arguments = {environment[f"{DATABASE_ARGUMENTS}{kind}"] for kind in ("", "_ASYNC")}
    assert arguments == {f"{sqlite.__name__}.CONNECT_ARGS"}
    assert sqlite.CONNECT_ARGS["timeout"] > 5


def test_another_database_is_left_as_it_is(tmp_path: Path) -> None:
    environment = AirflowServer(tmp_path, dags=tmp_path, environment={DATABASE: "postgresql://localhost/a"}).environment
    assert DATABASE_ARGUMENTS not in environment
