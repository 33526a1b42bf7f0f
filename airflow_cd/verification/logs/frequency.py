"""Is an event more or less frequent on the canary than earlier deployments and the control let expect?

Counts of log events spread wider than chance alone: deployments differ and events come in bursts. So each is judged
by a negative binomial. Its mean is what the references logged, scaled by a volume factor (the median of ratios over
events, after Anders and Huber 2010, "Differential expression analysis for sequence count data"), which cancels more
or less traffic. Its dispersion is estimated over the references, shrunk towards :data:`PRIOR_DISPERSION`, and grows
with how little the references hold: an event that was seen once may well be seen three times. Over all events the
false discovery rate is held by Benjamini and Hochberg's procedure (1995).

What a service logs changes from release to release, so a recent deployment counts more than an old one: each is
worth half of the one :data:`HALVED_AFTER` deployments later. The control, which runs beside the canary, counts in full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from airflow_cd.verification.logs.headers.requests import status_in

PRIOR_DISPERSION = 0.15
PRIOR_WEIGHT = 4.0  # in references
HALVED_AFTER = 4.0  # deployments
_FEW_EVENTS = 4  # fewer shared events than this make no median
_SAYS_MORE = 4.0  # times as many records as the event judged: then requests are the traffic it is part of
_ANSWERED = range(100, 500)  # statuses
_ENOUGH_RECORDS = 10.0


@dataclass(frozen=True)
class Reference:
    """What one earlier deployment, or the control, logged.

    :param counts: records for each event.
    :param watched: seconds watched, summed over instances; 0 when unknown.
    :param weight: what its records count for; see :func:`recency`.
    """

    counts: Mapping[str, int]
    watched: float
    weight: float = 1.0


def recency(age: int) -> float:
    """What a deployment counts for that is ``age`` deployments older than the newest one."""
    return float(0.5 ** (age / HALVED_AFTER))


@dataclass(frozen=True)
class Expectation:
    """What was to be expected of one event on the canary.

    :param expected: mean number of records.
    :param p_value: two-sided probability of a count this far out.
    """

    expected: float
    p_value: float


def volume_factor(
    canary: Mapping[str, int], reference: Mapping[str, int], exposure: float | None, event: str = ""
) -> float:
    """How many records the canary is to have for each one of the reference.

    Of a log with few kinds of lines those that answered requests are the traffic: an event that is a small part of them
    is expected as often as they are, or as often as there is time, whichever fits. No other line is: retries are many
    because of what they hide.

    :param canary: records for each event on the canary; ``reference`` likewise.
    :param exposure: canary's instance seconds for each one of the reference's; None when unknown.
    :param event: the one that is judged by it, which says nothing of the traffic; ``""`` for none.
    """
    return _volume(_shared(canary, reference), canary, reference, exposure, event)


def _shared(canary: Mapping[str, int], reference: Mapping[str, int]) -> dict[str, int]:
    """Records of the reference for each event that says how large it is."""
    return {one: count for one, count in reference.items() if count >= _ENOUGH_RECORDS and canary.get(one, 0) > 0}


def _volume(
    shared: Mapping[str, int],
    canary: Mapping[str, int],
    reference: Mapping[str, int],
    exposure: float | None,
    event: str,
) -> float:
    if len(shared) >= _FEW_EVENTS:
        return float(np.median([(canary[one] + 0.5) / (count + 0.5) for one, count in shared.items()]))
    traffic = _traffic(shared, canary, event) if event else None
    if traffic is not None and traffic[1] >= _SAYS_MORE * reference.get(event, 0):
        requests = traffic[0] / traffic[1]
        if exposure is None:
            return requests
        # What has come with the requests, and what comes with the time, is as it was: either explains it.
        ratio = canary.get(event, 0) / max(reference.get(event, 0), 0.5)
        return float(np.clip(ratio, min(requests, exposure), max(requests, exposure)))
    if exposure is not None:
        return exposure
    total = sum(reference.values())
    return sum(canary.values()) / total if total else 0.0


def _traffic(shared: Mapping[str, int], canary: Mapping[str, int], event: str) -> tuple[int, int] | None:
    """Answered requests of the canary and of the reference, the event that is judged aside; None without any."""
    answered = [one for one in shared if one != event and (status_in(one) or 0) in _ANSWERED]
    return (sum(canary[one] for one in answered), sum(shared[one] for one in answered)) if answered else None


def expectations(
    canary: Mapping[str, int], watched: float, references: Sequence[Reference], events: Sequence[str]
) -> dict[str, Expectation]:
    """Judge the count of each event.

    :param references: what the canary is compared with.
    :param events: which events to judge.
    :param canary: records for each event on the canary.
    :param watched: seconds the canary was watched, summed over instances; 0 when unknown.
    """
    from scipy.special import betainc

    usable = [reference for reference in references if reference.counts]
    if not usable or not events:
        return {}
    factors = np.array([_factors(canary, watched, usage, events) for usage in usable]).T
    counts = np.array([[usage.counts.get(event, 0) for usage in usable] for event in events], dtype=float)
    observed = np.array([canary.get(event, 0) for event in events], dtype=float)
    factors = np.maximum(factors, 1e-9)
    weights = np.array([usage.weight for usage in usable])
    # Each reference says count * factor; the sum of counts over the sum of 1 / factor weighs them by their volume.
    exposure = (weights / factors).sum(axis=1)
    known = counts @ weights
    mean = known / exposure
    dispersion = _dispersion(counts, factors, mean)
    size = 1.0 / (dispersion + 1.0 / (known + 0.5))
    guarded = (known + 0.5) / exposure
    chance = size / (size + guarded)
    # Both tails of the negative binomial as incomplete beta functions, which are defined for any size.
    upper = np.where(observed > 0, betainc(np.maximum(observed, 1.0), size, 1.0 - chance), 1.0)
    lower = betainc(size, observed + 1.0, chance)
    p_values = np.minimum(1.0, 2.0 * np.minimum(upper, lower))
    return {event: Expectation(float(mean[row]), float(p_values[row])) for row, event in enumerate(events)}


def _factors(canary: Mapping[str, int], watched: float, reference: Reference, events: Sequence[str]) -> np.ndarray:
    """:func:`volume_factor` for each of the events."""
    exposure = watched / reference.watched if watched and reference.watched else None
    shared = _shared(canary, reference.counts)
    if not shared or len(shared) >= _FEW_EVENTS:
        return np.full(len(events), _volume(shared, canary, reference.counts, exposure, ""))
    return np.array([_volume(shared, canary, reference.counts, exposure, event) for event in events])


def _dispersion(counts: np.ndarray, factors: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Dispersion of each event over the references, by moments, shrunk towards the prior."""
    number = counts.shape[1]
    if number < 2:
        return np.full(len(mean), PRIOR_DISPERSION)
    fitted = mean[:, None] / factors
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = ((counts - fitted) ** 2 - fitted) / fitted**2
    moments = np.nan_to_num(excess, nan=0.0, posinf=0.0, neginf=0.0).sum(axis=1) / (number - 1)
    weight = number - 1.0
    shrunk = (PRIOR_WEIGHT * PRIOR_DISPERSION + weight * np.clip(moments, 0.0, 5.0)) / (PRIOR_WEIGHT + weight)
    # Never below half the prior: few references that agree are luck more often than proof.
    return np.asarray(np.maximum(shrunk, PRIOR_DISPERSION / 2))


