"""What tells when a line of a file was written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Protocol


class Stamps(Protocol):
    """Tells when a line was written."""

    def of(self, line: str) -> datetime | None:
        """When; None where it does not say.

        :param line: as it stands in the file.
        """
        ...


def times(lines: Iterable[bytes], stamps: Stamps) -> Iterator[datetime]:
    """The times of lines that state one.

    :param lines: as they stand in a file.
    :param stamps: read their times.
    """
    return filter(None, (stamps.of(line.decode("utf-8", "replace")) for line in lines))
