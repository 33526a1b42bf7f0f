"""Why New Relic has nothing: no such app, no such attribute, none of these instances, or nothing that happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_cd.sources.absence import unknown_instances
from airflow_cd.spelling import suggestion
from airflow_cd.wording import ended

if TYPE_CHECKING:
    from airflow_cd.hooks.new_relic import NewRelicHook
    from airflow_cd.verification.samples import Window

_HOUR = timedelta(hours=1)


def explained(
    hook: NewRelicHook, head: str, attribute: str, silent: Sequence[str], window: Window, app: str = ""
) -> Iterator[str]:
    """What is said of instances without a row.

    :param hook: of the connection.
    :param head: the query without instances, facets and times.
    :param attribute: that holds the instances' names.
    :param silent: names of those instances.
    :param window: when.
    :param app: name of the application that is asked for; none (``""``) by default.
    """
    since, until = (round(moment.timestamp() * 1000) for moment in (window.since - _HOUR, window.until))

    def values(query: str, of: str) -> list[str]:
        found = hook.query(f"{query} FACET {of} LIMIT MAX SINCE {since} UNTIL {until}").results
        facets = (row.get(of, row.get("facet")) for row in found)
        return sorted({str(value[0] if isinstance(value, list) else value) for value in facets if value is not None})

    if known := values(head, attribute):
        yield from unknown_instances(silent, known, f"the attribute {attribute}")
        return
    if app and app not in (apps := values("SELECT count(*) FROM Transaction", "appName")):
        yield ended(f"New Relic has had no transaction of the app {app!r} in the hour before; {suggestion(app, apps)}")
        return
    yield f"Nothing that is asked for has happened in the hour before, of any instance with the attribute {attribute}."
