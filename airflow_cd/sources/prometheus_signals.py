"""What common exporters and frameworks call the signals of a service in Prometheus."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from airflow_cd.verification.samples import Metric


@dataclass(frozen=True)
class Traffic:
    """Requests, as one exporter counts them.

    :param requests: name of the counter of requests.
    :param errors: matchers of those that failed, each for another name of the label; none where it does not tell.
    :param durations: name of the histogram or summary, without ``_sum``, ``_count`` and ``_bucket``; a native histogram
        has this name itself. ``""`` for none.
    :param milliseconds: of one unit of its durations.
    :param where: matchers of the requests that count.
    """

    requests: str
    errors: Sequence[str] = ()
    durations: str = ""
    milliseconds: float = 1000.0
    where: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Every metric that may be read."""
        parts = [f"{self.durations}{end}" for end in ("_sum", "_bucket", "")] if self.durations else []
        return (self.requests, *parts)

    def counts_natively(self, there: Collection[str]) -> bool:
        """Whether a native histogram alone says how many requests there were.

        :param there: names of the metrics that there are.
        """
        return self.requests not in there and bool(self.durations) and self.durations in there

    def has(self, there: Collection[str], part: str) -> bool:
        """Whether durations have a part, as a metric of its own or inside of a native histogram.

        :param there: names of the metrics that there are.
        :param part: ``_sum`` or ``_bucket``.
        """
        return bool(self.durations) and (f"{self.durations}{part}" in there or self.measures_natively(there))

    def measures_natively(self, there: Collection[str]) -> bool:
        """Whether durations are a native histogram alone.

        :param there: names of the metrics that there are.
        """
        classic = {f"{self.durations}{part}" for part in ("_sum", "_count", "_bucket")}
        return self.durations in there and not classic & set(there)


@dataclass(frozen=True)
class Level:
    """Something else that is measured.

    :param metric: what it becomes.
    :param name: of the metric in Prometheus.
    :param how: *mean* over a bucket, *rate* of a counter a second, *events* that a counter counts, a *share*, the
        increase of one counter in that of another, or a *moving mean* that a server keeps of its last durations.
    :param of: name of that other counter; of a moving mean, the one of its requests.
    :param window: of how many requests a moving mean is.
    :param where: matchers.
    :param factor: by which the values are multiplied.
    """

    metric: Metric
    name: str
    how: Literal["mean", "rate", "events", "share", "moving mean"] = "mean"
    of: str = ""
    window: int = 0
    where: str = ""
    factor: float = 1.0

    @property
    def names(self) -> tuple[str, ...]:
        """Every metric that is read."""
        return (self.name, self.of) if self.of else (self.name,)


