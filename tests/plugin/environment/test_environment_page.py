"""One environment: rolling it back now, and lifting vetoes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient

from airflow_cd.ledger import Deployment, Ledger
from airflow_cd.plugin.audit.middleware import AuditMiddleware
from airflow_cd.plugin.dag_runs.tasks import RunTask
from airflow_cd.plugin.environment import routes
from airflow_cd.plugin.environment.stopping import failing
from airflow_cd.release import Release
from airflow_cd.targets.base import Instance, Track
from tests.plugin.build_com_run import PLACES, run_of
from tests.plugin.conftest import ClientAs
from tests.plugin.deployed import Delivery
from tests.plugin.served import served

PLACE = "/airflow-cd/environment/shop/shop/production"
HOSTILE = "<script>alert(1)</script>"
RELEASES = {
    version: Release("shop", version, f"shop:{version}", configuration)
    for version, configuration in (
        ("1.0", {"workers": 2}),
        ("1.1", {"workers": 4, "greeting": HOSTILE}),
        ("1.2", {"workers": 8}),
    )
}
OLD, NEW = RELEASES["1.1"], RELEASES["1.2"]


def _deploy(ledger: Ledger, version: str, *, pipeline: str = "shop") -> Delivery:
    delivery = Delivery(ledger, "shop", version, pipeline=pipeline)
    delivery.release = RELEASES.get(version, delivery.release)
    return delivery


@pytest.fixture
def promoted(ledger: Ledger) -> Ledger:
    """Production after 1.0, 1.1 and 1.2, all of them good."""
    for version in RELEASES:
        _deploy(ledger, version).promoted("production")
    return ledger


@pytest.fixture
def rollback_dag(metadata: None) -> Iterator[Any]:
    """The pipeline's rollback DAG as Airflow knows it; called with how it is."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    def known(**attributes: Any) -> None:
        with create_session() as session:
            session.merge(DagBundleModel(name="tests"))
            session.flush()
            session.merge(
                DagModel(
                    dag_id="shop-rollback",
                    bundle_name="tests",
                    fileloc="shop.py",
                    timetable_type="",
                    **{"is_paused": False, "is_stale": False, **attributes},
                )
            )

    yield known
    with create_session() as session:
        session.query(DagModel).filter(DagModel.dag_id == "shop-rollback").delete()


@pytest.fixture
def airflow(client_as: ClientAs) -> list[dict[str, Any]]:
    """What Airflow's API was asked for, behind the same middleware as in the API server."""
    root: FastAPI = client_as(None).app  # type: ignore[assignment]
    asked: list[dict[str, Any]] = []

    @root.post("/api/v2/dags/{dag}/dagRuns")
    def trigger(dag: str, body: dict[str, Any]) -> dict[str, Any]:
        if any(one.get("dag_run_id") == body["dag_run_id"] for one in asked):
            raise HTTPException(409, "There is such a run already")
        asked.append({"dag": dag, **body})
        return {}

    @root.patch("/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}")
    def mark(dag: str, run: str, task: str, body: dict[str, Any]) -> dict[str, Any]:
        asked.append({"task": (dag, run, task), **body})
        return {}

    root.add_middleware(AuditMiddleware)
    return asked


def _key(client: TestClient) -> str:
    return client.get(PLACE).text.split('name="key" value="')[1].split('"')[0]


def test_it_says_what_runs_and_what_every_release_to_go_back_to_would_change(
    promoted: Ledger, client_as: ClientAs, rollback_dag: Any
) -> None:
    rollback_dag()
    page = client_as("admin").get(PLACE).text
    assert "shop 1.2 runs in production." in page
    first, second = (page.index(f'value="{RELEASES[version].digest[7:]}"') for version in ("1.1", "1.0"))
    assert first < second
    assert "checked" in page[first : first + 160]
    assert "checked" not in page[second : second + 160]
    assert NEW.digest[7:] not in page
    for now, would_be in (
        ("shop:1.2", "shop:1.1"),
        ("8", "4"),
        ("(not given)", "&lt;script&gt;alert(1)&lt;/script&gt;"),
    ):
        assert f"<code>{now}</code>" in page
        assert f"<code>{would_be}</code>" in page
    assert HOSTILE not in page