def surprise(
    counts: Mapping[str, int], exposure: float, references: Sequence[Reference], event: str, spread: float
) -> tuple[float, float]:
    """How often an event was to be expected, and how probable so many of it are or more.

    :param counts: of all events of what is judged.
    :param exposure: of what is judged, in the unit that the references were watched in.
    :param references: what it is compared with.
    :param event: which event.
    :param spread: dispersion of its counts.
    """
    from scipy.special import betainc

    factors = [
        max(volume_factor(counts, one.counts, exposure / one.watched if one.watched else None, event), 1e-9)
        for one in references
    ]
    known = sum(one.counts.get(event, 0) for one in references)
    # Each reference says count * factor; together they are weighed by their volume.
    volume = sum(1.0 / factor for factor in factors)
    size, guarded = 1.0 / (spread + 1.0 / (known + 0.5)), (known + 0.5) / volume
    observed = counts.get(event, 0)
    chance = float(betainc(max(observed, 1.0), size, 1.0 - size / (size + guarded))) if observed else 1.0
    return known / volume, chance


def discoveries(p_values: Mapping[str, float], level: float) -> set[str]:
    """The events that stand out at this false discovery rate (Benjamini and Hochberg 1995).

    :param p_values: of each event.
    :param level: the false discovery rate: share of false ones among those that stand out.
    """
    ranked = sorted(p_values.items(), key=lambda item: item[1])
    passed = 0
    for rank, (_, p_value) in enumerate(ranked, 1):
        if p_value <= level * rank / len(ranked):
            passed = rank
    return {event for event, _ in ranked[:passed]}
