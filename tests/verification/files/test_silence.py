"""A log file that ends long before the others, or has a hole, is no healthy one, however good its records are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path

import pytest

from airflow_cd.verification.files.log_times import Stamped
from airflow_cd.verification.files.verification import FilesToVerify, verify_files
from airflow_cd.verification.logs.headers.moments import time_in
from airflow_cd.verification.verdict import Judgement, Verdict

_BEGIN = datetime(2031, 5, 6, 7, 0, tzinfo=timezone.utc)
_EVENTS = ("gate opened by badge {0}", "badge {0} read in {0} ms", "gate closed", "camera saw {0} cars")


def _iso(moment: datetime, text: str) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ} INFO gates - {text}"


def _json(moment: datetime, text: str) -> str:
    return f'{{"level":"info","ts":{moment.timestamp()},"msg":"{text}"}}'


def _syslog(moment: datetime, text: str) -> str:
    return f"{moment:%b %d %H:%M:%S} lodge gates[17]: {text}"


def _access(moment: datetime, text: str) -> str:
    return f'198.51.100.7 - - [{moment:%d/%b/%Y:%H:%M:%S} +0000] "GET /{text.split(maxsplit=1)[0]} HTTP/1.1" 200 17'


def _minutes(minutes: Iterable[float], layout: Callable[[datetime, str], str] = _iso, day: int = 0) -> str:
    lines = []
    for minute in minutes:
        for number in range(30):
            moment = _BEGIN + timedelta(days=day, minutes=minute, seconds=2 * number)
            lines.append(layout(moment, _EVENTS[number % 4].format(number)))
    return "\n".join(lines) + "\n"


def _verify(folder: Path, **sides: list[str]) -> Judgement:
    paths: dict[str, list[str]] = {}
    for side, contents in sides.items():
        for number, content in enumerate(contents):
            path = folder / f"{side}{number}.log"
            path.write_text(content)
            paths.setdefault(side, []).append(str(path))
    return verify_files(FilesToVerify(logs=paths)).judgement


@pytest.mark.parametrize("layout", [_iso, _json, _syslog, _access])
def test_a_canary_that_stops_beside_a_control_leaves_the_verdict_open(tmp_path: Path, layout: Callable) -> None:
    whole, before = _minutes(range(40), layout), _minutes(range(40), layout, day=-1)
    stopped = _minutes(range(12), layout)
    judged = _verify(tmp_path, baseline=[before], control=[whole], canary=[stopped])
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "canary0.log has no records after" in judged.sentence
    other = whole[: whole.rindex("\n", 0, -1) + 1]
    assert _verify(tmp_path, baseline=[before], control=[whole], canary=[other]).verdict is Verdict.PASS


def test_one_of_several_canary_files_that_stops_is_named(tmp_path: Path) -> None:
    files = [_minutes(range(40)), _minutes(range(10)), _minutes(range(40))]
    judged = _verify(tmp_path, baseline=[_minutes(range(40), day=-1)], canary=files)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "canary1.log" in judged.sentence


def test_a_last_word_when_it_is_killed_hides_no_silence(tmp_path: Path) -> None:
    hung = _minutes(range(10)) + _iso(_BEGIN + timedelta(minutes=39), "gate closed") + "\n"
    before = _minutes(range(40), day=-1)
    judged = _verify(tmp_path, baseline=[before], control=[_minutes(range(40))], canary=[hung])
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "canary0.log has no records after" in judged.sentence
    assert (
        _verify(tmp_path, baseline=[before], canary=[hung]).verdict is Verdict.PASS
    )  # nobody knows what happened then


@pytest.mark.parametrize(
    "files",
    [
        [_minutes(range(20)), _minutes(range(20, 40))],  # one log, rotated
        [_minutes(range(10, 40)), _minutes(range(40))],  # one began later
        [_minutes([*range(6), *range(34, 40)])],  # a pause that the baseline has, too
    ],
)
def test_what_is_no_silence(tmp_path: Path, files: list[str]) -> None:
    before = _minutes([*range(6), *range(34, 40)] if len(files) == 1 else range(40), day=-1)
    assert _verify(tmp_path, baseline=[before], canary=files).verdict is Verdict.PASS


def test_a_control_of_another_day_says_nothing_about_silence(tmp_path: Path) -> None:
    control = _minutes(range(40), day=3)
    assert _verify(tmp_path, control=[control], canary=[_minutes(range(10))]).verdict is Verdict.PASS


def test_a_pause_on_both_sides_is_no_silence(tmp_path: Path) -> None:
    both = _minutes([*range(10), *range(30, 40)])
    canary = both[: both.rindex("\n", 0, -1) + 1]
    judged = _verify(tmp_path, baseline=[_minutes(range(40), day=-1)], control=[both], canary=[canary])
    assert judged.verdict is Verdict.PASS


def test_logs_without_times_are_not_called_silent(tmp_path: Path) -> None:
    lines = [f"INFO gates - {event.format(number)}" for number in range(300) for event in _EVENTS]
    judged = _verify(tmp_path, control=["\n".join(lines)], canary=["\n".join(lines[:500])])
    assert judged.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("2031-05-06 07:00:10,250 INFO x", 10.25),
        ("[06/May/2031:09:00:10 +0200] x", 10.0),
        ("1935644410 x", 1935644410 - 1935644400),
        ('{"level":30,"time":1935644410250,"msg":"x"}', 10.25),
        ('{"msg":"x","@timestamp":"2031-05-06T07:00:10.250Z"}', 10.25),
    ],
)
def test_stamps_are_read(line: str, seconds: float) -> None:
    begin = 1935644400.0 if "19356" in line else _BEGIN.timestamp()
    found = time_in(line)
    assert found is not None
    assert found - begin == pytest.approx(seconds)


@pytest.mark.parametrize("line", ["", "INFO no time", "2031-15-46 07:00:10 x", "at Gate.open (gate.js:10:2)"])
def test_what_is_no_stamp(line: str) -> None:
    assert time_in(line) is None


@pytest.mark.parametrize("size", [70, 1_000, 20_000, -1])
def test_lines_are_chosen_evenly_however_the_stream_is_read(size: int) -> None:
    stream = Stamped(BytesIO(_minutes(range(20)).encode()))
    while stream.read(size):
        pass
    course = stream.course("gates.log", 600)
    assert course.times[0] == _BEGIN.timestamp()
    assert course.times[-1] == (_BEGIN + timedelta(minutes=19, seconds=58)).timestamp()
    assert max(after - before for before, after in zip(course.times, course.times[1:], strict=False)) <= 60


def test_a_copy_says_nothing(tmp_path: Path) -> None:
    before = _minutes(range(40), day=-1)
    judged = _verify(tmp_path, baseline=[before], canary=[before])
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "canary0.log has the same records as baseline0.log" in judged.sentence


def test_a_mark_at_the_beginning_belongs_to_no_record(tmp_path: Path) -> None:
    marked = "\ufeff" + _minutes(range(40))
    judged = _verify(tmp_path, baseline=[_minutes(range(40), day=-1)], canary=[marked])
    assert judged.quality is not None
    assert not [event for event in judged.quality.events if event.kind == "unknown"]
