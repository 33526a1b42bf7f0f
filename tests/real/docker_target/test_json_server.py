"""A canary of json-server in containers: what keeps its answers is promoted, and what answers otherwise restored."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from airflow_cd.ledger import open_ledger
from airflow_cd.sources import DockerLogs
from airflow_cd.states import DeploymentState
from tests import tiers
from tests.real import json_server
from tests.real.canary import delivered
from tests.real.engine import Engine

from .site import Site

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

COUNT = 5


@pytest.fixture(scope="module")
def shop(site: Site, engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if why := json_server.missing():
        tiers.unavailable("node", why)
    json_server.build(engine, tmp_path_factory.mktemp("json-server"))
    site.run(COUNT, "--init", image=f"json-server:{json_server.GOOD}")
    with site.routed() as router, json_server.visitors(router.url):
        yield site


def test_a_version_that_answers_otherwise_is_restored(
    shop: Site, tmp_path_factory: pytest.TempPathFactory, measured: Callable[[str], None]
) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}")
    target = shop.target(settle=1.0)
    logs = DockerLogs(target.conn_id)
    good = delivered(ledger, target, logs, json_server.release(json_server.GOOD), "good")
    assert good.state == DeploymentState.PROMOTED, good.outcome

    bad = delivered(ledger, target, logs, json_server.release(json_server.BAD), "bad")
    assert bad.state == DeploymentState.ROLLED_BACK
    # It logs no request any more, and what it cannot read comes from other functions.
    assert bad.outcome is not None
    assert "GET /posts" in bad.outcome
    assert "milliparsec" in str(ledger.verdicts.of(bad.id)[-1].evidence)
    measured(f"json-server 0.17 -> 1.0: {bad.outcome}; to restored {bad.to_restored:.2f} s")
    release = json_server.release(json_server.GOOD)
    assert [one.name for one in target.instances() if not one.runs(release) or one.health != "healthy"] == []
