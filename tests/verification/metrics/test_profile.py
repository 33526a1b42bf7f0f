from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cd.errors import VerificationError
from airflow_cd.verification.metrics.cells import Cells, compare
from airflow_cd.verification.metrics.null import NOTHING_TAUGHT
from airflow_cd.verification.metrics.profile import METRIC_PROFILE_VERSION, MetricProfile

_LESSON = st.tuples(*[st.integers(-(10**12), 10**12)] * 5)
_PROFILES = st.lists(
    st.builds(
        MetricProfile,
        st.dictionaries(st.sampled_from(["response_time", "error_rate", "ü"]), _LESSON, max_size=3),
        st.integers(0, 5),
        st.sampled_from([2_000, 60_000]),
    ),
    max_size=5,
)


@given(_PROFILES, st.randoms(use_true_random=False))
def test_the_order_of_a_merge_does_not_matter(profiles: list[MetricProfile], chance: object) -> None:
    shuffled = list(profiles)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert MetricProfile.merge(*profiles).to_bytes() == MetricProfile.merge(*shuffled).to_bytes()


@given(_PROFILES, st.integers(0, 5))
def test_a_merge_of_merges_is_the_merge(profiles: list[MetricProfile], cut: int) -> None:
    first = MetricProfile.of_width(2_000, *profiles[:cut])
    second = MetricProfile.of_width(2_000, *profiles[cut:])
    assert MetricProfile.of_width(2_000, first, second) == MetricProfile.of_width(2_000, *profiles)


@given(_PROFILES)
def test_bytes_are_read_back(profiles: list[MetricProfile]) -> None:
    for profile in profiles:
        assert MetricProfile.from_bytes(profile.to_bytes()) == profile


def test_a_merge_leaves_the_given_ones_alone() -> None:
    one = MetricProfile({"response_time": (1, 2, 3, 4, 5)}, 1, 2_000)
    before = one.to_bytes()
    merged = MetricProfile.merge(one, one)
    assert merged.sums == {"response_time": (2, 4, 6, 8, 10)}
    assert (merged.deployments, merged.bucket_ms) == (2, 2_000)
    assert one.to_bytes() == before


def test_other_bucket_widths_speak_of_something_else() -> None:
    narrow = MetricProfile({"response_time": (1, 1, 1, 1, 1)}, 1, 2_000)
    wide = MetricProfile({"response_time": (5, 5, 5, 5, 5)}, 1, 60_000)
    assert MetricProfile.merge(narrow, wide, wide).bucket_ms == 60_000
    assert MetricProfile.merge(narrow, wide) == narrow
    assert MetricProfile.of_width(1_000, narrow, wide).sums == {}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a metric profile"),
        (b"ACDP\x01abc", "not a metric profile"),
        (b"ACDM\x01abc", "damaged"),
        (bytes([*b"ACDM", METRIC_PROFILE_VERSION + 1]), "version"),
        (MetricProfile({"x": (1, 2)}, 1, 1).to_bytes(), "damaged"),
    ],
)
def test_what_is_no_profile_says_so(content: bytes, says: str) -> None:
    with pytest.raises(VerificationError, match=says):
        MetricProfile.from_bytes(content)


def _cells(rng: np.random.Generator, hosts: int, differ: float) -> Cells:
    count = np.full((hosts, 30), 100.0)
    level = np.exp(rng.normal(0, differ, (hosts, 1)) + rng.normal(0, 0.1, (hosts, 30)))
    return Cells(level * count, count, count)


@pytest.mark.parametrize("differ", [0.0, 0.03, 0.15])
def test_it_learns_how_much_instances_differ_and_measurements_vary(differ: float) -> None:
    rng = np.random.default_rng(1)
    profiles = [
        MetricProfile.of({"response_time": compare(_cells(rng, 2, differ), _cells(rng, 4, differ))}, 60_000)
        for _ in range(60)
    ]
    taught = MetricProfile.merge(*profiles).taught("response_time")
    assert taught.host_variance**0.5 == pytest.approx(differ, rel=0.25, abs=0.012)
    assert taught.spread == pytest.approx(0.1**2 * 100, rel=0.15)
    assert abs(taught.correlation) < 0.1


def test_what_was_never_seen_is_not_known() -> None:
    assert MetricProfile().taught("response_time") == NOTHING_TAUGHT


def test_names_get_their_prefix() -> None:
    profile = MetricProfile({"x": (1, 1, 1, 1, 1)}, 1, 1)
    assert list(profile.prefixed("shop: ").sums) == ["shop: x"]
