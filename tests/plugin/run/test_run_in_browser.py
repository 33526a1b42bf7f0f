"""The page of a run as it is served: text of people and logs, links, and how it fits a screen."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_cd.plugin.dag_runs import tasks as run_tasks
from airflow_cd.plugin.dag_runs.tasks import Place, Run, RunTask
from airflow_cd.verification.verdict import Verdict
from tests.chromium import PATIENCE
from tests.plugin.build_com_run import (
    BEFORE,
    HOSTILE,
    NOW,
    PIPELINE,
    ROLLED_BACK_STATES,
    RUN_ID,
    VERIFY,
    Story,
    all_well,
    judgement,
    run_of,
)
from tests.plugin.conftest import ClientAs
from tests.plugin.run.scene import PLACE, rolled_back
from tests.plugin.served import served


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[[Run | None], None]:
    """Makes Airflow's database know this run alone."""

    def show(run: Run | None) -> None:
        def found(_dag_id: str, _run_id: str) -> Run | None:
            return run

        monkeypatch.setattr(run_tasks, "run_of", found)

    return show


def _hostile(story: Story) -> Run:
    story.before_production()
    story.approved(why=HOSTILE)
    story.canary(judgement(Verdict.FAIL, f"4 exceptions: {HOSTILE}", risks=4))
    story.rolled_back(f"FAIL: 4 exceptions: {HOSTILE}")
    return run_of("failed", ROLLED_BACK_STATES)


def test_text_of_people_and_logs_is_never_markup(
    story: Story, client_as: ClientAs, shown: Callable[[Run | None], None]
) -> None:
    shown(_hostile(story))
    page = client_as("viewer").get(PLACE).text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page


def test_links_lead_to_reports_the_approval_and_airflow(
    story: Story, client_as: ClientAs, shown: Callable[[Run | None], None]
) -> None:
    shown(rolled_back(story))
    page = client_as("viewer").get(PLACE).text
    assert "not reached</b> <span" not in page, "what was passed over took no time"
    assert f'href="/airflow-cd/report/{PIPELINE}/{RUN_ID}/{VERIFY}"' in page
    assert f'href="/airflow-cd/approval/{PIPELINE}/{RUN_ID}/approve"' in page
    for place in ("group/production", "approve", "production.settle"):
        assert re.search(rf'data-airflow href="/dags/{PIPELINE}/runs/{RUN_ID}/tasks/{place}"', page)
    addresses = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert all(address.startswith(("/", "#")) for address in addresses)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("state", "live"), [("running", True), ("failed", False)])
def test_the_page_looks_again_while_the_run_goes_on(
    story: Story, client_as: ClientAs, shown: Callable[[Run | None], None], state: str, live: bool
) -> None:
    rolled_back(story)
    shown(run_of(state, ROLLED_BACK_STATES))
    assert ('data-live="3"' in client_as("viewer").get(PLACE).text) is live


def test_a_run_of_another_dag_says_so_kindly(client_as: ClientAs, shown: Callable[[Run | None], None]) -> None:
    shown(Run("etl", "1", "success", tasks=[RunTask("load", "success", NOW, NOW, Place("load"))]))
    answer = client_as("viewer").get("/airflow-cd/run/etl/1")
    assert (answer.status_code, "etl is not a pipeline of Airflow CD" in answer.text) == (200, True)


def test_a_run_nobody_knows_is_not_found(client_as: ClientAs) -> None:
    answer = client_as("viewer").get(PLACE)
    assert (answer.status_code, "No such run" in answer.text) == (404, True)


def test_the_tab_is_on_the_dag_run() -> None:
    from airflow_cd.plugin import AirflowCdPlugin

    (view,) = [view for view in AirflowCdPlugin.external_views if view["url_route"] == "airflow-cd-run"]
    assert (view["destination"], view["name"]) == ("dag_run", "Delivery")
    assert view["href"] == "/airflow-cd/run/{DAG_ID}/{RUN_ID}"


# -- in a browser --------------------------------------------------------------------------------------------------


def _waiting(story: Story) -> Run:
    story.before_production()
    story.delivery.asks("production", approvers=("bob",))
    return run_of("running", {**all_well(*BEFORE), "approve": "awaiting_input"})


def _verifying(story: Story) -> Run:
    story.before_production()
    story.approved()
    story.canary(judgement(Verdict.INCONCLUSIVE, "too few requests yet: 120 of 200"), final=False)
    states = {**all_well(*BEFORE, "approve", "production.lease", "production.phase_20.deploy"), VERIFY: "running"}
    return run_of("running", states)


def _delivered(story: Story) -> Run:
    story.before_production()
    story.approved()
    story.canary(judgement(Verdict.PASS, "nothing new in 900 records"))
    story.promoted()
    return run_of("success", all_well(*BEFORE, "approve", "production"))


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
@pytest.mark.parametrize("made", [rolled_back, _hostile, _waiting, _verifying, _delivered])
def test_it_fits_and_flows(
    browser: Any,
    story: Story,
    client_as: ClientAs,
    shown: Callable[[Run | None], None],
    made: Callable[[Story], Run],
    width: int,
    scheme: str,
) -> None:
    shown(made(story))
    client = client_as("viewer")
    with served(client.app) as url:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        context.add_cookies([{"name": "_token", "value": client.cookies["_token"], "url": url}])
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        alerts: list[str] = []

        def dismiss(dialog: Any) -> None:
            alerts.append(dialog.message)
            dialog.dismiss()

        page.on("dialog", dismiss)
        page.goto(url + PLACE)
        if folder := os.environ.get("AIRFLOW_CD_SHOTS"):
            name = f"{made.__name__.strip('_')}-{width}-{scheme}.png"
            page.screenshot(path=Path(folder) / name, full_page=True)
        assert page.evaluate("document.scrollingElement.scrollWidth <= window.innerWidth")
        boxes = {
            name: page.get_by_role("heading", name=name, exact=True).bounding_box()
            for name in ("dev", "test", "staging", "production")
        }
        along, across = ("x", "y") if width > 720 else ("y", "x")
        assert boxes["dev"][along] == boxes["test"][along]
        assert boxes["dev"][across] < boxes["test"][across]
        assert boxes["dev"][along] < boxes["staging"][along] < boxes["production"][along]
        if width > 720:
            # Seven stages fit without scrolling.
            assert page.locator("ol.stages").evaluate("node => node.scrollWidth <= node.clientWidth")
        assert not alerts
        if made is rolled_back:
            page.get_by_role("link", name="FAIL Report on Canary 20 %").click()
            page.wait_for_url(f"**/report/{PIPELINE}/{RUN_ID}/{VERIFY}")
        context.close()
