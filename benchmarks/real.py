"""Real faults: does verification see them in logs and metrics, and how often does it see one where there is none?

    python -m benchmarks.real FOLDER

The folder holds the TrainTicket data, see :mod:`benchmarks.nezha`. A service has one pod there, so there is no
control: a pod is compared with its own past.

*Logs*: the pod's lines in the minutes after an injection (the canary) against its lines in every other minute of that
day in which the fault was not in this very pod (the baseline, each fault's minutes one earlier deployment). The same
for minutes in which another pod had the fault, each held against the rest: a fault of one service shows in the logs
of those that call it, so this counts more alarms than are false.

*Metrics*: five minutes after the injection against the last twenty without any fault. Fault-free: the same in the
hours after the last fault of a day, at every half hour; every other one of them teaches the null, which judges the
others and the faults.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_quality
from airflow_cd.verification.metrics.performance import judge_performance, learn_performance
from airflow_cd.verification.metrics.profile import MetricProfile
from airflow_cd.verification.verdict import Verdict
from benchmarks.metric_peers import kayenta
from benchmarks.nezha import FAULT_LASTS, METRICS, Fault, LogFile, faults, log_files, metrics
from benchmarks.peers import drain3, has_drain3

_BEFORE, _WATCHED = 20, 5  # minutes
_LEAST_LINES = 20  # of a pod in a window, for it to be judged
_QUIET = 3  # windows of each pod in which the fault was elsewhere
_PEER = "Drain3, example masks: a cluster created"
_MINUTE = timedelta(minutes=1)


@dataclass
class Tally:
    """How often something was flagged, out of how many."""

    flagged: int = 0
    of: int = 0

    def add(self, flagged: bool) -> None:
        """Count one."""
        self.flagged += flagged
        self.of += 1

    def __str__(self) -> str:
        return f"{self.flagged} of {self.of}"


def main() -> None:
    """Run both and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=["logs", "metrics"], help="one of the two")
    options = parser.parse_args()
    folder: Path = options.folder
    known = faults(folder)
    if options.only != "metrics":
        _print("logs", _logs(known, log_files(folder)))
    if options.only != "logs":
        _print("metrics", _metrics(known, metrics(folder)))


def _print(title: str, table: dict[str, dict[str, Tally]]) -> None:
    kinds = sorted(
        {kind for row in table.values() for kind in row}, key=lambda kind: (kind.startswith("no fault"), kind)
    )
    print(f"| {title}: flagged | {' | '.join(kinds)} |\n|{'---|' * (len(kinds) + 1)}")
    for judge, row in table.items():
        print(f"| {judge} | {' | '.join(str(row.get(kind, '-')) for kind in kinds)} |")
    print(flush=True)


# -- logs ------------------------------------------------------------------------------------------------------


def _logs(known: Sequence[Fault], files: Sequence[LogFile]) -> dict[str, dict[str, Tally]]:
    """By judge and kind of fault."""
    windows = _windows(known, files)
    table: dict[str, dict[str, Tally]] = {"ours": {}} | ({_PEER: {}} if has_drain3() else {})
    for pod in sorted({fault.pod for fault, _ in windows if fault is not None}):
        day = [(fault, lines[pod]) for fault, lines in windows if len(lines.get(pod, ())) >= _LEAST_LINES]
        _judge_pod(pod, day, table)
    return table


