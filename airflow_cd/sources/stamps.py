"""What tells when a line of a file was written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from datetime import datetime


class Stamps(ABC):
    """Tells when a line was written."""

    @abstractmethod
    def of(self, line: str) -> datetime | None:
        """When; None where it does not say.

        :param line: as it stands in the file.
        """

    def in_order(self, *, second: bool) -> Stamps:
        """What reads the lines of one file in their order, which tells apart what a clock that is set back shows twice.

        :param second: whether the first of them is already of the second time.
        """
        return self

    def certain(self, moment: datetime) -> datetime:
        """The latest time, not after another one, that no clock shows twice.

        :param moment: the other one.
        """
        return moment


def times(lines: Iterable[bytes], stamps: Stamps) -> Iterator[datetime]:
    """The times of lines that state one.

    :param lines: as they stand in a file.
    :param stamps: read their times.
    """
    return filter(None, (stamps.of(line.decode("utf-8", "replace")) for line in lines))
