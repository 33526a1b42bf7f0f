"""Going back on a real Kubernetes: ours beside Argo Rollouts' abort, on the same cluster in the same run.

    .venv/bin/python -m benchmarks.aborting --times 5

Needs root and Go; Kubernetes and Argo Rollouts' controller are built the first time, which takes some minutes. Each has
ten pods behind a Service of its own, a fifth on the new release, and is told to go back: Argo Rollouts by `abort`, ours
by the rollback that follows a verdict, ledger, fencing and reading back included. *Out* is the last answer of the new
release, *restored* ten ready pods of the old one and none of the new, both in seconds after the command; *lost* are the
requests that got no answer meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests
import yaml

from airflow_cd.delivery import Delivery
from airflow_cd.ledger import open_ledger
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes import KubernetesTarget
from benchmarks.argo_rollouts import build
from tests.real.images import CACHE
from tests.real.kubernetes import images
from tests.real.kubernetes.cluster import Cluster, cluster
from tests.real.kubernetes.web import Web

PODS, SHARE = 10, 20
ROLLOUTS = "/apis/argoproj.io/v1alpha1/namespaces/default/rollouts"


class Answers:
    """Requests without end, each on a connection of its own, and when the new release answered last.

    :param url: of the service.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._over = threading.Event()
        self.last_new = 0.0
        self.lost = 0
        self._asking = threading.Thread(target=self._ask)

    def __enter__(self) -> Answers:
        self._asking.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        self._asking.join()

    def _ask(self) -> None:
        session = requests.Session()
        session.trust_env = False
        while not self._over.is_set():
            asked = time.monotonic()
            try:
                if session.get(self._url, timeout=2, headers={"Connection": "close"}).text.startswith("1.1"):
                    self.last_new = asked
            except requests.RequestException:
                self.lost += 1


def ready(kubernetes: Cluster, name: str) -> dict[str, int]:
    """How many ready pods of a service run each image; those that are ending do not count."""
    listed = kubernetes.call("GET", f"/api/v1/namespaces/default/pods?labelSelector=app%3D{name}")["items"]
    found: dict[str, int] = {}
    for pod in listed:
        conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions") or ()}
        if not pod["metadata"].get("deletionTimestamp") and conditions.get("Ready") == "True":
            image = pod["spec"]["containers"][0]["image"]
            found[image] = found.get(image, 0) + 1
    return found


def restored(kubernetes: Cluster, name: str, old: int) -> bool:
    """Whether so many pods of the old release are ready, and none of the new one."""
    return ready(kubernetes, name) == {"localhost/web:1.0": old}


