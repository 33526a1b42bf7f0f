"""What logs and metrics of OpenSearch and Elasticsearch have in common: which documents, and of which instance."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_cd.errors import SourceQueryRejected
from airflow_cd.spelling import suggestion
from airflow_cd.verification.samples import Window
from airflow_cd.wording import ended

if TYPE_CHECKING:
    from airflow_cd.hooks.open_search import OpenSearchHook

_EXACT = {"keyword", "constant_keyword", "wildcard", "ip", "long", "integer", "flat_object", "flattened"}
_TIMES = {"date", "date_nanos"}


def is_index(name: str) -> bool:
    """Whether names or patterns of indices, with commas between, can be a part of a path.

    :param name: as an author gives it.
    """
    return not set(name) & set('/\\?"<>| #') and name[:1] not in ("_", "-")


def mistakes_of_query(query: object, time_field: object) -> Iterator[str]:
    """What is wrong with a query string.

    :param query: of the author's.
    :param time_field: that holds the time.
    """
    if not isinstance(query, str):
        yield f"query: {query!r} is not a text"
    elif re.search(rf"(?<![\w.]){re.escape(str(time_field))}\s*:", query):
        yield f"query: the window is added when the query is sent; leave out {time_field}"


def documents(
    window: Window, time_field: str, query: str, default_field: str, *more: Mapping[str, Any]
) -> dict[str, Any]:
    """A query in the query DSL for the documents of a window.

    :param window: half-open.
    :param time_field: that holds the time.
    :param query: a query string of the author's; ``""`` for none.
    :param default_field: in which the query string looks for words without a field.
    :param more: further conditions.
    """
    # Whatever format the index has its own times in.
    times = {"gte": _iso(window.since), "lt": _iso(window.until), "format": "strict_date_optional_time"}
    filters: list[Mapping[str, Any]] = [{"range": {time_field: times}}, *more]
    if query.strip():
        filters.append({"query_string": {"query": query, "default_field": default_field}})
    return {"bool": {"filter": filters}}


def instance_field(
    hook: OpenSearchHook, source: str, index: str, field: str, time_field: str, **others: str
) -> tuple[str, bool]:
    """The field to look for names of instances in, and whether it is compared as a whole.

    :param hook: of the connection.
    :param source: name of the source.
    :param index: names or patterns of indices.
    :param field: that holds the instance's name.
    :param time_field: that holds the time.
    :param others: further fields that there must be, by what the author calls them.
    :raises SourceQueryRejected: no document has one of the fields, or the one of the time is none.
    """
    keyword = f"{field}.keyword"
    known = hook.fields(index, field, keyword, time_field, *others.values())
    for what, name in {"instance_field": field, "time_field": time_field, **others}.items():
        if name not in known:
            there = [one for one in hook.fields(index, "*") if not one.startswith("_")]
            raise SourceQueryRejected(
                ended(f"{source}: no document has the field {name!r}; {suggestion(name, there)}"),
                next_step=f"Name the field that does as {what}.",
            )
    if not known[time_field] <= _TIMES:
        kinds = ", ".join(sorted(known[time_field] - _TIMES))
        raise SourceQueryRejected(
            f"{source}: the index keeps the field {time_field!r} as {kinds}, by which no time can be found.",
            next_step="Name a field of type date as time_field, or map this one as date.",
        )
    if known[field] <= _EXACT:
        return field, True
    # Of several indices the field may be a text in one and a keyword in another: then neither alone finds all of it.
    return (keyword, True) if keyword in known and not known[field] & _EXACT else (field, False)


def refuse_nested(hook: OpenSearchHook, source: str, index: str, field: str) -> None:
    """Refuse a field by which nothing is found because it is inside of one that is kept as documents of its own.

    :param hook: of the connection.
    :param source: name of the source.
    :param index: names or patterns of indices.
    :param field: that holds the instance's name.
    :raises SourceQueryRejected: it is.
    """
    parts = field.split(".")
    around = [".".join(parts[:number]) for number in range(1, len(parts))]
    # What is around a field is listed with it alone.
    known = hook.fields(index, field, *around)
    if nested := [one for one in around if "nested" in known.get(one, ())]:
        raise SourceQueryRejected(
            f"{source}: the index keeps {nested[0]!r} as nested, so nothing is found by the field {field!r}.",
            next_step=f"Name another field as instance_field, or map {nested[0]} with include_in_root.",
        )


def _iso(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
