"""Which rows of files of metrics are of which instance, where no column says it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_cd.verification.files.metric_columns import names_instances
from airflow_cd.verification.files.metrics import MetricTable

if TYPE_CHECKING:
    import pandas as pd

_LABELS = re.compile(r"\{([^{}]*)\}")
_LABEL = re.compile(r"\s*([\w.@-]+?)\s*[=:]\s*(\"[^\"]*\"|[^\",]*)\s*(?:,|$)")
_PARTS = re.compile(r"\"[^\"]*\"|[^.:/{},=\s\"]+")
_FEWEST_NAMES, _MOST_NAMES, _LONGEST_NAME = 2, 1000, 1000  # of which what differs is looked for
_SAME = 5  # different values that two files share: their times are of the same instance


def joined(tables: Sequence[MetricTable]) -> MetricTable:
    """Several tables as one.

    :param tables: of the files of one side.
    """
    import pandas as pd

    tables = [_with_labels(table) for table in tables]
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


def _with_labels(table: MetricTable) -> MetricTable:
    """The table with instances by the labels in its metrics' names (``up{pod="web-1"}``), where it names no other."""
    if len(table.frame["instance"].unique()) != 1:
        return table
    found = {name: parts for name in table.metrics if (parts := _labelled(name)) is not None}
    return _renamed(table, found) if found else table


def _labelled(name: str) -> tuple[str, str] | None:
    """A name without the label that tells instances apart, and the instance; None without one."""
    inside = _LABELS.search(name) if len(name) <= _LONGEST_NAME else None
    if inside is None:
        return None
    labels = list(_LABEL.finditer(inside[1]))
    own = next((label for label in labels if names_instances(label[1])), None)
    if own is None:
        return None
    rest = ",".join(label[0].strip().rstrip(",") for label in labels if label is not own)
    plain = name[: inside.start()] + (f"{{{rest}}}" if rest else "") + name[inside.end() :]
    return plain, own[2].strip('"')


def _renamed(table: MetricTable, found: Mapping[str, tuple[str, str]]) -> MetricTable:
    """The table with other names of some metrics, and with the instances that these were of."""
    frame = table.frame
    names, instances = ({name: parts[place] for name, parts in found.items()} for place in (0, 1))
    instance = frame["metric"].map(instances).fillna(frame["instance"])
    frame = frame.assign(metric=frame["metric"].replace(names), instance=instance)
    return replace(table, frame=frame, metrics=list(dict.fromkeys(names.get(name, name) for name in table.metrics)))


def with_instances(sides: Mapping[str, MetricTable]) -> Mapping[str, MetricTable]:
    """The tables, with instances for groups where a label of any name has no value in common on both sides.

    Queues and routes are the same ones on both sides; what has other names everywhere is what runs there.

    In the path of a name, too, what is another one in all of them is the instance (``servers.web-1.cpu``).

    :param sides: by side, what its files hold.
    """
    sides = _with_paths(sides)
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
    return _said({side: _by_instance(table, label) for side, table in sides.items()}, f"The column {label}")


def _values(table: MetricTable, label: str) -> set[str]:
    return set(table.frame["group"].unique()) if label in table.labels else {table.constants[label]}


def _by_instance(table: MetricTable, label: str) -> MetricTable:
    named = table.frame["group"] if label in table.labels else table.constants[label]
    notes = [note for note in table.notes if f"column {label} holds text" not in note]
    return replace(table, frame=table.frame.assign(instance=named, group=""), notes=notes)


def _with_paths(sides: Mapping[str, MetricTable]) -> Mapping[str, MetricTable]:
    """The tables with instances by the one part in which all names of one side differ from those of the other."""
    other = sides.get("control") or sides.get("baseline")
    tables = list(sides.values())
    if other is None or any(len(table.frame["instance"].unique()) != 1 for table in tables):
        return sides
    if set(sides["canary"].metrics) & set(other.metrics) or max(len(table.metrics) for table in tables) > _MOST_NAMES:
        return sides
    found = {side: _patterns(table.metrics) for side, table in sides.items()}
    theirs = _patterns(other.metrics)
    shared = [
        pattern
        for pattern, parts in found["canary"].items()
        if pattern in theirs and not parts.keys() & theirs[pattern].keys()
    ]
    renamed = {}
    for side, patterns in found.items():
        of = [(name, pattern, part) for pattern in shared for part, name in patterns.get(pattern, {}).items()]
        if len({name for name, _, _ in of}) != len(of):
            return sides  # in more than one part: nobody knows which it is
        renamed[side] = {name: (pattern, part.strip('"')) for name, pattern, part in of}
    # One name alone may as well be of something else.
    each = Counter(part for _, part in renamed["canary"].values())
    if set(renamed["canary"]) != set(sides["canary"].metrics) or min(each.values(), default=0) < _FEWEST_NAMES:
        return sides
    return _said({side: _renamed(table, renamed[side]) for side, table in sides.items()}, "A part of all names")


def _said(sides: Mapping[str, MetricTable], what: str) -> Mapping[str, MetricTable]:
    """The tables with a note of what was read as their instances."""
    named = [(side, sorted(map(str, table.frame["instance"].unique()))) for side, table in sides.items()]
    shown = "; ".join(
        f"{', '.join(names[:3])}{' and more' if len(names) > 3 else ''} ({side})" for side, names in named
    )
    note = f"{what} has no value in common on both sides, and was read as the instance: {shown}."
    return {**sides, "canary": replace(sides["canary"], notes=[*sides["canary"].notes, note])}


def _patterns(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """By each name with one part left open, what stands there and the whole name."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        for part, pattern in _opened(name):
            found.setdefault(pattern, {})[part] = name
    return found


def _opened(name: str) -> Iterator[tuple[str, str]]:
    if len(name) <= _LONGEST_NAME:
        for part in _PARTS.finditer(name):
            yield part[0], f"{name[: part.start()]}*{name[part.end() :]}"
