"""The OpenAPI document: valid, its examples fit its schemas, and it holds what the client relies on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openapi_spec_validator
import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

import airflow_cd.targets
from airflow_cd.hooks.deployment_answers import read_instances, read_traffic
from airflow_cd.release import Release
from airflow_cd.targets.base import HEALTH_STATES
from airflow_cd.targets.http import OPENAPI_DOCUMENT


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return yaml.safe_load(OPENAPI_DOCUMENT.read_text(encoding="utf-8"))


def test_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    openapi_spec_validator.validate(document)


def test_ships_with_the_package() -> None:
    assert OPENAPI_DOCUMENT.parent == Path(airflow_cd.targets.__file__).parent


def resolve(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        found: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in ("get", "put", "post"):
            if method in item:
                yield path, method, item[method]


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every JSON body of the document, as a name and its media type object."""
    for path, method, operation in operations(document):
        if "requestBody" in operation:
            yield f"{method} {path}", resolve(document, operation["requestBody"])["content"]["application/json"]
        for status, response in operation["responses"].items():
            yield f"{method} {path} {status}", resolve(document, response)["content"]["application/json"]


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    registry = Registry().with_resource("urn:api", Resource(contents=document, specification=DRAFT202012))
    checked = 0
    for name, body in bodies(document):
        assert body["examples"], f"{name} has no example"
        schema = {"$id": "urn:here", **anchored(body["schema"])}
        for example in body["examples"].values():
            errors = [
                error.message for error in Draft202012Validator(schema, registry=registry).iter_errors(example["value"])
            ]
            assert errors == [], f"{name}: {example}"
            checked += 1
    assert checked > 20


def anchored(node: Any) -> Any:
    """The schema with references that reach into the whole document."""
    if isinstance(node, dict):
        return {key: f"urn:api{value}" if key == "$ref" else anchored(value) for key, value in node.items()}
    return [anchored(value) for value in node] if isinstance(node, list) else node


def test_every_call_names_its_errors_and_every_change_its_headers(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        expected = {"401", "403", "404", "429", "default"}
        if method != "get":
            expected |= {"400", "409", "422"}
            names = {resolve(document, parameter)["name"] for parameter in operation["parameters"]}
            assert names == {"Idempotency-Key", "Fencing-Token"}, (method, path)
        assert expected <= set(operation["responses"]), (method, path)
        assert "Retry-After" in resolve(document, operation["responses"]["429"])["headers"]


def test_the_client_reads_the_examples(document: dict[str, Any]) -> None:
    paths = document["paths"]
    listed = paths["/v1/environments/{environment}/instances"]["get"]["responses"]["200"]["content"]["application/json"]
    instances = read_instances(listed["examples"]["canary"]["value"], "production")
    assert [instance.health for instance in instances] == ["healthy", "failed", "empty"]
    traffic = paths["/v1/environments/{environment}/traffic"]["get"]["responses"]["200"]["content"]["application/json"]
    assert read_traffic(traffic["examples"]["drained"]["value"])["shop-production-01"].in_flight == 2
    put = paths["/v1/environments/{environment}/release"]["put"]["requestBody"]["content"]["application/json"]
    Release.from_dict(put["examples"]["deploy"]["value"]["release"])


def test_the_health_states_are_ours(document: dict[str, Any]) -> None:
    assert tuple(document["components"]["schemas"]["Instance"]["properties"]["health"]["enum"]) == HEALTH_STATES
