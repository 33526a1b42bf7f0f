"""What a source keeps a share of alone, and what belongs to nobody."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from airflow_cd.sources import Sampled
from airflow_cd.verification.samples import LogSample, Window
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.verdict import EventKind, Verdict
from airflow_cd.verification.watch import Outcome, Watch
from tests.verification.late_source import Clock
from tests.verification.shop_logs import CANARY, CONTROL, START, shop_logs


@dataclass(frozen=True)
class Kept:
    """Logs of two sides, of which the canary's chatter is gone."""

    frame: Any = field(compare=False)
    unassigned: int = 0
    name: str = "logs"
    delay: timedelta = timedelta(seconds=1)

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        inside = (self.frame["time"] >= window.since) & (self.frame["time"] < window.until)
        chosen = self.frame[inside & self.frame["instance"].isin(list(instances))]
        return LogSample(chosen, "query", unassigned=self.unassigned)


def frame() -> pd.DataFrame:
    rng = random.Random(7)
    both = [shop_logs(rng, names, 100, rate=2.0) for names in (CANARY, CONTROL)]
    chatter = [
        {"time": START + timedelta(seconds=second / 4), "instance": name, "message": "INFO heartbeat sent"}
        for second in range(400)
        for name in CONTROL
    ]
    return pd.concat([*both, pd.DataFrame(chatter)]).sort_values("time", ignore_index=True)


def watched(source: Any) -> Outcome:
    clock = Clock()
    configuration = Verification(logs=[source], duration="60s", every="20s")
    return Watch(configuration, canary=CANARY, control=CONTROL, since=START, clock=clock, sleep=clock.sleep).run()


def kinds(outcome: Outcome) -> set[EventKind]:
    assert outcome.judgement.quality is not None
    return {event.kind for event in outcome.judgement.quality.events}


def test_nothing_is_said_to_have_gone_silent_that_a_store_may_have_left_out() -> None:
    whole, sampled = watched(Kept(frame())), watched(Sampled(Kept(frame()), 0.5))
    assert EventKind.WENT_SILENT in kinds(whole)
    assert EventKind.WENT_SILENT not in kinds(sampled)
    assert "went_silent" in {reason.code for reason in whole.judgement.reasons}
    assert "went_silent" not in {reason.code for reason in sampled.judgement.reasons}
    assert any("it keeps a share of the records alone" in warning for warning in sampled.judgement.warnings)


def test_new_errors_of_a_share_fail_the_release() -> None:
    errors = [
        {
            "time": START + timedelta(seconds=second),
            "instance": name,
            "message": "ERROR charge failed: no such card\n  at shop.Cart.pay(Cart.java:7)",
        }
        for second in range(60)
        for name in CANARY
    ]
    made = pd.concat([frame(), pd.DataFrame(errors)]).sort_values("time", ignore_index=True)
    assert watched(Sampled(Kept(made), 0.5)).judgement.verdict is Verdict.FAIL


def test_records_of_nobody_are_shown_with_their_number() -> None:
    warnings = watched(Kept(frame(), unassigned=3)).judgement.warnings
    assert "logs: 3 records or more belong to none of the instances." in warnings


@pytest.mark.parametrize("share", [0, 1, -0.5, "all", True])
def test_a_share_is_a_part(share: Any) -> None:
    assert "is not between 0 and 1" in "".join(Sampled(Kept(frame()), share).mistakes())
