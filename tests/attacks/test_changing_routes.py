"""Every changing route of the API server, Airflow's and ours, by somebody who may edit runs and is no approver.

The routes are read from the server itself: one that comes with a later Airflow is attacked, too. Whatever is answered,
the approval must still wait afterwards, and nothing behind it may have begun.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from starlette.routing import Mount

from airflow_cd.ledger import Ledger
from tests.attacks.people import token_of
from tests.plugin.audit.airflow_server import APPROVER, DAG_ID, RUN_ID, airflow_app, states

__all__ = ["airflow_app", "states"]

CHANGING = {"POST", "PUT", "PATCH", "DELETE"}
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
ENTITY = {"dag_id": DAG_ID, "dag_run_id": RUN_ID, "task_id": "approve", "new_state": "success", "state": "success"}
BODIES: tuple[Any, ...] = (
    {"new_state": "success", "include_downstream": True, "include_upstream": True, "note": "x"},
    {"new_state": "skipped"},
    {"state": "success"},
    {"state": "queued"},
    {"chosen_options": ["Approve"], "params_input": {}},
    {"actions": [{"action": "update", "entities": [ENTITY], "action_on_non_existence": "skip"}]},
    {"actions": [{"action": "delete", "entities": [ENTITY | {"map_index": -1}, "approve"]}]},
    {"dry_run": False, "task_ids": ["approve"], "only_failed": False, "dag_run_id": RUN_ID, "include_downstream": True},
    {"dag_runs": [{"dag_id": DAG_ID, "dag_run_id": RUN_ID}], "dry_run": False},
    {"is_paused": True},
    None,
)
FORMS = ({"option": "Approve", "reason": "x"}, {"option": "Approve", "why": "x", "key": "20260101T000000-abcdef"})
# Stopping a run, or taking it away, lets nothing through; what became of it then is not asked.
ENDED = ("", "failed", "removed", "None")


def _routes(app: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    for route in app.routes:
        path = prefix + getattr(route, "path", "")
        if isinstance(route, Mount) and getattr(route, "routes", None) and "/execution" not in path:
            yield from _routes(route, path)
        for method in sorted(CHANGING & set(getattr(route, "methods", None) or ())):
            yield method, path


def _addresses(path: str) -> list[str]:
    """The path with every name that could lead to the approval."""
    found = [path]
    for name in re.findall(r"\{(\w+)(?::\w+)?\}", path):
        values = NAMES.get(name, ("1",))
        found = [
            re.sub(rf"\{{{name}(?::\w+)?\}}", lambda _, value=value: quote(value, safe="~"), address, count=1)
            for address in found
            for value in values
        ]
    return found


def _attacks(app: Any) -> list[tuple[str, str]]:
    ours = [("POST", "/airflow-cd" + path) for path in _our_paths()]
    theirs = [(method, path) for method, path in _routes(app) if re.search(r"dag|task|run|hitl|backfill|asset", path)]
    return [(method, address) for method, path in (*theirs, *ours) for address in _addresses(path)]


def _our_paths() -> list[str]:
    from airflow_cd.plugin.app import app

    return [route.path for route in app.routes if "POST" in (getattr(route, "methods", None) or ())]


@pytest.fixture
def mallory(airflow_app: Any, states: Any, ledger: Ledger) -> Iterator[TestClient]:
    with_token = TestClient(
        airflow_app,
        base_url="http://airflow.test",
        headers={"Origin": "http://airflow.test", "Authorization": f"Bearer {token_of('mallory')}"},
        raise_server_exceptions=False,
        follow_redirects=False,
    )
    ledger.questions.ask(
        pipeline=DAG_ID,
        run_id=RUN_ID,
        task_id="approve",
        deadline=None,
        options=["Approve", "Reject"],
        approvers=[APPROVER],
        subject="Deploy?",
        body="",
    )
    yield with_token
    with_token.close()


def test_no_changing_route_gets_a_run_past_its_approver(
    airflow_app: Any, mallory: TestClient, states: Any, ledger: Ledger
) -> None:
    attacks = _attacks(airflow_app)
    assert len(attacks) > 60, "the server's routes were not found"
    assert any("hitlDetails" in address for _, address in attacks)
    assert any(address.startswith("/airflow-cd/approval") for _, address in attacks)
    through = []
    for method, address in attacks:
        # What takes the run itself away comes last: afterwards nothing could be let through any more.
        if method == "DELETE" and not address.rstrip("/").endswith(("approve", "-1", "hitlDetails")):
            continue
        for body in BODIES:
            answer = mallory.request(method, address, json=body)
            if answer.status_code >= 500:
                through.append(f"{method} {address}: {answer.status_code}")
            if why := _let_through(states, ledger):
                through.append(f"{method} {address} {body}: {why}")
        if address.startswith("/airflow-cd"):
            for form in FORMS:
                mallory.request(method, address, data=form)
                if why := _let_through(states, ledger):
                    through.append(f"{method} {address} {form}: {why}")
        if through:
            break
    assert through == []


def _let_through(states: Any, ledger: Ledger) -> str:
    if (state := states("approve")) not in ("awaiting_input", *ENDED):
        return f"the approval is {state}"
    if (state := states("production.deploy")) not in ("None", "", "upstream_failed", "removed", "failed"):
        return f"what follows is {state}"
    question = ledger.questions.get(DAG_ID, RUN_ID, "approve")
    if question is None or question.option == "Approve":
        return "the ledger has an approval"
    return ""
