"""Canaries that have less to do than a control, and releases that are deployed at a busier time than the one before."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from airflow_cd.verification.verdict import MetricResult, Verdict
from tests.verification.metrics.series.tables import START, counts, frame, judged, noisy, of

FAIL, PASS, INCONCLUSIVE = Verdict.FAIL, Verdict.PASS, Verdict.INCONCLUSIVE
EARLIER = START - pd.Timedelta("1D")


def rounded(seed: int, level: float, rows: int = 40) -> list[float]:
    return [float(round(value)) for value in noisy(seed, level, 0.06, rows)]


def test_bytes_of_a_twentieth_of_the_requests_are_a_twentieth() -> None:
    sides = [
        frame({"requests": counts(seed, 2000.0 * part), "sent_bytes": noisy(seed + 1, 9e6 * part)}, instance=name)
        for seed, part, name in ((1, 0.05, "a"), (5, 1.0, "b"))
    ]
    assert of(judged(*sides), "sent_bytes").verdict is PASS


@pytest.mark.parametrize(
    ("first", "last", "verdict"),
    [
        (0.75, 1.15, FAIL),  # beyond all that a control with ten times as much to do has
        (0.40, 0.75, PASS),  # a cache that fills slowly
        (0.75, 0.75, PASS),
    ],
)
def test_a_climb_beside_a_control_with_more_to_do(first: float, last: float, verdict: Verdict) -> None:
    held = np.linspace(first, last, 40) * np.array(noisy(2, 800.0, 0.01))
    ours = frame({"requests": counts(1, 120.0), "heap_mb": list(held)})
    theirs = frame({"requests": counts(3, 1200.0), "heap_mb": noisy(4, 800.0, 0.01)}, instance="b")
    assert of(judged(ours, theirs), "heap_mb").verdict is verdict


@pytest.mark.parametrize(
    ("name", "usual", "times", "verdict"),
    [
        ("cpu_cores", 0.6, 1.7, PASS),
        ("cpu_cores", 0.6, 4.0, FAIL),  # far more than the requests are
        ("cpu_percent", 30.0, 1.7, PASS),
        ("open_connections", 40.0, 1.8, PASS),
        ("resident_memory_mb", 600.0, 1.7, FAIL),  # kept, and not used by requests
        ("oom_kills", 0.0, 0.0, PASS),
    ],
)
def test_more_requests_than_before_use_more(name: str, usual: float, times: float, verdict: Verdict) -> None:
    def side(seed: int, load: float, times: float) -> dict[str, list[float]]:
        values = rounded(seed + 1, usual * times) if usual == 40.0 else noisy(seed + 1, usual * times, 0.04)
        return {"requests": counts(seed, 600.0 * load), name: values, "p95_ms": noisy(seed + 2, 80.0)}

    result = of(judged(frame(side(1, 1.8, times)), None, frame(side(11, 1.0, 1.0), start=EARLIER)), name)
    assert result.verdict is verdict


def test_the_load_before_is_named() -> None:
    ours = frame({"requests": counts(1, 1200.0), "cpu_cores": noisy(2, 1.0)})
    before = frame({"requests": counts(3, 600.0), "cpu_cores": noisy(4, 0.5)}, start=EARLIER)
    assert "of the load before" in of(judged(ours, None, before), "cpu_cores").reason.text


def test_as_much_for_fewer_requests_is_judged_as_it_is() -> None:
    ours = frame({"requests": counts(1, 300.0), "cpu_cores": noisy(2, 1.0)})
    before = frame({"requests": counts(3, 600.0), "cpu_cores": noisy(4, 0.5)}, start=EARLIER)
    assert of(judged(ours, None, before), "cpu_cores").verdict is FAIL


@pytest.mark.parametrize(("with_it", "verdict"), [(True, PASS), (False, FAIL)])
def test_what_climbs_with_the_requests_is_no_leak(with_it: bool, verdict: Verdict) -> None:
    climbs = np.linspace(1.0, 1.9, 40)
    requests = np.round(np.array(noisy(1, 700.0, 0.03)) * (climbs if with_it else 1.0))
    ours = frame({"requests": list(requests), "cpu_cores": list(np.array(noisy(2, 0.5, 0.03)) * climbs)})
    before = frame({"requests": counts(3, 700.0, 120), "cpu_cores": noisy(4, 0.5, 0.03, 120)}, start=EARLIER)
    assert of(judged(ours, None, before), "cpu_cores").verdict is verdict


def test_a_floor_that_rises_with_the_control_s_is_no_leak() -> None:
    load = np.linspace(1.0, 1.6, 24)
    ours = frame({"cpu_cores": list(0.22 * load * np.exp(0.02 * np.random.default_rng(1).standard_normal(24)))})
    theirs = frame({"cpu_cores": list(0.20 * load * np.exp(0.02 * np.random.default_rng(2).standard_normal(24)))})
    assert of(judged(ours, theirs.assign(instance="b")), "cpu_cores").verdict is not FAIL


def beside(name: str, ours: list[float], theirs: list[float], share: float = 0.1) -> MetricResult:
    """The result of a metric beside a control that gets so many more requests."""
    canary = frame({"requests": counts(1, 2000.0 * share), name: ours})
    control = frame({"requests": counts(2, 2000.0), name: theirs}, instance="b")
    return of(judged(canary, control), name)


@pytest.mark.parametrize("name", ["average_rating", "avg_order_value", "fps_avg", "scrolled_lines_per_page"])
def test_an_average_is_no_smaller_for_fewer_requests(name: str) -> None:
    result = beside(name, noisy(3, 2.7, 0.02), noisy(4, 4.5, 0.02))
    assert result.verdict is FAIL
    assert result.canary["mean"] == pytest.approx(2.7, rel=0.02)


@pytest.mark.parametrize(
    ("name", "ours", "verdict"),
    [
        ("connected_clients_avg", 40.0, PASS),  # held while it serves
        ("rooms", 10.0, PASS),  # as many times less as the requests are
        ("rooms", 60.0, INCONCLUSIVE),
        ("write_batch_avg", 60.0, INCONCLUSIVE),  # the fuller, the more there is to write
    ],
)
def test_what_a_smaller_load_explains(name: str, ours: float, verdict: Verdict) -> None:
    assert beside(name, noisy(3, ours, 0.03), noisy(4, 100.0, 0.03)).verdict is verdict


def test_the_figures_are_those_that_were_measured_at_a_smaller_load() -> None:
    result = beside("connected_clients", noisy(3, 42.0, 0.02), noisy(4, 100.0, 0.02), share=0.25)
    assert result.canary["mean"] == pytest.approx(42.0, rel=0.02)
    assert "at 25 % of a control's load" in result.reason.text


@pytest.mark.parametrize("name", ["visits", "ad_impressions"])
def test_what_states_the_load_is_not_too_little_of_it(name: str) -> None:
    sides = [
        frame({name: counts(seed, 9000.0 * part), "signups": counts(seed + 1, 300.0 * part)}, instance=instance)
        for seed, part, instance in ((1, 0.05, "a"), (5, 1.0, "b"))
    ]
    assert {result.verdict for result in judged(*sides).metrics} == {PASS}


@pytest.mark.parametrize(
    ("work", "failures", "verdict"),
    [
        (0.1, 0.1, PASS),
        (0.1, 1.0, FAIL),  # a tenth of the work, and as many failures
        (0.7, 0.7, INCONCLUSIVE),  # no share that a canary is given
    ],
)
def test_all_that_is_counted_in_step_is_a_share_of_the_traffic(work: float, failures: float, verdict: Verdict) -> None:
    def side(seed: int, work: float, failures: float) -> dict[str, list[float]]:
        return {
            "thumbnails_generated": counts(seed, 4000.0 * work),
            "failed_thumbnails": counts(seed + 1, 40.0 * failures),
            "processing_ms": noisy(seed + 2, 90.0),
        }

    performance = judged(frame(side(1, work, failures)), frame(side(11, 1.0, 1.0), instance="b"))
    assert performance.verdict is verdict


def test_work_that_is_lost_on_one_of_several_instances_is_asked_about() -> None:
    def side(seed: int, part: float) -> dict[str, list[float]]:
        return {
            "thumbnails_generated": counts(seed, 4000.0 * part),
            "failed_thumbnails": counts(seed + 1, 40.0 * part),
        }

    control = pd.concat([frame(side(seed, 1.0), instance=name) for seed, name in ((11, "b"), (21, "c"), (31, "d"))])
    assert of(judged(frame(side(1, 0.2)), control), "thumbnails_generated").verdict is INCONCLUSIVE


def test_a_few_connections_scatter_more_than_many() -> None:
    sides = [
        frame(
            {"requests": counts(seed, 3000.0 * part), "connected_clients": counts(seed + 1, 80.0 * part)}, instance=at
        )
        for seed, part, at in ((6, 0.1, "a"), (56, 1.0, "b"))
    ]
    assert of(judged(*sides), "connected_clients").verdict is PASS
