"""What a look decides, as a table: what logs and metrics say so far, how far the watch has come, and the decision."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from airflow_cd.verification.decision import Progress, decide
from airflow_cd.verification.verdict import Performance, Quality, Reason, Verdict

PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


def _logs(verdict: Verdict, code: str = "logs") -> Quality:
    return Quality(verdict, [Reason(code, code)])


def _metrics(verdict: Verdict, code: str = "metrics") -> Performance:
    return Performance(verdict, [Reason(code, code)])


EARLY = Progress(Reason("watching", ""), over=False, minimum_reached=False)
MIDDLE = Progress(Reason("watching", ""), over=False, minimum_reached=True)
END = Progress(Reason("watching", ""), over=True, minimum_reached=True)
LOST = Progress(Reason("watching", ""), over=False, minimum_reached=False, source_error=Reason("source_error", ""))
PINNED = Progress(Reason("watching", ""), over=False, minimum_reached=False, no_baseline=Reason("no_baseline", ""))
BOTH = Progress(
    Reason("watching", ""),
    over=False,
    minimum_reached=False,
    source_error=Reason("source_error", ""),
    no_baseline=Reason("no_baseline", ""),
)


@pytest.mark.parametrize(
    ("parts", "progress", "verdict", "final", "policy", "reasons"),
    [
        # Nothing fails before the least time, and nothing passes before the end.
        ([_logs(FAIL)], EARLY, OPEN, False, None, ["watching", "logs"]),
        ([_logs(FAIL)], MIDDLE, FAIL, True, None, ["logs"]),
        ([_logs(PASS), _metrics(FAIL)], MIDDLE, FAIL, True, None, ["metrics"]),
        ([_logs(FAIL), _metrics(FAIL)], END, FAIL, True, None, ["logs", "metrics"]),
        ([_logs(PASS), _metrics(PASS)], MIDDLE, OPEN, False, None, ["watching", "logs", "metrics"]),
        ([_logs(PASS), _metrics(PASS)], END, PASS, True, None, ["logs", "metrics"]),
        ([_metrics(PASS)], END, PASS, True, None, ["metrics"]),
        # What stays open at the end has a policy; silence has its own, and comes first.
        ([_logs(PASS), _metrics(OPEN)], MIDDLE, OPEN, False, None, ["watching", "logs", "metrics"]),
        ([_logs(PASS), _metrics(OPEN)], END, OPEN, True, "inconclusive", ["metrics"]),
        ([_logs(OPEN), _metrics(OPEN, "no_data")], END, OPEN, True, "no_data", ["no_data", "logs"]),
        ([_logs(OPEN, "no_data")], END, OPEN, True, "no_data", ["no_data"]),
        # A source that errs ends the watch, but hides nothing that the others show.
        ([_logs(PASS), _metrics(PASS)], LOST, OPEN, True, "source_error", ["source_error"]),
        ([_logs(FAIL), _metrics(OPEN)], LOST, FAIL, True, None, ["logs"]),
        # A baseline that is missing ends it too; a source that errs is said first.
        ([_logs(OPEN, "no_baseline")], PINNED, OPEN, True, "inconclusive", ["no_baseline"]),
        ([_logs(OPEN), _metrics(FAIL)], PINNED, FAIL, True, None, ["metrics"]),
        ([_logs(OPEN)], BOTH, OPEN, True, "source_error", ["source_error"]),
    ],
)
def test_what_a_look_decides(
    parts: Sequence[Quality | Performance],
    progress: Progress,
    verdict: Verdict,
    final: bool,
    policy: str | None,
    reasons: list[str],
) -> None:
    decision = decide(parts, progress)
    assert (decision.verdict, decision.final, decision.policy_key) == (verdict, final, policy)
    assert [reason.code for reason in decision.reasons] == reasons
