"""Verdicts on real logs, raw lines with their headers, through the way that ``airflow-cd verify`` goes.

    python -m benchmarks.real_logs                         # the development systems; rules are chosen on these
    python -m benchmarks.real_logs --split "held out"      # the others; to be looked at as figures only
    python -m benchmarks.real_logs --show --system Mac     # every false FAIL and every miss, in full

Unchanged pairs (must not FAIL), 300 lines against 300: *A/A random*, disjoint random lines of a file in their order;
*A/A in time*, what stands before and after a cut; *neighbours*, every block of 300 with the next one.

*Left out*: a kind of error is taken out of the file, and its own lines (the first, the first three, all) are put into
the 300 lines that follow a baseline of 300 or 1,000. It is found where an unknown event shows those lines, and red
where such an event is a risk; FAIL is the verdict. Nothing is chosen by its outcome, all pairs count.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from airflow_cd.verification.verdict import Event, EventKind
from benchmarks.log_judges import Answer, Judge, ours
from benchmarks.log_pairs import BASELINES, LEFT_OUT, UNCHANGED, Pair, pairs_of
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

    @property
    def found(self) -> bool:
        """Whether an unknown event shows what was put in."""
        return any(event.kind is EventKind.UNKNOWN for event in self.answer.holding(self.pair.inserted))

    @property
    def red(self) -> bool:
        """Whether an event that shows what was put in is a risk."""
        return any(event.risk for event in self.answer.holding(self.pair.inserted))

    def as_dict(self) -> dict[str, object]:
        """JSON values."""
        pair = self.pair
        row: dict[str, object] = {"system": pair.system, "tier": pair.tier, "pair": pair.name, "levels": pair.levels}
        row["verdict"] = self.answer.verdict
        if pair.inserted:
            row |= {"kind": pair.kind, "found": self.found, "red": self.red}
        return row


def judged(pairs: Iterator[Pair], judge: Judge = ours) -> list[Outcome]:
    """What the judge says of each pair."""
    return [Outcome(pair, judge(pair.baseline, pair.canary)) for pair in pairs]


def table(outcomes: Sequence[Outcome]) -> str:
    """Of each system and of all: what fails without a change, what is found of the errors left out."""
    heads = [f"{tier}: FAIL, inc." for tier in UNCHANGED] + [
        f"left out, {length}: found, red, FAIL" for length in BASELINES
    ]
    rows = [f"{'':<30}" + "".join(f"{head:>33}" for head in heads)]
    systems = list(dict.fromkeys(outcome.pair.system for outcome in outcomes))
    for system in systems:
        some = [outcome for outcome in outcomes if outcome.pair.system == system]
        rows.append(_row(f"{system}{'' if some[0].pair.levels else ' (no levels)'}", some))
    for name, levels in (("all that state levels", True), ("all that do not", False)):
        if some := [outcome for outcome in outcomes if outcome.pair.levels is levels]:
            rows.append(_row(name, some))
    return "\n".join([*rows, _row("all", outcomes)])


def _row(name: str, outcomes: Sequence[Outcome]) -> str:
    cells = []
    for tier in UNCHANGED:
        some = [outcome for outcome in outcomes if outcome.pair.tier == tier]
        unsure = sum(outcome.answer.verdict == "INCONCLUSIVE" for outcome in some)
        cells.append(f"{_share(sum(outcome.fails for outcome in some), len(some))} {unsure:>4}")
    for length in BASELINES:
        some = [o for o in outcomes if o.pair.tier == LEFT_OUT and len(o.pair.baseline) == length]
        counts = [sum(values) for values in zip(*((o.found, o.red, o.fails) for o in some), strict=True)] or [0, 0, 0]
        cells.append(f"{counts[0]:>5}{counts[1]:>5}{_share(counts[2], len(some)):>20}")
    return f"{name:<30}" + "".join(f"{cell:>33}" for cell in cells)


def _share(count: int, total: int) -> str:
    return f"{count:>4} of {total:<4}{100 * count / total:>4.0f} %" if total else f"{'-':>18}"


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
    given = arguments.parse_args()
    began = time.process_time()
    logs = present(SPLITS if given.split == "all" else [given.split])
    outcomes = []
    for log in logs:
        if given.system and log.system not in given.system:
            continue
        some = judged(pairs_of(log, given.tier or (*UNCHANGED, LEFT_OUT), given.limit))
        outcomes += some
        if given.show:
            print("\n".join(filter(None, map(shown, some))))
    print(f"Split: {given.split}. {len(outcomes)} pairs, {time.process_time() - began:.0f} s of CPU.\n")
    print(table(outcomes))
    if given.json:
        given.json.write_text(json.dumps([outcome.as_dict() for outcome in outcomes], indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
