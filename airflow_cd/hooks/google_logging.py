"""Google Cloud Logging: entries of a time, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_cd.errors import SourceQueryRejected, SourceUnavailable
from airflow_cd.hooks.google_cloud import GoogleCloudHook
from airflow_cd.hooks.google_splits import joined
from airflow_cd.hooks.halving import fitting
from airflow_cd.hooks.service import page_of
from airflow_cd.http.exchange import Request
from airflow_cd.http.json_values import list_of, object_of

PAGE = 1_000
LONGEST_FILTER = 20_000
"""Characters, which Google allows."""

_MOST_PAGES = 1_000


class GoogleLoggingHook(GoogleCloudHook):
    """Reads entries of Google Cloud Logging; see :class:`GoogleCloudHook`.

    Google allows a project 60 reads a minute, and says nothing of how long to wait.
    """

    calls_per_second = 1.0

    def entries(self, query: str, resource: str = "") -> Iterator[dict[str, Any]]:
        """Entries that a filter finds, the oldest first, each once; one that Google has split is one.

        :param query: in Logging's query language, with a time.
        :param resource: what is read: a project, a bucket's view; by default the connection's project.
        :raises SourceQueryRejected: the filter is wrong, or longer than Google allows.
        :raises SourceUnavailable: it failed, or did not end.
        """
        return joined(self._each(query, resource))

    def first(self, query: str, resource: str = "") -> list[Mapping[str, Any]]:
        """Some of the newest entries that a filter finds: the first page that has any.

        :param query: as of :meth:`entries`; so is ``resource``.
        :param resource: what is read.
        :raises SourceError: as of :meth:`entries`.
        """
        return next((page for page in self._pages(query, resource, "timestamp desc") if page), [])

    def _each(self, query: str, resource: str) -> Iterator[Mapping[str, Any]]:
        seen: set[str] = set()
        for page in self._pages(query, resource, "timestamp asc"):
            for entry in page:
                # Parts of one that was split may share what tells entries apart.
                identity = identity_of(entry)
                key = f"{identity} {object_of(entry.get('split')).get('index', 0)}"
                if not identity or key not in seen:
                    seen.add(key)
                    yield entry

    def _pages(self, query: str, resource: str, order: str) -> Iterator[list[Mapping[str, Any]]]:
        if len(query) > LONGEST_FILTER:
            raise SourceQueryRejected(
                f"Google Cloud Logging allows a filter of {LONGEST_FILTER:,} characters, and this one has "
                f"{len(query):,}.",
                next_step="Shorten the query.",
            )
        body: dict[str, Any] = {"resourceNames": [resource or f"projects/{self.project}"], "filter": query}
        body |= {"orderBy": order}
        size = PAGE
        with self.get_conn() as client:

            def read(size: int) -> Mapping[str, Any]:
                request = Request("POST", "/v2/entries:list", {**body, "pageSize": size})
                return object_of(page_of(client, request, body.get("pageToken")))

            for _ in range(_MOST_PAGES):
                answer, size = fitting(read, size)
                yield [object_of(entry) for entry in list_of(answer.get("entries"))]
                # A page without entries is not the last one; one without a token is.
                token = answer.get("nextPageToken")
                if not token:
                    return
                body = {**body, "pageToken": token}
            raise SourceUnavailable(
                f"{client.endpoint.title} has not ended its answer after {_MOST_PAGES} pages.",
                next_step="Narrow the query.",
            )


def identity_of(entry: Mapping[str, Any]) -> str:
    """What tells an entry apart: name of the log, time and insert id; ``""`` where it has none.

    :param entry: as Google hands it out.
    """
    parts = [entry.get(name) for name in ("logName", "timestamp", "insertId")]
    return " ".join(map(str, parts)) if all(parts) else ""
