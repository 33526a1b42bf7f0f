"""What is said of instances of which a source has nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_cd.sources.buckets import utc_now
from airflow_cd.verification.remembering import once

_LISTED = 5
FARTHEST = timedelta(hours=14)
"""By how much a local time differs from UTC at the most."""
_AHEAD = timedelta(minutes=5)


def unknown_instances(names: Sequence[str], known: Sequence[str], place: str) -> Iterator[str]:
    """The sentence that names instances which a source has never heard of, and some that it has; none where all are.

    :param names: of the instances of which there is nothing.
    :param known: what the source has in the place of their names.
    :param place: where that is, such as ``the label pod``.
    """
    if unknown := [name for name in names if name not in known]:
        held = ", ".join(known[:_LISTED]) or "nothing"
        yield f"Nothing is known of {', '.join(unknown[:_LISTED])}: {place} holds {held}."


def why_nothing(names: Sequence[str], ask: Callable[[], Iterable[str]]) -> list[str]:
    """Why a source has nothing of some instances; while it is watched it is not asked at every look.

    :param names: of the instances.
    :param ask: asks the source; what it raises is raised at every look.
    """
    return once(("why nothing", *names), lambda: [*ask()])


def nothing_for_an_hour(query: str, newest: Any) -> str:
    """What is said where a query has found nothing of any instance, for an hour and more.

    :param query: of the author's.
    :param newest: when the newest was that it finds within :data:`FARTHEST` of the window, in milliseconds since 1970;
        None where it finds none.
    """
    text = f"Nothing that {query} finds was logged in the hour before, of any instance"
    if not isinstance(newest, (int, float)):
        return f"{text}."
    moment = datetime.fromtimestamp(newest / 1000, timezone.utc)
    if moment > utc_now() + _AHEAD:
        return (
            f"{text}; the newest says {moment:%Y-%m-%d %H:%M} UTC, which is to come: is it a local time that was sent "
            "without its zone?"
        )
    return f"{text}; the newest of {FARTHEST // timedelta(hours=1)} hours is of {moment:%Y-%m-%d %H:%M} UTC."
