"""Telling log records apart, so that one which is read again is counted once."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from airflow_cd.verification.times import milliseconds_of

if TYPE_CHECKING:
    import pandas as pd

MOST = 2_000_000
"""Records of a source that are told apart, 16 bytes each; what is older than the newest of them is not read again."""

_AGAIN = np.uint64(0x9E3779B97F4A7C15)  # odd, so that every multiple is another number


class Counted:
    """The records that were counted.

    A record is known by the id that its source gives it; without one by its time, its instance and its text, and then
    as many are counted as one read holds of them.

    :param most: how many are remembered, the newest.
    :ivar floor_ms: records before this time, in milliseconds since 1970, are forgotten and cannot be told apart any
        more; None while all are remembered.
    """

    def __init__(self, most: int = MOST) -> None:
        self.floor_ms: int | None = None
        self._most = most
        self._ids = np.empty(0, dtype=np.uint64)
        self._times = np.empty(0, dtype=np.int64)
        self._seen: tuple[np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self._ids)

    def new(self, frame: pd.DataFrame) -> np.ndarray:
        """Which rows were not counted before; they are once :meth:`keep` is called.

        :param frame: of a :class:`~airflow_cd.verification.samples.LogSample`: everything its window holds.
        :returns: a mask over its rows.
        """
        self._seen = None
        if not len(frame):
            return np.zeros(0, dtype=bool)
        identities, times = identities_of(frame), milliseconds_of(frame["time"])
        mask = ~_among(identities, self._ids)
        if self.floor_ms is not None:
            mask &= times >= self.floor_ms
        # A source that gives an id twice in one read means one record.
        first = np.zeros(len(mask), dtype=bool)
        first[np.unique(identities, return_index=True)[1]] = True
        mask &= first
        self._seen = identities[mask], times[mask]
        return mask

    @property
    def fresh(self) -> np.ndarray:
        """Identities of the rows that :meth:`new` said last, in their order."""
        return self._seen[0] if self._seen is not None else np.empty(0, dtype=np.uint64)

    def keep(self) -> None:
        """Remember what :meth:`new` said last: it is counted now. What fails before is new again at the next read."""
        if self._seen is not None:
            self._remember(*self._seen)
            self._seen = None

    def _remember(self, identities: np.ndarray, times: np.ndarray) -> None:
        self._ids = np.concatenate([self._ids, identities])
        self._times = np.concatenate([self._times, times])
        if len(self._ids) > self._most:
            # Whole milliseconds are forgotten: of one that is remembered, every record is.
            newest = np.partition(self._times, len(self._times) - self._most)[len(self._times) - self._most]
            self.floor_ms = int(newest) + 1
            kept = self._times >= self.floor_ms
            self._ids, self._times = self._ids[kept], self._times[kept]
        order = np.argsort(self._ids, kind="stable")
        self._ids, self._times = self._ids[order], self._times[order]

    def forgotten_until(self, since: datetime) -> float | None:
        """Seconds since 1970 before which nothing can be read again; None where all of it can.

        :param since: when the watched time began.
        """
        if self.floor_ms is None or self.floor_ms <= since.timestamp() * 1000:
            return None
        return self.floor_ms / 1000


def identities_of(frame: pd.DataFrame) -> np.ndarray:
    """A number for each record that tells it apart from all others of its source.

    :param frame: of a :class:`~airflow_cd.verification.samples.LogSample`.
    """
    import pandas as pd

    by_text = _hash(frame["message"]) * np.uint64(3) ^ _hash(frame["instance"]) * np.uint64(5)
    times = pd.to_datetime(frame["time"], utc=True).dt.as_unit("ns")
    by_text ^= pd.util.hash_array(times.astype("int64").to_numpy())
    again = pd.Series(by_text).groupby(by_text, sort=False).cumcount().to_numpy().astype(np.uint64)
    by_text = by_text + again * _AGAIN
    if "id" not in frame.columns:
        return np.asarray(by_text)
    given = frame["id"].notna().to_numpy() & (frame["id"].astype(str) != "").to_numpy()
    return np.where(given, _hash(frame["id"].astype(str)), by_text)


def _hash(column: pd.Series) -> np.ndarray:
    import pandas as pd

    values = column.to_numpy(dtype=object)
    try:
        return np.asarray(pd.util.hash_array(values, categorize=False))
    except TypeError:  # texts and bytes mixed
        return np.asarray(pd.util.hash_array(np.asarray([repr(value) for value in values], dtype=object)))


def _among(identities: np.ndarray, known: np.ndarray) -> np.ndarray:
    if not len(known):
        return np.zeros(len(identities), dtype=bool)
    places = np.searchsorted(known, identities).clip(0, len(known) - 1)
    return np.asarray(known[places] == identities)
