"""Less of what a service uses, sends or asks of others, for as many requests."""

from __future__ import annotations

import pytest

from airflow_cd.verification.verdict import Verdict
from tests.verification.metrics.series.tables import counts, frame, judged, noisy, of

FAIL, PASS, INCONCLUSIVE = Verdict.FAIL, Verdict.PASS, Verdict.INCONCLUSIVE


def _verdict(name: str, usual: float, part: float, *, served: float = 1.0, counted: bool = True) -> Verdict:
    """Of a metric of which the canary has so large a part, each side at its own traffic."""

    def side(seed: int, share: float, part: float, instance: str) -> dict[str, list[float]]:
        shown = noisy(seed, usual * part * share, 0.03)
        requests = {"http_requests": counts(seed + 1, 4000.0 * share)} if counted else {}
        values = {**requests, name: [float(round(value)) for value in shown], "p95_ms": noisy(seed + 2, 80.0)}
        return frame(values, instance=instance)

    return of(judged(side(1, served, part, "a"), side(11, 1.0, 1.0, "b")), name).verdict


@pytest.mark.parametrize(
    ("name", "usual", "part", "verdict"),
    [
        ("pod_network_transmit_bytes", 9e8, 0.35, PASS),  # compressed
        ("pod_network_transmit_bytes", 9e8, 0.15, INCONCLUSIVE),
        ("pod_network_transmit_bytes", 9e8, 0.02, FAIL),  # nothing in the answers
        ("pod_network_transmit_bytes", 9e8, 2.0, FAIL),
        ("db_queries", 9000.0, 0.4, PASS),  # cached
        ("db_queries", 9000.0, 0.05, INCONCLUSIVE),
        ("proxy_connections_accepted", 3000.0, 0.05, PASS),  # kept
        ("host_context_switches", 50_000.0, 0.3, PASS),
        ("orders_placed", 900.0, 0.6, FAIL),
        ("customers_logged_in", 900.0, 0.6, FAIL),
    ],
)
def test_less_of_what_is_used_sent_or_asked_of_others(name: str, usual: float, part: float, verdict: Verdict) -> None:
    assert _verdict(name, usual, part) is verdict


def test_less_is_no_saving_where_nobody_counts_requests() -> None:
    assert _verdict("pod_network_transmit_bytes", 9e8, 0.35, counted=False) is FAIL


def test_less_beside_less_traffic_is_related_to_it() -> None:
    assert _verdict("db_queries", 9000.0, 0.4, served=0.5) is PASS
    assert _verdict("orders_placed", 900.0, 0.6, served=0.5) is FAIL
