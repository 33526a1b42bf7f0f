from __future__ import annotations

from typing import Any

import pytest

from airflow_cd.plugin.audit.manual_actions import RequestedAction, manual_actions_in
from airflow_cd.states import HumanAction

RUN = "/api/v2/dags/shop/dagRuns/manual__2026-01-01T00:00:00+00:00"
RUN_ID = "manual__2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        (
            "PATCH",
            f"{RUN}/taskInstances/production.phase_20.verify",
            {"new_state": "success", "note": "known"},
            [RequestedAction("shop", RUN_ID, "production.phase_20.verify", HumanAction.MARKED_SUCCESS, "known")],
        ),
        (
            "PATCH",
            f"{RUN}/taskInstances/approve/-1",
            {"new_state": "failed"},
            [RequestedAction("shop", RUN_ID, "approve", HumanAction.MARKED_FAILED)],
        ),
        (
            "PATCH",
            "/api/v2/dags/~/dagRuns/~/taskInstances",
            {
                "actions": [
                    {
                        "action": "update",
                        "entities": [
                            {"dag_id": "shop", "dag_run_id": "r1", "task_id": "approve", "new_state": "success"},
                            {"dag_id": "shop", "dag_run_id": "r2", "task_id": "approve", "new_state": "failed"},
                        ],
                    },
                    {"action": "delete", "entities": ["approve"]},
                ]
            },
            [
                RequestedAction("shop", "r1", "approve", HumanAction.MARKED_SUCCESS),
                RequestedAction("shop", "r2", "approve", HumanAction.MARKED_FAILED),
                RequestedAction("~", "~", "approve", HumanAction.DELETED),
            ],
        ),
        (
            "PATCH",
            f"{RUN}/taskInstances/approve/-1/hitlDetails",
            {"chosen_options": ["Approve"], "params_input": {"reason": "fine"}},
            [RequestedAction("shop", RUN_ID, "approve", HumanAction.ANSWERED, "fine", "Approve")],
        ),
        ("PATCH", RUN, {"state": "success"}, [RequestedAction("shop", RUN_ID, "", HumanAction.MARKED_RUN_SUCCESS)]),
        ("PATCH", RUN, {"note": "just a note"}, []),
        (
            "PATCH",
            "/api/v2/dags/~/dagRuns",
            {
                "actions": [
                    {"action": "update", "entities": [{"dag_id": "shop", "dag_run_id": "r1", "state": "failed"}]}
                ]
            },
            [RequestedAction("shop", "r1", "", HumanAction.MARKED_RUN_FAILED)],
        ),
        (
            "PATCH",
            f"{RUN}/taskGroupInstances/production",
            {"new_state": "success", "include_upstream": True},
            [RequestedAction("shop", RUN_ID, "production", HumanAction.MARKED_GROUP_SUCCESS, group=True, around=True)],
        ),
        (
            "DELETE",
            f"{RUN}/taskInstances/approve",
            None,
            [RequestedAction("shop", RUN_ID, "approve", HumanAction.DELETED)],
        ),
        (
            "POST",
            f"{RUN}/clear",
            {"dry_run": False, "note": "again"},
            [RequestedAction("shop", RUN_ID, "", HumanAction.CLEARED_RUN, "again")],
        ),
        (
            "POST",
            "/api/v2/dags/shop/clearDagRuns",
            {"dry_run": False, "dag_runs": [{"dag_run_id": "r1"}]},
            [RequestedAction("shop", "r1", "", HumanAction.CLEARED_RUN)],
        ),
        ("PATCH", f"{RUN}/taskInstances/approve/dry_run", {"new_state": "success"}, []),
        ("POST", "/api/v2/dags/shop/clearTaskInstances", {"dry_run": True, "task_ids": ["approve"]}, []),
        (
            "POST",
            "/api/v2/dags/shop/clearTaskInstances",
            {"dry_run": False, "task_ids": ["approve"], "dag_run_id": "r1"},
            [RequestedAction("shop", "r1", "approve", HumanAction.CLEARED)],
        ),
        ("PATCH", f"{RUN}/taskInstances/approve", None, []),
        ("PATCH", f"{RUN}/taskInstances/approve", ["not", "an", "object"], []),
        ("PATCH", f"{RUN}/taskInstances", {"actions": [7, {"action": "update", "entities": "all"}]}, []),
    ],
)
def test_what_a_request_asks_for(method: str, path: str, body: Any, expected: list[RequestedAction]) -> None:
    assert list(manual_actions_in(method, path, body)) == expected
