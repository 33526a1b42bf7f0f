"""Verdicts on real logs, raw lines with their headers, through the way that ``airflow-cd verify`` goes.

    python -m benchmarks.real_logs                         # the development systems; rules are chosen on these
    python -m benchmarks.real_logs --split "held out"      # the others; to be looked at as figures only
    python -m benchmarks.real_logs --show --system Mac     # every false FAIL and every miss, in full
    python -m benchmarks.real_logs --split all --peers     # logdelta and Drain3 on the same pairs

Unchanged pairs (must not FAIL), 300 lines against 300: *A/A random*, disjoint random records of a file in their order;
*A/A in time*, what stands before and after each of ten cuts; *neighbours*, every block of 300 with the next one.

*Left out*: a kind of error is taken out of the file, and its own lines (the first, the first three, all) are put into
the 300 lines that follow a baseline of 300 or 1,000. It is found where an unknown event shows those lines, and red
where such an event is a risk; FAIL is the verdict. Nothing is chosen by its outcome, all pairs count.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from airflow_cd.verification.verdict import Event
from benchmarks.log_judges import Answer, Judge, ours
from benchmarks.log_pairs import BASELINES, LEFT_OUT, UNCHANGED, Pair, pairs_of
from benchmarks.log_peers import peers
from benchmarks.public_logs import SPLITS, present

_SHOWN = 6  # events of one pair


@dataclass(frozen=True)
class Outcome:
    """One judged pair."""

    pair: Pair
    answer: Answer

    @property
    def fails(self) -> bool:
        """Whether the verdict is FAIL."""
        return self.answer.verdict == "FAIL"

    @cached_property
    def found(self) -> bool:
        """Whether an unknown event shows what was put in."""
        return self.answer.finds(self.pair.inserted)

    @cached_property
    def red(self) -> bool:
        """Whether an event that shows what was put in is a risk."""
        return self.answer.fails(self.pair.inserted)

    def as_dict(self) -> dict[str, object]:
        """JSON values."""
        pair = self.pair
        row: dict[str, object] = {"system": pair.system, "tier": pair.tier, "pair": pair.name, "levels": pair.levels}
        row["verdict"] = self.answer.verdict
        if pair.inserted:
            row |= {"kind": pair.kind, "found": self.found, "red": self.red}
        return row


def judged(pairs: Sequence[Pair], judge: Judge = ours) -> list[Outcome]:
    """What the judge says of each pair."""
    return [Outcome(pair, judge(pair.baseline, pair.canary)) for pair in pairs]


def tables(outcomes: Sequence[Outcome]) -> str:
    """Of each system and of all: what fails without a change, and what becomes of the errors left out."""
    groups = _groups(outcomes)
    rows = [f"{'FAIL, INCONCLUSIVE of unchanged':<34}" + "".join(f"{tier:>24}" for tier in UNCHANGED)]
    rows += [name + "".join(map(_unchanged, _each_tier(some))) for name, some in groups.items()]
    heads = [f"found, red, FAIL, inc. of {length:,} lines" for length in BASELINES]
    rows += ["", f"{'one kind left out':<34}" + "".join(f"{head:>40}" for head in heads)]
    rows += [name + "".join(map(_left_out, _each_length(some))) for name, some in groups.items()]
    return "\n".join(rows)


def _groups(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """Each system's, those of logs that state levels, those of the others, and all, by their names in the tables."""
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.pair.system + ("" if outcome.pair.levels else " (no levels)"), []).append(outcome)
    found["all that state levels"] = [outcome for outcome in outcomes if outcome.pair.levels]
    found["all that do not"] = [outcome for outcome in outcomes if not outcome.pair.levels]
    found["all"] = list(outcomes)
    return {f"{name:<34}": some for name, some in found.items()}


def _each_tier(outcomes: Sequence[Outcome]) -> list[list[Outcome]]:
    return [[outcome for outcome in outcomes if outcome.pair.tier == tier] for tier in UNCHANGED]


