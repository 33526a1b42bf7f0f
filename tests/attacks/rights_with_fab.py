"""Rights of their own under the FAB auth manager; ``test_with_fab.py`` runs this in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from airflow_cd.cli import main
from airflow_cd.states import Right
from tests.attacks.people import token_of_fab
from tests.plugin.audit.airflow_server import airflow_app
from tests.plugin.test_rights import OWN

__all__ = ["airflow_app"]


@pytest.fixture(scope="module")
def server(airflow_app: Any) -> Iterator[TestClient]:
    with TestClient(airflow_app, base_url="http://airflow.test", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def tokens(airflow_app: Any) -> dict[str, str]:
    """Somebody who may edit runs, as FAB's role *User* lets them, and the same with each of our rights."""
    known = {"viewer": token_of_fab("viewer", role="Viewer"), "editor": token_of_fab("editor", role="User")}
    assert main(["rights", "create"]) == 0
    for right in Right:
        name = f"may-{right.value}"
        known[right.value] = token_of_fab(name, role="User", more=[("can_edit", right.resource)])
    return known


@pytest.mark.parametrize("right", list(Right))
def test_a_right_of_its_own_is_a_permission_of_fab(
    server: TestClient, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch, right: Right
) -> None:
    def refusal(who: str, path: str) -> str:
        headers = {"Authorization": f"Bearer {tokens[who]}"}
        answer = server.post(f"/airflow-cd{path}", data={"why": "please"}, headers=headers)
        assert answer.status_code < 500, answer.text
        return answer.text if answer.status_code == 403 else ""

    for path in OWN[right.value]:
        monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__OWN_RIGHTS", "")
        assert refusal("viewer", path)
        assert refusal("editor", path) == ""
        monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__OWN_RIGHTS", "all")
        assert refusal("viewer", path)
        assert right.resource in refusal("editor", path)
        assert refusal(right.value, path) == ""
        for other in set(Right) - {right}:
            assert right.resource in refusal(other.value, path)
