"""A ledger in which the example pipeline has run."""

from __future__ import annotations

import pytest

from airflow_cd.ledger import Ledger
from tests.plugin.build_com_run import Story


@pytest.fixture
def story(ledger: Ledger) -> Story:
    return Story(ledger)
