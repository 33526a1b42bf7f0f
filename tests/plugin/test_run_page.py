"""A run at a glance: the stages of the example pipeline in every state a person meets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_cd.ledger import Ledger
from airflow_cd.plugin import run_tasks
from airflow_cd.plugin.run_tasks import RunTask
from airflow_cd.plugin.run_view import RunFacts, RunView, view_of
from tests.chromium import chromium

from .conftest import ClientAs
from .deployed import Delivery
from .served import served

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)
FIRST, SECOND = ("dev", "test"), ("edu", "sandbox", "staging")
PLACE = "/airflow-cd/run/shop/run-1.1"


def _tasks(**states: str) -> list[RunTask]:
    """The tasks of dags/build_com.py; a stage's tasks are in the state given for it, else in none."""

    def task(name: str, stage: str, *upstream: str) -> RunTask:
        state = states.get(stage, "")
        began = NOW - timedelta(minutes=3) if state else None
        return RunTask(name, state, began, NOW - timedelta(minutes=1) if state == "success" else None, upstream)

    tasks = [task(f"{name}.deploy", name) for name in FIRST]
    tasks += [task(f"{name}.deploy", name, *(f"{before}.deploy" for before in FIRST)) for name in SECOND]
    tasks.append(task("approve", "approve", *(f"{before}.deploy" for before in SECOND)))
    tasks.append(task("production.lease", "production", "approve"))
    tasks.append(task("production.phase_20.verify", "production", "production.lease"))
    return tasks


def _facts(ledger: Ledger) -> RunFacts:
    deployments = ledger.deployments(pipeline="shop", run_id="run-1.1")
    question = ledger.question("shop", "run-1.1", "approve")
    return RunFacts(
        deployments,
        phases={found.id: ledger.phases(found.id) for found in deployments},
        verdicts={found.id: ledger.verdicts(found.id) for found in deployments},
        questions={"approve": question} if question else {},
    )


def _names(view: RunView) -> list[list[str]]:
    return [[stage.name for stage in column] for column in view.columns]


def _states(view: RunView) -> dict[str, str]:
    return {stage.name: stage.state for column in view.columns for stage in column}


def test_stages_that_may_run_at_once_stand_side_by_side() -> None:
    assert _names(view_of(_tasks(), RunFacts([]), NOW)) == [list(FIRST), list(SECOND), ["approve"], ["production"]]


def test_a_rolled_back_canary_says_why_first(ledger: Ledger) -> None:
    delivery = Delivery(ledger, "shop", "1.1")
    for name in (*FIRST, *SECOND):
        delivery.promoted(name)
    delivery.rolled_back("production", "4 new exceptions; back on 1.0")
    view = view_of(_tasks(**dict.fromkeys((*FIRST, *SECOND, "approve", "production"), "success")), _facts(ledger), NOW)
    assert (view.look, view.word) == ("bad", "ROLLED BACK")
    assert view.says == "production: 4 new exceptions; back on 1.0"
    assert view.over
    (phase,) = view.columns[-1][0].phases
    assert (phase.share, phase.verdict, phase.task) == (20, "FAIL", "production.phase_20.verify")


def test_an_open_approval_says_whom_it_waits_for(ledger: Ledger) -> None:
    delivery = Delivery(ledger, "shop", "1.1")
    delivery.promoted("staging")
    delivery.asks("production", approvers=("bob",))
    view = view_of(_tasks(staging="success", approve="awaiting_input"), _facts(ledger), NOW)
    assert (view.look, view.word) == ("wait", "WAITING")
    assert "bob" in view.says
    assert _states(view)["approve"] == "waiting for a person"
    assert not view.over


def test_a_rejected_run_is_told_from_a_broken_one(ledger: Ledger) -> None:
    delivery = Delivery(ledger, "shop", "1.1")
    delivery.asks("production")
    ledger.answer("shop", "run-1.1", "approve", option="Reject", who="bob", why="freeze week")
    view = view_of(_tasks(approve="failed", production="upstream_failed"), _facts(ledger), NOW)
    assert (view.word, view.says) == ("REJECTED", "approve: freeze week")
    assert _states(view)["production"] == "not reached"


def test_a_run_that_came_through_says_what_runs_where(ledger: Ledger) -> None:
    delivery = Delivery(ledger, "shop", "1.1")
    for name in ("dev", "production"):
        delivery.promoted(name)
    view = view_of(_tasks(**dict.fromkeys((*FIRST, *SECOND, "approve", "production"), "success")), _facts(ledger), NOW)
    assert (view.look, view.says) == ("good", "dev runs 1.1; production runs 1.1.")


def test_what_still_runs_counts_up_to_now() -> None:
    (stage, _) = view_of(_tasks(dev="running"), RunFacts([]), NOW).columns[0]
    assert (stage.state, stage.seconds) == ("under way", 180.0)


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[RunTask]:
    states = {**dict.fromkeys((*FIRST, *SECOND, "approve"), "success"), "production": "failed"}
    made = _tasks(**states)

    def tasks_of(_dag_id: str, _run_id: str) -> Sequence[RunTask]:
        return made

    monkeypatch.setattr(run_tasks, "tasks_of", tasks_of)
    return made


def _story(ledger: Ledger) -> None:
    delivery = Delivery(ledger, "shop", "1.1")
    for name in (*FIRST, *SECOND):
        delivery.promoted(name)
    delivery.asks("production", approvers=("bob",))
    ledger.answer("shop", "run-1.1", "approve", option="Approve", who="bob", why="<script>alert(1)</script>")
    delivery.rolled_back("production", "4 new exceptions: <img src=x onerror=alert(1)>; back on 1.0")


def test_text_of_people_and_logs_is_never_markup(ledger: Ledger, client_as: ClientAs, tasks: list[RunTask]) -> None:
    _story(ledger)
    page = client_as("viewer").get(PLACE).text
    assert "4 new exceptions" in page
    assert "<img src=x" not in page
    assert "<script>alert" not in page


def test_a_run_that_delivers_nothing_says_so(client_as: ClientAs) -> None:
    assert "Nothing delivered yet" in client_as("viewer").get(PLACE).text


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_verdict_is_one_click_away(
    browser: Any, ledger: Ledger, client_as: ClientAs, tasks: list[RunTask], width: int, scheme: str
) -> None:
    _story(ledger)
    client = client_as("viewer")
    with served(client.app) as url:
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        context.add_cookies([{"name": "_token", "value": client.cookies["_token"], "url": url}])
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.goto(url + PLACE)
        assert page.evaluate("document.scrollingElement.scrollWidth <= window.innerWidth")
        dev, staging = (
            page.get_by_role("heading", name=name, exact=True).bounding_box() for name in ("dev", "staging")
        )
        assert dev["x"] < staging["x"] if width > 720 else dev["y"] < staging["y"]
        page.get_by_role("link", name="FAIL").click()
        page.wait_for_url("**/report/shop/run-1.1/production.phase_20.verify")
        context.close()
