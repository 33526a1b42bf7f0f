from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from airflow_cd.verification.logs.feedback import Expected, Opinions, Statement
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_quality
from airflow_cd.verification.verdict import EventKind, Feedback, Quality, Verdict
from tests.verification.log_examples import python_trace
from tests.verification.shop_logs import CANARY, CONTROL, INSTANCES, shop_profile

_NEW = {"KeyError", "ZeroDivisionError", "shop.errors.ExportError", "TypeError"}


def _codes(quality: Quality) -> list[str]:
    return [reason.code for reason in quality.reasons]


def _baseline(rng: random.Random) -> list[LogProfile]:
    return [shop_profile(rng, CANARY, 60), shop_profile(rng, INSTANCES, 60)]


def test_four_new_exceptions_are_four_red_events_and_nothing_else_is() -> None:
    rng = random.Random(1)
    quality = judge_quality(shop_profile(rng, CANARY, 40, broken=True), shop_profile(rng, CONTROL, 40), _baseline(rng))
    assert quality.verdict is Verdict.FAIL
    assert {event.exception for event in quality.risks} == _NEW
    assert len(quality.risks) == 4
    assert all(event.kind is EventKind.UNKNOWN for event in quality.risks)
    assert all(event.frames and event.samples and event.first_seen for event in quality.risks)
    assert _codes(quality) == ["unknown_events"]
    assert quality.reasons[0].numbers["risks"] == 4


@pytest.mark.parametrize("sensitivity", ["low", "medium", "high"])
def test_a_new_exception_fails_at_any_sensitivity(sensitivity: str) -> None:
    usual = LogProfile.of(["INFO served 1"] * 500, watched=600)
    canary = LogProfile.of(
        ["INFO served 1"] * 100 + [python_trace("KeyError", "redeem").replace("ERROR", "INFO")], watched=60
    )
    quality = judge_quality(canary, usual, sensitivity=sensitivity)  # type: ignore[arg-type]
    assert quality.verdict is Verdict.FAIL


def test_good_releases_pass() -> None:
    blocked = []
    for seed in range(12):
        rng = random.Random(seed)
        quality = judge_quality(shop_profile(rng, CANARY, 60), shop_profile(rng, CONTROL, 60), _baseline(rng))
        if quality.verdict is not Verdict.PASS:
            blocked.append([(event.template, event.counts) for event in quality.risks])
    assert blocked == []


def test_a_rare_known_exception_with_other_parameters_is_not_red() -> None:
    usual = ["INFO served 1"] * 1000
    known = LogProfile.of([*usual, python_trace("KeyError", "redeem", order=7)], watched=600)
    canary = LogProfile.of(
        [*usual[:200], *(python_trace("KeyError", "redeem", order=order, line=order) for order in (8, 9))], watched=120
    )
    quality = judge_quality(canary, LogProfile.of(usual, watched=480), [known])
    assert quality.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("line", "sensitivity", "verdict"),
    [
        ("INFO cache warmed in 3 ms", "medium", Verdict.PASS),
        ("INFO cache warmed in 3 ms", "high", Verdict.PASS),
        ("WARN stock is low for sku-1", "medium", Verdict.PASS),
        ("WARN stock is low for sku-1", "high", Verdict.FAIL),
        ("ERROR stock is gone for sku-1", "low", Verdict.FAIL),
        ("FATAL no memory", "low", Verdict.FAIL),
    ],
)
def test_severity_decides_what_is_red(line: str, sensitivity: str, verdict: Verdict) -> None:
    usual = ["INFO served 1"] * 200
    quality = judge_quality(
        LogProfile.of([*usual, line], watched=60),
        LogProfile.of(usual * 4, watched=240),
        sensitivity=sensitivity,  # type: ignore[arg-type]
    )
    assert quality.verdict is verdict
    assert [event.kind for event in quality.events if event.template.startswith(line[:8])] == [EventKind.UNKNOWN]


@pytest.mark.parametrize(
    ("known", "new"),
    [
        ("ERROR answered status=200 in 3 ms", "ERROR answered status=500 in 3 ms"),
        ("ERROR exit code 1 of job 7", "ERROR exit code 137 of job 7"),
        ("ERROR request 1 failed: java.lang.AException: x", "ERROR request 1 failed: java.lang.BException: x"),
    ],
)
def test_nothing_is_swallowed_by_a_known_header(known: str, new: str) -> None:
    usual = [known, "INFO fine"] * 100
    quality = judge_quality(LogProfile.of([*usual, new, new], watched=60), LogProfile.of(usual * 4, watched=240))
    assert [event.kind for event in quality.risks] == [EventKind.UNKNOWN]


