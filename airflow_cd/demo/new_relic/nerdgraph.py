"""NerdGraph: the vendor's GraphQL schema over one account."""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphql import ExecutionResult, GraphQLError, GraphQLObjectType, GraphQLResolveInfo, build_schema, graphql

from airflow_cd.demo.new_relic.account import USER_EMAIL, Account
from airflow_cd.demo.new_relic.change_tracking import ChangeRejected, create_deployment, create_event, entity_outline
from airflow_cd.demo.new_relic.nrql import NrqlError
from airflow_cd.demo.new_relic.nrql_engine import Answer, run
from airflow_cd.demo.new_relic.nrql_parser import parse

DEFAULT_TIMEOUT = 5.0
MAX_TIMEOUT = 120.0
RESULT_EXPIRATION = 600.0
"""Seconds an asynchronous query's result is kept."""

RETRY_DEADLINE = 60.0
"""Seconds after which an asynchronous query is dropped unless its results are requested."""


@dataclass
class _Pending:
    """An asynchronous query: it is complete at a moment (monotonic seconds) and asked for until another."""

    nrql: str
    container: dict[str, Any]
    complete_at: float
    asked_at: float


class NerdGraph:
    """Executes GraphQL documents against an account."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._pending: dict[str, _Pending] = {}
        self._recent: deque[float] = deque()
        self.schema = build_schema((Path(__file__).parent / "schema.graphql").read_text(encoding="utf-8"))
        for type_name, field_name, resolver in (
            ("RootQueryType", "actor", lambda _source, _info: {}),
            ("RootQueryType", "requestContext", self._request_context),
            ("Actor", "account", self._resolve_account),
            ("Actor", "accounts", lambda _source, _info: [self._outline()]),
            ("Actor", "entitySearch", self._entity_search),
            ("Actor", "user", lambda _source, _info: {"email": USER_EMAIL, "id": 1, "name": "Demo"}),
            ("Account", "nrql", self._nrql),
            ("Account", "nrqlQueryProgress", self._progress),
            ("EntitySearch", "results", lambda source, _info, cursor=None: source["results"]),
            ("RootMutationType", "changeTrackingCreateEvent", self._create_event),
            ("RootMutationType", "changeTrackingCreateDeployment", self._create_deployment),
        ):
            kind = self.schema.type_map[type_name]
            assert isinstance(kind, GraphQLObjectType)  # noqa: S101
            kind.fields[field_name].resolve = resolver

    async def execute(
        self, document: str, variables: dict[str, Any] | None, operation: str | None, api_key: str
    ) -> ExecutionResult:
        """Answer a document; mistakes come back as the result's errors."""
        return await graphql(
            self.schema,
            document,
            variable_values=variables,
            operation_name=operation,
            context_value={"api_key": api_key},
        )

    def _outline(self) -> dict[str, Any]:
        return {"id": self._account.account_id, "name": "Demo"}

    def _request_context(self, _source: Any, info: GraphQLResolveInfo[Any]) -> dict[str, Any]:
        return {"apiKey": info.context["api_key"], "userId": "1"}

    def _resolve_account(self, _source: Any, _info: GraphQLResolveInfo[Any], id: int) -> dict[str, Any]:  # noqa: A002
        if id != self._account.account_id:
            raise _error(f"Account {id} does not exist, or the user of this key has no access to it", "FORBIDDEN")
        return self._outline()

    def _entity_search(self, _source: Any, _info: GraphQLResolveInfo[Any], query: str | None = None) -> dict[str, Any]:
        try:
            found = self._account.search(query or "")
        except NrqlError as error:
            raise _error(f"Invalid entity search query: {error}", "BAD_USER_INPUT") from None
        entities = [entity_outline(entity) for entity in found]
        return {"count": len(entities), "query": query, "results": {"entities": entities, "nextCursor": None}}

    async def _nrql(self, _source: Any, _info: GraphQLResolveInfo[Any], query: str, **options: Any) -> dict[str, Any]:
        timeout = _timeout(options.get("timeout"))
        self._count_query()
        seconds = self._account.settings.query_seconds
        in_background = bool(options.get("async")) and seconds > timeout
        if seconds > timeout and not in_background:
            await asyncio.sleep(timeout)
            raise _error("NRDB query duration exceeded the set timeout", "TIMEOUT")
        try:
            container = _container(query, run(parse(query), self._account.events))
        except NrqlError as error:
            raise _error(str(error), "BAD_USER_INPUT") from None
        await asyncio.sleep(min(seconds, timeout))
        if not in_background:
            return container
        query_id = uuid.uuid4().hex
        now = time.monotonic()
        self._pending[query_id] = _Pending(query, container, now + seconds - timeout, now)
        return self._unfinished(query_id)

    def _unfinished(self, query_id: str) -> dict[str, Any]:
        pending = self._pending[query_id]
        progress = {
            "completed": False,
            "queryId": query_id,
            "resultExpiration": int(RESULT_EXPIRATION),
            "retryAfter": max(1, math.ceil(pending.complete_at - time.monotonic())),
            "retryDeadline": int(RETRY_DEADLINE),
        }
        return {"nrql": pending.nrql, "queryProgress": progress}

    def _progress(self, _source: Any, _info: GraphQLResolveInfo[Any], **arguments: Any) -> dict[str, Any]:
        query_id, now = arguments["queryId"], time.monotonic()
        for name, pending in list(self._pending.items()):
            unfinished = now < pending.complete_at
            if now > (pending.asked_at + RETRY_DEADLINE if unfinished else pending.complete_at + RESULT_EXPIRATION):
                del self._pending[name]
        if query_id not in self._pending:
            raise _error("The query does not exist, or its results have expired", "BAD_USER_INPUT")
        asked = self._pending[query_id]
        asked.asked_at = now
        if now < asked.complete_at:
            return self._unfinished(query_id)
        return {**asked.container, "queryProgress": {**asked.container["queryProgress"], "queryId": query_id}}

    def _count_query(self) -> None:
        """Refuse a query over the account's limit for a minute."""
        now = time.monotonic()
        while self._recent and self._recent[0] < now - 60:
            self._recent.popleft()
        if len(self._recent) >= self._account.settings.queries_per_minute:
            raise _error("The account's limit of NRQL queries for a minute is exceeded", "TOO_MANY_REQUESTS")
        self._recent.append(now)

    def _create_event(self, _source: Any, _info: GraphQLResolveInfo[Any], **arguments: Any) -> dict[str, Any]:
        try:
            event, messages = create_event(self._account, arguments["changeTrackingEvent"], _flags(arguments))
        except ChangeRejected as error:
            raise _error(str(error), "BAD_USER_INPUT") from None
        return {"changeTrackingEvent": event, "messages": messages}

    def _create_deployment(self, _source: Any, _info: GraphQLResolveInfo[Any], **arguments: Any) -> dict[str, Any]:
        try:
            return create_deployment(self._account, arguments["deployment"], _flags(arguments))
        except ChangeRejected as error:
            raise _error(str(error), "BAD_USER_INPUT") from None


