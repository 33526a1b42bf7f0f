"""Stamps without a zone, of the night in which a clock shows an hour twice."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import os
import sqlite3
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from airflow_cd.sources import FileLogs, SqlMetrics
from airflow_cd.verification.samples import LogSample, Metric, MetricSample, Window

BERLIN = ZoneInfo("Europe/Berlin")
CHANGE = dt.datetime(2026, 10, 25, 1, tzinfo=dt.timezone.utc)  # 3:00 of summer time is 2:00


def after(minutes: float) -> dt.datetime:
    return CHANGE + dt.timedelta(minutes=minutes)


def lines(since: int, until: int, zone: dt.tzinfo = BERLIN) -> list[str]:
    """Two a minute, each with the minutes since the change."""
    return [f"{after(n / 2).astimezone(zone):%Y-%m-%d %H:%M:%S} INFO {n / 2}" for n in range(2 * since, 2 * until)]


def file(path: Path, written: list[str], until: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = ("\n".join(written) + "\n").encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    os.utime(path, (after(until).timestamp(),) * 2)


class TestFiles:
    @pytest.fixture(autouse=True)
    def now(self, monkeypatch):
        monkeypatch.setattr("airflow_cd.sources.files.utc_now", lambda: after(150))

    def read(self, path: Path, since: int, until: int, zone: str = "Europe/Berlin") -> LogSample:
        return FileLogs(f"{path}/{{instance}}/app.log*", zone=zone).read(Window(after(since), after(until)), ["a"])

    def minutes(self, sample: LogSample) -> list[float]:
        return [float(text.split()[-1]) for text in sample.frame["message"]]

    @pytest.mark.parametrize(("since", "until"), [(-50, -40), (-5, 5), (10, 20), (55, 65), (-70, 70), (70, 80)])
    @pytest.mark.parametrize("rotated", [None, -100, -30, 0, 5, 30, 61])
    @pytest.mark.parametrize("suffix", ["", ".gz"])
    def test_each_line_is_of_its_hour(self, tmp_path, since, until, rotated, suffix):
        if rotated is not None:
            file(tmp_path / "a" / f"app.log.1{suffix}", lines(-120, rotated), rotated)
        file(tmp_path / "a" / "app.log", lines(-120 if rotated is None else rotated, 100), 100)
        sample = self.read(tmp_path, since, until)
        wanted = [n / 2 for n in range(2 * since, 2 * until)]
        assert self.minutes(sample) == wanted
        assert list(sample.frame["time"]) == [after(minute) for minute in wanted]
        assert sample.warnings == ()

    @pytest.mark.parametrize("until", [-20, 40])
    def test_a_file_of_one_hour_alone_is_of_that_in_which_it_was_written(self, tmp_path, until):
        file(tmp_path / "a" / "app.log", lines(until - 20, until), until)
        assert len(self.read(tmp_path, until - 10, until).frame) == 20
        other = until - 60 if until > 0 else until + 60
        assert len(self.read(tmp_path, other - 10, other).frame) == 0

    def test_lines_of_the_first_hour_that_come_late(self, tmp_path):
        written = lines(-90, 60)
        late = written[2 * 90 - 1]  # of 2:59:30, behind some of 2:00
        file(tmp_path / "a" / "app.log", [*written[: 2 * 90 - 1], written[2 * 90], late, *written[2 * 90 + 1 :]], 60)
        assert sorted(self.minutes(self.read(tmp_path, -10, 10))) == [n / 2 for n in range(-20, 20)]

    def test_a_clock_that_is_set_back_by_half_an_hour(self, tmp_path, monkeypatch):
        change = dt.datetime(2026, 4, 4, 15, tzinfo=dt.timezone.utc)
        monkeypatch.setitem(globals(), "CHANGE", change)
        file(tmp_path / "a" / "app.log", lines(-100, 80, ZoneInfo("Australia/Lord_Howe")), 80)
        for since in (-30, -10, 5, 25, 35):
            sample = self.read(tmp_path, since, since + 10, "Australia/Lord_Howe")
            assert self.minutes(sample) == [n / 2 for n in range(2 * since, 2 * since + 20)]

    def test_stamps_with_a_zone_are_what_they_say(self, tmp_path):
        written = [f"{after(n).isoformat()} INFO {n}" for n in range(-90, 90)]
        file(tmp_path / "a" / "app.log", written, 90)
        assert self.minutes(self.read(tmp_path, -10, 10)) == list(range(-10, 10))


class TestSql:
    """The column says no zone, and there is no order: what may be of either hour is left out, and that is said."""

    @pytest.fixture
    def source(self, tmp_path, monkeypatch):
        connection = sqlite3.connect(tmp_path / "shop.db")
        connection.execute("CREATE TABLE orders (placed_at TEXT, host TEXT)")
        rows = [(f"{after(n / 2).astimezone(BERLIN):%Y-%m-%d %H:%M:%S}.000000", "a") for n in range(-400, 400)]
        connection.executemany("INSERT INTO orders VALUES (?, ?)", rows)
        connection.commit()
        connection.close()
        monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", json.dumps({"conn_type": "sqlite", "host": f"{tmp_path}/shop.db"}))
        query = (
            "SELECT placed_at AS time, host AS instance FROM orders WHERE placed_at >= :since AND placed_at < :until"
        )
        return SqlMetrics(query, Metric("orders", "count"), "shop_db", zone="Europe/Berlin")

    @pytest.fixture
    def read(self, source, monkeypatch):
        def read(since: int, until: int, now: int = 190) -> MetricSample:
            monkeypatch.setattr("airflow_cd.sources.sql.utc_now", lambda: after(now))
            return source.read(Window(after(since), after(until)), ["a"])

        return read

    @pytest.mark.parametrize(
        ("since", "until", "known"),
        [
            (-80, -70, range(-80, -70)),
            (-70, -50, range(-70, -60)),
            (-50, -40, ()),
            (-5, 5, ()),
            (10, 20, ()),
            (55, 65, range(60, 65)),
            (60, 70, range(60, 70)),
            (-65, 65, [*range(-65, -60), *range(60, 65)]),
        ],
    )
    def test_what_is_certain_is_counted_and_the_rest_is_said(self, read, since, until, known):
        sample = read(since, until)
        assert list(sample.frame["time"]) == [after(minute) for minute in known]
        assert set(sample.frame["value"]) <= {2.0}
        assert len(sample.warnings) == (len(known) < until - since)
        assert all("clocks of Europe/Berlin are set back in that night and show" in one for one in sample.warnings)

    def test_in_the_first_hour_the_second_is_still_to_come(self, read, tmp_path):
        connection = sqlite3.connect(tmp_path / "shop.db")
        connection.execute("DELETE FROM orders WHERE rowid > ?", (400 - 2 * 19,))
        connection.commit()
        connection.close()
        sample = read(-30, -20, now=-19)
        assert list(sample.frame["value"]) == [2.0] * 10
        assert sample.warnings == ()

    def test_the_night_in_which_an_hour_is_skipped(self, read, source, tmp_path, monkeypatch):
        monkeypatch.setitem(globals(), "CHANGE", dt.datetime(2026, 3, 29, 1, tzinfo=dt.timezone.utc))
        connection = sqlite3.connect(tmp_path / "shop.db")
        rows = [(f"{after(n / 2).astimezone(BERLIN):%Y-%m-%d %H:%M:%S}.000000", "a") for n in range(-40, 40)]
        connection.executemany("INSERT INTO orders VALUES (?, ?)", rows)
        connection.commit()
        connection.close()
        sample = read(-10, 10, now=20)
        assert list(sample.frame["value"]) == [2.0] * 20
        assert sample.warnings == ()
