"""New Relic's published schema as graphql-core understands it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphql import GraphQLSchema, build_schema, extend_schema, parse

# The stored schema is of April 2025; change tracking events came in June 2025. As the vendor's Go client has them.
CHANGE_TRACKING_EVENTS = """
extend type RootMutationType {
  changeTrackingCreateEvent(
    changeTrackingEvent: ChangeTrackingCreateEventInput!
    dataHandlingRules: ChangeTrackingDataHandlingRules
  ): ChangeTrackingCreateEventResponse
}
type ChangeTrackingCreateEventResponse { changeTrackingEvent: ChangeTrackingEvent messages: [String] }
type ChangeTrackingEvent {
  changeTrackingId: String category: String type: String timestamp: EpochMilliseconds user: String entity: EntityOutline
}
scalar ChangeTrackingRawCustomAttributesMap
input ChangeTrackingCreateEventInput {
  categoryAndTypeData: ChangeTrackingCategoryRelatedInput
  customAttributes: ChangeTrackingRawCustomAttributesMap
  description: String
  entitySearch: ChangeTrackingEntitySearchInput!
  groupId: String
  shortDescription: String
  timestamp: EpochMilliseconds
  user: String
}
input ChangeTrackingCategoryRelatedInput {
  categoryFields: ChangeTrackingCategoryFieldsInput
  kind: ChangeTrackingCategoryAndTypeInput
}
input ChangeTrackingCategoryAndTypeInput { category: String! type: String! }
input ChangeTrackingCategoryFieldsInput { deployment: ChangeTrackingDeploymentFieldsInput }
input ChangeTrackingDeploymentFieldsInput { version: String! changelog: String commit: String deepLink: String }
input ChangeTrackingEntitySearchInput { query: String! }
"""


_BUILT_IN = ("String", "Int", "Float", "Boolean", "ID")


def schema_file() -> Path:
    """Where the schema lies, whether or not it is there."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("AIRFLOW_CD_DATA") or beside) / "contracts" / "nerdgraph_schema.json"


def load() -> GraphQLSchema:
    """Build the schema."""
    content = json.loads(schema_file().read_text())
    query, mutation = content["queryType"], content["mutationType"]
    kinds = {kind["name"]: kind for kind in [*content["types"], query, mutation]}
    _prune(kinds)
    definitions = [f"schema {{ query: {query['name']} mutation: {mutation['name']} }}"]
    definitions += [text for name, kind in kinds.items() for text in _definition(name, kind)]
    schema = build_schema("\n".join(definitions), assume_valid=True)
    if schema.mutation_type is not None and "changeTrackingCreateEvent" not in schema.mutation_type.fields:
        schema = extend_schema(schema, parse(CHANGE_TRACKING_EVENTS), assume_valid=True)
    return schema


def _prune(kinds: dict[str, dict[str, Any]]) -> None:
    """Drop fields whose types are not in the file, and types that have no field left."""
    for name in [name for name in kinds if name.startswith("__") or name in _BUILT_IN]:
        del kinds[name]
    while True:
        known = {*kinds, *_BUILT_IN}
        for kind in kinds.values():
            for member in ("fields", "inputFields"):
                if kind.get(member):
                    kind[member] = [field for field in kind[member] if _names(field) <= known]
            kind["possibleTypes"] = [item for item in kind.get("possibleTypes") or [] if item["name"] in known]
            kind["interfaces"] = [item for item in kind.get("interfaces") or [] if item["name"] in known]
        empty = [
            name
            for name, kind in kinds.items()
            if kind["kind"] in ("OBJECT", "INTERFACE", "INPUT_OBJECT")
            and not (kind.get("fields") or kind.get("inputFields"))
        ]
        if not empty:
            return
        for name in empty:
            del kinds[name]


def _names(field: dict[str, Any]) -> set[str]:
    """Types of a field and its arguments."""
    inner = set().union(*(_names(argument) for argument in field.get("args") or []))
    return inner | {_type(field["type"]).strip("[]!")}


def _definition(name: str, kind: dict[str, Any]) -> Iterator[str]:
    if kind["kind"] == "SCALAR":
        yield f"scalar {name}"
    elif kind["kind"] == "ENUM":
        yield f"enum {name} {{ {' '.join(value['name'] for value in kind['enumValues'])} }}"
    elif kind["kind"] == "INPUT_OBJECT":
        yield f"input {name} {{ {' '.join(_field(field) for field in kind['inputFields'])} }}"
    elif kind["kind"] == "UNION":
        members = [member["name"] for member in kind.get("possibleTypes") or []]
        yield f"union {name} = {' | '.join(members)}" if members else f"scalar {name}"
    else:
        word = "interface" if kind["kind"] == "INTERFACE" else "type"
        above = [base["name"] for base in kind.get("interfaces") or []]
        implements = f" implements {' & '.join(above)}" if above else ""
        yield f"{word} {name}{implements} {{ {' '.join(_field(field) for field in kind['fields'])} }}"


def _field(field: dict[str, Any]) -> str:
    arguments = field.get("args") or []
    listed = f"({' '.join(_field(argument) for argument in arguments)})" if arguments else ""
    default = f" = {field['defaultValue']}" if field.get("defaultValue") is not None else ""
    return f"{field['name']}{listed}: {_type(field['type'])}{default}"


def _type(kind: dict[str, Any]) -> str:
    if kind["kind"] == "NON_NULL":
        return _type(kind["ofType"]) + "!"
    if kind["kind"] == "LIST":
        return f"[{_type(kind['ofType'])}]"
    return str(kind["name"])
