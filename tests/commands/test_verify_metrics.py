"""``airflow-cd verify`` on metrics of CSV and Parquet files, as a person calls it."""

from __future__ import annotations

import gzip
import json
import math
import random
import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from airflow_cd.cli import main

PASSED, FAILED, INCONCLUSIVE, ERROR = 0, 1, 2, 3
BEGAN = datetime(2026, 11, 23, 8, tzinfo=timezone.utc)


def verify(*arguments: str) -> int:
    return main(["verify", *arguments])


def wide(seed: int, *, slow: float = 1.0, errors: float = 0.01, hosts: Sequence[str] = ("a", "b")) -> pd.DataFrame:
    """Half an hour of a service, a row for each minute and instance."""
    chance, rows = random.Random(seed), []
    for minute in range(30):
        for host in hosts:
            requests = chance.randint(80, 120)
            wrong = sum(chance.random() < errors for _ in range(requests))
            usual = 120 * slow * (1 + 0.1 * math.sin(minute / 4)) * chance.gauss(1, 0.05)
            time = (BEGAN + timedelta(minutes=minute)).isoformat()
            rows.append((time, host, round(usual, 1), wrong / requests, requests, chance.gauss(40, 2)))
    return pd.DataFrame(rows, columns=["time", "host", "response_time_ms", "error_rate", "requests", "cpu_percent"])


def long(frame: pd.DataFrame) -> pd.DataFrame:
    """The same with a row for each metric."""
    melted = frame.melt(["time", "host"], ["response_time_ms", "requests"], "metric")
    errors = frame.assign(metric="errors", value=(frame["error_rate"] * frame["requests"]).round())
    rows = pd.concat([melted, errors[["time", "host", "metric", "value"]]]).rename(columns={"host": "instance"})
    counts = pd.concat([frame["requests"]] * 3, ignore_index=True)
    return rows.reset_index(drop=True).assign(group="", count=counts)


def written(frame: pd.DataFrame, path: str) -> str:
    if path.endswith(".parquet"):
        columns: dict[str, Any] = {name: frame[name].to_list() for name in frame.columns}
        columns["time"] = [datetime.fromisoformat(text) for text in columns["time"]]
        pl.DataFrame(columns).write_parquet(path)
    elif path.endswith(".gz"):
        Path(path).write_bytes(gzip.compress(frame.to_csv(index=False).encode()))
    else:
        frame.to_csv(path, index=False)
    return path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
@pytest.mark.parametrize("form", [wide, long], ids=["wide", "long"])
def test_a_slow_release_fails_and_a_good_one_passes(form: Any, ending: str, capsys: pytest.CaptureFixture[str]) -> None:
    shaped = (lambda frame: frame) if form is wide else long
    old = written(shaped(wide(1)), f"old.{ending}")
    good, slow = written(shaped(wide(2)), f"good.{ending}"), written(shaped(wide(3, slow=1.8)), f"slow.{ending}")
    assert verify("--metrics-baseline", old, "--metrics-canary", good) == PASSED
    assert capsys.readouterr().out.startswith("PASS: ")
    assert verify("--metrics-baseline", old, "--metrics-canary", slow) == FAILED
    said = capsys.readouterr().out
    assert said.startswith("FAIL: response_time_ms: ")
    assert re.search(r"^  -  response_time_ms  \+\d\d %", said, re.MULTILINE)


@pytest.mark.parametrize("form", [wide, long], ids=["wide", "long"])
def test_errors_are_judged_as_counts_out_of_the_requests(form: Any, capsys: pytest.CaptureFixture[str]) -> None:
    shaped = (lambda frame: frame) if form is wide else long
    old, bad = written(shaped(wide(1)), "old.csv"), written(shaped(wide(4, errors=0.05)), "bad.csv")
    assert verify("--metrics-baseline", old, "--metrics-canary", bad, "--json", "-") == FAILED
    metrics = {row["name"]: row for row in json.loads(capsys.readouterr().out)["judgement"]["performance"]["metrics"]}
    result = metrics["error_rate" if form is wide else "errors"]
    assert result["kind"] == "errors"
    assert result["verdict"] == "FAIL"
    assert result["canary"]["mean"] == pytest.approx(0.05, rel=0.3)
    assert result["canary"]["requests"] == pytest.approx(6000, rel=0.1)


def test_per_cent_and_shares_are_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    frames = [wide(1), wide(4, errors=0.05)]
    found = []
    for name, factor in (("error_rate", 1), ("error_percent", 100)):
        paths = [
            written(frame.assign(error_rate=frame["error_rate"] * factor).rename(columns={"error_rate": name}), path)
            for frame, path in zip(frames, ("old.csv", "new.csv"), strict=True)
        ]
        verify("--metrics-baseline", paths[0], "--metrics-canary", paths[1], "--json", "-")
        results = json.loads(capsys.readouterr().out)["judgement"]["performance"]["metrics"]
        found.append(next(row["canary"]["mean"] for row in results if row["name"] == name))
    assert found[0] == pytest.approx(found[1])


