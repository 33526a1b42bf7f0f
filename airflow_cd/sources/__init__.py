"""What can be watched: sources of metrics and logs.

A source of one's own is a class with the methods of :class:`~airflow_cd.verification.samples.MetricSource` or
:class:`~airflow_cd.verification.samples.LogSource`; as entry point of the group ``airflow_cd.sources`` it is known by
name too. :mod:`airflow_cd.sources.contract` holds the tests it has to pass.
"""

from __future__ import annotations

from airflow_cd.errors import AirflowCdError
from airflow_cd.sources.new_relic import NewRelicMetrics, NewRelicQuery
from airflow_cd.sources.sumo_logic import SumoLogicLogs

ENTRY_POINT_GROUP = "airflow_cd.sources"

__all__ = ["ENTRY_POINT_GROUP", "NewRelicMetrics", "NewRelicQuery", "SumoLogicLogs", "source_kinds"]


def source_kinds() -> dict[str, type]:
    """Every known kind of source by name: ours, and those of installed packages' entry points.

    :raises AirflowCdError: an entry point cannot be loaded, or takes a name that is taken.
    """
    from importlib.metadata import entry_points

    kinds: dict[str, type] = {kind.__name__: kind for kind in (NewRelicMetrics, NewRelicQuery, SumoLogicLogs)}
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        try:
            kind = entry.load()
        except Exception as error:
            raise AirflowCdError(
                f"The source {entry.name!r} ({entry.value}) cannot be loaded: {type(error).__name__}: {error}.",
                next_step="Repair or remove the package that brings it.",
            ) from error
        if kinds.setdefault(entry.name, kind) is not kind:
            raise AirflowCdError(
                f"Two sources are called {entry.name!r}; one is {entry.value}.",
                next_step="Rename the entry point, or remove one of the packages.",
            )
    return kinds
