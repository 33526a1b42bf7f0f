"""Two ledgers, as two workers without a configured one keep: whoever opens the other one stops, and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Variable
from airflow.sdk.execution_time import task_runner

from airflow_cd.errors import LedgerRefused, WrongLedger
from airflow_cd.ledger import ledger_url, open_ledger
from airflow_cd.operators import DeployOperator, RollbackOperator, SettleOperator
from airflow_cd.same_ledger import KEY
from airflow_cd.sensors import LeaseSensor
from tests.operators.world import NEW, OLD, World


class Workers:
    """One run, whose tasks run on workers of which each may have a ledger of its own."""

    def __init__(self, world: World, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world, self.other, self.patch = world, other, monkeypatch
        with DAG("shop", schedule=None):
            self.lease = world.task(LeaseSensor, task_id="production.lease")
            given = {"version": NEW.version, "configuration": dict(NEW.configuration), "overrides": "{}"}
            texts = {"reason": "", "rollback": "automatic", "learn": "false"}
            self.deploy = world.task(DeployOperator, task_id="production.deploy", **given, **texts)
            self.rollback = world.task(RollbackOperator, task_id="production.rollback")
            self.settle = world.task(SettleOperator, task_id="production.settle")
            self.lease >> self.deploy >> self.rollback >> self.settle
        self.xcoms: dict[str, Any] = {}

    def run(self, task: Any, *, elsewhere: bool = False) -> Any:
        with self.patch.context() as patch:
            if elsewhere:
                patch.setenv("AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN", self.other)
            context = self.world.context(task, xcoms=self.xcoms)
            return task.poke(context) if task is self.lease else task.execute(context)


@pytest.fixture
def workers(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workers:
    return Workers(world, f"sqlite:///{tmp_path / 'other.db'}", monkeypatch)


@pytest.mark.parametrize("name", ["deploy", "rollback", "settle"])
def test_a_task_on_a_worker_with_another_ledger_does_nothing_and_says_why(workers: Workers, name: str) -> None:
    assert workers.run(workers.lease) is True
    if name != "deploy":
        workers.run(workers.deploy)
    calls = list(workers.world.target.calls)
    with pytest.raises(WrongLedger, match="this worker's ledger is not the one this run began with") as caught:
        workers.run(getattr(workers, name), elsewhere=True)
    assert "on every machine" in str(caught.value)
    assert workers.world.target.calls == calls
    assert open_ledger(workers.other).deployments.matching() == []


def test_the_next_attempt_on_the_right_worker_goes_on(workers: Workers) -> None:
    workers.run(workers.lease)
    with pytest.raises(WrongLedger):
        workers.run(workers.deploy, elsewhere=True)
    workers.run(workers.deploy)
    assert set(workers.world.target.running().values()) == {NEW.artifact}


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Airflow's variables, as a task reads and writes them."""
    kept: dict[str, Any] = {}
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", object(), raising=False)
    monkeypatch.setattr(Variable, "get", lambda key, *, default: kept.get(key, default))
    monkeypatch.setattr(Variable, "set", lambda key, value, description: kept.update({key: value}))
    return kept


def test_a_whole_run_on_a_worker_with_another_ledger_does_not_begin(
    workers: Workers, variables: dict[str, Any]
) -> None:
    workers.run(workers.lease)
    assert variables == {KEY: workers.world.ledger.identity.get()}
    workers.xcoms.clear()
    with pytest.raises(WrongLedger, match="this worker's ledger is not the one this Airflow uses"):
        workers.run(workers.lease, elsewhere=True)
    assert open_ledger(workers.other).leases.current("shop", "production") is None
    assert set(workers.world.target.running().values()) == {OLD.artifact}


def test_a_run_does_not_begin_while_nobody_says_which_ledger_is_used(
    workers: Workers, variables: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(key: str, default: Any) -> Any:
        raise RuntimeError("the API server does not answer")

    monkeypatch.setattr(Variable, "get", away)
    assert workers.run(workers.lease) is False
    assert "does not say which ledger it uses" in workers.lease.result["waiting"]
    assert workers.world.ledger.leases.current("shop", "production") is None


@pytest.mark.parametrize(
    "executor", ["CeleryExecutor", "KubernetesExecutor", "LocalExecutor,CeleryExecutor", "edge:some.EdgeExecutor"]
)
def test_no_ledger_of_its_own_for_a_worker_on_another_machine(monkeypatch: pytest.MonkeyPatch, executor: str) -> None:
    monkeypatch.delenv("AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN", raising=False)
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    with pytest.raises(LedgerRefused, match="each would keep a ledger of its own"):
        ledger_url()
    monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN", "sqlite:////shared/ledger.db")
    assert ledger_url().database == "/shared/ledger.db"


@pytest.mark.parametrize("executor", ["LocalExecutor", "team=LocalExecutor", "airflow.executors.x.LocalExecutor"])
def test_one_machine_needs_no_configuration(monkeypatch: pytest.MonkeyPatch, executor: str) -> None:
    monkeypatch.delenv("AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN", raising=False)
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    assert ledger_url().get_backend_name() == "sqlite"


def test_no_two_ledgers_have_one_identity_and_each_keeps_its_own(tmp_path: Path) -> None:
    one, other = (open_ledger(f"sqlite:///{tmp_path / name}.db") for name in ("one", "other"))
    assert one.identity.get() == one.identity.get()
    assert one.identity.get() != other.identity.get()
