"""Google Cloud Monitoring: types of metrics, and time series, aligned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_cd.errors import SourceUnavailable
from airflow_cd.hooks.google_cloud import GoogleCloudHook
from airflow_cd.hooks.service import answered_in_part, page_of
from airflow_cd.http.exchange import Answer, Request
from airflow_cd.http.json_values import list_of, object_of

PAGE = 50_000
"""Points of one answer, of 100,000 that Google allows."""

_MOST_PAGES = 100


class GoogleMonitoringHook(GoogleCloudHook):
    """Reads time series of Google Cloud Monitoring; see :class:`GoogleCloudHook`."""

    service = "monitoring"

    def descriptor(self, metric_type: str) -> Mapping[str, Any]:
        """What a type of metrics is: ``metricKind``, ``valueType``, ``unit``, ``metadata``; empty where there is none.

        :param metric_type: ``compute.googleapis.com/instance/cpu/utilization``.
        :raises SourceError: it failed.
        """
        try:
            with self.get_conn() as client:
                path = f"/v3/projects/{self.project}/metricDescriptors/{metric_type}"
                return object_of(client.json(Request("GET", path), judge=_absent))
        except _Absent:
            return {}

    def metric_types(self, prefix: str = "") -> list[str]:
        """Names of the types of metrics that the project has.

        :param prefix: that they begin with; all of them by default.
        :raises SourceError: it failed, or did not end.
        """
        params = {"filter": f'metric.type = starts_with("{prefix}")'} if prefix else {}
        found = self._pages("metricDescriptors", "metricDescriptors", {**params, "pageSize": "10000"})
        return [str(one.get("type")) for one in found]

    def series(self, params: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Time series, each once, with all its points.

        :param params: of ``timeSeries.list``.
        :raises SourceQueryRejected: what is asked for is wrong.
        :raises SourceUnavailable: it failed, did not end, or is a part of what there is.
        """
        return list(self._pages("timeSeries", "timeSeries", {**params, "pageSize": str(PAGE)}))

    def _pages(self, what: str, key: str, params: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        asked = dict(params)
        with self.get_conn() as client:
            for _ in range(_MOST_PAGES):
                request = Request("GET", f"/v3/projects/{self.project}/{what}", params=asked)
                answer = object_of(page_of(client, request, asked.get("pageToken")))
                errors = [object_of(one) for one in list_of(answer.get("executionErrors"))]
                if errors:
                    said = "; ".join(str(one.get("message", one)) for one in errors)
                    raise answered_in_part(client, said, "Ask for less at a time: wider buckets, or fewer series.")
                if away := list_of(answer.get("unreachable")):
                    said = f"it could not reach {', '.join(map(str, away))}"
                    raise answered_in_part(client, said, "Try again once these regions answer.")
                yield from map(object_of, list_of(answer.get(key)))
                token = answer.get("nextPageToken")
                if not token:
                    return
                asked["pageToken"] = token
            raise SourceUnavailable(
                f"{client.endpoint.title} has not ended its answer after {_MOST_PAGES} pages.",
                next_step="Narrow the query.",
            )


class _Absent(Exception):
    """There is no such type of metrics."""


def _absent(answer: Answer) -> None:
    if answer.status == 404:
        raise _Absent
