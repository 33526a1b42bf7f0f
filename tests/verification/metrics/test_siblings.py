"""One of several canary instances that is worse than all others."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest

from airflow_cd.verification.verdict import Verdict
from tests.verification.metrics.series.tables import START, frame, judged, noisy, of

_EARLIER = START - pd.Timedelta("3h")


def _instances(
    seed: int,
    names: str,
    *,
    slower: Mapping[str, float] = MappingProxyType({}),
    failing: Mapping[str, float] = MappingProxyType({}),
    start: pd.Timestamp = START,
) -> pd.DataFrame:
    sides = []
    for place, name in enumerate(names):
        rng = np.random.default_rng(1000 * seed + place)
        requests = rng.poisson(900, 40)
        values = {
            "render_ms": noisy(100 * seed + place, 60.0 * slower.get(name, 1.0)),
            "pages_requests": [float(number) for number in requests],
            "pages_errors": [float(number) for number in rng.poisson(failing.get(name, 0.002) * requests)],
        }
        sides.append(frame(values, instance=name, start=start))
    return pd.concat(sides, ignore_index=True)


@pytest.mark.parametrize("names", ["pqrs", "pqrstuvwxy"])
@pytest.mark.parametrize(
    ("worse", "metric"), [({"slower": {"r": 2.1}}, "render_ms"), ({"failing": {"r": 0.013}}, "pages_errors")]
)
def test_one_of_several_new_instances_fails(names: str, worse: dict[str, dict[str, float]], metric: str) -> None:
    before = _instances(1, "ab", start=_EARLIER)
    assert judged(_instances(2, names), None, before).verdict is Verdict.PASS
    performance = judged(_instances(2, names, **worse), None, before)
    assert performance.verdict is Verdict.FAIL
    assert "r alone" in of(performance, metric).reason.text or "pages_errors" in performance.reasons[0].text


def test_one_that_is_no_worse_than_instances_were_before_fails_nothing() -> None:
    before = _instances(1, "abcd", slower={"d": 2.0}, start=_EARLIER)
    performance = judged(_instances(2, "pqrs", slower={"r": 1.9}), None, before)
    assert performance.verdict is Verdict.INCONCLUSIVE
    assert " on r, " in of(performance, "render_ms").reason.text
    # The same instance that was slow before is what it was.
    assert judged(_instances(2, "abcd", slower={"d": 2.0}), None, before).verdict is Verdict.PASS


def test_the_figures_of_one_that_is_bad_alone_are_its_own() -> None:
    performance = judged(_instances(2, "pqrs", slower={"r": 2.1}), None, _instances(1, "ab", start=_EARLIER))
    result = of(performance, "render_ms")
    assert result.canary["mean"] == pytest.approx(126.0, rel=0.05)
    assert result.canary["mean"] / result.control["mean"] - 1.0 == pytest.approx(result.effect, rel=0.02)
