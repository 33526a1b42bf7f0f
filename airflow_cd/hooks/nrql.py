"""Writing NRQL: literals that cannot leave their quotes, clauses found at the right depth, sections of a window."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from airflow_cd.verification.samples import Window

# New Relic returns at most so many buckets of a TIMESERIES.
MOST_BUCKETS = 366
# And at most so many groups of a FACET with LIMIT MAX.
MOST_FACETS = 5000
# Keeps a query well below the length New Relic accepts.
_INSTANCES_A_QUERY = 100

# What is quoted and never closed reaches to the end: to look for an end from each quote is quadratic.
_TOKEN = re.compile(
    r"""(?: '[^'\\]*(?:\\.[^'\\]*)* | "[^"\\]*(?:\\.[^"\\]*)* | `[^`]* ) (?: ['"`] | (?P<unclosed>\\?\Z) )
        | [()] | \w+""",
    re.DOTALL | re.VERBOSE,
)
_NAME = re.compile(r"[A-Za-z_][\w.]*\Z")


def literal(value: str) -> str:
    """Return a value as an NRQL string.

    :param value: any text.
    :raises ValueError: it could leave its quotes.
    """
    if not value or any(character in "'\\`" or not character.isprintable() for character in value):
        raise ValueError(f"{value!r} is empty or holds a quote, a backslash or a control character")
    return f"'{value}'"


def is_name(value: str) -> bool:
    """Whether a text is an attribute's name that needs no quoting (``host``, ``entity.guid``).

    :param value: any text.
    """
    return _NAME.match(value) is not None


def clauses(nrql: str) -> list[tuple[str, int, int]]:
    """Find the words of a query outside quotes and parentheses.

    :param nrql: the query.
    :returns: each word in upper case, with the positions where it begins and ends.
    """
    depth, words = 0, []
    for token in _TOKEN.finditer(nrql):
        text = token[0]
        if text == "(":
            depth += 1
        elif text == ")":
            depth -= 1
        elif depth == 0 and text[0] not in "'\"`":
            words.append((text.upper(), token.start(), token.end()))
    return words


def is_balanced(nrql: str) -> bool:
    """Whether quotes and parentheses close, so that what is put around the text stays around it.

    :param nrql: a query or a part of one.
    """
    depth = 0
    for token in _TOKEN.finditer(nrql):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if depth < 0 or token["unclosed"] is not None:
            return False
    return depth == 0


def batches(instances: Sequence[str]) -> Iterable[Sequence[str]]:
    """Divide instances into as many as one query takes.

    :param instances: their names.
    """
    for start in range(0, len(instances), _INSTANCES_A_QUERY):
        yield instances[start : start + _INSTANCES_A_QUERY]


@dataclass(frozen=True)
class Section:
    """A stretch of time that is a whole number of buckets long.

    A TIMESERIES query drops what does not fill a bucket: New Relic moves its start to the first whole one.

    :param since: its start, aware, whole seconds.
    :param until: its end, aware, whole seconds.
    :param bucket: width of a bucket.
    """

    since: datetime
    until: datetime
    bucket: timedelta

    @property
    def clause(self) -> str:
        """The clauses of NRQL that select the section, both ends in epoch milliseconds."""
        since, until = (round(moment.timestamp() * 1000) for moment in (self.since, self.until))
        return f"SINCE {since} UNTIL {until} TIMESERIES {round(self.bucket.total_seconds())} seconds"

    def start_of(self, begin: float) -> datetime:
        """Return the start of the bucket that begins, according to an answer, at an epoch second.

        Answers round it to whole seconds; what is within a second of one of our buckets is that bucket.

        :param begin: seconds since the epoch.
        """
        width = self.bucket.total_seconds()
        number = round((begin - self.since.timestamp()) / width)
        start = self.since + number * self.bucket
        if abs(start.timestamp() - begin) < 1:
            return start
        return datetime.fromtimestamp(begin, timezone.utc)


def sections(window: Window, bucket: timedelta) -> list[Section]:
    """Cut a window into sections of whole buckets, at most :data:`MOST_BUCKETS` each.

    Both ends are rounded up to whole seconds, so that windows which touch have sections which touch. What does not
    fill a bucket at the end becomes a narrower bucket of its own.

    :param window: any window.
    :param bucket: width of a bucket, whole seconds.
    """
    since, until = _up_to_second(window.since), _up_to_second(window.until)
    found = []
    while since + bucket <= until:
        count = min((until - since) // bucket, MOST_BUCKETS)
        found.append(Section(since, since + count * bucket, bucket))
        since += count * bucket
    if since < until:
        found.append(Section(since, until, until - since))
    return found


def _up_to_second(moment: datetime) -> datetime:
    return datetime.fromtimestamp(math.ceil(moment.timestamp()), timezone.utc)
