from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_cd.verification.logs.feedback import Expected
from airflow_cd.verification.samples import Window
from airflow_cd.verification.settings import Verification


class _Source:
    delay = timedelta(seconds=1)

    def __init__(self, name: str = "source", wrong: Sequence[str] = ()) -> None:
        self.name = name
        self._wrong = list(wrong)

    def mistakes(self) -> list[str]:
        return self._wrong

    def read(self, window: Window, instances: Sequence[str]) -> Any:
        raise AssertionError("a configuration reads nothing")


def _verification(**changes: Any) -> Verification:
    return Verification(**{"logs": [_Source()], **changes})


def test_defaults_are_right() -> None:
    verification = _verification()
    assert verification.mistakes() == []
    assert verification.length == timedelta(minutes=10)
    assert verification.pause == timedelta(seconds=10)
    assert verification.least == timedelta(minutes=1)
    assert {verification.policy(key) for key in ("no_data", "source_error", "inconclusive")} == {"ask"}


def test_the_least_time_is_a_quarter_of_short_ones() -> None:
    assert _verification(duration="40s").least == timedelta(seconds=10)
    assert _verification(duration="40s", minimum=0).least == timedelta(0)


def test_it_is_frozen_and_its_lists_are_tuples() -> None:
    verification = _verification()
    assert isinstance(verification.logs, tuple)
    with pytest.raises(AttributeError):
        verification.duration = "1m"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"logs": []}, "no source"),
        ({"logs": _Source()}, "logs must be a list"),
        ({"logs": ["sumo"]}, "'sumo'"),
        ({"logs": [_Source]}, "not a source"),
        ({"metrics": [_Source("source")]}, "two sources are called 'source'"),
        ({"logs": [_Source("sumo", ["the query is empty"])]}, "source 'sumo': the query is empty"),
        ({"duration": "ten minutes"}, "duration: 'ten minutes' is not a duration"),
        ({"duration": 0}, "duration must be greater than zero, got 0"),
        ({"duration": None}, "duration: None is not a duration"),
        ({"every": "11m"}, "every (11m) is longer than duration"),
        ({"minimum": "11m"}, "minimum (11m) is longer than duration"),
        ({"sensitivity": "extreme"}, "sensitivity is 'extreme'"),
        ({"on_no_data": "hope"}, "on_no_data is 'hope'"),
        ({"on_source_error": None}, "on_source_error"),
        ({"on_inconclusive": "maybe"}, "on_inconclusive"),
        ({"min_requests": 0}, "min_requests is 0"),
        ({"source_error_budget": True}, "source_error_budget is True"),
        ({"minimum_effect": -0.1}, "minimum_effect is -0.1"),
        ({"minimum_effect": "20%"}, "minimum_effect"),
        ({"advisory": "yes"}, "advisory"),
        ({"warm_up": "11m"}, "warm_up (11m) is longer than duration"),
        ({"decisive": "error_rate"}, "decisive must be a list of names"),
        ({"decisive": ["error_rate"], "metrics": []}, "there is no source of metrics"),
        ({"expected": "PaymentRetried*"}, "expected must be a list of patterns"),
        ({"expected": ["TaxTable*"], "logs": [], "metrics": [_Source()]}, "expected has nothing to match"),
        ({"ask_timeout": 0}, "ask_timeout must be greater than zero"),
        ({"ask_timeout": "soon"}, "ask_timeout: 'soon' is not a duration"),
        ({"errors": "astray"}, "errors must be a list of patterns"),
        ({"errors": ["astray"], "logs": [], "metrics": [_Source()]}, "errors has nothing to match"),
        ({"errors": ["*"]}, "errors holds '*', which would match nearly everything"),
        ({"expected": ["*"]}, "expected holds '*', which would match nearly everything"),
        ({"expected": [7]}, "expected holds 7, which is not a text"),
        ({"expected": ["re:retry (\\d+"]}, "'re:retry (\\\\d+', which is not a regular expression"),
        ({"expected": [Expected("re:.*", why="all is well")]}, "'re:.*', which would match everything"),
        ({"baseline": ""}, "baseline is ''"),
        ({"baseline": None}, "baseline is None"),
        ({"baseline": "Previous"}, "did you mean 'previous'"),
        ({"baseline": "contol"}, "did you mean 'control'"),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], part: str) -> None:
    mistakes = _verification(**changes).mistakes()
    assert any(part in mistake for mistake in mistakes), mistakes


def test_all_mistakes_are_named_at_once() -> None:
    assert len(_verification(duration="x", sensitivity="y", min_requests=-1, on_no_data="z").mistakes()) == 4


@pytest.mark.parametrize(
    "baseline", ["all", "previous", "control", "1.2.0", "release-7", "41f9349d-3866-4c93-a4ae-f1a581a58113"]
)
def test_a_baseline_is_a_word_or_a_deployment(baseline: str) -> None:
    assert _verification(baseline=baseline).mistakes() == []


def test_a_pattern_alone_is_an_expectation() -> None:
    verification = _verification(expected=["PaymentRetried*", Expected("re:retry \\d+", why="a new queue")])
    assert verification.mistakes() == []
    assert verification.expected == (Expected("PaymentRetried*"), Expected("re:retry \\d+", "a new queue"))


def test_importing_it_is_cheap() -> None:
    root = Path(__file__).parents[2]
    code = (
        "import sys, types; package = types.ModuleType('airflow_cd');"
        f"package.__path__ = [{str(root / 'airflow_cd')!r}]; sys.modules['airflow_cd'] = package;"
        "import airflow_cd.verification.settings;"
        "heavy = {'pandas', 'numpy', 'sklearn', 'scipy', 'polars', 'airflow'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_verification_never_imports_airflow() -> None:
    root = Path(__file__).parents[2]
    code = (
        "import sys, types; package = types.ModuleType('airflow_cd');"
        f"package.__path__ = [{str(root / 'airflow_cd')!r}]; sys.modules['airflow_cd'] = package;"
        "import airflow_cd.verification.watch; assert 'airflow' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_buckets_longer_than_the_watch_are_refused() -> None:
    from airflow_cd.sources import NewRelicMetrics, PrometheusMetrics

    short = Verification(metrics=[PrometheusMetrics("http", bucket="1m")], duration="45s")
    assert ["buckets of 1m are longer than duration (45s)" in mistake for mistake in short.mistakes()] == [True]
    assert Verification(metrics=[PrometheusMetrics("http", bucket="30s")], duration="45s").mistakes() == []
    # It reads a shorter time as one bucket.
    assert Verification(metrics=[NewRelicMetrics(app="shop", bucket="1m")], duration="45s").mistakes() == []
