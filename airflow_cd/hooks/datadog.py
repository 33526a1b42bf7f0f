"""Datadog: logs, page by page, and the points of metrics."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from airflow_cd.errors import SourceQueryRejected, SourceUnavailable
from airflow_cd.hooks.halving import fitting
from airflow_cd.hooks.recent import RECENT, milliseconds, recent
from airflow_cd.hooks.service import ServiceHook, answered_in_part, page_of
from airflow_cd.http.auth import fits_header
from airflow_cd.http.client import HttpClient
from airflow_cd.http.connection import ConnectionSettings
from airflow_cd.http.exchange import Request
from airflow_cd.http.json_values import list_of, object_of
from airflow_cd.wording import counted

SITES = ("datadoghq.com", "us3.datadoghq.com", "us5.datadoghq.com", "datadoghq.eu", "ap1.datadoghq.com", "ddog-gov.com")
PAGE = 1_000
_MOST_PAGES = 1_000
_WRONG = re.compile(
    r"\bpars(?:e|er|ing)\b|syntax|invalid|unknown (?!error)|unsupported|not (?:found|supported|recognized)",
    re.IGNORECASE,
)
_SEARCH = "/api/v2/logs/events/search"


class DatadogHook(ServiceHook):
    """Calls Datadog over one Airflow connection of type ``datadog_api``; see :class:`ServiceHook`.

    Password is the API key and the application key with a colon between them; the extra has ``site``, ``datadoghq.com``
    by default, whose address a host replaces. A connection of Airflow's provider (``api_key``, ``app_key``,
    ``api_host`` in the extra) will do.

    :param datadog_conn_id: the connection.
    :param sleep: called with seconds to wait.
    """

    conn_name_attr = "datadog_conn_id"
    default_conn_name = "datadog_default"
    conn_type = "datadog_api"
    hook_name = "Datadog API"
    calls_per_second = 4.0

    def __init__(
        self, datadog_conn_id: str = default_conn_name, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(datadog_conn_id, sleep=sleep)

    @property
    def headers(self) -> dict[str, str]:
        """Both keys, and what the connection has besides.

        :raises SourceUnauthorized: one is missing.
        """
        connection = self.connection
        api, _, application = connection.password.strip().partition(":")
        keys = {
            "DD-API-KEY": connection.text("api_key") or api,
            "DD-APPLICATION-KEY": connection.text("app_key") or application,
        }
        for name, key in keys.items():
            if not fits_header(key):
                raise connection.errors.unauthorized(
                    f"connection {self.conn_id!r} has no usable {name}.",
                    next_step="Its password is the API key, a colon, and the application key.",
                )
        return {**super().headers, **keys}

    @property
    def default_address(self) -> str:
        """Of the site."""
        connection: ConnectionSettings = self.connection
        given = connection.text("api_host")
        if given:
            return given.rstrip("/")
        site = connection.text("site") or SITES[0]
        if site not in SITES:
            raise connection.wrong(f"{site!r} is not a site of Datadog; known are {', '.join(SITES)}", "Choose one")
        return f"https://api.{site}"

    def authenticates(self) -> bool:
        """By headers alone."""
        return False

    def logs(self, query: str, since: datetime, until: datetime) -> Iterator[dict[str, Any]]:
        """Log events, each once, from ``since`` to ``until`` and perhaps at ``until``.

        :param query: a search of Datadog.
        :param since: aware; ``until`` likewise.
        :raises SourceError: it failed, or did not end.
        """
        seen: set[str] = set()
        cursor: str | None = None
        size = PAGE
        with self.get_conn() as client:

            def read(size: int) -> Mapping[str, Any]:
                body = {
                    "filter": {"query": query, "from": _iso(since), "to": _iso(until)},
                    "sort": "timestamp",
                    "page": {"limit": size, **({"cursor": cursor} if cursor else {})},
                }
                return object_of(page_of(client, Request("POST", _SEARCH, body), cursor))

            for _ in range(_MOST_PAGES):
                content, size = fitting(read, size)
                _refuse_partial(client, object_of(content.get("meta")))
                for event in map(object_of, list_of(content.get("data"))):
                    identity = str(event.get("id", ""))
                    if identity not in seen:
                        seen.add(identity)
                        yield dict(event)
                cursor = object_of(object_of(content.get("meta")).get("page")).get("after")
                if not cursor:
                    return
            raise SourceUnavailable(
                f"{client.endpoint.title} has not ended its answer after {_MOST_PAGES} pages.",
                next_step="Narrow the query.",
            )

    def series(self, query: str, since: float, until: float) -> list[Mapping[str, Any]]:
        """Series of a metric query: ``scope``, ``tag_set``, ``interval`` and ``pointlist`` of [milliseconds, value].

        :param query: of metrics.
        :param since: in seconds since 1970; ``until`` likewise.
        :raises SourceError: it failed.
        """
        params = {"query": query, "from": str(int(since)), "to": str(int(until))}
        with self.get_conn() as client:
            content = object_of(client.json(Request("GET", "/api/v1/query", params=params)))
            said = client.endpoint.redact.line(content.get("error") or content.get("message") or "")
            if content.get("error") and _WRONG.search(said):
                raise SourceQueryRejected(
                    f"{client.endpoint.title} rejected the query: {said}.", next_step="Correct the query."
                )
            if content.get("error"):
                raise SourceUnavailable(
                    f"{client.endpoint.title} could not answer the query: {said}.",
                    next_step="Try again later; correct the query where it is about that.",
                )
            if content.get("status") not in (None, "ok"):
                ended = f"the query ended as {content['status']}{f': {said}' if said else ''}"
                raise answered_in_part(client, ended, "Ask for less, or look less often.")
        return [object_of(one) for one in list_of(content.get("series"))]

    def metric_names(self, since: float) -> list[str]:
        """Names of the metrics that have had points.

        :param since: in seconds since 1970.
        :raises SourceError: it failed.
        """
        with self.get_conn() as client:
            content = object_of(client.json(Request("GET", "/api/v1/metrics", params={"from": str(int(since))})))
        return [str(one) for one in list_of(content.get("metrics"))]

    def tried(self) -> str:
        """How many log events there are of the last five minutes, how old the newest is, and how many metrics."""
        now = datetime.now(timezone.utc)
        body = {
            "filter": {"query": "*", "from": _iso(now - RECENT), "to": _iso(now)},
            "sort": "-timestamp",
            "page": {"limit": PAGE},
        }
        with self.get_conn() as client:
            events = list_of(object_of(client.json(Request("POST", _SEARCH, body))).get("data"))
        newest = object_of(object_of(events[0]).get("attributes")).get("timestamp") if events else None
        names = self.metric_names(now.timestamp() - 3600)
        logs = recent(len(events), "log event", milliseconds(newest), at_least=len(events) >= PAGE)
        return (
            f"Both keys are good at {self.default_address}: {logs}; {counted(len(names), 'metric')} of the last hour."
        )


def _refuse_partial(client: HttpClient, meta: Mapping[str, Any]) -> None:
    if meta.get("status") not in (None, "done"):
        raise answered_in_part(client, f"its search ended as {meta['status']}", "Ask for less, or look less often.")
    warnings = [object_of(one) for one in list_of(meta.get("warnings"))]
    if warnings:
        said = (": ".join(filter(None, (str(one.get(name) or "") for name in ("title", "detail")))) for one in warnings)
        raise answered_in_part(client, "; ".join(said), "Correct what it names, or let the keys read it.")


def _iso(moment: datetime) -> str:
    # Whole milliseconds, and none too late: what is outside of the window is cut off by who asks.
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
