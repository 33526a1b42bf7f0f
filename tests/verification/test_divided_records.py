"""A record of several lines, some of which come before a look and some after it."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest

from airflow_cd.verification.logs.baselines import Baseline, Learned
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.verdict import Judgement, Verdict
from airflow_cd.verification.watch import Outcome, Watch
from tests.verification.late_source import Clock
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


def test_the_last_line_of_what_has_died_is_counted_at_the_next_look() -> None:
    _, seen = watched(logged(timedelta(milliseconds=1), last="FATAL no pages are left"))
    assert seen[0] < 25
