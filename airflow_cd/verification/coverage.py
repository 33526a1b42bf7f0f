"""How much of a watched time was read of a log source: what of it no read has held, and how many records that are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_cd.verification.samples import LogSample, Window
from airflow_cd.verification.verdict import Quality, Reason, Verdict

if TYPE_CHECKING:
    import pandas as pd

MOST_UNREAD = 0.5
"""Share of the records of a log source that may be left unread beside a PASS, where nobody says it."""

_FINE, _COARSE = 0.001, 1.0  # seconds that records of one stamp are of, by whether stamps have fractions of a second
_LEAST_SHOWN = 0.001
_MANY = 30.0  # records that an instance would have logged by then: that it fell silent is unlikely


@dataclass(frozen=True)
class Unread:
    """What was not read of a log source.

    :param name: of the source.
    :param records: how many records, by how dense they are where they were read.
    :param share: of all records of the watched time, 0 to 1.
    :param known: False where the source has left out some and nobody knows how many; True by default.
    """

    name: str
    records: int
    share: float
    known: bool = True

    @property
    def reason(self) -> Reason:
        """The same as a reason of a verdict."""
        if not self.known:
            text = f"Some records of {self.name} were not read, and nobody knows how many: see its warnings."
            return Reason("unread_records", text, {"records": None, "share": None})
        shown = "less than 0.1 %" if self.share < _LEAST_SHOWN else f"about {self.share:.1%}"
        text = (
            f"{shown[0].upper()}{shown[1:]} of the records of {self.name} were not read: there are more than it hands "
            "out, even in parts. What they say is not known."
        )
        return Reason("unread_records", text, {"records": self.records, "share": self.share})


class Coverage:
    """The times of which a source was read whole, and how dense records were in those of which it was not.

    :ivar lost: the times of which the last read was cut, in seconds since 1970: what is found there later is not late.
    """

    def __init__(self) -> None:
        self.lost: list[tuple[float, float]] = []
        self._whole: list[tuple[float, float]] = []
        self._cut: list[tuple[float, float, float]] = []

    def note(self, part: Window, sample: LogSample, names: Sequence[str], *, settled: datetime | None = None) -> None:
        """Take in one read.

        :param part: the window that was read.
        :param sample: what came of it.
        :param names: of the instances that were asked for.
        :param settled: until when nothing more comes; None, the default, for all of the window.
        """
        since, until = part.since.timestamp(), part.until.timestamp()
        end = until
        if getattr(sample, "cut", False):
            frame = sample.frame
            newest, moment = since, _COARSE
            if len(frame):
                newest = frame["time"].max().timestamp()
                moment = _FINE if (frame["time"] != frame["time"].dt.floor("s")).any() else _COARSE
            asked = frame[frame["instance"].isin(list(names))] if len(frame) else frame
            ends = [] if sample.whole_until else _cut_instances(asked, since, newest, moment)
            stated = sample.whole_until.timestamp() if sample.whole_until else newest
            end = min(max(min((last for last, _ in ends), default=stated), since), until)
            rate = sum(rate for _, rate in ends) or max(len(asked), 1) / max(end - since, moment)
            self._cut.append((end, until, rate))
        outside = [span for one in self.lost for span in ((one[0], min(one[1], since)), (max(one[0], until), one[1]))]
        self.lost = _united([*outside, (end, until)])
        self._whole = _united([*self._whole, (since, min(end, settled.timestamp()) if settled else end)])

    def unread(self, name: str, since: float, until: float, counted: int) -> Unread | None:
        """What no read has held; None where everything was read.

        :param name: of the source.
        :param since: seconds since 1970 at which the watched time begins; ``until`` where it ends.
        :param counted: how many records were read of it.
        """
        missing = sum(self._records(*gap) for gap in _gaps(self._whole, since, until))
        if not missing:
            return None
        records = max(1, round(missing))
        return Unread(name, records, records / (records + counted))

    def _records(self, begin: float, end: float) -> float:
        """How many records a time holds that was not read, by the last read that was cut before it."""
        ends = {begin, end, *(at for low, high, _ in self._cut for at in (low, high) if begin < at < end)}
        found = 0.0
        for one, other in itertools.pairwise(sorted(ends)):
            rates = (rate for low, high, rate in reversed(self._cut) if low <= one and other <= high)
            found += (other - one) * next(rates, 0.0)
        return found


def with_unread(quality: Quality, unread: Unread | None, most: float) -> Quality:
    """What logs come to where not all of them were read: nothing that was read weighs less for it.

    A FAIL rests on what was read and stands. A PASS says how much was not read, and is none where that is too much.

    :param quality: of what was read.
    :param unread: what was not; None for nothing.
    :param most: largest share of the records, 0 to 1, that may be unread beside a PASS.
    """
    if unread is None or quality.verdict is Verdict.FAIL:
        return quality
    first, rest = quality.reasons[:1], quality.reasons[1:]
    if quality.verdict is Verdict.INCONCLUSIVE or unread.share <= most:
        return replace(quality, reasons=[*first, unread.reason, *rest])
    reason = unread.reason
    text = f"{reason.text} That is more than a PASS may leave unread ({most:.0%}, most_unread)."
    reasons = [replace(reason, text=text, numbers={**reason.numbers, "most": most}), *first, *rest]
    return replace(quality, verdict=Verdict.INCONCLUSIVE, reasons=reasons)


def _cut_instances(frame: pd.DataFrame, since: float, newest: float, moment: float) -> list[tuple[float, float]]:
    """Of a source that is cut instance by instance, those that are: where each ends, and its records a second.

    They stop while others go on, though many more were to be expected of them by then.
    """
    if not len(frame):
        return []
    found = []
    by_instance = frame.groupby("instance")["time"].agg(["max", "size"])
    for last, number in zip(by_instance["max"], by_instance["size"], strict=True):
        rate = float(number) / max(last.timestamp() - since, moment)
        if rate * (newest - last.timestamp()) > _MANY:
            found.append((last.timestamp(), rate))
    return found


def _united(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    united: list[tuple[float, float]] = []
    for begin, end in sorted(span for span in spans if span[0] < span[1]):
        if united and begin <= united[-1][1]:
            united[-1] = united[-1][0], max(united[-1][1], end)
        else:
            united.append((begin, end))
    return united


def _gaps(spans: Sequence[tuple[float, float]], since: float, until: float) -> list[tuple[float, float]]:
    gaps, at = [], since
    for begin, end in spans:
        if begin > at and at < until:
            gaps.append((at, min(begin, until)))
        at = max(at, end)
    return [*gaps, (at, until)] if at < until else gaps
