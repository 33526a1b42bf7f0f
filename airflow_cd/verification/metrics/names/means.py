"""Means over what happens: errors per session, items per order, failures per 1,000 requests. They go with no load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_cd.verification.metrics.names.units import Suffix, suffix_of
from airflow_cd.verification.metrics.names.vocabulary import BUSINESS, MONEY, REQUEST
from airflow_cd.verification.metrics.names.words import words_of

# Of a route, a region or a tenant there are no means: "per" says there by what the number is broken down.
_EACH = (
    REQUEST
    | (BUSINESS - {"count"})
    | frozenset(("connection", "batch", "build", "test", "player", "match", "game", "ad", "account", "basket", "poll"))
)
_LONGEST = 2  # words: per "page view"


@dataclass(frozen=True)
class MeanOf:
    """What a name says of a mean.

    :param words: of what it is a mean.
    :param each: over what it is one.
    :param number: of those for which it is given: 1,000 for *per 1,000 requests*.
    """

    words: tuple[str, ...]
    each: str
    number: int = 1


def mean_of(suffix: Suffix) -> MeanOf | None:
    """The mean that a name speaks of; None where it speaks of none.

    :param suffix: of the name, with its words.
    """
    words = tuple(suffix.words)
    if suffix.period or suffix.counter not in ("", "count") or "per" not in words[1:]:
        return None
    at = words.index("per", 1)
    behind: Sequence[str] = words[at + 1 :]
    number = 1
    if behind and behind[0].isdecimal():
        number, behind = int(behind[0]), behind[1:]
    while len(behind) > 1 and behind[-1] in MONEY:
        behind = behind[:-1]
    if not behind or behind[-1] not in _EACH or len(behind) > _LONGEST or number < 1:
        return None
    return MeanOf(words[:at], behind[-1], number)


def is_mean_of_each(name: str) -> bool:
    """Whether a metric is a mean over requests, orders, sessions, so that more of these are no reason for more of it.

    :param name: of the metric.
    """
    return mean_of(suffix_of(words_of(name))) is not None
