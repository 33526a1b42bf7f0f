"""Reading all of something from a service that hands out so much at a time and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from airflow_cd.errors import SourceAnswerTooLarge

T = TypeVar("T")
_USUAL_CAP = 100  # what services and what stands before them cut at is a multiple of it


def whole(
    read: Callable[[int, int], Sequence[T]], since: int, until: int, *, most: int, shortest: int
) -> Iterator[Sequence[T]]:
    """The records of a time, in parts that were surely not cut.

    A part that is as long as the cap is halved, and so is one of a round number of records: something on the way may
    cut at less than was asked for. One of more bytes than are kept in memory is halved as well.

    :param read: returns the records of ``since <= t < until``.
    :param since: in nanoseconds since 1970; ``until`` likewise.
    :param most: how many records are asked for at once.
    :param shortest: nanoseconds of a time that is not halved any more.
    :returns: records; as many as the cap only of the shortest time.
    :raises SourceAnswerTooLarge: the shortest time alone holds more than is kept in memory.
    """
    waiting = [(since, until)]
    while waiting:
        begin, end = waiting.pop()
        found: Sequence[T] | None
        try:
            found = read(begin, end)
        except SourceAnswerTooLarge:
            if end - begin <= shortest:
                raise
            found = None
        cut = found is None or (found and (len(found) >= most or len(found) % _USUAL_CAP == 0))
        if cut and end - begin > shortest:
            middle = (begin + end) // 2
            waiting += [(middle, end), (begin, middle)]
        elif found is not None:
            yield found


def fitting(read: Callable[[int], T], size: int) -> tuple[T, int]:
    """One page of an answer that has a cursor, shorter where its records are long.

    :param read: asks for a page of so many records.
    :param size: how many to ask for at first.
    :returns: the page, and how many were asked for, which fits the next pages too.
    :raises SourceAnswerTooLarge: one record alone is more than is kept in memory.
    """
    while True:
        try:
            return read(size), size
        except SourceAnswerTooLarge:
            if size <= 1:
                raise
            size //= 2
