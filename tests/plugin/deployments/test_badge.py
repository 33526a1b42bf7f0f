"""What the Deployments page says about the verification of a deployment."""

from __future__ import annotations

import pytest

from airflow_cd.plugin.deployments.badge import Badge, badge_of
from airflow_cd.plugin.states import Look


@pytest.mark.parametrize(
    ("state", "verdict", "reported", "rollback", "expected"),
    [
        ("promoted", "", False, False, Badge("not verified", report=False)),
        ("promoted", "", False, True, Badge(report=False)),
        ("running", "", False, False, Badge(report=False)),
        ("running", "", True, False, Badge("VERIFYING")),
        ("running", "PASS", True, False, Badge("PASSED SO FAR", Look.WAIT)),
        ("running", "FAIL", True, False, Badge("FAIL", Look.BAD)),
        ("running", "INCONCLUSIVE", True, False, Badge("INCONCLUSIVE", Look.WAIT)),
        ("promoted", "PASS", True, False, Badge("VERIFIED", Look.GOOD)),
        ("promoted", "FAIL", True, False, Badge("FAIL", Look.BAD, "promoted anyway")),
        ("promoted", "", True, False, Badge("NOT VERIFIED", Look.WAIT, "promoted before the verdict")),
        ("rolled_back", "", True, False, Badge("NO VERDICT", Look.WAIT)),
        ("rolled_back", "FAIL", True, False, Badge("FAIL", Look.BAD)),
    ],
)
def test_the_badge(state: str, verdict: str, reported: bool, rollback: bool, expected: Badge) -> None:
    assert badge_of(state, verdict, reported=reported, rollback=rollback) == expected


def test_a_first_release_says_so_instead_of_not_verified() -> None:
    expected = Badge("first release, nothing to compare with", report=False)
    assert badge_of("promoted", "", reported=False, first=True) == expected
    assert badge_of("promoted", "PASS", reported=True, first=True).text == "VERIFIED"
