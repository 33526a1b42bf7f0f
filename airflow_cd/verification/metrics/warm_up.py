"""Processes that have just started are slow and busy for reasons of their own: what of that is no regression.

Nobody knows beforehand how long it takes, so several lengths are tried, from none to the longest that is allowed. A
change counts only if it shows whichever of them is left out: what is gone after any of them was warm-up, what stays
is none. While the warm-up lasts a release that is merely slow cannot be told from one that warms up; how much less
evidence the time after it needs (:data:`DISCOUNT`) says how rarely a process is slow for exactly so long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from airflow_cd.verification.metrics.rows import Rows
from airflow_cd.verification.metrics.weighing import Weighed

LONGEST = 120_000  # milliseconds: two minutes, in which most of a start is over
PART = 0.3  # of the time watched: what has gone after so much of it is warm-up too, however long that is
DISCOUNT = 3.0  # of the logarithm of the evidence, for leaving out the longest warm-up
_LENGTHS = (0.0, 1 / 6, 1 / 3, 2 / 3, 1.0)  # of the longest
_RESTARTS = 2  # of an instance that are forgiven: one that starts again and again never warms up


def lengths(watched: float, width: float, warm_up: float, *, slow: bool = True) -> list[tuple[float, float]]:
    """Lengths of a warm-up to be tried, each with what it takes off the evidence that is needed.

    :param watched: how long the canary has been there; ``width`` of a bucket and ``warm_up``, the longest that is
        allowed, in the same unit.
    :param slow: whether it may take longer, up to :data:`PART` of the time, as a cache that fills does.
    """
    width = max(width, 1e-9)
    known = min(warm_up, PART * watched) if warm_up > watched else warm_up
    longest = max(warm_up, PART * watched) if slow else warm_up
    tried = {0.0: 0.0}
    for base in (warm_up, longest):
        for part in _LENGTHS:
            length = np.ceil(part * base / width - 1e-9) * width
            if length > 0:
                tried[float(length)] = DISCOUNT * min(1.0, length / max(warm_up, known, width))
    return sorted(tried.items())


@dataclass(frozen=True)
class Lives:
    """When the processes behind the instances started.

    :param starts: by the position of an instance, milliseconds since 1970, ascending.
    """

    starts: Mapping[int, np.ndarray]

    @classmethod
    def of(cls, rows: Rows, restarted: np.ndarray, since: int | None = None) -> Lives:
        """Find them.

        :param rows: of one side.
        :param restarted: flags the rows at which an instance came back.
        :param since: an instance that was there by then (and a bucket later) is an old one; None if all are new.
        """
        found = {}
        for code in np.unique(rows.instance):
            own = rows.instance == code
            first = int(rows.time[own].min())
            again = np.unique(rows.time[own & restarted])
            again = again if len(again) <= _RESTARTS else again[:0]
            begun = [first] if since is None or first > since else []
            starts = np.array([*begun, *again], dtype=np.int64)
            if len(starts):
                found[int(code)] = np.unique(starts)
        return cls(found)

    def ages(self, rows: Rows) -> np.ndarray:
        """For each row, for how many milliseconds its process had been running; infinite where that is long.

        :param rows: of the side.
        """
        ages = np.full(len(rows), np.inf)
        for code, starts in self.starts.items():
            own = rows.instance == code
            place = np.searchsorted(starts, rows.time[own], side="right") - 1
            ages[own] = np.where(place >= 0, rows.time[own] - starts[np.maximum(place, 0)], np.inf)
        return ages


@dataclass(frozen=True)
class Tried:
    """The comparison with some warm-up left out.

    :param length: of what is left out.
    :param discount: what it takes off the evidence that is needed.
    :param weighed: what is left; None if nothing is.
    """

    length: float
    discount: float
    weighed: Weighed | None


@dataclass(frozen=True)
class Doubted:
    """The weakest of the comparisons, case by case; arrays over the cases.

    :param evidence: logarithm of the e-value that something changed that is no warm-up.
    :param effect: relative change.
    :param place: which of the comparisons it is.
    """

    evidence: np.ndarray
    effect: np.ndarray
    place: np.ndarray


def weakest(tried: Sequence[Tried]) -> Doubted:
    """Which length of a warm-up explains most of what was seen.

    :param tried: at least one, the first without anything left out.
    """
    shape = np.shape(tried[0].weighed.evidence) if tried[0].weighed is not None else ()
    evidence = np.stack(
        [np.broadcast_to((0.0 if one.weighed is None else one.weighed.evidence) + one.discount, shape) for one in tried]
    )
    effects = np.stack([np.broadcast_to(0.0 if one.weighed is None else one.weighed.effect, shape) for one in tried])
    place = evidence.argmin(axis=0)
    return Doubted(evidence.min(axis=0), np.take_along_axis(effects, place[None], axis=0)[0], place)
