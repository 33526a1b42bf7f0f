"""Where commits come from, for those who ask: a source never stops or fails what asks it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol

from airflow_cd.commits.record import Commits

LONGEST = 10.0
"""Seconds after which nobody waits for commits any more."""


class CommitSource(Protocol):
    """Knows the commits of versions; :class:`~airflow_cd.commits.GitRepository` is one."""

    def between(self, before: str | None, after: str) -> Commits:
        """The commits that version ``after`` has and ``before`` has not, and the other way round.

        :param before: None when nothing runs.

        Answers within seconds, and with a sentence in ``unknown`` instead of an error.
        """
        ...


def read_commits(source: CommitSource, before: str | None, after: str) -> Commits:
    """Ask the source; never raises."""
    if before == after:
        return Commits(after, after)
    try:
        return source.between(before, after)
    except Exception as error:  # noqa: BLE001 - a source is anybody's code, and none of its errors is the release's
        # Its text stays out: nobody knows what a stranger's error quotes.
        why = f"{type(source).__name__} failed with {type(error).__name__}."
        return Commits(before or "", after, unknown=why)


def commits_to(source: CommitSource, before: Mapping[str, str | None], after: str) -> dict[str, Commits]:
    """The commits of each environment; where the same version runs they are read once.

    :param before: by environment, the version that runs there.
    """
    until = time.monotonic() + LONGEST
    read: dict[str | None, Commits] = {}
    for version in dict.fromkeys(before.values()):
        if time.monotonic() < until:
            read[version] = read_commits(source, version, after)
        else:
            late = f"no time was left for them after {LONGEST:.0f} s."
            read[version] = Commits(version or "", after, unknown=late)
    return {environment: read[version] for environment, version in before.items()}
