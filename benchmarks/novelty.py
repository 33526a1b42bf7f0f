"""Is what is new found, and what is not new left alone? Simulated deployments of labelled log systems.

    python -m benchmarks.novelty DATA_FOLDER [--runs 10] [--tier normal] [--system NAME]

For each system and run: eight baseline deployments, a canary with something new, and one with nothing new, each record
behind the header of a real line. Scored are what is unknown, what changed its frequency, and the verdicts with what
they rest on; all runs are pooled.
"""

from __future__ import annotations

import argparse
import copy
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_cd.verification.logs.events import compare
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_frequencies, judge_quality
from airflow_cd.verification.logs.signatures import Signature, Tally
from airflow_cd.verification.sensitivity import Sensitivity
from airflow_cd.verification.verdict import EventKind
from benchmarks.deployments import Deployment, World
from benchmarks.loghub import System, load
from benchmarks.peers import drain3, has_drain3

if TYPE_CHECKING:
    from drain3 import TemplateMiner


@dataclass(frozen=True)
class Flagged:
    """What a judge flagged in one canary: for each group how many records of which name it holds.

    :param red: what the verdict rests on.
    :param verdict: at the sensitivity that ships; ``""`` of a judge that has none.
    """

    unknown: list[Counter[str]]
    frequency: list[Counter[str]]
    red: list[Counter[str]] = field(default_factory=list)
    verdict: str = ""


Judge = Callable[[World], tuple[Flagged, Flagged]]
"""What it says of a world's changed canary and of its unchanged one."""


@dataclass
class Score:
    """Sums over canaries."""

    canaries: int = 0
    right: int = 0
    false: int = 0
    found: int = 0
    injected: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, flagged: Sequence[Counter[str]], wanted: frozenset[str], neutral: frozenset[str]) -> None:
        """Score one canary: a group is right if most of its records are wanted ones."""
        self.canaries += 1
        self.injected += len(wanted)
        found: set[str] = set()
        for group in flagged:
            total, hits = sum(group.values()), sum(group[name] for name in wanted)
            if 2 * hits > total:
                self.right += 1
                found |= {name for name in wanted if group[name]}
            elif 2 * sum(group[name] for name in neutral | wanted) <= total:
                self.false += 1
                self.examples.append(f"{max(group, key=lambda name: group[name])} ({total})")
        self.found += len(found)

    @property
    def precision(self) -> float:
        """Share of flagged groups that are right."""
        return self.right / (self.right + self.false) if self.right else 0.0

    @property
    def recall(self) -> float:
        """Share of what was injected that is flagged."""
        return self.found / self.injected if self.injected else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of the two."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    @property
    def false_rate(self) -> float:
        """False groups for each canary."""
        return self.false / self.canaries if self.canaries else 0.0


def ours(world: World) -> tuple[Flagged, Flagged]:
    """The verification's events."""
    return _both(world, _profile)


def _profile(deployment: Deployment) -> LogProfile:
    """What a deployment logged; the names of its records stand for instances, which no judgement looks at."""
    import pandas as pd

    rows = [(None, name, record) for name, records in deployment.records.items() for record in records]
    return LogProfile.of(pd.DataFrame(rows, columns=["time", "instance", "message"]))


def oracle(world: World) -> tuple[Flagged, Flagged]:
    """Perfect clusters: every record is known by the name it was made under."""

    def profile(deployment: Deployment) -> LogProfile:
        return LogProfile(
            {
                # Without a wildcard in them nothing merges, nor do traces without frames of two classes.
                Signature(f"n{number}", "info", name, causes=(name,)): Tally({name: len(records)})
                for name, records in deployment.records.items()
                for number in [numbers.setdefault(name, len(numbers))]
            }
        )

    numbers: dict[str, int] = {}
    changed, unchanged = _both(world, profile)
    # Names have no severities, so nothing of it could be red.
    return replace(changed, verdict=""), replace(unchanged, verdict="")


def _both(world: World, profile: Callable[[Deployment], LogProfile]) -> tuple[Flagged, Flagged]:
    baselines = [profile(baseline) for baseline in world.baselines]
    return _flagged(profile(world.changed), baselines), _flagged(profile(world.unchanged), baselines)


def _flagged(canary: LogProfile, baselines: Sequence[LogProfile]) -> Flagged:
    comparison = compare(canary, None, baselines)
    contents: dict[str, Counter[str]] = {}
    for profile in (canary, *baselines):
        for signature, tally in profile.tallies.items():
            contents.setdefault(comparison.members[signature], Counter()).update(tally.instances)
    events = judge_frequencies(comparison, 0.0)
    quality = judge_quality(canary, None, baselines)
    return Flagged(
        [Counter(event.instances) for event in events.values() if event.kind is EventKind.UNKNOWN],
        [
            contents[template]
            for template, event in events.items()
            if event.kind in (EventKind.UNEXPECTED_FREQUENCY, EventKind.WENT_SILENT)
        ],
        [Counter(event.instances) or contents[event.template] for event in quality.risks],
        str(quality.verdict),
    )


