"""Software that is not ours: httpbin under gunicorn, who visits it, and what a canary's tasks do with it."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from airflow_cd.delivery import Delivery
from airflow_cd.delivery.verifying import Consequence, PhaseVerification
from airflow_cd.errors import DeploymentFailed
from airflow_cd.ledger import Deployment, Ledger
from airflow_cd.release import Release
from airflow_cd.verification.settings import Verification
from tests.real import images
from tests.real.engine import Engine

GOOD, BAD_BOOT = "httpbin:0.10.1-werkzeug2", "httpbin:0.10.1-werkzeug3"
VARIABLE = "GUNICORN_CMD_ARGS"


def build(engine: Engine) -> None:
    """Build the images of the pair that boots and does not."""
    base = images.base(engine)
    context = Path(__file__).with_name("docker_target") / "httpbin"
    for name, werkzeug in ((GOOD, "2.2.3"), (BAD_BOOT, "3.0.6")):
        engine.build(name, context, "--build-arg", f"WERKZEUG={werkzeug}", base=base)


def archive(engine: Engine, cache: Path) -> Path:
    """Both images in one file, which is kept: no daemon is needed for it the next time.

    :param engine: of the daemon that has built them, or is to.
    :param cache: where it is kept.
    """
    kept = kept_in(cache)
    build(engine)
    if not kept.exists():
        engine("docker", "save", "--output", str(kept.with_suffix(".part").resolve()), GOOD, BAD_BOOT)
        kept.with_suffix(".part").rename(kept)
    return kept


def kept_in(cache: Path) -> Path:
    """Where the images are kept, which are others when their recipe is.

    :param cache: the folder.
    """
    recipe = Path(__file__).with_name("docker_target") / "httpbin" / "Dockerfile"
    made = "\0".join([recipe.read_text(), *images.BOOTSTRAP]).encode()
    return cache / f"httpbin-{hashlib.sha256(made).hexdigest()[:12]}.tar"


def arguments(timeout: int = 30) -> str:
    """What gunicorn is told beside its command: the pair that breaks by configuration alone has 30 and 1."""
    return f"--timeout {timeout} --access-logfile -"


def release(version: str, timeout: int = 30, artifact: str = GOOD) -> Release:
    """A release of it."""
    return Release("httpbin", version, artifact, {VARIABLE: arguments(timeout)})


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


def delivered(ledger: Ledger, target: Any, logs: Any, wanted: Release, run_id: str) -> Deployment:
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
    verification = Verification(logs=[logs], duration="8s", every="1s", minimum="3s", longest_lag="10s")
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
