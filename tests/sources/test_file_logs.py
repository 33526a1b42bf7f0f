from __future__ import annotations

import bz2
import datetime as dt
import gzip
import lzma
import os
import shutil
from pathlib import Path

import pytest

from airflow_cd.errors import SourceQueryRejected, SourceUnauthorized, SourceUnavailable
from airflow_cd.sources import FileLogs
from airflow_cd.sources.contract import LogSourceContract
from airflow_cd.verification.samples import Window
from tests.sources.test_large_files import zst

NOW = dt.datetime.now(dt.timezone.utc).replace(microsecond=0)
BEGIN = NOW - dt.timedelta(minutes=10)
WINDOW = Window(BEGIN, BEGIN + dt.timedelta(minutes=4))


def at(seconds: float) -> dt.datetime:
    return BEGIN + dt.timedelta(seconds=seconds)


def written(path: Path, *lines: str, modified: dt.datetime | None = None, end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + end)
    stamp = (modified or NOW).timestamp()
    os.utime(path, (stamp, stamp))
    return path


def line(seconds: float, text: str = "INFO served") -> str:
    return f"{at(seconds):%Y-%m-%dT%H:%M:%S}.250Z {text} {seconds}"


def messages(source: FileLogs, window: Window = WINDOW, *instances: str) -> list[str]:
    return list(source.read(window, instances or ["a"]).frame["message"])


class TestContract(LogSourceContract):
    @pytest.fixture
    def source(self, tmp_path):
        for name in ("a", "b"):
            folder = tmp_path / name
            old = [line(second, f"INFO {name} old") for second in range(-60, 60)]
            middle = [line(second, f"INFO {name} middle") for second in range(60, 120)]
            new = [part for second in range(120, 300) for part in (line(second, f"ERROR {name}"), "  at shop.Cart.add")]
            with gzip.open(folder.parent / f"{name}.gz", "wb") as packed:
                packed.write(("\n".join(old) + "\n").encode())
            folder.mkdir()
            shutil.move(tmp_path / f"{name}.gz", folder / "app.log.2.gz")
            written(folder / "app.log.1", *middle)
            written(folder / "app.log", *new)
        return FileLogs(f"{tmp_path}/{{instance}}/app.log*")

    @pytest.fixture
    def broken(self, tmp_path):
        return FileLogs(f"{tmp_path}/nothing/{{instance}}.log")

    @pytest.fixture
    def window(self):
        return WINDOW

    @pytest.fixture
    def instances(self):
        return ["a", "b"]


def test_lines_of_a_trace_are_of_the_time_of_its_first(tmp_path):
    written(tmp_path / "a.log", line(1), "Traceback", "  File x", line(2))
    assert messages(FileLogs(f"{tmp_path}/{{instance}}.log"), Window(at(0), at(2))) == [
        line(1),
        "Traceback",
        "  File x",
    ]


def test_a_copy_that_is_about_to_be_truncated_counts_once(tmp_path):
    lines = [line(second) for second in range(100)]
    written(tmp_path / "a.log", *lines)
    written(tmp_path / "a.log.1", *lines[:70])  # the copy is not finished yet
    source = FileLogs(f"{tmp_path}/{{instance}}.log*")
    assert messages(source) == lines
    written(tmp_path / "a.log.1", *lines)
    written(tmp_path / "a.log", line(100))
    assert messages(source) == [*lines, line(100)]


def test_a_file_that_is_being_compressed_counts_once(tmp_path):
    lines = [line(second) for second in range(100)]
    written(tmp_path / "a.log.1", *lines)
    (tmp_path / "a.log.1.bz2").write_bytes(bz2.compress(("\n".join(lines) + "\n").encode()))
    assert messages(FileLogs(f"{tmp_path}/{{instance}}.log*")) == lines


