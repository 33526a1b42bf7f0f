"""Logs of a store that keeps a share of the records alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.verification.samples import LogSample, LogSource, Window


@keeps_misspelt_keywords
@dataclass(frozen=True)
class Sampled:
    """A source of logs whose store keeps a share of the records: an index with a sampling rate, a sampling collector.

    Canary, control and baseline are compared by what the store kept of each, all by the same share. What is not there
    may have been left out: nothing is said to have gone silent.

    :param source: any source of logs.
    :param share: of the records that are kept, above 0 and below 1: ``0.1`` for one in ten.
    """

    source: LogSource
    share: float

    @property
    def name(self) -> str:
        """The source's."""
        return self.source.name

    @property
    def delay(self) -> timedelta:
        """The source's."""
        return self.source.delay

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        found = list(getattr(self.source, "mistakes", list)())
        if not isinstance(self.share, (int, float)) or isinstance(self.share, bool) or not 0 < self.share < 1:
            found.append(f"Sampled: share: {self.share!r} is not between 0 and 1")
        return found

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        """Read what was kept.

        :param window: as of the source; so are the instances.
        :param instances: their names.
        :raises SourceError: as of the source.
        """
        return self.source.read(window, instances)

    def instances(self, window: Window) -> list[str]:
        """Which instances the source knows.

        :param window: when.
        :raises SourceError: as of the source.
        """
        return list(getattr(self.source, "instances", lambda _: [])(window))