def test_rows_may_say_how_measurements_scatter(capsys: pytest.CaptureFixture[str]) -> None:
    def summed(seed: int, slow: float) -> pd.DataFrame:
        chance, rows = random.Random(seed), []
        for minute in range(20):
            times = [slow * chance.lognormvariate(4.0, 0.4) for _ in range(50)]
            squares = sum(time * time for time in times)
            tail = sorted(times)[-3]
            rows.append((BEGAN + timedelta(minutes=minute), "render_ms", len(times), sum(times), squares, tail))
        return pd.DataFrame(rows, columns=["time", "metric", "count", "sum", "sum_squares", "p95"])

    old, slow = written(summed(1, 1.0), "old.csv"), written(summed(2, 2.2), "slow.csv")
    assert verify("--metrics-baseline", old, "--metrics-canary", slow, "--json", "-") == FAILED
    results = json.loads(capsys.readouterr().out)["judgement"]["performance"]["metrics"]
    assert {row["name"]: row["kind"] for row in results} == {"render_ms": "latency", "render_ms.p95": "latency"}
    assert results[0]["canary"]["requests"] == 1000


def test_what_each_metric_was_taken_for_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    frame = wide(1)[["time", "host", "cpu_percent"]].rename(columns={"cpu_percent": "pool_usage_percent"})
    old = written(frame.assign(build_info=1), "old.csv")
    new = written(frame.assign(build_info=1, pool_usage_percent=frame["pool_usage_percent"] + 0.25), "new.csv")
    assert verify("--metrics-baseline", old, "--metrics-canary", new) == PASSED
    said = capsys.readouterr().out
    assert "as a share, more is worse; in per cent: pool_usage_percent" in said
    assert "as information, not judged: build_info" in said


def test_a_control_of_the_same_time_is_compared_minute_by_minute(capsys: pytest.CaptureFixture[str]) -> None:
    control = written(wide(5, hosts="cdef"), "control.csv")
    canary = wide(3, slow=1.5)
    canary["time"] = [(datetime.fromisoformat(text) + timedelta(seconds=7)).isoformat() for text in canary["time"]]
    slow = written(canary, "slow.csv")
    assert verify("--metrics-control", control, "--metrics-canary", slow, "--json", "-") == FAILED
    told = json.loads(capsys.readouterr().out)["judgement"]
    assert {row["compared_with"] for row in told["performance"]["metrics"]} == {"control"}
    assert told["warnings"] == []


def test_a_control_of_another_time_is_said_to_be_a_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    control = wide(5, hosts="cdef")
    control["time"] = [(datetime.fromisoformat(text) - timedelta(days=1)).isoformat() for text in control["time"]]
    old, new = written(control, "control.csv"), written(wide(3, slow=1.8), "slow.csv")
    assert verify("--metrics-control", old, "--metrics-canary", new) == FAILED
    assert "compared as a baseline" in capsys.readouterr().out


def test_too_little_is_inconclusive_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    old, few = written(wide(1), "old.csv"), written(wide(2).head(4).assign(requests=5), "few.csv")
    assert verify("--metrics-baseline", old, "--metrics-canary", few) == INCONCLUSIVE
    said = capsys.readouterr().out
    assert "20 requests on the canary" in said
    assert "--min-requests" in said


def test_kinds_and_directions_can_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    columns = ["time", "host", "response_time_ms"]
    names = {"response_time_ms": "checkout"}
    old = written(wide(1)[columns].rename(columns=names), "old.csv")
    new = written(wide(3, slow=0.5)[columns].rename(columns=names), "new.csv")
    kinds = {}
    for direction, code in (("lower", FAILED), ("higher", PASSED)):
        given = ("--kind", "checkout=latency", "--direction", f"checkout={direction}", "--json", "-")
        assert verify("--metrics-baseline", old, "--metrics-canary", new, *given) == code
        [result] = json.loads(capsys.readouterr().out)["judgement"]["performance"]["metrics"]
        kinds[direction] = result["kind"]
    assert set(kinds.values()) == {"latency"}


