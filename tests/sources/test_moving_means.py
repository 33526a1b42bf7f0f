"""A mean that HAProxy keeps of its last requests says of each bucket what happened in it alone."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import accumulate

import pytest

from airflow_cd.sources.moving_means import LEAST, between, in_buckets

WINDOW = 512
SERVER = ("web-1", "")


def haproxy(durations: Iterable[int]) -> float:
    """The mean in seconds that HAProxy tells after requests of so many milliseconds, counted in whole numbers."""
    kept, number = 0, 0
    for duration in durations:
        number += 1
        window = min(number, WINDOW)
        kept = kept + duration if number <= WINDOW else kept - (kept + window - 1) // window + duration
    return (kept + min(number, WINDOW) - 1) // min(number, WINDOW) / 1000.0


def read(buckets: Sequence[Sequence[int]]) -> dict[int, float]:
    """What is read of buckets of requests, in milliseconds, by their numbers."""
    until = list(accumulate(buckets, lambda before, more: [*before, *more]))
    means = {(*SERVER, number): haproxy(durations) for number, durations in enumerate(until)}
    totals = {(*SERVER, number): float(len(durations)) for number, durations in enumerate(until)}
    return {place[2]: value * 1000.0 for place, value in in_buckets(means, totals, WINDOW).items()}


def drawn(rng: random.Random, usual: int, count: int = 120) -> list[int]:
    return [max(1, round(rng.gauss(usual, 6))) for _ in range(count)]


@pytest.mark.parametrize("before", [1, 12])
def test_a_slow_release_is_seen_in_its_first_bucket_and_leaves_no_trace_behind(before: int) -> None:
    rng = random.Random(before)
    usual = [40] * before + [400] * 2 + [40] * 4
    found = read([drawn(rng, each) for each in usual])
    assert list(found) == list(range(len(usual)))
    assert [found[number] for number in found] == pytest.approx(usual, abs=12)


def test_a_server_that_counts_anew_is_no_older_one() -> None:
    rng = random.Random(2)
    first, second = drawn(rng, 40, 900), drawn(rng, 200, 60)
    means = {(*SERVER, 0): haproxy(first), (*SERVER, 1): haproxy(second)}
    found = in_buckets(means, {(*SERVER, 0): 900.0, (*SERVER, 1): 60.0}, WINDOW)
    assert found[(*SERVER, 1)] == pytest.approx(0.2, abs=0.01)
    assert (*SERVER, 0) not in found, "nobody knows what was there before it was looked at first"


def test_of_few_or_no_requests_rounding_would_be_all_that_is_told() -> None:
    rng = random.Random(3)
    found = read([drawn(rng, 40, 900), drawn(rng, 40, 12), [], drawn(rng, 40)])
    assert list(found) == [3]


def test_few_requests_are_taken_with_those_just_before() -> None:
    rng = random.Random(4)
    found = read([drawn(rng, 40, 900), *(drawn(rng, usual, 10) for usual in [40] * 6 + [400] * 6)])
    assert list(found) == list(range(3, 13)), "three buckets hold as many as are needed"
    assert [found[number] for number in (3, 4, 5, 6)] == pytest.approx([40.0] * 4, abs=25)
    assert [found[number] for number in (9, 10, 11, 12)] == pytest.approx([400.0] * 4, abs=25)


def test_what_is_quicker_than_is_counted_is_above_nothing() -> None:
    assert between(0.002, 0.001, requests=100, total=200, window=WINDOW) == LEAST
