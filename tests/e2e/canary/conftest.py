"""One world for all canaries, and its tests running beside each other, since what they do is wait."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from airflow_cd.demo.world import World
from airflow_cd.release import Release
from tests.e2e.canary.world import CASES, DAGS, TRAFFIC, Canaries, other_connections
from tests.e2e.conftest import AirflowDatabase
from tests.tiers import starts

AT_A_TIME = 4
"""More would make each wait for the two cores of a small machine."""

BEGUN = pytest.StashKey[dict[str, "Future[None]"]]()


@pytest.fixture(scope="package")
@starts("e2e")
def canaries(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, airflow_database: AirflowDatabase
) -> Iterator[Canaries]:
    """The world, with every selected test of this folder begun, a few at a time."""
    scripts = tmp_path_factory.mktemp("scripts")
    (scripts / "cases.json").write_text(json.dumps(CASES))
    for case in CASES:
        (scripts / f"{case}.json").write_text("{}")
    users = {"admin": "admin", "alice": "op", "mallory": "op"}
    settings = {
        **airflow_database("canaries"),
        "CANARY_SCRIPTS": str(scripts),
        # The files do not change, and to parse them again is work.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    environments = dict.fromkeys(CASES, 2)
    with World(
        dags=DAGS,
        environments=environments,
        rates=TRAFFIC,
        users=users,
        settings=settings,
        # No instance here falls silent without having ended.
        health_seconds=10,
    ) as world:
        found = Canaries(world, scripts)
        for case in CASES:
            if not CASES[case].get("empty"):
                found.put(case, Release("shop", "1.0", "shop:1.0"), token=0)
        for name, connection in other_connections(world).items():
            found.client.call("POST", "/api/v2/connections", {"connection_id": name, **connection})
        pool = ThreadPoolExecutor(AT_A_TIME)
        try:
            request.session.stash[BEGUN] = _begin(request.session.items, found, pool)
            yield found
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(items: list[pytest.Item], canaries: Canaries, pool: ThreadPoolExecutor) -> dict[str, Future[None]]:
    here = [item for item in items if isinstance(item, pytest.Function) and Path(__file__).parent in item.path.parents]
    return {item.nodeid: pool.submit(item.obj, canaries=canaries, **_parameters(item)) for item in here}


def _parameters(item: pytest.Function) -> dict[str, Any]:
    return item.callspec.params if hasattr(item, "callspec") else {}


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Wait for the test, which was begun with the world, instead of running it."""
    begun = pyfuncitem.session.stash.get(BEGUN, {}).get(pyfuncitem.nodeid)
    if begun is None:
        return None
    begun.result()
    return True
