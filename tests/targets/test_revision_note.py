"""What is remembered beside weights: it comes back as it was written, and has room where platforms have little."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from airflow_cd.targets.aws_lambda.alias import NOTE
from airflow_cd.targets.revisions.dividing import taken_over, weighed
from airflow_cd.targets.revisions.note import Note, rounded

NAMES = st.sampled_from(["1", "23", "4567"])


@given(
    st.builds(
        Note,
        token=st.integers(0, 2**40),
        stable=NAMES,
        canary=NAMES | st.just(""),
        part=st.integers(0, 100),
        given=st.integers(0, 100),
        coming=NAMES | st.just(""),
        before=NAMES | st.just(""),
        keys=st.lists(st.text("0123456789abcdef", min_size=8, max_size=8), max_size=8).map(tuple),
    )
)
def test_a_note_comes_back_as_it_was_written(note: Note) -> None:
    assert Note.of(note.text) == note
    assert Note.of(f"what people say [{note.text}]".rstrip("]")) == note
    assert "]" not in note.text


def test_a_note_has_room_in_a_description() -> None:
    note = Note(stable="4567", canary="4568", part=100, given=100, coming="4569", before="4566")
    for number in range(20):
        note = note.after(f"a key of {number}", int(time.time()))
    assert len(note.text) + len(" []") <= NOTE


def test_keys_of_an_older_token_are_refused_by_their_token() -> None:
    note = Note().after("first", 7)
    assert note.has_done("first")
    assert not note.has_done("second")
    assert not note.after("second", 8).has_done("first")


def test_what_people_write_is_no_note() -> None:
    for text in ("", "airflow-cd deploys this", "airflow-cd token=x", "token=5"):
        assert Note.of(text) == Note()


@given(
    weights=st.dictionaries(NAMES, st.integers(1, 100).map(float), min_size=1),
    canary=NAMES,
    part=st.integers(0, 100),
)
def test_weights_are_always_everything(weights: dict[str, float], canary: str, part: int) -> None:
    total = sum(weights.values())
    weights = {name: 100 * weight / total for name, weight in weights.items()}
    note = Note(stable="1", canary=canary)
    for divided in (weighed(weights, note, part), taken_over(weights, note, "23")[0]):
        assert abs(sum(rounded(divided).values()) - 100) < 1e-6
        assert all(weight > 0 for weight in rounded(divided).values())
