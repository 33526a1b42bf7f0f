"""Logs from Grafana Loki: what authors write in a DAG, and how they are read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_cd.durations import DurationField
from airflow_cd.errors import SourceQueryRejected
from airflow_cd.hooks import promql
from airflow_cd.sources.absence import unknown_instances, why_nothing
from airflow_cd.sources.specification import mistakes_of_durations, mistakes_of_texts, reads_answers, refuse
from airflow_cd.spelling import keeps_misspelt_keywords, suggestion
from airflow_cd.verification.samples import LogSample, Window
from airflow_cd.wording import ended

if TYPE_CHECKING:
    from airflow_cd.hooks.loki import LokiHook

_SELECTOR = re.compile(r"""\s*\{((?:[^"`}]|"(?:[^"\\]|\\.)*"|`[^`]*`)*)\}""")
_HOUR = 3_600_000_000_000


@keeps_misspelt_keywords
@dataclass(frozen=True)
class LokiLogs:
    """Lines of the streams of an application.

    :param query: a query of LogQL for lines: a selector of streams, and filters where there are any,
        ``{app="shop"} != "healthz"``.
    :param instance_label: label that holds the instance's name; ``pod`` by default.
    :param conn_id: Airflow connection of type ``loki``; ``loki_default`` by default.
    :param delay: how long after an event Loki usually has it, a duration; 30 seconds by default.
    :param name: what reports call the source; ``Loki <query>`` by default.
    """

    query: str
    instance_label: str = "pod"
    conn_id: str = "loki_default"
    delay: DurationField = DurationField("30s")  # noqa: RUF009 - a descriptor
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"Loki {self.query}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        found = [*mistakes_of_texts(query=self.query, conn_id=self.conn_id), *mistakes_of_durations(delay=self.delay)]
        if not promql.is_label(self.instance_label):
            found.append(f"instance_label: {self.instance_label!r} is not the name of a label")
        selector = _SELECTOR.match(str(self.query))
        if selector is None or not selector[1].strip():
            found.append('query: it begins with a selector of streams, {app="shop"}')
        elif not promql.is_balanced(str(self.query)):
            found.append("query: a quote or a parenthesis does not close")
        return [f"{type(self).__name__}({self.query!r}): {mistake}" for mistake in found]

    @reads_answers
    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        """Read the lines of some instances over a window.

        :param window: half-open, aware.
        :param instances: their names, in any order; each counts once.
        :raises SourceQueryRejected: this specification is wrong, Loki rejects the query, or no stream has the label.
        :raises SourceUnavailable: Loki does not answer.
        """
        from airflow_cd.hooks.loki import LokiHook
        from airflow_cd.sources import records
        from airflow_cd.sources.frames import log_frame
        from airflow_cd.sources.records import nanoseconds

        refuse(self.mistakes())
        names = sorted(set(instances))
        hook = LokiHook(self.conn_id)
        since, until = nanoseconds(window.since), nanoseconds(window.until)
        rows: list[tuple[Any, str, str]] = []
        queries: list[str] = []
        cut = False
        for batch in promql.batches(names) if since < until else ():
            queries.append(self.resolved(batch))
            for labels, moment, line in hook.search(queries[-1], since, until):
                if cut := len(rows) >= records.MOST_RECORDS:
                    break
                if labels.get(self.instance_label) in names and since <= moment < until:
                    rows.append((moment, labels[self.instance_label], line))
            if cut:
                break
        warnings: list[str] = []
        if queries and not rows:
            warnings = why_nothing(names, lambda: self._nothing(hook, names, since, until))
        if cut:
            warnings.append(records.left_out())
        query = "\n".join(queries) or "no query: no instance, or no time"
        return LogSample(log_frame(rows), query, cut, tuple(warnings), cut=cut)

    def resolved(self, instances: Sequence[str]) -> str:
        """Return the query as it is sent for some instances.

        :param instances: their names.
        """
        selector = _SELECTOR.match(self.query)
        assert selector is not None  # noqa: S101 - mistakes() has seen to it
        matcher = promql.one_of(self.instance_label, instances, ports=False)
        return f"{{{selector[1].strip().rstrip(',')}, {matcher}}}{self.query[selector.end() :]}"

    @reads_answers
    def instances(self, window: Window) -> list[str]:
        """Which instances have streams that the query finds.

        :param window: when.
        :raises SourceError: as of :meth:`read`.
        """
        from airflow_cd.hooks.loki import LokiHook
        from airflow_cd.sources.records import nanoseconds

        refuse(self.mistakes())
        return self._known(LokiHook(self.conn_id), nanoseconds(window.since), nanoseconds(window.until))

    def _known(self, hook: LokiHook, since: int, until: int) -> list[str]:
        selector = _SELECTOR.match(self.query)
        return hook.label_values(self.instance_label, selector[0].strip() if selector else "", since, until)

    def _nothing(self, hook: LokiHook, names: Sequence[str], since: int, until: int) -> Iterator[str]:
        """Why there is nothing: no such label, no such instance, or nothing that was written."""
        known = self._known(hook, since - _HOUR, until)
        if not known:
            labels = hook.labels(since - _HOUR, until)
            if labels and self.instance_label not in labels:
                raise SourceQueryRejected(
                    ended(
                        f"{self.name}: no stream has the label {self.instance_label!r}; "
                        f"{suggestion(self.instance_label, labels)}"
                    ),
                    next_step="Name the label that holds the instances' names as instance_label.",
                )
            yield f"No stream that {self.query} finds had a line in the hour before."
        else:
            yield from unknown_instances(names, known, f"the label {self.instance_label}")
