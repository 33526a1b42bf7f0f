"""What can be watched: sources of metrics and logs.

A source of your own is a class with the attributes and methods of
:class:`~airflow_cd.verification.samples.MetricSource` or :class:`~airflow_cd.verification.samples.LogSource`; as entry
point of the group ``airflow_cd.sources`` it is known by name too. :mod:`airflow_cd.sources.frames` makes the data
frames it returns, and :mod:`airflow_cd.sources.contract` holds the tests it has to pass.

``read`` raises a :class:`~airflow_cd.errors.SourceError`, and nothing else, when it cannot read: a
:class:`~airflow_cd.errors.SourceUnavailable` (:class:`~airflow_cd.errors.SourceThrottled` for a rate limit; with
``retry_after`` where the service asks for a pause) for what may be tried again, else
:class:`~airflow_cd.errors.SourceUnauthorized`, :class:`~airflow_cd.errors.SourceRejected` or
:class:`~airflow_cd.errors.SourceQueryRejected`.
"""

from __future__ import annotations

from airflow_cd.errors import SourceRejected
from airflow_cd.sources.check_results import CheckResults
from airflow_cd.sources.cloud_watch_logs import CloudWatchLogs
from airflow_cd.sources.cloud_watch_metrics import CloudWatchMetrics
from airflow_cd.sources.datadog import DatadogLogs, DatadogMetrics
from airflow_cd.sources.docker_logs import DockerLogs
from airflow_cd.sources.files import FileLogs
from airflow_cd.sources.google_logging import GoogleCloudLogs
from airflow_cd.sources.google_monitoring import GoogleCloudMetrics
from airflow_cd.sources.influx_db import InfluxDbMetrics
from airflow_cd.sources.journal import JournalLogs
from airflow_cd.sources.kubernetes import KubernetesLogs
from airflow_cd.sources.loki import LokiLogs
from airflow_cd.sources.new_relic import NewRelicMetrics, NewRelicQuery
from airflow_cd.sources.open_search import ElasticsearchLogs, OpenSearchLogs
from airflow_cd.sources.open_search_metrics import ElasticsearchMetrics, OpenSearchMetrics
from airflow_cd.sources.otlp_files import OtlpFileMetrics
from airflow_cd.sources.probe import HttpProbe
from airflow_cd.sources.prometheus import PrometheusMetrics
from airflow_cd.sources.prometheus_query import PrometheusQuery
from airflow_cd.sources.sampled import Sampled
from airflow_cd.sources.splunk import SplunkLogs
from airflow_cd.sources.sql import SqlMetrics
from airflow_cd.sources.statsd_files import StatsdFileMetrics
from airflow_cd.sources.sumo_logic import SumoLogicLogs
from airflow_cd.sources.task_result import TaskResult
from airflow_cd.sources.victoria_logs import VictoriaLogs

ENTRY_POINT_GROUP = "airflow_cd.sources"
BUILT_IN: tuple[type, ...] = (
    CheckResults,
    CloudWatchLogs,
    CloudWatchMetrics,
    DatadogLogs,
    DatadogMetrics,
    DockerLogs,
    ElasticsearchLogs,
    ElasticsearchMetrics,
    FileLogs,
    GoogleCloudLogs,
    GoogleCloudMetrics,
    HttpProbe,
    InfluxDbMetrics,
    JournalLogs,
    KubernetesLogs,
    LokiLogs,
    NewRelicMetrics,
    NewRelicQuery,
    OpenSearchLogs,
    OpenSearchMetrics,
    OtlpFileMetrics,
    PrometheusMetrics,
    PrometheusQuery,
    Sampled,
    SplunkLogs,
    SqlMetrics,
    StatsdFileMetrics,
    SumoLogicLogs,
    TaskResult,
    VictoriaLogs,
)

__all__ = [
    "BUILT_IN",
    "ENTRY_POINT_GROUP",
    "CheckResults",
    "CloudWatchLogs",
    "CloudWatchMetrics",
    "DatadogLogs",
    "DatadogMetrics",
    "DockerLogs",
    "ElasticsearchLogs",
    "ElasticsearchMetrics",
    "FileLogs",
    "GoogleCloudLogs",
    "GoogleCloudMetrics",
    "HttpProbe",
    "InfluxDbMetrics",
    "JournalLogs",
    "KubernetesLogs",
    "LokiLogs",
    "NewRelicMetrics",
    "NewRelicQuery",
    "OpenSearchLogs",
    "OpenSearchMetrics",
    "OtlpFileMetrics",
    "PrometheusMetrics",
    "PrometheusQuery",
    "Sampled",
    "SplunkLogs",
    "SqlMetrics",
    "StatsdFileMetrics",
    "SumoLogicLogs",
    "TaskResult",
    "VictoriaLogs",
    "source_kinds",
]


def source_kinds() -> dict[str, type]:
    """Return every known kind of source by name: the built-in ones, and those of installed packages' entry points.

    :raises SourceRejected: an entry point cannot be loaded, or has the name of another source.
    """
    from importlib.metadata import entry_points

    kinds = {kind.__name__: kind for kind in BUILT_IN}
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        try:
            kind = entry.load()
        except Exception as error:
            raise SourceRejected(
                f"the source {entry.name!r} ({entry.value}) cannot be loaded: {type(error).__name__}: {error}.",
                next_step="Repair or remove the package that provides it.",
            ) from error
        if kinds.setdefault(entry.name, kind) is not kind:
            raise SourceRejected(
                f"two sources are called {entry.name!r}; one is {entry.value}.",
                next_step="Rename the entry point, or remove one of the packages.",
            )
    return kinds
