"""Moments that are far from usual: a second mode of slow minutes, requests that hang, values that swing.

The mean hides them and a variance confuses them with what is harmless: a burst that happens once, a level that climbs,
a control that does not move at all. So moments are counted. One is *far out* if it lies farther from the instance's own
usual value than the minimum effect and than nearly all of the control's do. How often that happens on the canary
is held against how often it happens on the control. Neighbours are no news: what lasts counts by its episodes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from airflow_cd.verification.metrics.cells import middle_of
from airflow_cd.verification.metrics.evidence import excess_evidence
from airflow_cd.verification.samples import Direction

FEWEST_EPISODES = 3  # what happens once or twice is no habit
LEAST_SHARE = 0.02  # increase of the share of moments that are far out, below which it does not matter
GROWS = 0.5  # by which that share surely grows: slow moments cluster, so a small ratio proves little
BEYOND = 2.0  # minimum effects: a smaller swing is nothing to a user, however calm the control is
_SIGMAS = 4.0  # of the control's own moments, their spread taken robustly
_DIFFERS = 0.05  # variance of the logarithm of that share between like instances
_FEWEST_USUAL = 12.0  # moments to know what is usual by
_NORMAL = 1.4826  # standard deviations to a median absolute deviation
_BACK = 0.5  # of the limit, on the log scale: an episode ends below it, so that noise around the limit is one


@dataclass(frozen=True)
class Moments:
    """Values over time; series and buckets are the last axes.

    :param value: one for each series (an instance, or one of its groups) and bucket.
    :param present: where there is one, and it is above 0.
    """

    value: np.ndarray
    present: np.ndarray

    def usual(self) -> np.ndarray:
        """The median of each series, NaN where it is empty."""
        return middle_of(np.where(self.present, self.value, np.nan))


@dataclass(frozen=True)
class FarOut:
    """How often values were far from usual on either side; arrays over the cases.

    :param evidence: logarithm of the e-value that it happens more often on the canary, by more than :data:`GROWS`.
    :param worse: whether it also matters: it happened often enough, and clearly more often.
    :param moments: far out on the canary; ``of`` how many. ``control_moments`` and ``control_of`` likewise.
    :param limit: how many times what is usual a value must be to be far out.
    :param usual: from where that is, for each series of the canary.
    """

    evidence: np.ndarray
    worse: np.ndarray
    moments: np.ndarray
    of: np.ndarray
    control_moments: np.ndarray
    control_of: np.ndarray
    limit: np.ndarray
    usual: np.ndarray


def far_out(
    canary: Moments,
    control: Moments,
    usual: np.ndarray,
    direction: Direction,
    minimum_effect: float,
    least: float = 0.0,
    coarse: float = 0.0,
) -> FarOut:
    """Count the moments far out on both sides and weigh them.

    :param canary: the canary's values; ``control`` the other side's.
    :param usual: for each series of the canary what is usual on the other side: calmer moments than those are fine.
    :param direction: which way is worse.
    :param minimum_effect: smallest relative change that counts; ``least`` the smallest absolute one.
    :param coarse: relative variance that the canary's values have beyond the control's because they are smaller whole
        numbers.
    """
    theirs = _deviations(control, control.usual(), least)
    reference = canary.usual()
    if direction == "higher_is_worse":
        reference = np.fmax(reference, usual)
    elif direction == "lower_is_worse":
        reference = np.fmin(reference, usual)
    ours = _deviations(canary, reference, least)
    spread = _NORMAL * middle_of(np.abs(theirs).reshape(*theirs.shape[:-2], -1))
    limit = np.fmax(math.log1p(BEYOND * minimum_effect), _SIGMAS * np.sqrt(spread**2 + coarse))
    first, second = (_counted(side, limit, direction) for side in (ours, theirs))
    by_chance = 1.0 - first[0] / np.maximum(first[2], 1.0)  # of so many some are neighbours
    length = np.maximum(by_chance * (first[0] + second[0]) / np.maximum(first[1] + second[1], 1.0), 1.0)
    share = np.clip(first[2] / np.maximum(first[2] + second[2], 1.0), 1e-9, 1.0 - 1e-9)
    evidence = excess_evidence(first[0] / length, second[0] / length, share, _DIFFERS, math.log1p(GROWS))
    part, usual_part = (count[0] / np.maximum(count[2], 1.0) for count in (first, second))
    worse = (
        (first[1] >= FEWEST_EPISODES)
        & (second[2] >= _FEWEST_USUAL)
        & (part - usual_part >= LEAST_SHARE)
        & (part > (1.0 + GROWS) * usual_part)
    )
    return FarOut(evidence, worse, first[0], first[2], second[0], second[2], np.exp(limit), reference)


def _deviations(side: Moments, usual: np.ndarray, least: float) -> np.ndarray:
    """Logarithm of each value over what is usual for its series, NaN where there is none."""
    known = side.present & (usual[..., None] > 0)
    far = known & (np.abs(side.value - usual[..., None]) >= least)
    ratio = np.divide(side.value, usual[..., None], out=np.ones_like(side.value), where=far)
    return np.where(known, np.log(np.maximum(ratio, np.finfo(float).tiny)), np.nan)


def _counted(
    deviations: np.ndarray, limit: np.ndarray, direction: Direction
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Moments far out, their episodes, and all moments."""
    signed = {"higher_is_worse": deviations, "lower_is_worse": -deviations}.get(direction, np.abs(deviations))
    line = limit[..., None]
    inside = np.zeros(signed.shape[:-1], dtype=bool)
    moments, episodes = np.zeros(limit.shape), np.zeros(limit.shape)
    for bucket in range(signed.shape[-1]):
        now = signed[..., bucket]
        known = ~np.isnan(now)
        out = known & (now > line)
        episodes = episodes + (out & ~inside).sum(axis=-1)
        moments = moments + out.sum(axis=-1)
        inside = np.where(known, out | (inside & (now > _BACK * line)), inside)
    return moments, episodes, (~np.isnan(signed)).sum(axis=(-2, -1)).astype(float)


def coarseness(canary: np.ndarray, control: np.ndarray) -> float:
    """Relative variance that numbers of events have beyond the other side's because there are fewer; 0 for none.

    Of eight connections three more are chance, of eighty thirty are not.

    :param canary: values as they were measured; ``control`` those of the other side.
    """
    if not len(canary) or not len(control) or not all(_whole(side) for side in (canary, control)):
        return 0.0
    ours, theirs = float(np.mean(canary)), float(np.mean(control))
    return max(0.0, 1.0 / ours - 1.0 / theirs) if min(ours, theirs) > 0 else 0.0


def _whole(values: np.ndarray) -> bool:
    return bool(np.all(np.abs(values - np.round(values)) < 1e-6))
