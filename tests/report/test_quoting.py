"""What others wrote is shown on one line, in which everything can be seen, and ends where it ends."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cd.report.words import as_code, quoted, visible

ANYTHING = st.text(max_size=300) | st.text("`\n\r\t \u200b\u202e\u2060\ufe0f\U000e0041a", max_size=300)


@given(ANYTHING)
def test_it_is_code_on_one_line_whatever_it_is(text: str) -> None:
    shown = as_code(text)
    inside = shown[1 : shown.rindex("`")]
    assert shown.startswith("`")
    assert "`" not in inside
    assert "\n" not in shown
    assert inside.strip() or inside == " "
    # Format characters, but for those that are a part of a picture before them.
    hidden = [one for one in inside if unicodedata.category(one) in ("Cf", "Cc", "Cs", "Zl", "Zp") and one != "\u200d"]
    assert hidden == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("boss\u200b", "boss⟨U+200B⟩"),
        ("boss\u200d", "boss⟨U+200D⟩"),
        ("boss\ufe0f", "boss⟨U+FE0F⟩"),
        ("boss\u00ad", "boss⟨U+00AD⟩"),
        ("boss\u3164", "boss⟨U+3164⟩"),
        ("boss\U000e0062", "boss⟨U+E0062⟩"),
        ("a\r\nb\tc\rd", "a␊b␉c␍d"),
        ("\u26a0\ufe0f care", "\u26a0\ufe0f care"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
        ("naïve Łódź 東京", "naïve Łódź 東京"),
    ],
)
def test_what_cannot_be_seen_is_named_and_what_can_is_left(text: str, shown: str) -> None:
    assert quoted(text) == shown


def test_a_long_one_says_how_long_it_is() -> None:
    assert as_code("x" * 1_000, 10) == "`xxxxxxxxx…` (of 1,000 characters)"
    assert visible(7) == 7
