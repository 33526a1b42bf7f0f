"""New Relic's HTTP surface: ``/graphql`` and REST v2 deployments."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import datetime, timezone
from itertools import count
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_cd.demo.faults import PATH, SETTINGS_PATH, Fault, Faults, settings_endpoint
from airflow_cd.demo.new_relic.account import Account, Settings
from airflow_cd.demo.new_relic.change_tracking import create_rest_deployment
from airflow_cd.demo.new_relic.nerdgraph import NerdGraph

_REFRESH_SECONDS = 0.2


class NewRelic:
    """The server's state and its endpoints."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.faults = Faults()
        self._graph = NerdGraph(account)
        self._running: Counter[str] = Counter()
        self._deployments: dict[int, list[dict[str, Any]]] = {number: [] for number in account.applications}
        self._ids = count(1)

    def app(self) -> Starlette:
        """The ASGI application."""
        deployments = "/v2/applications/{application:int}/deployments.json"
        return Starlette(
            routes=[
                Route("/graphql", self.graphql, methods=["POST"]),
                Route(deployments, self.create_deployment, methods=["POST"]),
                Route(deployments, self.list_deployments, methods=["GET"]),
                Route(PATH, self.faults.endpoint, methods=["PUT", "DELETE"]),
                Route(SETTINGS_PATH, settings_endpoint(lambda: self.account.settings, self._set), methods=["PUT"]),
            ]
        )

    async def follow(self) -> None:
        """Keep reading the telemetry, so that what arrives is known to have arrived."""
        while True:
            self.account.reader.refresh()
            await asyncio.sleep(_REFRESH_SECONDS)

    def _set(self, settings: Settings) -> None:
        self.account.settings = settings

    # NerdGraph

    async def graphql(self, request: Request) -> Response:
        """Run a GraphQL document; as at New Relic, most errors come with status 200."""
        key = request.headers.get("api-key", "")
        if self._running[key] >= self.account.settings.concurrent:
            return _graph_error("Too many concurrent requests for this user", 429, "TOO_MANY_REQUESTS")
        self._running[key] += 1
        try:
            return await self._graphql(request, key)
        finally:
            self._running[key] -= 1

    async def _graphql(self, request: Request, key: str) -> Response:
        fault = await self.faults.meet(request)
        if fault is not None:
            faulty = fault.response(_graph_fault)
            if faulty is not None:
                return faulty
            if fault.error_class and not fault.keep_data:
                return JSONResponse({"data": _NO_DATA, "errors": [_injected(fault)]}, headers=fault.headers())
        if key != self.account.api_key:
            status = self.account.settings.bad_key_status
            return JSONResponse(
                {"errors": [{"message": "Invalid or missing API key", "extensions": {"error_code": "BAD_API_KEY"}}]},
                status,
            )
        try:
            body = json.loads(await request.body())
            document, variables, operation = body["query"], body.get("variables"), body.get("operationName")
        except (ValueError, TypeError, KeyError, AttributeError):
            return _graph_error("The request body must be a JSON object with a query", 400, "BAD_USER_INPUT")
        if not isinstance(document, str) or not isinstance(variables, (dict, type(None))):
            return _graph_error("query must be a text and variables an object", 400, "BAD_USER_INPUT")
        result = await self._graph.execute(document, variables, operation, key)
        answer: dict[str, Any] = {"data": result.data}
        errors = [error.formatted for error in result.errors or []]
        if fault is not None and fault.keep_data:
            errors.append(_injected(fault))  # type: ignore[arg-type]
        if errors:
            answer["errors"] = errors
        return JSONResponse(answer)

    # REST v2

    async def create_deployment(self, request: Request) -> Response:
        """Record a deployment the REST v2 way."""
        refused = await self._refused(request)
        if refused is not None:
            return refused
        application = request.path_params["application"]
        try:
            wanted = json.loads(await request.body())["deployment"]
            fields = {name: wanted.get(name) for name in ("revision", "changelog", "description", "user", "timestamp")}
        except (ValueError, TypeError, KeyError, AttributeError):
            return _rest_error(400, "The request body must be a JSON object with a deployment")
        if not isinstance(fields["revision"], str) or not fields["revision"].strip():
            return _rest_error(422, "Unprocessable entity", ["Revision can't be blank"])
        moment = datetime.now(timezone.utc)
        if fields["timestamp"] is not None:
            try:
                moment = datetime.fromisoformat(str(fields["timestamp"]).replace("Z", "+00:00"))
            except ValueError:
                return _rest_error(422, "Unprocessable entity", ["Timestamp must be an ISO 8601 time in UTC"])
            moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        shown = {
            "id": next(self._ids),
            **fields,
            "timestamp": moment.isoformat(timespec="seconds"),
            "links": {"application": application},
        }
        self._deployments[application].insert(0, shown)
        stored = {**fields, "timestamp": int(moment.timestamp() * 1000)}
        create_rest_deployment(self.account, application, stored)
        return JSONResponse({"deployment": shown}, 201)

    async def list_deployments(self, request: Request) -> Response:
        """Deployments recorded the REST v2 way, the newest first."""
        refused = await self._refused(request)
        if refused is not None:
            return refused
        return JSONResponse({"deployments": self._deployments[request.path_params["application"]]})

    async def _refused(self, request: Request) -> Response | None:
        fault = await self.faults.meet(request)
        if fault is not None:
            faulty = fault.response(lambda rule: {"error": {"title": rule.message or "Internal server error"}})
            if faulty is not None:
                return faulty
        keys = (request.headers.get("api-key"), request.headers.get("x-api-key"))
        if self.account.api_key not in keys:
            return _rest_error(401, "The API key provided is invalid")
        application = request.path_params["application"]
        if application not in self.account.applications:
            return _rest_error(404, f"Unable to find Application with Id {application}")
        return None


_NO_DATA = {"actor": {"account": {"nrql": None}}}


def _injected(fault: Fault) -> dict[str, Any]:
    error: dict[str, Any] = {"message": fault.message or "An error occurred", "path": ["actor", "account", "nrql"]}
    extensions = {"errorClass": fault.error_class, "error_code": fault.code}
    with_value = {name: value for name, value in extensions.items() if value}
    return {**error, "extensions": with_value} if with_value else error


def _graph_fault(fault: Fault) -> dict[str, Any]:
    return {"errors": [_injected(fault)]}


def _graph_error(message: str, status: int, error_class: str) -> Response:
    return JSONResponse({"errors": [{"message": message, "extensions": {"errorClass": error_class}}]}, status)


def _rest_error(status: int, title: str, messages: list[str] | None = None) -> Response:
    error: dict[str, Any] = {"title": title}
    if messages:
        error["messages"] = messages
    return JSONResponse({"error": error}, status)
