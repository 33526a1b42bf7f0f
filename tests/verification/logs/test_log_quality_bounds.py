"""The benchmarks of log verification on made-up systems, with loose bounds: quality that is lost fails the build."""

from __future__ import annotations

import pytest

from benchmarks import parsing, swallow
from benchmarks.novelty import Result, measure, oracle, ours
from benchmarks.synthetic import system

_SYSTEMS = [system(name, 1) for name in ("north", "south")]


def test_lines_of_a_template_are_one_event() -> None:
    scores = [parsing.scores(parsing.ours, one) for one in _SYSTEMS]
    assert min(ga for ga, _, _, _ in scores) >= 0.9
    assert min(fga for _, fga, _, _ in scores) >= 0.85


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    return measure(_SYSTEMS, 1, {"ours": ours, "perfect clusters": oracle}, hostile=False)


def test_what_is_new_is_found_and_little_else_is(results: dict[str, Result]) -> None:
    unknown, null = results["ours"].unknown, results["ours"].unknown_null
    assert unknown.injected == 2 * 6
    assert unknown.recall >= 0.95
    assert unknown.precision >= 0.7, unknown.examples
    assert null.false_rate <= 1.0, null.examples


def test_frequencies_that_change_are_found(results: dict[str, Result]) -> None:
    found, perfect = results["ours"].frequency, results["perfect clusters"].frequency
    assert found.precision >= max(0.7, perfect.precision - 0.1), found.examples
    assert found.recall >= perfect.recall - 0.1
    assert perfect.recall >= 0.5
    assert results["ours"].frequency_null.false_rate <= 0.34


@pytest.mark.parametrize("case", swallow.cases(), ids=lambda case: f"{case.new} in {case.message}")
def test_nothing_new_is_swallowed_under_a_known_header(case: swallow.Case) -> None:
    assert swallow.flagged(case)
