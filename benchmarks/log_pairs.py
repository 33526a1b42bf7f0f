"""Pairs of blocks of real logs: without any change, and with one kind of error that the baseline does not have.

All positions are fixed, nothing is chosen after a look at what came out, and every pair counts.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.error_kinds import ErrorKind, error_kinds, records_of, spread, states_levels
from benchmarks.public_logs import PublicLog

_T = TypeVar("_T")

BLOCK = 300
SEEDS = 10
CUTS = 10
BASELINES = (BLOCK, 1000)
"""Lines of the baselines that a new kind of error is looked for with."""

RANDOM, TIME, NEIGHBOURS = "A/A random", "A/A in time", "neighbours"
UNCHANGED = (RANDOM, TIME, NEIGHBOURS)
LEFT_OUT = "left out"


@dataclass(frozen=True)
class Pair:
    """A baseline and a canary.

    :param tier: one of :data:`UNCHANGED`, or :data:`LEFT_OUT`.
    :param name: which of its tier.
    :param inserted: the lines of the canary that are of a kind which the baseline has not.
    :param kind: name of that kind.
    :param levels: whether the log states levels.
    """

    system: str
    tier: str
    name: str
    baseline: Sequence[str]
    canary: Sequence[str]
    levels: bool
    inserted: Sequence[str] = ()
    kind: str = ""


def pairs_of(log: PublicLog, tiers: Sequence[str], limit: int | None = None) -> Iterator[Pair]:
    """All pairs of a log.

    :param tiers: which; others are left out.
    :param limit: at most so many of each tier, taken at even distances; None for all.
    """
    lines, levels = log.lines(), states_levels(log)
    for tier in UNCHANGED:
        if tier in tiers:
            pairs = [
                Pair(log.system, tier, name, baseline, canary, levels)
                for name, baseline, canary in _unchanged(log, tier)
            ]
            yield from _some(pairs, limit)
    if LEFT_OUT in tiers:
        kinds = [kind for kind in error_kinds(log) if 2 * sum(map(len, kind.records)) < len(lines)]
        for kind in _some(kinds, limit):
            yield from _left_out(log.system, lines, kind, levels=levels)


def _some(items: Sequence[_T], limit: int | None) -> Sequence[_T]:
    if limit is None or len(items) <= limit:
        return items
    return [items[number * len(items) // limit] for number in range(limit)]


def _unchanged(log: PublicLog, tier: str) -> Iterator[tuple[str, Sequence[str], Sequence[str]]]:
    lines = log.lines()
    if len(lines) < 2 * BLOCK:
        return
    if tier == RANDOM:
        records = ["\n".join(lines[record.start : record.stop]) for record in records_of(log)]
        each = min(BLOCK, len(records) // 2)
        for seed in range(SEEDS):
            chosen = random.Random(seed).sample(range(len(records)), 2 * each)
            ours, theirs = sorted(chosen[:each]), sorted(chosen[each:])
            yield f"seed {seed}", [records[place] for place in ours], [records[place] for place in theirs]
    elif tier == TIME:
        for number in range(CUTS):
            cut = BLOCK + number * (len(lines) - 2 * BLOCK) // (CUTS - 1)
            yield f"cut at {cut}", lines[cut - BLOCK : cut], lines[cut : cut + BLOCK]
    else:
        for start in range(0, len(lines) - 2 * BLOCK + 1, BLOCK):
            middle = start + BLOCK
            yield f"blocks from {start}", lines[start:middle], lines[middle : middle + BLOCK]


def _left_out(system: str, lines: Sequence[str], kind: ErrorKind, *, levels: bool) -> Iterator[Pair]:
    """The kind's first line, first three and all of them, before a baseline of either length, early and late."""
    out = {position for record in kind.records for position in record}
    others = [line for position, line in enumerate(lines) if position not in out]
    ours = ["\n".join(lines[record.start : record.stop]) for record in kind.records]
    for length in BASELINES:
        if len(others) < length + BLOCK:
            continue
        for when, start in (("early", 0), ("late", len(others) - length - BLOCK)):
            baseline, canary = others[start : start + length], others[start + length : start + length + BLOCK]
            for count in sorted({1, min(3, len(ours)), min(BLOCK, len(ours))}):
                yield Pair(
                    system,
                    LEFT_OUT,
                    f"{count} of {len(ours)} after {length} {when}",
                    baseline,
                    spread(canary, ours[:count]),
                    levels,
                    ours[:count],
                    kind.name,
                )
