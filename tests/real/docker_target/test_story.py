"""A canary of software that is not ours: httpbin under gunicorn in containers, behind HAProxy, judged by its logs.

Two releases that are bad, one by its configuration alone and one that does not boot, are restored; good ones promoted.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import httpx
import pytest

from airflow_cd.delivery import Delivery
from airflow_cd.delivery.verifying import Consequence, PhaseVerification
from airflow_cd.errors import DeploymentFailed
from airflow_cd.ledger import Deployment, Ledger, open_ledger
from airflow_cd.release import Release
from airflow_cd.sources import DockerLogs
from airflow_cd.states import DeploymentState
from airflow_cd.targets import DockerTarget
from airflow_cd.verification.settings import Verification
from tests.real import images
from tests.real.engine import Engine

from .site import HTTPBIN, HTTPBIN_BROKEN, Site, build_httpbin

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

COUNT = 5
RESTORED_WITHIN = 10.0


def release(version: str, timeout: int = 30, artifact: str = HTTPBIN) -> Release:
    return Release("httpbin", version, artifact, {"GUNICORN_CMD_ARGS": f"--timeout {timeout} --access-logfile -"})


@contextmanager
def visitors(url: str) -> Iterator[Counter[int]]:
    """People who ask for what is quick, and now and then for what takes two seconds."""
    seen: Counter[int] = Counter()
    over, turn = threading.Event(), itertools.count()

    def visit() -> None:
        with httpx.Client(timeout=15) as client:
            while not over.is_set():
                number = next(turn)
                path = "/delay/2" if number % 12 == 0 else f"/get?page={number % 7}"
                try:
                    seen[client.get(f"{url}{path}").status_code] += 1
                except httpx.HTTPError:
                    seen[0] += 1
                time.sleep(0.1)

    threads = [threading.Thread(target=visit) for _ in range(5)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.fixture(scope="module")
def shop(site: Site, engine: Engine) -> Iterator[Site]:
    build_httpbin(engine, images.base(engine))
    site.run(COUNT, "--env", "GUNICORN_CMD_ARGS=--timeout 30 --access-logfile -", image=HTTPBIN)
    with site.routed() as router, visitors(router.url):
        yield site


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return open_ledger(f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}")


@pytest.fixture
def target(shop: Site) -> DockerTarget:
    return shop.target(settle=1.0)


def delivered(ledger: Ledger, target: DockerTarget, wanted: Release, run_id: str) -> Deployment:
    """What the tasks of a canary's stage do one after the other."""
    delivery = Delivery(
        ledger,
        target,
        pipeline="httpbin",
        run_id=run_id,
        service="httpbin",
        environment="production",
        log=lambda line: None,
        timeout=timedelta(seconds=60),
    )
    verification = Verification(
        logs=[DockerLogs(target.conn_id)], duration="8s", every="1s", minimum="3s", longest_lag="10s"
    )
    try:
        for phase, share in (("phase_20", 20), ("phase_100", 100)):
            delivery.deploy(wanted, phase=phase, share=share)
            found = PhaseVerification(delivery, verification, phase, on_look=lambda judgement: None).run()
            if found.consequence is not Consequence.GO_ON:
                delivery.roll_back(found.judgement.sentence)
                break
        else:
            delivery.promote("verified")
    except DeploymentFailed as error:
        delivery.roll_back(error.what)
    finally:
        delivery.settle()
    return delivery.require_deployment()


def whole(target: DockerTarget, wanted: Release, site: Site) -> None:
    instances = target.instances()
    assert len(instances) == COUNT
    assert [one.name for one in instances if not one.runs(wanted) or one.health != "healthy" or one.drained] == []
    assert site.containers() == site.names


def told(what: str, deployment: Deployment, measured: Callable[[str], None]) -> None:
    safe = f"to safe {deployment.to_safe:.2f} s, " if deployment.to_safe is not None else ""
    measured(f"{what}: {safe}to restored {deployment.to_restored:.2f} s")


def test_the_story(ledger: Ledger, target: DockerTarget, shop: Site, measured: Callable[[str], None]) -> None:
    first = release("1")
    promoted = delivered(ledger, target, first, "1")
    assert promoted.state == DeploymentState.PROMOTED, promoted.outcome
    whole(target, first, shop)

    # Nothing but a number in the configuration: who asks for what takes two seconds gets nothing any more.
    bad = delivered(ledger, target, release("2", timeout=1), "2")
    assert bad.state == DeploymentState.ROLLED_BACK
    assert "WORKER TIMEOUT" in str(ledger.verdicts.of(bad.id)[-1].evidence)
    told("timeout 30 -> 1", bad, measured)
    assert (bad.to_restored or 99) < RESTORED_WITHIN
    whole(target, first, shop)

    worse = delivered(ledger, target, release("3", artifact=HTTPBIN_BROKEN), "3")
    assert worse.state == DeploymentState.ROLLED_BACK
    assert "parse_authorization_header" in (worse.outcome or "")
    told("does not boot", worse, measured)
    assert (worse.to_restored or 99) < RESTORED_WITHIN
    whole(target, first, shop)
    assert len(ledger.vetoes.of("httpbin", "production")) == 2

    last = release("4", timeout=40)
    promoted = delivered(ledger, target, last, "4")
    assert promoted.state == DeploymentState.PROMOTED, promoted.outcome
    whole(target, last, shop)