def test_what_ran_before_the_first_deployment_is_offered_by_that_name(
    ledger: Ledger, client_as: ClientAs, rollback_dag: Any
) -> None:
    rollback_dag()
    first = _deploy(ledger, "1.2")
    first.previous = dict.fromkeys(first.previous, OLD)
    first.promoted("production")
    page = client_as("admin").get(PLACE).text
    choice = page[page.index(f'value="{OLD.digest[7:]}"') :]
    assert "checked" in choice[:160]
    assert "what ran here before the first deployment, which began" in choice[:600]
    assert "by nobody named" not in choice[:600]


@pytest.fixture
def reconfigured(ledger: Ledger) -> Ledger:
    """Replicas of 1.2 in production, and beside them a canary that has the same version and another configuration."""
    plan = {"production": {"target": {"type": "elsewhere.Nomad", "conn_id": "nomad_eu", "environment": "shop-eu"}}}
    ledger.runs.begin("shop", "run-again", datetime.now(timezone.utc), plan=plan)
    delivery = Delivery(ledger, "shop", "1.2", run_id="run-again")
    delivery.release = replace(NEW, configuration={"workers": 2, "password": "hunter-2-hunter"})
    delivery.previous = {f"web-{number}": NEW for number in range(3)}
    delivery.canary("production", 20)
    stable = Instance("", "1.2", NEW.artifact, {"workers": 8}, track=Track.STABLE, weight=32.0)
    canary = replace(
        stable, name="web-c1", configuration=delivery.release.configuration, track=Track.CANARY, weight=4.0
    )
    waits = replace(canary, name="web-c2", health="starting", message=f"no node has room {HOSTILE}", weight=0.0)
    here = [replace(stable, name=f"web-{number}") for number in range(3)]
    ledger.instances.record("shop", "production", [canary, waits, *here], datetime.now(timezone.utc))
    return ledger


def test_replicas_are_shown_by_track_with_shares_weights_and_what_keeps_them(
    reconfigured: Ledger, client_as: ClientAs
) -> None:
    page = client_as("viewer").get(PLACE).text
    canary, stable = page.split('class="card group ')[1:]
    assert canary.startswith("canary")
    assert "<b>2</b> 40 %" in canary
    assert "<b>4 %</b> by weight" in canary
    assert "<b>3</b> 60 %" in stable
    assert "<b>96 %</b> by weight" in stable
    assert "web-c2</strong>: no node has room &lt;script&gt;" in canary
    assert "web-c1</strong>" not in canary
    assert canary.index('<th scope="row">web-c1<') < canary.index('<th scope="row">web-c2<')


def test_what_is_said_of_healthy_instances_is_a_warning_once_and_makes_nothing_bad(
    ledger: Ledger, client_as: ClientAs
) -> None:
    _deploy(ledger, "1.2").promoted("production")
    said = "web started again 3 times, last because it was killed: it used more memory than its limit (OOMKilled)"
    stable = Instance("", "1.2", NEW.artifact, NEW.configuration, track=Track.STABLE)
    here = [replace(stable, name=f"web-{number}", message=f"an autoscaler came {HOSTILE}") for number in range(5)]
    killed = replace(stable, name="web-killed", message=said)
    quiet = replace(stable, name="web-quiet")
    ledger.instances.record("shop", "production", [*here, killed, quiet], datetime.now(timezone.utc))
    page = client_as("viewer").get(PLACE).text
    group = page.split('class="card group ')[1]
    assert f"<strong>web-killed</strong>: {said}" in group
    assert group.count("an autoscaler came &lt;script&gt;") == 1
    assert "<strong>web-0, web-1, web-2 and 2 more</strong>: an autoscaler came" in group
    assert group.count("WARNING") == 2
    assert "<strong>web-quiet" not in group
    assert HOSTILE not in page
    assert 'class="banner good"' in page


