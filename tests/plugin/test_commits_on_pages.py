"""Commits on the approval and on the run: what people wrote is text, and links lead out of Airflow's frame."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

import pytest
from fastapi.testclient import TestClient

from airflow_cd.commits import Commit, CommitList, Commits
from airflow_cd.ledger import Ledger
from airflow_cd.plugin.dag_runs import tasks as run_tasks
from tests.chromium import PATIENCE
from tests.plugin.build_com_run import BEFORE, HOSTILE, PIPELINE, ROLLED_BACK_STATES, RUN_ID, Story, run_of
from tests.plugin.conftest import ClientAs
from tests.plugin.served import served

APPROVAL = f"/airflow-cd/approval/{PIPELINE}/{RUN_ID}/approve"
RUN = f"/airflow-cd/run/{PIPELINE}/{RUN_ID}"
AT = datetime(2026, 11, 20, 23, 30, tzinfo=timezone.utc)
LONG = "https://git.example.com/c/{}"


def _commit(number: int, subject: str = "", page: str = LONG) -> Commit:
    name = f"{number:040x}"
    return Commit(name[::-1], f"Ada {HOSTILE}", AT, subject or f"change {number}", page.format(name))


def _commits(count: int, total: int, *, page: str = LONG) -> Commits:
    made = (_commit(0, f"{HOSTILE} \u202e", page), *(_commit(number, page=page) for number in range(1, count)))
    return Commits("1.1", "1.2", CommitList(made[:count], total))


def _asked(ledger: Ledger, commits: dict[str, Commits]) -> Story:
    story = Story(ledger)
    story.before_production()
    ledger.questions.ask(
        pipeline=PIPELINE,
        run_id=RUN_ID,
        task_id="approve",
        options=["Approve", "Reject"],
        approvers=("bob",),
        subject="Deploy shop 1.2?",
        body="",
        deadline=None,
        proposed=dict.fromkeys(commits, story.release),
        commits=commits,
    )
    return story


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow's database knows the run: it waits for the approval."""
    run = run_of("running", {**dict.fromkeys(BEFORE, "success"), "approve": "awaiting_input"})
    monkeypatch.setattr(run_tasks, "run_of", lambda *_: run)


@pytest.mark.parametrize("place", [APPROVAL, RUN])
def test_both_pages_list_them_once_for_environments_that_get_the_same(
    ledger: Ledger, client_as: ClientAs, known: None, place: str
) -> None:
    commits = _commits(12, 40)
    _asked(ledger, {"edge": commits, "production": commits})
    page = client_as("viewer").get(place).text
    assert "<strong>edge, production</strong>: 1.2 brings 40 commits that 1.1 has not." in page
    assert page.count('<td class="wide">change 11</td>') == 1
    assert "<summary>2 more</summary>" in page
    assert "and 28 more" in page
    assert f'<time datetime="{AT.isoformat()}">2026-11-20</time>' in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "\u202e" not in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("page", ["javascript:alert({})", "data:text/html,{}", '" onclick="alert(1)', ""])
def test_only_a_web_page_becomes_a_link(ledger: Ledger, client_as: ClientAs, page: str) -> None:
    _asked(ledger, {"production": _commits(2, 2, page=page)})
    shown = client_as("viewer").get(APPROVAL).text
    assert "data-outside" not in shown
    assert "<code>00000000</code>" in shown
    assert "onclick" not in shown


def test_what_is_not_known_and_what_is_taken_away_are_said(ledger: Ledger, client_as: ClientAs) -> None:
    back = Commits("1.3", "1.2", taken_away=CommitList((_commit(7, "gift cards"),), 1))
    _asked(ledger, {"edge": Commits("1.1", "1.2", unknown=f"no answer {HOSTILE}."), "production": back})
    page = client_as("viewer").get(APPROVAL).text
    assert "<strong>edge</strong>: Commits unknown: no answer &lt;script&gt;" in page
    assert "A step back: 1.2 lacks 1 commit of 1.3" in page
    assert "Commits of 1.3 that are taken away, newest first" in page


def test_a_pipeline_without_a_repository_says_nothing_of_them(ledger: Ledger, client_as: ClientAs, known: None) -> None:
    _asked(ledger, {})
    for place in (APPROVAL, RUN):
        assert "ommit" not in client_as("viewer").get(place).text


def test_the_run_shows_what_its_deployments_brought(
    ledger: Ledger, client_as: ClientAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = _asked(ledger, {"production": _commits(2, 2)})
    ledger.questions.answer(PIPELINE, RUN_ID, "approve", option="Approve", who="bob", why="")
    story.canary(None)
    ledger.deployments.record_commits(
        story.deployment.id, Commits("1.1", "1.2", CommitList((_commit(3, "as deployed"),), 1))
    )
    monkeypatch.setattr(run_tasks, "run_of", lambda *_: run_of("failed", ROLLED_BACK_STATES))
    page = client_as("viewer").get(RUN).text
    assert "<strong>production</strong>: 1.2 brings 1 commit that 1.1 has not." in page
    assert "as deployed" in page
    assert "change 1<" not in page


# -- in a browser --------------------------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_it_fits_and_a_commit_opens_beside_airflow(
    browser: Any, ledger: Ledger, client_as: ClientAs, known: None, width: int, scheme: str
) -> None:
    commits = _commits(12, 40, page="http://127.0.0.1:9/c/{}")
    _asked(ledger, {"production": commits})
    client: TestClient = client_as("viewer")
    root: Any = client.app

    @root.get("/airflow")
    def airflow() -> Any:
        from fastapi.responses import HTMLResponse

        # The frame that Airflow gives to pages of plugins.
        frame = f'<iframe sandbox="allow-scripts allow-same-origin allow-forms" src="{APPROVAL}" width=100% height=800>'
        return HTMLResponse(f"<!doctype html><body>{frame}</iframe></body>")

    with served(root) as url:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        context.add_cookies([{"name": "_token", "value": client.cookies["_token"], "url": url}])
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        for place in (APPROVAL, RUN):
            page.goto(url + place)
            assert page.evaluate("document.scrollingElement.scrollWidth <= window.innerWidth")
            page.get_by_text("2 more", exact=True).click()
            assert page.get_by_text("change 11", exact=True).is_visible()
        page.goto(f"{url}/airflow")
        with context.expect_page() as opened:
            page.frame_locator("iframe").get_by_role("link", name=commits.brought.commits[1].short).first.click()
        assert opened.value.evaluate("window.opener") is None
        assert page.url == f"{url}/airflow"
        context.close()