@pytest.mark.parametrize("packed", [False, True])
def test_files_with_the_same_header_are_all_read(tmp_path, packed):
    header = ["# " + "=" * 98] * 45
    older, newer = ([line(second) for second in range(start, start + 60)] for start in (0, 60))
    written(tmp_path / "a.log.1", *header, *older)
    if packed:
        (tmp_path / "a.log.1").unlink()
        (tmp_path / "a.log.1.gz").write_bytes(gzip.compress(("\n".join([*header, *older]) + "\n").encode()))
    source = FileLogs(f"{tmp_path}/{{instance}}.log*")
    written(tmp_path / "a.log", *header)
    assert [one for one in messages(source) if one[0] != "#"] == older
    written(tmp_path / "a.log", *header, *newer)
    assert [one for one in messages(source) if one[0] != "#"] == [*older, *newer]


def test_workers_that_began_with_the_same_line_are_all_read(tmp_path):
    lines = [line(0, "INFO start"), *[line(second) for second in range(1, 30)]]
    written(tmp_path / "a" / "worker-1.log", *lines)
    written(tmp_path / "a" / "worker-2.log", lines[0])
    written(tmp_path / "a" / "worker-3.log", lines[0], line(30))
    assert len(messages(FileLogs(f"{tmp_path}/{{instance}}/*.log"))) == 30 + 1 + 2


def test_a_file_counts_once_while_half_of_it_is_compressed(tmp_path):
    lines = [line(second / 10, f"INFO {os.urandom(1000).hex()}") for second in range(2000)]
    content = ("\n".join(lines) + "\n").encode()
    written(tmp_path / "a.log.1", *lines)
    source = FileLogs(f"{tmp_path}/{{instance}}.log*")
    for share in (0.5, 1.0):
        packed = gzip.compress(content)
        (tmp_path / "a.log.1.gz").write_bytes(packed[: round(share * len(packed))])
        assert messages(source) == lines
    (tmp_path / "a.log.1").unlink()
    assert messages(source) == lines


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_file_counts_once_under_all_of_its_names(tmp_path, link):
    lines = [line(second) for second in range(5)]
    written(tmp_path / "a" / "shop.log", *lines)
    link(tmp_path / "a" / "shop.log", tmp_path / "a" / "latest.log")
    assert messages(FileLogs(f"{tmp_path}/{{instance}}/*")) == lines
    sample = FileLogs(f"{tmp_path}/a/{{instance}}.log").read(WINDOW, ["shop"])
    assert list(sample.frame["message"]) == lines
    assert sample.unassigned == 0


def test_a_file_that_two_instances_have_is_nobodys(tmp_path):
    written(tmp_path / "web-1" / "app.log", line(1))
    (tmp_path / "web-2").symlink_to("web-1")
    with pytest.raises(
        SourceQueryRejected, match=r"web-1/app\.log of web-1 and .*web-2/app\.log of web-2 are the same"
    ):
        FileLogs(f"{tmp_path}/{{instance}}/app.log").read(WINDOW, ["web-1", "web-2"])


