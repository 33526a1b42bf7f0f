from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute

from airflow_cd.plugin.app import app
from tests.plugin.conftest import ClientAs


def _routes() -> Iterator[tuple[str, str]]:
    for route in app.routes:
        assert isinstance(route, APIRoute), f"{route} is no route that could ask who is there"
        for method in sorted(route.methods):
            yield method, "/airflow-cd" + re.sub(r"\{[^}]+\}", "x", route.path)


ALL = list(_routes())
CHANGING = [(method, path) for method, path in ALL if method != "GET"]


@pytest.mark.parametrize(("method", "path"), ALL)
def test_every_route_wants_a_user(client_as: ClientAs, method: str, path: str) -> None:
    assert client_as(None).request(method, path).status_code == 401


@pytest.mark.parametrize(("method", "path"), CHANGING)
def test_who_may_only_look_changes_nothing(client_as: ClientAs, method: str, path: str) -> None:
    assert client_as("viewer").request(method, path).status_code == 403


@pytest.mark.parametrize(("method", "path"), CHANGING)
@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://elsewhere.test"}, {"Origin": "null"}, {"Referer": "https://elsewhere.test/airflow.test"}],
)
def test_another_sites_page_changes_nothing(
    client_as: ClientAs, method: str, path: str, headers: dict[str, str]
) -> None:
    client = client_as("admin")
    del client.headers["Origin"]
    assert client.request(method, path, headers=headers).status_code == 403
