"""The labelled faults of a TrainTicket installation (Nezha, 2023): its console logs, its pods' metrics, its faults.

A folder holds ``*-fault_list.json``, ``metrics_*.tar.gz`` and ``trainticket_logs.tsv.gz``. The faults' ``inject_time``
and the metrics' ``Time`` are UTC; the time inside console lines is eight hours ahead, the time beside them is UTC.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd

from airflow_cd.verification.samples import METRIC_COLUMNS, Metric

FAULT_LASTS = timedelta(minutes=5)  # at most, from its injection on
_LATENCIES = {
    f"Pod{side}LatencyP{q}(s)": f"{side.lower()}_latency.p{q}" for side in ("Client", "Server") for q in (90, 95)
}
_GAUGES = {
    "CpuUsage(m)": "cpu",
    "MemoryUsage(Mi)": "memory",
    "NetworkReceiveBytes": "network_in",
    "NetworkTransmitBytes": "network_out",
}
METRICS = (
    *(Metric(name, "latency", unit="s") for name in _LATENCIES.values()),
    *(Metric(name, "gauge") for name in _GAUGES.values()),
)
_LOG_FILE = re.compile(r"(\d{4}-\d\d-\d\d)/log/(\d\d)_(\d\d)_log")


@dataclass(frozen=True)
class Fault:
    """A fault that was injected into one pod."""

    at: datetime
    pod: str
    kind: str


def faults(folder: Path) -> list[Fault]:
    """All faults, oldest first."""
    found = []
    for path in sorted(folder.glob("*-fault_list.json")):
        for hour in json.loads(path.read_text()).values():
            for row in hour:
                at = datetime.strptime(row["inject_time"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
                found.append(Fault(at, row["inject_pod"], row["inject_type"]))
    return sorted(found, key=lambda fault: fault.at)


def metrics(folder: Path) -> dict[str, pd.DataFrame]:
    """For each pod its rows, as a metric source would hand them out, a bucket a minute."""
    frames: dict[str, pd.DataFrame] = {}
    for path in sorted(folder.glob("metrics_*.tar.gz")):
        with tarfile.open(path) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.name.endswith("_metric.csv") else None
                if content is not None:
                    frame = _rows(pd.read_csv(io.BytesIO(content.read())))
                    if len(frame):
                        frames[frame["instance"].iloc[0]] = frame
    return frames


def _rows(read: pd.DataFrame) -> pd.DataFrame:
    if not {"Time", "PodName", *_LATENCIES, *_GAUGES} <= set(read.columns) or not len(read):
        return pd.DataFrame(columns=list(METRIC_COLUMNS))
    time = pd.to_datetime(read["Time"].str.slice(0, 19), utc=True).dt.floor("min")
    requests = (read["PodWorkload(Ops)"] * 60.0).round()
    parts = []
    for column, name in {**_LATENCIES, **_GAUGES}.items():
        count = requests if column in _LATENCIES else np.ones(len(read))
        part = {
            "time": time,
            "instance": read["PodName"],
            "metric": name,
            "group": "",
            "value": read[column],
            "count": count,
        }
        parts.append(pd.DataFrame(part))
    frame = pd.concat(parts, ignore_index=True)
    return frame.drop_duplicates(["time", "metric"])


@dataclass(frozen=True)
class LogFile:
    """The console lines of all pods in one minute."""

    at: datetime
    faulty: bool
    lines: dict[str, list[str]]


def log_files(folder: Path) -> list[LogFile]:
    """All minutes of logs there are; those of the ``construct_data`` are without any fault."""
    found: dict[str, dict[str, list[str]]] = {}
    with gzip.open(folder / "trainticket_logs.tsv.gz", "rt", encoding="utf-8", errors="replace", newline="") as lines:
        for source, _, pod, message in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            text = message.replace("\\n", "\n").replace("\\t", "\t")
            found.setdefault(source, {}).setdefault(pod, []).append(text)
    return sorted(_log_files(found), key=lambda file: file.at)


def _log_files(found: dict[str, dict[str, list[str]]]) -> Iterator[LogFile]:
    for source, pods in found.items():
        named = _LOG_FILE.search(source)
        if named:
            at = datetime.strptime(" ".join(named.groups()), "%Y-%m-%d %H %M").replace(tzinfo=timezone.utc)
            # Lines come newest first.
            yield LogFile(at, not source.startswith("construct"), {pod: lines[::-1] for pod, lines in pods.items()})
