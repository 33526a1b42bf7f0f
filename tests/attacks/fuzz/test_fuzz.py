"""A few inputs for every reader; ``python -m tests.attacks fuzz`` tries more, and measures how the time grows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.attacks.fuzz.answers import READERS as OF_ANSWERS
from tests.attacks.fuzz.readers import READERS as OF_TEXTS
from tests.attacks.fuzz.trial import LINEAR, Reader, growth, tried

INPUTS = 200


@pytest.mark.parametrize("reader", [*OF_TEXTS, *OF_ANSWERS], ids=lambda reader: reader.name)
def test_a_reader_raises_only_what_it_says(reader: Reader) -> None:
    for seed in reader.seeds:
        assert reader.once(seed) is None
    outcome = tried(reader, INPUTS, 7, measure=False)
    assert outcome.failures == {}
    assert outcome.tried >= 4


def test_what_is_wrong_is_found() -> None:
    def read(text: str) -> int:
        return len(text) // ("a" not in text)

    outcome = tried(Reader("broken", read, ("a", "b")), 200, 1, measure=False)
    assert list(outcome.failures) == ["ZeroDivisionError in outside"]


@pytest.mark.parametrize(("slow", "expected"), [(True, True), (False, False)])
def test_time_beyond_linear_is_found(slow: bool, expected: bool) -> None:
    def read(text: str) -> Any:
        return [text.count(letter) for letter in (text[::60] if slow else text[:400])]

    ratio = growth(Reader("x", read), "abc")
    assert (ratio > LINEAR) is expected
