from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_cd.verification.health import Condition, HealthWatch
from airflow_cd.verification.verdict import Verdict

BEGAN = datetime(2026, 11, 30, 4, 0, tzinfo=timezone.utc)
CANARY, CONTROL = ("web-1", "web-2"), ("web-3", "web-4", "web-5")
LOOK = timedelta(seconds=10)

WELL = Condition()
CRASHED = Condition("exit code 137, out of memory", failed=True)
UNREADY = Condition("its readiness check fails")


def seen(*looks: dict[str, Condition]) -> HealthWatch:
    """A watch with a look every ten seconds; whoever is not named is well."""
    watch = HealthWatch()
    for number, named in enumerate(looks):
        watch.look({**dict.fromkeys((*CANARY, *CONTROL), WELL), **named}, BEGAN + number * LOOK)
    return watch


def started(seconds: float) -> Condition:
    return Condition(started=BEGAN + timedelta(seconds=seconds))


def test_nothing_is_said_of_instances_that_are_well_or_of_which_nothing_is_known() -> None:
    assert HealthWatch().judge(CANARY, CONTROL).verdict is Verdict.PASS
    health = seen({}, {}).judge(CANARY, CONTROL)
    assert (health.verdict, list(health.reasons)) == (Verdict.PASS, [])


def test_half_of_a_canary_that_stays_down_fails_it() -> None:
    health = seen({}, {"web-1": CRASHED}, {"web-1": CRASHED}).judge(CANARY, CONTROL)
    assert health.verdict is Verdict.FAIL
    assert [one.text for one in health.reasons] == ["web-1 of the canary is not healthy: exit code 137, out of memory."]
    assert health.first_bad == BEGAN + LOOK


def test_what_is_down_at_the_last_look_alone_is_no_proof_and_passes_nothing() -> None:
    assert seen({}, {}, {"web-1": CRASHED}).judge(CANARY, CONTROL).verdict is Verdict.INCONCLUSIVE


def test_one_of_many_may_stand_on_a_bad_machine() -> None:
    many = tuple(f"new-{number}" for number in range(4))
    watch = seen(*({**dict.fromkeys(many, WELL), "new-0": CRASHED} for _ in range(3)))
    assert watch.judge(many, CONTROL).verdict is Verdict.INCONCLUSIVE


def test_a_control_that_fares_no_better_speaks_for_the_release() -> None:
    health = seen({}, *({"web-1": CRASHED, "web-4": CRASHED} for _ in range(3))).judge(CANARY, CONTROL)
    assert health.verdict is Verdict.INCONCLUSIVE
    assert health.reasons[0].text.endswith("; of the control it happened to web-4.")


@pytest.mark.parametrize(("looks", "verdict"), [(2, Verdict.INCONCLUSIVE), (3, Verdict.FAIL)])
def test_a_check_that_was_slow_once_is_waited_for(looks: int, verdict: Verdict) -> None:
    unready = dict.fromkeys(CANARY, UNREADY)
    assert seen({}, *[unready] * looks).judge(CANARY, CONTROL).verdict is verdict
    assert seen({}, *[unready] * looks, {}).judge(CANARY, CONTROL).verdict is Verdict.PASS


def test_a_process_that_died_is_not_forgotten_when_another_one_is_well() -> None:
    health = seen({"web-1": started(-60)}, {"web-1": started(5)}, {"web-1": started(5)}).judge(CANARY, CONTROL)
    assert health.verdict is Verdict.INCONCLUSIVE
    assert [one.text for one in health.reasons] == ["web-1 of the canary was started again once while watched."]


def test_processes_that_die_again_and_again_fail_a_release_though_each_is_well_when_looked_at() -> None:
    looks = [{"web-1": started(10 * number), "web-2": WELL} for number in range(3)]
    health = seen(*looks).judge(CANARY, CONTROL)
    assert (health.verdict, health.reasons[0].numbers["restarts"]) == (Verdict.FAIL, 2)
    both = [{"web-1": started(10 * number), "web-3": started(10 * number)} for number in range(3)]
    assert seen(*both).judge(CANARY, CONTROL).verdict is Verdict.INCONCLUSIVE


def test_a_start_that_is_worked_out_from_a_running_time_may_waver() -> None:
    looks = [{"web-1": started(-60 + wavering)} for wavering in (0.0, 2.5, -1.0, 3.0)]
    assert seen(*looks).judge(CANARY, CONTROL).verdict is Verdict.PASS


def test_what_is_gone_is_not_down() -> None:
    watch = seen({"web-1": CRASHED}, {"web-1": CRASHED})
    watch.look(dict.fromkeys(("web-2", *CONTROL), WELL), BEGAN + 2 * LOOK)
    assert watch.judge(CANARY, CONTROL).verdict is Verdict.PASS
