"""How far values got from what is usual: in any moment, and in moments in a row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_LASTS = 2  # moments in a row that are more than chance


@dataclass(frozen=True)
class Highest:
    """How far above what is usual values got, on the log scale; at least 0.

    :param any: in any moment.
    :param lasting: in each of two moments in a row. Single moments say little of what lasts.
    """

    any: float
    lasting: float

    @classmethod
    def of(cls, logs: np.ndarray) -> Highest:
        """Of values over time.

        :param logs: logarithms of values over what is usual; series and buckets, NaN where there is none.
        """
        lasting = 0.0
        for row in logs:
            there = row[~np.isnan(row)]
            if len(there) >= _LASTS:
                lasting = max(lasting, float(np.minimum(there[1:], there[:-1]).max()))
        return cls(float(np.nanmax(logs, initial=0.0)), lasting)

    def or_higher(self, other: Highest) -> Highest:
        """The higher of both.

        :param other: of other values.
        """
        return Highest(max(self.any, other.any), max(self.lasting, other.lasting))


NOTHING_SEEN = Highest(0.0, 0.0)
