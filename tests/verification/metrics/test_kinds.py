from __future__ import annotations

import pytest

from airflow_cd.verification.metrics.kinds import guessed, is_share


@pytest.mark.parametrize(
    ("name", "kind", "direction"),
    [
        ("response_time", "latency", "higher_is_worse"),
        ("response_time.p95", "latency", "higher_is_worse"),
        ("checkoutLatency", "latency", "higher_is_worse"),
        ("http.server.duration", "latency", "higher_is_worse"),
        ("error_rate", "errors", "higher_is_worse"),
        ("errors", "errors", "higher_is_worse"),
        ("failed requests", "errors", "higher_is_worse"),
        ("throughput", "throughput", "lower_is_worse"),
        ("requests_total", "throughput", "lower_is_worse"),
        ("rpm", "throughput", "lower_is_worse"),
        ("apdex", "apdex", "lower_is_worse"),
        ("cpu_time", "gauge", "higher_is_worse"),
        ("heap_mb", "gauge", "higher_is_worse"),
        ("cache_hit_ratio", "share", "lower_is_worse"),
        ("uptime", "info", "either"),
        ("basket_size", "gauge", "either"),
        ("terrors", "gauge", "either"),
    ],
)
def test_what_a_metric_is_by_its_name(name: str, kind: str, direction: str) -> None:
    metric = guessed(name)
    assert (metric.kind, metric.direction) == (kind, direction)


@pytest.mark.parametrize(
    ("name", "unit"), [("latency_ms", "ms"), ("duration_seconds", "s"), ("heap_mb", "MB"), ("latency", "")]
)
def test_its_unit(name: str, unit: str) -> None:
    assert guessed(name).unit == unit


def test_a_share_is_told_from_a_number() -> None:
    assert is_share("error_rate")
    assert is_share("errors_pct")
    assert not is_share("errors")
    assert not is_share("separate_errors")
