"""Where commits come from: a source neither delays nor fails the deployment that asks it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol

from airflow_cd.commits.record import Commits

LONGEST = 10.0
"""Seconds that reading the commits of all environments may take."""


class CommitSource(Protocol):
    """Knows the commits of versions; :class:`~airflow_cd.commits.GitRepository` is one.

    It may have a method ``mistakes()`` as well: what is wrong with its specification, one sentence each, found
    without reading anything, when a DAG file is parsed.
    """

    def between(self, before: str | None, after: str) -> Commits:
        """Read the commits that version ``after`` has and ``before`` has not, and the other way round.

        :param before: the version that runs; None when nothing runs: then all commits of ``after`` are new.
        :param after: the version that is to replace it.
        :returns: the commits, newest first; within seconds, and with the reason in ``unknown`` instead of an error.
        """
        ...


def read_commits(source: CommitSource, before: str | None, after: str) -> Commits:
    """Read commits from a source; never raises.

    :param source: where they come from.
    :param before: the version that runs; None when nothing runs.
    :param after: the version that is to replace it.
    :returns: the commits; with the reason in ``unknown`` when the source raised something.
    """
    if before == after:
        return Commits(after, after)
    try:
        return source.between(before, after)
    except Exception as error:  # noqa: BLE001 - an error of a source must not fail a release
        # Its text is left out: it may quote secrets that are not known here.
        why = f"{type(source).__name__} failed with {type(error).__name__}."
        return Commits(before or "", after, unknown=why)


def commits_to(source: CommitSource, before: Mapping[str, str | None], after: str) -> dict[str, Commits]:
    """Read the commits of each environment; where the same version runs they are read once.

    :param source: where they come from.
    :param before: by environment, the version that runs there.
    :param after: the version that is to replace them.
    :returns: by environment. After 10 seconds the rest is ``unknown``.
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
