"""Numbers as people's spreadsheets write them, and tables that are not what they seem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from airflow_cd.errors import VerificationError
from airflow_cd.verification.files.metrics import read_metrics
from airflow_cd.verification.files.opening import InputFile
from airflow_cd.verification.files.verification import FilesToVerify, verify_files
from airflow_cd.verification.verdict import Judgement, Verdict

_Rows = Sequence[tuple[int, int, float]]


def _traffic(seed: int, failing: float = 0.002, rows: int = 40) -> _Rows:
    rng = np.random.default_rng(seed)
    requests = rng.poisson(3_400, rows)
    return [(int(n), int(rng.poisson(failing * n)), float(90 + 8 * rng.standard_normal())) for n in requests]


def _written(path: Path, rows: _Rows, of: Callable[[int, int, float], Sequence[str]], sep: str = ",") -> str:
    header = sep.join(["time", "instance", "requests", "request_errors", "render_ms"])
    lines = [sep.join([f"2026-05-04 08:{minute:02}:00", path.stem, *of(*row)]) for minute, row in enumerate(rows)]
    path.write_text("\n".join([header, *lines]))
    return str(path)


def _plain(requests: int, errors: int, took: float) -> Sequence[str]:
    return [str(requests), str(errors), f"{took:.2f}"]


def _pointed(requests: int, errors: int, took: float) -> Sequence[str]:
    return [f"{requests:,}".replace(",", "."), str(errors), f"{took:.2f}".replace(".", ",")]


def _quoted(requests: int, errors: int, took: float) -> Sequence[str]:
    return [str(requests), str(errors), f'"{took:.2f}"'.replace(".", ",")]


def _judged(folder: Path, canary: str) -> Judgement:
    before = _written(folder / "before.csv", _traffic(1), _plain)
    return verify_files(FilesToVerify(metrics={"baseline": [before], "canary": [canary]})).judgement


@pytest.mark.parametrize(("of", "sep"), [(_plain, ","), (_pointed, ";"), (_quoted, ",")])
@pytest.mark.parametrize(("failing", "verdict"), [(0.002, Verdict.PASS), (0.02, Verdict.FAIL)])
def test_the_way_numbers_are_written_changes_nothing(
    tmp_path: Path, of: Callable[[int, int, float], Sequence[str]], sep: str, failing: float, verdict: Verdict
) -> None:
    canary = _written(tmp_path / "now.csv", _traffic(2, failing), of, sep)
    judgement = _judged(tmp_path, canary)
    assert judgement.verdict is verdict
    assert judgement.performance is not None
    served = sum(row[0] for row in _traffic(2, failing))
    assert judgement.performance.metrics[1].canary["requests"] == served


def test_more_failures_than_requests_are_misread(tmp_path: Path) -> None:
    def without_decimals(requests: int, errors: int, took: float) -> Sequence[str]:
        return [f"{requests:,}".replace(",", "."), str(errors), ""]

    judgement = _judged(tmp_path, _written(tmp_path / "now.csv", _traffic(2), without_decimals, ";"))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "misread" in {reason.code for reason in judgement.reasons}


def test_every_request_that_fails_twice_is_no_misreading(tmp_path: Path) -> None:
    canary = _written(tmp_path / "now.csv", [(n, 2 * n, took) for n, _, took in _traffic(2)], _plain)
    assert _judged(tmp_path, canary).verdict is Verdict.FAIL


def test_rows_that_are_longer_than_the_header_are_named(tmp_path: Path) -> None:
    def unquoted(requests: int, errors: int, took: float) -> Sequence[str]:
        return [str(requests), str(errors), *f"{took:.2f}".split(".")]

    path = _written(tmp_path / "now.csv", _traffic(2), unquoted)
    with pytest.raises(VerificationError, match="row 1 has 6 values, the header 5"):
        read_metrics(InputFile(path, "canary", "metrics", "now"))


def test_one_row_never_passes(tmp_path: Path) -> None:
    one = _written(tmp_path / "now.csv", _traffic(2)[:1], _plain)
    judgement = _judged(tmp_path, one)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "one row" in judgement.reasons[0].text


def test_a_metric_that_is_to_decide_and_misspelt_is_refused(tmp_path: Path) -> None:
    before = _written(tmp_path / "before.csv", _traffic(1), _plain)
    files = {"baseline": [before], "canary": [_written(tmp_path / "now.csv", _traffic(2), _plain)]}
    with pytest.raises(VerificationError, match="rendr_ms"):
        verify_files(FilesToVerify(metrics=files, decisive=["rendr_ms"]))
