from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import pytest

import airflow_cd
from airflow_cd.verification.metrics.crossings import crossed
from airflow_cd.verification.metrics.kinds import guessed
from airflow_cd.verification.metrics.performance import judge_performance
from airflow_cd.verification.metrics.thresholds import Threshold
from airflow_cd.verification.samples import METRIC_COLUMNS, Metric
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.verdict import Verdict
from tests.verification.traffic_model import START

ERRORS = Metric("error_rate", "errors")
TIME = Metric("response_time", "latency", unit="ms")
HEAP = Metric("heap", "gauge", "either")
APDEX = Metric("apdex", "apdex", "lower_is_worse")


def _rows(metric: Metric, values: Sequence[float], *, count: int = 100, names: Sequence[str] = ("a",)) -> pd.DataFrame:
    rows = [
        (START + pd.Timedelta(minutes=minute), name, metric.name, "", value, count)
        for minute, value in enumerate(values)
        for name in names
    ]
    return pd.DataFrame(rows, columns=list(METRIC_COLUMNS))


def test_a_threshold_is_written_as_authors_expect() -> None:
    assert airflow_cd.Threshold is Threshold


def test_a_share_of_errors_above_it_is_a_reason_with_its_numbers() -> None:
    [reason] = crossed([Threshold("error_rate", above=0.02)], [ERRORS], _rows(ERRORS, [0, 1, 3, 0]), None)
    assert reason.code == "threshold_crossed"
    assert reason.numbers["value"] == pytest.approx(0.03)
    assert reason.numbers["limit"] == 0.02
    assert str(reason.numbers["at"]).startswith("2026-11-23T08:02")
    assert "error_rate" in reason.text
    assert crossed([Threshold("error_rate", above=0.03)], [ERRORS], _rows(ERRORS, [0, 1, 3, 0]), None) == []


@pytest.mark.parametrize(
    ("values", "in_a_row", "found"),
    [
        ([5, 0, 5, 0, 5], 2, False),
        ([0, 5, 5, 0, 0], 2, True),
        ([0, 5, 5, 0, 0], 3, False),
        ([0, 0, 5, 5, 5], 3, True),
        ([5], 1, True),
    ],
)
def test_so_many_in_a_row(values: list[float], in_a_row: int, found: bool) -> None:
    threshold = Threshold("error_rate", above=0.02, in_a_row=in_a_row)
    assert bool(crossed([threshold], [ERRORS], _rows(ERRORS, values), None)) is found


def test_below() -> None:
    threshold = Threshold("apdex", below=0.8)
    assert crossed([threshold], [APDEX], _rows(APDEX, [0.9, 0.85, 0.8]), None) == []
    assert crossed([threshold], [APDEX], _rows(APDEX, [0.9, 0.7]), None)[0].numbers["value"] == pytest.approx(0.7)


def test_percent_is_of_the_other_side_in_the_same_bucket() -> None:
    threshold = Threshold("response_time", percent=50)
    control = _rows(TIME, [100, 300, 100])
    assert crossed([threshold], [TIME], _rows(TIME, [140, 440, 140]), control) == []
    [reason] = crossed([threshold], [TIME], _rows(TIME, [140, 460, 140]), control)
    assert reason.numbers["limit"] == pytest.approx(450)
    assert crossed([threshold], [TIME], _rows(TIME, [20]), control) == []  # faster is not worse
    assert crossed([threshold], [TIME], _rows(TIME, [900]), None) == []  # percent of nothing


def test_percent_of_another_time_is_of_its_level() -> None:
    before = _rows(TIME, [100, 100]).assign(time=lambda frame: frame["time"] - pd.Timedelta(hours=1))
    threshold = Threshold("response_time", percent=50)
    assert crossed([threshold], [TIME], _rows(TIME, [149]), before) == []
    assert crossed([threshold], [TIME], _rows(TIME, [151]), before)[0].numbers["limit"] == pytest.approx(150)


@pytest.mark.parametrize(
    ("direction", "value", "found"),
    [
        ("either", 40.0, True),
        ("either", 160.0, True),
        ("lower_is_worse", 160.0, False),
        ("lower_is_worse", 40.0, True),
        ("higher_is_worse", 40.0, False),
    ],
)
def test_percent_goes_the_way_that_is_worse(direction: str, value: float, found: bool) -> None:
    metric = Metric("heap", "gauge", direction)  # type: ignore[arg-type]
    reasons = crossed([Threshold("heap", percent=50)], [metric], _rows(metric, [value]), _rows(metric, [100.0]))
    assert bool(reasons) is found


def test_buckets_with_too_few_requests_are_passed_over() -> None:
    rows = _rows(ERRORS, [1], count=1)
    assert crossed([Threshold("error_rate", above=0.5, min_requests=10)], [ERRORS], rows, None) == []
    assert crossed([Threshold("error_rate", above=0.5)], [ERRORS], rows, None)