class ArgoRollouts:
    """A Rollout of ten pods; its name is its service's.

    :param kubernetes: the cluster, in which the controller runs.
    :param plugin: the command ``kubectl-argo-rollouts``.
    """

    name = "argo"

    def __init__(self, kubernetes: Cluster, plugin: Path) -> None:
        self._kubernetes, self._plugin = kubernetes, plugin
        # The Service and pods of every web here, without its Deployment.
        self._web = Web(kubernetes, self.name, 1)
        template = kubernetes.call("GET", self._web.path)["spec"]["template"]
        kubernetes.call("DELETE", self._web.path)
        strategy = {
            "canary": {"maxSurge": 0, "maxUnavailable": SHARE // 10, "steps": [{"setWeight": SHARE}, {"pause": {}}]}
        }
        spec = {
            "replicas": PODS,
            "selector": {"matchLabels": {"app": self.name}},
            "template": template,
            "strategy": strategy,
        }
        body = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": self.name}, "spec": spec}
        kubernetes.call("POST", ROLLOUTS, body)
        kubernetes.until(lambda: restored(kubernetes, self.name, PODS), "Argo's pods are ready")

    @property
    def url(self) -> str:
        """Of its service."""
        return self._web.url

    def begin(self) -> None:
        """Bring the new release to its share."""
        self._set_image("1.1")
        wanted = {"localhost/web:1.0": PODS - SHARE // 10, "localhost/web:1.1": SHARE // 10}
        self._kubernetes.until(lambda: ready(self._kubernetes, self.name) == wanted, "Argo's canary is there")

    def go_back(self) -> None:
        """Abort."""
        self._run("abort", self.name)

    def finish(self) -> None:
        """Make it what it was before, for the next time."""
        self._set_image("1.0")
        self._run("promote", self.name, "--full")

    def _set_image(self, version: str) -> None:
        self._run("set", "image", self.name, f"web=localhost/web:{version}")

    def _run(self, *command: str) -> None:
        where = ("--kubeconfig", str(self._kubernetes.folder / "admin.conf"))
        subprocess.run([self._plugin, *command, *where], check=True, capture_output=True)


class Ours:
    """A Deployment of ten pods, which Airflow CD has taken over.

    :param kubernetes: the cluster.
    :param folder: for the ledger.
    """

    name = "ours"

    def __init__(self, kubernetes: Cluster, folder: Path) -> None:
        extra = {"kube_config": json.dumps(kubernetes.kubeconfig)}
        os.environ["AIRFLOW_CONN_KUBERNETES_REAL"] = json.dumps({"conn_type": "kubernetes", "extra": extra})
        self._web = Web(kubernetes, self.name, PODS)
        self._ledger = open_ledger(f"sqlite:///{folder / 'ledger.db'}")
        self._runs = 0
        kubernetes.until(lambda: restored(kubernetes, self.name, PODS), "our pods are ready")

    @property
    def url(self) -> str:
        """Of its service."""
        return self._web.url

    def begin(self) -> None:
        """Bring the new release to its share, which is two pods beside the ten."""
        self._runs += 1
        self._delivery = Delivery(
            self._ledger,
            KubernetesTarget("kubernetes_real", self.name),
            pipeline="benchmark",
            run_id=f"run-{self._runs}",
            service="web",
            environment=self.name,
            log=lambda line: None,
            timeout=timedelta(seconds=60),
        )
        release = Release("web", "1.1", "localhost/web:1.1", {"RUN": str(self._runs)})
        self._delivery.deploy(release, phase=f"phase_{SHARE}", share=SHARE)

    def go_back(self) -> None:
        """Roll back."""
        self._delivery.roll_back("it is bad")

    def finish(self) -> None:
        """Give the environment up."""
        self._delivery.settle()


def measure(kubernetes: Cluster, one: ArgoRollouts | Ours) -> tuple[float, float, int]:
    """Seconds until the new release answers no more, and until the old one is whole again; unanswered requests."""
    one.begin()
    done: list[float] = []
    with Answers(one.url) as answers:
        kubernetes.until(lambda: answers.last_new > 0 or None, "the new release answers")
        answers.lost, began = 0, time.monotonic()

        def watch() -> None:
            while not restored(kubernetes, one.name, PODS):
                time.sleep(0.05)
            done.append(time.monotonic())

        watching = threading.Thread(target=watch)
        watching.start()
        one.go_back()
        watching.join(120)
        time.sleep(2.0)  # what is still answered is answered now
    one.finish()
    kubernetes.until(lambda: restored(kubernetes, one.name, PODS), "it is as before")
    return max(0.0, answers.last_new - began), done[0] - began, answers.lost


@contextlib.contextmanager
def controller(kubernetes: Cluster, binaries: Path) -> Iterator[None]:
    """Argo Rollouts' controller at work in a cluster."""
    for manifest in sorted((binaries / "crds").glob("*-crd.yaml")):
        body = yaml.safe_load(manifest.read_text())
        kubernetes.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body)
    kubernetes.call("POST", "/api/v1/namespaces", {"metadata": {"name": "argo-rollouts"}})
    for body in yaml.safe_load_all((binaries / "crds" / "notifications-install.yaml").read_text()):
        if body and body["kind"] == "ConfigMap":
            kubernetes.call("POST", "/api/v1/namespaces/argo-rollouts/configmaps", body)
    kubernetes.until(lambda: kubernetes.call("GET", ROLLOUTS), "Rollouts are known")
    environment = {**os.environ, "POD_NAMESPACE": "argo-rollouts"}
    command = [
        binaries / "rollouts-controller",
        "--leader-elect=false",
        "--kubeconfig",
        kubernetes.folder / "admin.conf",
    ]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    times: int = parser.parse_args().times
    binaries = build(CACHE)
    with tempfile.TemporaryDirectory() as temporary, cluster(CACHE) as kubernetes:
        folder = Path(temporary)
        for version in ("1.0", "1.1"):
            kubernetes.load(images.web(folder, version))
        with controller(kubernetes, binaries):
            sides: list[Any] = [ArgoRollouts(kubernetes, binaries / "kubectl-argo-rollouts"), Ours(kubernetes, folder)]
            found: dict[str, list[tuple[float, float, int]]] = {one.name: [] for one in sides}
            for number in range(times):
                for one in sides:
                    found[one.name].append(measure(kubernetes, one))
                    out, whole, lost = found[one.name][-1]
                    print(
                        f"{number + 1} {one.name:<5} out after {out:.2f} s, restored after {whole:.2f} s, {lost} lost",
                        flush=True,
                    )
    for name, measured in found.items():
        outs, wholes, losses = zip(*measured, strict=True)
        print(
            f"{name:<5} out {statistics.median(outs):.2f} s (at most {max(outs):.2f}), "
            f"restored {statistics.median(wholes):.2f} s (at most {max(wholes):.2f}), {sum(losses)} lost, {times} times"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
