"""A selection of faults, done to canaries on a real Airflow with the settings that it ships with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.__main__ import tried
from tests.faults.faults import CASES
from tests.faults.site import Site
from tests.pace import slowness
from tests.tiers import starts

SELECTED = ("paused-then-bad", "file-broken-then-bad", "worker-killed")
SAFE, WHOLE = 60.0, 90.0


@pytest.fixture(scope="module")
@starts("e2e")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    cases = {name: CASES[name].settings for name in SELECTED}
    with Site(tmp_path_factory.mktemp("faults"), cases) as found:
        yield found


@pytest.mark.parametrize("name", SELECTED)
def test_the_guard_makes_whole_what_the_run_cannot(site: Site, name: str) -> None:
    _, safe, whole, wrong = tried(site, name)
    assert wrong == []
    assert safe <= SAFE * slowness()
    assert whole <= WHOLE * slowness()
