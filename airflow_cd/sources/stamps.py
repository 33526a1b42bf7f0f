"""What tells when a line of a file was written."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Stamps(Protocol):
    """Tells when a line was written."""

    def of(self, line: str) -> datetime | None:
        """When; None where it does not say.

        :param line: as it stands in the file.
        """
        ...
