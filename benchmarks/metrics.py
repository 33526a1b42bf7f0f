"""How often metrics raise a false alarm, and how soon they see a bad release: ours and the peers in the same run.

    python -m benchmarks.metrics [--runs 60] [--table hard] [--ours]

A verification of 20 or 50 metrics is looked at every minute for half an hour: a canary of 1 or 4 hosts against 4
control hosts, see :mod:`benchmarks.metric_model`. In the power tables one of 20 metrics is bad from the first minute.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from airflow_cd.verification.verdict import Verdict
from benchmarks.metric_judges import Watched, first_alarms, taught_by, verdicts
from benchmarks.metric_model import CONTROL_HOSTS, HARD, HOSTS_DIFFER, MINUTES, MIX, PROFILES, Side, drawn, metric_of
from benchmarks.metric_peers import kayenta, msprt, series

EARLIER = 8  # good deployments that history holds
METRICS = 20  # of which one is bad
QUIET_METRICS = 38
EFFECTS = (1.25, 1.5, 2.0)
# How many times as slow and busy each minute of a start is, and the standard deviation of hosts on the log scale.
STARTS: dict[str, tuple[Sequence[float], float]] = {
    "warm-up of 2 minutes": ((3.0, 1.8), HOSTS_DIFFER),
    "warm-up that decays for 4 minutes": ((3.0, 2.0, 1.5, 1.25), HOSTS_DIFFER),
    "hosts differ by 10 %": ((), 0.1),
}
TABLES = ("quiet", "power", "false alarms", "hard", "starts")
JUDGES = ("ours", "ours, first deployment", "Kayenta", "mSPRT")


@dataclass(frozen=True)
class Case:
    """Runs of one metric.

    :param canary: its side; ``control`` likewise.
    :param earlier: canary and control of earlier deployments of the same service.
    """

    name: str
    canary: Side
    control: Side
    earlier: Sequence[tuple[Side, Side]]

    @classmethod
    def of(
        cls,
        seed: Sequence[int],
        name: str,
        runs: int,
        hosts: int,
        factor: float | np.ndarray = 1.0,
        *,
        warm_up: Sequence[float] = (),
        hosts_differ: float = HOSTS_DIFFER,
    ) -> Case:
        """Draw it; the same seed gives the same."""
        rng = np.random.default_rng(seed)
        sizes = (hosts, CONTROL_HOSTS)
        usual = partial(drawn, rng, name, runs, sizes, warm_up=warm_up, hosts_differ=hosts_differ)
        earlier = [usual() for _ in range(EARLIER)]
        canary, control = usual(factor=factor)
        return cls(name, canary, control, [(ours, theirs) for ours, theirs in earlier])

    def watched(self, judge: str, number: int = 0) -> Watched:
        """As one of our judges is given it, which of several it is in the name."""
        metric = metric_of(self.name, number)
        return Watched(metric, self.canary, self.control, taught_by(metric, self.earlier) if judge == "ours" else None)

    def alarms(self, judge: str, metrics: int = METRICS) -> np.ndarray:
        """The minute in which the judge fails each run; infinite where it never does."""
        return first_alarms([self.watched(judge)], metrics) if judge.startswith("ours") else self._peer(judge)

    def _peer(self, judge: str) -> np.ndarray:
        metric = metric_of(self.name)
        ours, theirs = series(self.canary, metric.kind), series(self.control, metric.kind)
        if judge == "Kayenta":
            return _first(lambda look: kayenta(ours[:, :look], theirs[:, :look], metric.direction), ours)
        variances = [_variance(*(series(side, metric.kind) for side in pair)) for pair in self.earlier]
        variance = np.mean(variances, axis=0)
        return _first(lambda look: msprt(ours[:, :look], theirs[:, :look], variance, metric.direction), ours)


def _first(failed: Callable[[int], np.ndarray], values: np.ndarray) -> np.ndarray:
    first = np.full(len(values), np.inf)
    for look in range(values.shape[1], 1, -1):
        first[failed(look)] = look
    return first


def _variance(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Of the log ratio of one minute, as the textbook's known variance."""
    tiny = 1e-6
    return np.asarray(np.log((ours + tiny) / (theirs + tiny)).var(axis=1, ddof=1))


