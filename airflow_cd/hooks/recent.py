"""What a *Test* button says of the newest that a service has."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from typing import Any

from airflow_cd.wording import counted

RECENT = timedelta(minutes=5)
"""How far back a *Test* button looks."""

_AHEAD = 1.0  # seconds that clocks may differ by
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?\Z")


def recent(number: int, noun: str, newest: Any, *, at_least: bool = False) -> str:
    """``2,718 records of the last 5 minutes, the newest 1.4 s old``.

    :param number: how many of :data:`RECENT` there are.
    :param noun: what they are, in the singular.
    :param newest: when the newest was, in milliseconds since 1970; whatever is no number where nothing says so.
    :param at_least: whether there may be more; False by default.
    """
    text = f"{'at least ' if at_least else ''}{counted(number, noun)} of the last {RECENT.seconds // 60} minutes"
    if isinstance(newest, bool) or not isinstance(newest, (int, float)):
        return text
    age = time.time() - newest / 1000
    if age < -_AHEAD:
        return f"{text}, the newest {-age:.1f} s ahead of the clock of this machine"
    return f"{text}, the newest {max(0.0, age):.1f} s old"


def milliseconds(stamp: Any) -> float | None:
    """Milliseconds from 1970 to a time in ISO 8601; None where there is none.

    :param stamp: as a service writes it, in UTC where it names no zone; of its fraction six digits count.
    """
    found = _STAMP.match(str(stamp or ""))
    if found is None:
        return None
    zone = "+00:00" if found[3] in (None, "Z") else found[3]
    try:
        return datetime.fromisoformat(f"{found[1]}.{(found[2] or '')[:6].ljust(6, '0')}{zone}").timestamp() * 1000
    except ValueError:
        return None
