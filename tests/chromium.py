"""A headless Chromium for tests that look at pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.tiers import unavailable

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first is the same without what a window would need, and a third of the work."""
PATIENCE = 120_000.0
"""Milliseconds that what comes may take: a machine that does other work as well is slow, not wrong."""
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


@contextmanager
def chromium() -> Iterator[Any]:
    """Playwright's browser; the test is skipped, or fails where AIRFLOW_CD_REQUIRE asks for it, when there is none."""
    path = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if path is None:
        unavailable("chromium", "there is no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*QUIET, "--disable-sync", "--no-first-run"])
        yield browser
        browser.close()
