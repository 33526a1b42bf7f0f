"""Records are told apart by id or by what they are, within bounded memory."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from airflow_cd.verification.counted import Counted
from tests.verification.shop_logs import START


def _frame(rows: list[tuple[float, Any]], **columns: list[Any]) -> pd.DataFrame:
    times = [pd.Timestamp(START) + timedelta(seconds=second) for second, _ in rows]
    frame = pd.DataFrame({"time": times, "instance": "shop-1", "message": [message for _, message in rows]})
    return frame.assign(**columns)


def _new(counted: Counted, frame: pd.DataFrame) -> list[bool]:
    mask = counted.new(frame)
    counted.keep()
    return list(mask)


def test_the_same_records_again_are_not_new() -> None:
    counted, frame = Counted(), _frame([(1, "a"), (1, "a"), (2, "b")])
    assert _new(counted, frame) == [True, True, True]
    assert not any(_new(counted, frame))
    assert _new(counted, _frame([(1, "a"), (1, "a"), (1, "a"), (2, "c")])) == [False, False, True, True]


def test_an_id_outranks_what_a_record_says() -> None:
    counted = Counted()
    first = _frame([(1, "a"), (1, "a"), (2, "b"), (3, "b")], id=["x", "y", "x", ""])
    # The third has the first one's id, the fourth has none.
    assert _new(counted, first) == [True, True, False, True]
    assert _new(counted, _frame([(1, "a"), (3, "b"), (9, "z")], id=["q", "", "y"])) == [True, False, False]


@pytest.mark.parametrize("message", [b"\xff\xfe raw", "caf\u00e9"])
def test_texts_and_bytes_may_be_mixed(message: Any) -> None:
    counted, frame = Counted(), _frame([(1, message), (2, "text"), (3, b"bytes")])
    assert all(_new(counted, frame))
    assert not any(_new(counted, frame))


def test_the_unit_of_times_does_not_matter() -> None:
    counted, frame = Counted(), _frame([(1.5, "a"), (2.25, "b")])
    assert all(_new(counted, frame.assign(time=frame["time"].dt.as_unit("us"))))
    assert not any(_new(counted, frame.assign(time=frame["time"].dt.as_unit("ns"))))
    assert not any(_new(counted, frame.assign(time=[moment.to_pydatetime() for moment in frame["time"]])))


def test_memory_is_bounded_and_nothing_forgotten_counts_twice() -> None:
    counted = Counted(most=100)
    frame = _frame([(second, f"record {second}") for second in range(250)])
    assert all(_new(counted, frame))
    assert len(counted) <= 100
    assert not any(_new(counted, frame))
    forgotten = counted.forgotten_until(START)
    assert forgotten is not None
    assert forgotten > START.timestamp() + 140
    assert all(_new(counted, _frame([(260, "new")])))


def test_what_was_seen_and_not_kept_is_new_again() -> None:
    counted, frame = Counted(), _frame([(1, "a"), (2, "b")])
    assert counted.new(frame).all()
    assert counted.new(frame).all()
    counted.keep()
    assert not counted.new(frame).any()
