"""The instances and buckets of both sides laid out as arrays, and what they say about the ratio and its noise.

Everything here is sums over the last two axes, instances and buckets. Axes before them are independent cases: a
judgement has none, a benchmark as many as it has runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

CAP = 3.0  # times what is usual for the instance itself: a single value beyond it counts as that, a level never
LEAST_CAP = 1.5  # the same where the other side hardly varies
_SIGMAS = 4.0  # of how the other side varies: what lies in between
_NORMAL = 1.4826  # standard deviations to a median absolute deviation
SHRINK_LEVEL = 5.0  # requests by which a bucket's level is drawn to the overall one


@dataclass(frozen=True)
class Cells:
    """One side; all arrays have instances and buckets as their last axes, and 0 where there is no data.

    :param total: what was measured: the sum of durations, the number of errors.
    :param expected: what the other side's level lets expect of the same requests, shared load aside.
    :param count: how many measurements the total rests on; of counts, the number to be expected.
    """

    total: np.ndarray
    expected: np.ndarray
    count: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """What both sides together say about one metric. All are arrays over the cases (or single numbers).

    :param ratio: the canary's level over what is to be expected; ``control_ratio`` of the other side.
    :param exposure: what was to be expected of the canary, shared load included; ``control_exposure`` likewise.
    :param count: measurements of the canary; ``control_count`` likewise.
    :param instances: of the canary that have data; ``control_instances`` likewise.
    :param buckets: in which both sides have data.
    :param squares: sum of squared relative deviations times measurements, what instances and buckets have in common
        taken out; ``freedom`` are its degrees of freedom, so squares / freedom is the variance of one measurement.
    :param between: the part of the squares that is between the sides; ``between_freedom`` likewise.
    :param within: the part within the control; ``within_freedom`` likewise.
    :param canary_squares: the canary's deviations from its own level, or of its neighbouring buckets from each other if
        those are smaller, with the control's shared part taken out.
    :param canary_freedom: degrees of freedom of those.
    :param fourth: mean fourth power of the control's deviations over their squared variance (3 for normal ones).
    :param lag: correlation between neighbouring buckets, corrected for its bias.
    :param host_squares: squared differences of like instances' levels on the log scale, about their side's mean.
    :param host_noise: what of it sampling explains, if one measurement has a variance of 1.
    :param host_freedom: degrees of freedom of those; ``control_host_*`` are the control's alone.
    """

    ratio: np.ndarray
    control_ratio: np.ndarray
    exposure: np.ndarray
    control_exposure: np.ndarray
    count: np.ndarray
    control_count: np.ndarray
    instances: np.ndarray
    control_instances: np.ndarray
    buckets: np.ndarray
    squares: np.ndarray
    freedom: np.ndarray
    between: np.ndarray
    between_freedom: np.ndarray
    within: np.ndarray
    within_freedom: np.ndarray
    canary_squares: np.ndarray
    canary_freedom: np.ndarray
    fourth: np.ndarray
    lag: np.ndarray
    host_squares: np.ndarray
    host_noise: np.ndarray
    host_freedom: np.ndarray
    control_host_squares: np.ndarray
    control_host_noise: np.ndarray
    control_host_freedom: np.ndarray

    @property
    def log_ratio(self) -> np.ndarray:
        """Logarithm of the canary's level over the other side's."""
        tiny = np.finfo(float).tiny
        return np.asarray(np.log(np.maximum(self.ratio, tiny)) - np.log(np.maximum(self.control_ratio, tiny)))

    @property
    def sampling(self) -> np.ndarray:
        """Variance of the log ratio if one measurement has a variance of 1 and none depends on another."""
        return np.asarray(1.0 / np.maximum(self.count, 1e-12) + 1.0 / np.maximum(self.control_count, 1e-12))


def bucket_factors(control: Cells) -> np.ndarray:
    """How much higher than usual the control's level was in each bucket; one with few requests is drawn to 1.

    :param control: the side that does not change.
    """
    total, expected = control.total.sum(axis=-2), control.expected.sum(axis=-2)
    count = control.count.sum(axis=(-2, -1))
    extra = SHRINK_LEVEL * _over(control.expected.sum(axis=(-2, -1)), count)[..., None]
    return _over(total + extra, expected + extra, empty=1.0)


def compare(
    canary: Cells, control: Cells, *, counts: bool = False, capped: bool = True, tailed: bool = False
) -> Comparison:
    """Compare sides of the same time, bucket by bucket: load that both share cancels.

    Buckets in which one side has nothing are left out on both.

    :param canary: the side on the new release; ``control`` the other one.
    :param counts: whether totals are numbers of events, whose variance is their mean.
    :param capped: whether a single total far beyond what is usual for its instance is cut. Counts never are.
    :param tailed: whether a value may rest on one slow request, so that they vary by factors and not by shares.
    """
    both = (canary.expected.sum(axis=-2) > 0) & (control.expected.sum(axis=-2) > 0)
    factor = np.where(both, bucket_factors(control), 0.0)[..., None, :]
    ours, theirs = (_shared(side, factor, counts) for side in (canary, control))
    if capped and not counts:
        ours, theirs = _capped(ours, theirs)
    return _compared(ours, theirs, both, counts, tailed)


def compare_times(
    canary: Cells, before: Cells, *, counts: bool = False, capped: bool = True, tailed: bool = False
) -> Comparison:
    """Compare the same instances at two times: what they share varies with time too, so they count as one.

    :param canary: the instances now; ``before`` the same ones earlier.
    :param counts: whether totals are numbers of events.
    :param capped: as in :func:`compare`; ``tailed`` likewise.
    """
    sides = [
        Cells(*(array.sum(axis=-2, keepdims=True) for array in (side.total, side.expected, side.count)))
        for side in (canary, before)
    ]
    if capped and not counts:
        sides = _capped(*sides)
    ours, theirs = parts = [_Part(side, counts) for side in sides]
    zero = np.zeros_like(ours.ratio)
    one_each = np.ones_like(ours.ratio)
    squares = [np.maximum(part.buckets_squares, part.log_squares if tailed else 0.0) for part in parts]
    freedom = [np.maximum(part.buckets - 1.0, 0.0) for part in parts]
    worst = np.maximum(*(_over(square, free) for square, free in zip(squares, freedom, strict=True)))
    total_freedom = freedom[0] + freedom[1]
    lag = _over(sum(part.lag_products for part in parts), sum(part.buckets_squares for part in parts))
    return Comparison(
        ratio=ours.ratio,
        control_ratio=theirs.ratio,
        exposure=ours.exposure,
        control_exposure=theirs.exposure,
        count=ours.count,
        control_count=theirs.count,
        instances=one_each,
        control_instances=one_each,
        buckets=np.minimum(ours.buckets, theirs.buckets),
        # Neither side may hide behind the other's calm.
        squares=np.maximum(worst * total_freedom, squares[0] + squares[1]),
        freedom=total_freedom,
        between=zero,
        between_freedom=zero,
        within=squares[1],
        within_freedom=freedom[1],
        canary_squares=squares[0],
        canary_freedom=freedom[0],
        fourth=np.full_like(zero, 3.0),
        lag=_unbiased(lag, np.minimum(ours.buckets, theirs.buckets)),
        host_squares=zero,
        host_noise=zero,
        host_freedom=zero,
        control_host_squares=zero,
        control_host_noise=zero,
        control_host_freedom=zero,
    )


def _shared(side: Cells, factor: np.ndarray, counts: bool) -> Cells:
    """The side with what all share put into the expectation."""
    expected = side.expected * factor
    total = np.where(expected > 0, side.total, 0.0)
    if counts:
        return Cells(total, expected, expected)
    return Cells(total, expected, np.where(expected > 0, side.count, 0.0))


def _capped(canary: Cells, control: Cells) -> list[Cells]:
    """Both sides with their single absurd values cut, so that none of them is the mean."""
    ratios = [np.where(side.expected > 0, _over(side.total, side.expected), np.nan) for side in (canary, control)]
    usual = [middle_of(ratio) for ratio in ratios]
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.abs(np.log(ratios[1] / usual[1][..., None]))
    apart = np.where(np.isfinite(apart), apart, np.nan)
    spread = np.nan_to_num(_NORMAL * middle_of(apart.reshape(*apart.shape[:-2], -1)))
    cap = np.clip(np.exp(_SIGMAS * np.minimum(spread, 1.0)), LEAST_CAP, CAP)[..., None]
    return [
        replace(
            side, total=np.minimum(side.total, (cap * np.where(middle > 0, middle, 1.0))[..., None] * side.expected)
        )
        for side, middle in zip((canary, control), usual, strict=True)
    ]


def middle_of(values: np.ndarray) -> np.ndarray:
    """The median over the last axis, NaN left out; NaN where nothing is left.

    :param values: of any shape.
    """
    ordered = np.sort(values, axis=-1)
    number = (~np.isnan(ordered)).sum(axis=-1)
    if not ordered.shape[-1]:
        return np.full(ordered.shape[:-1], np.nan)
    ends = [np.clip(place, 0, ordered.shape[-1] - 1)[..., None] for place in ((number - 1) // 2, number // 2)]
    low, high = (np.take_along_axis(ordered, place, axis=-1)[..., 0] for place in ends)
    return np.where(number > 0, (low + high) / 2.0, np.nan)


class _Part:
    """One side's levels by instance and bucket, and its deviations from them."""

    def __init__(self, side: Cells, counts: bool) -> None:
        self.present = side.expected > 0
        self.exposure = side.expected.sum(axis=(-2, -1))
        self.count = side.count.sum(axis=(-2, -1))
        self.ratio = _over(side.total.sum(axis=(-2, -1)), self.exposure)
        self.host_level = _over(side.total.sum(axis=-1), side.expected.sum(axis=-1))
        self.host_count = side.count.sum(axis=-1)
        self.instances = (self.host_count > 0).sum(axis=-1).astype(float)
        self.bucket_count = side.count.sum(axis=-2)
        self.buckets = (self.bucket_count > 0).sum(axis=-1).astype(float)
        own = side.expected * self.host_level[..., None]  # each instance's own level
        self.bucket_level = _over(side.total.sum(axis=-2), own.sum(axis=-2))
        usual = own * self.bucket_level[..., None, :]
        weight = usual if counts else side.count
        self.deviation = _over(side.total - usual, usual) * np.sqrt(weight)
        self.own_deviation = _over(side.total - own, own) * np.sqrt(own if counts else side.count)
        cells = self.present.sum(axis=(-2, -1))
        self.squares = (self.deviation**2).sum(axis=(-2, -1))
        self.freedom = np.maximum(cells - self.instances - self.buckets + 1.0, 0.0)
        relative = (self.bucket_level - 1.0) * np.sqrt(self.bucket_count)
        relative = np.where(self.bucket_count > 0, relative, 0.0)
        self.buckets_squares = (relative**2).sum(axis=-1)
        self.log_squares = _log_squares(self.bucket_level, self.bucket_count)
        self.lag_products = (relative[..., 1:] * relative[..., :-1]).sum(axis=-1)

    def hosts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Squared differences of the instances' levels, what sampling explains of them, degrees of freedom."""
        known = self.host_level > 0
        number = known.sum(axis=-1)
        logs = np.where(known, np.log(np.where(known, self.host_level, 1.0)), 0.0)
        mean = _over(logs.sum(axis=-1), number)[..., None]
        squares = np.where(known, (logs - mean) ** 2, 0.0).sum(axis=-1)
        sampling = np.where(known, _over(1.0, self.host_count), 0.0).sum(axis=-1)
        freedom = np.maximum(number - 1.0, 0.0)
        return squares, sampling * _over(freedom, number), freedom


