"""Stored profiles as a baseline: one for each deployment, newest first, and none that cannot be read."""

from __future__ import annotations

import pytest

from airflow_cd.errors import VerificationError
from airflow_cd.verification.logs.baselines import Baseline, Learned
from airflow_cd.verification.logs.profile import LogProfile

A, B, C = (LogProfile.of([f"INFO {word}"] * 3, watched=10) for word in ("home", "basket", "order"))


def test_the_phases_of_a_deployment_are_one() -> None:
    kept = [("id-2", "1.2", A.to_bytes()), ("id-2", "1.2", B.to_bytes()), ("id-1", "1.1", C.to_bytes())]
    assert Baseline.of(kept).learned == [Learned("1.2", LogProfile.merge(A, B)), Learned("1.1", C)]
    assert Baseline.of([]) == Baseline([])


def test_two_deployments_of_one_version_are_two() -> None:
    kept = [("id-2", "1.1", A.to_bytes()), ("id-1", "1.1", A.to_bytes())]
    assert [one.profile for one in Baseline.of(kept).learned] == [A, A]


def test_a_damaged_one_is_named_with_what_to_do() -> None:
    kept = [("id-2", "1.2", A.to_bytes()), ("id-1", "1.1", A.to_bytes()[:-9])]
    with pytest.raises(VerificationError, match=r"what 1\.1 \(id-1\) taught cannot be used: .*damaged.*baseline"):
        Baseline.of(kept)
