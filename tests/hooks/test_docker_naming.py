"""Which containers are an environment's, and which part each of them has."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_cd.hooks.docker_naming import ENVIRONMENT, Role, Selection, name_as, read_name, slots


def container(name: str, **labels: str) -> dict[str, Any]:
    return {"Id": f"id of {name}", "Names": [f"/{name}"], "Labels": labels}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("name", ["web-1", "shop_web_1", "a.airflow-cd.b", "web.airflow-cd.", "kept"])
def test_a_name_says_instance_and_role(name: str, role: Role) -> None:
    assert read_name(name_as(name, role)) == (name, role)


def test_what_only_looks_like_a_role_is_a_name() -> None:
    assert read_name("web.airflow-cd.current") == ("web.airflow-cd.current", Role.CURRENT)
    assert read_name(".airflow-cd.kept") == (".airflow-cd.kept", Role.CURRENT)


def test_containers_of_an_instance_belong_together_whatever_their_labels() -> None:
    listed = [
        container("web-1", **{ENVIRONMENT: "production"}),
        container("web-1.airflow-cd.kept"),
        container("web-2.airflow-cd.kept", **{ENVIRONMENT: "production"}),
        container("web-3", **{ENVIRONMENT: "staging"}),
        container("other.airflow-cd.next"),
    ]
    found = slots(listed, Selection.read(None, "production"))
    assert {name: dict(slot.ids) for name, slot in found.items()} == {
        "web-1": {Role.CURRENT: "id of web-1", Role.KEPT: "id of web-1.airflow-cd.kept"},
        "web-2": {Role.KEPT: "id of web-2.airflow-cd.kept"},
    }


def test_a_compose_service_is_selected_without_its_one_off_containers() -> None:
    listed = [
        container("shop_web_1", **{"com.docker.compose.service": "web", "com.docker.compose.oneoff": "False"}),
        container("shop_web_run_1", **{"com.docker.compose.service": "web", "com.docker.compose.oneoff": "True"}),
        container("shop_db_1", **{"com.docker.compose.service": "db", "com.docker.compose.oneoff": "False"}),
    ]
    assert list(slots(listed, Selection.read("label=com.docker.compose.service=web", "x"))) == ["shop_web_1"]


def test_labels_add_up_and_names_are_alternatives() -> None:
    listed = [container("web-1", team="a", tier="web"), container("api-1", team="a"), container("web-2", team="b")]
    assert list(slots(listed, Selection.read(["label=team=a", "label=tier"], "x"))) == ["web-1"]
    assert list(slots(listed, Selection.read(["name=web-*", "name=api-?"], "x"))) == ["api-1", "web-1", "web-2"]
    assert list(slots(listed, Selection.read(["name=web-*", "label=team=b"], "x"))) == ["web-2"]


def test_a_container_that_others_link_to_has_one_name() -> None:
    linked = {"Id": "1", "Names": ["/proxy/backend", "/web-1"], "Labels": {"a": "b"}}
    assert list(slots([linked], Selection.read("label=a=b", "x"))) == ["web-1"]


@pytest.mark.parametrize("text", ["web", "label=", "label==x", "name=", "id=12", "", []])
def test_what_selects_nothing_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="label=KEY=VALUE"):
        Selection.read(text, "x")