def ever_alarmed(cases: Sequence[Case], judge: str) -> np.ndarray:
    """Whether each run ever fails by any of its metrics."""
    if judge.startswith("ours"):
        watched = [case.watched(judge, number) for number, case in enumerate(cases)]
        return np.isfinite(first_alarms(watched, len(watched)))
    return np.logical_or.reduce([np.isfinite(case.alarms(judge)) for case in cases])


def false_alarms(runs: int, judges: Sequence[str] = JUDGES) -> Iterator[tuple[str, int, float]]:
    """Judge, canary hosts, and the share of runs of :data:`METRICS` without any change in which it ever fails."""
    for hosts in (1, 4):
        cases = [Case.of((1, hosts, number), MIX[number % len(MIX)], runs, hosts) for number in range(METRICS)]
        for judge in judges:
            yield judge, hosts, float(ever_alarmed(cases, judge).mean())


def hard_false_alarms(runs: int, worlds: Sequence[str] = tuple(HARD)) -> Iterator[tuple[str, int, str, float]]:
    """What real metrics have beside the model, canary hosts, judge, and how often it ever fails.

    Twenty metrics of the kind in :data:`~benchmarks.metric_model.HARD`, thirty looks, nothing changed.
    """
    for name in worlds:
        for hosts in (1, 4):
            cases = [Case.of((4, hosts, number), name, runs, hosts) for number in range(METRICS)]
            for judge in JUDGES[:2]:
                yield name, hosts, judge, float(ever_alarmed(cases, judge).mean())


def starts_and_places(runs: int) -> Iterator[tuple[str, int, str, float]]:
    """What a start and where instances stand make of twenty metrics: which, canary hosts, judge, how often it fails."""
    for name, (warm_up, differ) in STARTS.items():
        for hosts in (1, 4):
            cases = [
                Case.of((5, hosts, number), _slow(number), runs, hosts, warm_up=warm_up, hosts_differ=differ)
                for number in range(METRICS)
            ]
            for judge in JUDGES[:2]:
                yield name, hosts, judge, float(ever_alarmed(cases, judge).mean())


def _slow(number: int) -> str:
    """Kinds that a process which starts changes: its durations and what it uses."""
    return "gauge" if number % 4 == 3 else "latency"


def quiet(runs: int, metrics: int = QUIET_METRICS) -> Iterator[tuple[str, int, float, float]]:
    """Judge, canary hosts, and how many runs of a service in which nothing changes PASS and FAIL after the time."""
    for hosts in (1, 4):
        cases = [Case.of((6, hosts, number), MIX[number % len(MIX)], runs, hosts) for number in range(metrics)]
        for judge in JUDGES[:2]:
            watched = [case.watched(judge, number) for number, case in enumerate(cases)]
            found = verdicts(watched, MINUTES)
            yield judge, hosts, *(found.count(verdict) / runs for verdict in (Verdict.PASS, Verdict.FAIL))


def power(
    runs: int, names: Sequence[str] = tuple(PROFILES), judges: Sequence[str] = JUDGES
) -> Iterator[tuple[str, str, int, float, np.ndarray]]:
    """Judge, kind of the bad metric, canary hosts, by how much it is worse, and the minute of the alarm in each run."""
    for place, name in enumerate(names):
        for hosts in (1, 4):
            for effect in EFFECTS:
                case = Case.of((2, place, hosts, int(effect * 100)), name, runs, hosts, effect)
                for judge in judges:
                    yield judge, name, hosts, effect, case.alarms(judge)


