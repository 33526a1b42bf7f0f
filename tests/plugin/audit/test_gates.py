"""Nobody but an approver gets a run through an approval: every way in, through Airflow's own API server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute

from airflow_cd.ledger import Ledger
from tests.plugin.audit.airflow_server import APPROVER, DAG_ID, RUN_ID, airflow_app, airflow_as, states

__all__ = ["airflow_app", "airflow_as", "states"]

DAGS = "/api/v2/dags"
ANYWHERE = {"dag_id": DAG_ID, "dag_run_id": RUN_ID}
ENCODED = f"{DAGS}/%67uarded/dagRuns/{RUN_ID.replace('+', '%2B')}/%74askInstances/approve"
RUN = f"{DAGS}/{DAG_ID}/dagRuns/{quote(RUN_ID)}"
TASKS = f"{RUN}/taskInstances"
SUCCESS = {"new_state": "success"}


def _bulk(action: str = "update", **entity: Any) -> dict[str, Any]:
    return {"actions": [{"action": action, "entities": [entity]}]}


APPROVE_ANYWHERE = _bulk(**ANYWHERE, task_id="approve", **SUCCESS)
THROUGH = {
    "answer": ("PATCH", f"{TASKS}/approve/-1/hitlDetails", {"chosen_options": ["Approve"], "params_input": {}}),
    "task": ("PATCH", f"{TASKS}/approve", SUCCESS),
    "task, mapped": ("PATCH", f"{TASKS}/approve/-1", SUCCESS),
    "task, skipped": ("PATCH", f"{TASKS}/approve", {"new_state": "skipped"}),
    "what follows": ("PATCH", f"{TASKS}/production.lease", SUCCESS),
    "the last task": ("PATCH", f"{TASKS}/production.settle", SUCCESS),
    "with what is before": ("PATCH", f"{TASKS}/production.deploy", {**SUCCESS, "include_upstream": True}),
    "with what follows": ("PATCH", f"{TASKS}/dev.deploy", {**SUCCESS, "include_downstream": True}),
    "other runs": ("PATCH", f"{TASKS}/approve", {**SUCCESS, "include_future": True}),
    "other runs of another task": ("PATCH", f"{TASKS}/dev.deploy", {**SUCCESS, "include_past": True}),
    "group that follows": ("PATCH", f"{RUN}/taskGroupInstances/production", SUCCESS),
    "group with what follows": (
        "PATCH",
        f"{RUN}/taskGroupInstances/dev",
        {**SUCCESS, "include_downstream": True},
    ),
    "run": ("PATCH", RUN, {"state": "success"}),
    "runs": ("PATCH", f"{DAGS}/{DAG_ID}/dagRuns", _bulk(dag_run_id=RUN_ID, state="success")),
    "runs of any DAG": ("PATCH", f"{DAGS}/~/dagRuns", _bulk(**ANYWHERE, state="success")),
    "tasks": ("PATCH", TASKS, _bulk(task_id="approve", **SUCCESS)),
    "tasks of any run": (
        "PATCH",
        f"{DAGS}/{DAG_ID}/dagRuns/~/taskInstances",
        _bulk(**ANYWHERE, task_id="approve", **SUCCESS),
    ),
    "tasks of any DAG": ("PATCH", f"{DAGS}/~/dagRuns/~/taskInstances", APPROVE_ANYWHERE),
    "tasks, what follows": ("PATCH", TASKS, _bulk(task_id="production.lease", **SUCCESS)),
    "deleted": ("DELETE", f"{TASKS}/approve", None),
    "deleted in bulk": ("PATCH", TASKS, _bulk("delete", task_id="approve")),
    "deleted by name": ("PATCH", TASKS, {"actions": [{"action": "delete", "entities": ["approve"]}]}),
}

ODD = {
    "state in capitals": ("PATCH", f"{TASKS}/approve", {"new_state": "SUCCESS"}),
    "encoded letters": ("PATCH", f"{RUN}/taskInstances/%61pprove", SUCCESS),
    "encoded everything": (
        "PATCH",
        f"{DAGS}/%67uarded/dagRuns/{RUN_ID.replace('+', '%2B')}/%74askInstances/approve",
        SUCCESS,
    ),
    "number that reads as one": ("PATCH", f"{TASKS}/approve/-1.0", SUCCESS),
    "number with a space": ("PATCH", f"{TASKS}/approve/%20-1", SUCCESS),
    "answer, number that reads as one": (
        "PATCH",
        f"{TASKS}/approve/-1.0/hitlDetails",
        {"chosen_options": ["Approve"], "params_input": {}},
    ),
    "a line end that the router forgives": (
        "PATCH",
        f"{TASKS}/approve/-1/hitlDetails%0A",
        {"chosen_options": ["Approve"], "params_input": {}},
    ),
    "bulk with a line end": ("PATCH", f"{TASKS}%0A", _bulk(task_id="approve", **SUCCESS)),
    "among other things": (
        "PATCH",
        TASKS,
        {
            "actions": [
                *_bulk("delete", task_id="dev.settle")["actions"],
                *_bulk(task_id="approve", **SUCCESS)["actions"],
            ]
        },
    ),
}


@pytest.fixture
def asked(ledger: Ledger) -> None:
    ledger.questions.ask(
        pipeline=DAG_ID,
        run_id=RUN_ID,
        task_id="approve",
        options=["Approve", "Reject"],
        approvers=[APPROVER],
        subject="Deploy shop 2.0 to production?",
        body="",
        deadline=None,
    )


def _send(client: Any, way: tuple[str, str, Any], **more: Any) -> Any:
    method, path, body = way
    return client.request(method, path, **({} if body is None else {"json": body}), **more)


@pytest.mark.parametrize("way", [*THROUGH.values(), *ODD.values()], ids=[*THROUGH, *ODD])
def test_no_way_leads_past_the_approvers(
    airflow_as: Any, states: Any, ledger: Ledger, asked: None, way: tuple[str, str, Any]
) -> None:
    answered = _send(airflow_as("mallory"), way)
    assert (answered.status_code, "mallory is not an approver of approve" in answered.text) == (403, True)
    assert [states(name) for name in ("approve", "production.lease", "")] == ["awaiting_input", "", "running"]
    [attempt, *_] = ledger.audit.actions(pipeline=DAG_ID, run_id=RUN_ID)
    assert (attempt.who, attempt.allowed) == ("mallory", False)
    question = ledger.questions.get(DAG_ID, RUN_ID, "approve")
    assert question is not None
    assert question.option is None


@pytest.mark.parametrize(
    "path", [f"{TASKS}/approve/", f"{TASKS.replace('/dags/', '/Dags/')}/approve", f"/{TASKS}/approve"]
)
def test_what_the_router_does_not_know_changes_nothing(airflow_as: Any, states: Any, asked: None, path: str) -> None:
    assert airflow_as("mallory").patch(path, json=SUCCESS).status_code >= 400
    assert states("approve") == "awaiting_input"


@pytest.mark.parametrize("way", THROUGH.values(), ids=THROUGH)
def test_an_approver_is_not_stopped(airflow_as: Any, asked: None, way: tuple[str, str, Any]) -> None:
    answered = _send(airflow_as(APPROVER), way)
    assert answered.status_code not in (403, 503)


@pytest.mark.parametrize("way", ["task", "what follows", "group that follows", "run", "tasks of any DAG"])
def test_before_it_has_asked_its_approvers_count_too(airflow_as: Any, states: Any, ledger: Ledger, way: str) -> None:
    answered = _send(airflow_as("mallory"), THROUGH[way])
    assert answered.status_code == 403
    assert states("production.lease") == ""
    [attempt] = ledger.audit.actions(pipeline=DAG_ID, run_id=RUN_ID)
    assert not attempt.allowed


def test_a_body_that_is_larger_than_anybody_needs_is_read(airflow_as: Any, states: Any, asked: None) -> None:
    body = b'{"new_state": "success"' + b" " * 2_000_000 + b"}"
    headers = {"Content-Type": "application/json"}
    answered = airflow_as("mallory").patch(f"{TASKS}/approve", content=body, headers=headers)
    assert answered.status_code == 403
    assert states("approve") == "awaiting_input"


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Basic bWFsbG9yeQ==", "bearer", "  "])
def test_who_asks_is_who_airflow_takes_them_for(airflow_as: Any, states: Any, asked: None, header: str) -> None:
    client = airflow_as("mallory")
    token = client.headers["Authorization"].removeprefix("Bearer ")
    client.headers["Authorization"] = header
    client.cookies.set("_token", token)
    assert _send(client, THROUGH["task"]).status_code in (401, 403)
    assert states("approve") == "awaiting_input"


def test_whoever_may_edit_a_run_may_stop_it(airflow_as: Any, states: Any, ledger: Ledger, asked: None) -> None:
    answered = airflow_as("mallory").patch(RUN, json={"state": "failed", "note": "wrong version"})
    assert answered.status_code == 200
    assert (states("approve"), states("production.lease")) == ("failed", "skipped")
    [stop] = ledger.audit.actions(pipeline=DAG_ID, run_id=RUN_ID)
    assert (stop.who, stop.action, stop.why, stop.allowed) == ("mallory", "marked run failed", "wrong version", True)


@pytest.mark.parametrize(
    "way",
    [
        ("PATCH", f"{TASKS}/dev.deploy", {"new_state": "skipped"}),
        ("PATCH", f"{RUN}/taskGroupInstances/dev", {"new_state": "skipped"}),
        ("PATCH", f"{TASKS}/production.lease", {"new_state": "failed"}),
        ("PATCH", RUN, {"note": "only a note"}),
        ("PATCH", f"{TASKS}/approve/dry_run", SUCCESS),
        (
            "POST",
            f"{DAGS}/{DAG_ID}/clearTaskInstances",
            {"dry_run": False, "dag_run_id": RUN_ID, "task_ids": ["approve"]},
        ),
        ("POST", f"{RUN}/clear", {"dry_run": False}),
    ],
)
def test_what_leads_past_nothing_is_left_to_airflow(
    airflow_as: Any, ledger: Ledger, asked: None, way: tuple[str, str, Any]
) -> None:
    assert _send(airflow_as("mallory"), way).status_code not in (403, 503)
    assert all(action.allowed for action in ledger.audit.actions(pipeline=DAG_ID))


def test_what_was_approved_is_open_to_everybody(airflow_as: Any, states: Any, ledger: Ledger, asked: None) -> None:
    ledger.questions.answer(DAG_ID, RUN_ID, "approve", option="Approve", who=APPROVER, why="")
    assert _send(airflow_as("mallory"), THROUGH["what follows"]).status_code == 200
    assert states("production.lease") == "success"


def test_what_was_rejected_stays_shut(airflow_as: Any, states: Any, ledger: Ledger, asked: None) -> None:
    ledger.questions.answer(DAG_ID, RUN_ID, "approve", option="Reject", who=APPROVER, why="no")
    assert _send(airflow_as("mallory"), THROUGH["what follows"]).status_code == 403
    assert states("production.lease") == ""


def test_a_ledger_that_cannot_be_read_lets_nobody_else_through(
    airflow_as: Any, states: Any, asked: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN", f"sqlite:///{tmp_path}")
    assert _send(airflow_as("mallory"), THROUGH["run"]).status_code == 503
    assert states("") == "running"


# What changes the state of a task or a run is looked at by the middleware; of the rest somebody has looked.
LOOKED_AT = {
    "PATCH /dags/{dag_id}/dagRuns",
    "PATCH /dags/{dag_id}/dagRuns/{dag_run_id}",
    "PATCH /dags/{dag_id}/dagRuns/{dag_run_id}/taskGroupInstances/{group_id}",
    "PATCH /dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances",
    "PATCH /dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}",
    "PATCH /dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/{map_index}",
    "PATCH /dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/{map_index}/hitlDetails",
    "DELETE /dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}",
    "POST /dags/{dag_id}/clearTaskInstances",
    "POST /dags/{dag_id}/clearDagRuns",
    "POST /dags/{dag_id}/dagRuns/{dag_run_id}/clear",
}
HARMLESS = {
    "PATCH /dags": "pauses",
    "PATCH /dags/{dag_id}": "pauses",
    "DELETE /dags/{dag_id}": "a stop",
    "DELETE /dags/{dag_id}/dagRuns/{dag_run_id}": "a stop",
    "POST /dags/{dag_id}/dagRuns": "a new run asks anew",
    "POST /dags/{dag_id}/clearPartitions": "only clears",
    "POST /dags/{dag_id}/favorite": "no state",
    "POST /dags/{dag_id}/unfavorite": "no state",
    "POST /dags/{dag_id}/dagRuns/list": "reads",
    "POST /dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/list": "reads",
    "DELETE /dags/{dag_id}/assets/queuedEvents": "no state",
    "DELETE /dags/{dag_id}/assets/{asset_id}/queuedEvents": "no state",
    "PATCH /dags/{dag_id}/dagRuns/{dag_run_id}/taskGroupInstances/{group_id}/dry_run": "reads",
    "PATCH /dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/dry_run": "reads",
    "PATCH /dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/{map_index}/dry_run": "reads",
}
NOTHING_ASKS_THERE = ("/xcomEntries", "/state-store")


def _changing(routes: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    for route in routes:
        if isinstance(route, APIRoute):
            for method in route.methods - {"GET", "HEAD"}:
                yield method, route.path


def test_every_route_of_airflow_that_changes_something_has_been_looked_at(airflow_app: Any) -> None:
    changing = set(_changing(airflow_app.routes))
    ui = {f"{method} {path}" for method, path in changing if path.startswith("/ui/")}
    assert ui <= {"POST /ui/auth/token"}
    ours = {
        f"{method} {path.removeprefix('/api/v2')}"
        for method, path in changing
        if path.startswith("/api/v2/dags") and not any(part in path for part in NOTHING_ASKS_THERE)
    }
    assert ours >= LOOKED_AT
    assert ours - LOOKED_AT - HARMLESS.keys() == set()
