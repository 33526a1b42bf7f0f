"""Logs from Splunk: what authors write in a DAG, and how they are read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_cd.durations import DurationField
from airflow_cd.errors import SourceQueryRejected
from airflow_cd.sources.absence import unknown_instances, why_nothing
from airflow_cd.sources.specification import mistakes_of_durations, mistakes_of_texts, reads_answers, refuse
from airflow_cd.spelling import keeps_misspelt_keywords, suggestion
from airflow_cd.verification.samples import LogSample, Window
from airflow_cd.wording import ended

if TYPE_CHECKING:
    from airflow_cd.hooks.splunk import SplunkHook

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_INDEX = re.compile(r'\bindex\s*=\s*"?([\w-]+)(?![\w*-])', re.IGNORECASE)
_TIMES = re.compile(r"\b(earliest|latest)\s*=", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z_][\w.:-]*\Z")
_INSTANCES_A_QUERY = 100
_HOUR = timedelta(hours=1)


@keeps_misspelt_keywords
@dataclass(frozen=True)
class SplunkLogs:
    """Events of an application.

    :param query: a search of Splunk without its first command and without pipes, ``index=shop sourcetype=app``.
    :param instance_field: field that holds the instance's name; ``host`` by default.
    :param conn_id: Airflow connection of type ``splunk``; ``splunk_default`` by default.
    :param delay: how long after an event Splunk usually has it, a duration; one minute by default. What comes later
        counts too: each event says when it was indexed.
    :param name: what reports call the source; ``Splunk <query>`` by default.
    """

    query: str
    instance_field: str = "host"
    conn_id: str = "splunk_default"
    delay: DurationField = DurationField("1m")  # noqa: RUF009 - a descriptor
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"Splunk {self.query}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        found = [*mistakes_of_texts(query=self.query, conn_id=self.conn_id), *mistakes_of_durations(delay=self.delay)]
        if not _NAME.match(str(self.instance_field)):
            found.append(f"instance_field: {self.instance_field!r} is not the name of a field")
        bare = _STRING.sub("", str(self.query))
        if "|" in bare:
            found.append("query: a pipe changes which events there are; give the search alone")
        if any(bare.count(opened) != bare.count(closed) for opened, closed in ("()", "[]")) or '"' in bare:
            found.append("query: a quote or a parenthesis does not close")
        if bare.lower().split()[:1] == ["search"]:
            found.append("query: the command search is added when the query is sent")
        found += [f"query: {word} is added when the query is sent" for word in _TIMES.findall(bare)]
        return [f"{type(self).__name__}({self.query!r}): {mistake}" for mistake in found]

    @reads_answers
    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        """Read the events of some instances over a window.

        :param window: half-open, aware; Splunk hands out times to the millisecond.
        :param instances: their names, in any order; each counts once.
        :returns: a sample with ids and times of receipt; ``truncated`` where there are more events than one search
            hands out, or Splunk says that the answer is not whole.
        :raises SourceQueryRejected: this specification or an instance's name is wrong, Splunk rejects the search, or
            this user may search no such index.
        :raises SourceUnavailable: Splunk does not answer, or with a part of what there is.
        """
        from airflow_cd.hooks.splunk import SplunkHook
        from airflow_cd.sources import records
        from airflow_cd.sources.frames import identified_log_frame

        refuse(self.mistakes())
        names = sorted(set(instances))
        hook = SplunkHook(self.conn_id)
        rows: list[tuple[Any, str, str, str, Any]] = []
        queries: list[str] = []
        warnings: list[str] = []
        without_time, truncated, cut = 0, False, False
        for start in range(0, len(names) if window.since < window.until else 0, _INSTANCES_A_QUERY):
            queries.append(self.resolved(names[start : start + _INSTANCES_A_QUERY]))
            found = hook.search(queries[-1], window.since, window.until, records.MOST_RECORDS)
            warnings += [text for text in found.warnings if text not in warnings]
            truncated, cut = truncated or found.more or found.partial, cut or found.more
            for event in found.rows:
                row = self._row(event, names)
                if row is None:
                    without_time += 1
                elif row[1] and window.since <= row[0] < window.until:
                    rows.append(row)
        if cut:
            warnings.append(records.left_out("oldest"))
        if without_time:
            warnings.append(f"{without_time} events without a time were left out.")
        if queries and not rows:
            warnings += why_nothing(names, lambda: self._nothing(hook, names, window))
        query = "\n".join(queries) or "no query: no instance, or no time"
        # They come newest first.
        truncated = truncated or bool(without_time)
        return LogSample(identified_log_frame(rows[::-1]), query, truncated, tuple(warnings), cut=cut)

    def resolved(self, instances: Sequence[str]) -> str:
        """Return the search as it is sent for some instances.

        :param instances: their names.
        :raises SourceQueryRejected: a name could change the search.
        """
        for name in instances:
            if not name or set(name) & set('"\\*') or not name.isprintable():
                raise SourceQueryRejected(
                    f"{self.name}: the instance name {name!r} is empty or holds a quote, a backslash or a wildcard.",
                    instances=(name,),
                    next_step="Such an instance cannot be part of a search; rename it.",
                )
        listed = ", ".join(f'"{name}"' for name in instances)
        found = f"search ({self.query.strip()}) {self.instance_field} IN ({listed})"
        return f"{found} | fields _time _raw _indextime _bkt _cd {self.instance_field}"

    @reads_answers
    def instances(self, window: Window) -> list[str]:
        """Which instances have logged something that the search finds.

        :param window: when.
        :raises SourceError: as of :meth:`read`.
        """
        from airflow_cd.hooks.splunk import SplunkHook

        refuse(self.mistakes())
        return self._known(SplunkHook(self.conn_id), window)

    def _row(self, event: Mapping[str, Any], names: Sequence[str]) -> tuple[Any, str, str, str, Any] | None:
        from airflow_cd.sources.records import instant

        moment = instant(event.get("_time"))
        if moment is None:
            return None
        given = event.get(self.instance_field)
        instance = next((str(one) for one in (given if isinstance(given, list) else [given]) if str(one) in names), "")
        # Where the event lies on disk; a field of an event may be missing.
        place = [str(event[name]) for name in ("_bkt", "_cd") if event.get(name)]
        received = instant(_seconds(event.get("_indextime")))
        return moment, instance, str(event.get("_raw", "")), " ".join(place) if len(place) == 2 else "", received

    def _known(self, hook: SplunkHook, window: Window) -> list[str]:
        query = f"search ({self.query.strip()}) | stats count by {self.instance_field}"
        rows = hook.search(query, window.since, window.until).rows
        return sorted({str(row[self.instance_field]) for row in rows if row.get(self.instance_field)})

    def _nothing(self, hook: SplunkHook, names: Sequence[str], window: Window) -> Iterator[str]:
        """Why there is nothing: no such index, nothing that was logged, or none of these instances."""
        known = self._known(hook, Window(window.since - _HOUR, window.until))
        if known:
            yield from unknown_instances(names, known, f"the field {self.instance_field}")
            return
        wanted = _INDEX.findall(self.query)
        there = hook.indices() if wanted else []
        for name in wanted:
            if there and name.lower() not in there:
                raise SourceQueryRejected(
                    ended(
                        f"{self.name}: there is no index {name} that this user may search; {suggestion(name, there)}"
                    ),
                    next_step="Correct the index, or let the role of the user search it.",
                )
        yield (
            f"Nothing that {self.query} finds was logged in the hour before with the field {self.instance_field}, of "
            "any instance."
        )


def _seconds(value: Any) -> int | None:
    """A whole second as the milliseconds of its end: something that was indexed in it was so by then."""
    try:
        return (int(value) + 1) * 1000
    except (TypeError, ValueError):
        return None
