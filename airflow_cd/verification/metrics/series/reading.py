"""From rows as they are written to series that can be judged: one step after another, each said to the reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from airflow_cd.verification.metrics.series.absence import filled, paced
from airflow_cd.verification.metrics.series.averages import averaged
from airflow_cd.verification.metrics.series.counters import differenced
from airflow_cd.verification.metrics.series.dates import aged, dated
from airflow_cd.verification.metrics.series.endless import endless
from airflow_cd.verification.metrics.series.finding import Finding
from airflow_cd.verification.metrics.series.findings import finding_of, same_instances
from airflow_cd.verification.metrics.series.repeats import differing_rows, once
from airflow_cd.verification.metrics.series.requests import as_numbers, uncounted, with_requests
from airflow_cd.verification.metrics.series.restarts import moments, restarted
from airflow_cd.verification.metrics.series.tables import Table, milliseconds
from airflow_cd.verification.metrics.series.units import misread, period_changed
from airflow_cd.verification.metrics.series.values import answered, as_share, evened, finite, numbered
from airflow_cd.verification.samples import Metric
from airflow_cd.verification.verdict import MetricResult, Reason, Verdict

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Series:
    """Metrics that can be judged, and what is to be said of them before.

    :param frames: rows by side (``canary``, ``control``, ``before``), with the columns of
        :data:`~airflow_cd.verification.samples.METRIC_COLUMNS`; every row says how many requests it holds, one where
        nobody knows.
    :param metrics: with their kinds, units and directions, and what was assumed.
    :param findings: by the name of a metric, what is wrong with it.
    :param counted: whether any row said how many requests it holds.
    :param factors: by the name of a metric, what its values were multiplied by since they were written.
    """

    frames: Mapping[str, pd.DataFrame]
    metrics: Sequence[Metric]
    findings: Mapping[str, Finding] = field(default_factory=dict)
    counted: bool = True
    factors: Mapping[str, float] = field(default_factory=dict)

    @property
    def judged(self) -> list[Metric]:
        """The metrics that can get better or worse."""
        return [metric for metric in self.metrics if metric.kind != "info"]

    def said(self, result: MetricResult) -> MetricResult:
        """The result of a metric with what was assumed of it, and with what was found before it was judged.

        :param result: of one of :attr:`judged`, over all its groups.
        """
        assumed = next((metric.assumed for metric in self.metrics if metric.name == result.name), "")
        finding = self.findings.get(result.name)
        result = replace(result, assumed=assumed)
        return result if finding is None else finding.on(result)

    def not_judged(self) -> list[MetricResult]:
        """A result for each metric that can get neither better nor worse: none of them is a reason to pass."""
        return [
            self.said(
                MetricResult(
                    name=metric.name,
                    group="",
                    kind=metric.kind,
                    unit="",
                    direction=metric.direction,
                    verdict=Verdict.PASS,
                    reason=Reason("not_judged", f"{metric.name}: {metric.assumed}."),
                )
            )
            for metric in self.metrics
            if metric.kind == "info"
        ]


def read_series(frames: Mapping[str, pd.DataFrame], metrics: Sequence[Metric]) -> Series:
    """Read the rows of all sides.

    Counters are differenced, rates and shares made numbers where requests are known, infinities and rows that are not
    there understood; then it is looked for data that say nothing.

    :param frames: rows by side: ``canary``, and ``control`` and ``before`` as far as there are any. ``count`` may be
        NaN where a row does not say how many requests it holds.
    :param metrics: which metrics there are, as an author or their names describe them.
    """
    import pandas as pd

    kept = {side: once(frame) for side, frame in frames.items()}
    frames = {side: one.frame for side, one in kept.items()}
    raw = {
        side: {str(name): rows for name, rows in frame.groupby("metric", sort=False)} for side, frame in frames.items()
    }
    empty = {side: frame.iloc[:0] for side, frame in frames.items()}
    tables, counters, hanging, begun = {}, set(), {}, moments(raw, metrics)
    for metric in metrics:
        own = {side: raw[side].get(metric.name, empty[side]) for side in frames}
        found = endless(Table(metric, own), paired=bool(len(own.get("control", ()))))
        if found is not None:
            hanging[metric.name] = found
        written = answered(aged(dated(finite(paced(Table(metric, own))))))
        table = differenced(written, begun)
        if table is not written:
            counters.add(metric.name)
        tables[metric.name] = evened(filled(numbered(table), frames))
    tables = with_requests(averaged(tables, counters))
    nobody = uncounted(list(tables.values()))
    tables = {name: as_share(as_numbers(table)) for name, table in tables.items()}
    together = {
        side: pd.concat([empty[side], *(table.frames[side] for table in tables.values())], ignore_index=True)
        for side in frames
    }
    read = {side: _counted(frame, tables) for side, frame in together.items()}
    differing = {
        name: found
        for name, table in tables.items()
        if (
            found := differing_rows(
                table.metric, {side: one.differing.get(name, 0) for side, one in kept.items()}, measured=nobody
            )
        )
        is not None
    }
    return Series(
        read,
        [_described(table) for table in tables.values()],
        _gravest(differing, _findings(tables, frames), hanging, restarted(tables, raw, counters)),
        counted=not nobody,
        factors={name: table.factor for name, table in tables.items()},
    )


def _counted(frame: pd.DataFrame, tables: Mapping[str, Table]) -> pd.DataFrame:
    """The rows with one request each where nobody knows, and where it does not matter."""
    alone = [name for name, table in tables.items() if table.metric.kind in ("count", "share")]
    count = frame["count"].astype(float).fillna(1.0).where(~frame["metric"].isin(alone), 1.0)
    counted: pd.DataFrame = frame.assign(count=count)
    return counted


def _described(table: Table) -> Metric:
    parts = [table.metric.assumed, *table.assumed]
    return replace(table.metric, cumulative=False, assumed="; ".join(part for part in parts if part))


def _gravest(*found: Mapping[str, Finding]) -> dict[str, Finding]:
    """Of each metric the last finding, and one that fails it before any other."""
    gravest: dict[str, Finding] = {}
    for one in found:
        for name, finding in one.items():
            if name not in gravest or finding.verdict is Verdict.FAIL or gravest[name].verdict is not Verdict.FAIL:
                gravest[name] = finding
    return gravest


def _findings(tables: Mapping[str, Table], frames: Mapping[str, pd.DataFrame]) -> dict[str, Finding]:
    control = frames.get("control")
    paired = control is not None and len(control) > 0
    if paired and control is not None:
        twice = same_instances(frames["canary"], control)
        if twice is not None:
            return dict.fromkeys(tables, twice)
    last = {side: int(milliseconds(frame).max(initial=0)) for side, frame in frames.items()}
    found = {}
    for name, table in tables.items():
        if table.metric.kind == "info":
            continue
        finding = finding_of(table, last, paired=paired)
        if finding is not None:
            found[name] = finding
    if not paired and not len(frames.get("before", ())):
        return found
    return found | misread(tables, paired=paired) | period_changed(tables, found, paired=paired)
