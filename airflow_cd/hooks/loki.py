"""Grafana Loki: the lines of a time, whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from airflow_cd.errors import SourceUnavailable
from airflow_cd.hooks.halving import whole
from airflow_cd.hooks.recent import RECENT, recent
from airflow_cd.hooks.service import ServiceHook, answered_in_part
from airflow_cd.http.client import HttpClient
from airflow_cd.http.exchange import Answer, Request
from airflow_cd.http.json_values import list_of, object_of
from airflow_cd.wording import first_of

MOST_AT_ONCE = 5_000
"""Lines of one answer, which servers allow by default."""

_FEWEST = 100
_CAPPED = "max entries limit"


class LokiHook(ServiceHook):
    """Queries Loki over one Airflow connection of type ``loki``; see :class:`ServiceHook`.

    A tenant is given by the header ``X-Scope-OrgID``.

    :param loki_conn_id: the connection.
    :param sleep: called with seconds to wait.
    """

    conn_name_attr = "loki_conn_id"
    default_conn_name = "loki_default"
    conn_type = "loki"
    hook_name = "Loki"

    def __init__(self, loki_conn_id: str = default_conn_name, *, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(loki_conn_id, sleep=sleep)
        self._most = MOST_AT_ONCE

    def search(self, query: str, since: int, until: int) -> Iterator[tuple[Mapping[str, str], int, str]]:
        """The lines of ``since <= t < until``, each as often as it is there.

        A page has no cursor, and a time says nothing of where another stream's page ended: the time is halved instead.

        :param query: a query of LogQL for lines.
        :param since: in nanoseconds since 1970; ``until`` likewise.
        :returns: labels of its stream, time in nanoseconds, and text of each.
        :raises SourceQueryRejected: the query is wrong.
        :raises SourceUnavailable: no whole answer was to be had.
        """
        with self.get_conn() as client:

            def read(begin: int, end: int) -> list[tuple[Mapping[str, str], int, str]]:
                return self._lines(client, query, begin, end)

            for found in whole(read, since, until, most=self._most, shortest=1):
                if len(found) >= self._most:
                    raise SourceUnavailable(
                        f"{client.endpoint.title} has more than {self._most} lines of one nanosecond.",
                        next_step="Raise max_entries_limit_per_query of the server, or ask for less.",
                    )
                yield from found

    def label_values(self, label: str, query: str, since: int, until: int) -> list[str]:
        """Values of a label.

        :param label: its name.
        :param query: a selector of streams.
        :param since: in nanoseconds since 1970; ``until`` likewise.
        :raises SourceError: as of :meth:`search`.
        """
        return self._listed(f"/loki/api/v1/label/{label}/values", {"query": query}, since, until)

    def labels(self, since: int, until: int) -> list[str]:
        """Names of all labels.

        :param since: in nanoseconds since 1970; ``until`` likewise.
        :raises SourceError: as of :meth:`search`.
        """
        return self._listed("/loki/api/v1/labels", {}, since, until)

    def tried(self) -> str:
        """Which labels streams have, and how many lines of the last five minutes those with the first of them."""
        now = time.time_ns()
        labels = self.labels(now - 3_600_000_000_000, now)
        if not labels:
            return "It answers queries, and has no stream of the last hour."
        # A query without a label that has a value is refused.
        streams = f'{{{labels[0]}=~".+"}}'
        with self.get_conn() as client:
            count = f"sum(count_over_time({streams}[{RECENT.seconds}s]))"
            asked = Request("POST", "/loki/api/v1/query", form={"query": count, "time": str(now)})
            found = list_of(object_of(self._data(client, client.json(asked))).get("result"))
            number = int(float(list_of(object_of(found[0]).get("value"))[1])) if found else 0
            since = now - RECENT.seconds * 10**9
            newest = self._lines(client, streams, since, now, most=1, direction="backward")
        lines = recent(number, "line", newest[0][1] / 1e6 if newest else None)
        return f"It answers queries: {lines}, in streams with {labels[0]}. Labels are {first_of(labels, 8)}."

    def _listed(self, path: str, params: Mapping[str, str], since: int, until: int) -> list[str]:
        asked = {**params, "start": str(since), "end": str(until)}
        with self.get_conn() as client:
            return [str(one) for one in list_of(self._data(client, client.json(Request("GET", path, params=asked))))]

    def _lines(
        self,
        client: HttpClient,
        query: str,
        since: int,
        until: int,
        *,
        most: int | None = None,
        direction: str = "forward",
    ) -> list[tuple[Mapping[str, str], int, str]]:
        def judge(answer: Answer) -> None:
            if answer.status == 400 and _CAPPED in answer.content.decode("utf-8", "replace").lower():
                raise _Capped

        while True:
            form = {
                "query": query,
                "start": str(since),
                "end": str(until),
                "limit": str(most or self._most),
                "direction": direction,
            }
            try:
                content = client.json(Request("POST", "/loki/api/v1/query_range", form=form), judge=judge)
                break
            except _Capped:
                if self._most <= _FEWEST:
                    raise SourceUnavailable(
                        f"{client.endpoint.title} hands out fewer than {_FEWEST} lines at a time.",
                        next_step="Raise max_entries_limit_per_query of the server.",
                    ) from None
                self._most = max(_FEWEST, self._most // 5)
        found: list[tuple[Mapping[str, str], int, str]] = []
        for stream in map(object_of, list_of(object_of(self._data(client, content)).get("result"))):
            labels = {str(name): str(value) for name, value in object_of(stream.get("stream")).items()}
            # Nanoseconds come as text, and a float cannot hold them.
            found += [(labels, int(pair[0]), str(pair[1])) for pair in map(list_of, list_of(stream.get("values")))]
        return found

    def _data(self, client: HttpClient, content: Any) -> Any:
        answer = object_of(content)
        if answer.get("status") != "success":
            raise SourceUnavailable(
                f"{client.endpoint.title} does not answer as Loki does.",
                next_step=f"Check whether the host of connection {self.conn_id!r} is the base URL of its API.",
            )
        if warnings := list_of(answer.get("warnings")):
            raise answered_in_part(
                client, "; ".join(map(str, warnings)), "See which of its components are down, or what limit it names."
            )
        return answer.get("data")


class _Capped(Exception):
    """The server allows fewer lines at a time."""
