"""What `airflow-cd source check` says, over log files that are written here."""

from __future__ import annotations

import datetime as dt
import textwrap
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from airflow_cd.cli import main


class Answering(BaseHTTPRequestHandler):
    """Answers 200 to who is up."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/up" else 500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


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


def test_a_probe_asks_once_and_says_what_came(capsys):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/{{instance}}"
        assert main(["source", "check", f"HttpProbe('{url}')", "--instances", "up"]) == 0
        assert "ok     up: as it must be in " in capsys.readouterr().out
        assert main(["source", "check", f"HttpProbe('{url}')", "--instances", "up", "down"]) == 1
        assert "WRONG  down: answers 500, not 200 in " in capsys.readouterr().out
    finally:
        server.shutdown()
        server.server_close()


def test_what_only_a_run_knows_is_no_mistake(tmp_path, capsys):
    assert main(["source", "check", "TaskResult('load_test', 'p95', above=800)"]) == 0
    assert "What the task load_test returns is known inside a run alone" in capsys.readouterr().out
    assert main(["source", "check", f"CheckResults(path='{tmp_path}/junit.xml')"]) == 0
    assert "junit.xml now; a run waits for it" in capsys.readouterr().out
    (tmp_path / "junit.xml").write_text('{"passed": 7, "failed": 2}')
    assert main(["source", "check", f"CheckResults(path='{tmp_path}/junit.xml')"]) == 0
    assert "holds 9 checks, 2 of them failed" in capsys.readouterr().out
    (tmp_path / "junit.xml").write_text("done")
    assert main(["source", "check", f"CheckResults(path='{tmp_path}/junit.xml')"]) == 1
    assert "is no result of tests that is known here" in capsys.readouterr().out


def test_where_no_file_is_there_at_all_that_is_what_is_said(folder, capsys):
    assert main(["source", "check", f"FileLogs('{folder}/wrong/{{instance}}.log')"]) != 0
    said = capsys.readouterr().out
    assert "no file of any instance is there" in said
    assert "--instances" not in said
