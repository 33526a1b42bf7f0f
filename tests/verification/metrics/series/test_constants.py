"""Members that are missing, switches that flip, shares of which more is missing: small steps that are grave ones."""

from __future__ import annotations

import pytest

from airflow_cd.verification.verdict import Verdict
from tests.verification.metrics.series.tables import frame, judged, noisy, of

FAIL, PASS, INCONCLUSIVE = Verdict.FAIL, Verdict.PASS, Verdict.INCONCLUSIVE


def _verdict(name: str, ours: list[float], theirs: list[float]) -> Verdict:
    return of(judged(frame({name: ours}), frame({name: theirs}, instance="b")), name).verdict


@pytest.mark.parametrize(
    "name", ["mq_brokers", "raft_peers", "store_number_of_nodes", "grid_cluster_members", "brokers_online", "followers"]
)
def test_one_member_fewer_than_there_always_were_never_passes(name: str) -> None:
    assert _verdict(name, [2.0] * 40, [3.0] * 40) is not PASS
    assert _verdict(name, [3.0] * 40, [3.0] * 40) is PASS
    # It came back.
    assert _verdict(name, [2.0] * 5 + [3.0] * 35, [3.0] * 40) is PASS


@pytest.mark.parametrize("name", ["assigned_partitions", "deployment_pods", "worker_sockets", "build_hosts"])
def test_how_many_a_canary_has_of_what_comes_and_goes_is_no_missing_member(name: str) -> None:
    ours, theirs = frame({name: [2.0] * 40}), frame({name: [3.0] * 40}, instance="b")
    assert "all the time on the other side" not in of(judged(ours, theirs), name).reason.text


@pytest.mark.parametrize(
    ("name", "was", "verdict"),
    [
        ("vault_unsealed", 1.0, INCONCLUSIVE),
        ("license_valid", 1.0, INCONCLUSIVE),
        ("replication_io_running", 1.0, INCONCLUSIVE),
        ("server_has_leader", 1.0, INCONCLUSIVE),
        ("store_health_status", 0.0, INCONCLUSIVE),
        ("config_last_reload_successful", 1.0, FAIL),
        # What is chosen, set, numbered or begins to work is no failure.
        ("node_is_primary", 1.0, PASS),
        ("feature_basket_enabled", 0.0, PASS),
        ("connected_scanners", 1.0, PASS),
        ("report_running", 0.0, PASS),
    ],
)
def test_what_was_always_so_and_is_no_longer(name: str, was: float, verdict: Verdict) -> None:
    assert _verdict(name, [1.0 - was] * 40, [was] * 40) is verdict
    assert _verdict(name, [was] * 40, [was] * 40) is PASS


@pytest.mark.parametrize(("rows", "verdict"), [(1, PASS), (8, INCONCLUSIVE)])
def test_a_single_no_is_none_yet(rows: int, verdict: Verdict) -> None:
    answers = [0.0 if 5 <= place < 5 + rows else 1.0 for place in range(40)]
    assert _verdict("license_valid", answers, [1.0] * 40) is verdict


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [(0.82, 0.94, INCONCLUSIVE), (0.93, 0.94, PASS), (0.975, 0.985, PASS), (0.42, 0.46, PASS), (0.96, 0.88, PASS)],
)
def test_twice_as_much_missing_to_a_share_is_asked_about(ours: float, theirs: float, verdict: Verdict) -> None:
    assert _verdict("address_match_ratio", noisy(1, ours, 0.01), noisy(2, theirs, 0.01)) is verdict
