"""Lines of a pod's log as the API hands them out with stamps, and what the cluster says in their place."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_cd.sources.pieces import in_one_piece

# A kubelet writes the zone that the container's runtime has: that of its node.
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)(?: |\Z)")
_QUOTED = 300


@dataclass(frozen=True)
class PodLines:
    """What an answer holds.

    A kubelet that fails when it has begun to answer writes its error behind the lines, or in their place, and the
    status is 200. Everything that a container wrote has a stamp, but for the rest of a line that a runtime keeps in
    pieces, where the piece before is older than what was asked for: that is the first thing of an answer.

    :param lines: time and text of each.
    :param said: what the cluster says itself; ``""`` for nothing.
    :param open: whether ``said`` may as well be the rest of a line of the container's: nothing of the answer has a
        stamp.
    """

    lines: list[tuple[datetime, str]] = field(default_factory=list)
    said: str = ""
    open: bool = False


def read_lines(content: bytes) -> PodLines:
    """Tell lines of a container from what the cluster says.

    :param content: as the API answers where stamps are asked for.
    """
    lines: list[tuple[datetime, str]] = []
    others: list[str] = []
    begins = False
    # By the ends that a runtime writes alone: a line may hold what else ends lines of text.
    for number, line in enumerate(content.split(b"\n")):
        text = in_one_piece(line).decode("utf-8", "replace").removesuffix("\r")
        moment, message = stamped(text)
        if moment is not None:
            lines.append((moment, message))
        elif text.strip():
            begins = begins or number == 0
            others.append(text.strip())
    if begins and lines:
        others = others[1:]
    return PodLines(lines, " ".join(others)[:_QUOTED], open=not lines and bool(others))


def stamped(line: str) -> tuple[datetime | None, str]:
    """Time and text of a line as the API stamps it, the line itself where it has no stamp.

    :param line: ``2026-11-29T04:00:00.123456789Z the text``.
    """
    found = _STAMP.match(line)
    if found is None:
        return None, line
    whole, fraction, zone = found.groups()
    try:
        moment = datetime.fromisoformat(whole + zone.replace("Z", "+00:00")).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None, line
    return moment + timedelta(microseconds=int((fraction or "0")[:6].ljust(6, "0"))), line[found.end() :]


def instant(text: Any) -> datetime | None:
    """A time of an object; None where it has none.

    :param text: as the API writes it.
    """
    return stamped(str(text))[0] if text else None
