"""Every page for who does not see it, or has no mouse: names, order, contrast, and what the keyboard reaches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_cd.ledger import Ledger
from airflow_cd.targets.base import Instance, Track
from tests.chromium import PATIENCE
from tests.plugin.conftest import ClientAs
from tests.plugin.deployed import Delivery
from tests.plugin.report.report_world import address, told
from tests.plugin.served import served

pytestmark = pytest.mark.browser

PAGES = {
    "deployments": "/airflow-cd/deployments",
    "insights": "/airflow-cd/insights",
    "report": address(),
    "approval": "/airflow-cd/approval/cart/run-2.0/approve",
    "run": "/airflow-cd/run/cart/run-2.0",
    "environment": "/airflow-cd/environment/cart/cart/production",
    "a canary's environment": "/airflow-cd/environment/shop/shop/staging",
    "no report": "/airflow-cd/report/a/b/c",
    "no question": "/airflow-cd/approval/a/b/c",
    "no run": "/airflow-cd/run/a/b",
    "no environment": "/airflow-cd/environment/a/b/c",
}

FAULTS = Path(__file__).with_name("page_faults.js").read_text()


@pytest.fixture
def opened(browser: Any, client_as: ClientAs, ledger: Ledger) -> Iterator[Any]:
    """Opens a page of a ledger in which everything happens, as somebody who may do everything."""
    told(ledger)
    for version, environment in (("1.0", "dev"), ("0.9", "production"), ("1.0", "production")):
        Delivery(ledger, "cart", version).promoted(environment, "PASS")
    Delivery(ledger, "cart", "1.1").rolled_back("production", "error rate 3.1 % against 0.2 %")
    waiting = Delivery(ledger, "cart", "2.0")
    waiting.promoted("dev", "FAIL")
    waiting.asks("production", approvers=("admin-1",))
    Delivery(ledger, "shop", "3.0").canary("staging", 20, "PASS", final=False)
    again = "shop was started again 3 times, last because it used more memory than its limit"
    stable = Instance("web-1", "0.9", "shop:0.9", message=again, track=Track.STABLE, weight=95.0)
    canary = replace(stable, name="web-c1", artifact="shop:3.0", message="", track=Track.CANARY, weight=5.0)
    waits = replace(canary, name="web-c2", health="starting", message="no node has room", weight=0.0)
    ledger.instances.record("shop", "staging", [stable, canary, waits], datetime.now(timezone.utc))
    client, contexts = client_as("admin"), []
    with served(client.app) as url:

        def opened_page(path: str, scheme: str = "light", *, signed_in: bool = True) -> Any:
            context = browser.new_context(
                viewport={"width": 1180, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
            )
            contexts.append(context)
            context.set_default_timeout(PATIENCE)
            if signed_in:
                context.add_cookies([{"name": "_token", "value": client.cookies["_token"], "url": url}])
            page = context.new_page()
            page.goto(url + path)
            return page

        yield opened_page
        for context in contexts:
            context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_has_names_an_order_and_contrast(opened: Any, scheme: str) -> None:
    found = {name: opened(path, scheme).evaluate(FAULTS) for name, path in PAGES.items()}
    found["signed out"] = opened(PAGES["deployments"], scheme, signed_in=False).evaluate(FAULTS)
    assert {name: faults for name, faults in found.items() if faults} == {}


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_the_keyboard_sees_where_it_is(opened: Any, path: str) -> None:
    page = opened(path)
    reached = 0
    for _ in range(40):
        page.keyboard.press("Tab")
        shown = page.evaluate(
            """() => {
                const [element, style] = [document.activeElement, getComputedStyle(document.activeElement)];
                if (element === document.body) return null;
                const box = element.getBoundingClientRect();
                const dot = element.querySelector(".dot");
                const ringed = dot && parseFloat(getComputedStyle(dot).strokeWidth) >= 5;
                const marked = style.outlineStyle !== "none" || ringed;
                const seen = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
                return marked && seen ? "" : JSON.stringify([marked, box]) + element.outerHTML.slice(0, 120);
            }"""
        )
        if shown is None:
            break
        assert shown == ""
        reached += 1
    assert reached >= 1


def test_an_approval_is_answered_without_a_mouse(opened: Any) -> None:
    page = opened(PAGES["approval"])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("numbers look good")
    assert page.get_by_label("Reason, kept in the ledger with your name").input_value() == "numbers look good"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Approve"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Reject"
