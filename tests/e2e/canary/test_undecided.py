"""What cannot be judged is held where it is until a person decides, at no cost, and is held against nobody."""

from __future__ import annotations

import pytest

from airflow_cd.states import RollbackCause
from tests.e2e.canary.world import NEW, OLD, Canaries

pytestmark = pytest.mark.timeout(900, func_only=True)  # the world, which the first begins, has limits of its own


def held(canaries: Canaries, case: str, **conf: object) -> None:
    """Run the case until a person is asked: half of the instances have the release and all their traffic."""
    canaries.start(case, **conf)
    canaries.wait_for(case, "phase_50.verify", "awaiting_input")
    assert canaries.artifacts(case) == OLD | NEW
    assert canaries.drained(case) == set()
    assert "VERDICT INCONCLUSIVE" in canaries.log(case, "phase_50.verify")


def cause(canaries: Canaries, case: str) -> tuple[RollbackCause | None, list[str]]:
    """Why it was rolled back, and the versions that are vetoed."""
    ledger = canaries.world.ledger()
    deployment = ledger.deployments.of_run(f"canary_{case}", "run", "shop", case)
    assert deployment is not None
    return deployment.cause, [veto.version for veto in ledger.vetoes.of("shop", case)]


def test_what_cannot_be_watched_is_held_and_goes_back_without_a_veto(canaries: Canaries) -> None:
    case = "new-relic-refuses"
    held(canaries, case)
    said = canaries.log(case, "phase_50.verify")
    assert "new_relic_wrong" in said
    assert "does not accept the key" in said
    # Nobody answers within the 20 seconds that this case has for it.
    assert canaries.ends(case) == "failed"
    assert canaries.artifacts(case) == OLD
    assert cause(canaries, case) == (RollbackCause.INCONCLUSIVE, [])
    assert "Nobody answered within 20s" in canaries.log(case, "settle")


def test_a_first_release_is_not_watched_and_becomes_the_good_one(canaries: Canaries) -> None:
    case = "first-release"
    assert canaries.run(case) == "success"
    assert canaries.artifacts(case) == NEW
    assert "Nothing to compare with" in canaries.log(case, "phase_50.deploy")
    assert "deployed as the first release" in canaries.log(case, "phase_50.verify")
    promoted = canaries.world.ledger().deployments.last_promoted("shop", case)
    assert promoted is not None
    assert promoted.first
    assert canaries.world.ledger().verdicts.of(promoted.id) == []


def test_a_person_who_is_asked_about_silence_may_roll_back(canaries: Canaries) -> None:
    case = "no-traffic"
    held(canaries, case)
    canaries.answer(case, "Roll back", "nobody visits tonight")
    assert canaries.ends(case) == "failed"
    assert canaries.artifacts(case) == OLD
    assert cause(canaries, case) == (RollbackCause.PERSON, ["1.1"])


def test_a_person_who_is_asked_about_silence_may_watch_longer(canaries: Canaries) -> None:
    case = "silent-at-first"
    canaries.script(case, silent=True)
    held(canaries, case)
    waiting = canaries.world.ledger().overview.open_questions()
    assert [one.environments for one in waiting if one.pipeline == f"canary_{case}"] == [(case,)]
    canaries.script(case)
    canaries.answer(case, "Keep watching", "the logs are on their way")
    assert canaries.ends(case) == "success"
    assert canaries.artifacts(case) == NEW


def test_a_person_who_is_asked_about_silence_may_promote_by_hand(canaries: Canaries) -> None:
    case = "silent-and-marked"
    canaries.script(case, silent=True)
    held(canaries, case)
    canaries.mark(case, "phase_50.verify", "success", "we know why")
    canaries.wait_for(case, "phase_100.verify", "awaiting_input")
    canaries.client.answer(f"canary_{case}", "run", f"{case}.phase_100.verify", "Go on", "here too")
    assert canaries.ends(case) == "success"
    assert canaries.artifacts(case) == NEW
