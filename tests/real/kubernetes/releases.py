"""Releases of a small web server, and how a test asks for them: under a token and a key of their own."""

from __future__ import annotations

import itertools
import time

from airflow_cd.instances import Track
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes import KubernetesTarget
from airflow_cd.targets.rollout import wait_until
from tests.real.kubernetes.web import Web

CONNECTION = "kubernetes_real"
GOOD = Release("web", "1.0", "localhost/web:1.0", {})
OTHER = Release("web", "1.1", "localhost/web:1.1", {"GREETING": "hello"})
BROKEN = Release("web", "1.4", "localhost/web:1.4", {})
UP_WITHIN = 300.0
"""Seconds within which replicas come up, on a machine that has much else to do."""

tokens = itertools.count(int(time.time()) + 1_000_000)


def ask(target: KubernetesTarget, track: Track, release: Release | None, share: int = 50) -> None:
    """Ask for a release on a track, and do not wait."""
    token = next(tokens)
    target.deploy(release, [track], share=share, key=f"put-{token}", token=token)


def put(
    target: KubernetesTarget, track: Track, release: Release | None, share: int = 50, seconds: float = UP_WITHIN
) -> None:
    """Ask for a release on a track, and wait until it is there."""
    ask(target, track, release, share)
    wait_until(target, {track: release}, timeout=seconds)  # type: ignore[arg-type]


def drain(target: KubernetesTarget) -> None:
    """Take the canary out of the traffic."""
    token = next(tokens)
    target.drain([Track.CANARY], key=f"drain-{token}", token=token)


def give(target: KubernetesTarget) -> None:
    """Give the canary its traffic."""
    token = next(tokens)
    target.restore([Track.CANARY], key=f"give-{token}", token=token)


def pods_of(target: KubernetesTarget, track: Track) -> list[str]:
    """Names of the pods of a track."""
    return [one.name for one in target.instances() if one.track == track]


def whole(web: Web, target: KubernetesTarget, replicas: int) -> None:
    """Bring a Deployment to where a test begins: the good release on so many pods, no canary, nobody's labels."""
    there = web.cluster.call("GET", web.path)
    labels = {name: None for name in there["metadata"]["labels"] if name != "app"}
    if labels or there["spec"]["replicas"] != replicas:
        web.cluster.patch(web.path, {"metadata": {"labels": labels}, "spec": {"replicas": replicas}})
    put(target, Track.STABLE, GOOD)
    put(target, Track.CANARY, None)
