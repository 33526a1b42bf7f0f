"""Real metrics as rollouts: windows before and after a labelled fault, and windows in which nothing was done.

Development: TrainTicket (the days of 2023 in Nezha) and servers of Amazon's cloud (NAB). Held out: Online Boutique (the
days of 2022 in Nezha) and Sock Shop (azamikram/rcd). Columns keep the names that they have there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.public_files import Repository
from benchmarks.public_logs import NEZHA, Split

NAB = Repository("numenta/NAB", "ea702d75cc2258d9d7dd35ca8e5e2539d71f3140", "AGPL-3.0")
SOCK_SHOP = Repository("azamikram/rcd", "373882c6982db7a999ec1ff99ea54c644a48b409", "none stated for the data")

BEFORE, AFTER = 20, 5  # minutes of Nezha before and after an injection
LONG_BEFORE, LONG_AFTER = 60, 15  # minutes of a quiet window that is as long as a canary is watched
_NAB_BEFORE, _NAB_AFTER = 96, 24  # buckets of five minutes: eight hours, two hours
_NAB_WINDOWS = 6  # windows of each file without any anomaly
_SETTLED = pd.Timedelta("30min")  # after the last fault of a day
_QUIET_EVERY = pd.Timedelta("2h")
_DAYS: tuple[tuple[str, Split], ...] = (
    ("2022-08-22", "held out"),
    ("2022-08-23", "held out"),
    ("2023-01-29", "development"),
    ("2023-01-30", "development"),
)
# What is no signal of the pod itself, or no signal.
_LEFT_OUT = ("Time", "TimeStamp", "PodName", "NodeCpuUsageRate(%)", "NodeMemoryUsageRate(%)", "NodeNetworkReceiveBytes")


@dataclass(frozen=True)
class Rollout:
    """A window before a change and one after it; a column of time, and one for each metric.

    :param fault: what was done, ``""`` for nothing.
    """

    source: str
    name: str
    before: pd.DataFrame
    after: pd.DataFrame
    fault: str = ""

    @property
    def has_data(self) -> bool:
        """Whether either side has at least one metric with three values."""
        columns = [column for column in self.before if column != "time"]
        return any(min(self.before[column].count(), self.after[column].count()) >= 3 for column in columns)


def wanted(repository: Repository, path: str) -> bool:
    """Whether a file of a repository is needed here."""
    if repository == NEZHA:
        return path.startswith("rca_data/") and ("/metric/" in path or path.endswith("-fault_list.json"))
    if repository == NAB:
        return path.startswith("data/realAWSCloudwatch/") or path == "labels/combined_labels.json"
    return path.startswith("sock-shop-data/") and path.endswith(".csv")


def rollouts(split: Split) -> Iterator[Rollout]:
    """All of a split, in a fixed order; raises SystemExit with the way to get the data where they are absent."""
    for repository in (NEZHA, NAB, SOCK_SHOP):
        if not repository.folder.exists() or not any(wanted(repository, path) for path in _paths(repository)):
            raise SystemExit(f"{repository.address} is not here: python -m benchmarks.real_metrics --get")
    for day, its in _DAYS:
        if its == split:
            yield from _nezha(NEZHA.folder / "rca_data" / day, "TrainTicket" if day > "2023" else "Online Boutique")
    yield from _cloudwatch() if split == "development" else _sock_shop()


def _paths(repository: Repository) -> Iterator[str]:
    return (str(path.relative_to(repository.folder)) for path in repository.folder.rglob("*") if path.is_file())


# -- Nezha -----------------------------------------------------------------------------------------------------


def _nezha(folder: Path, source: str) -> Iterator[Rollout]:
    """A fault's own pod around its injection; each such pod every two hours, once the day's faults are over."""
    rows = json.loads((folder / f"{folder.name}-fault_list.json").read_text())
    faults = [
        (pd.Timestamp(row["inject_time"], tz="UTC"), row["inject_pod"], row["inject_type"])
        for hour in rows.values()
        for row in hour
    ]
    frames = {pod: _pod(folder / "metric" / f"{pod}_metric.csv") for pod in sorted({pod for _, pod, _ in faults})}
    for at, pod, kind in sorted(faults):
        found = _around(frames[pod], at)
        others = [other for other, its, _ in faults if its == pod and other != at]
        # What the same pod had suffered just before is no baseline.
        while any(found[0]["time"].between(other, other + pd.Timedelta("5min")).any() for other in others):
            hurt = max(other for other in others if other < at)
            found = found[0][found[0]["time"] > hurt + pd.Timedelta("5min")], found[1]
            others.remove(hurt)
        yield Rollout(source, f"{pod} {at:%m-%d %H:%M}", *found, fault=kind)
    quiet = max(at for at, _, _ in faults) + _SETTLED
    for pod, frame in frames.items():
        at = quiet + pd.Timedelta(minutes=BEFORE)
        while at + pd.Timedelta(minutes=AFTER) < frame["time"].max():
            yield Rollout(source, f"{pod} {at:%m-%d %H:%M}", *_around(frame, at))
            at += _QUIET_EVERY
        # The same for as long as a canary is usually watched.
        at = quiet + pd.Timedelta(minutes=LONG_BEFORE)
        while at + pd.Timedelta(minutes=LONG_AFTER) < frame["time"].max():
            windows = _around(frame, at, LONG_BEFORE, LONG_AFTER)
            yield Rollout(f"{source}, {LONG_AFTER} min", f"{pod} {at:%m-%d %H:%M}", *windows)
            at += _QUIET_EVERY


def _pod(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path)
    # One pod's TimeStamp is years ahead of its Time.
    time = pd.to_datetime(frame["Time"].str[:19], utc=True)
    found: pd.DataFrame = frame.drop(columns=[name for name in _LEFT_OUT if name in frame]).assign(time=time)
    ordered: pd.DataFrame = found.sort_values("time")
    return ordered


def _around(
    frame: pd.DataFrame, at: pd.Timestamp, before: int = BEFORE, after: int = AFTER
) -> tuple[pd.DataFrame, pd.DataFrame]:
    began, ended = at - pd.Timedelta(minutes=before), at + pd.Timedelta(minutes=after)
    return frame[frame["time"].between(began, at, "left")], frame[frame["time"].between(at, ended, "right")]


# -- NAB -------------------------------------------------------------------------------------------------------


def _cloudwatch() -> Iterator[Rollout]:
    """Two hours from each labelled anomaly on, and windows at even distances that are far from all of them."""
    labels = json.loads((NAB.folder / "labels" / "combined_labels.json").read_text())
    for path in sorted((NAB.folder / "data" / "realAWSCloudwatch").glob("*.csv")):
        frame = pd.read_csv(path, parse_dates=["timestamp"]).rename(columns={"timestamp": "time"})
        metric = path.stem.rpartition("_")[0]
        frame = frame.rename(columns={"value": metric}).assign(time=frame["time"].dt.tz_localize("UTC"))
        marks = [pd.Timestamp(text, tz="UTC") for text in labels[f"realAWSCloudwatch/{path.name}"]]
        places = [int(frame["time"].searchsorted(mark)) for mark in marks]
        for place in places:
            if place >= _NAB_BEFORE:
                before, after = frame[place - _NAB_BEFORE : place], frame[place : place + _NAB_AFTER]
                yield Rollout("CloudWatch", f"{path.stem} at {place}", before, after, fault="anomaly")
        whole = _NAB_BEFORE + _NAB_AFTER
        starts = [number * (len(frame) - whole) // (_NAB_WINDOWS - 1) for number in range(_NAB_WINDOWS)]
        for start in starts:
            if not any(start - whole < place < start + whole + _NAB_AFTER for place in places):
                middle = start + _NAB_BEFORE
                after = frame[middle : middle + _NAB_AFTER]
                yield Rollout("CloudWatch", f"{path.stem} from {start}", frame[start:middle], after)


# -- Sock Shop -------------------------------------------------------------------------------------------------


def _sock_shop() -> Iterator[Rollout]:
    """A fault's own service before and during it; the halves of what came before, of the service and of everything."""
    folder = SOCK_SHOP.folder / "sock-shop-data"
    for path in sorted(folder.glob("*/*/normal.csv")):
        service, _, fault = path.parts[-3].rpartition("-")
        normal, anomalous = (_seconds(path.with_name(name)) for name in ("normal.csv", "anomalous.csv"))
        own = ["time", *(column for column in map(str, normal) if column.split("_", maxsplit=1)[0] == service)]
        name = f"{path.parts[-3]} {path.parts[-2]}"
        yield Rollout("Sock Shop", name, normal[own], anomalous[own], fault=fault)
        half = len(normal) // 2
        yield Rollout("Sock Shop", f"{name}, {service}", normal[own][:half], normal[own][half:])
        yield Rollout("Sock Shop, all", f"{name}, all", normal[:half], normal[half:])


def _seconds(path: Path) -> pd.DataFrame:
    frame: pd.DataFrame = pd.read_csv(path)
    frame["time"] = pd.to_datetime(frame["time"], unit="s", utc=True)
    return frame