def _error(message: str, error_class: str) -> GraphQLError:
    return GraphQLError(message, extensions={"errorClass": error_class})


def _flags(arguments: dict[str, Any]) -> list[str]:
    return (arguments.get("dataHandlingRules") or {}).get("validationFlags") or []


def _timeout(wanted: Any) -> float:
    if wanted is None:
        return DEFAULT_TIMEOUT
    if not isinstance(wanted, (int, float)) or isinstance(wanted, bool) or not 0 < wanted <= MAX_TIMEOUT:
        raise _error(f"The timeout must be a number of seconds up to {MAX_TIMEOUT:.0f}", "BAD_USER_INPUT")
    return float(wanted)


def _container(query: str, answer: Answer) -> dict[str, Any]:
    """An answer as ``NrdbResultContainer``."""
    return {
        "nrql": query,
        "results": answer.results,
        "totalResult": answer.total,
        "otherResult": answer.other,
        "metadata": {
            "eventTypes": answer.event_types,
            "facets": answer.facets,
            "messages": answer.messages,
            "timeWindow": {
                "begin": answer.begin_ms,
                "compareWith": None,
                "end": answer.end_ms,
                "since": answer.since,
                "until": answer.until,
            },
        },
        "queryProgress": {
            "completed": True,
            "queryId": None,
            "resultExpiration": None,
            "retryAfter": None,
            "retryDeadline": None,
        },
        "rawResponse": {
            "metadata": {
                "beginTimeMillis": answer.begin_ms,
                "endTimeMillis": answer.end_ms,
                "eventTypes": answer.event_types,
                "messages": answer.messages,
                "rawSince": answer.since,
                "rawUntil": answer.until,
            },
            "performanceStats": {"inspectedCount": answer.inspected, "omittedCount": 0},
            "results": answer.results,
        },
    }
