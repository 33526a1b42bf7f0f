"""Logs from OpenSearch and Elasticsearch: what authors write in a DAG, and how they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_cd.durations import DurationField
from airflow_cd.errors import SourceQueryRejected
from airflow_cd.sources.absence import FARTHEST, nothing_for_an_hour, unknown_instances, why_nothing
from airflow_cd.sources.open_search_query import (
    documents,
    instance_field,
    is_index,
    mistakes_of_query,
    refuse_nested,
)
from airflow_cd.sources.specification import mistakes_of_durations, mistakes_of_texts, reads_answers, refuse
from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.verification.samples import LogSample, Window

if TYPE_CHECKING:
    from airflow_cd.hooks.open_search import OpenSearchHook

_HOUR = timedelta(hours=1)


@keeps_misspelt_keywords
@dataclass(frozen=True)
class OpenSearchLogs:
    """Log records of an application, in OpenSearch or Elasticsearch.

    :param index: names or patterns of indices, data streams or aliases, commas between: ``logs-shop-*``.
    :param query: a query string (Lucene), ``app:shop AND NOT level:debug``; none (``""``) by default.
    :param instance_field: field that holds the instance's name; ``host.name`` by default.
    :param time_field: field that holds the time; ``@timestamp`` by default.
    :param message_field: field that holds the message; ``message`` by default.
    :param received_field: field that holds when the record was received; ``event.ingested`` by default, where there is
        one.
    :param conn_id: Airflow connection; ``search_cluster_default`` by default.
    :param delay: how long after an event it can usually be found, a duration; 30 seconds by default: the shipper, and
        the refresh of the index.
    :param name: what reports call the source; ``OpenSearch <index>`` by default.
    """

    index: str
    query: str = ""
    instance_field: str = "host.name"
    time_field: str = "@timestamp"
    message_field: str = "message"
    received_field: str = "event.ingested"
    conn_id: str = "search_cluster_default"
    delay: DurationField = DurationField("30s")  # noqa: RUF009 - a descriptor
    name: str = ""

    def __post_init__(self) -> None:
        product = type(self).__name__.removesuffix("Logs")
        object.__setattr__(self, "name", self.name or f"{product} {self.index}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        found = [
            *mistakes_of_texts(
                index=self.index,
                instance_field=self.instance_field,
                time_field=self.time_field,
                message_field=self.message_field,
                conn_id=self.conn_id,
            ),
            *mistakes_of_durations(delay=self.delay),
        ]
        if isinstance(self.index, str) and not is_index(self.index):
            found.append(f"index: {self.index!r} is not the name of an index")
        found += mistakes_of_query(self.query, self.time_field)
        return [f"{type(self).__name__}({self.index!r}): {mistake}" for mistake in found]

    @reads_answers
    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        """Read the log records of some instances over a window.

        :param window: half-open, aware.
        :param instances: their names, in any order; each counts once.
        :returns: a sample with ids, and with times of receipt where there are any; ``truncated`` where there are more
            records than one read takes.
        :raises SourceQueryRejected: this specification is wrong, the query is rejected, or there is no such index or
            field.
        :raises SourceUnavailable: no answer that every shard took part in was to be had.
        """
        from airflow_cd.hooks.open_search import OpenSearchHook
        from airflow_cd.sources import records
        from airflow_cd.sources.frames import identified_log_frame

        refuse(self.mistakes())
        names = sorted(set(instances))
        hook = OpenSearchHook(self.conn_id)
        if not names or window.since == window.until:
            return LogSample(identified_log_frame([]), "no query: no instance, or no time")
        field, exact = self._instance_field(hook)
        query = self._found_by(field, exact, window, names)
        hits, more = hook.search(self.index, query, self.time_field, records.MOST_RECORDS, [field] if exact else [])
        rows, without_time, without_instance, has_message = [], 0, 0, False
        for hit in hits:
            row = self._row(hit, names, field)
            if row is None:
                without_time += 1
            elif row[1] in names and window.since <= row[0] < window.until:
                rows.append(row)
                has_message = has_message or records.has_message(hit["_source"], self.message_field, row[2])
            elif exact and not row[1]:
                without_instance += 1
        warnings = [f"{without_time} records without a time were left out."] if without_time else []
        if without_instance:
            warnings.append(f"{without_instance} records do not say in {field} which of the instances they are of.")
        if rows and not has_message:
            warnings.append(records.without_message(self.message_field))
        if more:
            warnings.append(records.left_out())
        if not rows:
            warnings += why_nothing(names, lambda: self._nothing(hook, window, names))
        shown = f"{self.index}: {_json(query)}"
        truncated = more or bool(without_time or without_instance)
        return LogSample(identified_log_frame(rows), shown, truncated, tuple(warnings), cut=more)

    @reads_answers
    def instances(self, window: Window) -> list[str]:
        """Which instances have logged something that the query finds.

        :param window: when.
        :raises SourceError: as of :meth:`read`.
        """
        from airflow_cd.hooks.open_search import OpenSearchHook

        refuse(self.mistakes())
        hook = OpenSearchHook(self.conn_id)
        field, exact = self._instance_field(hook)
        return sorted(hook.values(self.index, field, self._filter(window))) if exact else []

    def _found_by(self, field: str, exact: bool, window: Window, names: Sequence[str]) -> dict[str, Any]:
        if exact:
            mine: dict[str, Any] = {"terms": {field: list(names)}}
        else:
            # A text is found by its words; what is another name is left out of the answer.
            mine = {"bool": {"should": [{"match_phrase": {field: name}} for name in names]}}
        return self._filter(window, mine)

    def _filter(self, window: Window, *more: Mapping[str, Any]) -> dict[str, Any]:
        return documents(window, self.time_field, self.query, self.message_field, *more)

    def _instance_field(self, hook: OpenSearchHook) -> tuple[str, bool]:
        """The field to search for names of instances, and whether it is compared as a whole."""
        return instance_field(hook, self.name, self.index, self.instance_field, self.time_field)

    def _row(self, hit: Mapping[str, Any], names: Sequence[str], field: str) -> tuple[Any, str, str, str, Any] | None:
        from airflow_cd.sources.records import instant, record_text, value_of

        source = hit.get("_source")
        if not isinstance(source, dict):
            raise SourceQueryRejected(
                f"{self.name}: the index {hit.get('_index')} does not keep what its documents were sent as.",
                next_step="Keep `_source` in the mapping of the index: without it there are no messages.",
            )
        fields: dict[str, Any] = dict(source)
        indexed = hit.get("fields") or {}
        stated = indexed.get(self.time_field) or [value_of(fields, self.time_field)]
        moment = instant(stated[0]) if stated[0] is not None else None
        if moment is None:
            return None
        # What was sent may hold it under another name: an alias, a field of another type beside (host.keyword).
        given = value_of(fields, self.instance_field)
        held = [*(given if isinstance(given, list) else [given]), *(indexed.get(field) or ())]
        instance = next((str(one) for one in held if str(one) in names), "")
        received = value_of(fields, self.received_field)
        identity = f"{hit.get('_index')} {hit.get('_id')}"
        text = record_text(fields, self.message_field)
        return moment, instance, text, identity, instant(received) if received is not None else None

    def _nothing(self, hook: OpenSearchHook, window: Window, names: Sequence[str]) -> Iterator[str]:
        field, exact = self._instance_field(hook)
        if not exact:
            return
        known = hook.values(self.index, field, self._filter(Window(window.since - _HOUR, window.until)))
        if not known:
            refuse_nested(hook, self.name, self.index, field)
            around = self._filter(Window(window.since - FARTHEST, window.until + FARTHEST))
            found = hook.aggregate(self.index, around, {"newest": {"max": {"field": self.time_field}}})
            newest = (found.get("newest") or {}).get("value")
            yield nothing_for_an_hour("the query", newest)
        else:
            yield from unknown_instances(names, known, f"the field {field}")


@keeps_misspelt_keywords
@dataclass(frozen=True)
class ElasticsearchLogs(OpenSearchLogs):
    """Log records of an application, in Elasticsearch; see :class:`OpenSearchLogs`."""


def _json(query: Mapping[str, Any]) -> str:
    import json

    return json.dumps(query, ensure_ascii=False)
