"""A configuration as environment variables and files, and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cd.targets.docker.configuration import decode, encode, mistakes, read_variables, write_variables

_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
_KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,10}", fullmatch=True)


@given(st.dictionaries(_KEYS, _VALUES, max_size=4), st.dictionaries(_KEYS.map(lambda key: f"/etc/{key}"), _TEXT))
def test_what_went_in_comes_out_with_its_types(variables: dict[str, Any], files: dict[str, str]) -> None:
    given = {**variables, **files}
    encoded = encode(given)
    # As a daemon keeps them: one text for each variable.
    kept = read_variables(write_variables(encoded.variables))
    found = decode(encoded.kinds, kept, encoded.files)
    assert found == given
    assert {key: type(value) for key, value in found.items()} == {key: type(value) for key, value in given.items()}


def test_a_text_is_itself_and_everything_else_is_json() -> None:
    encoded = encode({"A": "yes", "B": 30, "C": True, "D": None, "/etc/x.json": {"a": [1]}, "/etc/motd": "hi\n"})
    assert write_variables(encoded.variables) == ["A=yes", "B=30", "C=true", "D"]
    assert encoded.files == {"/etc/x.json": b'{"a": [1]}', "/etc/motd": b"hi\n"}


def test_what_is_really_there_counts() -> None:
    encoded = encode({"A": "yes", "B": 30, "/etc/motd": "hi"})
    assert decode(encoded.kinds, {"A": "no", "B": "3O"}, {"/etc/motd": None}) == {"A": "no", "B": "3O"}
    assert decode(encoded.kinds, {}, {"/etc/motd": b"\xff"}) == {"/etc/motd": "\\xff"}


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ({"A=B": "x"}, "'A=B' cannot be the name"),
        ({"": "x"}, "'' cannot be the name"),
        ({" A": "x"}, "' A' cannot be the name"),
        ({"A": "a\0b"}, "NUL"),
        ({"A": "x" * 200_000}, "make it a file"),
        ({"/etc/../x": "x"}, "no path"),
        ({"/": "x"}, "no path"),
        ({"/etc/": "x"}, "no path"),
        ({"/etc/x": None}, "is null"),
    ],
)
def test_what_no_container_can_have_is_named(configuration: dict[str, Any], words: str) -> None:
    (mistake,) = mistakes(configuration)
    assert words in mistake
    assert mistakes({"GOOD": 1, "/etc/good": "x", "LIKE.THIS": None}) == []
