"""Rows laid out over time: by instance and bucket, and by instance, group and bucket."""

from __future__ import annotations

import numpy as np

from airflow_cd.verification.metrics.cells import Cells
from airflow_cd.verification.metrics.rows import Rows, summed
from airflow_cd.verification.metrics.shape import Moments

_CHANCE_OF_A_GAP = 10.0  # requests that would have been in it: fewer may be missing by chance


def cells_of(
    rows: Rows, total: np.ndarray, expected: np.ndarray, count: np.ndarray, times: np.ndarray | None = None
) -> Cells:
    """Rows laid out by instance and bucket.

    :param rows: of one side.
    :param total: for each row what was measured; ``expected`` and ``count`` as :class:`Cells` has them.
    :param times: of the buckets, ascending; None for those of the rows.
    """
    times = np.unique(rows.time) if times is None else times
    codes, instance = np.unique(rows.instance, return_inverse=True)
    cell = instance * len(times) + np.searchsorted(times, rows.time)
    shape = (len(codes), len(times))
    return Cells(*(summed(cell, values, len(codes) * len(times)).reshape(shape) for values in (total, expected, count)))


def own_level(rows: Rows, usual: np.ndarray) -> np.ndarray:
    """For each row how many times what is usual its instance is at, at least 1.

    :param rows: of one side.
    :param usual: for each row what is usual.
    """
    ratio = np.divide(rows.value, usual, out=np.ones(len(rows)), where=usual > 0)
    level = np.ones(len(rows))
    for code in np.unique(rows.instance):
        own = rows.instance == code
        level[own] = max(1.0, float(np.median(ratio[own])))
    return level


def series_codes(rows: Rows) -> np.ndarray:
    """Which series each row is of: its instance and group as one number.

    :param rows: of one side.
    """
    return np.asarray(rows.instance * max(1, len(rows.group_names)) + rows.group)


def moments_of(rows: Rows) -> tuple[Moments, np.ndarray]:
    """The rows as a series for each instance and group, in the order of their codes, and the group of each series.

    :param rows: of one side.
    """
    times = np.unique(rows.time)
    codes, series = np.unique(series_codes(rows), return_inverse=True)
    cell = series * len(times) + np.searchsorted(times, rows.time)
    shape = (len(codes), len(times))
    count, total = (summed(cell, values, len(codes) * len(times)) for values in (rows.count, rows.total))
    value = np.divide(total, count, out=np.zeros(len(count)), where=count > 0).reshape(shape)
    return Moments(value, value > 0), codes % max(1, len(rows.group_names))


def width_of(times: np.ndarray) -> int:
    """Width of a bucket in milliseconds: the least distance of two; 0 with fewer.

    :param times: starts of buckets, milliseconds since 1970.
    """
    steps = np.diff(np.unique(times))
    return int(steps.min()) if len(steps) else 0


def came_back(rows: Rows, width: int, *, gauge: bool) -> np.ndarray:
    """Flags the rows of the bucket in which an instance came back from a silence that chance does not explain.

    :param rows: of one side.
    :param width: of a bucket in milliseconds; with 0 none is flagged.
    :param gauge: whether rows rest on no requests: then two buckets without any are a silence.
    """
    chosen = np.zeros(len(rows), dtype=bool)
    if not width:
        return chosen
    for code in np.unique(rows.instance):
        own = rows.instance == code
        times, bucket = np.unique(rows.time[own], return_inverse=True)
        if len(times) < 3:
            continue
        usual = float(np.median(summed(bucket, rows.count[own], len(times))))
        missing = np.diff(times) // width - 1
        enough = missing >= 2 if gauge else missing * usual >= _CHANCE_OF_A_GAP
        chosen |= own & np.isin(rows.time, times[1:][(missing >= 1) & enough])
    return chosen
