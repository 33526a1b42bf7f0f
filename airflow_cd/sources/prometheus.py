"""Metrics from Prometheus and what speaks its API: what authors write in a DAG, and how it is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_cd.durations import DurationField, format_duration
from airflow_cd.hooks import promql
from airflow_cd.sources.absence import why_nothing
from airflow_cd.sources.buckets import Buckets, utc_now
from airflow_cd.sources.prometheus_absence import (
    explained,
    looked_for,
    mistakes_of_labels,
    require_group,
    unknown,
    unmatched,
    untold,
    without_labels,
)
from airflow_cd.sources.prometheus_replicas import counted_again
from airflow_cd.sources.prometheus_signals import SIGNALS, Signals, Traffic
from airflow_cd.sources.specification import mistakes_of_durations, mistakes_of_texts, reads_answers, refuse
from airflow_cd.spelling import keeps_misspelt_keywords, suggestion
from airflow_cd.verification.remembering import once
from airflow_cd.verification.samples import Metric, MetricSample, Window

if TYPE_CHECKING:
    from airflow_cd.hooks.prometheus import PrometheusHook

_TRAFFIC = {
    "throughput": Metric("throughput", "throughput", "either", "requests"),
    "error_rate": Metric("error_rate", "errors", "higher_is_worse", "errors"),
    "response_time": Metric("response_time", "latency", "higher_is_worse", "ms"),
    "response_time.p95": Metric("response_time.p95", "latency", "higher_is_worse", "ms"),
}


@keeps_misspelt_keywords
@dataclass(frozen=True)
class PrometheusMetrics:
    """What common exporters and frameworks measure, by the names that they give it.

    Counters count from scrape to scrape: nothing is extrapolated, and a counter that begins again counts from 0, as
    what a new process had counted does when it is scraped first. Histograms, native ones too, give mean, scatter and
    95th percentile.

    :param signals: one or several of ``opentelemetry``, ``micrometer``, ``http`` (``http_requests_total`` and
        ``http_request_duration_seconds``), ``nginx``, ``ingress-nginx``, ``haproxy``, ``envoy``, ``istio``,
        ``cadvisor`` and ``process``.
    :param where: matchers of labels, ``job="shop", namespace="production"``; none by default.
    :param conn_id: Airflow connection of type ``prometheus``; ``prometheus_default`` by default.
    :param instance_label: label that holds the instance's name, with or without a port; by default ``pod`` for
        ``istio`` and ``cadvisor``, ``server`` for ``haproxy``, ``ingress`` for ``ingress-nginx`` and else ``instance``.
    :param group_by: label to break requests down by, such as ``http_route``; none (``""``) by default.
    :param errors: matchers of the requests that failed, ``http_code=~"5.."``, where another label than the exporters'
        own tells; ``""`` where none does: then there is no ``error_rate``. None, the default, for the exporters' own.
    :param bucket: width of a bucket, a duration of a second or more; 30 seconds by default. Take at least the interval
        of the scrapes.
    :param delay: how long after an event Prometheus usually has it, a duration; 30 seconds by default: the interval of
        the scrapes, and the 30 seconds that VictoriaMetrics holds back.
    :param name: what reports call the source; ``Prometheus <signals>`` by default.
    """

    signals: str | Sequence[str]
    where: str = ""
    conn_id: str = "prometheus_default"
    instance_label: str = ""
    group_by: str = ""
    errors: str | None = None
    bucket: DurationField = DurationField("30s")  # noqa: RUF009 - a descriptor
    delay: DurationField = DurationField("30s")  # noqa: RUF009 - a descriptor
    name: str = ""

    whole_buckets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        given = (self.signals,) if isinstance(self.signals, str) else self.signals
        object.__setattr__(self, "signals", tuple(given) if isinstance(given, (list, tuple)) else given)
        named = ", ".join(map(str, self.signals)) if isinstance(self.signals, tuple) else self.signals
        object.__setattr__(self, "name", self.name or f"Prometheus {named}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        found = [*mistakes_of_texts(conn_id=self.conn_id)]
        found += mistakes_of_durations(bucket=self.bucket, delay=self.delay)
        found += mistakes_of_labels(self.where, self.instance_label or "instance", self.group_by)
        if self.errors is not None and (not isinstance(self.errors, str) or not promql.are_matchers(self.errors)):
            found.append(f'errors: {self.errors!r} is not a list of matchers, such as http_code=~"5.."')
        if not isinstance(self.signals, tuple) or not self.signals:
            found.append(f"signals: {self.signals!r} names none")
        else:
            for name in self.signals:
                if name not in SIGNALS:
                    found.append(f"signals: {name!r} is not known; {suggestion(str(name), SIGNALS)}")
        return [f"{type(self).__name__}({self.signals!r}): {mistake}" for mistake in found]

    @reads_answers
    def read(self, window: Window, instances: Sequence[str]) -> MetricSample:
        """Read the metrics of some instances over a window.

        :param window: half-open, aware.
        :param instances: their names, in any order; each counts once.
        :returns: a sample whose frame has the column ``deviation`` as well, and rows only for buckets with requests,
            and with a measurement. Buckets begin at multiples of their width.
        :raises SourceQueryRejected: this specification is wrong, or Prometheus rejects the query.
        :raises SourceUnavailable: Prometheus does not answer, answers with a part, or has none of the metrics.
        """
        from airflow_cd.hooks.prometheus import PrometheusHook
        from airflow_cd.sources.frames import spread_metric_frame
        from airflow_cd.sources.prometheus_reading import Reader

        refuse(self.mistakes())
        names = sorted(set(instances))
        buckets = Buckets.of(window, self.bucket, utc_now() - self.delay)
        hook = PrometheusHook(self.conn_id)
        chosen = self._chosen(hook, window) if names else []
        rows: list[Any] = []
        queries: list[str] = []
        warnings: list[str] = []
        for batch in promql.batches(names) if buckets.number else ():
            for signals, there in chosen:
                label = self.instance_label or signals.label
                reader = Reader(hook, batch, label, self.group_by, self.where, buckets)
                found = self._rows(reader, signals, there)
                rows += found
                warnings += self._without_status(reader, self._traffic(signals, there), there, found, window)
                queries += reader.queries
                notes = [*reader.notes, *reader.of_several_processes()]
                warnings += [note for note in notes if note not in warnings]
        if names and buckets.number:
            silent = sorted(set(names) - {row[1] for row in rows})
            if silent:
                warnings += why_nothing(silent, lambda: self._without(hook, chosen, silent, window))
        if rows:
            warnings += once("counted again", lambda: [*self._counted_again(hook, chosen, names, buckets)])
        if self.group_by and rows and not any(row[3] for row in rows):
            require_group(hook, self.group_by, [name for _, there in chosen for name in there], self.where, window)
        metrics = dict.fromkeys(metric for signals, there in chosen for metric in self._metrics(signals, there))
        query = "\n".join(queries) or f"no query: no instance, or no whole bucket of {format_duration(self.bucket)}"
        return MetricSample(
            spread_metric_frame(rows), tuple(metrics) or tuple(self._possible()), query, buckets.width, tuple(warnings)
        )

    @reads_answers
    def instances(self, window: Window) -> list[str]:
        """Which instances have had any of the metrics, by the values of their label.

        :param window: when.
        :raises SourceError: as of :meth:`read`.
        """
        from airflow_cd.hooks.prometheus import PrometheusHook

        refuse(self.mistakes())
        hook = PrometheusHook(self.conn_id)
        return sorted({name for one in self._chosen(hook, window) for name in self._labelled(hook, *one, window)})

    def _rows(self, reader: Any, signals: Signals, there: Sequence[str]) -> list[Any]:
        traffic = self._traffic(signals, there)
        rows = list(reader.traffic(traffic, there, percentile=True)) if traffic is not None else []
        requests = {(row[0], row[1], row[3]): row[5] for row in rows}
        for level in signals.levels:
            if set(level.names) <= set(there):
                rows += reader.level(level, requests)
        return rows

    def _chosen(self, hook: PrometheusHook, window: Window) -> list[tuple[Signals, list[str]]]:
        """The signals with the names of the metrics that there are."""
        chosen = []
        for name in self.signals:
            signals = SIGNALS[name]
            listed = "|".join(signals.names)
            match = [f"{{{', '.join(filter(None, (f'__name__=~{promql.quoted(listed)}', self.where.strip())))}}}"]
            there = hook.values("__name__", match, *looked_for(window))
            if signals.traffic and self._traffic(signals, there) is None:
                wanted = [one.requests for one in signals.traffic]
                raise unknown(hook, wanted, self.where, f"the signals {name!r}", window)
            if not set(signals.names) & set(there):
                raise unknown(hook, [one.name for one in signals.levels], self.where, f"the signals {name!r}", window)
            chosen.append((signals, there))
        return chosen

    def _labelled(self, hook: PrometheusHook, signals: Signals, there: Sequence[str], window: Window) -> list[str]:
        listed = "|".join(there)
        matcher = ", ".join(filter(None, (f"__name__=~{promql.quoted(listed)}", self.where.strip())))
        label = self.instance_label or signals.label
        return hook.values(label, [f"{{{matcher}}}"], *looked_for(window))

    def _without(
        self, hook: PrometheusHook, chosen: Sequence[tuple[Signals, list[str]]], silent: Sequence[str], window: Window
    ) -> Iterator[str]:
        """Why there is nothing of some instances."""
        for signals, there in chosen:
            label = self.instance_label or signals.label
            traffic = self._traffic(signals, there)
            selected = [(traffic.requests, traffic.where)] if traffic is not None else []
            selected += [(one.name, one.where) for one in signals.levels]
            apart = [*unmatched(hook, [one for one in selected if one[0] in there], window)]
            yield from apart
            known = self._labelled(hook, signals, there, window)
            yield from explained(known, label, there[0], silent, self.conn_id, matched=not apart)

    def _counted_again(
        self, hook: PrometheusHook, chosen: Sequence[tuple[Signals, list[str]]], names: Sequence[str], buckets: Buckets
    ) -> Iterator[str]:
        for signals, there in chosen:
            traffic = self._traffic(signals, there)
            if traffic is not None and traffic.requests in there:
                label, [some, *_] = self.instance_label or signals.label, [*promql.batches(names)]
                until = buckets.until.timestamp()
                yield from counted_again(hook, traffic.requests, label, self.where, some, until)

    def _without_status(
        self, reader: Any, traffic: Traffic | None, there: Sequence[str], rows: Sequence[Any], window: Window
    ) -> list[str]:
        """Refuse requests that would all count as good because nothing says whether they failed.

        The labels of an author's own may be those of failures alone: of them it is said that nothing has one.
        """
        failing = {row[1] for row in rows if row[2] == "error_rate" and row[4] > 0}
        good = sorted({row[1] for row in rows if row[2] == "error_rate"} - failing)
        if traffic is None or not good:
            return []
        if self.errors is not None:
            return once("labels", lambda: [*without_labels(reader.hook, traffic, self.where, window)])
        # Not among the queries that are shown: it is asked now and then.
        other = replace(reader, names=good, queries=[], notes=[], values={})
        key = ("stated", traffic.requests, *good)
        if silent := once(key, lambda: sorted(set(good) - other.stated(traffic, there))):
            raise untold(reader.hook, traffic, self.where, reader.label, silent, window)
        return []

    def _possible(self) -> Iterator[Metric]:
        for name in self.signals:
            yield from self._metrics(SIGNALS[name], SIGNALS[name].names)

    def _traffic(self, signals: Signals, there: Sequence[str]) -> Traffic | None:
        found = next((one for one in signals.traffic if one.requests in there or one.counts_natively(there)), None)
        if found is None or self.errors is None:
            return found
        return replace(found, errors=(self.errors,) if self.errors.strip() else ())

    def _metrics(self, signals: Signals, there: Sequence[str]) -> Iterator[Metric]:
        traffic = self._traffic(signals, there)
        if traffic is not None:
            yield _TRAFFIC["throughput"]
            if traffic.errors:
                yield _TRAFFIC["error_rate"]
            for name, end in (("response_time", "_sum"), ("response_time.p95", "_bucket")):
                if traffic.has(there, end):
                    yield _TRAFFIC[name]
        yield from (level.metric for level in signals.levels if set(level.names) <= set(there))