def test_revisions_are_not_counted_but_weighed(ledger: Ledger, client_as: ClientAs) -> None:
    target = {
        "type": "airflow_cd.targets.aws_lambda.target.LambdaTarget",
        "conn_id": "aws",
        "environment": "shop",
        "function": "shop",
    }
    ledger.runs.begin("shop", "run-1.2", datetime.now(timezone.utc), plan={"production": {"target": target}})
    _deploy(ledger, "1.2").canary("production")
    old = Instance("7", "1.1", OLD.artifact, OLD.configuration, track=Track.STABLE, weight=80.0)
    new = Instance("8", "1.2", NEW.artifact, NEW.configuration, track=Track.CANARY, weight=20.0)
    ledger.instances.record("shop", "production", [old, new], datetime.now(timezone.utc))
    page = client_as("viewer").get(PLACE).text
    assert "Lambda: <strong>shop:live</strong>, connection aws" in page
    canary, stable = page.split('class="card group ')[1:]
    assert "<b>20 %</b> by weight" in canary
    assert "<b>80 %</b> by weight" in stable
    assert "Every revision" in stable
    assert "50 %" not in page
    run = client_as("viewer").get("/airflow-cd/run/shop/run-1.2").text
    assert "on 1 revision, 20 % of the requests" in run
    assert "1 of 2 instance" not in run


def test_what_a_version_does_not_say_is_said_everywhere_and_secrets_nowhere(
    reconfigured: Ledger, client_as: ClientAs
) -> None:
    page = client_as("viewer").get(PLACE).text
    assert "shop 1.2 (password (not given) → a secret" in page
    assert "workers 8 → 2) is being" not in page
    assert re.search(r"password a secret[^<]*, workers 2", page)
    assert "workers 8" in page
    assert '<th scope="row">configuration: workers</th>' in page
    assert "hunter" not in page
    overview = client_as("viewer").get("/airflow-cd/deployments").text
    assert "workers 8 → 2" in overview
    assert "hunter" not in overview


def test_it_says_how_the_environment_is_reached(reconfigured: Ledger, client_as: ClientAs) -> None:
    client = client_as("viewer")
    assert "Nomad: <strong>shop-eu</strong>, connection nomad_eu" in client.get(PLACE).text
    assert "Nomad: shop-eu" in client.get("/airflow-cd/deployments").text
    assert "Nomad: shop-eu" in client.get("/airflow-cd/run/shop/run-again").text


def test_while_something_is_deployed_it_looks_more_often(
    reconfigured: Ledger, client_as: ClientAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "is_over", lambda pipeline, run_id: False)
    assert 'data-live="2"' in client_as("viewer").get(PLACE).text


def test_instances_with_names_of_their_own_are_shown_by_what_they_run(ledger: Ledger, client_as: ClientAs) -> None:
    _deploy(ledger, "1.1").promoted("production")
    _deploy(ledger, "1.2").canary("production")
    here = [
        Instance("a", "1.1", OLD.artifact, OLD.configuration),
        Instance("b", "1.1", OLD.artifact, OLD.configuration),
        Instance("c", "1.2", NEW.artifact, NEW.configuration),
        Instance("d", "1.2", NEW.artifact, NEW.configuration, drained=True),
    ]
    ledger.instances.record("shop", "production", here, datetime.now(timezone.utc))
    new, old = client_as("viewer").get(PLACE).text.split('class="card group ')[1:]
    assert new.startswith("new")
    assert "<b>33.3 %</b>" in new
    assert "<b>66.7 %</b>" in old
    assert "NO REQUESTS" in new


