"""What the rotation of a container's log has taken away of a window.

Docker hands out what it still has. The driver ``json-file`` keeps everything unless it has a ``max-size``, then
``max-file`` files, one by default; ``local`` keeps five of 20 MiB, and so does the cache of drivers that send all of it
elsewhere.
(https://docs.docker.com/engine/logging/configure/ and the pages of the drivers.)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_cd.hooks.docker_output import blocks
from airflow_cd.sources.rotation import begins_late, would_have_filled
from airflow_cd.verification.samples import Window
from airflow_cd.wording import counted

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*\Z", re.IGNORECASE)
_SECOND = timedelta(seconds=1)
_UNROTATED = ("journald", "none", "")
_LONGEST_STAMP = 64
_AROUND = 42  # bytes around a line and its stamp, as json-file writes it
_SLACK = 2  # characters that json-file escapes, and labels that it adds, make a file full earlier


@dataclass
class Written:
    """What was read of one container's log.

    :param window: of which it was read.
    :ivar size: in bytes, with stamps.
    :ivar first: time of the oldest line; None for none.
    """

    window: Window
    size: int = 0
    first: datetime | None = None

    def add(self, moment: datetime, stamp: str, line: str) -> None:
        """Note a line.

        :param moment: its time.
        :param stamp: the time as Docker writes it.
        :param line: its text.
        """
        self.size += len(stamp) + len(line.encode()) + _AROUND
        self.first = moment if self.first is None else min(self.first, moment)

    def lost(self, client: Any, container: str) -> tuple[str, bool]:
        """Which part of it a rotation has taken away, as the end of a sentence, and whether the window lacks it.

        Before a file is taken away, all others are full: what is kept of a log says whether that has happened. Of a
        single file that says nothing. It is taken for the rest of a rotated one if the container writes so much that
        it would have filled one before; else it is only said that nobody knows.

        :param client: of the Docker host.
        :param container: its id.
        :returns: ``""`` where nothing says so.
        """
        since = self.window.since
        if self.first is not None and self.first - since < _SECOND:
            return "", False
        found = client.inspect_container(container)
        limit = _limit((found.get("HostConfig") or {}).get("LogConfig") or {})
        began = stamped(str(found.get("Created") or ""))
        if limit is None or began is None or began >= self.window.until:
            return "", False
        head = _first(client, container)
        if head is None or not begins_late(head, since, began):
            return "", False
        size, files = limit
        least = (files - 1) * size // _SLACK
        if files > 1 and self.size < least and not _holds(client, container, least):
            return "", False
        sure = self.first is None
        if self.first is not None:
            written = min(self.window.until, datetime.now(timezone.utc)) - self.first
            sure = would_have_filled(self.size, written, head - began, size)
        kept = f"{counted(files, 'file')} of {size:,} bytes" if files > 1 else f"a file of {size:,} bytes"
        return (
            f"before {head.astimezone(timezone.utc):%H:%M:%S} UTC {'is' if sure else 'may be'} lost: its Docker host "
            f"keeps {kept} of its log. Raise max-size or max-file."
        ), sure or files > 1


def stamped(stamp: str) -> datetime | None:
    """A time as Docker writes it, with nine digits of a second of which Python reads six; None where it is none.

    :param stamp: in UTC.
    """
    try:
        return datetime.fromisoformat(f"{stamp[:26].rstrip('Z').ljust(26, '0')}+00:00").astimezone(timezone.utc)
    except ValueError:
        return None


def _limit(config: Mapping[str, Any]) -> tuple[int, int] | None:
    """Bytes of a file of a log, and how many files are kept; None where everything is, or nothing says how much."""
    driver, options = str(config.get("Type") or ""), config.get("Config") or {}
    if driver in _UNROTATED:
        return None
    before = "" if driver in ("json-file", "local") else "cache-"
    size = _bytes(options.get(f"{before}max-size") or ("" if driver == "json-file" else "20m"))
    files = str(options.get(f"{before}max-file") or ("1" if driver == "json-file" else "5"))
    return (size, int(files)) if size and files.isdigit() else None


def _bytes(text: str) -> int:
    found = _SIZE.match(str(text))
    return round(float(found[1]) * 1024 ** " kmgt".index(found[2].lower() or " ")) if found else 0


def _first(client: Any, container: str) -> datetime | None:
    """Time of the first line that there still is."""
    with closing(blocks(client, container, stdout=True, stderr=True)) as read:
        head = b""
        for block in read:
            head += block
            if len(head) >= _LONGEST_STAMP or b" " in head:
                break
    return stamped(head[:_LONGEST_STAMP].decode("utf-8", "replace").partition(" ")[0])


def _holds(client: Any, container: str, least: int) -> bool:
    """Whether so many bytes of a log are kept."""
    size = 0
    with closing(blocks(client, container, stdout=True, stderr=True)) as read:
        for block in read:
            size += len(block) + block.count(b"\n") * _AROUND
            if size >= least:
                return True
    return False
