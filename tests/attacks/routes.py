"""Every changing route of a server, as its OpenAPI documents and its routers have it, and bodies for each.

Nothing here names a route: one that comes with a later Airflow, an auth manager or a page of ours is attacked, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from starlette.routing import Mount

CHANGING = {"POST", "PUT", "PATCH", "DELETE"}
DEEPEST = 6
MOST = 8
"""Bodies of one schema."""


@dataclass(frozen=True)
class Route:
    """A changing route.

    :param path: with its parameters in braces.
    :param schema: of its JSON body; None where it takes none, or no document has it.
    :param document: with the schemas that this one refers to.
    :param form: whether its body is a form.
    """

    method: str
    path: str
    schema: Mapping[str, Any] | None = field(default=None, compare=False, hash=False)
    document: Mapping[str, Any] = field(default_factory=dict, compare=False, hash=False)
    form: bool = False


def changing_routes(app: Any, prefix: str = "") -> list[Route]:
    """Every changing route of an app and of the apps that are mounted in it, tasks' own API excepted.

    :param app: a FastAPI app.
    :param prefix: where it is mounted.
    """
    found = {(route.method, route.path): route for route in _routed(app, prefix)}
    if isinstance(app, FastAPI):
        for route in _documented(app, prefix):
            found[route.method, route.path] = route
    for one in getattr(app, "routes", ()):
        inner = getattr(one, "app", None)
        if isinstance(one, Mount) and "/execution" not in one.path and getattr(inner, "routes", None):
            for route in changing_routes(inner, prefix + one.path):
                found[route.method, route.path] = route
    return [found[key] for key in sorted(found, key=lambda key: (key[1], key[0]))]


def _routed(app: Any, prefix: str) -> Iterator[Route]:
    for route in getattr(app, "routes", ()):
        for method in CHANGING & set(getattr(route, "methods", None) or ()):
            # In documents a parameter has no kind.
            yield Route(method, prefix + re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path))


def _documented(app: FastAPI, prefix: str) -> Iterator[Route]:
    document = app.openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method.upper() in CHANGING:
                content = operation.get("requestBody", {}).get("content", {})
                schema = next((kind.get("schema") for kind in content.values()), None)
                form = any("form" in kind for kind in content)
                yield Route(method.upper(), prefix + path, schema, document, form)


def addresses(path: str, names: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The path with every value of its parameters.

    :param path: of a route.
    :param names: values by parameter; one that is not there is ``1``.
    """
    found = [path]
    for name in re.findall(r"\{(\w+)\}", path):
        found = [
            address.replace(f"{{{name}}}", quote(value, safe="~"), 1)
            for address in found
            for value in names.get(name, ("1",))
        ]
    return found


def bodies(route: Route, values: Mapping[str, Any]) -> list[Any]:
    """Bodies that a route's schema allows, each of its alternatives once.

    :param route: with its schema.
    :param values: by the name of a field, where it matters.
    """
    if route.schema is None:
        return [None]
    return list(islice(_samples(route.schema, route.document, values, "", 0), MOST))


def _samples(
    schema: Mapping[str, Any], document: Mapping[str, Any], values: Mapping[str, Any], name: str, depth: int
) -> Iterator[Any]:
    if name in values:
        yield from values[name]
        return
    if reference := schema.get("$ref"):
        schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    alternatives = [one for key in ("anyOf", "oneOf", "allOf") for one in schema.get(key, ())]
    kind = schema.get("type")
    if depth > DEEPEST or kind == "null":
        return
    if alternatives:
        for one in alternatives:
            yield from _samples(one, document, values, name, depth + 1)
    elif "enum" in schema or "const" in schema:
        yield from schema.get("enum", [schema.get("const")])
    elif kind == "array":
        yield from ([item] for item in _samples(schema.get("items", {}), document, values, name, depth + 1))
    elif kind == "object" or "properties" in schema:
        yield from _objects(schema.get("properties", {}), document, values, depth)
    else:
        when = "2026-01-01T00:00:00Z" if schema.get("format") == "date-time" else "x"
        yield {"boolean": True, "integer": 1, "number": 1}.get(str(kind), when)


def _objects(
    properties: Mapping[str, Any], document: Mapping[str, Any], values: Mapping[str, Any], depth: int
) -> Iterator[Any]:
    """Objects in which each value of each field stands once."""
    each = {
        name: list(islice(_samples(schema, document, values, name, depth + 1), MOST))
        for name, schema in properties.items()
    }
    each = {name: found for name, found in each.items() if found}
    for number in range(max(map(len, each.values()), default=1)):
        yield {name: found[min(number, len(found) - 1)] for name, found in each.items()}
