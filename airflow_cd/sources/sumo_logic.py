"""Logs from Sumo Logic: what authors write in a DAG, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from airflow_cd.durations import DurationField
from airflow_cd.errors import SourceQueryRejected
from airflow_cd.sources.absence import unknown_instances, why_nothing
from airflow_cd.sources.specification import refuse
from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.verification.samples import LogSample, Window

if TYPE_CHECKING:
    from airflow_cd.hooks.sumo_logic import SumoLogicHook

_NAME = re.compile(r"[A-Za-z_]\w*\Z")
_PART = re.compile(r'"(?:[^"\\]|\\.)*"|[()|]', re.DOTALL)
_AGGREGATE = re.compile(
    r"(count|count_distinct|sum|avg|min|max|pct|stddev|first|last|top|fillmissing|outlier|transpose|logreduce)\b",
    re.IGNORECASE,
)
# Names of instances are a condition of the query; more of them make another query.
_INSTANCES_A_QUERY = 100
_HOUR = timedelta(hours=1)
_MOST_COUNTED = 10_000


@keeps_misspelt_keywords
@dataclass(frozen=True)
class SumoLogicLogs:
    """Log records of an application, as they were logged.

    :param query: a Sumo Logic search that does not aggregate (``_sourceCategory=prod/storefront``); the window and
        the instances are added to it.
    :param conn_id: Airflow connection of type ``sumo_logic``; ``sumo_logic_default`` by default.
    :param instance_field: metadata field that holds the instance's name; ``_sourceHost`` by default.
    :param delay: how long after an event Sumo Logic usually has it, a duration; 30 seconds by default. What comes
        later counts too: Sumo Logic says when it received a message, and verdicts wait for the lag that shows.
    :param name: what reports call the source; ``Sumo Logic <query>`` by default.
    """

    query: str
    conn_id: str = "sumo_logic_default"
    instance_field: str = "_sourceHost"
    delay: DurationField = DurationField("30s")  # noqa: RUF009 - a descriptor
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"Sumo Logic {self.query}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        found = []
        for name, text in (("query", self.query), ("conn_id", self.conn_id)):
            if not isinstance(text, str) or not text.strip():
                found.append(f"{name}: {text!r} is empty or not a text")
        if not _NAME.match(str(self.instance_field)):
            found.append(f"instance_field: {self.instance_field!r} is not the name of a field")
        if wrong := DurationField.mistake(self.delay, "delay"):
            found.append(wrong)
        parts = _split(str(self.query))
        if parts is None:
            found.append("query: a quote or a parenthesis does not close")
        else:
            found += [
                f"query: {part.strip()!r} aggregates, but records are wanted as they were logged"
                for part in parts[1:]
                if _AGGREGATE.match(part.strip())
            ]
        return [f"{type(self).__name__}({self.query!r}): {mistake}" for mistake in found]

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        """Read the log records of some instances over a window.

        :param window: half-open, aware.
        :param instances: their names, in any order; each counts once.
        :returns: a sample whose frame has the columns ``time`` (UTC), ``instance``, ``message``, ``id`` and
            ``received`` (UTC), oldest first; ``truncated`` when Sumo Logic had more than it returned.
        :raises SourceQueryRejected: this specification or an instance's name is wrong, or Sumo Logic rejects the
            search.
        :raises SourceError: Sumo Logic cannot be read.
        """
        from airflow_cd.hooks.sumo_logic import SumoLogicHook
        from airflow_cd.sources.frames import identified_log_frame

        refuse(self.mistakes())
        names = sorted(set(instances))
        hook = SumoLogicHook(self.conn_id)
        rows, queries, warnings, truncated = [], [], [], False
        field = self.instance_field.lower()
        for start in range(0, len(names), _INSTANCES_A_QUERY):
            query = self.resolved(names[start : start + _INSTANCES_A_QUERY])
            result = hook.search(query, window.since, window.until)
            queries.append(query)
            warnings += [warning for warning in result.warnings if warning not in warnings]
            truncated = truncated or result.truncated
            without_time = 0
            for message in result.messages:
                moment = _moment(message.get("_messagetime"))
                if moment is None:
                    without_time += 1
                elif message.get(field) in names:
                    received = _moment(message.get("_receipttime"))
                    rows.append((moment, message[field], message.get("_raw", ""), _id_of(message), received))
            if without_time:
                warnings.append(f"{without_time} messages without a time were left out.")
                truncated = True
        if queries and not rows:
            warnings += why_nothing(names, lambda: self._without(hook, names, window))
        return LogSample(identified_log_frame(rows), "\n".join(queries), truncated, tuple(warnings))

    def _without(self, hook: SumoLogicHook, names: Sequence[str], window: Window) -> Iterator[str]:
        """What is said where there is no message of any of the instances; the last hour is counted, not read."""
        scope, *operators = _split(self.query) or [self.query]
        query = " | ".join([scope.strip() or "*", *map(str.strip, operators), f"count by {self.instance_field}"])
        if window.since >= window.until:
            return
        found = hook.records(query, window.since - _HOUR, window.until, limit=_MOST_COUNTED).records
        known = sorted({record.get(self.instance_field.lower(), "") for record in found} - {""})
        if known:
            yield from unknown_instances(names, known, f"the field {self.instance_field}")
        elif found:
            yield f"No message has the field {self.instance_field}: name the one of the instances as instance_field."
        else:
            yield f"Nothing that {self.query} finds was logged in the hour before, of any instance."

    def resolved(self, instances: Sequence[str]) -> str:
        """Return the query as it is sent for some instances; their condition stands before the first operator.

        :param instances: their names.
        :raises SourceQueryRejected: a name could change the query.
        """
        for name in instances:
            if not name or any(character in '"\\*?' or not character.isprintable() for character in name):
                raise SourceQueryRejected(
                    f"{self.name}: the instance name {name!r} is empty or holds a quote, a backslash, a wildcard or a "
                    "control character.",
                    instances=(name,),
                    next_step="Such an instance cannot be part of a query; rename it.",
                )
        scope, *operators = _split(self.query) or [self.query]
        hosts = " OR ".join(f'{self.instance_field}="{name}"' for name in instances)
        return " | ".join([f"({scope.strip() or '*'}) AND ({hosts})", *map(str.strip, operators)])


def _split(query: str) -> list[str] | None:
    """Scope and operators of a search, cut at its pipes; None when quotes or parentheses do not close."""
    parts, begin, depth = [], 0, 0
    for token in _PART.finditer(query):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if depth < 0:
            return None
        if token[0] == "|" and depth == 0:
            parts.append(query[begin : token.start()])
            begin = token.end()
    if depth or '"' in _PART.sub("", query):
        return None
    return [*parts, query[begin:]]


def _id_of(message: Mapping[str, str]) -> str:
    """A message's id; with its time, as the hook tells messages apart."""
    number = message.get("_messageid", "")
    return f"{number} {message.get('_messagetime', '')}" if number else ""


def _moment(milliseconds: str | None) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(milliseconds or "") / 1000, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
