"""Asking a target that changes replicas in place until it is taken: for how long, and no other target."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, cast

import pytest

from airflow_cd.delivery import asking
from airflow_cd.delivery.asking import ask_until_healthy
from airflow_cd.errors import TargetUnavailable
from airflow_cd.instances import Instance, Track
from airflow_cd.release import Release

NEW = Release("db", "1.1", "db:1.1", {})


class Time:
    """What the module takes for time."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Healthy:
    """Everything is as it should be as soon as it is taken."""

    tracks = (Track.CANARY, Track.STABLE)
    environment = "production"

    def __init__(self, in_place: bool = True) -> None:
        self.in_place = in_place

    def instances(self) -> list[Instance]:
        return [Instance("db-2", "1.1", "db:1.1", track=Track.CANARY)]


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(asking, "time", made)
    return made


def refusing(in_the_way: list[int]) -> Callable[[], None]:
    """One that is not taken while so many instances are in the way, one number for every time it is asked."""
    left: Iterator[int] = iter(in_the_way)

    def ask() -> None:
        if count := next(left):
            raise TargetUnavailable(f"{count} are in the way.", instances=[f"db-{place}" for place in range(count)])

    return ask


def ask(target: Any, what: Callable[[], None]) -> list[str]:
    log: list[str] = []
    wanted = {Track.CANARY: NEW}
    ask_until_healthy(cast("Any", target), wanted, what, timeout=timedelta(seconds=12), log=log.append)
    return log


def test_each_instance_that_is_in_the_way_has_the_time(passing: Time) -> None:
    log = ask(Healthy(), refusing([4, 4, 3, 3, 2, 2, 1, 0]))
    assert passing.now == 7 * asking.REFUSED_EVERY
    assert len(log) == 4, "what has been said is not said again"


def test_one_that_stays_in_the_way_ends_it(passing: Time) -> None:
    with pytest.raises(TargetUnavailable, match="1 are in the way"):
        ask(Healthy(), refusing([1, 2, 1, 2, 1, 2, 1, 2, 1]))
    assert passing.now <= 12


def test_of_replicas_beside_each_other_nothing_is_asked_twice(passing: Time) -> None:
    with pytest.raises(TargetUnavailable):
        ask(Healthy(in_place=False), refusing([1, 0]))
    assert passing.now == 0
