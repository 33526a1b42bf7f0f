"""What is written only where there is something: rows that are not there and mean nothing happened."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_cd.verification.metrics.series.tables import Frames, Table, milliseconds, runs

if TYPE_CHECKING:
    import pandas as pd

_DENSE = 0.9  # of the moments at which the other metrics are there: then every one is to be expected


def filled(table: Table, all_rows: Frames) -> Table:
    """Zeros where a number of events has no row although the other metrics of that time and instance are there.

    Some sources write a row only where there was an event (CloudWatch's 5XX counts, counters whose labels appear with
    the first of them). That is so if no zero is ever written and, on the side that is compared with, rows are missing.

    :param table: one metric on all sides, its counters differenced.
    :param all_rows: the rows of all metrics by side.
    """
    metric = table.metric
    if metric.kind not in ("errors", "count") or any(
        frame["group"].astype(bool).any() for frame in table.frames.values()
    ):
        return table
    values = table.values()
    if not len(values) or (values <= 0).any():
        return table
    written = table
    table = replace(table, frames={side: frame[frame["value"].notna()] for side, frame in table.frames.items()})
    grids = {side: _moments(all_rows[side], metric.name) for side in table.frames}
    missing = {side: grid[~_there(grid, table.frames[side])] for side, grid in grids.items()}
    bad = metric.direction == "higher_is_worse"
    others = [side for side in table.frames if side != "canary"]
    for side in others:
        present = 1.0 - len(missing[side]) / len(grids[side]) if len(grids[side]) else 1.0
        if present >= _DENSE or (not bad and not len(table.frames[side])):
            return written
    if not others or not any(len(rows) for rows in missing.values()):
        return written
    frames = {side: _with_zeros(frame, missing[side], metric.name) for side, frame in table.frames.items()}
    return table.read_as(frames, "0 where it has no row")


def paced(table: Table) -> Table:
    """A metric that both sides measure at every second or tenth of a table's times, without the empty values between.

    :param table: one metric on all sides.
    """
    if not all(frame["value"].isna().any() and _at_a_pace(frame) for frame in table.frames.values() if len(frame)):
        return table
    frames = {side: frame[frame["value"].notna()] for side, frame in table.frames.items()}
    return replace(table, frames=frames)


def _at_a_pace(frame: pd.DataFrame) -> bool:
    """Whether in every series the rows that hold a number are evenly apart."""
    there = frame["value"].notna().to_numpy()
    for run in runs(frame):
        places = np.flatnonzero(there[run])
        steps = np.diff(places)
        if len(steps) < 2 or np.any(steps != steps[0]) or places[0] >= steps[0] or len(run) - places[-1] > steps[0]:
            return False
    return True


def _moments(frame: pd.DataFrame, metric: str) -> Any:
    """Times and instances at which the metric that is there most often is there, apart from this one."""
    others = frame[(frame["metric"] != metric) & frame["value"].notna()]
    if not len(others):
        return others[["time", "instance"]]
    most = others["metric"].value_counts().index[0]
    return others.loc[others["metric"] == most, ["time", "instance"]].drop_duplicates()


def _there(grid: pd.DataFrame, rows: pd.DataFrame) -> np.ndarray:
    import pandas as pd

    wanted, known = (
        pd.MultiIndex.from_arrays([milliseconds(frame), frame["instance"].astype(str)]) for frame in (grid, rows)
    )
    return np.asarray(wanted.isin(known))


def _with_zeros(frame: pd.DataFrame, missing: pd.DataFrame, metric: str) -> pd.DataFrame:
    import pandas as pd

    if not len(missing):
        return frame
    zeros = missing.assign(metric=metric, group="", value=0.0, count=np.nan)
    together: pd.DataFrame = pd.concat([frame, zeros[list(frame.columns)]], ignore_index=True)
    return together
