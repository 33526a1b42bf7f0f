"""What `airflow-cd source check` says, over log files that are written here."""

from __future__ import annotations

import datetime as dt
import textwrap
from pathlib import Path

import pytest

from airflow_cd.cli import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    now = dt.datetime.now(dt.timezone.utc)
    lines = []
    for age in range(60, 0, -1):
        at = now - dt.timedelta(seconds=age)
        lines.append(f"{at:%Y-%m-%dT%H:%M:%S}Z {'ERROR' if age == 40 else 'INFO'} shop - order {age}")
    for name in ("shop-1", "shop-2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "app.log").write_text("\n".join(lines) + "\n")
    return tmp_path


def pipeline(folder: Path, pattern: str) -> Path:
    file = folder / "shop.py"
    file.write_text(
        textwrap.dedent(f"""
        from airflow_cd import Canary, Environment, Pipeline, Verification
        from airflow_cd.sources import FileLogs
        verify = Verification(logs=[FileLogs({pattern!r})])
        dag = Pipeline("shop", stages=[Environment("dev"), Canary(Environment("production"), verify=verify)]).dag()
        """)
    )
    return file


def test_a_source_as_a_pipeline_writes_it(folder, capsys):
    assert main(["source", "check", f"FileLogs('{folder}/{{instance}}/app.log*')"]) == 0
    said = capsys.readouterr().out
    assert "ok     120 rows of the last 10m" in said
    assert "Instances: shop-1 (60), shop-2 (60)." in said
    assert "Levels: 2 error, 118 info." in said
    assert "Read as: header (time, level" in said
    assert "; 0 of the first 120 records are without a header." in said


def test_every_source_of_a_pipeline(folder, capsys):
    file = pipeline(folder, f"{folder}/{{instance}}/app.log*")
    assert main(["source", "check", str(file), "--instances", "shop-1"]) == 0
    assert "60 rows of the last 10m" in capsys.readouterr().out


def test_a_source_that_has_nothing_fails(folder, capsys):
    file = pipeline(folder, f"{folder}/{{instance}}/nothing.log")
    assert main(["source", "check", str(file), "--instances", "shop-1"]) == 1
    assert "WRONG  Files" in capsys.readouterr().out.replace(f"Files {folder}", "Files")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("FileLog('x')", "known are"),
        ("nothing.py", "there is no file nothing.py, and it is no source"),
        ("Metric('a', 'gauge')", "is no source"),
        ("FileLogs(", "cannot be made: SyntaxError"),
    ],
)
def test_what_is_no_source_is_refused(source, says, capsys):
    assert main(["source", "check", source]) == 3
    assert says in capsys.readouterr().err
