"""By how much counters of Prometheus have grown, and which of those that appear counted before anybody looked."""

from __future__ import annotations

from dataclasses import dataclass, field

_YOUNG_BUCKETS, _YOUNG = 10.0, 100.0  # what a process may have counted before it was scraped first

Place = tuple[str, str, int]
"""Instance, group, and the number of the bucket."""


@dataclass
class Grown:
    """By how much something has grown, by instance, group and bucket.

    :param known: of series that were there before.
    :param new: of series that appeared, since 0.
    """

    known: dict[Place, float] = field(default_factory=dict)
    new: dict[Place, float] = field(default_factory=dict)


class Accepted:
    """Of which instances it is known since when they count: all but those that were there before anybody looked.

    :param requests: of all of them.
    """

    def __init__(self, requests: Grown) -> None:
        self._known: dict[tuple[str, int], float] = {}
        self._new: dict[tuple[str, int], float] = {}
        for into, found in ((self._known, requests.known), (self._new, requests.new)):
            for (instance, _, number), value in found.items():
                into[instance, number] = into.get((instance, number), 0.0) + value

    def is_new(self, place: Place) -> bool:
        """Whether what a series has that appears in this bucket has happened in it.

        :param place: of the series.
        """
        instance, _, number = place
        if (instance, number) in self._known:
            return True
        following = self._known.get((instance, number + 1))
        if following is None:
            return False  # the next look knows
        return self._new.get((instance, number), 0.0) <= _YOUNG_BUCKETS * following + _YOUNG

    def sums(self, grown: Grown) -> dict[Place, float]:
        """What happened in each bucket.

        :param grown: by how much something has grown.
        """
        found = dict(grown.known)
        for place, value in grown.new.items():
            if self.is_new(place):
                found[place] = found.get(place, 0.0) + value
        return found
