"""Less of what a service uses, sends or asks of others while it answers as many requests: no loss by itself.

A cache, compression, batches and connections that are kept make it less. So may an answer that is empty, so what
became far less is asked about, and answers that are all but gone fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from airflow_cd.verification.metrics.amplified import BEHIND
from airflow_cd.verification.metrics.load import is_asked
from airflow_cd.verification.metrics.names.units import SIZES
from airflow_cd.verification.metrics.names.words import words_of
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.metrics.words import number
from airflow_cd.verification.samples import Metric
from airflow_cd.verification.verdict import MetricResult, Reason, Verdict

SPARED = "spared"
"""Code of the reason of such a result."""

_ASKED_OF_OTHERS = BEHIND | {"cache", "keyspace", "redis", "memcached", "mysql", "postgres", "pg", "mongodb", "mongo"}
_CALLS_OUT = frozenset((one, "client") for one in ("http", "grpc", "rpc", "db", "redis", "sql"))
_OF_ITS_OWN = frozenset(
    ("connection", "conn", "cx", "handshake", "log", "logback", "class", "thread", "switch", "interrupt", "syscall")
)
_FAR_LESS = 5.0  # times less, of what is sent or asked of others: that is asked about
_ANSWERS, _LESS_IN_ANSWERS = frozenset(("response", "answer", "body", "payload")), 2.0  # the same of what users get
_GONE = 10.0  # times less of what is sent: that is an answer that is no longer there
_FEWEST = 100.0  # requests on either side


def with_spared(results: Sequence[MetricResult], sides: Mapping[str, Sides]) -> list[MetricResult]:
    """The results, those that fail because less is used, sent or asked of others passed, or held up for a question.

    :param results: of all metrics and groups.
    :param sides: by the name of a metric, its rows.
    """
    served = _served(results, sides)
    if served is None:
        return list(results)
    return [_spared(result, sides[result.name], served) for result in results]


def _served(results: Sequence[MetricResult], sides: Mapping[str, Sides]) -> float | None:
    """How many times as many requests are answered as on the other side; None where nobody counts them, or it fails."""
    counted = {
        name: one
        for name, one in sides.items()
        if is_asked(one.metric) and not is_asked_of_others(one.metric) and _enough(one)
    }
    if not counted:
        return None
    asked = max(counted, key=lambda name: float(counted[name].control.value.sum()))
    if any(result.verdict is Verdict.FAIL for result in results if result.name == asked):
        return None
    return float(counted[asked].canary.value.mean()) / float(counted[asked].control.value.mean())


def _enough(sides: Sides) -> bool:
    return min(float(rows.value.sum()) for rows in (sides.canary, sides.control)) >= _FEWEST


def _spared(result: MetricResult, sides: Sides, served: float) -> MetricResult:
    fell = result.verdict is Verdict.FAIL and result.reason.code == "metric_regressed" and (result.effect or 0.0) < 0
    own, sent, others = _is_its_own(sides.metric), _is_sent(sides.metric), is_asked_of_others(sides.metric)
    if not fell or result.effect is None or not (own or sent or others):
        return result
    # Beside a control it is related to the load already.
    less = (1.0 if sides.paired else served) / max(1.0 + result.effect, 1e-9)
    if sent and not others and less >= _GONE:
        return result
    text = f"{result.reason.text[:-1]}; as many requests are answered as before"
    answers = sent and bool(_ANSWERS & set(words_of(result.name)))
    if own or less < (_LESS_IN_ANSWERS if answers else _FAR_LESS):
        return replace(result, verdict=Verdict.PASS, reason=replace(result.reason, code=SPARED, text=f"{text}."))
    text = f"{text}, with {number(less)} times less of it for each. Is that meant?"
    return replace(result, verdict=Verdict.INCONCLUSIVE, reason=Reason(SPARED, text, {"times": less}))


def _is_its_own(metric: Metric) -> bool:
    """Whether it is a matter of the process's own, and no answer to anybody."""
    words = words_of(metric.name)
    return metric.kind in ("count", "gauge") and bool(_OF_ITS_OWN & set(words)) and "login" not in words


def _is_sent(metric: Metric) -> bool:
    """Whether it is how much goes in and out."""
    return metric.kind == "gauge" and metric.direction == "either" and metric.unit.removesuffix("/s") in SIZES


def is_asked_of_others(metric: Metric) -> bool:
    """Whether it is what a service asks of others rather than what it is asked.

    :param metric: which metric.
    """
    words = words_of(metric.name)
    counted = metric.kind in ("throughput", "count", "gauge")
    return counted and bool(_ASKED_OF_OTHERS & set(words) or _CALLS_OUT & set(pairwise(words)))