def _compared(canary: Cells, control: Cells, both: np.ndarray, counts: bool, tailed: bool) -> Comparison:
    ours, theirs = _Part(canary, counts), _Part(control, counts)
    buckets = both.sum(axis=-1).astype(float)
    weight = _over(1.0, _over(1.0, ours.bucket_count) + _over(1.0, theirs.bucket_count)) * both
    between = np.where(both, ours.bucket_level - theirs.bucket_level, 0.0) * np.sqrt(weight)
    between_squares = (between**2).sum(axis=-1)
    plain_squares = between_squares + ours.squares + theirs.squares
    if tailed:
        apart = _over(ours.bucket_level, theirs.bucket_level) * both
        between_squares = np.maximum(between_squares, _log_squares(apart, weight))
    between_freedom = np.maximum(buckets - 1.0, 0.0)
    squares = between_squares + ours.squares + theirs.squares
    freedom = between_freedom + ours.freedom + theirs.freedom
    parts = (between[..., None, :], ours.deviation, theirs.deviation)
    lag = sum((part[..., 1:] * part[..., :-1]).sum(axis=(-2, -1)) for part in parts)
    number = (theirs.deviation != 0).sum(axis=(-2, -1))
    fourth = _over((theirs.deviation**4).sum(axis=(-2, -1)), _over(theirs.squares, number) ** 2 * number)
    # The control's own noise is in what the canary was paired with.
    alone = ours.own_deviation / np.sqrt(1.0 + _over(canary.count, theirs.bucket_count[..., None, :]))
    # What steps up once is no scatter: of neighbours only one pair shows it.
    steps = np.where(ours.present[..., 1:] & ours.present[..., :-1], np.diff(alone, axis=-1), 0.0)
    scatter = np.minimum((alone**2).sum(axis=(-2, -1)), (steps**2).sum(axis=(-2, -1)) / 2.0)
    our_hosts, their_hosts = ours.hosts(), theirs.hosts()
    return Comparison(
        ratio=ours.ratio,
        control_ratio=theirs.ratio,
        exposure=ours.exposure,
        control_exposure=theirs.exposure,
        count=ours.count,
        control_count=theirs.count,
        instances=ours.instances,
        control_instances=theirs.instances,
        buckets=buckets,
        squares=squares,
        freedom=freedom,
        between=between_squares,
        between_freedom=between_freedom,
        within=theirs.squares,
        within_freedom=theirs.freedom,
        canary_squares=scatter,
        canary_freedom=np.maximum(ours.present.sum(axis=(-2, -1)) - ours.instances, 0.0),
        fourth=fourth,
        lag=_unbiased(_over(lag, plain_squares), buckets),
        host_squares=our_hosts[0] + their_hosts[0],
        host_noise=our_hosts[1] + their_hosts[1],
        host_freedom=our_hosts[2] + their_hosts[2],
        control_host_squares=their_hosts[0],
        control_host_noise=their_hosts[1],
        control_host_freedom=their_hosts[2],
    )


