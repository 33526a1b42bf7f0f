"""Every changing route of the API server, Airflow's and ours, by somebody who may edit runs and is no approver.

The routes and what they take are read from the server's own documents: one that comes with a later Airflow is attacked,
too. Whatever is answered, the approval must still wait afterwards, and nothing behind it may have begun.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from airflow_cd.ledger import Ledger
from tests.attacks.besieged import Besieged
from tests.attacks.people import session_of, token_of
from tests.attacks.routes import Route, addresses, bodies, changing_routes
from tests.plugin.audit.airflow_server import APPROVER, DAG_ID, RUN_ID, airflow_app

__all__ = ["airflow_app"]

pytestmark = pytest.mark.timeout(3000, func_only=True)

NAMES = {
    "dag_id": (DAG_ID, "~"),
    "dag_run_id": (RUN_ID, "~"),
    "run_id": (RUN_ID,),
    "task_id": ("approve", "production.deploy"),
    "task_group_id": ("production",),
    "group_id": ("production",),
    "map_index": ("-1",),
    "try_number": ("0",),
    "service": ("shop",),
    "environment": ("production",),
}
VALUES: dict[str, list[Any]] = {
    "dag_id": [DAG_ID],
    "dag_run_id": [RUN_ID],
    "run_id": [RUN_ID],
    "dag_runs": [[{"dag_id": DAG_ID, "dag_run_id": RUN_ID}]],
    "task_id": ["approve"],
    "task_ids": [["approve"], None],
    "map_index": [-1],
    "task_display_name": ["approve"],
    "chosen_options": [["Approve"]],
    "option": ["Approve"],
    "params_input": [{}],
    "conf": [{"version": "2.0"}],
    "dry_run": [False],
    "only_failed": [False],
    "only_new": [False],
    "only_running": [False],
    "prevent_running_task": [False],
    "start_date": [],
    "end_date": [],
    "key": ["20260101T000000-abcdef"],
}
ENTITY = {"dag_id": DAG_ID, "dag_run_id": RUN_ID, "task_id": "approve", "new_state": "success", "state": "success"}
OF_RUNS: tuple[Any, ...] = (
    {"new_state": "success", "include_downstream": True, "include_upstream": True, "note": "x"},
    {"new_state": "skipped"},
    {"state": "success"},
    {"state": "queued"},
    {"chosen_options": ["Approve"], "params_input": {}},
    {"actions": [{"action": "update", "entities": [ENTITY], "action_on_non_existence": "skip"}]},
    {"actions": [{"action": "delete", "entities": [ENTITY | {"map_index": -1}, "approve"]}]},
    {"dry_run": False, "task_ids": ["approve"], "only_failed": False, "dag_run_id": RUN_ID, "include_downstream": True},
    {"dag_runs": [{"dag_id": DAG_ID, "dag_run_id": RUN_ID}], "dry_run": False},
)
"""What changes runs and tasks, for every route about them, whatever it says it takes."""

ANY = "~"
OPEN = ("dag_id", "dag_run_id")
FOR_ANY = 3
TELLING = (
    "hitlDetails",
    "taskGroupInstances/{group_id} ",
    "clearTaskInstances",
    "clearDagRuns",
    "/clear ",
    "{dag_run_id} ",
    "{task_id} ",
    "/approval/",
)
REFUSED_BY_THE_ROUTER = (404, 405, 422)
SAMPLE = ("approve/-1/hitlDetails", "/taskInstances", "/production.deploy", "/approval/")


def _all_routes(app: Any) -> list[Route]:
    from airflow_cd.plugin.app import app as ours

    # Taking things away comes last.
    return sorted(
        (*changing_routes(app), *changing_routes(ours, "/airflow-cd")), key=lambda route: route.method == "DELETE"
    )


def _bodies(route: Route, address: str) -> list[Any]:
    given = bodies(route, VALUES)
    if ANY in address:
        return given[:FOR_ANY]
    return [*given, *(OF_RUNS if "/dags/" in route.path and route.method != "DELETE" else ())]


def _addresses(route: Route) -> list[str]:
    """The addresses of a route: all names as they are, or all of those that may be left open left open."""
    found = addresses(route.path, NAMES)
    return [one for one in found if one.count(ANY) in (0, sum(f"{{{name}}}" in route.path for name in OPEN))]


def _attack(client: TestClient, routes: list[Route], besieged: Besieged, *, only: tuple[str, ...] = ()) -> list[str]:
    """Send everything; gives the routes that nothing got to, for want of something that they would take."""
    unreached = []
    for route in routes:
        answers: set[int] = set()
        for address in _addresses(route):
            if only and not any(address.endswith(part) or (part.endswith("/") and part in address) for part in only):
                continue
            for body in _bodies(route, address):
                besieged.restore()
                sent = {"data": body} if route.form else {"json": body}
                answer = client.request(route.method, address, **sent)
                answers.add(answer.status_code)
                what = f"{route.method} {address} {body}: {answer.status_code} {answer.text[:300]}"
                # Airflow's own, of a mark on future runs of a run without a date.
                assert answer.status_code < 500 or "Database error" in answer.text, what
                assert besieged.let_through() == "", what
        if answers and answers <= set(REFUSED_BY_THE_ROUTER):
            unreached.append(f"{route.method} {route.path} {sorted(answers)}")
    return unreached


@pytest.fixture
def besieged(airflow_app: Any, ledger: Ledger) -> Iterator[Besieged]:
    with Besieged(ledger) as found:
        yield found


@pytest.fixture
def mallory(airflow_app: Any) -> Iterator[TestClient]:
    with_token = _client(airflow_app)
    with_token.headers["Authorization"] = f"Bearer {token_of('mallory')}"
    yield with_token
    with_token.close()


def _client(app: Any) -> TestClient:
    return TestClient(
        app,
        base_url="http://airflow.test",
        headers={"Origin": "http://airflow.test"},
        raise_server_exceptions=False,
        follow_redirects=False,
    )


def test_no_changing_route_gets_a_run_past_its_approver(
    airflow_app: Any, mallory: TestClient, besieged: Besieged
) -> None:
    routes = _all_routes(airflow_app)
    assert len(routes) > 60, "the server's routes were not found"
    assert any(route.path.endswith("hitlDetails") and route.schema for route in routes)
    assert any(route.path.startswith("/airflow-cd/approval") and route.form for route in routes)
    unreached = _attack(mallory, routes, besieged)
    # An attack that never gets to a route that answers, marks or clears shows nothing of it.
    assert [one for one in unreached if any(part in one for part in TELLING)] == []


def test_a_browser_s_session_gets_no_further(airflow_app: Any, besieged: Besieged) -> None:
    client = _client(airflow_app)
    for name, value in session_of("mallory").items():
        client.cookies.set(name, value)
    _attack(client, _all_routes(airflow_app), besieged, only=SAMPLE)
    client.close()


def test_an_approver_gets_through(airflow_app: Any, besieged: Besieged) -> None:
    """Otherwise the attacks would show no more than that nobody does."""
    client = _client(airflow_app)
    client.headers["Authorization"] = f"Bearer {token_of(APPROVER)}"
    path = f"/api/v2/dags/{DAG_ID}/dagRuns/{RUN_ID}/taskInstances/approve/-1/hitlDetails"
    answer = client.patch(path, json={"chosen_options": ["Approve"], "params_input": {}})
    assert answer.status_code == 200, answer.text
    assert besieged.let_through() == "the approval is scheduled"
    client.close()
