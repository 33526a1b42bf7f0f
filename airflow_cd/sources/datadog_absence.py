"""Why Datadog has nothing: no such tag, none of these instances, or nothing of anybody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_cd.errors import SourceQueryRejected
from airflow_cd.sources.absence import unknown_instances
from airflow_cd.spelling import suggestion
from airflow_cd.wording import ended

if TYPE_CHECKING:
    from airflow_cd.hooks.datadog import DatadogHook
    from airflow_cd.sources.datadog import DatadogLogs
    from airflow_cd.verification.samples import Window

HOUR = timedelta(hours=1)
"""How long before a window something may have been there last."""
_INSTANCES_A_QUERY = 100
_PAGE = 1_000  # events that one request takes at the most


def tags_of(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and values of an event's tags, its host among them.

    :param fields: attributes of the event.
    """
    if fields.get("host"):
        yield "host", str(fields["host"])
    for tag in fields.get("tags") or ():
        name, _, value = str(tag).partition(":")
        yield name, value


def without_events(hook: DatadogHook, source: DatadogLogs, names: Sequence[str], window: Window) -> Iterator[str]:
    """What is said where there is no event of any of the instances.

    :param hook: of the connection.
    :param source: that was read.
    :param names: of the instances.
    :param window: when.
    :raises SourceQueryRejected: no event has the tag of the instances.
    """

    def tags(query: str) -> list[tuple[str, str]]:
        events = islice(hook.logs(query, window.since - HOUR, window.until), _PAGE)
        return [tag for event in events for tag in tags_of(event.get("attributes") or {})]

    tag = source.instance_tag
    known = {value for name, value in tags(f"({source.query.strip()}) AND {tag}:*") if name == tag}
    if not known:
        others = {name for name, _ in tags(source.query)}
        if others:
            raise SourceQueryRejected(
                ended(f"{source.name}: no event has the tag {tag!r}; {suggestion(tag, others)}"),
                next_step="Name the tag that holds the instances' names as instance_tag.",
            )
        yield f"Nothing that {source.query} finds was logged in the hour before, of any instance."
        return
    # Those that are quiet may not be among the first events of all.
    asked = [name for name in names if name not in known]
    for start in range(0, len(asked), _INSTANCES_A_QUERY):
        query = source.resolved(asked[start : start + _INSTANCES_A_QUERY])
        known |= {value for name, value in tags(query) if name == tag}
    yield from unknown_instances(names, sorted(known), f"the tag {tag}")
