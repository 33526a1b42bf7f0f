"""InfluxDB, by InfluxQL: version 1, and what later versions keep of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_cd.errors import SourceError, SourceQueryRejected, SourceUnauthorized, SourceUnavailable
from airflow_cd.hooks.recent import RECENT, recent
from airflow_cd.hooks.service import ServiceHook, answered_in_part
from airflow_cd.http.client import HttpClient
from airflow_cd.http.exchange import Request
from airflow_cd.http.json_values import list_of, object_of
from airflow_cd.wording import first_of

_WRONG = re.compile(
    r"\bpars(?:e|ing)\b|(?:database|retention policy|measurement|field|tag) not found|undefined|unsupported"
    r"|not supported|\bexpected|\brequire[sd]?\b|\bmust\b|mixing|incompatible|cannot (?:use|mix|select|combine)"
    r"|invalid (?!memory)|unknown (?:field|tag|function|type|measurement)",
    re.IGNORECASE,
)
_OF_ITS_OWN = "_internal"
_NEWEST = f"SELECT * FROM /.*/ WHERE time > now() - {RECENT.seconds}s ORDER BY time DESC LIMIT 1"  # noqa: S608


@dataclass(frozen=True)
class InfluxSeries:
    """One series of an answer.

    :param name: of the measurement.
    :param tags: by which the query groups.
    :param rows: values by the name of their column; ``time`` in nanoseconds since 1970.
    """

    name: str
    tags: Mapping[str, str]
    rows: list[dict[str, Any]]


class InfluxDbHook(ServiceHook):
    """Queries InfluxDB over one Airflow connection of type ``influx_db``; see :class:`ServiceHook`.

    A token of version 2 or 3 is a header, ``{"Authorization": "Token ..."}``.

    :param influx_db_conn_id: the connection.
    :param sleep: called with seconds to wait.
    """

    conn_name_attr = "influx_db_conn_id"
    default_conn_name = "influx_db_default"
    conn_type = "influx_db"
    hook_name = "InfluxDB"

    def __init__(
        self, influx_db_conn_id: str = default_conn_name, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(influx_db_conn_id, sleep=sleep)

    def query(self, query: str, database: str = "") -> list[InfluxSeries]:
        """The series that one statement finds.

        :param query: InfluxQL.
        :param database: its name; none for statements that need none.
        :raises SourceQueryRejected: the query is wrong, or there is no such database.
        :raises SourceUnavailable: no whole answer was to be had.
        """
        form = {"q": query, "epoch": "ns", **({"db": database} if database else {})}
        with self.get_conn() as client:
            content = object_of(client.json(Request("POST", "/query", form=form)))
            result = object_of(next(iter(list_of(content.get("results"))), None))
            said = content.get("error") or result.get("error")
            if said:
                raise _failure(client, client.endpoint.redact.line(said))
            if "results" not in content:
                raise SourceUnavailable(
                    f"{client.endpoint.title} does not answer as InfluxDB does.",
                    next_step=f"Check whether the host of connection {self.conn_id!r} is the base URL of its API.",
                )
            series = [object_of(one) for one in list_of(result.get("series"))]
            if result.get("partial") or any(one.get("partial") for one in series):
                raise answered_in_part(
                    client, "max-row-limit", "Take wider buckets, or raise max-row-limit of the server."
                )
            if warnings := list(_warnings(result)):
                raise answered_in_part(client, "; ".join(warnings), "See which of its shards or nodes are down.")
        return [
            InfluxSeries(
                str(one.get("name", "")),
                {str(name): str(value) for name, value in object_of(one.get("tags")).items()},
                [
                    dict(zip(list_of(one.get("columns")), list_of(row), strict=False))
                    for row in list_of(one.get("values"))
                ],
            )
            for one in series
        ]

    def tried(self) -> str:
        """Which databases there are, and how old the newest point of the first of them is."""
        found = [str(row.get("name")) for series in self.query("SHOW DATABASES") for row in series.rows]
        names = [name for name in found if name != _OF_ITS_OWN] or found
        if not names:
            raise SourceUnavailable(
                f"InfluxDB (connection {self.conn_id!r}) shows this login no database.",
                next_step="Let the login READ the database of the service, or create it.",
            )
        newest = self.query(_NEWEST, names[0])
        times = [row["time"] / 1e6 for series in newest for row in series.rows if isinstance(row.get("time"), int)]
        measured = recent(len(newest), "measurement", max(times, default=None))
        return f"It answers queries and has {first_of(names, 8)}. Of {names[0]}: points of {measured}."


def _failure(client: HttpClient, said: str) -> SourceError:
    """What an error means that a statement has ended with: how many run, for how long and where may be other soon."""
    if "not authorized" in said:
        return SourceUnauthorized(
            f"{client.endpoint.title} does not allow this: {said}.", next_step="Let the login READ the database."
        )
    if _WRONG.search(said):
        return SourceQueryRejected(
            f"{client.endpoint.title} rejected the query: {said}.",
            next_step="Correct the query, or the name of the database.",
        )
    return SourceUnavailable(
        f"{client.endpoint.title} could not answer the query: {said}.",
        next_step="See how busy it is, and which limits it has; correct the query where it is about that.",
    )


def _warnings(result: Mapping[str, Any]) -> Iterator[str]:
    """What a result says besides its series, but for how its statement should be written."""
    for message in map(object_of, list_of(result.get("messages"))):
        text = str(message.get("text", ""))
        if message.get("level") != "info" and "deprecated" not in text.lower():
            yield text
