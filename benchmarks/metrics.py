"""How often metrics raise a false alarm, and how soon they see a bad release: ours and the peers in the same run.

    python -m benchmarks.metrics [--quick] [--runs 400]

A verification of 20 or 50 metrics is looked at every minute for half an hour: a canary of 1 or 4 hosts against 4
control hosts, see :mod:`benchmarks.metric_model`. In the power tables one of 20 metrics is bad from the first minute.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from airflow_cd.verification.metrics.null import NOTHING_TAUGHT
from benchmarks.metric_judges import Setting, first_alarms, taught_by
from benchmarks.metric_model import CONTROL_HOSTS, HARD, MIX, PROFILES, Side, drawn, metric_of
from benchmarks.metric_peers import kayenta, msprt, series

EARLIER = 8  # good deployments that history holds
METRICS = 20  # of which one is bad
NUMBERS = (20, 50)  # none of which is bad
EFFECTS = (1.25, 1.5, 2.0)
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
    def of(cls, seed: Sequence[int], name: str, runs: int, hosts: int, factor: float | np.ndarray = 1.0) -> Case:
        """Draw it; the same seed gives the same."""
        rng = np.random.default_rng(seed)
        earlier = [drawn(rng, name, runs, (hosts, CONTROL_HOSTS)) for _ in range(EARLIER)]
        canary, control = drawn(rng, name, runs, (hosts, CONTROL_HOSTS), factor=factor)
        return cls(name, canary, control, [(ours, theirs) for ours, theirs in earlier])

    def alarms(self, judge: str, metrics: int = METRICS) -> np.ndarray:
        """The minute in which the judge fails each run; infinite where it never does."""
        return self.all_alarms([judge], [metrics])[judge, metrics]

    def all_alarms(self, judges: Sequence[str], numbers: Sequence[int]) -> dict[tuple[str, int], np.ndarray]:
        """The same for several judges and numbers of metrics; the peers do not care how many there are."""
        metric = metric_of(self.name)
        asked = [(judge, number) for judge in judges if judge.startswith("ours") for number in numbers]
        taught = {judge: taught_by(metric, self.earlier) if judge == "ours" else NOTHING_TAUGHT for judge, _ in asked}
        settings = [Setting(taught[judge], number) for judge, number in asked]
        found = {}
        if settings:
            found = dict(zip(asked, first_alarms(metric, self.canary, self.control, settings), strict=True))
        for judge in judges:
            if not judge.startswith("ours"):
                alarms = self._peer(judge)
                found |= {(judge, number): alarms for number in numbers}
        return found

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


def false_alarms(runs: int, judges: Sequence[str] = JUDGES) -> Iterator[tuple[str, int, int, float]]:
    """Judge, canary hosts, metrics, and the share of runs without any change in which it ever fails."""
    for hosts in (1, 4):
        alarmed = {(judge, metrics): np.zeros(runs, dtype=bool) for judge in judges for metrics in NUMBERS}
        for number in range(max(NUMBERS)):
            numbers = [metrics for metrics in NUMBERS if number < metrics]
            case = Case.of((1, hosts, number), MIX[number % len(MIX)], runs, hosts)
            for key, minutes in case.all_alarms(judges, numbers).items():
                alarmed[key] |= np.isfinite(minutes)
        for (judge, metrics), ever in alarmed.items():
            yield judge, hosts, metrics, float(ever.mean())


def hard_false_alarms(runs: int) -> Iterator[tuple[str, int, float, float]]:
    """What real metrics have beside the model, canary hosts, and how often ours fails: taught, first deployment.

    Twenty metrics of the kind in :data:`~benchmarks.metric_model.HARD`, thirty looks, nothing changed.
    """
    for name in HARD:
        for hosts in (1, 4):
            alarmed = {judge: np.zeros(runs, dtype=bool) for judge in JUDGES[:2]}
            for number in range(METRICS):
                case = Case.of((4, hosts, number), name, runs, hosts)
                for (judge, _), minutes in case.all_alarms(JUDGES[:2], [METRICS]).items():
                    alarmed[judge] |= np.isfinite(minutes)
            yield name, hosts, *(float(alarmed[judge].mean()) for judge in JUDGES[:2])


def power(
    runs: int, names: Sequence[str] = tuple(PROFILES), judges: Sequence[str] = JUDGES
) -> Iterator[tuple[str, str, int, float, np.ndarray]]:
    """Judge, kind of the bad metric, canary hosts, by how much it is worse, and the minute of the alarm in each run."""
    for place, name in enumerate(names):
        for hosts in (1, 4):
            for effect in EFFECTS:
                case = Case.of((2, place, hosts, int(effect * 100)), name, runs, hosts, effect)
                for (judge, _), minutes in case.all_alarms(judges, [METRICS]).items():
                    yield judge, name, hosts, effect, minutes


def one_bad_host(runs: int, judges: Sequence[str] = JUDGES) -> Iterator[tuple[str, str, float, np.ndarray]]:
    """The same with one of four canary hosts bad: judge, kind, effect, minutes."""
    for place, name in enumerate(("latency", "errors")):
        for effect in (1.5, 2.0, 3.0):
            factor = np.array([effect, 1.0, 1.0, 1.0])
            case = Case.of((3, place, int(effect * 100)), name, runs, 4, factor)
            for (judge, _), minutes in case.all_alarms(judges, [METRICS]).items():
                yield judge, name, effect, minutes


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


def _power_tables(runs: int) -> None:
    found = {(judge, name, hosts, effect): minutes for judge, name, hosts, effect, minutes in power(runs)}
    head = ["power / median minutes, of 20 metrics one is bad", *(f"{effect:g}x" for effect in EFFECTS)]
    for hosts in (1, 4):
        print(f"Canary of {hosts}, control of {CONTROL_HOSTS}:\n")
        rows = []
        for judge in JUDGES:
            for name in PROFILES:
                rows.append([f"{judge}: {name}", *(summary(found[judge, name, hosts, effect]) for effect in EFFECTS)])
            drawn_from = [[found[judge, name, hosts, effect] for name in MIX] for effect in EFFECTS]
            rows.append(
                [f"{judge}: **any, as they are mixed**", *(summary(np.concatenate(some)) for some in drawn_from)]
            )
        _print_table(head, rows)
    hosts_found = {(judge, name, effect): minutes for judge, name, effect, minutes in one_bad_host(runs)}
    print(f"One bad host of a canary of 4, control of {CONTROL_HOSTS}:\n")
    effects = (1.5, 2.0, 3.0)
    rows = [
        [f"{judge}: {name}", *(summary(hosts_found[judge, name, effect]) for effect in effects)]
        for judge in JUDGES
        for name in ("latency", "errors")
    ]
    _print_table(["power / median minutes", *(f"{effect:g}x" for effect in effects)], rows)


def main() -> None:
    """Run it and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="60 runs instead of 400: in about two minutes")
    parser.add_argument("--runs", type=int, default=None, help="runs of each case")
    parser.add_argument("--only-false-alarms", action="store_true", help="leave the power tables out")
    options = parser.parse_args()
    runs = options.runs or (60 if options.quick else 400)
    began = time.perf_counter()
    if not options.only_false_alarms:
        _power_tables(runs)
    alarms = {(judge, hosts, metrics): share for judge, hosts, metrics, share in false_alarms(runs)}
    cases = [(hosts, metrics) for hosts in (1, 4) for metrics in NUMBERS]
    head = [
        f"any false alarm in 30 looks, {runs} runs",
        *(f"{hosts} host, {metrics} metrics" for hosts, metrics in cases),
    ]
    _print_table(
        head, [[judge, *(f"{alarms[judge, hosts, metrics]:.3f}" for hosts, metrics in cases)] for judge in JUDGES]
    )
    rows = [
        [name, str(hosts), f"{taught:.3f}", f"{first:.3f}"] for name, hosts, taught, first in hard_false_alarms(runs)
    ]
    _print_table([f"any false alarm, {METRICS} metrics", "canary hosts", *JUDGES[:2]], rows)
    print(f"{runs} runs of each case in {time.perf_counter() - began:.0f} s.")


if __name__ == "__main__":
    main()