def test_logs_and_metrics_are_judged_together(capsys: pytest.CaptureFixture[str]) -> None:
    for name, first in (("old.log", 0), ("new.log", 700)):
        numbers = range(first, first + 500)
        lines = "".join(f"2026-11-23T08:00:{number % 60:02}Z INFO served {number}\n" for number in numbers)
        Path(name).write_text(lines, encoding="utf-8")
    old, slow = written(wide(1), "old.csv"), written(wide(3, slow=1.8), "slow.csv")
    given = ["--baseline", "old.log", "--canary", "new.log", "--metrics-baseline", old, "--report", "out.html"]
    assert verify(*given, "--metrics-canary", slow) == FAILED
    said = capsys.readouterr().out
    assert "Logs      PASS" in said
    assert "Metrics   FAIL" in said
    page = Path("out.html").read_text(encoding="utf-8")
    assert "response_time_ms" in page
    assert "slow.csv" in page


def test_a_table_given_as_a_log_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    old, new = written(wide(1), "old.csv"), written(wide(2), "new.csv.gz")
    verify("--baseline", old, "--canary", new)
    said = capsys.readouterr().out
    for name in (old, new):
        assert f"{name} is read as a log; metrics are given with --metrics-canary" in said


@pytest.mark.parametrize(
    "times", ["2026-11-23 08:%02d:00", "2026-11-23T08:%02d:00+01:00", "17954%02d000", "17954%02d000000"]
)
def test_times_may_be_texts_or_numbers(times: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"{times % minute},{100 + minute % 3}\n" for minute in range(30))
    Path("old.csv").write_text("ts,latency\n" + rows, encoding="utf-8")
    assert verify("--metrics-baseline", "old.csv", "--metrics-canary", "old.csv", "--json", "-") == PASSED
    [result] = json.loads(capsys.readouterr().out)["judgement"]["performance"]["metrics"]
    assert result["canary"]["buckets"] == 30


def test_semicolons_and_decimal_commas_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"2026-11-23T08:{minute:02}:00Z;{100 + minute % 3},5\n" for minute in range(30))
    Path("old.csv").write_text("time;latency\n" + rows, encoding="utf-8")
    assert verify("--metrics-baseline", "old.csv", "--metrics-canary", "old.csv", "--json", "-") == PASSED
    [result] = json.loads(capsys.readouterr().out)["judgement"]["performance"]["metrics"]
    assert result["canary"]["mean"] == pytest.approx(101.5)


def test_missing_values_are_left_out_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    frame = wide(2)
    frame.loc[3:6, "response_time_ms"] = float("nan")
    old, new = written(wide(1), "old.csv"), written(frame, "new.csv")
    assert verify("--metrics-baseline", old, "--metrics-canary", new) == PASSED
    assert re.search(r"new\.csv: 4 of \d+ values are missing", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", r"new\.csv is empty"),
        ("time,latency\n", r"new\.csv holds no row"),
        ("when,latency\n1,2\n", r"new\.csv has no column of times \(its columns: when, latency\)"),
        ("time,metric,latency\n2026-11-23T08:00:00Z,a,2\n", r"none that is called value"),
        ("time,metric,value\n2026-11-23T08:00:00Z,,2\n", r"row 1: the metric has no name"),
        ("time,region\n2026-11-23T08:00:00Z,eu\n", r"no column of numbers"),
        ("time,latency\n2026-11-23T08:00:00Z,1\nyesterday,2\n", r"new\.csv, row 2: 'yesterday' is not a time"),
        ("time,latency\n5,1\n6,2\n", r"new\.csv, row 1: '5' is not a time \(2 such rows\)"),
        (
            "time,latency\n2026-11-23T08:00:00Z,1\n2026-11-23T08:01:00Z,2\n2026-11-23T08:02:00Z,12ms\n",
            r"'12ms' in column latency is not a number",
        ),
        ("time,latency\n2026-11-23T08:00:00Z,1\n2026-11-23T08:00:00Z,1,2,3\n", r"new\.csv is not readable as CSV"),
        ("PAR1 and nothing else", r"new\.csv is not a readable Parquet file"),
    ],
)
def test_bad_tables_are_one_line_that_names_the_file(
    content: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("new.csv").write_text(content, encoding="utf-8")
    old = written(wide(1), "old.csv")
    assert verify("--metrics-baseline", old, "--metrics-canary", "new.csv") == ERROR
    told = capsys.readouterr().err
    assert re.search(said, told), told
    assert "Next: " in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--kind", "nothing=latency"), r"'nothing', which is not a metric .* cpu_percent, error_rate"),
        (("--kind", "requests=speed"), r"'speed' for requests, which is unknown.*latency, errors"),
        (("--direction", "requests=down"), r"'down' for requests, which is unknown.*higher, lower, either"),
    ],
)
def test_a_word_about_a_metric_that_is_wrong_is_refused(
    given: tuple[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    old = written(wide(1), "old.csv")
    assert verify("--metrics-baseline", old, "--metrics-canary", old, *given) == ERROR
    assert re.search(said, capsys.readouterr().err)
