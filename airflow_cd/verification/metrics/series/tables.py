"""The rows of one metric, series by series, as the steps of reading pass them on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from airflow_cd.verification.samples import Metric

if TYPE_CHECKING:
    import pandas as pd

Frames = Mapping[str, "pd.DataFrame"]
"""Rows by side: ``canary``, and ``control`` and ``before`` as far as there are any."""


@dataclass(frozen=True)
class Table:
    """One metric on all sides while it is read.

    :param metric: what is known of it.
    :param frames: its rows by side.
    :param assumed: what was read out of its values, in words.
    :param factor: what its values were multiplied by since they were written: 0.01 for a share in per cent.
    """

    metric: Metric
    frames: Frames
    assumed: tuple[str, ...] = field(default=())
    factor: float = 1.0

    def read_as(self, frames: Frames, words: str = "", *, factor: float = 1.0, **known: object) -> Table:
        """The same after a step.

        :param frames: its rows now.
        :param words: what the step took for granted.
        :param factor: what the step multiplied its values by.
        :param known: what it found out of the metric.
        """
        assumed = (*self.assumed, words) if words else self.assumed
        metric = replace(self.metric, **known) if known else self.metric  # type: ignore[arg-type]
        return Table(metric, frames, assumed, self.factor * factor)

    def values(self) -> np.ndarray:
        """The finite values of all sides."""
        values = [frame["value"].to_numpy(dtype=float) for frame in self.frames.values()]
        both = np.concatenate(values) if values else np.zeros(0)
        return both[np.isfinite(both)]


def milliseconds(frame: pd.DataFrame) -> np.ndarray:
    """The times of rows in milliseconds since 1970.

    :param frame: with a column ``time``.
    """
    import pandas as pd

    return np.asarray(pd.to_datetime(frame["time"], utc=True).astype("datetime64[ms, UTC]").astype("int64"))


def runs(frame: pd.DataFrame) -> list[np.ndarray]:
    """Positions of the rows of each series (an instance and a group), in the order of time.

    :param frame: rows of one metric.
    """
    import pandas as pd

    if not len(frame):
        return []
    instance, group = (pd.factorize(frame[name].to_numpy(dtype=object))[0] for name in ("instance", "group"))
    code = instance * (int(group.max()) + 1) + group
    order = np.lexsort((milliseconds(frame), code))
    ends = np.flatnonzero(np.diff(code[order])) + 1
    return list(np.split(order, ends))


def usual_gap(frame: pd.DataFrame) -> float:
    """Seconds between two rows of one series, as a rule; 0 where no series has two.

    :param frame: rows of one metric.
    """
    times = milliseconds(frame)
    steps = [np.diff(times[run]) for run in runs(frame)]
    together = np.concatenate(steps) if steps else np.zeros(0)
    return float(np.median(together)) / 1000.0 if len(together) else 0.0
