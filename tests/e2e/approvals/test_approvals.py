"""Approvals on a real Airflow: none lost, none that counts for what was not approved."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from airflow_cd.demo.airflow_client import wait_until
from tests.e2e.approvals.conftest import Asking
from tests.pace import PATIENCE

MARKS = int(os.environ.get("AIRFLOW_CD_MARKS", "10"))
"""How many are tried; 200 for the figure in the documentation."""
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2 * PATIENCE + 20 * MARKS)]

AT_A_TIME = 3
LATEST = 5.0
"""Seconds after which the last one comes, from when the task begins to run."""


def _run(run_id: str) -> str:
    return f"/api/v2/dags/asks/dagRuns/{run_id}"


def _mark(asking: Asking, run_id: str) -> None:
    asking.alice.mark("asks", run_id, "approve", "success", "go")


def _bulk(asking: Asking, run_id: str) -> None:
    entities = [{"task_id": "approve", "new_state": "success", "note": "go"}]
    body = {"actions": [{"action": "update", "entities": entities}]}
    answer = asking.alice.call("PATCH", f"{_run(run_id)}/taskInstances", body)
    if answer["update"]["errors"]:
        raise _not_done(409)


def _button(asking: Asking, run_id: str) -> None:
    asking.alice.answer("asks", run_id, "approve", "Approve", "go")


def _page(asking: Asking, run_id: str) -> None:
    answer = asking.page(f"/approval/asks/{run_id}/approve", option="Approve", reason="go")
    if not answer.is_redirect:
        raise _not_done(answer.status_code)


def _not_done(status: int) -> httpx.HTTPStatusError:
    return httpx.HTTPStatusError("not done", request=httpx.Request("PATCH", "/"), response=httpx.Response(status))


FORMS: dict[str, Callable[[Asking, str], None]] = {"mark": _mark, "bulk": _bulk, "button": _button, "page": _page}


def _approved(asking: Asking, number: int, form: str, delay: float) -> str:
    """What is wrong with how the run took its approval; ``""`` when nothing is."""
    run_id = f"at-once-{number}"
    client = asking.alice
    client.trigger("asks", {"version": "1.0"}, run_id=run_id)
    wait_until(
        lambda: client.tasks("asks", run_id).get("approve") not in (None, "scheduled", "queued"),
        f"{run_id} is about to ask",
        seconds=PATIENCE,
        every=0.2,
    )
    time.sleep(delay)
    given = False

    def give() -> bool:
        nonlocal given
        try:
            FORMS[form](asking, run_id)
        except httpx.HTTPStatusError as error:
            # There is nothing to answer yet, or it could not be done: so the person has been told.
            if error.response.status_code not in (404, 409):
                raise
            return False
        given = True
        return True

    wait_until(give, f"{run_id} takes its {form}", seconds=PATIENCE, every=0.05)
    try:
        state = client.wait_for_run("asks", run_id, seconds=PATIENCE)
    except Exception as error:  # noqa: BLE001 - a run that waits is what this looks for
        state = f"{error} {client.tasks('asks', run_id)}"
    question = asking.ledger.questions.get("asks", run_id, "approve")
    answer = None if question is None else (question.option, question.who, question.why)
    right = (state, answer) == ("success", ("Approve", "alice", "go"))
    return "" if right and given else f"{run_id}, {form} after {delay:.2f} s: {state}, {answer}"


def test_no_approval_is_lost_whenever_it_comes(asking: Asking) -> None:
    seed = random.randrange(10_000)
    chance = random.Random(seed)
    forms = [list(FORMS)[number % len(FORMS)] for number in range(MARKS)]
    # Most of them while the task is about to park, which takes about a second.
    delays = [chance.choice((0.0, chance.uniform(0, 1.5), chance.uniform(0, LATEST))) for _ in forms]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        found = list(pool.map(lambda one: _approved(asking, *one), zip(range(MARKS), forms, delays, strict=True)))
    lost = [one for one in found if one]
    assert lost == [], f"{len(lost)} of {MARKS} lost (seed {seed})"
    assert asking.ledger.audit.verify().whole


def _waiting(asking: Asking, dag_id: str, run_id: str, **conf: Any) -> None:
    asking.admin.trigger(dag_id, {"version": "1.0", **conf}, run_id=run_id)
    asking.admin.wait_for_task(dag_id, run_id, "approve", "awaiting_input", seconds=PATIENCE)


def test_a_run_with_the_id_of_an_approved_one_asks_again(asking: Asking) -> None:
    _waiting(asking, "asks", "again")
    asking.alice.mark("asks", "again", "approve", "success", "1.0 is fine")
    assert asking.admin.wait_for_run("asks", "again", seconds=PATIENCE) == "success"
    asking.admin.mark_run("asks", "again", "failed")
    asking.admin.call("DELETE", _run("again"))
    _waiting(asking, "asks", "again", version="6.6")
    question = asking.ledger.questions.get("asks", "again", "approve")
    assert question is not None
    assert (question.subject, question.option) == ("Deploy shop 6.6 to the next stage?", None)
    asking.alice.mark("asks", "again", "approve", "failed")
    assert asking.admin.wait_for_run("asks", "again", seconds=PATIENCE) == "failed"


@pytest.mark.parametrize("form", ["mark", "button"])
def test_what_was_approved_does_not_run_on_another_plan(asking: Asking, form: str) -> None:
    asking.write()
    _waiting(asking, "changes", form)
    asking.write(phases="[50, 100]" if form == "mark" else "[60, 100]", duration="10s")
    phase = "production.phase_50.deploy" if form == "mark" else "production.phase_60.deploy"
    wait_until(lambda: phase in asking.admin.tasks("changes", form), "the run has the new tasks", seconds=PATIENCE)
    if form == "mark":
        asking.alice.mark("changes", form, "approve", "success", "as it was on Monday")
    else:
        asking.alice.answer("changes", form, "approve", "Approve", "as it was on Monday")
    assert asking.admin.wait_for_run("changes", form, seconds=PATIENCE) == "failed"
    refused = "production.lease" if form == "mark" else "approve"
    attempt = 1
    log = asking.admin.task_log("changes", form, refused, attempt)
    assert "changes has changed since this run began" in log
    assert "production / phases: 20, 100 →" in log
    assert asking.ledger.deployments.matching(pipeline="changes", run_id=form) == []


def test_a_misspelt_parameter_comes_through_no_door(asking: Asking) -> None:
    with pytest.raises(Exception, match="did you mean 'configuration'"):
        asking.admin.trigger("changes", {"version": "1.0", "overides": {"limit": 1}}, run_id="api")
    conf = '{"version": "1.0", "rollback_mode": "askk"}'
    asking.command("dags", "trigger", "changes", "--run-id", "command", "--conf", conf)
    assert asking.admin.wait_for_run("changes", "command", seconds=PATIENCE) == "failed"
    run = asking.admin.call("GET", "/api/v2/dags/changes/dagRuns/command")
    assert "did you mean 'rollback'?" in run["note"]
    assert set(asking.admin.tasks("changes", "command").values()) <= {None}
