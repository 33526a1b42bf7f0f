"""Rolling an environment back from its page: to an earlier release, or what is under way there."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException

from airflow_cd.ledger import Deployment, Ledger
from airflow_cd.plugin.dag_runs.tasks import RunTask
from airflow_cd.plugin.environment.stopping import failing
from airflow_cd.targets.base import Instance
from tests.plugin.build_com_run import PLACES, run_of
from tests.plugin.conftest import ClientAs
from tests.plugin.environment.scene import NEW, OLD, PLACE, RELEASES, deploy, key_of


def test_what_is_vetoed_is_shown_and_cannot_be_chosen(promoted: Ledger, client_as: ClientAs, rollback_dag: Any) -> None:
    rollback_dag()
    again = deploy(promoted, "1.1")
    again.run_id = "1.1-again"
    again.rolled_back("production", "errors rose")
    page = client_as("admin").get(PLACE).text
    there = page.index(f'value="{OLD.digest[7:]}"')
    assert "disabled" in page[there : there + 200]
    assert "checked" in page[page.index(f'value="{RELEASES["1.0"].digest[7:]}"') :][:160]


def test_the_rollback_is_a_run_of_the_pipelines_rollback(
    promoted: Ledger, client_as: ClientAs, rollback_dag: Any, airflow: list[dict[str, Any]]
) -> None:
    rollback_dag()
    client = client_as("user")
    form = {"release": OLD.digest[7:], "why": " checkout is slow ", "key": key_of(client)}
    answers = [client.post(f"{PLACE}/rollback", data=form, follow_redirects=False) for _ in range(2)]
    [asked] = airflow
    assert asked["dag"] == "shop-rollback"
    assert asked["conf"] == {
        "environment": "production",
        "release": OLD.digest[7:],
        "reason": "checkout is slow",
    }
    # Sent twice, it is meant once.
    assert {answer.headers["location"] for answer in answers} == {
        f"/airflow-cd/run/shop-rollback/{asked['dag_run_id']}"
    }


@pytest.mark.parametrize(
    ("changed", "says"),
    [({"why": " "}, "A reason is missing"), ({"release": ""}, "not complete"), ({"key": "../../x"}, "not complete")],
)
def test_a_form_that_is_not_complete_starts_nothing_and_loses_nothing(
    promoted: Ledger,
    client_as: ClientAs,
    rollback_dag: Any,
    airflow: list[dict[str, Any]],
    changed: dict[str, str],
    says: str,
) -> None:
    rollback_dag()
    client = client_as("user")
    form = {"release": OLD.digest[7:], "why": "my long reason", "key": key_of(client), **changed}
    answer = client.post(f"{PLACE}/rollback", data=form)
    assert answer.status_code == 400
    assert says in answer.text
    assert form["why"].strip() in answer.text
    assert airflow == []


@pytest.mark.parametrize(
    ("attributes", "says"), [({"is_paused": True}, "is paused"), ({"is_stale": True}, "Airflow has no DAG")]
)
def test_a_rollback_that_would_not_run_is_said_before_it_is_asked_for(
    promoted: Ledger,
    client_as: ClientAs,
    rollback_dag: Any,
    airflow: list[dict[str, Any]],
    attributes: dict[str, Any],
    says: str,
) -> None:
    rollback_dag(**attributes)
    client = client_as("user")
    assert says in client.get(PLACE).text
    form = {"release": OLD.digest[7:], "why": "slow", "key": key_of(client)}
    assert says in client.post(f"{PLACE}/rollback", data=form).text
    assert airflow == []


def test_airflows_own_refusal_is_shown_with_what_was_written(
    promoted: Ledger, client_as: ClientAs, rollback_dag: Any
) -> None:
    rollback_dag()
    root: FastAPI = client_as(None).app  # type: ignore[assignment]

    @root.post("/api/v2/dags/{dag}/dagRuns")
    def trigger(dag: str) -> None:
        raise HTTPException(403, "Not for you")

    client = client_as("user")
    form = {"release": OLD.digest[7:], "why": "my long reason", "key": key_of(client)}
    answer = client.post(f"{PLACE}/rollback", data=form)
    assert answer.status_code == 403
    assert "Not for you" in answer.text
    assert "my long reason" in answer.text


def _canary(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A canary of 1.3 that is being verified."""
    running = run_of("running", {"production.phase_20.deploy": "success", "production.phase_20.verify": "running"})
    running = replace(running, pipeline="shop", run_id="run-1.3")
    for module in ("environment.stopping", "dag_runs.tasks"):
        monkeypatch.setattr(f"airflow_cd.plugin.{module}.run_of", lambda pipeline, run_id: running)
    monkeypatch.setattr("airflow_cd.plugin.audit.reach.shape_of", lambda pipeline: PLACES)
    monkeypatch.setattr("airflow_cd.plugin.environment.routes.is_over", lambda pipeline, run_id: False)
    return deploy(ledger, "1.3").canary("production")


