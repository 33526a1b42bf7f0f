"""Verdicts on real metrics, through the way that ``airflow-cd verify --metrics-baseline --metrics-canary`` goes.

    python -m benchmarks.real_metrics                        # development; rules are chosen on these
    python -m benchmarks.real_metrics --split "held out"     # figures only
    python -m benchmarks.real_metrics --show --source TrainTicket
    python -m benchmarks.real_metrics --get [--from FOLDER]  # bring the data, as benchmarks.public_logs does

See :mod:`benchmarks.real_rollouts` for the data. A rollout is guilty where a fault is labelled, and innocent where
nothing was done. Kayenta's judge is given the same columns, one series a side; it fails where a metric fails.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from airflow_cd.errors import VerificationError
from airflow_cd.verification.files.verification import FilesToVerify, verify_files
from airflow_cd.verification.verdict import MetricResult, Verdict
from benchmarks.metric_peers import KAYENTA_LEAST, kayenta
from benchmarks.public_files import get
from benchmarks.public_logs import NEZHA, SPLITS
from benchmarks.real_rollouts import NAB, SOCK_SHOP, Rollout, rollouts, wanted


@dataclass(frozen=True)
class Outcome:
    """What a judge says of a rollout."""

    rollout: Rollout
    verdict: str
    metrics: Sequence[MetricResult] = ()


Judge = Callable[[Rollout], Outcome]


def ours(rollout: Rollout) -> Outcome:
    """What ``airflow-cd verify`` says, with the settings that it has."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {"baseline": Path(folder) / "old.csv", "canary": Path(folder) / "new.csv"}
        rollout.before.to_csv(paths["baseline"], index=False)
        rollout.after.to_csv(paths["canary"], index=False)
        try:
            judgement = verify_files(
                FilesToVerify(metrics={side: [str(path)] for side, path in paths.items()})
            ).judgement
        except VerificationError as error:
            return Outcome(rollout, f"error: {error}")
    metrics = judgement.performance.metrics if judgement.performance is not None else ()
    return Outcome(rollout, str(judgement.verdict), metrics)


def kayentas(rollout: Rollout) -> Outcome:
    """FAIL where a metric fails, whichever its direction, as Kayenta judges by default."""
    for column in rollout.before.drop(columns="time"):
        before, after = (side[column].dropna().to_numpy(float)[None, :] for side in (rollout.before, rollout.after))
        if min(before.size, after.size) >= KAYENTA_LEAST and kayenta(after, before, "either")[0]:
            return Outcome(rollout, "FAIL")
    return Outcome(rollout, "PASS")


def tables(outcomes: Sequence[Outcome]) -> str:
    """By source, and of all: guilty that fail, innocent that fail, innocent that pass."""
    heads = ("guilty fail", "those with data", "innocent fail", "innocent pass", "innocent inc.")
    rows = [f"{'':<20}" + "".join(f"{head:>22}" for head in heads)]
    sources = [*dict.fromkeys(outcome.rollout.source for outcome in outcomes), "all"]
    for source in sources:
        some = [outcome for outcome in outcomes if source in (outcome.rollout.source, "all")]
        rows.append(f"{source:<20}" + "".join(f"{cell:>22}" for cell in _cells(some)))
    return "\n".join(rows)


def _cells(outcomes: Sequence[Outcome]) -> list[str]:
    guilty = Counter(outcome.verdict for outcome in outcomes if outcome.rollout.fault)
    seen = Counter(outcome.verdict for outcome in outcomes if outcome.rollout.fault and outcome.rollout.has_data)
    innocent = Counter(outcome.verdict for outcome in outcomes if not outcome.rollout.fault)
    return [_share(some, "FAIL") for some in (guilty, seen, innocent)] + [
        _share(innocent, verdict) for verdict in ("PASS", "INCONCLUSIVE")
    ]


def _share(verdicts: Counter[str], verdict: str) -> str:
    total = verdicts.total()
    return f"{verdicts[verdict]} of {total} {100 * verdicts[verdict] / total:.0f} %" if total else "-"


def by_fault(outcomes: Sequence[Outcome]) -> str:
    """How many of each kind of fault fail."""
    found: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        if outcome.rollout.fault:
            name = f"{outcome.rollout.source}, {outcome.rollout.fault}"
            found.setdefault(name, Counter())[outcome.verdict] += 1
    return "; ".join(f"{name} {_share(verdicts, 'FAIL')}" for name, verdicts in sorted(found.items()))


def shown(outcome: Outcome) -> str:
    """What came out wrong, with its metrics."""
    rollout = outcome.rollout
    right = outcome.verdict == "FAIL" if rollout.fault else outcome.verdict == "PASS"
    if right:
        return ""
    what = "GUILTY" if rollout.fault else "INNOCENT"
    lines = [f"{what} {outcome.verdict}  {rollout.source}, {rollout.name} {rollout.fault}"]
    worst = [metric for metric in outcome.metrics if rollout.fault or metric.verdict is not Verdict.PASS]
    return "\n".join([*lines, *(f"    {metric.verdict}, {metric.kind}: {metric.reason.text}" for metric in worst)])


def main() -> None:
    """Judge and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--split", choices=[*SPLITS, "all"], default=SPLITS[0])
    arguments.add_argument("--source", action="append", help="only this one; may be repeated")
    arguments.add_argument("--limit", type=int, help="every so many-th rollout only")
    arguments.add_argument("--show", action="store_true", help="print what came out wrong")
    arguments.add_argument("--get", action="store_true", help="bring the data")
    arguments.add_argument("--from", dest="clones", type=Path, help="folder of clones, each OWNER+NAME")
    given = arguments.parse_args()
    if given.get:
        for repository in (NEZHA, NAB, SOCK_SHOP):
            get(repository, partial(wanted, repository), given.clones)
            print(f"{repository.address} at {repository.commit[:12]}; licence: {repository.licence}")
        return
    splits = SPLITS if given.split == "all" else (given.split,)
    some = [one for split in splits for one in rollouts(split) if not given.source or one.source in given.source]
    some = some[:: given.limit or 1]
    for name, judge in (("airflow-cd", ours), ("Kayenta", kayentas)):
        began = time.process_time()
        outcomes = [judge(rollout) for rollout in some]
        if given.show and judge is ours:
            print("\n".join(filter(None, map(shown, outcomes))))
        print(f"{name}, {given.split}, {len(some)} rollouts, {time.process_time() - began:.0f} s of CPU")
        print(tables(outcomes))
        print(by_fault(outcomes), "\n", flush=True)


if __name__ == "__main__":
    main()
