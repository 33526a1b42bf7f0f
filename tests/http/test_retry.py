"""When a request is sent again."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from airflow_cd.http.retry import Deadline, parse_retry_after
from tests.http.clock import Clock


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        (" 3 ", 3.0),
        ("-1", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("inf", None),
        ("nan", None),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00", None),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header) == seconds


def test_a_date_is_read_as_the_seconds_until_then() -> None:
    then = datetime.now(timezone.utc) + timedelta(hours=1)
    assert 3590 < (parse_retry_after(format_datetime(then, usegmt=True)) or 0.0) <= 3600


def test_a_deadline_keeps_a_reserve_for_the_attempt(clock: Clock) -> None:
    deadline = Deadline(40.0, reserve=10.0)
    assert deadline.allows(29.9)
    assert not deadline.allows(30.0)
    clock.now += 25.0
    assert (deadline.remaining, deadline.allows(4.9), deadline.allows(5.0)) == (15.0, True, False)
    clock.now += 20.0
    assert deadline.remaining == -5.0
