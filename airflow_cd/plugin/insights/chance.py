"""Whether two periods differ by more than chance lets expect: exact or rank tests, on plain numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

LEVEL = 0.05
"""Differences that chance brings more often than this are no change."""


def shares_differ(few: int, of: int, few_before: int, of_before: int) -> bool:
    """Whether ``few`` of ``of`` is another share than before: Fisher's exact test."""
    drawn, total = few + few_before, of + of_before
    lowest, highest = max(0, drawn - of_before), min(drawn, of)
    logs = [_choices(of, k) + _choices(of_before, drawn - k) for k in range(lowest, highest + 1)]
    whole = _choices(total, drawn)
    seen = logs[few - lowest]
    # The tolerance takes tables that are as likely as the one seen for just that, whatever rounding did.
    return sum(math.exp(log - whole) for log in logs if log <= seen + 1e-7) < LEVEL


def counts_differ(count: int, count_before: int) -> bool:
    """Whether two periods of the same length have another rate: what a Poisson count lets expect."""
    total = count + count_before
    # Halved at random; with the continuity correction the bound is slightly cautious for few.
    return total > 0 and abs(count - count_before) - 1 > 1.96 * math.sqrt(total)


def times_differ(values: Sequence[float], before: Sequence[float]) -> bool:
    """Whether the values tend to be larger or smaller than before: the rank-sum test of Mann and Whitney."""
    first, second = len(values), len(before)
    if not first or not second:
        return False
    total = first + second
    ranked = sorted([(value, True) for value in values] + [(value, False) for value in before])
    ranks, ties, start = 0.0, 0, 0
    while start < total:
        end = start
        mine = 0
        while end < total and ranked[end][0] == ranked[start][0]:
            mine += ranked[end][1]
            end += 1
        ranks += mine * (start + 1 + end) / 2
        ties += (end - start) ** 3 - (end - start)
        start = end
    expected = first * (total + 1) / 2
    variance = first * second / 12 * ((total + 1) - ties / (total * (total - 1)))
    return variance > 0 and abs(ranks - expected) - 0.5 > 1.96 * math.sqrt(variance)


def _choices(of: int, k: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1)
