"""A level that climbs and does not stop: memory that leaks, a queue that nobody empties.

Its mean says little while it climbs. Here the canary's course is held against a walk at random with the steps that
canary and other side really make: a straight line gets farther than such a walk does. A climb that levels off, or that
ends where the other side is, is none of these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from airflow_cd.verification.metrics.cells import middle_of
from airflow_cd.verification.metrics.rows import Rows, summed
from airflow_cd.verification.metrics.sides import Sides

_FEWEST = 12  # buckets
_STRAIGHT = 0.4  # of the climb from the first to the second third that the third one still adds
_NORMAL = 1.4826  # standard deviations to a median absolute deviation
_SMALLEST_STEP = 1e-3  # a level that does not move at all says nothing about how it moves
_OF_A_WALK = 0.4  # variance of the difference of the outer thirds' means, by that of a step and the steps there are
_FLOORS = (7, 5, 4)  # pieces of the time, of each of which the lowest level counts: a saw-tooth has one in each
_HIGHEST = 95.0  # percentile of the other side's levels, that a floor must be beyond
_SURE, _LIKE_NONE = 6.0, 3.0  # steps, of a climb that ends so many times beyond all that the other side had
_PIECES = 5  # of the time, each of which goes on where the one before ended


@dataclass(frozen=True)
class Climb:
    """How far a level has got.

    :param first: the canary's level in the first part of its time; ``last`` in the last part.
    :param beyond: how far the last part is from the other side, on the log scale.
    :param steps: standard deviations of a walk at random that it has got.
    :param seconds: how long it has been climbing.
    """

    first: float
    last: float
    beyond: float
    steps: float
    seconds: float


def climb(sides: Sides, minimum_effect: float, *, less_load: bool = False) -> Climb | None:
    """The canary's climb for the worse; None if it does not climb, levels off, or ends within the minimum effect.

    :param sides: the rows of one metric, all above 0 to be judged.
    :param minimum_effect: smallest relative change that counts.
    :param less_load: whether the canary has less to do than a control: its level should be lower then, and a climb that
        ends above the control's is as large as it is from the canary's own beginning.
    """
    times, ours = _course(sides.canary)
    control_times, theirs = _course(sides.control)
    if len(times) < _FEWEST or len(control_times) < _FEWEST or min(ours.min(), theirs.min()) <= 0:
        return None
    if sides.paired:
        common, at, there = np.intersect1d(times, control_times, return_indices=True)
        if len(common) < _FEWEST:
            return None
        times, ours, usual = common, ours[at], theirs[there]
    else:
        usual = np.full(len(ours), float(np.median(theirs)))
    relative = np.log(ours / usual)
    sign = _sign(sides.metric.direction, relative)
    relative = sign * relative
    size = len(relative) // 3
    parts = (slice(None, size), slice(size, -size), slice(-size, None))
    thirds = [float(np.mean(relative[part])) for part in parts]
    rise = thirds[2] - thirds[0]
    # From near nothing a straight line levels off on the log scale, and on that only.
    plain = [float(np.mean(sign * (ours / usual)[part])) for part in parts]
    pieces = [float(np.median(part)) for part in np.array_split(relative, _PIECES)]
    straight = all(later > earlier for earlier, later in pairwise(pieces))
    levels_off = all(last - middle < _STRAIGHT * (middle - first) for first, middle, last in (thirds, plain))
    beyond = rise if less_load and _above_all(sign * np.log(ours), sign * np.log(theirs)) else pieces[-1]
    # What is collected again and again climbs by its floor.
    floors = [_rising_floor(sides, times, ours, theirs, minimum_effect, pieces=number) for number in _FLOORS]
    floor = next((found for found in floors if found is not None), None)
    if rise <= 0 or not straight or levels_off or beyond < math.log1p(minimum_effect):
        return floor
    step = max(_step(relative), _step(np.log(theirs)), _SMALLEST_STEP)
    steps = rise / (step * math.sqrt(_OF_A_WALK * len(relative)))
    highest = float(np.max(sign * np.log(theirs)))
    last = float(np.median(np.array_split(sign * np.log(ours), _PIECES)[-1]))
    if last - highest >= math.log(_LIKE_NONE):
        steps = max(steps, _SURE)  # a few of a queue scatter by factors, and still do not climb to hundreds
    ends = max(1, len(ours) // 10)
    whole = Climb(
        float(np.mean(ours[:ends])),
        float(np.mean(ours[-ends:])),
        beyond,
        steps,
        float(times[-1] - times[0]) / 1000.0,
    )
    return whole if floor is None else max(whole, floor, key=lambda found: found.steps)


def _above_all(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Whether the last piece of the time is worse on the canary than any piece on the other side."""
    last = float(np.median(np.array_split(ours, _PIECES)[-1]))
    return last > max(float(np.median(piece)) for piece in np.array_split(theirs, _PIECES))


def _rising_floor(
    sides: Sides, times: np.ndarray, ours: np.ndarray, theirs: np.ndarray, minimum_effect: float, *, pieces: int
) -> Climb | None:
    """The climb of the lowest level of each piece of the time, where that ends above all that the other side has."""
    if sides.metric.direction != "higher_is_worse" or sides.metric.kind != "gauge":
        return None
    floors = np.log([float(piece.min()) for piece in np.array_split(ours, pieces)])
    usual = np.log([float(piece.min()) for piece in np.array_split(theirs, pieces)])
    beyond = float(floors[-1] - np.log(np.percentile(theirs, _HIGHEST)))
    # What the other side does at the same time, too, is no climb of the canary's own.
    course = floors - usual if sides.paired else floors
    rises = np.diff(course)
    if (
        (rises <= 0).any()
        or beyond <= 0
        or rises.sum() < math.log1p(minimum_effect)
        or rises[-(pieces // 2) :].sum() < _STRAIGHT * rises[: pieces // 2].sum()
    ):
        return None
    step = max(_step(course), _step(usual), _SMALLEST_STEP)
    return Climb(
        float(np.exp(floors[0])),
        float(np.exp(floors[-1])),
        beyond,
        float(course[-1] - course[0]) / (step * math.sqrt(_OF_A_WALK * len(floors))),
        float(times[-1] - times[0]) / 1000.0,
    )


def _sign(direction: str, relative: np.ndarray) -> float:
    if direction == "either":
        return 1.0 if relative[-1] >= relative[0] else -1.0
    return -1.0 if direction == "lower_is_worse" else 1.0


def _course(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """The buckets that hold something, and the level in each."""
    times, bucket = np.unique(rows.time, return_inverse=True)
    count, total = (summed(bucket, values, len(times)) for values in (rows.count, rows.total))
    held = count > 0
    return times[held], total[held] / count[held]


def _step(logs: np.ndarray) -> float:
    """Standard deviation of a step between neighbours, taken robustly, without what every step has in common."""
    steps = np.diff(logs)
    robust = _NORMAL * float(middle_of(np.abs(steps - np.median(steps))))
    return max(robust, 0.5 * float(np.std(steps)))
