"""What `airflow-cd source judge` says of instances that run now."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from airflow_cd.cli import main

PASSED, FAILED, INCONCLUSIVE, ERROR = 0, 1, 2, 3


@pytest.fixture
def logs(tmp_path: Path) -> str:
    """Three instances that log for twenty minutes; in the last two shop-3 has an error that is new."""
    now = dt.datetime.now(dt.timezone.utc)
    for name in ("shop-1", "shop-2", "shop-3"):
        lines = []
        for age in range(1200, 2, -1):
            at = f"{now - dt.timedelta(seconds=age):%Y-%m-%dT%H:%M:%S}Z"
            lines.append(f"{at} INFO shop - order {age} served in {age % 40} ms")
            if age % 200 == 0:
                lines.append(f"{at} ERROR shop - TimeoutError: pricing did not answer")
            if name == "shop-3" and age in (120, 60):
                lines.append(f"{at} ERROR shop - KeyError: gift_code")
        (tmp_path / f"{name}.log").write_text("\n".join(lines) + "\n")
    return f"FileLogs('{tmp_path}/{{instance}}.log')"


def judge(logs: str, *more: str) -> int:
    return main(["source", "judge", logs, "--last", "5m", *more])


def test_a_new_error_fails(logs, capsys):
    assert judge(logs, "--canary", "shop-3", "--control", "shop-1", "shop-2") == FAILED
    said = capsys.readouterr().out
    assert said.startswith("FAIL: ")
    assert "1. KeyError  unknown, error: 2 on the canary" in said
    assert "| " in said
    assert "TimeoutError" not in said


def test_the_report_is_a_page_of_what_was_new(logs, tmp_path, capsys):
    page = tmp_path / "report.html"
    assert judge(logs, "--canary", "shop-3", "--control", "shop-1", "--report", str(page)) == FAILED
    assert f"Report    {page}" in capsys.readouterr().out
    assert "KeyError" in page.read_text()
    assert "<html" in page.read_text()


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_read(logs, tmp_path, capsys):
    assert judge(logs, "--canary", "shop-1", "--report", str(tmp_path / "away" / "report.html")) == ERROR
    said = capsys.readouterr()
    assert "cannot be written" in said.err
    assert said.out == ""


def test_nothing_of_a_log_moves_the_cursor(logs, tmp_path, capsys):
    at = dt.datetime.now(dt.timezone.utc) - dt.timedelta(seconds=20)
    with (tmp_path / "shop-3.log").open("a") as file:
        file.write(f"{at:%Y-%m-%dT%H:%M:%S}Z ERROR shop - TaxError: \x1b[2J\x1b[1;1H all is well\n")
    assert judge(logs, "--canary", "shop-3", "--control", "shop-1") == FAILED
    assert "\x1b" not in capsys.readouterr().out


def test_what_is_as_before_passes(logs, capsys):
    assert judge(logs, "--canary", "shop-1", "--control", "shop-2") == PASSED
    assert capsys.readouterr().out.startswith("PASS: ")


def test_the_time_before_is_enough_to_compare_with(logs, capsys):
    assert judge(logs, "--canary", "shop-3") == FAILED
    assert judge(logs, "--canary", "shop-1") == PASSED
    capsys.readouterr()
    assert judge(logs, "--canary", "shop-1", "--before", "0s") == INCONCLUSIVE


def test_since_a_time(logs, capsys):
    since = dt.datetime.now(dt.timezone.utc) - dt.timedelta(minutes=2, seconds=30)
    named = ["--canary", "shop-3", "--control", "shop-1", "--since", since.isoformat()]
    assert main(["source", "judge", logs, *named]) == FAILED
    assert "KeyError  unknown, error: 2 on the canary" in capsys.readouterr().out


REFUSED = [
    (["--canary", "shop-1", "--control", "shop-1"], "shop-1 is given as canary and as control"),
    (["--canary", "shop-1", "--last", "soon"], "--last"),
    (["--canary", "shop-1", "--since", "yesterday"], "'yesterday' is no time"),
    (["--canary", "shop-1", "--since", "2199-01-01T00:00:00Z"], "nothing can be read yet of what came after 2199"),
]


@pytest.mark.parametrize(("given", "said"), REFUSED)
def test_what_cannot_be_is_refused_before_anything_is_read(logs, given, said, capsys):
    assert main(["source", "judge", logs, *given]) == ERROR
    assert said in capsys.readouterr().err


def test_a_source_that_is_written_wrongly_is_refused(logs, capsys):
    assert main(["source", "judge", logs.replace(")", ", delay='soon')"), "--canary", "shop-1"]) == ERROR
    assert "delay" in capsys.readouterr().err


def test_what_cannot_be_read_back_is_refused(capsys):
    assert main(["source", "judge", "HttpProbe('http://{instance}/')", "--canary", "shop-1"]) == ERROR
    assert "cannot be read back" in capsys.readouterr().err


def test_a_source_that_does_not_exist_is_named(capsys):
    assert main(["source", "judge", "FileLog('/x/{instance}')", "--canary", "a"]) == ERROR
    assert "FileLogs" in capsys.readouterr().err


def test_a_source_that_cannot_be_read_is_no_verdict(tmp_path, capsys):
    assert main(["source", "judge", f"FileLogs('{tmp_path}/{{instance}}.log')", "--canary", "a"]) == INCONCLUSIVE
    assert "Error     Files" in capsys.readouterr().out
