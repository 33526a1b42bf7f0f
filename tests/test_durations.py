from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cd.durations import DurationField, format_duration, parse_duration


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("10m", 600),
        ("30s", 30),
        (" 1h30m ", 5400),
        ("1h 30m", 5400),
        ("1.5m", 90),
        ("500ms", 0.5),
        ("2d", 172_800),
        ("1w", 604_800),
        (90, 90),
        (0.25, 0.25),
        (0, 0),
        (timedelta(minutes=2), 120),
    ],
)
def test_reads(value, seconds):
    assert parse_duration(value) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value",
    ["", " ", "10", "m", "10 minutes", "-5s", "5m-", "10M", "1h,30m", -1, float("nan"), float("inf"), True, None, [],
     timedelta(seconds=-1), "9" * 30 + "w", 1e300],
)  # fmt: skip
def test_refuses_and_quotes_the_value(value):
    with pytest.raises(ValueError, match="is not a duration") as raised:
        parse_duration(value)
    assert repr(value) in str(raised.value)


@given(st.integers(min_value=0, max_value=10**11))
def test_written_durations_are_read_back(milliseconds):
    length = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(length)) == length


def test_format():
    assert format_duration(timedelta(hours=1, minutes=30)) == "1h30m"
    assert format_duration(timedelta(0)) == "0s"


@dataclass(frozen=True)
class Spec:
    pause: DurationField = DurationField("10s")  # noqa: RUF009 - a descriptor


def test_field_reads_as_timedelta():
    assert Spec().pause == Spec("10s").pause == timedelta(seconds=10)
    assert Spec("1m") == Spec(60) != Spec()
    assert repr(Spec("1m")) == "Spec(pause=datetime.timedelta(seconds=60))"
    assert replace(Spec("1m"), pause="2m").pause == timedelta(minutes=2)


def test_field_keeps_a_mistake_until_it_is_asked_for():
    spec = Spec("soon")
    assert "'soon' is not a duration" in str(DurationField.mistake(spec.pause, "pause"))
    assert DurationField.mistake(Spec("1s").pause, "pause", least="2s") == "pause: 1s is too short, at least 2s"
    assert DurationField.mistake(Spec().pause, "pause") is None
