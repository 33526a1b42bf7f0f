"""What the results of all metrics come to, as a table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_cd.verification.metrics.conclusion import conclude, with_crossings
from airflow_cd.verification.verdict import MetricResult, Performance, Reason, Verdict

PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


def _result(
    verdict: Verdict, group: str = "", *, kind: str = "latency", code: str = "", decides: bool = True
) -> MetricResult:
    reason = Reason(code or f"{verdict} {group}".strip(), "")
    return MetricResult(kind, group, kind, "ms", "higher_is_worse", verdict, reason, decides=decides)


VAGUE, FEW, DEAD = (_result(OPEN, code=code) for code in ("not_precise", "few_requests", "not_measured"))


@pytest.mark.parametrize(
    ("results", "verdict", "reasons"),
    [
        ([_result(PASS)], PASS, ["no_regression"]),
        ([], PASS, ["no_regression"]),
        ([_result(PASS), _result(OPEN)], OPEN, ["INCONCLUSIVE"]),
        ([_result(OPEN), _result(FAIL)], FAIL, ["FAIL"]),
        # A group fails the whole, but holds nothing up.
        ([_result(PASS), _result(OPEN, "search")], PASS, ["no_regression"]),
        ([_result(PASS), _result(FAIL, "search")], FAIL, ["FAIL search"]),
        ([_result(OPEN), _result(FAIL, "search")], FAIL, ["FAIL search"]),
        # The whole says more than one of its parts.
        ([_result(FAIL), _result(FAIL, "search")], FAIL, ["FAIL"]),
        # What cannot be judged yet is named and holds nothing up, as long as half of what users feel can.
        ([_result(PASS), VAGUE], PASS, ["no_regression", "not_precise"]),
        ([_result(PASS), VAGUE, FEW], OPEN, ["not_precise", "few_requests"]),
        ([_result(PASS, kind="gauge"), VAGUE], OPEN, ["not_precise"]),
        ([_result(PASS, kind="gauge"), _result(OPEN, kind="gauge", code="not_precise")], PASS, None),
        # What nobody measures on either side is named, however much of it there is, as long as something is measured.
        ([_result(PASS), DEAD, DEAD, DEAD, DEAD, DEAD], PASS, None),
        ([_result(PASS, kind="gauge"), DEAD], OPEN, ["not_measured"]),
        # What only informs does neither.
        ([_result(PASS), _result(FAIL, kind="gauge", decides=False)], PASS, ["no_regression"]),
        ([_result(PASS), _result(OPEN, kind="gauge", decides=False)], PASS, ["no_regression"]),
    ],
)
def test_what_results_come_to(results: list[MetricResult], verdict: Verdict, reasons: list[str] | None) -> None:
    performance = conclude(results)
    assert performance.verdict is verdict
    assert reasons is None or [reason.code for reason in performance.reasons] == reasons
    assert performance.metrics == results


@pytest.mark.parametrize(
    ("smallest", "says"),
    [
        (0.25, "; a latency 25 % longer would have shown."),
        (1000.0, "; only a latency over a thousand times as long would have shown, so of latencies they say little."),
    ],
)
def test_what_would_not_have_shown_is_no_reassurance(smallest: float, says: str) -> None:
    performance = conclude([replace(_result(PASS), smallest_detectable=smallest)])
    assert performance.reasons[0].text.endswith(says)


CROSSED = Reason("threshold_crossed", "")


@pytest.mark.parametrize(
    ("verdict", "crossings", "expected", "reasons"),
    [
        (PASS, [], PASS, ["own"]),
        (PASS, [CROSSED], FAIL, ["threshold_crossed"]),
        (OPEN, [CROSSED], FAIL, ["threshold_crossed"]),
        (FAIL, [CROSSED], FAIL, ["threshold_crossed", "own"]),
    ],
)
def test_a_crossed_threshold_fails_whatever_the_statistics_say(
    verdict: Verdict, crossings: list[Reason], expected: Verdict, reasons: list[str]
) -> None:
    performance = with_crossings(Performance(verdict, [Reason("own", "")]), crossings)
    assert performance.verdict is expected
    assert [reason.code for reason in performance.reasons] == reasons