def test_what_is_vetoed_is_shown_and_cannot_be_chosen(promoted: Ledger, client_as: ClientAs, rollback_dag: Any) -> None:
    rollback_dag()
    again = _deploy(promoted, "1.1")
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
    form = {"release": OLD.digest[7:], "why": " checkout is slow ", "key": _key(client)}
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
    form = {"release": OLD.digest[7:], "why": "my long reason", "key": _key(client), **changed}
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
    form = {"release": OLD.digest[7:], "why": "slow", "key": _key(client)}
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
    form = {"release": OLD.digest[7:], "why": "my long reason", "key": _key(client)}
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
    return _deploy(ledger, "1.3").canary("production")


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
        _deploy(ledger, version, pipeline=pipeline).promoted("production")
    _deploy(ledger, "1.3", pipeline="secret").rolled_back("production", "their errors")
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
    dead = _deploy(promoted, "1.3")
    dead.canary("production")
    ended = {("shop", "run-1.3")}
    monkeypatch.setattr("airflow_cd.plugin.environment.routes.ended_runs", lambda runs: ended & set(runs))
    client = client_as("user")
    page = client.get(PLACE).text
    assert "production is between two releases: shop 1.3 was left unfinished." in page
    assert "checked" in page[page.index(f'value="{NEW.digest[7:]}"') :][:160]
    form = {"release": NEW.digest[7:], "why": "nobody goes on with it", "key": _key(client)}
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


def test_a_veto_is_lifted_with_a_reason_and_the_release_may_be_deployed_again(
    promoted: Ledger, client_as: ClientAs
) -> None:
    bad = _deploy(promoted, "1.3")
    bad.rolled_back("production", f"4 new exceptions {HOSTILE}")
    digest = bad.release.digest
    client = client_as("user")
    assert HOSTILE not in client.get(PLACE).text
    refused = client.post(f"{PLACE}/lift", data={"digest": digest, "why": ""})
    assert (refused.status_code, "A reason is missing" in refused.text) == (400, True)
    assert promoted.vetoes.in_force("shop", "production", bad.release)
    done = client.post(f"{PLACE}/lift", data={"digest": digest, "why": "a false alarm"}, follow_redirects=False)
    assert done.headers["location"] == f"{PLACE}#vetoes"
    assert promoted.vetoes.in_force("shop", "production", bad.release) is None
    page = client.get(PLACE).text
    assert "user-1" in page
    assert "a false alarm" in page


def test_who_may_edit_one_pipeline_lifts_no_veto_of_another(promoted: Ledger, client_as: ClientAs) -> None:
    bad = _deploy(promoted, "1.3", pipeline="other")
    bad.rolled_back("production", "errors rose")
    answer = client_as("user").post(f"{PLACE}/lift", data={"digest": bad.release.digest, "why": "please"})
    assert answer.status_code == 400
    assert promoted.vetoes.in_force("shop", "production", bad.release)


def test_what_was_taken_back_after_its_promotion_reads_so(promoted: Ledger, client_as: ClientAs) -> None:
    [last] = promoted.deployments.matching("shop", "production", limit=1)
    back = _deploy(promoted, "1.1", pipeline="shop-rollback")
    back.promoted("production", rolls_back=last.id)
    page = client_as("viewer").get(PLACE).text
    assert "shop 1.1 runs in production." in page
    banner, history = page.split("</section>")[0], page.split('id="history"')[1]
    assert "Rolled back to 1.1" in banner
    assert "romoted" not in banner
    assert "<td>rolled back to 1.1</td>" in history
    assert promoted.vetoes.in_force("shop", "production", NEW)


def test_an_environment_nobody_deployed_to_is_not_found(client_as: ClientAs) -> None:
    assert client_as("viewer").get(PLACE).status_code == 404


