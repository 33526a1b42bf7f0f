"""A record of several lines, some of which come before a look and some after it."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest

from airflow_cd.verification.logs.baselines import Baseline, Learned
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.seams import still_open
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.verdict import Judgement, Verdict
from airflow_cd.verification.watch import Outcome, Watch
from tests.verification.late_source import Clock, LateLogs
from tests.verification.shop_logs import START
from tests.verification.test_watch_parts import Bounded

CRASH = [
    "SyntaxError: Unexpected end of JSON input",
    "    at JSON.parse (<anonymous>)",
    "    at parse (/srv/orders/lib/body.js:96:19)",
    "    at /srv/orders/lib/read.js:146:18",
]
CANARY, CONTROL = ("shop-1",), ("shop-2",)


def logged(apart: timedelta, *, last: str = "") -> pd.DataFrame:
    """Two instances that crash every 0.7 s, the lines of a crash so far apart, and requests meanwhile."""
    rows = []
    for instance in (*CANARY, *CONTROL):
        for number in range(100):
            at = START + timedelta(seconds=0.7 * number)
            rows += [(at + apart * place, instance, line) for place, line in enumerate(CRASH)]
            rows += [(at + timedelta(seconds=0.4), instance, f"GET /orders/{number} 200")]
    if last:
        rows.append((START + timedelta(seconds=20.9), CANARY[0], last))
        rows = [row for row in rows if row[1] != CANARY[0] or row[0] <= START + timedelta(seconds=20.9)]
    frame = pd.DataFrame(rows, columns=["time", "instance", "message"])
    return frame.assign(time=pd.to_datetime(frame["time"], utc=True)).sort_values("time", ignore_index=True)


def watched(frame: pd.DataFrame) -> tuple[Outcome, list[float]]:
    """The outcome, and after how many seconds looks saw pages run out."""
    clock, seen = Clock(), list[float]()

    def look(judgement: Judgement) -> None:
        events = judgement.quality.events if judgement.quality is not None else ()
        if any("no pages" in event.template for event in events):
            seen.append(clock.since())

    known = LogProfile.of("\n".join([*CRASH, "GET /orders/7 200"]).split("\n") * 40, watched=60.0)
    outcome = Watch(
        Verification(logs=[Bounded(frame, 10**6)], duration="60s", every="2s", longest_lag="20s"),
        canary=CANARY,
        control=CONTROL,
        since=START,
        baselines={"logs": Baseline([Learned("1.0", known)])},
        clock=clock,
        sleep=clock.sleep,
        on_look=look,
    ).run()
    return outcome, seen


@pytest.mark.parametrize("milliseconds", [1, 40, 90])
def test_a_look_between_its_lines_makes_no_new_error_of_it(milliseconds: int) -> None:
    outcome, _ = watched(logged(timedelta(milliseconds=milliseconds)))
    assert outcome.judgement.verdict is Verdict.PASS
    counts = {signature.template: count for signature, count in outcome.profiles["logs"].counts().items()}
    assert len(counts) == 2
    assert sum(counts.values()) == pytest.approx(2 * 60 / 0.7, abs=2)
    # What waited for a look was there in time.
    assert outcome.judgement.lags["logs"].longest < 2


def test_a_crash_that_was_last_and_is_a_second_old_is_counted_whole() -> None:
    # A look every 2 s reads up to a second ago: some of these begin more than a second before that, and end within it.
    frame = logged(timedelta(milliseconds=20))
    rows = [
        (START + timedelta(seconds=2 * number - 0.01) + timedelta(milliseconds=20) * place, CANARY[0], line)
        for number in range(1, 30)
        for place, line in enumerate(CRASH)
    ]
    last = pd.DataFrame(rows, columns=["time", "instance", "message"])
    last["time"] = pd.to_datetime(last["time"], utc=True)
    both = pd.concat([frame[frame["instance"] == CONTROL[0]], last]).sort_values("time", ignore_index=True)
    outcome, _ = watched(both)
    assert list(outcome.profiles["logs"].counts().values()) == [29]


def test_an_empty_part_of_a_line_is_no_record_and_no_error() -> None:
    line = "2031-05-06T07:00:00.000000000Z stdout P "
    frame = pd.DataFrame({"time": [pd.Timestamp(START)], "instance": [CANARY[0]], "message": [line]})
    assert still_open(frame).tolist() == [True]


def test_what_comes_late_is_known_as_late_though_other_lines_wait() -> None:
    clock = Clock()
    source = LateLogs(logged(timedelta(milliseconds=1)), clock, lambda row: 1.7)
    outcome = Watch(
        Verification(logs=[source], duration="60s", every="2s", longest_lag="20s"),
        canary=CANARY,
        control=CONTROL,
        since=START,
        clock=clock,
        sleep=clock.sleep,
    ).run()
    assert outcome.judgement.lags["logs"].late > 10
    assert outcome.judgement.lags["logs"].longest >= 1


def test_the_last_line_of_what_has_died_is_counted_at_the_next_look() -> None:
    _, seen = watched(logged(timedelta(milliseconds=1), last="FATAL no pages are left"))
    assert seen[0] < 25
