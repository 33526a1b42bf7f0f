"""Names in InfluxQL: how they are written, and whether a measurement has those that a source asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_cd.errors import SourceQueryRejected, SourceUnavailable
from airflow_cd.spelling import suggestion
from airflow_cd.wording import ended

if TYPE_CHECKING:
    from airflow_cd.hooks.influx_db import InfluxDbHook
    from airflow_cd.sources.influx_db import InfluxDbMetrics

_REGEX = r"/(?:[^/\\]|\\.)*/"
_WORD = re.compile(
    r"'(?:[^'\\]|\\.)*'"
    r'|"(?P<quoted>(?:[^"\\]|\\.)*)"'
    rf"|(?:=~|!~|[(,])\s*{_REGEX}|\d[\w.]*|(?P<bare>[A-Za-z_]\w*)(?P<call>(?=\s*\())?"
)
_WORDS_OF_ITS_OWN = {"and", "or", "not", "time", "true", "false", "as", "distinct", "now"}


def identifier(name: str) -> str:
    """A name as InfluxQL quotes it.

    :param name: of a measurement, a field or a tag.
    """
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def literal(text: str) -> str:
    """A text as InfluxQL quotes it.

    :param text: anything.
    """
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def names_in(text: str) -> Iterator[str]:
    """Names of fields and tags in an expression or a condition.

    :param text: InfluxQL of an author's.
    """
    for found in _WORD.finditer(text):
        if found["quoted"] is not None:
            yield re.sub(r"\\(.)", r"\1", found["quoted"])
        elif found["bare"] and found["call"] is None and found["bare"].lower() not in _WORDS_OF_ITS_OWN:
            yield found["bare"]


def refuse_unknown_names(hook: InfluxDbHook, source: InfluxDbMetrics) -> None:
    """Refuse a source that asks for what the database does not have.

    :param hook: of its connection.
    :param source: the source.
    :raises SourceUnavailable: there is no such measurement, or nothing has been written to it yet.
    :raises SourceQueryRejected: the measurement has no such field or tag.
    """

    def known(what: str, column: str) -> list[str]:
        query = f"SHOW {what} FROM {source.measured}"
        return [str(row.get(column)) for one in hook.query(query, source.database) for row in one.rows]

    fields = known("FIELD KEYS", "fieldKey")
    if not fields:
        found = hook.query("SHOW MEASUREMENTS", source.database)
        there = [str(row.get("name")) for one in found for row in one.rows]
        if source.measurement in there:
            raise _kept_elsewhere(hook, source)
        raise SourceUnavailable(
            ended(
                f"InfluxDB (connection {source.conn_id!r}) has no measurement {source.measurement!r} in "
                f"{source.database}; {suggestion(source.measurement, there) if there else 'it has none.'}"
            ),
            next_step="Correct its name.",
        )
    tags = known("TAG KEYS", "tagKey")
    if source.instance_tag not in tags:
        raise SourceQueryRejected(
            ended(
                f"InfluxDB has {source.measurement!r}, and no point of it has the tag {source.instance_tag!r}; "
                f"{suggestion(source.instance_tag, tags)}"
            ),
            next_step="Name the tag that holds the instances' names as instance_tag.",
        )
    places = [("select", names_in(source.select), "field", fields), ("count", names_in(source.count), "field", fields)]
    places += [("where", names_in(source.where), "field or tag", [*fields, *tags])]
    places += [("group_by", iter([source.group_by] if source.group_by else []), "tag", tags)]
    for place, names, kind, there in places:
        for name in names:
            if name not in there:
                raise SourceQueryRejected(
                    ended(
                        f"InfluxDB has {source.measurement!r}, and no point of it has the {kind} {name!r}; "
                        f"{suggestion(name, there)}"
                    ),
                    next_step=f"Correct {place}.",
                )


def _kept_elsewhere(hook: InfluxDbHook, source: InfluxDbMetrics) -> SourceQueryRejected:
    """The error of a measurement that is kept, but not in the retention policy that is read."""
    listed = hook.query(f"SHOW RETENTION POLICIES ON {identifier(source.database)}", source.database)
    policies = [str(row.get("name")) for one in listed for row in one.rows]
    measured = identifier(source.measurement)
    held = [
        name for name in policies if hook.query(f"SHOW FIELD KEYS FROM {identifier(name)}.{measured}", source.database)
    ]
    where = f"in {source.retention_policy!r}" if source.retention_policy else "in the default retention policy"
    return SourceQueryRejected(
        f"InfluxDB (connection {source.conn_id!r}) has {source.measurement!r} in {source.database}, and not {where}, "
        f"but in {', '.join(held) or 'none that is there'}.",
        next_step="Name the one that keeps it as retention_policy.",
    )