def _log_squares(level: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Squared deviations on the log scale: of values a thousand times apart their mean's relative error says nothing.

    :param level: of each bucket; ``weight`` its measurements.
    """
    known = (level > 0) & (weight > 0)
    logs = np.where(known, np.log(np.where(known, level, 1.0)), 0.0)
    weight = np.where(known, weight, 0.0)
    mean = _over((weight * logs).sum(axis=-1), weight.sum(axis=-1))
    return np.asarray((weight * (logs - mean[..., None]) ** 2).sum(axis=-1))


def _unbiased(lag: np.ndarray, buckets: np.ndarray) -> np.ndarray:
    """The correlation of neighbours; deviations from a mean of few look less correlated than they are."""
    return np.asarray(np.clip(lag + _over(1.0 + 3.0 * lag, buckets), -0.5, 0.95))


def _over(upper: np.ndarray | float, lower: np.ndarray | float, empty: float = 0.0) -> np.ndarray:
    """A quotient, ``empty`` where there is nothing to divide by."""
    upper, lower = np.asarray(upper, dtype=float), np.asarray(lower, dtype=float)
    nothing = np.full(np.broadcast_shapes(upper.shape, lower.shape), empty)
    return np.asarray(np.divide(upper, lower, out=nothing, where=lower > 0))
