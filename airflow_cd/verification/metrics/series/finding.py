"""What is wrong with a metric before it is judged."""

from __future__ import annotations

from dataclasses import dataclass, replace

from airflow_cd.verification.verdict import MetricResult, Reason, Verdict


@dataclass(frozen=True)
class Finding:
    """What is wrong with a metric before it is judged.

    :param verdict: FAIL or INCONCLUSIVE.
    :param reason: in words and numbers.
    :param decides: whether it stands whatever a judgement says; otherwise only a pass gives way to it.
    """

    verdict: Verdict
    reason: Reason
    decides: bool = False

    def on(self, result: MetricResult) -> MetricResult:
        """The result with the finding in it.

        :param result: of the same metric.
        """
        worse = self.verdict is Verdict.FAIL and result.verdict is not Verdict.FAIL
        if self.decides or worse or result.verdict is Verdict.PASS:
            return replace(result, verdict=self.verdict, reason=self.reason)
        return result
