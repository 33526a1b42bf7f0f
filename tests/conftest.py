from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests import postgres, tiers

if TYPE_CHECKING:
    from airflow_cd.ledger import Ledger

# Contracts are no test modules, and say more than "AssertionError" when they are rewritten like these.
pytest.register_assert_rewrite(
    "airflow_cd.targets.contract", "airflow_cd.targets.replica_contract", "airflow_cd.sources.contract"
)
# Limits by the clock fail on a busy machine what is right.
settings.register_profile("airflow-cd", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("airflow-cd")

# Airflow reads these once, when it is first imported.
_HOME = tempfile.TemporaryDirectory(prefix="airflow-cd-tests-", ignore_cleanup_errors=True)
os.environ["AIRFLOW_HOME"] = _HOME.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "True"
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{_HOME.name}/airflow.db"
os.environ["AIRFLOW__API_AUTH__JWT_SECRET"] = "only for the tests on this machine, and as long as SHA-512 wants it: 64"


@pytest.fixture(scope="session")
@tiers.starts("postgres")
def postgres_server() -> Iterator[str]:
    """The URL of the database ``postgres`` of a private server; skips the test where there can be none."""
    if why := postgres.missing():
        tiers.unavailable("postgres", why)
    with postgres.server() as url:
        yield url


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated ledger with nothing recorded, to be copied."""
    from tests.new_ledgers import migrated

    return migrated(tmp_path_factory.mktemp("empty-ledger"))


@pytest.fixture
def new_ledger(empty_ledger: Path, tmp_path: Path) -> Ledger:
    """A ledger of the test's own, ``ledger.db`` in its folder."""
    from airflow_cd.ledger import open_ledger
    from tests.new_ledgers import alike, copied

    return alike(open_ledger(copied(empty_ledger, tmp_path, "ledger")))


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a cluster in memory proxies, controllers and gateways are behind nothing."""
    from airflow_cd.targets.kubernetes import by_ingress, by_virtual_service, controllers, traffic
    from airflow_cd.targets.kubernetes.by_route import ByRoute

    monkeypatch.setattr(traffic, "_PROXIES", 0.0)
    monkeypatch.setattr(controllers, "_SEEN_WITHIN", 0.0)
    monkeypatch.setattr(ByRoute, "_await_taken", lambda self, generation: 0.0)
    for one in (by_virtual_service, by_ingress):
        monkeypatch.setattr(one, "_FOLLOWS", 0.0)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage while tests are collected, and never look through what they are made of again.

    That is a million objects, each of which Python visits whenever many new ones were made: a quarter of the time of
    tests that use a database.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark before ``-m`` selects, then put the tests in the order that ends first."""
    tiers.mark_by_fixtures(items)
    tiers.longest_first(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Spread groups of tests over processes, in the order of :func:`tiers.longest_first`."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return tiers.group_of(nodeid)

    config.option.loadscopereorder = False
    return ByGroup(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    tiers.give_way(item)
    tiers.cover(item)
    with tiers.refuse_unmarked(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    tiers.fail_where_required(item, report)
    return report
