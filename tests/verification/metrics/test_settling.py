"""Processes that warm up for longer than the setting: all their metrics fall together, and no level fails meanwhile."""

from __future__ import annotations

import pandas as pd
import pytest

from airflow_cd.verification.metrics.performance import judge_performance
from airflow_cd.verification.metrics.settling import SETTLING
from airflow_cd.verification.samples import Metric
from airflow_cd.verification.verdict import Performance, Verdict
from tests.verification.metrics.series.tables import frame, noisy

FAIL, INCONCLUSIVE = Verdict.FAIL, Verdict.INCONCLUSIVE
NAMES = [f"step_{number}_ms" for number in range(9)] + ["cpu_cores_used"]
METRICS = [Metric(name, "gauge" if "cpu" in name else "latency", "higher_is_worse") for name in NAMES]


def watched(courses: dict[str, list[float]], minutes: int, instances: int = 3) -> Performance:
    """The verdict on instances that are so many times as slow each minute; names not given take the course of all."""

    def side(prefix: str, canary: bool) -> pd.DataFrame:
        return pd.concat(
            [
                frame(
                    {
                        name: [
                            value * (courses.get(name, courses["all"])[place] if canary else 1.0)
                            for place, value in enumerate(
                                noisy(97 * number + place_of + 1000 * canary, 80.0, 0.05, minutes)
                            )
                        ]
                        for place_of, name in enumerate(NAMES)
                    },
                    instance=f"{prefix}{number}",
                    step=60.0,
                )
                for number in range(instances)
            ]
        ).assign(count=300.0)

    return judge_performance(side("canary", True), side("other", False), None, METRICS, warm_up=120)


WARM = [4.0, 2.5, 2.0, 1.8, 1.5, 1.2, 1.0, 1.0]
STEP = [2.0, 1.5, 1.5, 1.0]
SLOW = [1.6] * 8
USUAL = [1.0] * 8


@pytest.mark.parametrize(("course", "minutes", "fell"), [(WARM, 4, "2 min"), (STEP, 3, "60 s")])
def test_a_warm_up_beyond_the_setting_does_not_fail(course: list[float], minutes: int, fell: str) -> None:
    performance = watched({"all": course}, minutes)
    assert performance.verdict is INCONCLUSIVE
    texts = [reason.text for reason in performance.reasons if reason.code == SETTLING]
    assert texts
    assert all(f"all metrics together fell until {fell} after the start" in text for text in texts)


@pytest.mark.parametrize("minutes", [3, 6])
@pytest.mark.parametrize("courses", [{"all": SLOW}, {"all": USUAL, NAMES[2]: SLOW}])
def test_a_release_that_is_slow_from_the_first_minute_fails_all_the_same(
    courses: dict[str, list[float]], minutes: int
) -> None:
    assert watched(courses, minutes).verdict is FAIL


def test_what_stays_slow_when_all_others_have_settled_fails() -> None:
    assert watched({"all": [3.0, 1.5, *USUAL], NAMES[2]: [3.0, *SLOW]}, 8).verdict is FAIL
