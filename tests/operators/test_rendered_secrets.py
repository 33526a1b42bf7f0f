"""Airflow stores rendered fields before a task begins: a secret must be out of them by then."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_cd.operators import DeployOperator
from airflow_cd.sensors import ApprovalSensor
from tests.operators.world import World

SECRET = "marigold-in-the-meadow"


def rendered(world: World, task: Any, configuration: Any) -> Any:
    context = world.context(task)
    context["params"] = {"version": "1.2", "configuration": configuration, "reason": "", "rollback": "automatic"}
    task.render_template_fields(context)
    return context


@pytest.mark.parametrize("kind", [DeployOperator, ApprovalSensor])
def test_a_secret_in_the_overrides_is_neither_deployed_nor_shown(world: World, kind: Any) -> None:
    from airflow.sdk.log import redact

    task = world.task(kind) if kind is DeployOperator else kind(task_id="approve", service="shop")
    context = rendered(world, task, {"db_password": SECRET})
    assert SECRET not in str([getattr(task, field) for field in task.template_fields])
    with pytest.raises(AirflowFailException, match="'db_password' of the configuration looks like a secret") as refused:
        task.execute(context)
    assert SECRET not in str(refused.value)
    assert world.target.calls == []
    # Whatever else writes it, into a log for one.
    assert SECRET not in str(redact(f"conf: {SECRET}"))


def test_a_template_that_fetches_a_secret_is_refused_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", f"postgres://shop:{SECRET}-2@db/shop")
    task = world.task(DeployOperator, configuration={"colour": "{{ conn_of('shop_db').password }}"})
    context = world.context(task)
    from airflow.sdk import BaseHook

    context |= {"params": {"version": "1.2"}, "conn_of": BaseHook.get_connection}
    task.render_template_fields(context)
    assert SECRET not in str(task.configuration)
    with pytest.raises(AirflowFailException, match="Airflow knows it as one"):
        task.execute(context)


def test_ordinary_overrides_are_rendered_as_they_are(world: World) -> None:
    task = world.task(DeployOperator)
    context = rendered(world, task, {"limit": 7, "db_password": "plain:none"})
    assert "plain:none" in str(task.overrides)
    task.execute(context)
    assert world.target.state["shop-00"].configuration == {"limit": 7, "db_password": "none"}
