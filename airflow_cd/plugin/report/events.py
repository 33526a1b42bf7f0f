"""The table of events in the order and the extract that the reader asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_cd.report.figures import finite
from airflow_cd.report.views import Column, EventView
from airflow_cd.verification.verdict import SEVERITIES

LONGEST_SEARCH = 200


@dataclass(frozen=True)
class EventTable:
    """The rows of the table.

    :param sort: name of the column it is sorted by, with ``-`` in front where that is the other way round.
    :param unfound: numbers of the events that do not have what is looked for.
    """

    rows: Sequence[EventView]
    unfound: frozenset[int]
    sort: str
    find: str

    @property
    def shown(self) -> int:
        """How many rows are left."""
        return len(self.rows) - len(self.unfound)

    def aria_sort(self, column: Column) -> str:
        """``ascending`` or ``descending`` for the column it is sorted by, else ``""``."""
        name, turned = self.sort.removeprefix("-"), self.sort.startswith("-")
        if name != column.name:
            return ""
        return "descending" if falls(column) is not turned else "ascending"

    def next_sort(self, column: Column) -> str:
        """What choosing the column's head asks for."""
        return f"-{column.name}" if self.sort == column.name else column.name


def falls(column: Column) -> bool:
    """Whether the column is first sorted with the largest on top, as counts and severities are."""
    return (column.number and column.name != "number") or column.name == "severity"


def arranged(
    events: Sequence[EventView], columns: Sequence[Column], notes: Mapping[str, str], sort: str, find: str
) -> EventTable:
    """The table; a column that is not there sorts nothing.

    :param notes: what stands beside the kind of an event, by its id.
    """
    wanted = next((column for column in columns if column.name == sort.removeprefix("-")), None)
    rows = list(events)
    if wanted is not None:
        rows.sort(key=_key(wanted), reverse=falls(wanted) is not sort.startswith("-"))
    text = find.strip()[:LONGEST_SEARCH]
    needle = text.casefold()
    unfound = frozenset(view.number for view in events if needle and needle not in _searched(view, notes))
    return EventTable(rows, unfound, sort if wanted is not None else "number", text)


def _searched(view: EventView, notes: Mapping[str, str]) -> str:
    note = notes.get(view.event.id, "")
    return f"{view.title} {view.event.kind} {note} {view.event.severity}".casefold()


def _key(column: Column) -> Callable[[EventView], Any]:
    name = column.name
    if name == "number":
        return lambda view: view.number
    if name == "event":
        return lambda view: view.title.casefold()
    if name == "kind":
        return lambda view: str(view.event.kind)
    if name == "severity":
        return lambda view: SEVERITIES.index(view.event.severity) if view.event.severity in SEVERITIES else -1
    if name == "first":
        return lambda view: view.event.first_seen
    if name == "expected":
        return lambda view: finite(view.event.expected, -1.0)
    return lambda view: finite(view.event.counts.get(name), -1.0)
