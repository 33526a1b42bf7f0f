"""The contract of targets, run against a live environment by ``airflow-cd target check --deploy``.

Pytest is given this file; :func:`run` says what is under test.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest

from airflow_cd.release import Release
from airflow_cd.targets.base import Target, makes_replicas
from airflow_cd.targets.contract import TargetContract, _tokens
from airflow_cd.targets.replica_contract import ReplicaContract
from airflow_cd.targets.revision_contract import RevisionContract
from airflow_cd.targets.revisions import RevisionTarget


@dataclass(frozen=True)
class Subject:
    """What is under test.

    :param target: the environment.
    :param good: a release that comes up.
    :param other: another that comes up, of another artifact.
    :param broken: one that does not start; None where there is none.
    :param missing: one that does not exist; None for ``good`` with another artifact.
    :param timeout: seconds that a deployment of all instances may take.
    """

    target: Target
    good: Release
    other: Release
    broken: Release | None = None
    missing: Release | None = None
    timeout: float = 60.0


_subjects: list[Subject] = []


def run(subject: Subject) -> bool:
    """Run the whole contract; whether everything in it holds. It prints what does not.

    :param subject: what is under test.
    """
    _subjects.append(subject)
    try:
        # Settings of whatever project this is called in are not meant for it.
        options = ["-c", os.devnull, "--rootdir", os.path.dirname(__file__), "-p", "no:cacheprovider"]  # noqa: PTH120
        chosen = f"{__file__}::{_contract_of(subject.target).__name__}"
        return pytest.main([*options, "-q", "--tb=short", "--no-header", "-rfE", chosen]) == 0
    finally:
        _subjects.pop()


def newer_token() -> int:
    """A fencing token that is newer than all that the contract has used; leases soon have newer ones, by the clock."""
    return next(_tokens)


def _subject() -> Subject:
    if not _subjects:
        pytest.skip("only `airflow-cd target check --deploy` says what is under test")
    return _subjects[-1]


class _OfSubject:
    """The fixtures of all contracts."""

    timeout: float

    @pytest.fixture(autouse=True)
    def as_long_as_it_may_take(self) -> None:
        """Take the time that a person has given."""
        self.timeout = _subject().timeout

    @pytest.fixture
    def target(self) -> Target:
        """The environment."""
        return _subject().target

    @pytest.fixture
    def good(self) -> Release:
        """A release that comes up."""
        return _subject().good

    @pytest.fixture
    def other(self) -> Release:
        """Another that comes up."""
        return _subject().other

    @pytest.fixture
    def broken(self) -> Release | None:
        """One that does not start."""
        return _subject().broken

    @pytest.fixture
    def missing(self, good: Release) -> Release:
        """One that does not exist."""
        absent = Release(good.service, "missing", f"{good.artifact}-missing", good.configuration)
        return _subject().missing or absent


class TestLiveTarget(_OfSubject, TargetContract):
    """The contract of instances that have names."""


class TestLiveReplicas(_OfSubject, ReplicaContract):
    """The contract of replicas."""


class TestLiveRevisions(_OfSubject, RevisionContract):
    """The contract of revisions."""


def _contract_of(target: Target) -> type[_OfSubject]:
    """The contract of a target's shape."""
    if isinstance(target, RevisionTarget):
        return TestLiveRevisions
    return TestLiveReplicas if makes_replicas(target) else TestLiveTarget
