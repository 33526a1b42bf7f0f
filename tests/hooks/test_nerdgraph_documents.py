"""The GraphQL documents against New Relic's published schema."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import GraphQLSchema, execute_sync, parse, validate

from airflow_cd.hooks import nerdgraph
from tests.hooks import nerdgraph_schema

DOCUMENTS = {name: value for name, value in vars(nerdgraph).items() if name.endswith(("_QUERY", "_MUTATION"))}
EVENT = {
    "categoryAndTypeData": {
        "kind": {"category": "Deployment", "type": "Canary"},
        "categoryFields": {"deployment": {"version": "1", "changelog": "c", "commit": "a", "deepLink": "d"}},
    },
    "entitySearch": {"query": "id = 'G'"},
    "user": "u",
    "shortDescription": "s",
    "description": "d",
    "groupId": "g",
    "timestamp": 1,
    "customAttributes": {"weight": 20},
}
VARIABLES: dict[str, dict[str, Any]] = {
    "NRQL_QUERY": {"accountId": 1, "query": "SELECT 1", "timeout": 30, "async": False},
    "NRQL_PROGRESS_QUERY": {"accountId": 1, "queryId": "Q"},
    "ENTITY_SEARCH_QUERY": {"query": "domain = 'APM'"},
    "USER_QUERY": {},
    "CREATE_EVENT_MUTATION": {
        "changeTrackingEvent": EVENT,
        "dataHandlingRules": {"validationFlags": ["FAIL_ON_FIELD_LENGTH"]},
    },
}


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    path = nerdgraph_schema.schema_file()
    if not path.exists():
        pytest.skip(f"New Relic's schema is not at {path}; set AIRFLOW_CD_DATA to the folder that holds contracts/")
    return nerdgraph_schema.load()


def test_every_document_is_checked():
    assert set(DOCUMENTS) == set(VARIABLES)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_document_fits_the_schema(schema, name):
    document = parse(DOCUMENTS[name])
    assert validate(schema, document) == []
    answered = execute_sync(schema, document, root_value={}, variable_values=VARIABLES[name])
    assert answered.errors is None


def test_a_document_that_does_not_fit_is_found(schema):
    """The schema was read right: it knows what is not there."""
    broken = nerdgraph.NRQL_QUERY.replace("totalResult", "grandTotal")
    assert "grandTotal" in str(validate(schema, parse(broken)))
    wrong = {**VARIABLES["NRQL_QUERY"], "accountId": "mine"}
    answered = execute_sync(schema, parse(nerdgraph.NRQL_QUERY), root_value={}, variable_values=wrong)
    assert "accountId" in str(answered.errors)
