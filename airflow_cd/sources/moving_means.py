"""What happened in each bucket, out of a mean that a server keeps of its last requests.

HAProxy forgets old durations by and by: of its mean each new request takes a 512th part
(``TIME_STATS_SAMPLES``), and as long as there were fewer it is the mean of them all. Such a mean goes on telling of the
release before for minutes, and what it says in one bucket it says in the next ones too. From its two ends, and from how
many requests came between them, the mean of those alone follows.
"""

from __future__ import annotations

from collections.abc import Mapping

MOST_ENLARGED = 20.0
"""By how much the rounding of a mean may be enlarged: fewer requests than that leaves are taken with those before."""
LOOKED_BACK = 10
"""Over how many buckets at most requests are taken together."""
LEAST = 0.0005
"""Half of a millisecond, in seconds: HAProxy counts no smaller parts, and rounding may lead below 0."""


def between(before: float, after: float, requests: float, total: float, window: int) -> float | None:
    """The mean of the requests between two looks at a moving mean; None where rounding would be most of it.

    :param before: the mean at the first look, in seconds.
    :param after: the mean at the second look.
    :param requests: how many came between the looks.
    :param total: how many there have been at the second look.
    :param window: of so many requests the mean is, once there were as many.
    """
    if requests <= 0:
        return None
    share = requests / total if total <= window else 1.0 - (1.0 - 1.0 / window) ** requests
    if share * MOST_ENLARGED < 1.0:
        return None
    return max(LEAST, (after - (1.0 - share) * before) / share)


def in_buckets(
    means: Mapping[tuple[str, str, int], float], totals: Mapping[tuple[str, str, int], float], window: int
) -> dict[tuple[str, str, int], float]:
    """The mean of each bucket's own requests, in seconds; with those of the buckets before it where it has too few.

    A server that began to count, again or for the first time, has a mean of nothing else.

    :param means: as they were at the end of each bucket, by instance, group and the bucket's number, and of
        :data:`LOOKED_BACK` earlier ones.
    :param totals: how many requests there had been by then, counted by the same server.
    :param window: as of :func:`between`.
    """
    found = {}
    for place, after in means.items():
        instance, group, number = place
        total = totals.get(place, 0.0)
        for back in range(1, LOOKED_BACK + 1):
            earlier = (instance, group, number - back)
            counted = totals.get(earlier, 0.0)
            if earlier not in means or counted > total:
                if 0.0 < total <= window:
                    found[place] = max(LEAST, after)
                break
            value = between(means[earlier], after, total - counted, total, window)
            if value is not None:
                found[place] = value
                break
    return found
