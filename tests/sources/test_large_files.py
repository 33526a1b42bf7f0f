"""Log files that hold more of a window than is read at a time."""

from __future__ import annotations

import datetime as dt
import gzip
import os
import random
from importlib import import_module
from pathlib import Path

import pytest

from airflow_cd.sources import FileLogs
from airflow_cd.verification.log_reading import LogReader
from airflow_cd.verification.parts import MOST_PARTS, samples_of
from airflow_cd.verification.reading import Instances, Patience
from airflow_cd.verification.samples import LogSample, Window

END = dt.datetime.now(dt.timezone.utc).replace(microsecond=0)
BEGIN = END - dt.timedelta(minutes=10)
WINDOW = Window(BEGIN, BEGIN + dt.timedelta(minutes=8))
NAMES = ["a", "b"]


@pytest.fixture(autouse=True)
def small_portions(monkeypatch):
    monkeypatch.setattr("airflow_cd.sources.log_files._PORTION", 500)
    monkeypatch.setattr("airflow_cd.sources.log_files._BLOCK", 2000)


def lines(seed: int, *, number: int = 3000) -> list[str]:
    """Of eight minutes and what is around them, a burst in the middle, a trace now and then, not quite in order."""
    rng = random.Random(seed)
    found = []
    for place in range(number):
        second = -60 + 600 * place / number
        if number // 2 < place < 3 * number // 4:
            second = -60 + 300 + 60 * (place - number / 2) / number
        moment = BEGIN + dt.timedelta(seconds=second - (rng.random() * 5 if rng.random() < 0.05 else 0.0))
        stamp = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
        if rng.random() < 0.02:
            found += [f"{stamp} ERROR {seed} {place} failed", "Traceback", '  File "cart.py", line 7', "KeyError: 'x'"]
        else:
            found.append(f"{stamp} INFO {seed} served {place}")
    return found


def gz(content: bytes) -> bytes:
    return gzip.compress(content)


def zst(content: bytes) -> bytes:
    for name, function in (("compression.zstd", "compress"), ("backports.zstd", "compress"), ("zstandard", "compress")):
        try:
            packed: bytes = getattr(import_module(name), function)(content)
        except ImportError:
            continue
        return packed
    pytest.skip("no zstandard here")


def rotated(folder: Path, name: str, written: list[str], packed=None) -> None:
    """Four files, of which the older ones may be compressed."""
    quarter = len(written) // 4 + 1
    for place in range(4):
        content = ("\n".join(written[place * quarter : (place + 1) * quarter]) + "\n").encode()
        path = folder / f"{name}.log{f'.{3 - place}' if place < 3 else ''}"
        if packed and place < 3:
            path, content = Path(f"{path}.packed"), packed(content)
        path.write_bytes(content)
        stamp = END.timestamp() - 3 + place
        os.utime(path, (stamp, stamp))


def read(source: FileLogs, window: Window = WINDOW) -> list[tuple[Window, LogSample]]:
    return list(samples_of(source, window, NAMES))


def texts(parts: list[tuple[Window, LogSample]], name: str) -> list[str]:
    return [text for _, one in parts for text in one.frame["message"][one.frame["instance"] == name]]


@pytest.mark.parametrize("packed", [None, gz, zst], ids=["plain", "gzip", "zstandard"])
@pytest.mark.parametrize("most", [16_000, 30_000, 90_000])
def test_parts_hold_what_one_read_holds(tmp_path, packed, most):
    for seed, name in enumerate(NAMES):
        rotated(tmp_path, name, lines(seed, number=3000 if seed else 600), packed)
    whole = read(FileLogs(f"{tmp_path}/{{instance}}.log*"))
    parts = read(FileLogs(f"{tmp_path}/{{instance}}.log*", most_bytes=most))
    assert len(whole) == 1 < len(parts) <= MOST_PARTS
    assert not any(sample.truncated or sample.warnings for _, sample in parts)
    for name in NAMES:
        assert texts(parts, name) == texts(whole, name)
    longest = max(sum(map(len, sample.frame["message"])) for _, sample in parts)
    assert longest <= most + 20 * 500  # no more than the portions of the files that are open


def test_a_window_that_begins_before_the_files_holds_them_from_their_first_line(tmp_path):
    written = lines(1)
    rotated(tmp_path, "a", written)
    window = Window(BEGIN - dt.timedelta(minutes=5), END)
    for most in (30_000, 10**6):
        found = texts(read(FileLogs(f"{tmp_path}/{{instance}}.log*", most_bytes=most), window), "a")
        assert sorted(found) == sorted(written)


def test_no_more_lines_are_held_than_of_one_part(tmp_path):
    rotated(tmp_path, "a", lines(1))
    reader = LogReader(
        FileLogs(f"{tmp_path}/{{instance}}.log*", most_bytes=20_000),
        Instances(("a",), (), None),
        WINDOW.since,
        Patience(dt.timedelta(minutes=10)),
    )
    whole = LogReader(
        FileLogs(f"{tmp_path}/{{instance}}.log*"), reader.instances, reader.since, Patience(dt.timedelta(minutes=10))
    )
    for one in (reader, whole):
        for _ in range(2):  # the second time nothing is new
            one.read(WINDOW, END, whole=True)
    assert reader.canary.counts() == whole.canary.counts()
    assert reader.rows == whole.rows
    assert reader.warnings == []
    reader.cursor = WINDOW.until
    assert reader.unread is None


def test_what_is_more_than_all_parts_hold_is_read_here_and_there(tmp_path):
    rotated(tmp_path, "a", lines(1))
    parts = read(FileLogs(f"{tmp_path}/{{instance}}.log*", most_bytes=600))
    assert len(parts) <= MOST_PARTS
    assert any(sample.truncated for _, sample in parts)
    newest = max(sample.frame["time"].max() for _, sample in parts if len(sample.frame))
    assert newest > WINDOW.until - WINDOW.length / 8


def test_a_date_in_a_text_ends_nothing(tmp_path):
    written = lines(1)
    for place in range(0, len(written), 40):
        written[place] = "certificate expires 2099-01-01 00:00:00 UTC"
    rotated(tmp_path, "a", written)
    found = texts(read(FileLogs(f"{tmp_path}/{{instance}}.log*", most_bytes=30_000)), "a")
    assert found == texts(read(FileLogs(f"{tmp_path}/{{instance}}.log*")), "a")
    assert len(found) > 2000
