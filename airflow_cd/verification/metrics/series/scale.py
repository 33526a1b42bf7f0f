"""On which scale levels are compared, where a ratio of the values themselves would say nothing.

A ratio of two levels needs a zero that means *nothing at all*, and levels above it. Shares near 1 (a success rate of
99.9 per cent) have theirs at the other end: what counts is the part that is missing. Levels that may be 0 (a queue, a
lag) get a small offset, so that from 0 to 1 is no infinite rise and from 0 to 50 a large one; levels that may be
negative (a clock's offset) are measured from where the other side is, in units of how large they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from airflow_cd.verification.metrics.names.units import SIZES
from airflow_cd.verification.metrics.names.vocabulary import FAILED, FAILED_REQUEST, SUCCEEDED
from airflow_cd.verification.metrics.names.words import words_of
from airflow_cd.verification.metrics.rows import Rows
from airflow_cd.verification.samples import Metric

_STEPS = 5.0  # of the smallest amount anyone notices: with a minimum effect of 20 %, less than one never counts
_LEAST = {
    "s": 0.01,
    "ms": 10.0,
    "us": 1e4,
    "ns": 1e7,
    "bytes": 1e6,
    "kB": 1e3,
    "MB": 1.0,
    "GB": 0.001,
    "cores": 0.01,
}
_FAILED_SHARE, _OTHER_SHARE = 0.001, 0.01
_SELDOM = 0.5
_OF_LARGEST = 0.01
_SINGLE = frozenset(("request", "response", "message", "payload", "body", "page", "object", "document", "packet"))
_SPREADS = 5.0  # standard deviations that a signed level counts at least


@dataclass(frozen=True)
class Scale:
    """How values are turned into what is compared.

    :param complement: whether what is missing to 1 is compared.
    :param origin: taken off each value; ``unit`` what it is then divided by.
    :param offset: added at the end.
    """

    complement: bool = False
    origin: float = 0.0
    unit: float = 1.0
    offset: float = 0.0

    @classmethod
    def of_metric(cls, metric: Metric, canary: np.ndarray, control: np.ndarray) -> Scale:
        """The scale of a metric's values.

        :param metric: which metric.
        :param canary: its values on the canary; ``control`` on the other side. Finite, shares as parts of 1.
        """
        if metric.kind == "share":
            words = set(words_of(metric.name))
            failing = words & (FAILED_REQUEST | FAILED) or (words & SUCCEEDED and not words & {"hit"})
            offset = _STEPS * (_FAILED_SHARE if failing else _OTHER_SHARE)
            seldom = len(control) > 0 and is_seldom(metric.name, float(np.mean(control)))
            return cls(metric.direction == "lower_is_worse" and not seldom, offset=offset)
        if metric.kind != "gauge" or not len(control) or not len(canary):
            return AS_IT_IS
        both = np.concatenate([canary, control])
        if both.min() < 0:
            size = max(abs(float(np.mean(control))), _SPREADS * float(np.std(control)), 1e-12)
            return cls(origin=float(np.mean(control)), unit=size, offset=1.0)
        least = _least(metric, both)
        # Of what must not get fewer (healthy hosts, ready replicas) each single one counts.
        steps = 1.0 if metric.direction == "lower_is_worse" else _STEPS
        # Far above what anyone notices, ratios need no help.
        if float(np.median(control)) > 4.0 * steps * least and both.min() > 0:
            return AS_IT_IS
        return cls(offset=steps * least)

    def counts(self, change: float, level: float) -> float:
        """What a relative change on this scale is of the values themselves: 0.002 of a success rate of 99 %.

        :param change: on this scale, without its sign.
        :param level: from which it is, of the values; shares as parts of 1.
        :returns: relative, without its sign; 0 where there is no such thing, from a level of 0.
        """
        if self == AS_IT_IS or not np.isfinite(change):
            return change
        value = (1.0 - level if self.complement else level - self.origin) / self.unit + self.offset
        return abs(change * value * self.unit / level) if level else 0.0

    def back(self, level: float) -> float:
        """The value of a level on this scale.

        :param level: on this scale.
        """
        value = (level - self.offset) * self.unit + self.origin
        return 1.0 - value if self.complement else value

    def of(self, rows: Rows) -> Rows:
        """Rows on this scale.

        :param rows: of one side.
        """
        if self == AS_IT_IS:
            return rows
        value = 1.0 - rows.value if self.complement else rows.value
        return replace(
            rows, value=np.maximum((value - self.origin) / self.unit, -0.95 if self.origin else 0.0) + self.offset
        )


def is_seldom(name: str, usual: float) -> bool:
    """Whether a share that should be large is small as a rule, so that its own size says more than what is missing.

    Of visitors six in a hundred order something: a fall to four is a third of the orders, and two points of the rest.

    :param name: of the metric.
    :param usual: its usual value, as a part of 1.
    """
    return usual < _SELDOM and bool(set(words_of(name)) & SUCCEEDED)


AS_IT_IS = Scale()
"""The values themselves."""


def _least(metric: Metric, values: np.ndarray) -> float:
    """The smallest amount of a level that anyone notices, in its unit."""
    single = metric.unit in SIZES and set(words_of(metric.name)) & _SINGLE
    if metric.unit in _LEAST and not single:
        return _LEAST[metric.unit]
    if bool(np.all(values == np.round(values))):
        return 1.0
    return _OF_LARGEST * float(np.max(values)) or 1.0