def _mixed(errors: int, *, served: int = 400) -> list[str]:
    kinds = [
        "INFO home was shown",
        "INFO basket holds 3 items",
        "INFO searched in 7 ms",
        "INFO order taken",
        "INFO mailed",
    ]
    return [*kinds * served, *["ERROR inventory timed out after 7 ms"] * errors]


def test_ten_times_the_known_errors_are_red() -> None:
    baseline = [LogProfile.of(_mixed(5), watched=100) for _ in range(4)]
    quality = judge_quality(
        LogProfile.of(_mixed(60), watched=100), LogProfile.of(_mixed(20, served=1600), watched=400), baseline
    )
    assert quality.verdict is Verdict.FAIL
    (event,) = quality.risks
    assert event.kind is EventKind.UNEXPECTED_FREQUENCY
    assert event.expected == pytest.approx(5, rel=0.3)
    assert _codes(quality) == ["unexpected_frequency"]


def test_fewer_errors_are_no_risk() -> None:
    baseline = [LogProfile.of(_mixed(60), watched=100) for _ in range(4)]
    quality = judge_quality(LogProfile.of(_mixed(1), watched=100), None, baseline)
    assert quality.verdict is Verdict.PASS


def test_what_made_up_much_of_a_log_and_is_gone_leaves_the_verdict_open() -> None:
    usual = _mixed(0)
    silent = [line for line in usual if "order" not in line]
    baseline = [LogProfile.of(usual, watched=100) for _ in range(4)]
    medium = judge_quality(LogProfile.of(silent, watched=100), None, baseline)
    assert medium.verdict is Verdict.INCONCLUSIVE
    assert _codes(medium)[0] == "went_silent"
    assert [event.kind for event in medium.events if event.kind is not EventKind.KNOWN] == [EventKind.WENT_SILENT]
    assert judge_quality(LogProfile.of(silent, watched=100), None, baseline, sensitivity="high").verdict is Verdict.FAIL


def test_the_silence_of_a_rare_event_is_no_risk() -> None:
    usual = [*_mixed(0), *(f"INFO mail {number} sent" for number in range(60))]
    baseline = [LogProfile.of(usual, watched=100) for _ in range(4)]
    quality = judge_quality(LogProfile.of(_mixed(0), watched=100), None, baseline)
    assert EventKind.WENT_SILENT in {event.kind for event in quality.events}
    assert quality.verdict is Verdict.PASS


def test_a_message_in_other_words_is_not_silent() -> None:
    usual = [f"INFO order {number} was served to its customer" for number in range(500)]
    other = [f"INFO order {number} was brought to its customer" for number in range(500)]
    ends = [f"DEBUG ping {number}" for number in range(500)]
    assert judge_quality(LogProfile.of(other + ends), None, [LogProfile.of(usual + ends)]).verdict is Verdict.PASS


def test_more_traffic_alone_is_no_risk() -> None:
    baseline = [LogProfile.of(_mixed(10), watched=100) for _ in range(3)]
    quality = judge_quality(LogProfile.of(_mixed(50, served=2000), watched=100), None, baseline)
    assert quality.verdict is Verdict.PASS


def test_nothing_to_compare_with() -> None:
    canary = LogProfile.of(["INFO a", "ERROR b"], watched=10)
    quality = judge_quality(canary, None)
    assert quality.verdict is Verdict.INCONCLUSIVE
    assert _codes(quality) == ["no_baseline"]
    learned = judge_quality(canary, None, learn=True)
    assert learned.verdict is Verdict.PASS
    assert _codes(learned) == ["learning"]
    assert {event.kind for event in learned.events} == {EventKind.KNOWN}
    assert all(event.counts["baseline"] == 0 for event in learned.events)


@pytest.mark.parametrize("learn", [False, True])
def test_silence_is_not_health(learn: bool) -> None:
    control = LogProfile.of(["INFO a"] * 100, watched=100)
    silent = LogProfile.of([], watched=50)
    for quality in (
        judge_quality(silent, control, learn=learn),
        judge_quality(silent, None, [control], learn=learn),
        judge_quality(silent, None, learn=learn),
    ):
        assert quality.verdict is Verdict.INCONCLUSIVE
        assert _codes(quality)[0] in ("no_data", "no_baseline")
    assert "50" in judge_quality(silent, control).reasons[0].text


def _undecided(*, count: int, final: bool) -> Quality:
    usual = ["INFO served 1"] * 100
    canary = LogProfile.of([*usual, *[python_trace("KeyError", "redeem")] * count], watched=20)
    return judge_quality(canary, LogProfile.of(usual * 4, watched=80), look=2, final=final)