def drain3_as_judge(world: World, *, masks: bool, frozen: bool) -> tuple[Flagged, Flagged]:
    """Drain3 as a novelty detector: over twice and z > 3 is frequent.

    :param frozen: whether its tree stays as the baselines made it, and what it does not match is new; else a cluster
        that the canary makes is.
    """
    miner = drain3(masks=masks)
    seen: list[Counter[int]] = []
    contents: dict[int, Counter[str]] = {}
    for baseline in world.baselines:
        counts: Counter[int] = Counter()
        for name, line in _lines(baseline):
            cluster = miner.add_log_message(line)["cluster_id"]
            counts[cluster] += 1
            contents.setdefault(cluster, Counter())[name] += 1
        seen.append(counts)
    # A miner learns while it reads: each canary gets its own copy.
    both = [
        _drain3_reads(copy.deepcopy(miner), seen, copy.deepcopy(contents), canary, frozen=frozen)
        for canary in (world.changed, world.unchanged)
    ]
    return both[0], both[1]


def _drain3_reads(
    miner: TemplateMiner,
    seen: Sequence[Counter[int]],
    contents: dict[int, Counter[str]],
    canary: Deployment,
    *,
    frozen: bool,
) -> Flagged:
    known = set(contents)
    counts, unknown = Counter[int](), dict[object, Counter[str]]()
    for name, line in _lines(canary):
        if frozen:
            match = miner.match(line)
            cluster = match.cluster_id if match else -1
        else:
            cluster = miner.add_log_message(line)["cluster_id"]
        if cluster in known:
            counts[cluster] += 1
            contents[cluster][name] += 1
        else:
            # Unmatched lines are grouped as kindly as can be: by what they are.
            unknown.setdefault(name if frozen else cluster, Counter())[name] += 1
    volume = sum(counts.values()) / max(1, sum(sum(baseline.values()) for baseline in seen))
    frequent = []
    for cluster in known:
        expected = volume * sum(baseline[cluster] for baseline in seen)
        observed = counts[cluster]
        ratio = (observed + 0.5) / (expected + 0.5)
        if abs(observed - expected) > 3 * max(1.0, expected) ** 0.5 and not 0.5 <= ratio <= 2:
            frequent.append(contents[cluster])
    # The kindest of rules: what became frequent fails nothing, else every deployment would fail.
    return Flagged(list(unknown.values()), frequent, list(unknown.values()), "FAIL" if unknown else "PASS")


def _lines(deployment: Deployment) -> list[tuple[str, str]]:
    return [
        (name, line)
        for name, records in deployment.records.items()
        for record in records
        for line in record.split("\n")
    ]


@dataclass
class Result:
    """One judge's scores over many canaries."""

    unknown: Score = field(default_factory=Score)
    frequency: Score = field(default_factory=Score)
    unknown_null: Score = field(default_factory=Score)
    frequency_null: Score = field(default_factory=Score)
    red: Score = field(default_factory=Score)
    red_null: Score = field(default_factory=Score)
    verdicts: Counter[str] = field(default_factory=Counter)
    verdicts_null: Counter[str] = field(default_factory=Counter)

    def add(self, world: World, judge: Judge) -> None:
        """Judge the world's two canaries."""
        known = {name for baseline in world.baselines for name in baseline.records}
        for canary, flagged, (unknown, frequency, red), verdicts in zip(
            (world.changed, world.unchanged),
            judge(world),
            ((self.unknown, self.frequency, self.red), (self.unknown_null, self.frequency_null, self.red_null)),
            (self.verdicts, self.verdicts_null),
            strict=True,
        ):
            unseen = frozenset(canary.records) - known
            unknown.add(flagged.unknown, canary.new, unseen)
            frequency.add(flagged.frequency, canary.shifted, frozenset())
            # A rare error of the real log that no baseline held stops the release too, so it is not neutral here.
            red.add(flagged.red, canary.new | canary.shifted, frozenset())
            verdicts[flagged.verdict] += 1

    def row(self, name: str) -> str:
        """A line of the table."""
        parts = []
        for score, null in ((self.unknown, self.unknown_null), (self.frequency, self.frequency_null)):
            values = (score.precision, score.recall, score.f1, score.false_rate, null.false_rate)
            parts.append("".join(f"{value:>8.3f}" for value in values))
        return f"{name:<24}" + " |".join(parts) + self._verdicts()

    def _verdicts(self) -> str:
        """What stops releases: precision of what is red, false ones of each null deployment, and the verdicts."""
        if not any(self.verdicts):
            return ""
        fails, unsure = self.verdicts_null["FAIL"], self.verdicts_null["INCONCLUSIVE"]
        changed = f"{self.verdicts['FAIL']}/{self.verdicts.total()}"
        return (
            f" |{self.red.precision:>8.3f}{self.red_null.false_rate:>8.3f}{changed:>9}"
            f"{f'{fails}/{self.verdicts_null.total()}':>9}{unsure:>6}"
        )