def one_bad_host(runs: int, judges: Sequence[str] = JUDGES) -> Iterator[tuple[str, str, float, np.ndarray]]:
    """The same with one of four canary hosts bad: judge, kind, effect, minutes."""
    for place, name in enumerate(("latency", "errors")):
        for effect in (1.5, 2.0, 3.0):
            factor = np.array([effect, 1.0, 1.0, 1.0])
            case = Case.of((3, place, int(effect * 100)), name, runs, 4, factor)
            for judge in judges:
                yield judge, name, effect, case.alarms(judge)


def summary(minutes: np.ndarray) -> str:
    """Power and median minutes."""
    middle = float(np.median(minutes))
    return (
        f"{np.isfinite(minutes).mean():.2f} / {middle:.0f}"
        if np.isfinite(middle)
        else f"{np.isfinite(minutes).mean():.2f} / -"
    )


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print(flush=True)


def _power_tables(runs: int, judges: Sequence[str]) -> None:
    found = {
        (judge, name, hosts, effect): minutes for judge, name, hosts, effect, minutes in power(runs, judges=judges)
    }
    head = ["power / median minutes, of 20 metrics one is bad", *(f"{effect:g}x" for effect in EFFECTS)]
    for hosts in (1, 4):
        print(f"Canary of {hosts}, control of {CONTROL_HOSTS}:\n")
        rows = []
        for judge in judges:
            for name in PROFILES:
                rows.append([f"{judge}: {name}", *(summary(found[judge, name, hosts, effect]) for effect in EFFECTS)])
            drawn_from = [[found[judge, name, hosts, effect] for name in MIX] for effect in EFFECTS]
            rows.append(
                [f"{judge}: **any, as they are mixed**", *(summary(np.concatenate(some)) for some in drawn_from)]
            )
        _print_table(head, rows)
    hosts_found = {(judge, name, effect): minutes for judge, name, effect, minutes in one_bad_host(runs, judges)}
    print(f"One bad host of a canary of 4, control of {CONTROL_HOSTS}:\n")
    effects = (1.5, 2.0, 3.0)
    rows = [
        [f"{judge}: {name}", *(summary(hosts_found[judge, name, effect]) for effect in effects)]
        for judge in judges
        for name in ("latency", "errors")
    ]
    _print_table(["power / median minutes", *(f"{effect:g}x" for effect in effects)], rows)


def _false_alarm_table(found: Iterator[tuple[str, int, str, float]], runs: int) -> None:
    rows = [[name, str(hosts), judge, f"{share:.3f}"] for name, hosts, judge, share in found]
    _print_table([f"any false alarm in 30 looks, {METRICS} metrics, {runs} runs", "canary hosts", "judge", ""], rows)


def main() -> None:
    """Run it and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=60, help="runs of each case")
    parser.add_argument("--table", choices=TABLES, action="append", help="only this one; may be repeated")
    parser.add_argument("--world", choices=list(HARD), action="append", help="only this one of the hard ones")
    parser.add_argument("--ours", action="store_true", help="leave the peers out")
    given = parser.parse_args()
    runs, tables = given.runs, given.table or TABLES
    judges = JUDGES[:2] if given.ours else JUDGES
    began = time.perf_counter()
    if "quiet" in tables:
        rows = [[judge, str(hosts), f"{ok:.2f}", f"{bad:.2f}"] for judge, hosts, ok, bad in quiet(runs)]
        _print_table([f"{QUIET_METRICS} metrics, nothing changed, {runs} runs", "canary hosts", "PASS", "FAIL"], rows)
    if "power" in tables:
        _power_tables(runs, judges)
    if "false alarms" in tables:
        _false_alarm_table(
            (("as modelled", hosts, judge, share) for judge, hosts, share in false_alarms(runs, judges)), runs
        )
    if "hard" in tables:
        _false_alarm_table(hard_false_alarms(runs, given.world or tuple(HARD)), runs)
    if "starts" in tables:
        _false_alarm_table(starts_and_places(runs), runs)
    print(f"{runs} runs of each case in {time.perf_counter() - began:.0f} s.")


if __name__ == "__main__":
    main()
