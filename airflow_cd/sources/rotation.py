"""Whether the beginning of a log is lost to its rotation."""

from __future__ import annotations

from datetime import datetime, timedelta

QUIET = timedelta(seconds=30)
"""How long a container may take to write its first line."""


def begins_late(head: datetime, since: datetime, began: datetime) -> bool:
    """Whether a log begins later than a window and its container.

    :param head: time of its first line.
    :param since: begin of the window.
    :param began: when the container began to write it.
    """
    return head > max(since, began + QUIET)


def would_have_filled(size: int, written: timedelta, missing: timedelta, limit: int) -> bool:
    """Whether what a log lacks at its beginning would have filled a file, had it been written as the rest was.

    A container that wrote nothing at first looks the same as one whose log was rotated. It is taken for one unless it
    writes so much.

    :param size: of the rest, in bytes.
    :param written: in how long that was.
    :param missing: how long the container had been writing before.
    :param limit: bytes of a file that is full.
    """
    return size / max(written.total_seconds(), 1.0) * missing.total_seconds() >= limit
