"""One canary, watched through each source of logs at once: all of them come to the same verdict, good ones in a row.

``AIRFLOW_CD_ROUNDS=3 make real ARGS="-k every_source_says"`` runs it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_cd.clock import now
from airflow_cd.delivery import Delivery
from airflow_cd.ledger import Ledger, open_ledger
from airflow_cd.sources import DockerLogs, FileLogs, OpenSearchLogs, VictoriaLogs
from airflow_cd.targets import DockerTarget
from airflow_cd.verification.samples import LogSource, Window
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.verdict import Judgement, Verdict
from airflow_cd.verification.watch import Watch
from tests import tiers
from tests.real import httpbin
from tests.real.conftest import CACHE
from tests.real.engine import Engine
from tests.real.logs import servers

from . import shipping
from .site import Site

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

COUNT = 5
INDEX = "logs-shop"
BEFORE = timedelta(seconds=15)


@pytest.fixture(scope="module")
def shop(site: Site, engine: Engine) -> Iterator[Site]:
    httpbin.build(engine)
    site.run(COUNT, "--env", f"{httpbin.VARIABLE}={httpbin.arguments()}", image=httpbin.GOOD)
    with site.routed() as router, httpbin.visitors(router.url):
        yield site


@pytest.fixture(scope="module")
def sources(shop: Site, engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[LogSource]]:
    """Each of them has what the containers write, as late as it has things."""
    if why := servers.missing("go", "java", "mvn"):
        tiers.unavailable("victoria-logs", why)
    folder = Path(tmp_path_factory.mktemp("lines"))
    with (
        servers.victoria_logs(CACHE, tmp_path_factory.mktemp("victoria-logs")) as victoria_logs,
        servers.open_search(CACHE, tmp_path_factory.mktemp("open-search")) as open_search,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv(
            "AIRFLOW_CONN_VICTORIA_LOGS_DEFAULT", f'{{"conn_type": "victoria_logs", "host": "{victoria_logs}"}}'
        )
        patch.setenv(
            "AIRFLOW_CONN_SEARCH_CLUSTER_DEFAULT", f'{{"conn_type": "search_cluster", "host": "{open_search}"}}'
        )
        sinks = [
            shipping.files(folder),
            shipping.victoria_logs(victoria_logs),
            shipping.open_search(open_search, INDEX),
        ]
        with shipping.shipped(engine, shop.names, sinks):
            yield [
                DockerLogs(shop.connection()),
                FileLogs(f"{folder}/{{instance}}.log"),
                VictoriaLogs(delay="2s"),
                OpenSearchLogs(INDEX, delay="3s"),
            ]


@pytest.fixture
def target(shop: Site) -> DockerTarget:
    return shop.target(settle=1.0)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


def judged(
    sources: Sequence[LogSource], target: DockerTarget, canary: Sequence[str], opened: Window
) -> list[Judgement]:
    """What each source alone comes to, of the same time."""
    names = [one.name for one in target.instances()]
    since = now()

    def watched(source: LogSource) -> Judgement:
        verification = Verification(logs=[source], duration="10s", every="1s", minimum="3s", longest_lag="30s")
        control = [name for name in names if name not in canary]
        return Watch(verification, canary=canary, control=control, since=since, before=opened).run().judgement

    with ThreadPoolExecutor(len(sources)) as pool:
        return list(pool.map(watched, sources))


def test_every_source_says_the_same(sources: Sequence[LogSource], target: DockerTarget, ledger: Ledger) -> None:
    wanted = [("1", 31, Verdict.PASS), ("2", 32, Verdict.PASS), ("3", 33, Verdict.PASS), ("4", 1, Verdict.FAIL)]
    for version, timeout, verdict in wanted:
        delivery = Delivery(
            ledger,
            target,
            pipeline="httpbin",
            run_id=version,
            service="httpbin",
            environment="production",
            log=lambda line: None,
            timeout=timedelta(seconds=60),
        )
        before = Window(now() - BEFORE, now())
        release = httpbin.release(version, timeout=timeout)
        phase = delivery.deploy(release, phase="phase_20", share=20)
        canary = [one.name for one in target.instances() if one.runs(release)]
        assert len(canary) == 1, phase
        found = judged(sources, target, canary, before)
        said = {source.name: one.sentence for source, one in zip(sources, found, strict=True)}
        assert {one.verdict for one in found} == {verdict}, said
        if verdict is Verdict.PASS:
            delivery.deploy(release, phase="phase_100", share=100)
            delivery.promote("verified")
        else:
            assert all("WORKER TIMEOUT" in sentence for sentence in said.values()), said
            delivery.roll_back("its errors are new")
        delivery.settle()
