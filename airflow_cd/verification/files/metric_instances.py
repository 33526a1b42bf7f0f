"""Which rows of files of metrics are of which instance, where no column says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_cd.verification.files.metrics import MetricTable

if TYPE_CHECKING:
    import pandas as pd

_SAME = 5  # different values that two files share: their times are of the same instance


def joined(tables: Sequence[MetricTable]) -> MetricTable:
    """Several tables as one.

    :param tables: of the files of one side.
    """
    import pandas as pd

    if len(tables) == 1:
        return tables[0]
    frame = pd.concat(_of_instances([table.frame for table in tables]), ignore_index=True)
    names = list(dict.fromkeys(name for table in tables for name in table.metrics))
    return MetricTable(frame, names, [note for table in tables for note in table.notes])


def _of_instances(frames: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """The rows of each file, under the name of an earlier one where both are exports of the same instance.

    Files that name no instance are one each, unless they hold the same values at the times that they share.
    """
    found: list[pd.DataFrame] = []
    for frame in frames:
        of = next((other["instance"].iloc[0] for other in found if _are_one(other, frame)), None)
        found.append(frame if of is None else frame.assign(instance=of))
    return found


def _are_one(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    if any(len(frame["instance"].unique()) != 1 for frame in (one, other)):
        return False
    keys = ["time", "metric", "group"]
    both = one[[*keys, "value"]].merge(other[[*keys, "value"]], on=keys).dropna()
    return len(both) > 0 and bool((both["value_x"] == both["value_y"]).all()) and both["value_x"].nunique() >= _SAME


def with_instances(sides: Mapping[str, MetricTable]) -> Mapping[str, MetricTable]:
    """The tables, with instances for groups where a label of any name has no value in common on both sides.

    Queues and routes are the same ones on both sides; what has other names everywhere is what runs there.

    :param sides: by side, what its files hold.
    """
    labels = {label for table in sides.values() for label in table.labels}
    other = sides.get("control") or sides.get("baseline")
    if len(labels) != 1 or other is None:
        return sides
    label = next(iter(labels))
    if any(label not in table.labels and label not in table.constants for table in sides.values()):
        return sides
    values = [_values(table, label) for table in (sides["canary"], other)]
    if values[0] & values[1]:
        return sides
    return {side: _by_instance(table, label) for side, table in sides.items()}


def _values(table: MetricTable, label: str) -> set[str]:
    return set(table.frame["group"].unique()) if label in table.labels else {table.constants[label]}


def _by_instance(table: MetricTable, label: str) -> MetricTable:
    named = table.frame["group"] if label in table.labels else table.constants[label]
    return replace(table, frame=table.frame.assign(instance=named, group=""))
