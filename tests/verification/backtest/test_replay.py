"""The replay: judged by what was known on the day, and every injected fault is one the logs really show."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_cd.errors import VerificationError
from airflow_cd.report.backtest import Scope, as_json, as_text, render_backtest, rows, sentence
from airflow_cd.verification.backtest.injection import REGRESSIONS
from airflow_cd.verification.backtest.replay import Backtest, PastDeployment, PastPhase, backtest, result_of
from airflow_cd.verification.logs.events import compare
from airflow_cd.verification.logs.feedback import Expected, Opinions
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.verdict import EventKind

_KINDS = ["INFO home was shown", "INFO basket holds 3 items", "INFO searched in 7 ms", "INFO GET /a 200 in 3 ms"]
_TRACE = 'ERROR failed\nTraceback (most recent call last):\n  File "/srv/a.py", line 3, in pay\nKeyError: 3'


def _logs(*more: str, errors: int = 6, times: int = 100) -> LogProfile:
    return LogProfile.of([*_KINDS * times, *["ERROR stock timed out after 7 ms"] * errors, *more], watched=100)


def _past(number: int, profile: LogProfile, *, good: bool | None = True, teaches: bool = True) -> PastDeployment:
    phase = PastPhase("phase_20", "sumo", profile, None, teaches and good is True)
    return PastDeployment(f"id-{number}", f"1.{number}", f"1.{number}", good, "<b>an outcome</b>", [phase])


def _ways(found: Backtest, sensitivity: str = "medium") -> list[str]:
    return [result_of(case, sensitivity) for case in found.deployments]  # type: ignore[arg-type]


def test_each_is_judged_against_the_good_ones_before_it_alone() -> None:
    crash = _logs(_TRACE)
    past = [
        _past(0, _logs()),
        _past(1, crash, good=False),
        _past(2, crash),  # the same crash again: the rolled-back one has taught nothing
        _past(3, crash),  # but now it is known
        _past(4, _logs(_TRACE.replace("KeyError", "TypeError")), good=None),
    ]
    found = backtest(past, inject=False)
    assert _ways(found) == ["no verdict", "blocked rightly", "blocked wrongly", "passed rightly", "not counted"]
    assert _ways(backtest(past[:3], inject=False)) == _ways(found)[:3]


@pytest.mark.parametrize(
    ("baseline", "last"),
    [("all", "passed rightly"), ("previous", "blocked wrongly"), ("1.1", "passed rightly"), ("1.2", "blocked wrongly")],
)
def test_the_baseline_is_the_one_that_is_asked_for(baseline: str, last: str) -> None:
    past = [_past(0, _logs()), _past(1, _logs(_TRACE)), _past(2, _logs()), _past(3, _logs(_TRACE))]
    assert _ways(backtest(past, baseline=baseline, inject=False))[-1] == last


def test_a_pinned_one_that_was_not_there_yet_is_no_verdict() -> None:
    found = backtest([_past(0, _logs()), _past(1, _logs()), _past(2, _logs())], baseline="1.1", inject=False)
    assert _ways(found) == ["no verdict", "no verdict", "passed rightly"]
    assert "1.1 had not been promoted" in found.cases[0].answers["medium"].reason


def test_control_alone_needs_a_control() -> None:
    beside = _past(1, _logs())
    phase = replace(beside.phases[0], control=_logs(times=400, errors=24))
    past = [_past(0, _logs()), replace(beside, phases=[phase])]
    assert _ways(backtest(past, baseline="control", inject=False)) == ["no verdict", "passed rightly"]


def test_what_is_expected_is_not_blocked() -> None:
    past = [_past(0, _logs()), _past(1, _logs(_TRACE), good=False)]
    assert _ways(backtest(past, inject=False))[-1] == "blocked rightly"
    assert _ways(backtest(past, inject=False, opinions=Opinions(expected=[Expected("KeyError")])))[-1] == "missed"


def test_regressions_go_into_good_deployments_that_can_be_judged() -> None:
    past = [_past(0, _logs()), _past(1, _logs(_TRACE), good=False), _past(2, _logs())]
    found = backtest(past)
    assert [case.deployment.version for case in found.cases if case.regression] == ["1.2"] * len(REGRESSIONS)
    assert found.not_injected == {}
    for name in ("a new exception", "a new error line"):
        assert [found.score(word, name).blocked_rightly for word in found.sensitivities] == [1, 1, 1]
    silence = [found.score(word, "an event gone silent").blocked_rightly for word in found.sensitivities]
    assert silence == [0, 0, 1]


def test_what_was_red_already_has_found_no_regression() -> None:
    past = [_past(0, _logs()), _past(1, _logs(_TRACE))]
    found = backtest(past, sensitivities=["medium"])
    assert found.score("medium").blocked_wrongly == 1
    assert found.score("medium", "an event gone silent").missed == 1
    assert found.score("medium", "a new exception").blocked_rightly == 1


def test_what_cannot_be_injected_is_counted() -> None:
    found = backtest([_past(0, LogProfile.of(["INFO a"] * 9)), _past(1, LogProfile.of(["INFO a"] * 9))])
    assert set(found.not_injected) == {
        "a known error 5 times as often",
        "status 500 instead of 200",
        "an event gone silent",
    }
    assert "Not injected: an event gone silent, in 1 deployments" in as_text(Scope("shop"), found)


@settings(max_examples=20, deadline=None)
@given(errors=st.integers(0, 12), times=st.integers(5, 40), seed=st.integers(0, 9))
def test_an_injected_fault_shows_in_the_logs_and_changes_nothing_else(errors: int, times: int, seed: int) -> None:
    profile, known = _logs(errors=errors, times=times), _logs(times=200)
    comparison = compare(profile, None, [known])
    before = profile.to_bytes()
    for regression in REGRESSIONS:
        faulty = regression.inject(profile, comparison, random.Random(seed))
        again = regression.inject(profile, comparison, random.Random(seed))
        assert profile.to_bytes() == before
        if faulty is None:
            assert regression.name.startswith(("a known error", "an event gone silent"))
            continue
        assert again is not None
        assert faulty.to_bytes() == again.to_bytes()
        assert faulty.watched_ms == profile.watched_ms
        after = compare(faulty, None, [known])
        changed = {
            template
            for template in {*after.canary, *comparison.canary}
            if after.canary.get(template, 0) != comparison.canary.get(template, 0)
        }
        assert len(changed) == 1
        (event,) = (after.events.get(template) or comparison.events[template] for template in changed)
        new = regression.name.startswith(("a new", "status"))
        assert event.kind is (EventKind.UNKNOWN if new else EventKind.KNOWN)


def test_the_same_seed_gives_the_same_backtest() -> None:
    past = [_past(number, _logs()) for number in range(3)]
    assert as_json(Scope("shop"), backtest(past, seed=7)) == as_json(Scope("shop"), backtest(past, seed=7))


def test_nothing_to_replay_is_an_error() -> None:
    with pytest.raises(VerificationError, match="nothing to replay"):
        backtest([replace(_past(0, _logs()), phases=[])])
    with pytest.raises(VerificationError, match="unknown sensitivity 'extreme'"):
        backtest([_past(0, _logs())], sensitivities=["extreme"])  # type: ignore[list-item]


def test_it_is_told_in_numbers() -> None:
    past = [_past(0, _logs()), _past(1, _logs(_TRACE), good=False), _past(2, _logs(_TRACE)), _past(3, _logs())]
    found = backtest(past, sensitivities=["medium"])
    caught, wrongly, *injected = rows(found)
    assert (caught.cells, wrongly.cells) == ([(1, 1)], [(1, 2)])
    assert len(injected) == len(REGRESSIONS)
    assert sentence(found, "medium").startswith(
        "At medium: 1 of 1 rolled-back deployments blocked, 1 of 2 good ones blocked wrongly"
    )
    text = as_text(Scope("shop", "production"), found)
    assert "medium: 1.2 blocked wrongly. 1 event is unknown: KeyError" in text
    assert "Not judged: 1 (1.0)" in text
    assert "Logs only" in text


def test_the_page_needs_nothing_else_and_shows_text_as_text() -> None:
    past = [_past(0, _logs()), _past(1, _logs("ERROR <script>alert(1)</script> broke"), good=False), _past(2, _logs())]
    page = render_backtest(Scope("shop <i>", "production"), backtest(past))
    assert page.startswith("<!doctype html>")
    for markup in ("<script", "<i>", "<b>an outcome", "http:", "https:", "src="):
        assert markup not in page
    assert "&lt;script&gt;" in page
    assert "blocked rightly" in page
