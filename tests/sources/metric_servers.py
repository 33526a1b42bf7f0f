"""Real servers of metrics, with what happened in the past put into them: Prometheus, VictoriaMetrics."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from airflow_cd.demo.serving import listen

USER, PASSWORD = "verifier", "scrape"
HASHED = "$2b$04$f8cRvVJgm7gRiED6RqWituCkFQVlmwRr0XUnVOk6rNAxsi3OsZT0m"
START_SECONDS = 30.0


@dataclass
class Scraped:
    """What was scraped: series of samples."""

    series: list[tuple[str, Mapping[str, str], Sequence[tuple[float, float]]]] = field(default_factory=list)

    def add(self, name: str, samples: Sequence[tuple[float, float]], **labels: str) -> None:
        self.series.append((name, labels, samples))

    def lines(self, milliseconds: bool) -> Iterator[str]:
        for name, labels, samples in self.series:
            inside = ",".join(f'{label}="{_escaped(value)}"' for label, value in labels.items())
            for at, value in samples:
                text = {"inf": "+Inf", "nan": "NaN"}.get(str(value), str(value))
                yield f"{name}{{{inside}}} {text} {round(at * 1000) if milliseconds else at}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def missing(*commands: str) -> str:
    """Which of the commands are not on this machine."""
    absent = [command for command in commands if shutil.which(command) is None]
    return f"there is no {', '.join(absent)} on this machine" if absent else ""


@contextmanager
def running(
    command: Sequence[str],
    ready: str,
    folder: Path,
    *,
    seconds: float = START_SECONDS,
    pause: float = 0.02,
    **options: object,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until it is done with; it is stopped by its own process id.

    :param command: that starts it.
    :param ready: the URL, or host and port, that answers once it has started.
    :param folder: for its log.
    :param seconds: that it may take for it; :data:`START_SECONDS` by default.
    :param pause: seconds between two questions whether it has.
    :param options: of the requests.
    :raises RuntimeError: it has ended, or takes longer.
    """
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        deadline = time.monotonic() + seconds
        while True:
            try:
                if "://" not in ready:
                    host, _, port = ready.partition(":")
                    socket.create_connection((host, int(port)), timeout=1).close()
                    break
                if requests.get(ready, timeout=1, **options).status_code < 500:  # type: ignore[arg-type]
                    break
            except (requests.ConnectionError, OSError):
                pass
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not answer: {(folder / 'log').read_text()[-2000:]}")
            time.sleep(pause)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    with listen(0) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def scraping(target: str, folder: Path) -> Iterator[str]:
    """A Prometheus that scrapes one target every second; its address.

    :param target: host and port; its path is ``/metrics``.
    :param folder: for what it keeps.
    """
    jobs = [{"job_name": "shop", "scrape_interval": "1s", "static_configs": [{"targets": [target]}]}]
    (folder / "prometheus.yml").write_text(json.dumps({"scrape_configs": jobs}))
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/-/ready", folder):
        yield url


@contextmanager
def prometheus(scraped: Scraped, folder: Path, *, guarded: bool = False) -> Iterator[str]:
    """A Prometheus over past data; its address."""
    text = folder / "data.txt"
    names = sorted({name for name, _, _ in scraped.series})
    blocks = []
    for name in names:
        own = Scraped([one for one in scraped.series if one[0] == name])
        blocks.append(f"# TYPE {name} unknown\n" + "".join(f"{line}\n" for line in own.lines(milliseconds=False)))
    text.write_text("".join(blocks) + "# EOF\n")
    data = folder / "data"
    made = ["promtool", "tsdb", "create-blocks-from", "openmetrics", text, data]
    subprocess.run(made, check=True, capture_output=True)
    (folder / "prometheus.yml").write_text("global: {}\n")
    (folder / "web.yml").write_text(f"basic_auth_users:\n  {USER}: {HASHED}\n" if guarded else "{}\n")
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=10y",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--web.config.file={folder}/web.yml",
    ]
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/-/ready", folder, auth=(USER, PASSWORD) if guarded else None):
        yield url


@contextmanager
def victoria_metrics(scraped: Scraped, folder: Path) -> Iterator[str]:
    """A VictoriaMetrics over past data; its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        "victoria-metrics",
        f"-storageDataPath={folder}/data",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=10y",
    ]
    with running(command, f"{url}/health", folder):
        body = "".join(f"{line}\n" for line in scraped.lines(milliseconds=True))
        requests.post(f"{url}/api/v1/import/prometheus", data=body.encode(), timeout=30).raise_for_status()
        requests.get(f"{url}/internal/force_flush", timeout=30).raise_for_status()
        yield url


@contextmanager
def influx_db(folder: Path) -> Iterator[str]:
    """An InfluxDB 1 whose :data:`USER` may do everything, and which holds nothing yet; its address."""
    port, other = free_port(), free_port()
    (folder / "influxdb.conf").write_text(
        f"""reporting-disabled = true
bind-address = "127.0.0.1:{other}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
[http]
bind-address = "127.0.0.1:{port}"
auth-enabled = true
"""
    )
    url = f"http://127.0.0.1:{port}"
    with running(["influxd", "-config", f"{folder}/influxdb.conf"], f"{url}/ping", folder):
        made = f"CREATE USER {USER} WITH PASSWORD '{PASSWORD}' WITH ALL PRIVILEGES"
        requests.post(f"{url}/query", data={"q": made}, timeout=10).raise_for_status()
        yield url
