"""A log that always has new errors proves nothing by one more; a quiet one does."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from airflow_cd.verification.logs.events import compare
from airflow_cd.verification.logs.novelty import Novelty
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_quality
from airflow_cd.verification.logs.reasons import no_proof
from airflow_cd.verification.verdict import EventKind, Quality, Verdict

_KINDS = (
    "disk of the mirror is almost gone",
    "lamp in hall two flickers",
    "parcel label came out blank",
    "sensor at dock nine answers late",
    "forklift battery swap was skipped",
    "printer queue holds a torn page",
    "conveyor stopped by hand again",
    "scanner reads the wrong aisle",
    "crane brake was tested twice",
    "gate stayed open over night",
)


def _log(errors: Sequence[str], records: int = 300) -> list[str]:
    return [*(f"INFO parcel {number} weighed" for number in range(records)), *(f"ERROR {error}" for error in errors)]


def _judged(
    canary: Sequence[str], *baseline: Sequence[str], control: Sequence[str] | None = None, final: bool = True
) -> Quality:
    beside = LogProfile.of(control) if control is not None else None
    return judge_quality(LogProfile.of(canary), beside, [LogProfile.of(one) for one in baseline], final=final)


def test_one_new_error_fails_where_errors_do_not_change() -> None:
    usual = _log([_KINDS[0]] * 3)
    quality = _judged(_log([*[_KINDS[0]] * 3, _KINDS[1]]), usual)
    assert quality.verdict is Verdict.FAIL


def test_one_more_rare_error_is_no_proof_where_each_is_rare() -> None:
    quality = _judged(_log(_KINDS[5:7]), _log(_KINDS[:5]))
    assert quality.verdict is Verdict.INCONCLUSIVE
    assert quality.reasons[0].code == "new_errors_usual"
    assert quality.reasons[0].numbers["kinds"] == 2
    assert len(quality.risks) == 2  # they are red all the same


def test_many_more_than_usual_fail_also_there() -> None:
    quality = _judged(_log([*_KINDS[:3], *_KINDS[3:]]), _log(_KINDS[:3]))
    assert quality.verdict is Verdict.FAIL


def test_many_more_than_there_were_before_fail_also_where_all_of_those_are_gone() -> None:
    old, turned = _log(_KINDS[:8]), [kind.split() for kind in _KINDS]
    others = [" ".join(words[at:] + words[:at]) for at in (2, 3) for words in turned]
    assert _judged(_log(others), old).verdict is Verdict.FAIL
    assert _judged(_log(others[:6]), old).verdict is Verdict.INCONCLUSIVE


def test_lines_of_source_around_a_fault_do_not_say_that_the_log_changed() -> None:
    fault = ["7 | const room = rooms[key];", "8 | return room.price;", "              ^", "TypeError: no room"]
    other = ["3 | open(door);", "       ^", "KeyError: no key"]
    assert _judged(_log([]) + fault * 2, _log([]) + other * 3).verdict is Verdict.FAIL


def test_details_of_an_error_do_not_say_that_the_log_changed() -> None:
    usual = [f"2025-02-03 04:05:06 UTC [9] LOG:  checkpoint {at} done" for at in range(300)]
    fault = [
        "2025-02-03 04:05:06 UTC [9] ERROR:  deadlock detected",
        "2025-02-03 04:05:06 UTC [9] DETAIL:  Process 9 waits for ShareLock on transaction 7",
        "2025-02-03 04:05:06 UTC [9] HINT:  See server log for query details.",
        "2025-02-03 04:05:06 UTC [9] STATEMENT:  update parcel set gate=4",
    ]
    assert _judged([*usual, *fault], usual).verdict is Verdict.FAIL


def test_much_more_baseline_makes_the_same_error_a_proof() -> None:
    calm = _log([], records=10_000)
    assert _judged(_log(_KINDS[5:7]), [*_log(_KINDS[:5]), *calm]).verdict is Verdict.FAIL


def test_a_log_of_another_time_is_excused_by_what_else_is_new() -> None:
    yesterday = [f"INFO {kind} {number}" for kind in ("alpha", "beta", "gamma", "delta") for number in range(50)]
    today = [f"INFO {kind}" for kind in ("tide is in", "moon rose", "fog lifts", "rain sets", "sun is up") * 40]
    assert _judged([*today, "ERROR lamp is out"], yesterday).verdict is Verdict.INCONCLUSIVE


def test_lines_beside_a_crash_that_have_no_header_excuse_nothing() -> None:
    usual = [f"2025-02-04 06:07:08 parcel {number} weighed" for number in range(300)]
    beside = ["Depot: north", "Shift: late", "Crew: six", "Weather: fog"]
    assert _judged([*usual, *beside, "Error: no scales on dock nine"], usual).verdict is Verdict.FAIL


def test_a_process_that_dies_is_proof_in_a_log_that_brings_new_errors() -> None:
    def log(errors: Sequence[str]) -> list[str]:
        return [f"2025-02-04 06:07:08 {line}" for line in _log(errors)]

    died = ["panic: scales are gone", "", "goroutine 7 [running]:", "main.weigh(...)", "\t/srv/weigh.go:7 +0x1"]
    assert _judged(log(_KINDS[5:8]), log(_KINDS[:4])).verdict is Verdict.INCONCLUSIVE
    assert _judged([*log(_KINDS[5:8]), *died], log(_KINDS[:4])).verdict is Verdict.FAIL


def test_a_control_sees_the_same_time_so_nothing_is_excused() -> None:
    control = [f"INFO {kind} {number}" for kind in ("alpha", "beta", "gamma", "delta") for number in range(50)]
    today = [f"INFO {kind}" for kind in ("tide is in", "moon rose", "fog lifts", "rain sets", "sun is up") * 40]
    assert _judged([*today, "ERROR lamp is out"], control=control).verdict is Verdict.FAIL


def test_what_every_deployment_brings_is_a_note_and_what_comes_again_and_again_is_not() -> None:
    deployments = [_log(_KINDS[2 * number : 2 * number + 2]) for number in range(4)]
    once = _judged(_log(_KINDS[8:9]), *deployments)
    assert (once.verdict, once.reasons[0].code, list(once.risks)) == (Verdict.PASS, "new_errors_usual", [])
    assert _judged(_log(list(_KINDS[8:9]) * 40), *deployments).verdict is Verdict.FAIL


def test_values_of_one_enumeration_are_one_kind() -> None:
    codes = ("E_ROOM", "E_DOOR", "E_LIFT", "E_DOCK", "E_BELT")
    known = _log([f"move failed, code={code}" for code in codes])
    assert _judged(
        _log([*(f"move failed, code={code}" for code in codes), "move failed, code=E_FIRE"]), known
    ).verdict is (Verdict.FAIL)


@pytest.mark.parametrize(
    "message", ["connection to the ledger lost", "could not open drawer 4", "write failed: no space"]
)
def test_words_hold_a_release_whose_log_states_no_level_and_do_not_fail_it(message: str) -> None:
    usual = [f"parcel {number} weighed" for number in range(300)]
    quality = _judged([*usual, message], usual)
    assert quality.verdict is Verdict.INCONCLUSIVE
    assert [event.stated for event in quality.risks] == [False]
    assert "no level" in quality.reasons[0].text


def test_what_words_alone_tell_of_is_not_counted_as_proof_in_what_is_said() -> None:
    old = LogProfile.of(["car 4 aboard", "ramp 2 down"] * 50)
    new = LogProfile.of(["car 4 aboard", "ramp 2 down"] * 50 + ["ramp is broken", "RampError: stuck"])
    events = [event for event in compare(new, None, [old]).events.values() if event.kind is EventKind.UNKNOWN]
    text = no_proof(Novelty(2, 0.12, 0.0068), events).text
    assert text.startswith(
        "2 new kinds of errors are no proof: only 1 of them states a level, of the others words alone tell of"
    )


def test_rare_words_of_failure_are_a_note_where_deployments_bring_such_now_and_then() -> None:
    usual = [f"parcel {number} weighed" for number in range(300)]
    now_and_then = [[*usual, "could not open drawer 4"], usual, usual, [*usual, "write failed: no space"]]
    once = _judged([*usual, "connection to the ledger lost"], *now_and_then)
    assert (once.verdict, once.reasons[0].code) == (Verdict.PASS, "new_errors_usual")
    assert _judged([*usual, *["connection to the ledger lost"] * 5], *now_and_then).verdict is Verdict.INCONCLUSIVE


def test_frames_of_an_unknown_runtime_are_no_change_of_a_log_that_had_none() -> None:
    usual = [f"parcel {number} weighed" for number in range(300)]
    frames = [f"{place}.xyz(7) weigh" for place in ("dock", "hall", "gate", "shop")]
    others = [f"{place}.xyz(7) pack" for place in ("ramp", "yard", "loft", "crane")]
    failed = [*usual, "Error: no scales on dock nine", *frames]
    assert _judged(failed, usual).verdict is Verdict.FAIL
    assert _judged([*failed, *others], [*usual, *others]).verdict is Verdict.INCONCLUSIVE


def test_the_rest_of_a_trace_that_began_before_the_log_is_no_error() -> None:
    usual = _log([])
    rest = ["\tat shop.Parcel.weigh(Parcel.java:7)", "\tat shop.Dock.take(Dock.java:9)"]
    assert _judged([*rest, *usual], usual).verdict is Verdict.PASS


def test_one_control_does_not_make_a_new_exception_ordinary() -> None:
    control = _log(_KINDS[:2])
    trace = "ERROR pack failed\njava.lang.IllegalStateException: no box\n\tat shop.Pack.close(Pack.java:7)"
    assert _judged([*_log([]), trace, trace], control=control).verdict is not Verdict.PASS


def test_an_exception_is_never_ordinary() -> None:
    deployments = [_log(_KINDS[2 * number : 2 * number + 2]) for number in range(4)]
    trace = "ERROR pack failed\njava.lang.IllegalStateException: no box\n\tat shop.Pack.close(Pack.java:7)"
    quality = _judged([*_log([]), trace], *deployments)
    assert quality.verdict is not Verdict.PASS
    assert quality.risks


def test_an_error_that_comes_again_and_again_is_proof_beside_a_control_of_the_same_size() -> None:
    assert _judged(_log([_KINDS[9]] * 300), control=_log(_KINDS[:3])).verdict is Verdict.FAIL


def test_a_doubtful_sign_does_not_make_another_one_certain_before_the_end() -> None:
    usual = _log([], records=60)
    canary = [*usual, "ERROR lamp is out", *["nightly import failed again"] * 8]
    early = _judged(canary, control=usual, final=False)
    assert early.verdict is Verdict.INCONCLUSIVE
    assert _judged(canary, control=usual).verdict is Verdict.FAIL
