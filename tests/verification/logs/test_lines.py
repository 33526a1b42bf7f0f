from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from airflow_cd.verification.logs.lines import Lines

_TEXTS = st.lists(st.text(alphabet="ab é", max_size=4), min_size=1, max_size=8)


def _texts(lines: Lines) -> list[str]:
    return [lines[row] for row in range(len(lines))]


@given(_TEXTS)
def test_lines_are_what_was_given(texts: list[str]) -> None:
    lines = Lines.of(texts)
    assert _texts(lines) == texts
    assert lines.lengths().tolist() == [len(text.encode()) for text in texts]


@given(_TEXTS, st.data())
def test_chosen_lines_are_those(texts: list[str], data: st.DataObject) -> None:
    rows = sorted(data.draw(st.sets(st.integers(0, len(texts) - 1), min_size=1)))
    assert _texts(Lines.of(texts).chosen(np.array(rows))) == [texts[row] for row in rows]


@given(_TEXTS)
def test_lines_that_hold_something_are_found(texts: list[str]) -> None:
    assert Lines.of(texts).rows_with("é".encode()).tolist() == ["é" in text for text in texts]


@given(st.text(alphabet="ab\n", max_size=12))
def test_places_of_any_of_several_pieces(text: str) -> None:
    content = text.encode()
    found = [place for place in range(len(content)) if content.startswith((b"aba", b"abb"), place)]
    assert Lines(content).places_of([b"aba", b"abb"]).tolist() == found


def test_first_letters_are_the_first_bytes() -> None:
    assert bytes(Lines.of(["abcd", "", "x"]).first_letters()).replace(b"\n", b"") in (b"ax", b"axx")
    assert Lines.of(["", "", "a", ""]).first_letters()[2] == ord("a")
    assert len(Lines(b"").first_letters()) == 1
