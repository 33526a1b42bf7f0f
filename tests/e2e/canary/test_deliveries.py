"""What becomes of a canary that nobody touches; what takes longest is begun first."""

from __future__ import annotations

import os
import signal

import pytest

from tests.e2e.canary.world import NEW, OLD, Canaries

pytestmark = pytest.mark.timeout(900, func_only=True)  # the world, which the first begins, has limits of its own


def test_a_second_run_waits_for_the_environment_and_then_goes_on(canaries: Canaries) -> None:
    canaries.start("two-runs", run_id="first")
    canaries.watching("two-runs", "first")
    canaries.start("two-runs", version="1.3", run_id="second")
    canaries.wait_for("two-runs", "lease", "up_for_reschedule", run_id="second")
    assert canaries.ends("two-runs", "first") == "success"
    assert canaries.ends("two-runs", "second") == "success"
    assert canaries.artifacts("two-runs") == {"shop:1.3"}
    assert canaries.tasks("two-runs", "second")["phase_50.rollback"] == "skipped"


def test_a_bad_release_is_rolled_back_from_the_first_phase(canaries: Canaries) -> None:
    assert canaries.run("fails-at-half", bad="01") == "failed"
    assert canaries.artifacts("fails-at-half") == OLD
    after = canaries.tasks("fails-at-half")
    assert after["phase_50.rollback"] == "success"
    assert after["phase_100.deploy"] == "skipped"


def test_a_bad_release_is_rolled_back_from_the_last_phase(canaries: Canaries) -> None:
    canaries.start("fails-at-all")
    canaries.wait_for("fails-at-all", "phase_100.deploy", "success")
    canaries.script("fails-at-all", bad="02")
    assert canaries.ends("fails-at-all") == "failed"
    assert canaries.artifacts("fails-at-all") == OLD
    assert canaries.tasks("fails-at-all")["promote"] == "skipped"


def test_a_release_whose_smoke_tests_fail_is_rolled_back(canaries: Canaries) -> None:
    canaries.start("smoke-tests-fail")
    assert canaries.ends("smoke-tests-fail") == "failed"
    assert canaries.artifacts("smoke-tests-fail") == OLD
    said = canaries.log("smoke-tests-fail", "phase_50.verify")
    assert "VERDICT FAIL: failed checks: 1, above the limit of 0" in said


def test_a_verification_that_dies_is_rolled_back(canaries: Canaries) -> None:
    assert canaries.run("verify-dies", die=True) == "failed"
    assert canaries.artifacts("verify-dies") == OLD
    assert canaries.world.ledger().vetoes.of("shop", "verify-dies") == []
    assert canaries.tasks("verify-dies")["phase_100.rollback"] == "skipped"


def test_a_verification_that_is_killed_goes_on(canaries: Canaries) -> None:
    canaries.start("verify-killed")
    canaries.watching("verify-killed")
    os.kill(int((canaries.scripts / "verify-killed.pid").read_text()), signal.SIGKILL)
    assert canaries.ends("verify-killed") == "success"
    assert canaries.artifacts("verify-killed") == NEW
