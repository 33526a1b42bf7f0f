"""Where a window is read in parts: records whose lines may go on in the next part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from airflow_cd.verification.logs.cleaning import clean_line
from airflow_cd.verification.logs.traces.joining import RecordJoiner
from airflow_cd.verification.times import milliseconds_of

if TYPE_CHECKING:
    import pandas as pd

_TAIL = 500  # lines of an instance in which its last record is looked for


def still_open(frame: pd.DataFrame) -> np.ndarray:
    """Which rows are of the last record of an instance, or as late as it: they are to be read with what follows.

    Equal lines of one moment are told apart by their number, so that all of a moment stay together.

    :param frame: of a :class:`~airflow_cd.verification.samples.LogSample`.
    :returns: a mask over its rows.
    """
    found = np.zeros(len(frame), dtype=bool)
    if not len(frame):
        return found
    times, messages = milliseconds_of(frame["time"]), frame["message"].to_numpy(dtype=object)
    for places in frame.groupby("instance", sort=False).indices.values():
        tail, joiner = places[-_TAIL:], RecordJoiner()
        joiner.feed(clean_line(messages[place], {}) for place in tail)
        start = min((begin for begin, _ in joiner.finish()), default=0)
        found[places[times[places] >= times[tail[start]]]] = True
    return found
