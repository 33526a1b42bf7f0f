"""An outage in one baseline is no licence: the control outranks it, and other baselines show that it was one."""

from __future__ import annotations

import pytest

from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_quality
from airflow_cd.verification.sensitivity import Sensitivity
from airflow_cd.verification.verdict import Quality, Verdict

_USUAL = ["INFO parcel 17 weighed", "INFO label 4 printed", "INFO lorry 9 left", "WARN scale 3 drifts"]
_DOWN = "ERROR depot.db - cannot reach the depot's database"


def _log(errors: int, instance: str = "") -> LogProfile:
    return LogProfile.of([*_USUAL * 300, *[_DOWN] * errors], instance=instance)


def _judged(
    errors: int, control: int | None, *baseline: int, sensitivity: Sensitivity = "medium", instance: str = ""
) -> Quality:
    return judge_quality(
        _log(errors),
        None if control is None else _log(control),
        [_log(one, instance) for one in baseline],
        baseline_names=[f"release {number}" for number in range(len(baseline))],
        sensitivity=sensitivity,
    )


@pytest.mark.parametrize("errors", [25, 200])
def test_the_control_outranks_a_baseline_with_the_same_outage(errors: int) -> None:
    quality = _judged(errors, 0, 400)
    assert quality.verdict is Verdict.FAIL
    assert "0.0 expected" in quality.reasons[0].text


def test_a_few_more_than_the_control_leave_the_verdict_open() -> None:
    quality = _judged(12, 0, 12)
    assert quality.verdict is Verdict.INCONCLUSIVE
    assert "by the control alone" in quality.reasons[0].text


@pytest.mark.parametrize("control", [6, 60])
def test_as_many_on_the_control_are_no_news(control: int) -> None:
    assert _judged(control, control, 50).verdict is Verdict.PASS


def test_an_outage_of_one_baseline_among_clean_ones_leaves_the_verdict_open() -> None:
    quality = _judged(200, None, 0, 0, 0, 400)
    assert quality.verdict is Verdict.INCONCLUSIVE
    assert "in release 3 alone" in quality.reasons[0].text
    assert (quality.reasons[0].code, quality.reasons[-1].code) == ("known_by_an_outage", "baseline_outage")


def test_errors_that_several_baselines_had_are_known() -> None:
    assert _judged(200, None, 0, 0, 150, 400).verdict is Verdict.PASS


def test_a_baseline_with_far_more_errors_is_named_beside_a_pass() -> None:
    quality = _judged(0, 0, 1, 400)
    assert quality.verdict is Verdict.PASS
    assert "release 1 has far more errors" in quality.reasons[-1].text


def test_an_instance_that_always_had_these_errors_goes_on_having_them() -> None:
    past = LogProfile.merge(_log(150, "spare"), LogProfile.of(_USUAL * 900, instance="other"))
    canary, control = _log(50, "spare"), LogProfile.of(_USUAL * 300, instance="other")
    assert judge_quality(canary, control, [past]).verdict is Verdict.PASS
    elsewhere = LogProfile.merge(LogProfile.of(_USUAL * 300, instance="spare"), _log(150, "other"))
    assert judge_quality(canary, control, [elsewhere]).verdict is Verdict.FAIL


def test_at_low_sensitivity_a_frequency_of_errors_does_not_fail() -> None:
    assert _judged(200, 0, 400, sensitivity="low").verdict is Verdict.INCONCLUSIVE
