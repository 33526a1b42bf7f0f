"""What a task says of itself in the ledger while it works, and when it stops saying so."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from airflow_cd.delivery import Delivery, heartbeat
from airflow_cd.delivery.heartbeat import at_work
from airflow_cd.demo.airflow_client import wait_until
from airflow_cd.ledger import Ledger, Work
from airflow_cd.release import Release
from tests.memory_target import MemoryTarget

OFTEN = timedelta(milliseconds=5)


@pytest.fixture
def ledger(new_ledger: Ledger) -> Ledger:
    return new_ledger


class Scene:
    """A run at work on production, and what it has logged."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.lines: list[str] = []
        self.logged = threading.Event()
        self.delivery = Delivery(
            ledger,
            MemoryTarget(["shop-1"], Release("shop", "1.1", "shop:1.1")),
            pipeline="shop",
            run_id="run",
            service="shop",
            environment="production",
            log=self._log,
        )

    def _log(self, line: str) -> None:
        self.lines.append(line)
        self.logged.set()

    def work(self) -> Work:
        found = self.ledger.work.of_run("shop", "production", "shop", "run")
        assert found is not None
        return found


def test_a_task_that_works_says_that_it_lives_and_then_that_it_is_over(ledger: Ledger) -> None:
    scene = Scene(ledger)
    with at_work(
        scene.delivery,
        task_id="production.deploy",
        target=None,
        timeout=timedelta(minutes=5),
        limit=timedelta(minutes=10),
        every=OFTEN,
    ):
        beats = scene.work().beats
        wait_until(lambda: scene.work().beats > beats, "it says again that it lives", seconds=10, every=0.01)
        assert not scene.work().over
    assert scene.work().over
    assert scene.lines == []


def test_a_task_past_its_time_limit_does_not_count_as_alive_any_more(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "GRACE", timedelta(0))
    scene = Scene(ledger)
    with at_work(
        scene.delivery,
        task_id="production.deploy",
        target=None,
        timeout=timedelta(minutes=5),
        limit=timedelta(0),
        every=OFTEN,
    ):
        assert scene.logged.wait(10), "nothing says that the time limit is over"
        assert scene.work().beats == 1
        assert not scene.work().over
    assert "the guard takes over what it has left" in scene.lines[0]
