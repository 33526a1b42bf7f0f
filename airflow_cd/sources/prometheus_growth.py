"""By how much counters of Prometheus have grown, and what those have counted that appear.

A series appears because something happened for the first time, because its process did, because an exporter that
forgets what is idle has it again, or because somebody gave its target other labels. In the first two cases all that it
holds has happened since it was looked at last; in the others next to nothing has, whatever it holds.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

_YOUNG_BUCKETS, _YOUNG = 10.0, 100.0  # what may have been counted before it was scraped first

Place = tuple[str, str, int]
"""Instance, group, and the number of the bucket."""
Key = tuple[Place, str]
"""Place, and the end of a histogram's bucket; ``""`` for what is none."""


@dataclass
class Appeared:
    """What is known of series that appeared.

    :param back: by how much those have grown that were there an hour before at most.
    :param fresh: what all others hold.
    :param old: what series hold that were there just before.
    :param living: instances of which such a series goes on, with the number of the bucket that it is seen in.
    :param aged: instances, with the bucket, of which there were series an hour before.
    :param heard: when such series were heard of last, by instance and bucket, in seconds.
    :param heard_new: when those that appeared were.
    """

    back: dict[Key, float] = field(default_factory=dict)
    fresh: dict[Key, float] = field(default_factory=dict)
    old: dict[Key, float] = field(default_factory=dict)
    living: set[tuple[str, int]] = field(default_factory=set)
    aged: set[tuple[str, int]] = field(default_factory=set)
    heard: dict[tuple[str, int], float] = field(default_factory=dict)
    heard_new: dict[tuple[str, int], float] = field(default_factory=dict)

    def goes_on(self, instance: str, number: int) -> bool:
        """Whether series were there both before some appeared and with them.

        :param instance: whose.
        :param number: of the bucket.
        """
        at = (instance, number)
        # Of one that dies at once no later bucket tells.
        beside = at in self.heard and self.heard[at] >= self.heard_new.get(at, math.inf)
        return beside or (instance, number + 1) in self.living


@dataclass
class Grown:
    """By how much something has grown.

    :param known: of series that were there before.
    :param new: of series that appeared, since 0.
    :param unsure: where what was counted is no number.
    :param appeared: what is known of those that appeared, as far as it was asked for.
    """

    known: dict[Key, float] = field(default_factory=dict)
    new: dict[Key, float] = field(default_factory=dict)
    unsure: set[Key] = field(default_factory=set)
    appeared: Appeared = field(default_factory=Appeared)


@dataclass(frozen=True)
class Counted:
    """What happened.

    :param values: how much, by place.
    :param unsure: places where a part of it is no number; of these there is no value.
    """

    values: dict[Place, float]
    unsure: set[Place]

    @classmethod
    def of(cls, values: Mapping[Key, float], unsure: Collection[Key]) -> Counted:
        """What happened where nothing is the end of a histogram's bucket.

        :param values: how much.
        :param unsure: where a part of it is no number.
        """
        places = {place for place, _ in unsure}
        return cls({place: value for (place, _), value in values.items() if place not in places}, places)


class How(Enum):
    """What counts of series that appear."""

    FROM_ZERO = "all that they hold"
    COMPARED = "what they hold more than they did when they were there last"
    RENAMED = "what they hold more than the series that they continue under other labels"
    LEFT_OUT = "nothing, as it is not known since when they count"


