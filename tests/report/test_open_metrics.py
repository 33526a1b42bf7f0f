"""What a person is told of metrics that are open: which, why, and what to give."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from airflow_cd.commands.verify.summary import summary
from airflow_cd.verification.files.verification import FilesToVerify, Verified, verify_files
from airflow_cd.verification.verdict import Verdict


def _written(path: Path, seed: int, *, day: int, part: float = 1.0, took: float = 70.0) -> str:
    rng = np.random.default_rng(seed)
    rows = ["time,instance,requests,render_ms"]
    for minute in range(50):
        values = f"{rng.poisson(2_000 * part)},{took * (1 + 0.05 * rng.standard_normal()):.3g}"
        rows.append(f"2026-06-{day:02} 07:{minute:02}:00,{path.stem},{values}")
    path.write_text("\n".join(rows))
    return str(path)


def _verified(folder: Path, *, part: float = 1.0, took: float = 70.0, control: bool = False) -> Verified:
    sides = {
        "baseline": [_written(folder / "before.csv", 1, day=1)],
        "canary": [_written(folder / "now.csv", 2, day=2, part=part, took=took)],
    }
    if control:
        sides["control"] = [_written(folder / "beside.csv", 3, day=2)]
    return verify_files(FilesToVerify(metrics=sides))


def test_less_traffic_than_before_asks_for_a_control(tmp_path: Path) -> None:
    alone = _verified(tmp_path, part=0.1)
    assert alone.judgement.verdict is Verdict.INCONCLUSIVE
    assert "--metrics-control" in summary(alone, io.StringIO())
    beside = _verified(tmp_path, part=0.1, control=True)
    assert beside.judgement.verdict is Verdict.PASS
    assert "--metrics-control" not in summary(beside, io.StringIO())


def test_each_metric_that_is_open_is_named_once_with_its_reason(tmp_path: Path) -> None:
    text = summary(_verified(tmp_path, took=0.07), io.StringIO())
    assert text.count("Has the unit changed?") == 1
    failed = verify_files(
        FilesToVerify(
            metrics={
                "baseline": [_written(tmp_path / "before.csv", 1, day=1)],
                "canary": [_written(tmp_path / "now.csv", 2, day=2, part=1 / 60, took=700.0)],
            }
        )
    )
    assert failed.judgement.verdict is Verdict.FAIL
    lines = [line.split() for line in summary(failed, io.StringIO()).splitlines()]
    assert ["INCONCLUSIVE", "requests:"] in [line[:2] for line in lines]
