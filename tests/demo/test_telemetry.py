from __future__ import annotations

import json
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from airflow_cd.demo.telemetry import LogReader, TransactionReader, telemetry_directory
from airflow_cd.errors import AirflowCdError


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def stamp(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def append(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def logs(reader: LogReader) -> list[str]:
    reader.refresh()
    return [record.text for record in reader.index.between(0, 1e15)]


def transaction(seconds: float, **attributes: object) -> str:
    return json.dumps({"timestamp": seconds * 1000, "appName": "shop", "duration": 0.01, **attributes}) + "\n"


def test_a_traceback_is_one_record_complete_when_the_next_starts(tmp_path: Path) -> None:
    now, clock = time.time(), Clock()
    reader = LogReader(tmp_path, clock=clock)
    path = tmp_path / "logs/production/shop-1.log"
    traceback = f"{stamp(now)} ERROR shop - oops\nTraceback (most recent call last):\n  File x\nValueError: é\n"
    append(path, traceback)
    assert logs(reader) == []
    append(path, f"{stamp(now + 1)} INFO shop - next\n")
    assert logs(reader) == [traceback.rstrip("\n")]


def test_a_record_without_a_follower_is_complete_after_a_while(tmp_path: Path) -> None:
    now, clock = time.time(), Clock()
    reader = LogReader(tmp_path, clock=clock)
    append(tmp_path / "logs/production/shop-1.log", f"{stamp(now)} INFO shop - alone\n")
    assert logs(reader) == []
    clock.now += 0.2
    assert logs(reader) == []
    clock.now += 0.2
    assert logs(reader) == [f"{stamp(now)} INFO shop - alone"]


def test_half_a_line_waits_for_its_other_half(tmp_path: Path) -> None:
    now, clock = time.time(), Clock()
    reader = LogReader(tmp_path, clock=clock)
    path = tmp_path / "logs/dev/shop-1.log"
    append(path, f"{stamp(now)} INFO shop - par")
    reader.refresh()
    clock.now += 5
    assert logs(reader) == []
    append(path, "tial\n")
    reader.refresh()
    clock.now += 5
    assert logs(reader) == [f"{stamp(now)} INFO shop - partial"]


def test_files_and_environments_that_appear_later_are_read(tmp_path: Path) -> None:
    now, clock = time.time(), Clock()
    root = tmp_path / "not-there-yet"
    reader = LogReader(root, clock=clock)
    assert logs(reader) == []
    append(root / "logs/staging/shop-9.log", f"{stamp(now)} INFO shop - hello\n")
    reader.refresh()
    clock.now += 1
    reader.refresh()
    (record,) = reader.index.between(0, 1e15)
    assert (record.environment, record.instance) == ("staging", "shop-9")
    assert record.time_ms == pytest.approx(now * 1000, abs=1)


def test_ids_are_the_same_for_every_reader_and_differ_between_equal_records(tmp_path: Path) -> None:
    now = time.time()
    append(tmp_path / "logs/production/shop-1.log", f"{stamp(now)} INFO shop - same\n" * 3)
    ids = []
    for _ in range(2):
        clock = Clock()
        reader = LogReader(tmp_path, clock=clock)
        reader.refresh()
        clock.now += 1
        reader.refresh()
        ids.append([record.id for record in reader.index.between(0, 1e15)])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 3


def test_a_file_that_was_cut_short_is_read_anew(tmp_path: Path) -> None:
    now = time.time()
    reader = TransactionReader(tmp_path)
    path = tmp_path / "transactions/production/shop-1.jsonl"
    append(path, transaction(now) * 3)
    reader.refresh()
    path.write_text(transaction(now + 1))
    reader.refresh()
    assert len(reader.index) == 4


def test_transactions_are_ordered_by_time_whoever_wrote_them_first(tmp_path: Path) -> None:
    now = time.time()
    reader = TransactionReader(tmp_path)
    append(tmp_path / "transactions/production/a.jsonl", transaction(now - 1) + transaction(now - 3))
    append(tmp_path / "transactions/production/b.jsonl", transaction(now - 2))
    reader.refresh()
    times = [item.time_ms for item in reader.index.between(0, 1e15)]
    assert times == sorted(times)
    window = reader.index.between((now - 2.5) * 1000, (now - 1.5) * 1000)
    assert [item.attributes["host"] for item in window] == ["b"]


def test_lines_that_are_no_transactions_are_left_out(tmp_path: Path) -> None:
    reader = TransactionReader(tmp_path)
    rubbish = 'no json\n[1]\n{"duration": 1}\n{"timestamp": "soon"}\n\n'
    append(tmp_path / "transactions/production/a.jsonl", rubbish + transaction(time.time()))
    reader.refresh()
    assert len(reader.index) == 1


def test_the_index_forgets(tmp_path: Path) -> None:
    now = time.time()
    reader = TransactionReader(tmp_path, keep_seconds=60)
    append(tmp_path / "transactions/production/a.jsonl", transaction(now - 61) + transaction(now - 1))
    reader.refresh()
    assert len(reader.index) == 1


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "telemetry"
    path.write_text("")
    with pytest.raises(AirflowCdError, match="is a file"):
        telemetry_directory(path)