def _judge_pod(pod: str, day: Sequence[tuple[Fault | None, list[str]]], table: dict[str, dict[str, Tally]]) -> None:
    """Hold each faulty window of a pod, and some quiet ones, against its other quiet ones."""
    profiles = [LogProfile.of(lines, instance=pod) for _, lines in day]
    faulty = {place: fault.kind for place, (fault, _) in enumerate(day) if fault is not None and fault.pod == pod}
    quiet = [place for place in range(len(day)) if place not in faulty]
    for place in [*faulty, *quiet[:: max(1, len(quiet) // _QUIET)][:_QUIET]]:
        kind = faulty.get(place, "no fault in this pod")
        others = [number for number in quiet if number != place]
        if len(others) < 3:
            continue
        quality = judge_quality(profiles[place], None, [profiles[number] for number in others])
        table["ours"].setdefault(kind, Tally()).add(quality.verdict is Verdict.FAIL)
        if _PEER in table:
            learned = (line for number in others for line in day[number][1])
            table[_PEER].setdefault(kind, Tally()).add(_clusters_created(learned, day[place][1]) > 0)


def _windows(known: Sequence[Fault], files: Sequence[LogFile]) -> list[tuple[Fault | None, dict[str, list[str]]]]:
    """The minutes of each fault together, with their lines by pod; None with those that have none."""
    windows: list[tuple[Fault | None, dict[str, list[str]]]] = [(None, file.lines) for file in files if not file.faulty]
    for fault in known:
        lines: dict[str, list[str]] = {}
        for file in files:
            if file.faulty and fault.at - _MINUTE < file.at <= fault.at + FAULT_LASTS - 2 * _MINUTE:
                for pod, some in file.lines.items():
                    lines.setdefault(pod, []).extend(some)
        if lines:
            windows.append((fault, lines))
    return windows


def _clusters_created(learned: Iterable[str], lines: Sequence[str]) -> int:
    miner = drain3(masks=True)
    for line in learned:
        miner.add_log_message(line)
    changes = Counter(miner.add_log_message(line)["change_type"] for line in lines)
    return changes["cluster_created"]


# -- metrics ---------------------------------------------------------------------------------------------------


def _metrics(known: Sequence[Fault], frames: dict[str, pd.DataFrame]) -> dict[str, dict[str, Tally]]:
    """By judge and kind of fault."""
    table: dict[str, dict[str, Tally]] = {"ours, null learned": {}, "ours, nothing learned": {}, "Kayenta": {}}
    for pod in sorted({fault.pod for fault in known} & set(frames)):
        frame = frames[pod]
        calm = _calm(known, frame)
        quiet = [at for at in _quiet(known, frame) if _sides(frame, calm, at) is not None]
        lessons = [
            learn_performance(ours, None, METRICS, 60_000, past) for ours, past in _pairs(frame, calm, quiet[::2])
        ]
        learned = MetricProfile.merge(*lessons)
        taught = {name: learned.taught(name) for name in learned.sums}
        cases = [(fault.kind, fault.at) for fault in known if fault.pod == pod]
        cases += [("no fault", at) for at in quiet[1::2]]
        for kind, at in cases:
            sides = _sides(frame, calm, at)
            if sides is None:
                continue
            ours, past = sides
            for name, lesson in (("ours, null learned", taught), ("ours, nothing learned", None)):
                verdict = judge_performance(ours, None, past, METRICS, taught=lesson).verdict
                table[name].setdefault(kind, Tally()).add(verdict is Verdict.FAIL)
            table["Kayenta"].setdefault(kind, Tally()).add(_kayenta(ours, past))
    return table


def _quiet(known: Sequence[Fault], frame: pd.DataFrame) -> list[datetime]:
    """Every half hour after the last fault of the frame's day."""
    first, last = frame["time"].min(), frame["time"].max()
    ended = max((fault.at for fault in known if first <= fault.at <= last), default=first) + 2 * FAULT_LASTS
    starts = pd.date_range(pd.Timestamp(ended) + _BEFORE * _MINUTE, last - _WATCHED * _MINUTE, freq="30min")
    return [start.to_pydatetime() for start in starts]


def _pairs(
    frame: pd.DataFrame, calm: pd.DataFrame, moments: Iterable[datetime]
) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    return [sides for sides in (_sides(frame, calm, at) for at in moments) if sides is not None]


def _calm(known: Sequence[Fault], frame: pd.DataFrame) -> pd.DataFrame:
    """The minutes in which no pod has a fault."""
    calm = pd.Series(True, index=frame.index)
    for fault in known:
        calm &= ~frame["time"].between(pd.Timestamp(fault.at).floor("min"), pd.Timestamp(fault.at + FAULT_LASTS))
    return frame[calm]


def _sides(frame: pd.DataFrame, calm: pd.DataFrame, at: datetime) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """The minutes after, and the last calm ones before; None where there are too few."""
    start = pd.Timestamp(at).floor("min") + _MINUTE
    ours = frame[(frame["time"] >= start) & (frame["time"] < start + _WATCHED * _MINUTE)]
    past = calm[calm["time"] < start - _MINUTE]
    past = past[past["time"].isin(np.sort(past["time"].unique())[-_BEFORE:])]
    return (ours, past) if ours["time"].nunique() == _WATCHED and past["time"].nunique() == _BEFORE else None


def _kayenta(ours: pd.DataFrame, past: pd.DataFrame) -> bool:
    for metric in METRICS:
        values = []
        for side in (ours, past):
            rows = side[side["metric"] == metric.name].sort_values("time")
            values.append(rows["value"].dropna().to_numpy()[None, :])
        if min(value.shape[1] for value in values) >= 3 and kayenta(values[0], values[1], metric.direction)[0]:
            return True
    return False


if __name__ == "__main__":
    main()
