"""What every metric is held to: how large a change counts, how many requests it takes, how long a start may last."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_cd.verification.metrics.null import COUNTED
from airflow_cd.verification.metrics.warm_up import LONGEST, PART, lengths
from airflow_cd.verification.samples import Metric, MetricKind

APDEX_PART = 0.25  # of the minimum effect: a score that ends at 1 moves less than a duration


@dataclass(frozen=True)
class Limits:
    """What a judgement is held to; see :func:`~airflow_cd.verification.metrics.performance.judge_performance`.

    :param minimum_effect: smallest relative change that counts as a regression: 0.2 is 20 %.
    :param min_requests: fewest requests on either side to judge by.
    :param warm_up: longest time after a process has started that may be left out, in milliseconds; None for
        :data:`~airflow_cd.verification.metrics.warm_up.LONGEST`, but no more than its part of the time watched.
    """

    minimum_effect: float
    min_requests: int
    warm_up: float | None = None

    def threshold(self, metric: Metric) -> float:
        """Smallest relative change of this metric that counts.

        :param metric: which metric.
        """
        return self.minimum_effect * (APDEX_PART if metric.kind == "apdex" else 1.0)

    def lengths(self, watched: float, width: float, kind: MetricKind) -> list[tuple[float, float]]:
        """Lengths of a warm-up to be tried, in milliseconds, and what each takes off the evidence that is needed.

        :param watched: how long the canary has been there; ``width`` of a bucket.
        :param kind: of the metric: requests that fail do so from the first on, counts are soon what they will be.
        """
        if kind == "errors":
            return [(0.0, 0.0)]
        return lengths(watched, width, self.longest(watched), slow=kind not in COUNTED)

    def longest(self, watched: float) -> float:
        """Longest time after a start that may be left out without a doubt, in milliseconds.

        :param watched: how long the canary has been there.
        """
        return min(LONGEST, PART * watched) if self.warm_up is None else self.warm_up
