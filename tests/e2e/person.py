"""What a person does in Airflow's UI, with mouse and keyboard, in a real browser."""

from __future__ import annotations

import re
from typing import Any

from airflow_cd.demo.airflow_server import AirflowServer
from tests.chromium import PATIENCE

RUN = re.compile(r"/dags/(?P<dag>[^/]+)/runs/(?P<run>[^/?]+)")


class Person:
    """Signed in, with one window open.

    :param browser: Playwright's.
    """

    def __init__(self, browser: Any, server: AirflowServer, **window: Any) -> None:
        self.server = server
        self.clicks = 0
        self.errors: list[str] = []
        self.elsewhere: set[str] = set()
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **window})
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.goto(f"{server.url}/auth/login")
        self.page.fill("input[name=username]", server.user)
        self.page.fill("input[name=password]", server.password)
        self.page.click("button[type=submit]")
        self.page.wait_for_url(lambda url: "login" not in url)

    def _heard(self, message: Any) -> None:
        # Airflow's own pages complain of this and that; ours must not.
        if message.type == "error" and "/airflow-cd/" in str(message.location):
            self.errors.append(message.text)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.server.url, "data:", "blob:")):
            self.elsewhere.add(url)

    @property
    def ours(self) -> Any:
        """The page of ours that is open inside Airflow's frame."""
        return self.page.frame_locator("iframe")

    def home(self) -> None:
        """Go to where everybody starts."""
        self.page.goto(self.server.url)
        self.clicks = 0

    def click(self, locator: Any) -> None:
        """Click, and count it."""
        locator.click()
        self.clicks += 1

    def deployments(self) -> None:
        """Open what runs where, from Airflow's navigation."""
        self.click(self.page.get_by_role("link", name="Deployments"))

    def trigger(self, dag_id: str, **fields: str) -> str:
        """Fill the trigger form in and send it; the id of the run that comes of it."""
        self.page.goto(f"{self.server.url}/dags/{dag_id}")
        before = self._newest(dag_id)
        self.page.get_by_role("button", name="Trigger").first.click()
        form = self.page.get_by_role("dialog").filter(has_text="Trigger Dag")
        for name, value in fields.items():
            field = form.locator(f"#element_{name}")
            field.wait_for(state="attached")
            # Airflow unfolds the parameters when it has to, and folds them again when it has thought about it.
            if not field.is_visible():
                form.get_by_role("button", name="Run Parameters").click()
            field.fill(value)
        form.get_by_test_id("trigger-dag-submit").click()
        form.wait_for(state="hidden")
        while (run_id := self._newest(dag_id)) == before:
            self.page.wait_for_timeout(200)
        return run_id

    def open_run(self, dag_id: str, run_id: str, tab: str = "") -> None:
        """Open a run in Airflow, at one of its tabs."""
        self.page.goto(f"{self.server.url}/dags/{dag_id}/runs/{run_id}")
        if tab:
            self.page.get_by_role("link", name=tab, exact=True).click()

    def open_task(self, dag_id: str, run_id: str, task_id: str, tab: str = "") -> None:
        """Open a task of a run in Airflow, at one of its tabs."""
        self.page.goto(f"{self.server.url}/dags/{dag_id}/runs/{run_id}/tasks/{task_id}")
        if tab:
            self.page.get_by_role("link", name=tab, exact=True).click()

    def mark_success(self, note: str) -> None:
        """Mark the task that is open success, as the grid has it."""
        self.page.get_by_role("button", name=re.compile("^Mark Task Instance as")).click()
        self.page.get_by_role("menuitem", name="success").click()
        dialog = self.page.get_by_role("dialog").filter(has_text="Mark")
        dialog.get_by_role("button", name="Note", exact=True).click()
        dialog.get_by_text("Add a note...").click()
        dialog.get_by_test_id("notes-input").fill(note)
        dialog.get_by_role("button", name="Confirm").click()
        dialog.wait_for(state="hidden")

    def _newest(self, dag_id: str) -> str:
        answer = self.context.request.get(f"{self.server.url}/api/v2/dags/{dag_id}/dagRuns?order_by=-id&limit=1")
        runs = answer.json()["dag_runs"]
        return str(runs[0]["dag_run_id"]) if runs else ""