def test_what_is_no_number_crosses_nothing() -> None:
    rows = _rows(HEAP, [math.nan, math.inf], count=0)
    assert crossed([Threshold("heap", above=1.0)], [HEAP], rows, None) == []


def test_a_source_name_before_the_metric_is_understood() -> None:
    metric = Metric("New Relic shop: error_rate", "errors")
    for name in ("error_rate", "New Relic shop: error_rate"):
        assert crossed([Threshold(name, above=0.0)], [metric], _rows(metric, [1]), None)


def test_a_threshold_of_nothing_that_is_measured_does_not_pass_in_silence() -> None:
    [reason] = crossed([Threshold("eror_rate", above=0.02)], [ERRORS], _rows(ERRORS, [0]), None)
    assert reason.code == "threshold_unknown"
    assert "error_rate" in reason.text


def test_it_fails_a_release_that_the_statistics_pass() -> None:
    names = ("a", "b")
    ours, theirs = (
        _rows(TIME, [100.0] * 20, names=names).assign(value=lambda f: f["value"] + f.index % 3) for _ in "12"
    )
    assert judge_performance(ours, theirs, None, [TIME]).verdict is Verdict.PASS
    performance = judge_performance(ours, theirs, None, [TIME], thresholds=[Threshold("response_time", above=90)])
    assert performance.verdict is Verdict.FAIL
    assert performance.reasons[0].code == "threshold_crossed"


def test_it_fails_without_anything_to_compare_with() -> None:
    performance = judge_performance(
        _rows(ERRORS, [50] * 5), None, None, [ERRORS], learn=True, thresholds=[Threshold("error_rate", above=0.02)]
    )
    assert performance.verdict is Verdict.FAIL


class _Source:
    name = "source"
    delay = None

    def read(self, window: object, instances: object) -> None: ...


@pytest.mark.parametrize(
    ("thresholds", "says"),
    [
        ([Threshold("x")], "above, below or percent"),
        ([Threshold("", above=1)], "names no metric"),
        ([Threshold("x", above=math.nan)], "above is nan"),
        ([Threshold("x", percent=-5)], "percent is -5"),
        ([Threshold("x", above=1, below=2)], "nothing could pass"),
        ([Threshold("x", above=1, in_a_row=0)], "in_a_row is 0"),
        ([Threshold("x", above=True)], "above is True"),
        (["error_rate"], "not a Threshold"),
        ({"error_rate": 1}, "must be a list"),
    ],
)
def test_mistakes_are_found_when_the_file_is_parsed(thresholds: object, says: str) -> None:
    mistakes = Verification(metrics=[_Source()], thresholds=thresholds).mistakes()  # type: ignore[list-item, arg-type]
    assert [mistake for mistake in mistakes if says in mistake]


def test_right_ones_are_no_mistake() -> None:
    thresholds = [Threshold("error_rate", above=0.02, in_a_row=3), Threshold("response_time", percent=50)]
    assert Verification(metrics=[_Source()], thresholds=thresholds).mistakes() == []  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("name", "value", "limit", "shown"),
    [
        ("success_rate", 98.5, {"below": 99}, "98.5 % at"),
        ("success_rate", 98.5, {"below": 98}, ""),
        ("success_ratio", 0.985, {"below": 0.99}, "below the threshold of 99 %"),
        ("success_ratio", 0.985, {"below": 99}, "below the threshold of 99 %"),
        ("success_ratio", 0.985, {"below": 98}, ""),
        ("error_percent", 3.0, {"above": 2}, "3 % at"),
        ("error_percent", 3.0, {"above": 4}, ""),
        ("orders_per_minute", 90.0, {"below": 100}, "90 at"),
        ("orders_per_minute", 90.0, {"below": 80}, ""),
        ("cpu_percent", 85.0, {"above": 80}, "85 % at"),
    ],
)
def test_a_limit_is_on_the_scale_on_which_the_metric_is_written(
    name: str, value: float, limit: dict[str, float], shown: str
) -> None:
    metric = guessed(name)
    every_ten_seconds = [
        (START + pd.Timedelta(seconds=10 * place), "a", name, "", value + 0.0001 * (place % 3), math.nan)
        for place in range(30)
    ]
    frame = pd.DataFrame(every_ten_seconds, columns=list(METRIC_COLUMNS))
    judged = judge_performance(frame, frame, None, [metric], thresholds=[Threshold(name, min_requests=1, **limit)])
    texts = [reason.text for reason in judged.reasons if reason.code == "threshold_crossed"]
    assert bool(texts) is bool(shown)
    assert all(shown in text for text in texts)
