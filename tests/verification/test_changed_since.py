"""The last phase, without a control: slower than before the deployment, by the release or by what came after it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from airflow_cd.verification.log_reading import Earlier
from airflow_cd.verification.metrics.thresholds import Threshold
from airflow_cd.verification.samples import MetricSample, Window
from airflow_cd.verification.undecided import points_to_harm
from airflow_cd.verification.verdict import Judgement, Verdict

from .shop_logs import CANARY, CONTROL, INSTANCES, START
from .test_watch import _Metrics, _run
from .traffic_model import METRICS, Model, metric_rows, shared_load

LENGTH = 50
BEFORE = Window(START - timedelta(seconds=300), START - timedelta(seconds=250))
FIRST = Window(START - timedelta(seconds=120), START - timedelta(seconds=70))


class _Requests(_Metrics):
    """What the tests are about, alone."""

    def read(self, window: Window, instances: Sequence[str]) -> MetricSample:
        metrics = [metric for metric in METRICS if metric.name in ("response_time", "error_rate")]
        return MetricSample(self.rows(window, instances), metrics, f"query of {self.name}", self.bucket)


def _rows(rng: np.random.Generator, window: Window, names: tuple[str, ...], **model: Any) -> pd.DataFrame:
    rows = metric_rows(rng, names, shared_load(rng, LENGTH), Model(LENGTH, **model))
    return rows.assign(time=rows["time"] + (window.since - START))


def _judged(
    *, canary: float = 1.0, others: float = 1.0, first: float = 1.0, errors: float = 0.01, **options: Any
) -> Judgement:
    """All instances on the release, which some had in the phase before: how many times as slow as before each was."""
    rng = np.random.default_rng(3)
    now = Window(START, START + timedelta(seconds=LENGTH))
    frame = pd.concat(
        [
            _rows(rng, BEFORE, INSTANCES),
            _rows(rng, FIRST, CANARY, slower=first),
            _rows(rng, now, CANARY, slower=canary, errors=errors),
            _rows(rng, now, CONTROL, slower=others, errors=errors),
        ],
        ignore_index=True,
    )
    phase = Earlier("phase_20", FIRST, CANARY)
    watch = {"canary": INSTANCES, "control": (), "before": BEFORE, "earlier": [phase]}
    return _run(
        metrics=[_Requests("metrics", frame[frame["metric"].isin(["response_time", "error_rate"])])],
        watch=watch,
        duration="40s",
        every="20s",
        minimum="20s",
        **options,
    ).judgement


def test_what_was_well_in_the_phase_before_and_is_slow_everywhere_now_is_asked_about() -> None:
    judgement = _judged(canary=2.0, others=2.0)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert {reason.code for reason in judgement.reasons} == {"changed_since"}
    assert "in the phase before" in judgement.sentence
    assert "It came later than the release" in judgement.sentence
    assert points_to_harm(judgement) == []


def test_what_is_slow_only_where_the_release_is_new_fails() -> None:
    assert _judged(canary=1.0, others=2.0).verdict is Verdict.FAIL


def test_what_was_slow_in_the_phase_before_already_fails() -> None:
    assert _judged(canary=2.0, others=2.0, first=2.0).verdict is Verdict.FAIL


def test_what_was_slow_already_fails_however_busy_the_host_is_now() -> None:
    assert _judged(canary=4.4, others=4.4, first=2.0).verdict is Verdict.FAIL


def test_errors_fail_whenever_they_came() -> None:
    judgement = _judged(canary=2.0, others=2.0, errors=0.3)
    assert judgement.verdict is Verdict.FAIL
    assert any("error_rate" in reason.text for reason in judgement.reasons)


def test_a_limit_of_the_author_s_fails_whenever_it_is_crossed() -> None:
    limits = [Threshold("response_time", above=18.0, in_a_row=3)]
    judgement = _judged(canary=2.0, others=2.0, thresholds=limits)
    assert judgement.verdict is Verdict.FAIL
    assert judgement.reasons[0].code == "threshold_crossed"