def test_a_canary_is_rolled_back_by_marking_its_verification_failed(
    promoted: Ledger,
    client_as: ClientAs,
    airflow: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    canary = _canary(promoted, monkeypatch)
    client = client_as("user")
    assert "shop 1.3 is being deployed in production." in client.get(PLACE).text
    form = {"deployment": canary.id, "why": "customers call"}
    answer = client.post(f"{PLACE}/stop", data=form, follow_redirects=False)
    assert answer.headers["location"] == "/airflow-cd/run/shop/run-1.3"
    assert airflow == [
        {"task": ("shop", "run-1.3", "production.phase_20.verify"), "new_state": "failed", "note": "customers call"}
    ]
    [action] = promoted.audit.actions(pipeline="shop", run_id="run-1.3")
    assert (action.who, action.action, action.why) == ("user-1", "marked failed", "customers call")


def test_what_another_pipeline_does_here_is_stopped_on_its_page(
    promoted: Ledger, client_as: ClientAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    _canary(promoted, monkeypatch)
    page = client_as("user").get("/airflow-cd/environment/other/shop/production").text
    assert f'href="{PLACE}"' in page
    assert "/stop" not in page


def test_what_a_pipeline_that_one_may_not_read_has_done_is_not_shown(
    ledger: Ledger, client_as: ClientAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.app import get_auth_manager

    for version, pipeline in (("1.0", "shop"), ("1.1", "shop"), ("1.2", "secret")):
        deploy(ledger, version, pipeline=pipeline).promoted("production")
    deploy(ledger, "1.3", pipeline="secret").rolled_back("production", "their errors")
    ledger.instances.record("shop", "production", [Instance("web-1", "1.2", "shop:1.2")], datetime.now(timezone.utc))
    client = client_as("user")

    def without_secret(self: Any, *, dag_ids: set[str], **_: Any) -> set[str]:
        return dag_ids - {"secret"}

    monkeypatch.setattr(type(get_auth_manager()), "filter_authorized_dag_ids", without_secret)
    page = client.get(PLACE).text
    assert "A pipeline that you may not read has deployed here, too." in page
    for theirs in ("their errors", "shop:1.2", "1.3", NEW.digest[7:15]):
        assert theirs not in page
    assert "Roll back now</button>" not in page


def test_a_reason_that_airflow_would_cut_off_is_refused(
    promoted: Ledger, client_as: ClientAs, airflow: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = _canary(promoted, monkeypatch)
    answer = client_as("user").post(f"{PLACE}/stop", data={"deployment": canary.id, "why": "x" * 1001})
    assert (answer.status_code, "at most 1000 are kept" in answer.text) == (400, True)
    assert airflow == []


def test_a_deployment_that_is_over_is_not_stopped(
    promoted: Ledger, client_as: ClientAs, airflow: list[dict[str, Any]]
) -> None:
    [last] = promoted.deployments.matching("shop", "production", limit=1)
    answer = client_as("user").post(f"{PLACE}/stop", data={"deployment": last.id, "why": "slow"})
    assert "is over" in answer.text
    assert airflow == []


def test_what_a_dead_run_left_is_replaced_at_once_though_it_keeps_the_environment(
    promoted: Ledger,
    client_as: ClientAs,
    rollback_dag: Any,
    airflow: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rollback_dag()
    dead = deploy(promoted, "1.3")
    dead.canary("production")
    ended = {("shop", "run-1.3")}
    monkeypatch.setattr("airflow_cd.plugin.environment.routes.ended_runs", lambda runs: ended & set(runs))
    client = client_as("user")
    page = client.get(PLACE).text
    assert "production is between two releases: shop 1.3 was left unfinished." in page
    assert "checked" in page[page.index(f'value="{NEW.digest[7:]}"') :][:160]
    form = {"release": NEW.digest[7:], "why": "nobody goes on with it", "key": key_of(client)}
    client.post(f"{PLACE}/rollback", data=form, follow_redirects=False)
    assert airflow[0]["conf"]["release"] == NEW.digest[7:]
    assert promoted.leases.current("shop", "production") is None


def test_a_run_that_is_at_work_keeps_its_environment(
    promoted: Ledger,
    client_as: ClientAs,
    rollback_dag: Any,
    airflow: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rollback_dag()
    _canary(promoted, monkeypatch)
    client = client_as("user")
    key = "20261125T000000-abcdef"
    client.post(f"{PLACE}/rollback", data={"release": OLD.digest[7:], "why": "x", "key": key}, follow_redirects=False)
    lease = promoted.leases.current("shop", "production")
    assert lease is not None
    assert lease.run_id == "run-1.3"


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({"production.phase_20.deploy": "running"}, ["production.phase_20.verify", "production.phase_20.deploy"]),
        (
            {"production.phase_20.deploy": "success", "production.phase_20.verify": "awaiting_input"},
            ["production.phase_20.verify"],
        ),
        (
            {"production.phase_20.verify": "success", "production.phase_100.deploy": "queued"},
            ["production.phase_100.verify", "production.phase_100.deploy"],
        ),
        (
            {
                "production.phase_20.verify": "success",
                "production.phase_100.verify": "success",
                "production.promote": "running",
            },
            ["production.promote"],
        ),
        (
            {"dev.deploy": "running", "production.phase_20.verify": "success", "production.phase_100.verify": "failed"},
            [],
        ),
    ],
)
def test_what_decides_next_is_failed_first_then_what_goes_forward(states: dict[str, str], expected: list[str]) -> None:
    assert failing(run_of("running", states), "production") == expected


def test_an_environment_without_a_verification_has_its_deploy_failed() -> None:
    run = run_of("running", {"dev.deploy": "running"})
    assert failing(run, "dev") == ["dev.deploy"]
    assert all(isinstance(task, RunTask) for task in run.tasks)