@pytest.mark.browser
def test_a_person_chooses_sees_what_changes_and_rolls_back(
    promoted: Ledger, client_as: ClientAs, rollback_dag: Any, airflow: list[dict[str, Any]], browser: Any
) -> None:
    rollback_dag()
    client = client_as("user")
    with served(client.app) as address:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.add_cookies([{"name": "_token", "value": client.cookies["_token"], "url": address}])
        page = context.new_page()
        page.goto(address + PLACE)
        previews = page.locator(".preview:visible")
        assert previews.count() == 1
        assert "shop:1.1" in previews.inner_text()
        page.get_by_label("1.0", exact=False).first.check()
        assert "shop:1.0" in previews.inner_text()
        page.get_by_label("Reason").first.fill("checkout is slow")
        page.get_by_role("button", name="Roll back now").click()
        page.wait_for_url("**/run/shop-rollback/**")
        context.close()
    [asked] = airflow
    assert asked["conf"]["release"] == RELEASES["1.0"].digest[7:]


@pytest.mark.browser
def test_what_was_written_comes_back_and_what_was_chosen_does_not(
    promoted: Ledger, client_as: ClientAs, rollback_dag: Any, browser: Any
) -> None:
    rollback_dag()
    client = client_as("user")
    with served(client.app) as address:
        context = browser.new_context()
        context.add_cookies([{"name": "_token", "value": client.cookies["_token"], "url": address}])
        page = context.new_page()
        page.goto(address + PLACE)
        offered = page.locator("[name=release]").evaluate_all("all => all.map(one => [one.value, one.checked])")
        page.get_by_label("1.0", exact=False).first.check()
        page.get_by_label("Reason").first.fill("checkout is slow")
        page.reload()
        assert page.get_by_label("Reason").first.input_value() == "checkout is slow"
        again = page.locator("[name=release]").evaluate_all("all => all.map(one => [one.value, one.checked])")
        assert again == offered
        assert offered[:2] == [[OLD.digest[7:], True], [RELEASES["1.0"].digest[7:], False]]
        context.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1180, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_fits_whatever_was_written(
    promoted: Ledger, client_as: ClientAs, rollback_dag: Any, browser: Any, width: int, scheme: str
) -> None:
    rollback_dag()
    bad = _deploy(promoted, "1.3")
    bad.rolled_back("production", f"{HOSTILE} {'x' * 300}")
    client = client_as("user")
    with served(client.app) as address:
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        context.add_cookies([{"name": "_token", "value": client.cookies["_token"], "url": address}])
        page = context.new_page()
        page.goto(address + PLACE)
        page.get_by_text("Lift the veto").click()
        if folder := os.environ.get("AIRFLOW_CD_SHOTS"):
            page.screenshot(path=f"{folder}/environment-{width}-{scheme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        context.close()


@pytest.fixture
def delivers_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_cd.plugin.environment.routes.shape_of", lambda dag: PLACES if dag == "shop" else {})


def test_an_environment_is_frozen_and_the_freeze_lifted_with_a_reason(
    promoted: Ledger, client_as: ClientAs, delivers_here: None
) -> None:
    client = client_as("user")
    assert "FROZEN" not in client.get(PLACE).text
    refused = client.post(f"{PLACE}/freeze", data={"why": " "})
    assert (refused.status_code, "A reason is missing" in refused.text) == (400, True)
    done = client.post(f"{PLACE}/freeze", data={"why": f"holidays {HOSTILE}"}, follow_redirects=False)
    assert done.headers["location"] == f"{PLACE}#freeze"
    page = client.get(PLACE).text
    assert HOSTILE not in page
    assert "by user-1: holidays" in page.split('id="frozen"')[1].split("</p>")[0]
    client.post(f"{PLACE}/freeze", data={"why": "they are over", "lift": "yes"})
    assert "FROZEN" not in client.get(PLACE).text
    assert [record.action for record in promoted.audit.actions()] == ["lift freeze", "freeze"]


def test_who_may_edit_another_pipeline_freezes_nothing_here(
    promoted: Ledger, client_as: ClientAs, delivers_here: None
) -> None:
    answer = client_as("user").post(f"{PLACE.replace('/shop/shop/', '/other/shop/')}/freeze", data={"why": "please"})
    assert answer.status_code == 400
    assert promoted.freezes.in_force("shop", "production") is None
