"""The rows of one metric on one side, and what is asked of them more than once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from airflow_cd.verification.metrics.series.tables import milliseconds, runs

if TYPE_CHECKING:
    import pandas as pd


class Side:
    """The rows of one side that hold a number.

    :param frame: rows of one metric.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame[frame["value"].notna()]

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def times(self) -> np.ndarray:
        """In milliseconds since 1970."""
        return milliseconds(self.frame)

    @cached_property
    def numbers(self) -> np.ndarray:
        """As the rows have them."""
        return np.asarray(self.frame["value"].to_numpy(dtype=float))

    @cached_property
    def finite(self) -> np.ndarray:
        """The values that are no infinities."""
        return np.asarray(self.numbers[np.isfinite(self.numbers)])

    @cached_property
    def runs(self) -> list[np.ndarray]:
        """Positions of the rows of each series, in the order of time."""
        return runs(self.frame)

    @cached_property
    def gaps(self) -> np.ndarray:
        """Times between neighbours of each series, in milliseconds."""
        steps = [np.diff(self.times[run]) for run in self.runs]
        return np.concatenate(steps) if steps else np.zeros(0)

    @property
    def gap(self) -> float:
        """The usual one of these; 0 where there is none."""
        return float(np.median(self.gaps)) if len(self.gaps) else 0.0

    @cached_property
    def steps(self) -> np.ndarray:
        """Differences between neighbours of each series."""
        steps = [np.diff(self.numbers[run]) for run in self.runs]
        return np.concatenate(steps) if steps else np.zeros(0)

    def longest_idle(self, until: int) -> int:
        """The most rows in a row without a request, over all instances together.

        :param until: the last time that counts, in milliseconds.
        """
        counts = self.frame[self.times <= until].groupby("time")["value"].sum().to_numpy(dtype=float)
        busy = np.flatnonzero(np.concatenate([[True], counts > 0, [True]]))
        return int(np.diff(busy).max() - 1)
