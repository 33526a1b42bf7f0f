"""What the metrics that have been read come to: those that are compared, and those that are held against limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from airflow_cd.verification.metric_reading import MetricReader
from airflow_cd.verification.metrics.changed_since import same_instances, with_changed_since
from airflow_cd.verification.metrics.given_results import judge_results, with_results
from airflow_cd.verification.metrics.null import Taught
from airflow_cd.verification.metrics.performance import judge_performance
from airflow_cd.verification.metrics.profile import MetricProfile
from airflow_cd.verification.metrics.thresholds import Threshold
from airflow_cd.verification.per_instance import of_metrics
from airflow_cd.verification.reading import Instances
from airflow_cd.verification.samples import Metric, Window
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.verdict import Performance, Verdict

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Measured:
    """The sources of metrics of a verification, as far as they have been read.

    :param readers: of the sources, one at least.
    :param instances: whose metrics are compared.
    :param configuration: how they are judged.
    :param taught: by the name of a source, what is normal for its metrics.
    :param learn: whether having nothing to compare with is a reason to pass.
    :param there: of some instances, those that are there now.
    """

    readers: Sequence[MetricReader]
    instances: Instances
    configuration: Verification
    taught: Mapping[str, Sequence[MetricProfile]]
    learn: bool
    there: Callable[[Sequence[str]], Sequence[str]]

    def performance(self, *, final: bool) -> Performance:
        """The performance of the canary so far.

        :param final: whether nothing more is to come.
        """
        compared = [reader for reader in self.readers if not reader.of_release]
        whole = [reader for reader in self.readers if reader.of_release]
        performance = self._compared(compared, final=final) if compared else None
        for reader in whole:
            limits = [*getattr(reader.source, "limits", ()), *self.configuration.thresholds]
            results = judge_results(reader.frame(self.instances.canary), reader.metrics, limits)
            performance = with_results(performance, results)
        return performance or Performance(Verdict.PASS)

    def _compared(self, readers: Sequence[MetricReader], *, final: bool) -> Performance:
        import pandas as pd

        canary, control, past, already = [], [], [], []
        metrics: list[Metric] = []
        taught: dict[str, Taught] = {}
        several = len(readers) > 1
        for reader in readers:
            prefix = f"{reader.name}: " if several else ""
            metrics += [replace(metric, name=prefix + metric.name) for metric in reader.metrics]
            learned = MetricProfile.of_width(reader.bucket_ms, *self.taught.get(reader.name, ()))
            taught |= {prefix + name: learned.taught(name) for name in learned.sums}
            canary.append(_prefixed(reader.frame(self.instances.canary), prefix))
            control.append(_prefixed(reader.frame(self.instances.control), prefix))
            before = reader.past()
            # Beside a control it only says how much instances differ; it takes no control's place.
            if before is not None and (not self.instances.control or len(control[-1])):
                past.append(_prefixed(before, prefix))
            earlier = reader.already()
            if earlier is not None:
                already.append(_prefixed(earlier, prefix))
        configuration = self.configuration
        judged = partial(
            judge_performance,
            sensitivity=configuration.sensitivity,
            minimum_effect=configuration.minimum_effect,
            min_requests=configuration.min_requests,
            learn=self.learn,
            taught=taught,
            warm_up=configuration.warming.total_seconds(),
            decisive=configuration.decisive,
        )
        rows = pd.concat(canary, ignore_index=True)
        performance = judged(
            rows,
            pd.concat(control, ignore_index=True) if self.instances.control else None,
            pd.concat(past, ignore_index=True) if past else None,
            metrics,
            thresholds=[one for one in configuration.thresholds if not self._is_of_release(one)],
        )
        if performance.verdict is Verdict.FAIL and already:
            then = pd.concat(already, ignore_index=True)
            performance = with_changed_since(performance, judged(same_instances(rows, then), None, then, metrics))
        if final or performance.verdict is Verdict.FAIL:
            until = min(reader.cursor for reader in readers)
            rows = pd.concat([*canary, *control], ignore_index=True)
            canary_now, control_now = self.there(self.instances.canary), self.there(self.instances.control)
            watched = Window(readers[0].since, until)
            performance = of_metrics(performance, rows, metrics, canary_now, control_now, watched)
        return performance

    def _is_of_release(self, limit: Threshold) -> bool:
        """Whether a limit of the author's is of a number that is not compared."""
        return any(limit.is_of(metric) for reader in self.readers if reader.of_release for metric in reader.metrics)


def _prefixed(frame: pd.DataFrame, prefix: str) -> pd.DataFrame:
    return frame.assign(metric=prefix + frame["metric"]) if prefix else frame
