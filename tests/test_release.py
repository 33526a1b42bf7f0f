from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cd.errors import ReleaseError
from airflow_cd.release import UNSET, Release, changed_beside_version, changes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_a_release_survives_being_stored(configuration: dict[str, object]) -> None:
    release = Release("shop", "1.0", "shop:1.0", configuration)
    assert Release.from_dict(release.as_dict()) == release


def test_the_digest_knows_artifact_and_configuration_but_not_the_order_of_keys() -> None:
    one = Release("shop", "1.0", "shop:1.0", {"a": 1, "b": 2})
    assert one.digest == Release("shop", "1.0", "shop:1.0", {"b": 2, "a": 1}).digest
    assert one.digest != Release("shop", "1.0", "shop:1.0", {"a": 1, "b": 3}).digest
    assert one.digest != Release("shop", "1.0", "shop:1.1", {"a": 1, "b": 2}).digest


def test_a_release_cannot_be_changed_through_what_it_was_made_from() -> None:
    configuration = {"nested": {"key": 1}}
    release = Release("shop", "1.0", "shop:1.0", configuration)
    digest = release.digest
    configuration["nested"]["key"] = 2
    assert release.digest == digest


def test_a_changed_record_is_noticed() -> None:
    stored = Release("shop", "1.0", "shop:1.0", {"limit": 5}).as_dict()
    stored["configuration"] = {"limit": 500}
    with pytest.raises(ReleaseError, match="digest"):
        Release.from_dict(stored)


@pytest.mark.parametrize("configuration", [{"x": object()}, {"x": float("nan")}, ["list"], "text"])
def test_a_configuration_that_is_no_json_object_is_refused(configuration: object) -> None:
    with pytest.raises(ReleaseError, match="configuration of shop"):
        Release("shop", "1.0", "shop:1.0", configuration)  # type: ignore[arg-type]


def test_a_release_without_a_version_is_refused() -> None:
    with pytest.raises(ReleaseError, match="needs a version"):
        Release("shop", " ", "shop:1.0")


def test_changes_name_what_differs_and_nothing_else() -> None:
    before = Release("shop", "1.0", "shop:1.0", {"workers": 4, "region": "eu", "old": None})
    after = Release("shop", "1.1", "shop:1.1", {"workers": 8, "region": "eu", "new": False})
    assert changes(before, after) == [
        ("version", "1.0", "1.1"),
        ("artifact", "shop:1.0", "shop:1.1"),
        ("configuration: new", UNSET, False),
        ("configuration: old", None, UNSET),
        ("configuration: workers", 4, 8),
    ]
    assert changes(after, after) == []
    assert changes(None, after)[0] == ("version", UNSET, "1.1")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"timeout_s": 30}, {"timeout_s": 1}, "timeout_s 30 → 1"),
        ({"flag": 1}, {"flag": True}, "flag 1 → true"),
        ({"port": "80"}, {"port": 80}, 'port "80" → 80'),
        ({"name": ""}, {}, 'name "" → (not given)'),
        ({"limits": {"cpu": 2, "memory": "1G"}}, {"limits": {"cpu": 4, "memory": "1G"}}, "limits.cpu 2 → 4"),
        ({}, {"a": 1, "b": 1, "c": 1, "d": 1}, "a (not given) → 1, b (not given) → 1, c (not given) → 1 and 1 more"),
        ({"same": [1]}, {"same": [1]}, ""),
    ],
)
def test_what_changed_is_said_where_versions_are_the_same(
    before: dict[str, object], after: dict[str, object], said: str
) -> None:
    old, new = (Release("bin", "0.17.4", "bin:0.17.4", content) for content in (before, after))
    assert changed_beside_version(old, new) == said


def test_of_long_values_what_changed_is_where_they_differ() -> None:
    old, new = (Release("bin", "1", "bin:1", {"urls": f"{'http://a/,' * 20}{end}"}) for end in ("eu", "us"))
    assert changed_beside_version(old, new).endswith("http://a/,eu → …http://a/,us")


def test_versions_that_differ_say_it_all_and_secrets_are_never_said() -> None:
    old, new = Release("bin", "1", "bin:1", {"password": "hunter-2-hunter"}), Release("bin", "1", "bin:1", {})
    assert "hunter" not in changed_beside_version(old, new)
    assert re.fullmatch(r"password a secret \(\w{8}\) → \(not given\)", changed_beside_version(old, new))
    assert changed_beside_version(Release("bin", "2", "bin:1", {}), new) == ""
    assert changed_beside_version(None, new) == ""
