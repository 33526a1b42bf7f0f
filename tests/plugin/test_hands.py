from __future__ import annotations

from typing import Any

import pytest

from airflow_cd.plugin.audit.requests import Hand, hands_in

RUN = "/api/v2/dags/shop/dagRuns/manual__2026-01-01T00:00:00+00:00"
RUN_ID = "manual__2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        (
            "PATCH",
            f"{RUN}/taskInstances/production.phase_20.verify",
            {"new_state": "success", "note": "known"},
            [Hand("shop", RUN_ID, "production.phase_20.verify", "marked success", "known")],
        ),
        (
            "PATCH",
            f"{RUN}/taskInstances/approve/-1",
            {"new_state": "failed"},
            [Hand("shop", RUN_ID, "approve", "marked failed")],
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
                Hand("shop", "r1", "approve", "marked success"),
                Hand("shop", "r2", "approve", "marked failed"),
                Hand("~", "~", "approve", "deleted"),
            ],
        ),
        (
            "PATCH",
            f"{RUN}/taskInstances/approve/-1/hitlDetails",
            {"chosen_options": ["Approve"], "params_input": {"reason": "fine"}},
            [Hand("shop", RUN_ID, "approve", "answered Approve", "fine", "Approve")],
        ),
        ("PATCH", RUN, {"state": "success"}, [Hand("shop", RUN_ID, "", "marked run success")]),
        ("PATCH", RUN, {"note": "just a note"}, []),
        (
            "PATCH",
            "/api/v2/dags/~/dagRuns",
            {
                "actions": [
                    {"action": "update", "entities": [{"dag_id": "shop", "dag_run_id": "r1", "state": "failed"}]}
                ]
            },
            [Hand("shop", "r1", "", "marked run failed")],
        ),
        (
            "PATCH",
            f"{RUN}/taskGroupInstances/production",
            {"new_state": "success", "include_upstream": True},
            [Hand("shop", RUN_ID, "production", "marked group success", group=True, around=True)],
        ),
        ("DELETE", f"{RUN}/taskInstances/approve", None, [Hand("shop", RUN_ID, "approve", "deleted")]),
        (
            "POST",
            f"{RUN}/clear",
            {"dry_run": False, "note": "again"},
            [Hand("shop", RUN_ID, "", "cleared run", "again")],
        ),
        (
            "POST",
            "/api/v2/dags/shop/clearDagRuns",
            {"dry_run": False, "dag_runs": [{"dag_run_id": "r1"}]},
            [Hand("shop", "r1", "", "cleared run")],
        ),
        ("PATCH", f"{RUN}/taskInstances/approve/dry_run", {"new_state": "success"}, []),
        ("POST", "/api/v2/dags/shop/clearTaskInstances", {"dry_run": True, "task_ids": ["approve"]}, []),
        (
            "POST",
            "/api/v2/dags/shop/clearTaskInstances",
            {"dry_run": False, "task_ids": ["approve"], "dag_run_id": "r1"},
            [Hand("shop", "r1", "approve", "cleared")],
        ),
        ("PATCH", f"{RUN}/taskInstances/approve", None, []),
        ("PATCH", f"{RUN}/taskInstances/approve", ["not", "an", "object"], []),
        ("PATCH", f"{RUN}/taskInstances", {"actions": [7, {"action": "update", "entities": "all"}]}, []),
    ],
)
def test_what_a_request_asks_for(method: str, path: str, body: Any, expected: list[Hand]) -> None:
    assert list(hands_in(method, path, body)) == expected
