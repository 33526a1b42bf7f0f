"""Logs from VictoriaLogs: what authors write in a DAG, and how it is read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_cd.durations import DurationField
from airflow_cd.errors import SourceQueryRejected
from airflow_cd.sources.absence import FARTHEST, nothing_for_an_hour, unknown_instances, why_nothing
from airflow_cd.sources.specification import mistakes_of_durations, mistakes_of_texts, reads_answers, refuse
from airflow_cd.spelling import keeps_misspelt_keywords, suggestion
from airflow_cd.verification.samples import LogSample, Window
from airflow_cd.wording import ended

if TYPE_CHECKING:
    from airflow_cd.hooks.victoria_logs import VictoriaLogsHook

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^'\\]|\\.)*'|`[^`]*`", re.DOTALL)
_TIMED = re.compile(r"(?<![\w.])_time\s*:(?!\s*(?:day|week)_range)")
_PAIRS = (("([", ")]"), ("{", "}"))
_INSTANCES_A_QUERY = 200
_HOUR = 3_600_000_000_000


@keeps_misspelt_keywords
@dataclass(frozen=True)
class VictoriaLogs:
    """Log records of an application.

    :param query: a filter of LogsQL, ``{app="shop"} level:!debug``, without pipes; ``*``, the default, for all.
    :param instance_field: field that holds the instance's name; ``host`` by default.
    :param message_field: field that holds the message; ``_msg`` by default.
    :param conn_id: Airflow connection of type ``victoria_logs``; ``victoria_logs_default`` by default.
    :param delay: how long after an event VictoriaLogs usually has it, a duration; 5 seconds by default.
    :param name: what reports call the source; ``VictoriaLogs <query>`` by default.
    """

    query: str = "*"
    instance_field: str = "host"
    message_field: str = "_msg"
    conn_id: str = "victoria_logs_default"
    delay: DurationField = DurationField("5s")  # noqa: RUF009 - a descriptor
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"VictoriaLogs {self.query}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        found = [
            *mistakes_of_texts(
                query=self.query,
                conn_id=self.conn_id,
                instance_field=self.instance_field,
                message_field=self.message_field,
            ),
            *mistakes_of_durations(delay=self.delay),
        ]
        bare = _STRING.sub("", str(self.query))
        if "|" in bare:
            found.append("query: a pipe changes which records there are; give the filter alone")
        if _TIMED.search(bare):
            found.append("query: the window is added when the query is sent; leave out _time")
        # A range may be open at one end: range[1, 10).
        if any(sum(map(bare.count, one)) != sum(map(bare.count, other)) for one, other in _PAIRS) or '"' in bare:
            found.append("query: a quote or a parenthesis does not close")
        return [f"{type(self).__name__}({self.query!r}): {mistake}" for mistake in found]

    @reads_answers
    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        """Read the log records of some instances over a window.

        :param window: half-open, aware.
        :param instances: their names, in any order; each counts once.
        :raises SourceQueryRejected: this specification is wrong, VictoriaLogs rejects the query, or no record has the
            field of the instances.
        :raises SourceUnavailable: VictoriaLogs does not answer.
        """
        from airflow_cd.hooks.victoria_logs import VictoriaLogsHook
        from airflow_cd.sources import records
        from airflow_cd.sources.frames import log_frame
        from airflow_cd.sources.records import instant, nanoseconds, record_text

        refuse(self.mistakes())
        names = sorted(set(instances))
        hook = VictoriaLogsHook(self.conn_id)
        since, until = nanoseconds(window.since), nanoseconds(window.until)
        rows: list[tuple[Any, str, str]] = []
        queries, without_time, has_message, cut = [], 0, False, False
        for start in range(0, len(names) if since < until else 0, _INSTANCES_A_QUERY):
            queries.append(self.resolved(names[start : start + _INSTANCES_A_QUERY]))
            for fields in hook.search(queries[-1], since, until):
                if cut := len(rows) >= records.MOST_RECORDS:
                    break
                moment, instance = instant(fields.get("_time")), fields.pop(self.instance_field, None)
                if moment is None:
                    without_time += 1
                elif instance in names and window.since <= moment < window.until:
                    rows.append((moment, instance, record_text(fields, self.message_field)))
                    has_message = has_message or records.has_message(fields, self.message_field, rows[-1][2])
            if cut:
                break
        warnings = [f"{without_time} records without a time were left out."] if without_time else []
        if rows and not has_message:
            warnings.append(records.without_message(self.message_field))
        if cut:
            warnings.append(records.left_out())
        if not rows and queries:
            warnings += why_nothing(names, lambda: self._nothing(hook, names, window))
        query = "\n".join(queries) or "no query: no instance, or no time"
        # Of one moment they come in another order each time.
        truncated = cut or bool(without_time)
        return LogSample(log_frame(sorted(rows)), query, truncated, tuple(warnings), cut=cut)

    def resolved(self, instances: Sequence[str]) -> str:
        """Return the query as it is sent for some instances.

        :param instances: their names.
        """
        listed = ", ".join(map(_quoted, instances))
        return f"({self.query.strip()}) {_quoted(self.instance_field)}:in({listed})"

    @reads_answers
    def instances(self, window: Window) -> list[str]:
        """Which instances have logged something that the query finds.

        :param window: when.
        :raises SourceError: as of :meth:`read`.
        """
        from airflow_cd.hooks.victoria_logs import VictoriaLogsHook
        from airflow_cd.sources.records import nanoseconds

        refuse(self.mistakes())
        times = nanoseconds(window.since), nanoseconds(window.until)
        return sorted(
            filter(None, VictoriaLogsHook(self.conn_id).field_values(self.query, self.instance_field, *times))
        )

    def _nothing(self, hook: VictoriaLogsHook, names: Sequence[str], window: Window) -> Iterator[str]:
        """Why there is nothing of the last hour: no record, none with the field, or none of these instances."""
        from airflow_cd.sources.records import nanoseconds

        since, until = nanoseconds(window.since), nanoseconds(window.until)
        fields = hook.field_names(self.query, since - _HOUR, until)
        if not fields:
            around = nanoseconds(window.since - FARTHEST), nanoseconds(window.until + FARTHEST)
            _, newest = hook.counted(self.query, *around)
            yield nothing_for_an_hour(self.query, newest)
            return
        if self.instance_field not in fields:
            raise SourceQueryRejected(
                ended(
                    f"{self.name}: no record has the field {self.instance_field!r}; "
                    f"{suggestion(self.instance_field, fields)}"
                ),
                next_step="Name the field that holds the instances' names as instance_field.",
            )
        known = hook.field_values(self.query, self.instance_field, since - _HOUR, until)
        yield from unknown_instances(names, known, f"the field {self.instance_field}")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