@dataclass(frozen=True)
class Signals:
    """The signals of one exporter or framework.

    :param label: that holds an instance's name.
    :param traffic: the same requests under the names that versions have given them; the first one there is counts.
    :param levels: whatever else is measured; those that are not there are left out.
    """

    label: str = "instance"
    traffic: Sequence[Traffic] = ()
    levels: Sequence[Level] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every metric that may be read."""
        traffic = [name for one in self.traffic for name in one.names]
        return tuple(dict.fromkeys([*traffic, *(name for one in self.levels for name in one.names)]))


def _failed(*labels: str) -> tuple[str, ...]:
    """By a status (``503``) or its class (``5xx``, ``5``), under whichever name there is."""
    return tuple(f'{label}=~"5.*"' for label in labels)


_STATUS = _failed("status", "code", "status_code")
_CPU = Metric("cpu", "gauge", "higher_is_worse", "cores")
_MEMORY = Metric("memory", "gauge", "higher_is_worse", "bytes")
_DURATION = Metric("response_time", "latency", "higher_is_worse", "ms")

SIGNALS: dict[str, Signals] = {
    "opentelemetry": Signals(
        traffic=[
            Traffic(
                "http_server_request_duration_seconds_count",
                _failed("http_response_status_code"),
                "http_server_request_duration_seconds",
            ),
            Traffic(
                "http_server_request_duration_count",
                _failed("http_response_status_code"),
                "http_server_request_duration",
            ),
            Traffic(
                "http_server_duration_milliseconds_count",
                _failed("http_status_code"),
                "http_server_duration_milliseconds",
                1.0,
            ),
            Traffic("http_server_duration_count", _failed("http_status_code"), "http_server_duration", 1.0),
        ],
    ),
    "micrometer": Signals(
        traffic=[
            Traffic("http_server_requests_seconds_count", _failed("status"), "http_server_requests_seconds"),
        ],
        levels=[
            Level(Metric("heap", "gauge", "higher_is_worse", "bytes"), "jvm_memory_used_bytes", where='area="heap"'),
            Level(Metric("gc_pause", "gauge", "higher_is_worse", "s/s"), "jvm_gc_pause_seconds_sum", "rate"),
        ],
    ),
    "http": Signals(
        traffic=[
            Traffic(
                "http_request_duration_seconds_count",
                _failed("status", "code", "status_code"),
                "http_request_duration_seconds",
            ),
            Traffic("http_requests_total", _failed("status", "code", "status_code")),
        ],
    ),
    "nginx": Signals(
        traffic=[
            Traffic("nginx_vts_server_requests_total", _failed("code"), where='host!="*",code=~"[1-5]xx"'),
            Traffic("nginx_http_requests_total"),
        ],
        levels=[
            Level(Metric("connections", "gauge", "either", "connections"), "nginx_connections_active"),
        ],
    ),
    "ingress-nginx": Signals(
        label="ingress",
        traffic=[
            Traffic(
                "nginx_ingress_controller_request_duration_seconds_count",
                _failed("status"),
                "nginx_ingress_controller_request_duration_seconds",
            ),
            Traffic("nginx_ingress_controller_requests", _failed("status")),
        ],
    ),
    "haproxy": Signals(
        label="server",
        traffic=[Traffic("haproxy_server_http_responses_total", _failed("code"))],
        levels=[
            Level(
                _DURATION,
                "haproxy_server_total_time_average_seconds",
                "moving mean",
                "haproxy_server_http_responses_total",
                window=512,
                factor=1000.0,
            ),
            Level(
                Metric("connection_errors", "count", "higher_is_worse"),
                "haproxy_server_connection_errors_total",
                "events",
            ),
            Level(
                Metric("response_errors", "count", "higher_is_worse"), "haproxy_server_response_errors_total", "events"
            ),
            Level(Metric("queue", "gauge", "higher_is_worse", "requests"), "haproxy_server_current_queue"),
        ],
    ),
    "envoy": Signals(
        traffic=[
            Traffic(
                "envoy_http_downstream_rq_xx",
                _failed("envoy_response_code_class"),
                "envoy_http_downstream_rq_time",
                1.0,
                where='envoy_http_conn_manager_prefix!="admin"',
            ),
        ],
    ),
    "istio": Signals(
        label="pod",
        traffic=[
            Traffic(
                "istio_requests_total",
                _failed("response_code"),
                "istio_request_duration_milliseconds",
                1.0,
                where='reporter="destination"',
            ),
        ],
    ),
    "cadvisor": Signals(
        label="pod",
        levels=[
            Level(_CPU, "container_cpu_usage_seconds_total", "rate", where='container!=""'),
            Level(_MEMORY, "container_memory_working_set_bytes", where='container!=""'),
            Level(
                Metric("throttled", "share", "higher_is_worse"),
                "container_cpu_cfs_throttled_periods_total",
                "share",
                "container_cpu_cfs_periods_total",
                where='container!=""',
            ),
            Level(Metric("oom_kills", "count", "higher_is_worse"), "container_oom_events_total", "events"),
        ],
    ),
    "process": Signals(
        levels=[
            Level(_CPU, "process_cpu_seconds_total", "rate"),
            Level(_MEMORY, "process_resident_memory_bytes"),
        ],
    ),
}
"""By name. What is in none of them is a :class:`~airflow_cd.sources.PrometheusQuery`."""
