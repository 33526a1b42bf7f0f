"""What a process says when it starts is not gone when it does not start again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

import pandas as pd

from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_quality
from airflow_cd.verification.verdict import Verdict

START = datetime(2031, 5, 6, 7, tzinfo=timezone.utc)
BOOT = "INFO port - opening the quay"


def logged(lines: Iterable[tuple[float, str]]) -> LogProfile:
    rows = [(START + timedelta(seconds=second), "port-1", line) for second, line in lines]
    return LogProfile.of(pd.DataFrame(rows, columns=["time", "instance", "message"]), watched=60.0)


def served(seconds: range) -> list[tuple[float, str]]:
    return [(float(second), f"INFO port - ferry {second} has docked") for second in seconds]


def test_the_lines_of_a_start_in_the_baseline_hold_nothing_up() -> None:
    booted = [(0.1 * number, BOOT) for number in range(36)]
    before = logged([*booted, *served(range(1, 60))])
    assert judge_quality(logged(served(range(60))), None, [before]).verdict is Verdict.PASS


def test_what_was_logged_all_the_time_and_is_gone_holds_it_up() -> None:
    going_on = [(1.6 * number, BOOT) for number in range(36)]
    before = logged([*going_on, *served(range(1, 60))])
    quality = judge_quality(logged(served(range(60))), None, [before])
    assert quality.verdict is Verdict.INCONCLUSIVE
    assert quality.reasons[0].code == "went_silent"


def test_what_was_logged_all_the_time_by_one_of_two_baselines_is_no_start() -> None:
    booted = [(0.1 * number, BOOT) for number in range(36)]
    going_on = [(1.6 * number, BOOT) for number in range(36)]
    both = [logged([*lines, *served(range(1, 60))]) for lines in (booted, going_on)]
    assert judge_quality(logged(served(range(60))), None, both).verdict is Verdict.INCONCLUSIVE
