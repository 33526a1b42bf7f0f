"""Rows of one metric as plain arrays: a judgement sums them up hundreds of times, which frames are too slow for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Rows:
    """Some rows of one metric; all arrays are of one length.

    :param time: start of the bucket, milliseconds since 1970.
    :param instance: position in ``instance_names``.
    :param group: position in ``group_names``.
    :param value: mean or number, as the metric's kind has it.
    :param count: requests.
    :param deviation: standard deviation of the measurements in a row, NaN where it is not known.
    :param instance_names: may hold names that no row is of; so may ``group_names``.
    """

    time: np.ndarray
    instance: np.ndarray
    group: np.ndarray
    value: np.ndarray
    count: np.ndarray
    instance_names: tuple[str, ...]
    group_names: tuple[str, ...]
    deviation: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.time)

    def where(self, chosen: np.ndarray) -> Rows:
        """The rows a mask chooses.

        :param chosen: a flag for each row.
        """
        return replace(
            self,
            time=self.time[chosen],
            instance=self.instance[chosen],
            group=self.group[chosen],
            value=self.value[chosen],
            count=self.count[chosen],
            deviation=None if self.deviation is None else self.deviation[chosen],
        )

    def scatter(self) -> tuple[float, float]:
        """Relative variance of one measurement within rows, and how many measurements are known to have it."""
        if self.deviation is None:
            return 0.0, 0.0
        known = np.isfinite(self.deviation) & (self.value > 0) & (self.count > 1)
        count = float(self.count[known].sum())
        square = (self.deviation[known] / self.value[known]) ** 2
        return (float((square * self.count[known]).sum()) / count if count else 0.0), count

    @property
    def requests(self) -> float:
        """Sum of the counts."""
        return float(self.count.sum())

    @property
    def total(self) -> np.ndarray:
        """Value times count of each row."""
        return np.asarray(self.value * self.count)

    def instances(self) -> list[int]:
        """Positions of the instances that have rows, by name."""
        return sorted((int(code) for code in np.unique(self.instance)), key=lambda code: self.instance_names[code])


def pair_of_rows(
    canary: pd.DataFrame, control: pd.DataFrame, metric: str, *, ignore_count: bool = False, negative: bool = False
) -> tuple[tuple[Rows, float], tuple[Rows, float]]:
    """Both sides' rows of a metric, with the same positions for the same groups, and the share that is unusable.

    Rows whose value or count is not a number are left out, and so are negative values, which are what is left of a
    counter that was reset. Where a metric is broken down by group, its rows without a group (a sum over them) are left
    out too.

    :param canary: rows of any metrics, as :class:`~airflow_cd.verification.samples.MetricSample` has them;
        ``control`` likewise.
    :param metric: name of the metric.
    :param ignore_count: count every row as one.
    :param negative: whether values may be negative.
    """
    import pandas as pd

    parts = [frame[frame["metric"] == metric] for frame in (canary, control)]
    both = pd.concat(parts, ignore_index=True)
    side = np.repeat([0, 1], [len(part) for part in parts])
    instance, instance_names = pd.factorize(both["instance"].astype(str), sort=True)
    group, group_names = pd.factorize(both["group"].astype(str), sort=True)
    time = pd.to_datetime(both["time"], utc=True).astype("datetime64[ms, UTC]").astype("int64").to_numpy()
    value = both["value"].to_numpy(dtype=float)
    count = np.ones(len(both)) if ignore_count else both["count"].to_numpy(dtype=float)
    deviation = both["deviation"].to_numpy(dtype=float) if "deviation" in both else None
    rows = Rows(time, instance, group, value, count, tuple(instance_names), tuple(group_names), deviation)
    chosen = np.array([bool(name) for name in group_names])[group] if any(group_names) else np.ones(len(both), bool)
    usable = np.isfinite(value) & np.isfinite(count) & (count >= 0) & (negative | (value >= 0))
    first, second = (
        (rows.where(usable & chosen & (side == code)), _share(~usable[chosen & (side == code)])) for code in (0, 1)
    )
    return first, second


def _share(chosen: np.ndarray) -> float:
    return float(chosen.mean()) if len(chosen) else 0.0


def summed(codes: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    """Sum of the values for each code below ``size``.

    :param codes: whole numbers from 0, one for each of ``values``.
    """
    return np.bincount(codes, weights=values, minlength=size)
