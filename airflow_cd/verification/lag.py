"""How far behind a source is: the lag between an event and the moment the source can return it, as it was seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

UNSEEN = timedelta(minutes=5)
"""How late records are taken to come while nothing is known of the lag of errors: buffers in which there is little are
sent every 1 to 5 minutes, and what is sent as files comes every 5 minutes."""

UNSEEN_SHARE = 10
"""A short watch does not wait that long: at most so many times its own length."""

_MARGIN, _LEAST_MARGIN = 0.25, 1.0  # of the longest lag seen, and in seconds
_TYPICAL = 0.9  # share of an instance's records that have come after its typical lag
_NARROW, _ENOUGH_NARROW = 0.25, 3  # a lag is well known to a quarter of it; so many make the vaguer ones void
_ENOUGH, _ENOUGH_REPORTED = 20, 200  # records that make a share, and that make the source's word better than a guess
_FIRST_STEP, _STEP, _STEPS = 0.1, 1.2, 80  # seconds and ratio of the steps that lags are counted in: up to 50 h


@dataclass(frozen=True)
class SeenLag:
    """What was seen of a source's lag, for reports.

    :param records: whose lag is known.
    :param typical: seconds after which 90 % of the records of the slowest instance had come.
    :param longest: seconds, of any record.
    :param late: records that came later than a window that holds them was first read.
    :param reported: whether the source itself says when it received a record.
    :param waited: seconds after the watched time that a PASS waits for.
    """

    records: int
    typical: float
    longest: float
    late: int
    reported: bool
    waited: float

    @property
    def words(self) -> str:
        """One sentence for a person."""
        if not self.records:
            return "nothing has come yet."
        if not self.reported and not self.late:
            return f"nothing came later than expected; a PASS waits {self.waited:g} s."
        seen = f"what was written came up to {self.longest:g} s later, most of it within {self.typical:g} s"
        late = f" ({self.late} after its time had been read first)" if self.late else ""
        return f"{seen}{late}; a PASS waits {self.waited:g} s."


class Lag:
    """The lag of one source.

    A lag is known exactly where the source reports when it received a record. Where it does not, a record that comes
    late has a lag between its age when it was not there yet and its age when it was; the narrower, the better known.

    :param guess: the lag until something is known about it: the source's ``delay``.
    :param most: the longest lag that a verdict waits for.
    :ivar reach: the longest that any lag may have been: how far back to read again.
    """

    def __init__(self, guess: timedelta, most: timedelta) -> None:
        self.guess = guess
        self.most = most
        self.reach = timedelta(0)
        self.records = 0
        self.reported = 0
        self.late = 0
        self._steps: dict[str, np.ndarray] = {}
        self._well_known, self._narrow = 0.0, 0
        self._at_least = 0.0

    def add(
        self,
        instances: Sequence[str],
        least: np.ndarray,
        most: np.ndarray | None = None,
        *,
        reported: int = 0,
        late: int = 0,
    ) -> None:
        """Take in the lags of records.

        :param instances: of each record.
        :param least: seconds that each lag is at least; a negative one, of a clock that is ahead, is none.
        :param most: seconds that each lag is at most; as many by default.
        :param reported: how many of them the source itself reports.
        :param late: how many came into a window that had been read.
        """
        import numpy as np

        if not len(least):
            return
        low = np.maximum(np.asarray(least, dtype=float), 0.0)
        high = low if most is None else np.maximum(np.asarray(most, dtype=float), low)
        self.records += len(low)
        self.reported += reported
        self.late += late
        self.reach = max(self.reach, timedelta(seconds=float(high.max())))
        narrow = high - low <= _NARROW * high
        self._narrow += int((narrow & (high > low)).sum())
        self._well_known = max(self._well_known, float(high[narrow].max(initial=0.0)))
        self._at_least = max(self._at_least, float(low.max()))
        self._count(instances, np.where(narrow, high, (low + high) / 2))

    def _count(self, instances: Sequence[str], lags: np.ndarray) -> None:
        import numpy as np

        places = np.ceil(np.log(np.maximum(lags, 1e-9) / _FIRST_STEP) / np.log(_STEP)).clip(0, _STEPS - 1).astype(int)
        numbers: dict[str, int] = {}
        rows = np.fromiter((numbers.setdefault(name, len(numbers)) for name in instances), dtype=np.int64)
        counts = np.bincount(rows * _STEPS + places, minlength=len(numbers) * _STEPS).reshape(-1, _STEPS)
        for name, number in numbers.items():
            self._steps[name] = self._steps.get(name, 0) + counts[number]

    def forgive_longest(self) -> None:
        """Wait for no more than can be waited for: what came even later before the deployment may never again."""
        most = max((self.most.total_seconds() - _LEAST_MARGIN) / (1 + _MARGIN), 0.0)
        self._well_known, self._at_least = min(self._well_known, most), min(self._at_least, most)
        self.reach = min(self.reach, timedelta(seconds=most))

    @property
    def longest(self) -> timedelta:
        """The longest lag seen; while few are known well, the longest that it may have been."""
        if self._at_least > self._well_known and self._narrow < _ENOUGH_NARROW:
            return self.reach
        return timedelta(seconds=max(self._well_known, self._at_least))

    @property
    def typical(self) -> timedelta | None:
        """Lag within which 90 % of the records of the slowest instance come; None while too few are known."""
        import numpy as np

        slowest = None
        for steps in self._steps.values():
            if steps.sum() >= _ENOUGH:
                place = int(np.searchsorted(np.cumsum(steps), _TYPICAL * steps.sum()))
                lag = timedelta(seconds=_FIRST_STEP * _STEP**place if place else 0.0)
                slowest = lag if slowest is None else max(slowest, lag)
        return slowest

    @property
    def behind(self) -> timedelta:
        """How long before now a look stops reading, so that what it compares is mostly there."""
        typical = self.typical
        if typical is None:
            return self.guess
        if typical > self.guess:
            return max(self.guess, min(_with_margin(typical), self.most))
        return min(self.guess, _with_margin(typical)) if self.reported >= _ENOUGH_REPORTED else self.guess

    @property
    def wanted(self) -> timedelta:
        """How long a PASS would wait after the watched time, without a bound: the longest lag and a margin."""
        return _with_margin(self.longest) if self.longest > self.guess else self.guess

    @property
    def wait(self) -> timedelta:
        """How long a PASS waits after the watched time."""
        return max(self.guess, min(self.wanted, self.most))

    @property
    def seen(self) -> SeenLag:
        """What was seen of it."""
        typical = self.typical
        return SeenLag(
            records=self.records,
            typical=round(typical.total_seconds(), 1) if typical is not None else 0.0,
            longest=round(self.longest.total_seconds(), 1),
            late=self.late,
            reported=self.reported > 0,
            waited=round(self.wait.total_seconds(), 1),
        )


def _with_margin(lag: timedelta) -> timedelta:
    if not lag:
        return lag
    return lag + max(lag * _MARGIN, timedelta(seconds=_LEAST_MARGIN))
