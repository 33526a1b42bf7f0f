"""Reading counters of Prometheus, and of series that appear as much as it takes to say what they have counted."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_cd.hooks import promql
from airflow_cd.sources.buckets import Buckets
from airflow_cd.sources.prometheus_counters import (
    AGED,
    BACK,
    FRESH,
    GROWN,
    HEARD,
    HEARD_NEW,
    LIVING,
    OLD,
    PART,
    Counter,
)
from airflow_cd.sources.prometheus_growth import Accepted, Appeared, Grown, Key, Place

if TYPE_CHECKING:
    from airflow_cd.hooks.prometheus import PromAnswer, PrometheusHook

_END = "le"  # label of a classic histogram's buckets


@dataclass
class CounterReader:
    """Reads how much counters have grown in the buckets of one window.

    :param hook: of the connection.
    :param names: of the instances.
    :param label: that holds them.
    :param group_by: label to break down by; ``""`` for none.
    :param where: further matchers.
    :param buckets: of the window.
    :ivar queries: as they were sent.
    :ivar notes: what the server said of them.
    :ivar values: of the label, by the instance that they are.
    """

    hook: PrometheusHook
    names: Collection[str]
    label: str
    group_by: str
    where: str
    buckets: Buckets
    queries: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    values: dict[str, set[str]] = field(default_factory=dict)

    def grown(self, name: str, *where: str, part: str = "", ends: bool = False) -> Grown:
        """By how much counters have grown.

        :param name: of the metric.
        :param where: matchers.
        :param part: function that takes a counter out of a native histogram; none (``""``) by default.
        :param ends: whether each end of a classic histogram's buckets is a counter of its own; False by default.
        """
        grown = Grown()
        # One more than is wanted: what an instance counts next says what its new series can have counted.
        answer = self._asked(self._counter(name, where, part, ends).growth, more=1)
        for key, value, kind in self._counted(answer):
            if math.isfinite(value):
                into = grown.known if kind == GROWN else grown.new
                into[key] = into.get(key, 0.0) + value
            else:
                grown.unsure.add(key)
        if unsure := sorted({place[0] for place, _ in grown.unsure if self._inside(place)}):
            note = f"{name} of {_listed(unsure)} is no number (NaN) at times; what it counted just then is left out."
            self.notes += [note] if note not in self.notes else []
        return grown

    def _with_new(
        self, name: str, *where: str, part: str = "", ends: bool = False, accepted: Accepted | None = None
    ) -> Grown:
        """As :meth:`grown`, with what is known of series that have appeared, which is asked where it says anything.

        Not among the queries that are shown: it is asked now and then.
        """
        grown = self.grown(name, *where, part=part, ends=ends)
        keys = accepted.compared(grown.new) if accepted else {key for key, value in grown.new.items() if value > 0}
        if keys:
            grown.appeared = self._appeared(name, where, part, ends, keys)
        return grown

    def _appeared(self, name: str, where: Sequence[str], part: str, ends: bool, keys: Collection[Key]) -> Appeared:
        appeared = Appeared()
        numbers = [place[2] for place, _ in keys]
        counter = self._counter(name, where, part, ends, names=sorted({place[0] for place, _ in keys}))
        first = self.buckets.first.timestamp() + (min(numbers) + 1) * self.buckets.seconds
        # Which series go on is seen in the bucket that follows.
        answer = self.hook.range(counter.appearance, first, max(numbers) - min(numbers) + 2, self.buckets.seconds)
        parts = {BACK: appeared.back, FRESH: appeared.fresh, OLD: appeared.old}
        times = {HEARD: appeared.heard, HEARD_NEW: appeared.heard_new}
        for (place, end), value, kind in self._counted(answer):
            at = (place[0], place[2])
            if kind in (LIVING, AGED):
                (appeared.living if kind == LIVING else appeared.aged).add(at)
            elif kind in times:
                times[kind][at] = max(value, times[kind].get(at, 0.0))
            elif kind in parts and math.isfinite(value):
                into = parts[kind]
                into[place, end] = into.get((place, end), 0.0) + value
        return appeared

    def _note(self, name: str, accepted: Accepted) -> None:
        """Say which instances have series that are left out."""
        inside = {instance for instance, number in accepted.left_out if 0 <= number < self.buckets.number}
        if left_out := sorted(inside):
            self.notes.append(
                f"Series of {name} of {_listed(left_out)} appeared with more than they can have counted since the "
                "bucket before: they were away for more than an hour, or have got other labels. What they held is left "
                "out."
            )

    def _happened(self, accepted: Accepted, name: str, *where: str, part: str = "") -> Mapping[Place, float]:
        return accepted.counted(self._with_new(name, *where, part=part, accepted=accepted)).values

    def _counted(self, answer: PromAnswer) -> Iterator[tuple[Key, float, str]]:
        for one in answer.series:
            instance = self._instance(one.labels)
            if instance is None:
                continue
            group, end, kind = (one.labels.get(label, "") for label in (self.group_by, _END, PART))
            for at, value in one.points:
                yield ((instance, group, self.buckets.number_of(at)), end), value, kind

    def _counter(
        self, name: str, where: Sequence[str], part: str, ends: bool, names: Collection[str] | None = None
    ) -> Counter:
        selected = self._selector(name, *where, names=names)
        by = self._by(_END) if ends else self._by()
        return Counter(selected, self.label, by, self.buckets.width, part, ends)

    def _asked(self, query: str, more: int = 0, earlier: int = 0) -> PromAnswer:
        self.queries.append(query)
        first = self.buckets.first.timestamp() + (1 - earlier) * self.buckets.seconds
        answer = self.hook.range(query, first, self.buckets.number + more + earlier, self.buckets.seconds)
        self.notes += [note for note in answer.notes if note not in self.notes]
        return answer

    def _instance(self, labels: Mapping[str, str]) -> str | None:
        value = labels.get(self.label, "")
        instance = promql.instance_of(value, self.names)
        if instance is not None:
            self.values.setdefault(instance, set()).add(value)
        return instance

    def of_several_processes(self) -> Iterator[str]:
        """What is said of instances that several things were read of, each on a port of its own."""
        for instance, values in self.values.items():
            if len(values) > 1:
                listed = " and ".join(sorted(values)[:5])
                yield (
                    f"{self.label} holds {listed} of {instance}, and all of it is added up. Keep what is meant: "
                    "where='job=\"...\"'."
                )
                return

    def _selector(self, name: str, *where: str, names: Collection[str] | None = None) -> str:
        chosen = sorted(self.names if names is None else names)
        return promql.selector(name, self.where, *where, promql.one_of(self.label, chosen))

    def _by(self, *more: str) -> str:
        return ", ".join(filter(None, (self.label, self.group_by, *more)))

    def _inside(self, place: Place) -> bool:
        return 0 <= place[2] < self.buckets.number


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} others" if len(names) > 5 else "")