def blocked(systems: Sequence[System], runs: int) -> tuple[dict[str, int], int]:
    """How many deployments with nothing new each sensitivity would block, and out of how many.

    Counted apart: those blocked for a rare error of the real log that no baseline happened to hold, and those blocked
    for what the baselines do hold.
    """
    counts: Counter[str] = Counter()
    sensitivities: tuple[Sensitivity, ...] = ("low", "medium", "high")
    for system in systems:
        for seed in range(runs):
            world = World(system, seed)
            known = {name for baseline in world.baselines for name in baseline.records}
            baselines = [_profile(baseline) for baseline in world.baselines]
            canary = _profile(world.unchanged)
            for sensitivity in sensitivities:
                risks = judge_quality(canary, None, baselines, sensitivity=sensitivity).risks
                if any(known & set(event.instances) or not event.instances for event in risks):
                    counts[f"{sensitivity}: known"] += 1
                elif risks:
                    counts[f"{sensitivity}: first seen"] += 1
    return dict(counts), len(systems) * runs


HEAD = f"{'':<24}" + " |".join(["".join(f"{word:>8}" for word in ("P", "R", "F1", "false", "null"))] * 2)
HEAD += f" |{'red P':>8}{'null':>8}{'new FAIL':>9}{'nul FAIL':>9}{'inc.':>6}"


def measure(systems: Sequence[System], runs: int, judges: dict[str, Judge], *, hostile: bool) -> dict[str, Result]:
    """Scores of each judge over all systems and runs; the worlds are the same for all."""
    results = {name: Result() for name in judges}
    for system in systems:
        for seed in range(runs):
            world = World(system, seed, hostile)
            for name, judge in judges.items():
                results[name].add(world, judge)
    return results


def main() -> None:
    """Print a table for each tier; UNKNOWN, UNEXPECTED FREQUENCY, and the verdicts."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--runs", type=int, default=10, help="canaries of each kind for each system")
    arguments.add_argument("--tier", choices=("normal", "hostile", "both"), default="both")
    arguments.add_argument("--system", action="append", help="only this system; may be given several times")
    arguments.add_argument("--peers", action="store_true", help="Drain3 as well")
    arguments.add_argument("--sensitivity", action="store_true", help="only count what each sensitivity would block")
    arguments.add_argument("--examples", action="store_true", help="name what was flagged falsely")
    given = arguments.parse_args()
    systems = [system for system in load(given.folder) if not given.system or system.name in given.system]
    if given.sensitivity:
        counts, canaries = blocked(systems, given.runs)
        print(f"of {canaries} deployments with nothing new, blocked: {counts}")
        return
    judges: dict[str, Judge] = {"ours": ours, "perfect clusters": oracle}
    if given.peers and has_drain3():
        judges["Drain3 defaults"] = lambda world: drain3_as_judge(world, masks=False, frozen=False)
        judges["Drain3 example masks"] = lambda world: drain3_as_judge(world, masks=True, frozen=False)
        judges["Drain3 frozen + match"] = lambda world: drain3_as_judge(world, masks=True, frozen=True)
    for tier in ("normal", "hostile") if given.tier == "both" else (given.tier,):
        print(
            f"{tier} tier, {len(systems)} systems, {given.runs} runs each; "
            "UNKNOWN | UNEXPECTED FREQUENCY | what is red, and verdicts"
        )
        print(HEAD)
        for name, result in measure(systems, given.runs, judges, hostile=tier == "hostile").items():
            print(result.row(name))
            if given.examples and name == "ours":
                false = Counter(result.unknown.examples + result.unknown_null.examples)
                print(*(f"    unknown: {text[:150]} x{count}" for text, count in false.most_common(40)), sep="\n")
                false = Counter(result.frequency.examples + result.frequency_null.examples)
                print(*(f"    frequency: {text[:150]} x{count}" for text, count in false.most_common(20)), sep="\n")


if __name__ == "__main__":
    main()
