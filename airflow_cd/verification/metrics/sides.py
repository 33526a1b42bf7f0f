"""The rows of one metric on either side, and what of them can be compared."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from airflow_cd.verification.metrics.cells import (
    CAP,
    Cells,
    Comparison,
    bucket_factors,
    compare,
    compare_times,
    middle_of,
)
from airflow_cd.verification.metrics.highest import NOTHING_SEEN, Highest
from airflow_cd.verification.metrics.layout import came_back, cells_of, moments_of, own_level, width_of
from airflow_cd.verification.metrics.null import COUNTED
from airflow_cd.verification.metrics.rows import Rows, pair_of_rows, summed
from airflow_cd.verification.metrics.series.scale import AS_IT_IS, Scale
from airflow_cd.verification.metrics.shape import Moments
from airflow_cd.verification.metrics.warm_up import Lives
from airflow_cd.verification.samples import Direction, Metric

if TYPE_CHECKING:
    import pandas as pd


ALONE = ("gauge", "share", "count")  # kinds that rest on no requests: every row counts as one


@dataclass(frozen=True)
class Sides:
    """The rows of one metric on either side.

    :param metric: which metric.
    :param canary: the canary's rows; ``control`` those of the other side.
    :param group: which of its groups, ``""`` for all together.
    :param compared_with: ``control`` (same time, other instances) or ``before`` (same instances, earlier).
    :param unusable: share of the canary's rows that held no number; ``control_unusable`` likewise.
    :param gaps: how often an instance of the canary fell silent and came back.
    :param scale: on which levels are compared, where that is not their own.
    :param width: of a bucket in milliseconds; 0 with fewer than two.
    :param odd: what of the other side was left out because it is not like the rest, in words; ``""`` for nothing.
    :param load: by which the canary's values were divided to be those at the other side's load.
    :param asked: how many times the other side's load the canary has, where values were set right for it.
    :param seen: how far above what is usual values were before the deployment, beside a control.
    :param lives: when the canary's processes started; ``control_lives`` those of a control that are as new.
    """

    metric: Metric
    canary: Rows
    control: Rows
    compared_with: str
    group: str = ""
    unusable: float = 0.0
    control_unusable: float = 0.0
    gaps: int = 0
    scale: Scale = AS_IT_IS
    width: int = 0
    odd: str = ""
    load: float = 1.0
    asked: float = 1.0
    seen: Highest = NOTHING_SEEN
    lives: Lives = field(default_factory=lambda: Lives({}))
    control_lives: Lives = field(default_factory=lambda: Lives({}))

    @classmethod
    def of(cls, metric: Metric, canary: pd.DataFrame, control: pd.DataFrame, compared_with: str) -> Sides:
        """Pick the metric's rows.

        :param metric: which metric.
        :param canary: rows of any metrics, as :class:`~airflow_cd.verification.samples.MetricSample` has them;
            ``control`` likewise.
        :param compared_with: ``control`` or ``before``.
        """
        signed = metric.kind == "gauge"
        pair = pair_of_rows(canary, control, metric.name, ignore_count=metric.kind in ALONE, negative=signed)
        (ours, unusable), (theirs, control_unusable) = pair
        sides = cls.of_rows(metric, ours, theirs, compared_with)
        return replace(sides, unusable=unusable, control_unusable=control_unusable)

    @classmethod
    def of_rows(cls, metric: Metric, ours: Rows, theirs: Rows, compared_with: str) -> Sides:
        """The same of rows that are read already.

        :param metric: which metric.
        :param ours: its rows of the canary; ``theirs`` of the other side.
        :param compared_with: ``control`` or ``before``.
        """
        gaps = 0
        alone = metric.kind in ALONE
        width = width_of(np.concatenate([ours.time, theirs.time]))
        back, theirs_back = (came_back(side, width, gauge=alone) for side in (ours, theirs))
        lives, control_lives = Lives.of(ours, back), Lives({})
        if compared_with == "control" and len(theirs):
            control_lives = Lives.of(theirs, theirs_back, int(theirs.time.min()) + width)
        if metric.kind in ("latency", "gauge", "apdex", "share"):
            # An instance that starts is slow for reasons of its own.
            gaps = len(np.unique(np.stack([ours.instance[back], ours.time[back]]), axis=1).T)
            ours, theirs = ours.where(~back), theirs.where(~theirs_back)
        scale = Scale.of_metric(metric, ours.value, theirs.value)
        return cls(
            metric,
            ours,
            theirs,
            compared_with,
            gaps=gaps,
            scale=scale,
            width=width,
            lives=lives,
            control_lives=control_lives,
        )

    @property
    def paired(self) -> bool:
        """Whether both are of the same time."""
        return self.compared_with == "control"

    @property
    def direction(self) -> Direction:
        """Which way is worse for what is compared: of shares, that is the part that is bad."""
        return "higher_is_worse" if self.scale.complement else self.metric.direction

    @property
    def groups(self) -> list[str]:
        """Groups that the canary has, if it is broken down at all."""
        return [name for code, name in enumerate(self.canary.group_names) if name and (self.canary.group == code).any()]

    @property
    def instances(self) -> list[str]:
        """The canary's instances."""
        return [self.canary.instance_names[code] for code in self.canary.instances()]

    def of_group(self, group: str) -> Sides:
        """The same for one group.

        :param group: one of :attr:`groups`.
        """
        code = self.canary.group_names.index(group)
        canary, control = (side.where(side.group == code) for side in (self.canary, self.control))
        return replace(self, canary=canary, control=control, group=group)

    def of_instance(self, name: str) -> Sides:
        """The same for one instance of the canary; compared with before, against its own past if it has one.

        :param name: one of :attr:`instances`.
        """
        code = self.canary.instance_names.index(name)
        control = self.control
        if self.has_past(name):
            control = control.where(control.instance == code)
        return replace(self, canary=self.canary.where(self.canary.instance == code), control=control)

    def has_past(self, name: str) -> bool:
        """Whether one instance of the canary is compared with itself before the deployment.

        :param name: one of :attr:`instances`.
        """
        return not self.paired and bool((self.control.instance == self.canary.instance_names.index(name)).any())

    @property
    def watched(self) -> int:
        """For how many milliseconds the canary has been there."""
        return int(self.canary.time.max() - self.canary.time.min()) + self.width if len(self.canary) else 0

    def older_than(self, age: float) -> Sides:
        """The same without what a process did in its first time.

        :param age: of its process that a row must have, in milliseconds.
        """
        if not age:
            return self
        canary = self.canary.where(self.lives.ages(self.canary) >= age)
        return replace(self, canary=canary, control=self.control.where(self.control_lives.ages(self.control) >= age))

    def scaled(self, factor: float) -> Sides:
        """The same with the canary's values multiplied.

        :param factor: by which.
        """
        return replace(self, canary=replace(self.canary, value=self.canary.value * factor))

    def as_measured(self) -> Rows:
        """The canary's rows as they were measured, not set right for its load."""
        return self.canary if self.load == 1.0 else replace(self.canary, value=self.canary.value * self.load)

    def lately(self, part: float) -> Sides:
        """The same for the last part of the canary's time.

        :param part: of the time, up to 1.
        """
        buckets = max(1, round(part * self.watched / max(self.width, 1)))
        since = self.canary.time.max(initial=0) - (buckets - 1) * self.width
        control = self.control.where(self.control.time >= since) if self.paired else self.control
        return replace(self, canary=self.canary.where(self.canary.time >= since), control=control)

    def moments(self) -> tuple[Moments, Moments, np.ndarray]:
        """Values over time of every instance and group on both sides, and for the canary's the other side's usual."""
        ours, groups = moments_of(self.scale.of(self.canary))
        theirs, their_groups = moments_of(self.scale.of(self.control))
        usual = theirs.usual()
        by_group = {code: middle_of(usual[their_groups == code]) for code in np.unique(their_groups)}
        return ours, theirs, np.array([float(by_group.get(code, np.nan)) for code in groups])

    @property
    def _capped(self) -> bool:
        """Whether single values are cut: of requests that hang there are always a few."""
        return self.metric.kind in ("latency", "gauge", "share")

    @property
    def tailed(self) -> bool:
        """Whether nobody knows how many requests a duration is of: it may be one slow one."""
        return self.metric.kind == "latency" and float(max(self.canary.count.max(), self.control.count.max())) <= 1.0

    def started_late(self) -> bool:
        """Whether the canary was there for less than half of the time that the control was."""
        if not self.paired or not len(self.canary) or not len(self.control):
            return False
        end = max(self.canary.time.max(), self.control.time.max())
        return bool(2 * (end - self.canary.time.min()) < end - self.control.time.min())

    def compare(self, *, capped: bool = True) -> Comparison | None:
        """Both sides compared; None when there is nothing in common, or nothing on the control to compare with.

        :param capped: whether single absurd values are cut, where the metric's kind has any.
        """
        capped = capped and self._capped
        counts = self.metric.kind in COUNTED
        ours, theirs = (self.canary, self.control)
        if not len(ours) or not len(theirs):
            return None
        if counts:
            cells = self._counted(ours, theirs)
        else:
            both = self._levelled(ours, theirs, capped)
            if both is None:
                return None
            cells = both
        comparison = (compare if self.paired else compare_times)(
            *cells, counts=counts, capped=capped, tailed=self.tailed
        )
        if not comparison.buckets or (not counts and not (comparison.ratio > 0 and comparison.control_ratio > 0)):
            return None
        return self._scattered(comparison)

    def _scattered(self, comparison: Comparison) -> Comparison:
        """The comparison with no less scatter than measurements are known to have within a bucket."""
        if self.metric.kind != "latency":
            return comparison
        known = [side.scatter() for side in (self.canary, self.control)]
        count = sum(number for _, number in known)
        if not count:
            return comparison
        within = sum(square * number for square, number in known) / count
        return replace(comparison, squares=np.maximum(comparison.squares, within * comparison.freedom))

    def _levelled(self, ours: Rows, theirs: Rows, capped: bool) -> tuple[Cells, Cells] | None:
        """Levels, each transaction held against its own: another mix of them is no regression."""
        ours, theirs = self.scale.of(ours), self.scale.of(theirs)
        groups = len(theirs.group_names)
        counts = summed(theirs.group, theirs.count, groups)
        totals = summed(theirs.group, theirs.total, groups)
        level = np.divide(totals, counts, out=np.zeros(groups), where=counts > 0)
        ours, theirs = (side.where((level[side.group] > 0) & (side.count > 0)) for side in (ours, theirs))
        if not len(ours) or not len(theirs):
            return None
        if self.paired:
            times = np.unique(theirs.time)
            factor = bucket_factors(
                cells_of(theirs, theirs.total, theirs.count * level[theirs.group], theirs.count, times)
            )
            at = [np.minimum(np.searchsorted(times, side.time), len(times) - 1) for side in (ours, theirs)]
            usual = [level[side.group] * factor[place] for side, place in zip((ours, theirs), at, strict=True)]
        else:
            usual = [level[side.group] for side in (ours, theirs)]
        # A single request that hangs would otherwise be the mean; how many hang is judged by itself.
        if capped:
            ours, theirs = (
                replace(side, value=np.minimum(side.value, CAP * most * own_level(side, most)))
                for side, most in zip((ours, theirs), usual, strict=True)
            )
        shared = np.unique(np.concatenate([ours.time, theirs.time])) if self.paired else None
        first, second = (
            cells_of(side, side.total, side.count * level[side.group], side.count, shared) for side in (ours, theirs)
        )
        return first, second

    def _counted(self, ours: Rows, theirs: Rows) -> tuple[Cells, Cells]:
        """Numbers of events; where the control has none, half a one is what is to be expected."""
        kind = self.metric.kind
        shared = np.unique(np.concatenate([ours.time, theirs.time])) if self.paired else None
        sides = []
        for side in (ours, theirs):
            events = (1.0 - side.value.clip(0.0, 1.0)) * side.count if kind == "apdex" else side.value
            exposure = side.count
            cells = cells_of(side, events, exposure, exposure, shared)
            if kind == "throughput":
                # That nothing came is a measurement, from an instance's first request on.
                there = np.cumsum(cells.expected, axis=-1) > 0
                cells = replace(cells, expected=there.astype(float))
            sides.append(cells)
        level = max(float(sides[1].total.sum()), 0.5) / max(float(sides[1].expected.sum()), 1e-12)
        first, second = (replace(side, expected=side.expected * level, count=side.expected * level) for side in sides)
        return first, second
