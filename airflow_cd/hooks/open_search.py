"""OpenSearch and Elasticsearch: documents of one point in time, page by page."""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from airflow_cd.errors import SourceError, SourceQueryRejected, SourceUnauthorized, SourceUnavailable
from airflow_cd.hooks.halving import fitting
from airflow_cd.hooks.recent import recent
from airflow_cd.hooks.service import ServiceHook
from airflow_cd.http.client import HttpClient
from airflow_cd.http.exchange import Answer, Request
from airflow_cd.http.json_values import list_of, object_of

log = logging.getLogger(__name__)
T = TypeVar("T")

PAGE = 2_000
_KEPT = "2m"
_WHOLE_READS = 3  # a read of which a part failed is begun again, never gone on with
_STRICT = {"allow_no_indices": "false", "ignore_unavailable": "false"}
_MISSING = re.compile(rb"missing shards (\[\[.*?\]\])")
_OF_CLUSTERS = {
    "skipped": "were skipped",
    "partial": "answered in part",
    "failed": "failed",
    "running": "have not answered yet",
}
_TOO_LARGE = re.compile(r"window is too large.*?\[(\d+)\]", re.IGNORECASE)


class OpenSearchHook(ServiceHook):
    """Searches OpenSearch or Elasticsearch over one Airflow connection; see :class:`ServiceHook`.

    Connections of Airflow's providers for both will do as well as those of type ``search_cluster``. An API key of
    Elasticsearch is given as header: ``{"Authorization": "ApiKey ..."}``.

    :param search_cluster_conn_id: the connection.
    :param sleep: called with seconds to wait.
    """

    conn_name_attr = "search_cluster_conn_id"
    default_conn_name = "search_cluster_default"
    conn_type = "search_cluster"
    hook_name = "OpenSearch or Elasticsearch"

    def __init__(
        self, search_cluster_conn_id: str = default_conn_name, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(search_cluster_conn_id, sleep=sleep)

    def search(
        self, index: str, query: Mapping[str, Any], time_field: str, most: int, kept: Sequence[str] = ()
    ) -> tuple[list[dict[str, Any]], bool]:
        """The documents that a query finds, oldest first, and whether there are more.

        :param index: names or patterns of indices, data streams or aliases, commas between.
        :param query: in the query DSL.
        :param time_field: by which they are in order.
        :param most: documents at most.
        :param kept: fields whose values are handed out as the index has them, whatever the documents were sent as;
            none of type text. None by default.
        :returns: hits as the server writes them; time and ``kept`` are in ``fields``.
        :raises SourceQueryRejected: the query is wrong, or there is no such index.
        :raises SourceUnavailable: no answer that every shard took part in was to be had.
        """
        with self.get_conn() as client:
            open_search = self._is_open_search(client)

            def read() -> tuple[list[dict[str, Any]], bool]:
                found: list[dict[str, Any]] = []
                for hits in self._pages(client, index, query, time_field, open_search, kept):
                    found += hits
                    if len(found) > most:
                        return found[:most], True
                return found, False

            return self._whole(client, read)

    def aggregate(self, index: str, query: Mapping[str, Any], aggregations: Mapping[str, Any]) -> Mapping[str, Any]:
        """What aggregations make of the documents that a query finds, by the names of the aggregations.

        :param index: as of :meth:`search`; so is ``query``.
        :param query: in the query DSL.
        :param aggregations: by name, as the server takes them.
        :raises SourceQueryRejected: one of them is wrong, or there is no such index.
        :raises SourceUnavailable: no answer that every shard took part in was to be had.
        """
        body = {"size": 0, "query": query, "track_total_hits": False, "aggs": aggregations}
        with self.get_conn() as client:

            def read() -> Mapping[str, Any]:
                request = Request("POST", f"/{_quoted(index)}/_search", body, params=_STRICT)
                answer = object_of(client.json(request, judge=_refusals(client, index)))
                _refuse_partial(answer)
                if object_of(answer.get("_shards")).get("total") == 0:
                    raise _no_index(client, index)
                return object_of(answer.get("aggregations"))

            return self._whole(client, read)

    def fields(self, index: str, *names: str) -> dict[str, set[str]]:
        """Types of fields, by their names; those that no document has are left out.

        :param index: as of :meth:`search`.
        :param names: names or patterns of fields.
        :raises SourceQueryRejected: there is no such index.
        :raises SourceUnavailable: no answer that every index took part in was to be had.
        """
        path = f"/{_quoted(index)}/_field_caps"
        with self.get_conn() as client:

            def read() -> Mapping[str, Any]:
                request = Request("GET", path, params={"fields": ",".join(names), **_STRICT})
                answer = object_of(client.json(request, judge=_refusals(client, index)))
                if failed := answer.get("failed_indices"):
                    raise _Partial(f"{failed} indices have not said which fields they have")
                if "indices" in answer and not list_of(answer["indices"]):
                    raise _no_index(client, index)
                return object_of(answer.get("fields"))

            found = self._whole(client, read)
        return {str(name): {str(kind) for kind in object_of(kinds)} for name, kinds in found.items()}

    def values(self, index: str, field: str, query: Mapping[str, Any]) -> list[str]:
        """The most frequent values of a field.

        :param index: as of :meth:`search`.
        :param field: of type keyword.
        :param query: of the documents to look at.
        :raises SourceError: as of :meth:`search`.
        """
        body = {"size": 0, "query": query, "aggs": {"values": {"terms": {"field": field, "size": 1000}}}}
        with self.get_conn() as client:

            def read() -> Mapping[str, Any]:
                request = Request("POST", f"/{_quoted(index)}/_search", body, params=_STRICT)
                answer = object_of(client.json(request, judge=_refusals(client, index)))
                _refuse_partial(answer)
                return answer

            answer = self._whole(client, read)
        buckets = object_of(object_of(answer.get("aggregations")).get("values")).get("buckets")
        return [str(one.get("key")) for one in map(object_of, list_of(buckets))]

    def tried(self) -> str:
        """How many documents the newest five minutes of all indices hold, and how old the newest is."""
        body = {
            "size": 0,
            "query": {"range": {"@timestamp": {"gte": "now-5m", "lte": "now"}}},
            "track_total_hits": True,
            "aggs": {"newest": {"max": {"field": "@timestamp"}}},
        }
        with self.get_conn() as client:
            version = object_of(object_of(client.json(Request("GET", "/"))).get("version"))
            product = "OpenSearch" if version.get("distribution") == "opensearch" else "Elasticsearch"
            product = f"{product} {version.get('number', '')}"
            try:
                answer = object_of(client.json(Request("POST", "/_search", body)))
            except SourceUnauthorized:
                # As it should be: who verifies may read the indices of the service alone.
                return f"{product} accepts the login, which may not search every index: see `airflow-cd source check`."
        total = object_of(object_of(answer.get("hits")).get("total")).get("value", 0)
        newest = object_of(object_of(answer.get("aggregations")).get("newest")).get("value")
        return f"{product} answers queries: {recent(total, 'document', newest)}."

    def _whole(self, client: HttpClient, read: Callable[[], T]) -> T:
        """What a read returns in which every shard took part."""
        for attempt in range(1, _WHOLE_READS + 1):
            try:
                return read()
            except _Partial as partial:
                log.warning("%s: %s; it is read again.", client.endpoint.title, partial)
                reason = str(partial)
                if attempt < _WHOLE_READS:
                    self._sleep(0.2 * attempt)
        raise SourceUnavailable(
            f"{client.endpoint.title} answered with a part of what there is: {reason}.",
            next_step="See which shards fail; what the others have would be judged as if it were all.",
        )

    def _is_open_search(self, client: HttpClient) -> bool:
        root = object_of(client.json(Request("GET", "/")))
        if "version" not in root:
            raise _another_service(client)
        return object_of(root["version"]).get("distribution") == "opensearch"

    def _pages(
        self,
        client: HttpClient,
        index: str,
        query: Mapping[str, Any],
        time_field: str,
        open_search: bool,
        kept: Sequence[str],
    ) -> Iterator[list[dict[str, Any]]]:
        with _point_in_time(client, index, open_search) as pit:
            # Elasticsearch tells documents of one moment apart itself, OpenSearch 2 does not.
            ties: list[Any] = [{"_id": "asc"}] if open_search else [{"_shard_doc": "asc"}]
            body: dict[str, Any] = {
                "query": query,
                "pit": {"id": pit, "keep_alive": _KEPT},
                # Of several indices some may have nothing to do with it, not even the time.
                "sort": [{time_field: {"order": "asc", "unmapped_type": "date"}}, *ties],
                "docvalue_fields": [
                    {"field": time_field, "format": "strict_date_optional_time_nanos"},
                    *({"field": name} for name in kept),
                ],
                "track_total_hits": False,
            }
            size = PAGE

            def read(size: int) -> Mapping[str, Any]:
                request = Request("POST", "/_search", {**body, "size": size})
                return object_of(client.json(request, judge=_of_page(client)))

            while True:
                try:
                    answer, size = fitting(read, size)
                except _TooLarge as error:
                    size = min(size, error.most)
                    continue
                _refuse_partial(answer)
                hits = [one for one in list_of(object_of(answer.get("hits")).get("hits")) if isinstance(one, dict)]
                if not hits:
                    return
                yield hits
                pit = answer.get("pit_id") or pit
                body = {**body, "search_after": hits[-1].get("sort"), "pit": {"id": pit, "keep_alive": _KEPT}}


class _Partial(Exception):
    """Not every shard took part in an answer, or not to its end."""


class _TooLarge(Exception):
    """An index hands out fewer documents at a time.

    :param most: how many.
    """

    def __init__(self, most: int) -> None:
        self.most = most


def _of_page(client: HttpClient) -> Callable[[Answer], None]:
    def judge(answer: Answer) -> None:
        if answer.status == 404 and b"search_context_missing" in answer.content:
            raise _Partial("the point in time is gone")
        found = _TOO_LARGE.search(client.endpoint.reason_of(answer)) if answer.status == 400 else None
        if found and 0 < int(found[1]) < PAGE:
            raise _TooLarge(int(found[1]))

    return judge


def _refuse_partial(answer: Mapping[str, Any]) -> None:
    shards = object_of(answer.get("_shards"))
    failed, there = shards.get("failed") or 0, shards.get("successful")
    # One that nobody holds has not even failed.
    if not failed and isinstance(there, int) and there < (shards.get("total") or 0):
        raise _Partial(f"{shards['total'] - there} of {shards['total']} shards are not there")
    if failed:
        failures = list_of(shards.get("failures"))
        why = object_of(object_of(failures[0]).get("reason")).get("type") if failures else None
        raise _Partial(f"{failed} of {shards.get('total')} shards failed{f' ({why})' if why else ''}")
    if answer.get("timed_out") is True:
        raise _Partial("the search timed out")
    # What a remote cluster that may be left out would have found, counts in no shard.
    clusters = object_of(answer.get("_clusters"))
    for how, said in _OF_CLUSTERS.items():
        if clusters.get(how):
            raise _Partial(f"{clusters[how]} of {clusters.get('total')} clusters {said}")


@contextlib.contextmanager
def _point_in_time(client: HttpClient, index: str, open_search: bool) -> Iterator[str]:
    path = "_search/point_in_time" if open_search else "_pit"
    key = "pit_id" if open_search else "id"
    # Elasticsearch takes no allow_no_indices here; the fields were looked up with it.
    params = {"keep_alive": _KEPT, **({**_STRICT, "allow_partial_pit_creation": "false"} if open_search else {})}
    request = Request("POST", f"/{_quoted(index)}/{path}", params=params)
    answer = object_of(client.json(request, judge=_refusals(client, index)))
    shards = object_of(answer.get("_shards"))
    pit = answer.get(key)
    if shards.get("total") == 0 or not isinstance(pit, str):
        raise _no_index(client, index)
    try:
        _refuse_partial(answer)
        yield pit
    finally:
        body = {key: [pit]} if open_search else {key: pit}
        with contextlib.suppress(SourceError):
            client.once(Request("DELETE", f"/{path}", body), timeout=5.0)


def _refusals(client: HttpClient, index: str) -> Callable[[Answer], None]:
    """What names the index where an answer says that there is none, or that it may not be read."""

    def judge(answer: Answer) -> None:
        if answer.status == 503 and (missing := _MISSING.search(answer.content)):
            raise _Partial(f"shards {missing[1].decode(errors='replace')} are not there")
        reason = client.endpoint.reason_of(answer)
        if answer.status == 403:
            raise SourceUnauthorized(
                f"{client.endpoint.title} does not let this login read {index} (403): {reason}.",
                next_step="Correct the index, or let the login of the connection read it.",
            )
        if answer.status == 404 and "no such index" in reason:
            raise _no_index(client, index, f" (404: {reason})")
        if answer.status == 400 and "no handler found" in reason:
            raise _another_service(client)

    return judge


def _another_service(client: HttpClient) -> SourceUnavailable:
    return SourceUnavailable(
        f"{client.endpoint.title} does not answer as OpenSearch or Elasticsearch does.",
        next_step=f"Check whether the host of connection {client.endpoint.conn_id!r} is the base URL of its API.",
    )


def _no_index(client: HttpClient, index: str, said: str = "") -> SourceQueryRejected:
    # Of an index that may be found and not be read, the fields are an empty list too.
    return SourceQueryRejected(
        f"{client.endpoint.title} has no index {index} that this login may read{said}.",
        next_step="Correct the index (a pattern must match one), or let the login of the connection read it.",
    )


def _quoted(index: str) -> str:
    return quote(index, safe=",*-_.:")
