"""What the verify operator takes from the ledger: the baseline that was chosen, and what people say by now."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pandas as pd
import pytest

from airflow_cd.delivery import Delivery
from airflow_cd.delivery.learned import log_baseline, metric_baseline, opinions
from airflow_cd.delivery.verifying import Consequence, PhaseVerification
from airflow_cd.ledger import Ledger
from airflow_cd.release import Release
from airflow_cd.verification.logs.feedback import Expected, Opinions
from airflow_cd.verification.samples import LogSample, Window
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.verdict import Verdict
from tests.commands.shop_ledger import shop_ledger
from tests.memory_target import MemoryTarget

NAMES = [f"shop-{number:02d}" for number in range(10)]


class _Silent:
    """A log source that has nothing to say."""

    name = "sumo"
    delay = timedelta(0)

    def read(self, window: Window, instances: Any) -> LogSample:
        return LogSample(pd.DataFrame(columns=["time", "instance", "message"]), "everything")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return shop_ledger(f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}")


@pytest.fixture
def delivery(ledger: Ledger) -> Delivery:
    target = MemoryTarget(NAMES, Release("shop", "1.4", "shop:1.4"))
    where = {"pipeline": "storefront", "service": "shop", "environment": "production"}
    return Delivery(ledger, target, run_id="run-9", log=lambda line: None, timeout=timedelta(seconds=1), **where)


def configured(**verification: Any) -> Verification:
    return Verification(logs=[_Silent()], **verification)


def test_each_good_deployment_is_one_baseline_with_its_name(delivery: Delivery) -> None:
    baseline = log_baseline(delivery, "sumo", "all")
    assert [one.name.split()[0] for one in baseline.learned] == ["1.4", "1.2", "1.1", "1.0"]
    assert [one.name.split()[0] for one in log_baseline(delivery, "sumo", "previous").learned] == ["1.4"]
    assert log_baseline(delivery, "sumo", "control").learned == []


def test_a_persons_pin_outranks_the_pipeline_and_is_named(delivery: Delivery, ledger: Ledger) -> None:
    ledger.baselines.pin("shop", "production", "1.1", who="ada", why="1.4 is noisy")
    (only,) = log_baseline(delivery, "sumo", "previous").learned
    assert only.name.startswith("1.1 of ")
    assert only.name.endswith("baseline pin by ada: 1.4 is noisy")
    assert metric_baseline(delivery, "new relic") == []  # 1.1 has taught nothing about metrics
    ledger.baselines.undo("shop", "production", who="ada", why="over")


def test_a_missing_baseline_is_inconclusive_at_the_first_look_and_acted_upon(
    delivery: Delivery, ledger: Ledger
) -> None:
    lease = ledger.leases.acquire("shop", "production", pipeline="storefront", run_id="run-9", ttl=timedelta(minutes=5))
    deployment = ledger.deployments.open(
        lease,
        Release("shop", "1.5", "shop:1.5"),
        previous=dict.fromkeys(NAMES, Release("shop", "1.4", "shop:1.4")),
        reason="",
        triggered_by="ada",
        rollback="automatic",
        learn=False,
    )
    ledger.phases.start(deployment.id, "phase_20", share=20, instances=NAMES[:2], token=lease.token)
    ledger.phases.deployed(deployment.id, "phase_20", datetime.now(timezone.utc), lease.token)
    looks: list[Any] = []
    verifying = PhaseVerification(
        delivery, configured(baseline="1.3", duration="10m"), "phase_20", on_look=looks.append
    )
    concluded = verifying.run(datetime.now(timezone.utc))
    assert (concluded.judgement.verdict, concluded.consequence) == (Verdict.INCONCLUSIVE, Consequence.ASK)
    assert (concluded.judgement.looks, looks) == (1, [])
    assert "the baseline 1.3 cannot be used" in concluded.judgement.sentence


def test_what_people_say_is_asked_anew_at_every_look(delivery: Delivery, ledger: Ledger) -> None:
    expected = configured(expected=["PaymentRetried*"]).expectations
    assert opinions(delivery, expected) == Opinions([], (Expected("PaymentRetried*"),))
    ledger.feedback.record("shop", "0123456789ab", "not_a_risk", who="ada", why="caught", environment="production")
    ledger.feedback.record("shop", "0123456789ab", "always_a_risk", who="bob", why="elsewhere", environment="staging")
    (said,) = opinions(delivery, expected).statements
    assert (said.event_id, said.feedback.says, said.feedback.who) == ("0123456789ab", "not_a_risk", "ada")