def _each_length(outcomes: Sequence[Outcome]) -> list[list[Outcome]]:
    left_out = [outcome for outcome in outcomes if outcome.pair.tier == LEFT_OUT]
    return [[outcome for outcome in left_out if len(outcome.pair.baseline) == length] for length in BASELINES]


def _unchanged(outcomes: Sequence[Outcome]) -> str:
    fails, total = sum(outcome.fails for outcome in outcomes), len(outcomes)
    if not total:
        return f"{'-':>24}"
    return f"{f'{fails}, {_unsure(outcomes)} of {total}':>16}{100 * fails / total:>6.1f} %"


def _left_out(outcomes: Sequence[Outcome]) -> str:
    total = len(outcomes)
    if not total:
        return f"{'-':>40}"
    found, red = sum(outcome.found for outcome in outcomes), sum(outcome.red for outcome in outcomes)
    counts = f"{found}, {red}, {sum(outcome.fails for outcome in outcomes)}, {_unsure(outcomes)} of {total}"
    return f"{counts:>28}{f'{100 * found / total:.0f}, {100 * red / total:.0f} %':>12}"


def _unsure(outcomes: Sequence[Outcome]) -> int:
    return sum(outcome.answer.verdict == "INCONCLUSIVE" for outcome in outcomes)


def shown(outcome: Outcome) -> str:
    """A pair that came out wrong, with the events that matter; empty if it is right."""
    pair, answer = outcome.pair, outcome.answer
    title = f"{pair.system}, {pair.tier}, {pair.name}"
    if not pair.inserted:
        events = [event for event in answer.events if event.risk]
        return "\n".join([f"FALSE FAIL  {title}", *_events(events)]) if outcome.fails else ""
    if outcome.red and outcome.fails:
        return ""
    what = "NOT RED" if outcome.found else "NOT FOUND"
    lines = [f"{what}  {title}: {pair.kind[:160]}", f"    put in: {pair.inserted[0][:240]}"]
    return "\n".join([*lines, *(_events(answer.holding(pair.inserted)) or ["    no event shows it"])])


def _events(events: Sequence[Event]) -> list[str]:
    rows = []
    for event in events[:_SHOWN]:
        counts = ", ".join(f"{side} {count:.0f}" for side, count in event.counts.items() if count)
        expected = "" if event.expected is None else f", {event.expected:.1f} expected"
        rows.append(f"    {event.kind}, {event.severity}{', risk' if event.risk else ''} ({counts}{expected})")
        rows.append(f"      {event.exception or ''} {event.template[:200]}")
        rows += [f"      | {sample[:240]}" for sample in event.samples[-1:]]
    return rows


def main() -> None:
    """Judge and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--split", choices=[*SPLITS, "all"], default=SPLITS[0])
    arguments.add_argument("--system", action="append", help="only this one; may be repeated")
    arguments.add_argument("--tier", action="append", choices=[*UNCHANGED, LEFT_OUT], help="only this one")
    arguments.add_argument("--limit", type=int, help="at most so many pairs, or kinds, of each tier and system")
    arguments.add_argument("--show", action="store_true", help="print what failed falsely and what was missed")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write every outcome")
    arguments.add_argument("--peers", action="store_true", help="judge the same pairs by logdelta and Drain3")
    given = arguments.parse_args()
    began = time.process_time()
    logs = present(SPLITS if given.split == "all" else [given.split])
    tiers = given.tier or (*UNCHANGED, LEFT_OUT)
    pairs = [
        pair
        for log in logs
        if not given.system or log.system in given.system
        for pair in pairs_of(log, tiers, given.limit)
    ]
    outcomes = judged(pairs)
    if given.show:
        print("\n".join(filter(None, map(shown, outcomes))))
    print(f"Split: {given.split}. {len(outcomes)} pairs, {time.process_time() - began:.0f} s of CPU.\n")
    print(tables(outcomes))
    if given.json:
        given.json.write_text(json.dumps([outcome.as_dict() for outcome in outcomes], indent=1), encoding="utf-8")
    for name, judge in (peers() if given.peers else {}).items():
        print("", name, tables(judged(pairs, judge)), sep="\n", flush=True)


if __name__ == "__main__":
    main()
