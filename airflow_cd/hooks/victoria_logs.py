"""VictoriaLogs: records of a time, whole, whatever the order in which the server finds them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

from airflow_cd.errors import SourceUnavailable
from airflow_cd.hooks.halving import whole
from airflow_cd.hooks.recent import RECENT, milliseconds, recent
from airflow_cd.hooks.service import ServiceHook
from airflow_cd.http.client import HttpClient
from airflow_cd.http.exchange import Answer, Request
from airflow_cd.http.json_values import list_of, object_of
from airflow_cd.http.retry import TryAgain

MOST_AT_ONCE = 20_000
"""Records of one answer; a window that holds more is halved."""

_FAILED = re.compile(rb"cannot (?:execute query|obtain (?:field|stream))")
_MISSING = "missing _msg field; see http"  # what the server writes in the place of a message that was not sent
_SHORTEST = 1_000_000  # nanoseconds of a window that is not halved any more


class VictoriaLogsHook(ServiceHook):
    """Queries VictoriaLogs over one Airflow connection of type ``victoria_logs``; see :class:`ServiceHook`.

    A tenant is given by the headers ``AccountID`` and ``ProjectID``.

    :param victoria_logs_conn_id: the connection.
    :param sleep: called with seconds to wait.
    """

    conn_name_attr = "victoria_logs_conn_id"
    default_conn_name = "victoria_logs_default"
    conn_type = "victoria_logs"
    hook_name = "VictoriaLogs"

    def __init__(
        self, victoria_logs_conn_id: str = default_conn_name, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(victoria_logs_conn_id, sleep=sleep)

    def search(self, query: str, since: int, until: int) -> Iterator[dict[str, Any]]:
        """The records of ``since <= t < until``, each once, in no order.

        :param query: a filter of LogsQL, without pipes: which records a ``limit`` of a pipe keeps, nobody knows.
        :param since: in nanoseconds since 1970; ``until`` likewise.
        :raises SourceQueryRejected: the query is wrong.
        :raises SourceUnavailable: no whole answer was to be had.
        """
        with self.get_conn() as client:

            def read(begin: int, end: int) -> list[dict[str, Any]]:
                # Of the shortest time everything is asked for.
                limit = MOST_AT_ONCE if end - begin > _SHORTEST else None
                return self._records(client, query, begin, end, limit)

            for found in whole(read, since, until, most=MOST_AT_ONCE, shortest=_SHORTEST):
                for record in found:
                    if str(record.get("_msg")).startswith(_MISSING):
                        del record["_msg"]
                    yield record

    def field_values(self, query: str, field: str, since: int, until: int) -> list[str]:
        """Values of a field, the most frequent first.

        :param query: as of :meth:`search`; so are the times.
        :param field: its name.
        :param since: in nanoseconds since 1970.
        :param until: the same.
        :raises SourceError: as of :meth:`search`.
        """
        return self._listed("field_values", {**_asked(query, since, until), "field": field, "limit": "1000"})

    def field_names(self, query: str, since: int, until: int) -> list[str]:
        """Names of the fields that records have.

        :param query: as of :meth:`search`; so are the times.
        :param since: in nanoseconds since 1970.
        :param until: the same.
        :raises SourceError: as of :meth:`search`.
        """
        return self._listed("field_names", _asked(query, since, until))

    def counted(self, query: str, since: int, until: int) -> tuple[int, float | None]:
        """How many records there are, and when the newest was, in milliseconds since 1970; None where there is none.

        :param query: as of :meth:`search`; so are the times.
        :param since: in nanoseconds since 1970.
        :param until: the same.
        :raises SourceError: as of :meth:`search`.
        """
        with self.get_conn() as client:
            asked = f"{query} | stats count() as number, max(_time) as newest"
            found = next(iter(self._records(client, asked, since, until, None)), {})
        return int(found.get("number") or 0), milliseconds(found.get("newest"))

    def tried(self) -> str:
        """How many records there are of the last five minutes, and how old the newest is."""
        now = time.time_ns()
        number, newest = self.counted("*", now - RECENT.seconds * 1_000_000_000, now)
        return f"It answers queries: {recent(number, 'record', newest)}."

    def _listed(self, what: str, form: dict[str, str]) -> list[str]:
        with self.get_conn() as client:
            content = client.json(Request("POST", f"/select/logsql/{what}", form=form), judge=_failing(client))
        return [str(one.get("value")) for one in map(object_of, list_of(object_of(content).get("values")))]

    def _records(
        self, client: HttpClient, query: str, since: int, until: int, limit: int | None
    ) -> list[dict[str, Any]]:
        form = {**_asked(query, since, until), **({"limit": str(limit)} if limit else {})}
        content = client.content(Request("POST", "/select/logsql/query", form=form), judge=_failing(client))
        try:
            found = [json.loads(line) for line in content.split(b"\n") if line.strip()]
        except ValueError:
            found = [None]
        if not all(isinstance(one, dict) for one in found):
            raise SourceUnavailable(
                f"{client.endpoint.title} does not answer as VictoriaLogs does: {client.endpoint.excerpt(content)!r}.",
                next_step=f"Check whether the host of connection {self.conn_id!r} is the base URL of its API.",
            )
        return found


def _failing(client: HttpClient) -> Callable[[Answer], None]:
    """What tells a query that failed from one that is wrong: VictoriaLogs says 400 of both."""

    def judge(answer: Answer) -> None:
        if answer.status == 400 and _FAILED.search(answer.content):
            raise TryAgain(
                SourceUnavailable(
                    f"{client.endpoint.title} could not answer the query: {client.endpoint.reason_of(answer)}.",
                    next_step="See whether all its nodes are up, and how busy they are.",
                )
            )

    return judge


def _asked(query: str, since: int, until: int) -> dict[str, str]:
    # The end is exclusive; a number of nanoseconds would be taken for its whole unit.
    return {"query": query, "start": _iso(since), "end": _iso(until)}


def _iso(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
