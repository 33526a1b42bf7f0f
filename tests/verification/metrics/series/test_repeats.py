"""Rows that are there more than once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from airflow_cd.verification.files.verification import FilesToVerify, verify_files
from airflow_cd.verification.metrics.series.repeats import once
from airflow_cd.verification.verdict import Verdict
from tests.verification.metrics.series.tables import counts, frame, judged, noisy, of, read


def _side(seed: int, instance: str, failing: float) -> pd.DataFrame:
    requests = counts(seed, 2_000)
    failed = [float(n) for n in np.random.default_rng(seed + 50).poisson(failing * np.array(requests))]
    return frame({"orders_requests": requests, "orders_errors": failed}, instance=instance)


def test_equal_rows_count_once_on_any_side() -> None:
    worse, usual = _side(1, "new", 0.008), _side(2, "old", 0.002)
    alone = judged(worse, usual)
    assert alone.verdict is Verdict.FAIL
    for times in (2, 4):
        again = judged(pd.concat([worse] * times), usual)
        assert again.reasons == alone.reasons
    good = _side(3, "new", 0.002)
    assert judged(good, pd.concat([usual] * 3)).verdict is Verdict.PASS


def test_exports_that_overlap_are_one() -> None:
    worse, usual = _side(1, "new", 0.008), _side(2, "old", 0.002)
    middle = worse["time"].sort_values().iloc[len(worse) // 2]
    early, late = worse[worse["time"] <= middle], worse[worse["time"] >= middle - pd.Timedelta("5min")]
    assert judged(pd.concat([early, late]), usual).reasons == judged(worse, usual).reasons


def test_rows_that_differ_are_said_and_never_pass() -> None:
    good, usual = _side(3, "new", 0.002), _side(2, "old", 0.002)
    assert judged(good, usual).verdict is Verdict.PASS
    later = good[good["time"] >= good["time"].max() - pd.Timedelta("2min")]
    other = later.assign(value=later["value"] + 3.0)
    for canary, control in (
        (pd.concat([good, other]), usual),
        (good, pd.concat([usual, other.assign(instance="old")])),
    ):
        performance = judged(canary, control)
        assert performance.verdict is Verdict.INCONCLUSIVE
        assert of(performance, "orders_errors").reason.code == "rows_differ"


def test_parts_without_a_label_share_the_requests_of_their_time() -> None:
    parts = [_side(seed, "new", 0.002) for seed in (4, 5, 6)]
    series = read(pd.concat(parts), _side(2, "old", 0.002))
    errors = series.frames["canary"].query("metric == 'orders_errors'")
    requests = series.frames["canary"].query("metric == 'orders_requests'")
    assert np.isclose(errors["count"].sum(), requests["value"].sum())


def test_measurements_of_one_moment_are_no_repeats() -> None:
    rows = frame({"took_ms": noisy(1, 80.0)})
    both = pd.concat([rows, rows.assign(value=rows["value"].to_numpy()[::-1] * 1.01)])
    kept = once(both)
    assert (len(kept.frame), kept.repeated) == (len(both), 0)


def test_files_that_name_no_instance(tmp_path: Path) -> None:
    def written(name: str, rows: pd.DataFrame) -> str:
        wide = rows.pivot_table(index="time", columns="metric", values="value")
        wide.to_csv(tmp_path / name)
        return str(tmp_path / name)

    worse, usual = _side(1, "new", 0.008), written("old.csv", _side(2, "old", 0.002))
    times = worse["time"].drop_duplicates().sort_values()
    early = written("early.csv", worse[worse["time"] <= times.iloc[30]])
    late = written("late.csv", worse[worse["time"] >= times.iloc[20]])
    whole = written("whole.csv", worse)

    def judgement(*canary: str) -> tuple[Verdict, str]:
        judged = verify_files(FilesToVerify(metrics={"baseline": [usual], "canary": list(canary)})).judgement
        return judged.verdict, judged.reasons[0].text.replace("early", "whole")

    assert judgement(whole)[0] is Verdict.FAIL
    assert judgement(early, late) == judgement(whole) == judgement(whole, whole)
