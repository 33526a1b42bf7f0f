"""Reading a time whole from a service that hands out so many records and no more, and has no cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
_USUAL_CAP = 100  # what services and what stands before them cut at is a multiple of it


def whole(
    read: Callable[[int, int], Sequence[T]], since: int, until: int, *, most: int, shortest: int
) -> Iterator[Sequence[T]]:
    """The records of a time, in parts that were surely not cut.

    A part that is as long as the cap is halved, and so is one of a round number of records: something on the way may
    cut at less than was asked for.

    :param read: returns the records of ``since <= t < until``.
    :param since: in nanoseconds since 1970; ``until`` likewise.
    :param most: how many records are asked for at once.
    :param shortest: nanoseconds of a time that is not halved any more.
    :returns: records; as many as the cap only of the shortest time.
    """
    waiting = [(since, until)]
    while waiting:
        begin, end = waiting.pop()
        found = read(begin, end)
        if found and (len(found) >= most or len(found) % _USUAL_CAP == 0) and end - begin > shortest:
            middle = (begin + end) // 2
            waiting += [(middle, end), (begin, middle)]
        else:
            yield found