class TestDamage:
    """A rotated file that is empty, half written or cut off stops nothing, and what is lost with it is said."""

    NOISE = tuple(line(second / 10, f"INFO {os.urandom(100).hex()}") for second in range(1000))

    def test_an_empty_log_that_was_compressed(self, tmp_path):
        written(tmp_path / "a.log", line(1))
        (tmp_path / "a.log.1.gz").write_bytes(gzip.compress(b""))
        sample = FileLogs(f"{tmp_path}/{{instance}}.log*").read(WINDOW, ["a"])
        assert list(sample.frame["message"]) == [line(1)]
        assert (sample.truncated, sample.warnings) == (False, ())

    def test_one_that_is_older_than_the_window_is_not_looked_at(self, tmp_path):
        written(tmp_path / "a.log", "  going on", line(1))
        packed = written(tmp_path / "a.log.9.gz", "")
        packed.write_bytes(gzip.compress(b"x y z\n" * 50)[:15])
        os.utime(packed, (0, BEGIN.timestamp() - 86400))
        sample = FileLogs(f"{tmp_path}/{{instance}}.log*").read(WINDOW, ["a"])
        assert list(sample.frame["message"]) == [line(1)]
        assert sample.warnings == ("1 lines of a state no time, nor does one before them.",)

    @pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.99])
    @pytest.mark.parametrize("age", [0, 86400])
    def test_one_that_is_being_compressed_stands_beside_its_original(self, tmp_path, share, age):
        written(tmp_path / "a.log", line(200))
        written(tmp_path / "a.log.1", *self.NOISE, modified=NOW - dt.timedelta(seconds=age))
        packed = gzip.compress((tmp_path / "a.log.1").read_bytes())
        (tmp_path / "a.log.1.gz").write_bytes(packed[: max(5, round(share * len(packed)))])
        sample = FileLogs(f"{tmp_path}/{{instance}}.log*").read(WINDOW, ["a"])
        assert list(sample.frame["message"]) == [*(() if age else self.NOISE), line(200)]
        assert (sample.truncated, sample.warnings) == (False, ())

    @pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zst])
    def test_of_one_that_was_cut_off_what_there_is_is_read(self, tmp_path, pack):
        written(tmp_path / "a.log", line(200))
        packed = pack("\n".join(self.NOISE).encode() * (20 if pack is bz2.compress else 1))
        (tmp_path / "a.log.1.packed").write_bytes(packed[: len(packed) * 9 // 10])
        sample = FileLogs(f"{tmp_path}/{{instance}}.log*").read(WINDOW, ["a"])
        assert len(sample.frame) > len(self.NOISE) / 2
        assert sample.frame["message"].iloc[-1] == line(200)
        assert sample.truncated
        assert sample.warnings == (
            f"{tmp_path}/a.log.1.packed is damaged or was cut off: only what there is of it was read.",
        )


@pytest.mark.parametrize("zeros", [3000, 200_000])
@pytest.mark.parametrize("packed", [False, True])
def test_zeros_that_truncating_has_left_are_no_line(tmp_path, zeros, packed):
    lines = [line(second) for second in range(5)]
    content = b"\0" * zeros + "\n".join(lines).encode() + b"\n"
    (tmp_path / "a.log").write_bytes(gzip.compress(content) if packed else content)
    sample = FileLogs(f"{tmp_path}/{{instance}}.log").read(WINDOW, ["a"])
    assert list(sample.frame["message"]) == lines
    assert (sample.truncated, sample.warnings) == (False, ())


def test_a_hole_is_no_line_however_large(tmp_path):
    lines = [line(second) for second in range(5)]
    with (tmp_path / "a.log").open("wb") as file:
        file.seek(1 << 36)
        file.write("\n".join(lines).encode() + b"\n")
    assert messages(FileLogs(f"{tmp_path}/{{instance}}.log")) == lines


def test_equal_lines_of_one_moment_keep_their_number(tmp_path):
    written(tmp_path / "a.log", *[line(5)] * 3, line(6))
    assert messages(FileLogs(f"{tmp_path}/{{instance}}.log")) == [line(5)] * 3 + [line(6)]


def test_ten_rotations_lose_and_double_nothing(tmp_path):
    source, found = FileLogs(f"{tmp_path}/{{instance}}.log*"), []
    wanted = [line(second) for second in range(100)]
    for turn in range(10):
        for number in range(turn, 0, -1):
            (tmp_path / f"a.log{f'.{number - 1}' if number > 1 else ''}").rename(tmp_path / f"a.log.{number}")
        written(tmp_path / "a.log", *wanted[10 * turn : 10 * turn + 10], modified=NOW)
        found += messages(source, Window(at(10 * turn), at(10 * turn + 10)))
    assert found == wanted
    assert messages(source) == wanted


def test_the_line_that_is_being_written_is_left_for_the_next_read(tmp_path):
    path = written(tmp_path / "a.log", line(1), line(2), end="", modified=dt.datetime.now(dt.timezone.utc))
    source = FileLogs(f"{tmp_path}/{{instance}}.log")
    assert messages(source) == [line(1)]
    written(path, line(1), line(2), end="", modified=NOW - dt.timedelta(seconds=5))
    assert messages(source) == [line(1), line(2)]


def test_a_large_file_is_read_from_near_the_window(tmp_path, monkeypatch):
    monkeypatch.setattr("airflow_cd.sources.log_files._BLOCK", 4096)
    monkeypatch.setattr("airflow_cd.sources.log_files._PORTION", 4096)
    written(tmp_path / "a.log", *(line(second / 10) for second in range(-20_000, 2_000)))
    source = FileLogs(f"{tmp_path}/{{instance}}.log", most_bytes=20_000)
    sample = source.read(Window(at(190), at(200)), ["a"])
    assert len(sample.frame) == 100
    assert not sample.truncated


def test_of_more_than_is_read_at_a_time_the_oldest_are_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("airflow_cd.sources.log_files._PORTION", 1000)
    for name in ("a", "b"):
        written(tmp_path / f"{name}.log", *(line(second) for second in range(100)))
    sample = FileLogs(f"{tmp_path}/{{instance}}.log", most_bytes=4000).read(WINDOW, ["a", "b"])
    assert sample.truncated
    assert sample.cut
    assert BEGIN < sample.whole_until < at(100)
    wanted = [line(second) for second in range(100) if at(second + 0.25) < sample.whole_until]
    for name in ("a", "b"):
        assert list(sample.frame["message"][sample.frame["instance"] == name]) == wanted


class TestTimes:
    def test_a_zone_that_is_said(self, tmp_path):
        there = (at(5) + dt.timedelta(hours=9)).strftime("%Y-%m-%d %H:%M:%S,500")
        written(tmp_path / "a.log", f"{there} INFO x", modified=at(5.5))
        sample = FileLogs(f"{tmp_path}/{{instance}}.log", zone="Asia/Tokyo").read(WINDOW, ["a"])
        assert list(sample.frame["time"]) == [at(5.5)]

    def test_a_zone_that_is_not_said_is_noticed(self, tmp_path):
        there = (at(5) + dt.timedelta(hours=9)).strftime("%Y-%m-%d %H:%M:%S,500")
        written(tmp_path / "a.log", f"{there} INFO x", modified=at(6))
        with pytest.raises(SourceQueryRejected, match=r"lies 9 h after when it was written.*not of UTC.*zone="):
            FileLogs(f"{tmp_path}/{{instance}}.log").read(WINDOW, ["a"])

    def test_a_zone_that_is_not_said_is_noticed_where_the_hour_before_has_lines(self, tmp_path):
        written(tmp_path / "a.log", *(line(second) for second in range(-3600, 3600, 10)), modified=at(0))
        with pytest.raises(SourceQueryRejected, match=r"lies 1 h after when it was written"):
            FileLogs(f"{tmp_path}/{{instance}}.log").read(WINDOW, ["a"])
        ahead = [f"token until {at(3600 + second):%Y-%m-%d %H:%M:%S}" for second in range(2)]
        written(tmp_path / "a.log", line(0), *ahead, modified=at(0))
        assert messages(FileLogs(f"{tmp_path}/{{instance}}.log")) == [line(0)]

    @pytest.mark.parametrize(("behind", "said"), [(30, True), (61, False), (60, True)])
    def test_a_quiet_log_may_be_of_another_zone(self, tmp_path, behind, said):
        written(tmp_path / "a.log", line(60 - behind * 60), "a line without a time", modified=at(60))
        sample = FileLogs(f"{tmp_path}/{{instance}}.log").read(WINDOW, ["a"])
        assert len(sample.frame) == 0
        assert ("is not quiet, its stamps are not of UTC" in "".join(sample.warnings)) == said

    def test_the_clock_of_a_file_server_may_be_behind(self, tmp_path):
        for name in ("one", "two"):
            written(tmp_path / "a" / name, *(line(second, name) for second in range(60)), modified=at(-90))
        assert len(messages(FileLogs(f"{tmp_path}/{{instance}}/*"))) == 120
        (tmp_path / "a" / "two").unlink()
        written(tmp_path / "a" / "one", *(line(second) for second in range(60)), modified=at(-1234))
        assert len(messages(FileLogs(f"{tmp_path}/{{instance}}/*"))) == 60

    @pytest.mark.parametrize(
        "layout",
        ["{:%b %e %H:%M:%S} web-1 shop[7]: x", '{{"ts": {epoch}, "msg": "x"}}', "{:%d/%b/%Y:%H:%M:%S} +0000 GET /"],
    )
    def test_stamps_of_other_layouts(self, tmp_path, layout):
        written(tmp_path / "a.log", layout.format(at(7), epoch=at(7).timestamp()), modified=at(7))
        sample = FileLogs(f"{tmp_path}/{{instance}}.log").read(WINDOW, ["a"])
        assert list(sample.frame["time"]) == [at(7)]

    @pytest.mark.parametrize(
        "layout",
        [
            '{{"level": "error", "msg": "valid until 2020-01-01T00:00:00Z", "time": "{0:%Y-%m-%dT%H:%M:%S}Z"}}',
            '{{"order": {{"date": "2020-01-01T00:00:00Z"}}, "ts": {1}}}',
            '{{"msg": "{{\\"time\\": \\"2020-01-01T00:00:00Z\\"}}", "t": {{"$date": "{0:%Y-%m-%dT%H:%M:%S}Z"}}}}',
            'level=error msg="valid until 2020-01-01T00:00:00Z" time={0:%Y-%m-%dT%H:%M:%S}Z',
        ],
    )
    def test_a_time_that_a_record_tells_of_is_not_its_own(self, tmp_path, layout):
        written(tmp_path / "a.log", layout.format(at(7), at(7).timestamp()), modified=at(7))
        sample = FileLogs(f"{tmp_path}/{{instance}}.log").read(WINDOW, ["a"])
        assert list(sample.frame["time"]) == [at(7)]

    @pytest.mark.parametrize("told", ["2020-01-01 00:00:00", "2031-01-01 00:00:00"])
    def test_a_trace_that_tells_of_another_time_stays_whole(self, tmp_path, told):
        trace = [line(7, "ERROR login"), f"Caused by: TokenError: valid until {told}", "  at shop.Login.check"]
        written(tmp_path / "a.log", line(0), *trace, line(9), modified=at(9))
        assert messages(FileLogs(f"{tmp_path}/{{instance}}.log")) == [line(0), *trace, line(9)]

    def test_lines_without_a_time_are_not_dropped_silently(self, tmp_path):
        written(tmp_path / "a.log", "hello", "world")
        sample = FileLogs(f"{tmp_path}/{{instance}}.log").read(WINDOW, ["a"])
        assert sample.truncated
        assert sample.warnings == ("2 lines of a state no time, nor does one before them.",)


class TestSpecification:
    def test_instances_are_found_in_the_names(self, tmp_path):
        for name in ("web-1", "web-2"):
            written(tmp_path / name / "app.log", "x")
        assert FileLogs(f"{tmp_path}/{{instance}}/app.log*").instances(WINDOW) == ["web-1", "web-2"]

    def test_paths_by_name(self, tmp_path):
        written(tmp_path / "shop" / "out.log", line(1))
        source = FileLogs({"shop/1": f"{tmp_path}/shop/*.log"})
        assert messages(source, WINDOW, "shop/1") == [line(1)]

    def test_a_name_leads_nowhere_else(self, tmp_path):
        written(tmp_path / "secret.log", line(1))
        with pytest.raises(SourceQueryRejected, match="cannot be part of a file's name"):
            FileLogs(f"{tmp_path}/logs/{{instance}}.log").read(WINDOW, ["../secret"])
        assert messages(FileLogs(f"{tmp_path}/{{instance}}.log"), WINDOW, "secre*") == []

    def test_a_file_that_several_names_fit_is_of_the_longest(self, tmp_path):
        written(tmp_path / "web-1.log", line(1, "of web"))
        written(tmp_path / "web-api-1.log", line(2, "of web-api"))
        source = FileLogs(f"{tmp_path}/{{instance}}-*.log")
        sample = source.read(WINDOW, ["web", "web-api"])
        assert list(sample.frame["instance"]) == ["web", "web-api"]
        assert sample.unassigned == 0

    def test_a_name_that_stands_there_twice_is_found_once(self, tmp_path):
        written(tmp_path / "web-1" / "web-1.log", line(1))
        written(tmp_path / "web-10" / "web-10.log", line(2))
        source = FileLogs(f"{tmp_path}/{{instance}}/{{instance}}*.log")
        assert source.instances(WINDOW) == ["web-1", "web-10"]
        assert messages(source, WINDOW, "web-1") == [line(1)]

    def test_a_file_of_two_patterns_is_nobodys(self, tmp_path):
        written(tmp_path / "web-10.log", line(1))
        source = FileLogs({"web-1": f"{tmp_path}/web-1*.log", "web-10": f"{tmp_path}/web-10*.log"})
        with pytest.raises(SourceQueryRejected, match=r"web-10\.log fits the patterns of both web-10 and web-1"):
            source.read(WINDOW, ["web-1", "web-10"])

    @pytest.mark.parametrize(
        ("pattern", "refused"),
        [
            ("{instance}*.log", True),
            ("{instance}?.log", True),
            ("{instance}[0-9].log", True),
            ("*{instance}.log", True),
            ("{instance}[.-]*.log", False),
            ("{instance}-*.log", False),
            ("*/{instance}.log*", False),
            ("{instance}/{instance}*.log", False),
        ],
    )
    def test_a_wildcard_beside_the_name_that_may_be_part_of_a_name_is_refused(self, pattern, refused):
        assert ("cannot tell web-1 from web-10" in "".join(FileLogs(f"/x/{pattern}").mistakes())) == refused

    def test_no_file_at_all_is_an_error(self, tmp_path):
        with pytest.raises(SourceUnavailable, match=r"no file of any instance is there\. Next"):
            FileLogs(f"{tmp_path}/{{instance}}.log").read(WINDOW, ["a"])
        with pytest.raises(SourceUnavailable, match=f"no file .* is there: there is no folder {tmp_path}/logs.? Next"):
            FileLogs(f"{tmp_path}/logs/web/{{instance}}.log").read(WINDOW, ["a"])

    def test_a_folder_that_may_not_be_entered_is_named(self, tmp_path, monkeypatch):
        closed = tmp_path / "closed"
        closed.mkdir()
        may = os.access
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != closed and may(path, mode))
        for pattern in ("closed/{instance}.log", "closed/web/{instance}.log", "closed/*/{instance}.log"):
            with pytest.raises(SourceUnauthorized, match=f"may not look into {closed}.? Next: Let the group"):
                FileLogs(f"{tmp_path}/{pattern}").read(WINDOW, ["a"])

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"paths": "/var/log/app.log"}, "{instance} is missing"),
            ({"paths": "logs/{instance}.log"}, "not absolute"),
            ({"paths": {}}, "neither a pattern nor patterns"),
            ({"paths": "/x/{instance}", "zone": "Mars/Crater"}, "not the name of a time zone"),
            ({"paths": "/x/{instance}", "delay": "soon"}, "delay: 'soon'"),
        ],
    )
    def test_mistakes(self, fields, says):
        assert says in "\n".join(FileLogs(**fields).mistakes())
