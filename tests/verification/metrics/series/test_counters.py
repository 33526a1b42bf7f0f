"""Counters as exporters really write them: without an ending, of 32 bits, of processes that die again and again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from airflow_cd.verification.metrics.series.counters import steps_of
from airflow_cd.verification.verdict import Verdict
from tests.verification.metrics.series.tables import START, counts, frame, judged, noisy, of, read


def _growing(seed: int, mean: float, start: float, *, end: float = np.inf, rows: int = 40) -> list[float]:
    total = start + np.cumsum(counts(seed, mean, rows))
    return list(np.mod(total, end) if np.isfinite(end) else total)


@pytest.mark.parametrize("bits", [31, 32])
def test_a_counter_that_has_no_more_bits_goes_on(bits: int) -> None:
    end = 2.0**bits
    ours = frame({"ifOutUcastPkts": _growing(1, 2e6, end - 9e6, end=end)})
    theirs = frame({"ifOutUcastPkts": _growing(2, 2e6, 5e8, end=end)}, instance="b")
    rates = read(ours, theirs).frames["canary"]["value"]
    assert min(rates) > 0.9 * 2e6 / 30
    assert of(judged(ours, theirs), "ifOutUcastPkts").verdict is Verdict.PASS
    more = frame({"ifOutUcastPkts": _growing(3, 8e6, end - 9e6, end=end)})
    assert of(judged(more, theirs), "ifOutUcastPkts").verdict is Verdict.FAIL


def test_a_new_process_is_no_counter_at_its_end() -> None:
    steps = steps_of(np.array([3.0e9, 3.1e9, 2.0e3, 9.0e7]))
    assert steps.resets.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("name", "now", "verdict"),
    [
        ("lookup_time_ms", 1.0, Verdict.PASS),
        ("lookup_time_ms", 2.5, Verdict.FAIL),
        ("netstat_ActiveOpens", 1.0, Verdict.PASS),
        ("netstat_ActiveOpens", 2.5, Verdict.FAIL),
        ("partition_current_offset", 0.4, Verdict.FAIL),
        ("mq_queue_get_count", 2.5, Verdict.FAIL),
    ],
)
def test_what_never_falls_on_either_side_is_a_counter(name: str, now: float, verdict: Verdict) -> None:
    # Neither of them has just begun: as of a database that was not deployed.
    ours, theirs = frame({name: _growing(1, 900 * now, 5e6)}), frame({name: _growing(2, 900, 7e6)}, instance="b")
    performance = judged(ours, theirs)
    assert "only grows" in of(performance, name).assumed
    assert of(performance, name).verdict is verdict


@pytest.mark.parametrize("name", ["open_connections", "heap_used", "database_size_bytes", "cache_entries_bytes"])
def test_what_a_process_holds_may_grow_for_long_and_is_no_counter(name: str) -> None:
    ours, theirs = frame({name: _growing(1, 900, 5e6)}), frame({name: _growing(2, 900, 7e6)}, instance="b")
    assert "only grows" not in of(judged(ours, theirs), name).assumed


def test_a_level_that_climbs_on_one_side_only_is_no_counter() -> None:
    climbing = [float(300 + 40 * place) for place in range(40)]
    ours, theirs = frame({"tasks_outstanding": climbing}), frame({"tasks_outstanding": counts(1, 300)}, instance="b")
    performance = judged(ours, theirs)
    assert "only grows" not in of(performance, "tasks_outstanding").assumed
    assert performance.verdict is Verdict.FAIL


def _dying(every: int, mean: float) -> list[float]:
    """A counter of a process that begins anew after so many rows."""
    steps = counts(4, mean)
    return [float(np.sum(steps[place - place % every : place + 1])) for place in range(len(steps))]


def _started(every: int) -> list[float]:
    return [1.7725e9 + 30.0 * (place - place % every) for place in range(40)]


@pytest.mark.parametrize("every", [3, 6])
@pytest.mark.parametrize("name", ["process_start_time_seconds", "worker_uptime_seconds", "mails_sent_total"])
def test_a_process_that_begins_anew_again_and_again_fails(name: str, every: int) -> None:
    ours = {
        "process_start_time_seconds": _started(every),
        "worker_uptime_seconds": [30.0 * (place % every) for place in range(40)],
        "mails_sent_total": _dying(every, 300),
    }[name]
    theirs = {
        "process_start_time_seconds": [1.7720e9] * 40,
        "worker_uptime_seconds": [9e4 + 30.0 * place for place in range(40)],
        "mails_sent_total": _growing(5, 300, 9e6),
    }[name]
    beside = {"parse_ms": noisy(6, 80)}, {"parse_ms": noisy(7, 80)}
    performance = judged(frame({name: ours, **beside[0]}), frame({name: theirs, **beside[1]}, instance="b"))
    assert performance.verdict is Verdict.FAIL
    assert name in performance.reasons[0].text
    assert "began anew" in performance.reasons[0].text


@pytest.mark.parametrize("both", [False, True])
def test_one_start_is_the_deployment_and_what_both_sides_do_is_no_news(both: bool) -> None:
    ours = _started(9 if both else 20)
    theirs = _started(9) if both else [1.7720e9] * 40
    performance = judged(
        frame({"process_start_time_seconds": ours, "parse_ms": noisy(6, 80)}),
        frame({"process_start_time_seconds": theirs, "parse_ms": noisy(7, 80)}, instance="b"),
    )
    assert performance.verdict is Verdict.PASS


def test_how_often_a_new_process_has_died_before_anybody_looked_counts() -> None:
    ours, theirs = frame({"pod_restarts_total": [5.0] * 40}), frame({"pod_restarts_total": [0.0] * 40}, instance="b")
    assert judged(ours, theirs).verdict is Verdict.FAIL


def test_codes_of_exits_are_none_of_http() -> None:
    ours, theirs = frame({"exit_status_code": [1.0] * 40}), frame({"exit_status_code": [0.0] * 40}, instance="b")
    assert "status codes" not in of(judged(ours, theirs), "exit_status_code").assumed


def test_a_share_of_uptime_is_no_age() -> None:
    ours, theirs = frame({"uptime_percent": noisy(1, 99.9, 1e-4)}), frame({"uptime_percent": [99.9] * 40}, instance="b")
    assert "began anew" not in of(judged(ours, theirs), "uptime_percent").reason.text


@pytest.mark.parametrize(("codes", "verdict"), [((200, 204, 301), Verdict.PASS), ((200, 200, 503), Verdict.FAIL)])
def test_status_codes_of_a_probe_are_no_amounts(codes: tuple[int, ...], verdict: Verdict) -> None:
    ours = frame({"probe_http_status_code": [float(codes[place % len(codes)]) for place in range(40)]})
    theirs = frame({"probe_http_status_code": [200.0] * 40}, instance="b")
    assert of(judged(ours, theirs), "probe_http_status_code").verdict is verdict


@pytest.mark.parametrize(
    ("spent", "number"),
    [
        ("search_query_time_seconds", "search_query_total"),
        ("commands_duration_seconds_total", "commands_processed_total"),
        ("pool_wait_duration_seconds_total", "pool_wait_count_total"),
    ],
)
def test_time_that_was_spent_is_a_mean_where_it_is_known_how_often(spent: str, number: str) -> None:
    def exported(seed: int, start: float, often: float, each: float) -> dict[str, list[float]]:
        times = np.array(counts(seed, often))
        return {number: list(start * 900 + np.cumsum(times)), spent: list(start + np.cumsum(times * each))}

    theirs = frame(exported(1, 4e3, 500, 0.02), instance="b")
    more = judged(frame(exported(2, 0, 1500, 0.02)), None, theirs.assign(instance="a"))
    assert of(more, spent).verdict is Verdict.PASS
    assert "how long each" in of(more, spent).assumed
    slower = judged(frame(exported(3, 0, 500, 0.05)), theirs)
    assert of(slower, spent).verdict is Verdict.FAIL
    assert of(slower, spent).canary["mean"] == pytest.approx(0.05, rel=0.02)


@pytest.mark.parametrize("name", ["group_rebalances_total", "probe_failures_total"])
def test_a_counter_that_stands_still_counts_nothing(name: str) -> None:
    # What it had counted before anybody looked is no number of each minute.
    ours, theirs = (
        frame({name: [stood] * 40, "parse_ms": noisy(seed, 80), "calls_total": _growing(seed, 900, 0)}, instance=on)
        for seed, stood, on in ((1, 8.0, "a"), (2, 2.0, "b"))
    )
    result = of(judged(ours, theirs), name)
    assert (result.verdict, result.canary["mean"]) == (Verdict.PASS, 0.0)


def _drained(every: int, step: float, rows: int = 40) -> list[float]:
    """What piles up and is taken away after so many rows."""
    return [step * (1 + place % every) + place % 3 for place in range(rows)]


@pytest.mark.parametrize("name", ["mailbox_lag", "unsent_invoices", "oldest_job_age_seconds", "staged_parcels"])
def test_what_is_drained_on_the_control_and_never_on_the_canary_is_a_level(name: str) -> None:
    ours, theirs = frame({name: _drained(40, 90)}), frame({name: _drained(7, 90)}, instance="b")
    result = of(judged(ours, theirs), name)
    assert "only grows" not in result.assumed
    assert result.verdict is Verdict.FAIL
    # The same the other way round is none of a process that dies.
    assert judged(theirs.assign(instance="a"), ours.assign(instance="b")).verdict is not Verdict.FAIL


def test_what_gets_older_on_both_sides_alike_is_no_regression() -> None:
    # Nothing ends it while anybody looks: a backup of every night.
    age = "nightly_dump_age_seconds"
    ours, theirs = frame({age: [3e4 + 30.0 * row for row in range(40)]}), [2e4 + 30.0 * row for row in range(80)]
    assert judged(ours, None, frame({age: theirs}, start=START - pd.Timedelta("1h"))).verdict is Verdict.PASS


def test_a_tooth_that_is_no_higher_is_no_regression_where_half_of_it_is_seen() -> None:
    name = "oldest_letter_age_seconds"
    before = frame({name: [30.0 * (1 + row % 60) for row in range(120)]}, start=START - pd.Timedelta("2h"))
    assert judged(frame({name: [30.0 * (22 + row) for row in range(38)]}), None, before).verdict is Verdict.PASS


def test_a_process_that_its_other_counters_saw_begin_anew_counts_from_nothing() -> None:
    name = "netstat_ActiveOpens"
    dying, going = [*_dying(13, 500)], _growing(2, 500, 7e6)
    theirs = frame({name: dying, "parcels_sent_total": _dying(13, 300)}, instance="b")
    ours = frame({name: going, "parcels_sent_total": _growing(3, 300, 9e6)})
    assert "only grows" in of(judged(ours, theirs), name).assumed


@pytest.mark.parametrize("zeros", [(4, 11, 19, 26, 33), range(20, 40)])
@pytest.mark.parametrize("name", ["page_check_success", "dns_lookup_success", "smoke_run_passed", "login_check_ok"])
def test_a_check_that_fails_now_and_then_is_no_counter(name: str, zeros: Sequence[int]) -> None:
    answers = [0.0 if place in zeros else 1.0 for place in range(40)]
    theirs = frame({name: [1.0] * 120}, start=START - pd.Timedelta("2h"))
    result = of(judged(frame({name: answers}), None, theirs), name)
    assert (result.verdict, result.kind) == (Verdict.FAIL, "share")
    assert of(judged(frame({name: [1.0] * 40}), None, theirs), name).verdict is Verdict.PASS


def _successes(every: int, start: float, rows: int = 60) -> list[float]:
    """The time of the last one, of which one comes after so many rows."""
    return [start + 60.0 * (place - place % every) for place in range(rows)]


@pytest.mark.parametrize("hours", [0, 5])
def test_a_last_success_that_stands_still_gets_old(hours: int) -> None:
    name, began = "mirror_last_success_timestamp_seconds", START.timestamp() - 3600.0 * hours
    theirs = frame({name: _successes(6, began)}, step=60.0, instance="b")
    fine, stuck = (frame({name: _successes(every, began)}, step=60.0) for every in (6, 60))
    assert of(judged(stuck, theirs), name).verdict is Verdict.FAIL
    assert of(judged(fine, theirs), name).verdict is Verdict.PASS


def test_what_succeeds_once_a_night_is_not_judged() -> None:
    for name in ("dump_last_success_timestamp_seconds", "dump_last_success"):
        ours, theirs = frame({name: [1.7720e9] * 40}), frame({name: [1.7715e9] * 40}, instance="b")
        assert of(judged(ours, theirs), name).kind == "info"


def test_seconds_since_the_last_success_are_an_age() -> None:
    name = "mirror_seconds_since_last_success"
    theirs = frame({name: _drained(8, 60)}, instance="b")
    assert of(judged(frame({name: _drained(60, 60)}), theirs), name).verdict is Verdict.FAIL
    assert of(judged(frame({name: _drained(8, 60)}), theirs.assign(value=theirs["value"] + 1)), name).verdict is (
        Verdict.PASS
    )