class Accepted:
    """Since when the series count that appear, by instance and bucket.

    :param requests: of all of them.
    :ivar left_out: instances whose requests are left out, with the numbers of the buckets, unless the next look knows
        more of them.
    """

    def __init__(self, requests: Grown) -> None:
        self.left_out: set[tuple[str, int]] = set()
        self._appeared = requests.appeared
        self._known = _by_instance(requests.known)
        self._new: dict[tuple[str, int], dict[Key, float]] = {}
        for key, value in requests.new.items():
            self._new.setdefault(_at(key), {})[key] = value
        self._how = {at: self._decided(at, held) for at, held in self._new.items()}

    def how(self, place: Place) -> How:
        """What counts of the series that appear in a place.

        :param place: of the series.
        """
        instance, _, number = place
        at = (instance, number)
        if at not in self._how:
            known = at in self._known or (instance, number + 1) in self._known
            return How.FROM_ZERO if known else How.LEFT_OUT
        return self._how[at]

    def compared(self, keys: Collection[Key]) -> set[Key]:
        """Of which of these it takes :class:`Appeared` to say what counts.

        :param keys: of series that appear.
        """
        return {key for key in keys if self.how(key[0]) in (How.COMPARED, How.RENAMED)}

    def check(self, failures: Sequence[Grown]) -> None:
        """Take none for renamed of which failures, or all others, have become fewer: another process counts them.

        :param failures: parts of the requests that have nothing in common.
        """
        for at, how in self._how.items():
            if how is How.RENAMED:
                held, old = _total(self._new[at], at), _total(self._appeared.old, at)
                parts = [(_total(one.new, at), _total(one.appeared.old, at)) for one in failures]
                parts.append((held - sum(part[0] for part in parts), old - sum(part[1] for part in parts)))
                if any(now < before for now, before in parts):
                    self._how[at] = self._decided(at, self._new[at], renamed=False)

    def counted(self, grown: Grown) -> Counted:
        """What happened in each place.

        :param grown: by how much a counter has grown.
        """
        return Counted.of(self.sums(grown), grown.unsure)

    def sums(self, grown: Grown) -> dict[Key, float]:
        """What happened, by the ends of a histogram's buckets too.

        :param grown: by how much something has grown, with what is known of its series of which :meth:`compared` says
            that it takes that.
        """
        found = dict(grown.known)
        for key, value in grown.new.items():
            how = self.how(key[0])
            if how is not How.LEFT_OUT:
                found[key] = found.get(key, 0.0) + _counted(how, key, value, grown.appeared)
        return found

    def _decided(self, at: tuple[str, int], held: dict[Key, float], *, renamed: bool = True) -> How:
        instance, number = at
        if not any(held.values()):
            return How.FROM_ZERO
        following = self._known.get((instance, number + 1))
        if at not in self._known and following is None:
            return How.LEFT_OUT  # the next look knows
        how = self._kind(at, held, renamed=renamed)
        happened = sum(_counted(how, key, value, self._appeared) for key, value in held.items())
        around = max(self._known.get((instance, one), 0.0) for one in (number - 1, number, number + 1))
        if happened <= _YOUNG_BUCKETS * around + _YOUNG:
            return how
        if at not in self._appeared.aged and self._appeared.goes_on(instance, number):
            return how  # it has been looked at all its life: however much it is, it has happened now
        if at in self._known or how is not How.FROM_ZERO:
            # Of a process that is scraped for the first time nobody expects what it had done before.
            self.left_out.add(at)
        return How.LEFT_OUT

    def _kind(self, at: tuple[str, int], held: dict[Key, float], *, renamed: bool) -> How:
        instance, number = at
        old = {key: value for key, value in self._appeared.old.items() if _at(key) == at and value > 0}
        # Where others of its series go on, one that appears is of something that has never happened before.
        ended = renamed and old and not self._appeared.goes_on(instance, number)
        if ended and all(held.get(key, 0.0) >= value for key, value in old.items()):
            return How.RENAMED
        return How.COMPARED if any(key in self._appeared.back for key in held) else How.FROM_ZERO


def _counted(how: How, key: Key, value: float, appeared: Appeared) -> float:
    if how is How.RENAMED:
        return max(0.0, value - appeared.old.get(key, 0.0))
    if how is How.COMPARED:
        return appeared.back.get(key, 0.0) + appeared.fresh.get(key, 0.0)
    return value


def _at(key: Key) -> tuple[str, int]:
    (instance, _, number), _ = key
    return instance, number


def _total(values: Mapping[Key, float], at: tuple[str, int]) -> float:
    return sum(value for key, value in values.items() if _at(key) == at)


def _by_instance(values: dict[Key, float]) -> dict[tuple[str, int], float]:
    found: dict[tuple[str, int], float] = {}
    for key, value in values.items():
        found[_at(key)] = found.get(_at(key), 0.0) + value
    return found