def test_an_error_that_may_be_a_rare_known_one_waits_for_evidence() -> None:
    assert _undecided(count=1, final=False).verdict is Verdict.PASS
    assert _undecided(count=3, final=False).verdict is Verdict.FAIL
    assert _undecided(count=1, final=True).verdict is Verdict.FAIL


def test_once_it_fails_every_new_error_is_red() -> None:
    usual = ["INFO served 1"] * 100
    new = [*[python_trace("KeyError", "redeem")] * 4, python_trace("TypeError", "label")]
    canary = LogProfile.of([*usual, *new], watched=20)
    quality = judge_quality(canary, LogProfile.of(usual * 4, watched=80), look=2, final=False)
    assert len(quality.risks) == 2


def test_feedback_outranks_the_rules() -> None:
    usual = ["INFO served 1"] * 100
    control = LogProfile.of([*usual * 4, "INFO coupon used"], watched=80)
    canary = LogProfile.of([*usual, "INFO coupon used", python_trace("KeyError", "redeem")], watched=20)
    risk = judge_quality(canary, control).risks[0]
    fine = Statement(risk.id, Feedback("not_a_risk", "ada", "it is caught"))
    assert judge_quality(canary, control, opinions=Opinions([fine])).verdict is Verdict.PASS
    coupon = next(event for event in judge_quality(canary, control).events if "coupon" in event.template)
    never = Statement(coupon.id, Feedback("always_a_risk", "bob", "coupons are off"))
    both = judge_quality(canary, control, opinions=Opinions([fine, never]))
    assert [event.id for event in both.risks] == [coupon.id]
    assert _codes(both) == ["always_a_risk"]


def _ids(records: Sequence[str]) -> list[str]:
    return [event.id for event in judge_quality(LogProfile.of(records), LogProfile.of(["INFO x"])).events]


def test_ids_are_the_content_and_events_come_in_one_order() -> None:
    records = ["INFO a 1", "ERROR b 2", python_trace("KeyError", "redeem"), "WARN c"]
    assert _ids(records) == _ids([record.replace("1", "9") for record in reversed(records)])


def test_names_of_baselines_are_oldest_first() -> None:
    profile = LogProfile.of(["INFO a"])
    quality = judge_quality(profile, None, [profile, profile], baseline_names=["1.1", "1.0"])
    assert quality.baseline == ["1.0", "1.1"]
    assert quality.records == {"canary": 1, "control": 0, "baseline": 2}


def test_it_is_said_when_nothing_could_have_failed_the_release() -> None:
    plain, other = LogProfile.of(["card paid 1"] * 300), LogProfile.of(["card paid 2"] * 300 + ["ledger gone"])
    quality = judge_quality(other, None, [plain])
    assert quality.verdict is Verdict.PASS
    assert not quality.levels_stated
    assert _codes(quality) == ["nothing_new", "no_levels"]
    assert quality.levels == {"none": 301}


@pytest.mark.parametrize("stated", ["INFO card paid", "ValueError: no card", "<14>Feb  3 04:05:06 web shop[1]: paid"])
def test_one_level_or_crash_on_either_side_is_enough(stated: str) -> None:
    plain, other = LogProfile.of([*["card paid 1"] * 300, stated]), LogProfile.of(["card paid 2"] * 300)
    quality = judge_quality(other, None, [plain])
    assert quality.levels_stated
    assert _codes(quality) == ["nothing_new"]


def test_the_levels_that_were_read_are_counted() -> None:
    canary = LogProfile.of(["INFO paid"] * 5 + ["[warning] slow", "E0203 04:05:06.1 9 card.go:4] gone", "paid"])
    assert judge_quality(canary, None, [canary]).levels == {"error": 1, "warning": 1, "info": 5, "none": 1}


def test_an_author_says_what_is_an_error_where_the_log_does_not() -> None:
    usual = [f"parcel {number} weighed" for number in range(300)]
    canary = LogProfile.of([*usual, "parcel 7 went astray"])
    quality = judge_quality(canary, None, [LogProfile.of(usual)], opinions=Opinions(errors=[Expected("went astray")]))
    assert quality.verdict is Verdict.FAIL
    assert [(event.severity, event.stated) for event in quality.risks] == [("error", True)]
    assert judge_quality(canary, None, [LogProfile.of(usual)]).verdict is Verdict.PASS


def test_an_error_by_pattern_that_is_known_is_no_risk() -> None:
    usual = LogProfile.of(["INFO parcel 7 went astray", *(f"INFO parcel {number} weighed" for number in range(300))])
    quality = judge_quality(usual, None, [usual], opinions=Opinions(errors=[Expected("went astray")]))
    assert quality.verdict is Verdict.PASS
