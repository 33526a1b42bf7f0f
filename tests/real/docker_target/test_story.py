"""A canary of software that is not ours: httpbin under gunicorn in containers, behind HAProxy, judged by its logs.

Two releases that are bad, one by its configuration alone and one that does not boot, are restored; good ones promoted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from airflow_cd.ledger import Deployment, Ledger, open_ledger
from airflow_cd.release import Release
from airflow_cd.sources import DockerLogs
from airflow_cd.states import DeploymentState
from airflow_cd.targets import DockerTarget
from tests.real import httpbin
from tests.real.canary import delivered
from tests.real.engine import Engine
from tests.real.httpbin import BAD_BOOT, release, visitors

from .site import Site

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

COUNT = 5
RESTORED_WITHIN = 30.0
"""Seconds, beside a Kubernetes and an Airflow on two processors; what is measured is printed."""


@pytest.fixture(scope="module")
def shop(site: Site, engine: Engine) -> Iterator[Site]:
    httpbin.build(engine)
    site.run(COUNT, "--env", f"{httpbin.VARIABLE}={httpbin.arguments()}", image=httpbin.GOOD)
    with site.routed() as router, visitors(router.url):
        yield site


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return open_ledger(f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}")


@pytest.fixture
def target(shop: Site) -> DockerTarget:
    return shop.target(settle=1.0)


def whole(target: DockerTarget, wanted: Release, site: Site) -> None:
    instances = target.instances()
    assert len(instances) == COUNT
    assert [one.name for one in instances if not one.runs(wanted) or one.health != "healthy" or one.drained] == []
    assert site.containers() == site.names


def told(what: str, deployment: Deployment, measured: Callable[[str], None]) -> None:
    safe = f"to safe {deployment.to_safe:.2f} s, " if deployment.to_safe is not None else ""
    measured(f"{what}: {safe}to restored {deployment.to_restored:.2f} s")


def test_the_story(ledger: Ledger, target: DockerTarget, shop: Site, measured: Callable[[str], None]) -> None:
    logs = DockerLogs(target.conn_id)
    first = release("1")
    promoted = delivered(ledger, target, logs, first, "1")
    assert promoted.state == DeploymentState.PROMOTED, promoted.outcome
    whole(target, first, shop)

    # Nothing but a number in the configuration: who asks for what takes two seconds gets nothing any more.
    bad = delivered(ledger, target, logs, release("2", timeout=1), "2")
    assert bad.state == DeploymentState.ROLLED_BACK
    assert "WORKER TIMEOUT" in str(ledger.verdicts.of(bad.id)[-1].evidence)
    told("timeout 30 -> 1", bad, measured)
    assert (bad.to_restored or 99) < RESTORED_WITHIN
    whole(target, first, shop)

    worse = delivered(ledger, target, logs, release("3", artifact=BAD_BOOT), "3")
    assert worse.state == DeploymentState.ROLLED_BACK
    assert "parse_authorization_header" in (worse.outcome or "")
    told("does not boot", worse, measured)
    assert (worse.to_restored or 99) < RESTORED_WITHIN
    whole(target, first, shop)
    assert len(ledger.vetoes.of("httpbin", "production")) == 2

    last = release("4", timeout=40)
    promoted = delivered(ledger, target, logs, last, "4")
    assert promoted.state == DeploymentState.PROMOTED, promoted.outcome
    whole(target, last, shop)
