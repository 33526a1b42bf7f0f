"""New Relic: NRQL queries and deployment markers, through NerdGraph."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from airflow.sdk import BaseHook

from airflow_cd.errors import SourceError, SourceQueryRejected, SourceRejected, SourceUnavailable
from airflow_cd.hooks import nerdgraph
from airflow_cd.hooks.nrql import literal
from airflow_cd.hooks.recent import recent
from airflow_cd.http.auth import HeaderAuth
from airflow_cd.http.client import HttpClient
from airflow_cd.http.connection import ConnectionSettings
from airflow_cd.http.endpoint import Endpoint
from airflow_cd.http.exchange import Request
from airflow_cd.http.family import SOURCE
from airflow_cd.http.json_values import list_of, number_of, object_of
from airflow_cd.http.rate_limit import limiter_of
from airflow_cd.http.redaction import Redactor
from airflow_cd.http.retry import RetryPolicy
from airflow_cd.http.session import new_session

log = logging.getLogger(__name__)

REGIONS = {
    "US": "https://api.newrelic.com",
    "EU": "https://api.eu.newrelic.com",
    "JP": "https://api.jp.newrelic.com",
    "GOV": "https://gov-api.newrelic.com",
}
DEPLOYMENT_TYPES = ("Basic", "Blue Green", "Canary", "Rolling", "Shadow", "Other")

# NerdGraph allows a user 3,000 NRQL queries a minute and 25 requests at once, and asks for at most 5 heavy ones.
_CALLS, _SECONDS, _CONCURRENT = 40, 1.0, 5
# A synchronous query must be answered within one HTTP request; a longer one is started and asked after.
_LONGEST_SYNCHRONOUS = 60
_TIMEOUT_RANGE = (5, 600)
_NEWEST = "SELECT count(*) AS 'number', latest(timestamp) AS 'newest' FROM Transaction SINCE 5 minutes ago"
_RETRY = RetryPolicy(attempts=5, first_pause=1.0, longest_pause=20.0, spread=0.5)


@dataclass(frozen=True)
class NrqlResult:
    """What a query found.

    :param results: rows as New Relic sends them, names of attributes and aggregates to values.
    :param total: the aggregates over all facets: one row, or one for each time bucket, or none.
    :param messages: New Relic's notes on the answer.
    """

    results: list[dict[str, Any]]
    total: list[dict[str, Any]]
    messages: tuple[str, ...] = ()


class NewRelicHook(BaseHook):
    """Calls New Relic over one Airflow connection of type ``new_relic``.

    The connection: password is a User key (``NRAK-…``); extra holds ``account_id`` (or the login does), ``region``
    (US, EU, JP, GOV), ``timeout`` (seconds for a request, 30), ``deadline`` (seconds for an operation with its
    retries, 120), ``query_timeout`` (seconds New Relic may work on a query, 30) and ``verify`` (a CA bundle's path).
    A host replaces the region's address.

    Every method raises a :class:`~airflow_cd.errors.SourceError`: ``SourceUnauthorized``, ``SourceRejected`` for a
    connection and ``SourceQueryRejected`` for a request that is wrong; ``SourceThrottled`` and ``SourceUnavailable``,
    with ``retry_after`` where New Relic asked for a pause, once retrying did not help.

    :param new_relic_conn_id: the connection.
    :param sleep: called with seconds to wait.
    """

    conn_name_attr = "new_relic_conn_id"
    default_conn_name = "new_relic_default"
    conn_type = "new_relic"
    hook_name = "New Relic"

    def __init__(
        self, new_relic_conn_id: str = default_conn_name, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__()
        self.conn_id = new_relic_conn_id
        self._sleep = sleep
        self._connection: ConnectionSettings | None = None

    @property
    def connection(self) -> ConnectionSettings:
        """The connection, read once."""
        if self._connection is None:
            self._connection = ConnectionSettings.read(self.conn_id, SOURCE)
        return self._connection

    @property
    def account_id(self) -> int:
        """The account that is queried."""
        given = self.connection.text("account_id") or self.connection.login
        if not given.isascii() or not given.isdigit():
            raise SourceRejected(
                f"connection {self.conn_id!r}: the account id is {given!r}, not a number.",
                next_step="Put New Relic's account id into 'account_id' of the connection's extra.",
            )
        return int(given)

    def get_conn(self, *, longest: float = 0.0) -> HttpClient:
        """Return a session with New Relic; use it as a context manager.

        :param longest: seconds New Relic may be at work, which the time-outs have to leave room for.
        :raises SourceError: the connection is missing or wrong.
        """
        connection = self.connection
        key = connection.key()
        endpoint = Endpoint(
            name="New Relic",
            conn_id=self.conn_id,
            base_url=connection.address_in(REGIONS, "US").removesuffix("/graphql"),
            errors=SOURCE,
            redact=Redactor(connection.secrets),
            retry=_RETRY,
            timeout=max(connection.seconds("timeout", 30.0), min(longest, _LONGEST_SYNCHRONOUS) + 5),
            deadline=max(connection.seconds("deadline", 120.0), longest + 30),
        )
        limiter = limiter_of(f"{endpoint.base_url} {key}", _CALLS, _SECONDS, _CONCURRENT)
        session = new_session(HeaderAuth("Api-Key", key), connection.verify())
        return HttpClient(endpoint, session, limiter=limiter, sleep=self._sleep)

    def graphql(
        self,
        document: str,
        variables: Mapping[str, Any],
        *,
        repeatable: bool = True,
        client: HttpClient | None = None,
    ) -> dict[str, Any]:
        """Send a GraphQL document.

        :param document: query or mutation.
        :param variables: of the document.
        :param repeatable: False for a mutation, which is sent again only where it surely had no effect.
        :param client: a session to use; one of its own by default.
        :returns: the answer's ``data``.
        :raises SourceError: as of the class.
        """
        if client is None:
            with self.get_conn() as own:
                return self.graphql(document, variables, repeatable=repeatable, client=own)
        endpoint = client.endpoint
        content = client.json(
            Request("POST", "/graphql", {"query": document, "variables": dict(variables)}),
            repeatable=repeatable,
            judge=lambda answer: nerdgraph.judge(endpoint, answer),
        )
        for warning in nerdgraph.warnings_of(content):
            log.warning("%s: %s", endpoint.title, endpoint.redact.line(warning))
        data = content.get("data") if isinstance(content, Mapping) else None
        if not isinstance(data, dict):
            raise SourceUnavailable(
                f"{endpoint.title} answered without data: {endpoint.redact.line(content)}.",
                next_step="Check the connection's host: this does not look like NerdGraph.",
            )
        return data

    def nrql(self, query: str, timeout: float | None = None) -> list[dict[str, Any]]:
        """Return the rows of an NRQL query.

        :param query: the query.
        :param timeout: as of :meth:`query`.
        :raises SourceError: as of the class.
        """
        return self.query(query, timeout).results

    def query(self, query: str, timeout: float | None = None) -> NrqlResult:
        """Run an NRQL query to its end.

        :param query: the query, window included.
        :param timeout: seconds New Relic may work on it (5 to 600; how many an account has depends on its plan);
            ``query_timeout`` of the connection's extra, or 30, by default.
        :raises SourceQueryRejected: New Relic rejected the query, or the key may not see the account.
        :raises SourceError: as of the class.
        """
        seconds = timeout if timeout is not None else self.connection.seconds("query_timeout", 30.0)
        seconds = min(max(int(seconds), _TIMEOUT_RANGE[0]), _TIMEOUT_RANGE[1])
        variables = {
            "accountId": self.account_id,
            "query": query,
            "timeout": seconds,
            "async": seconds > _LONGEST_SYNCHRONOUS,
        }
        with self.get_conn(longest=seconds) as client:
            found = self._found(self.graphql(nerdgraph.NRQL_QUERY, variables, client=client), "nrql", client)
            while _unfinished(found):
                progress = found["queryProgress"]
                self._sleep(min(max(number_of(progress.get("retryAfter")) or 1, 0.2), max(client.remaining, 0.2)))
                asked = {"accountId": variables["accountId"], "queryId": progress["queryId"]}
                data = self.graphql(nerdgraph.NRQL_PROGRESS_QUERY, asked, client=client)
                found = self._found(data, "nrqlQueryProgress", client)
            redact = client.endpoint.redact.line
        messages = list_of(object_of(found.get("metadata")).get("messages"))
        return NrqlResult(
            results=_rows(found.get("results")),
            total=_rows(found.get("totalResult")),
            messages=tuple(map(redact, messages)),
        )

    def _found(self, data: Mapping[str, Any], name: str, client: HttpClient) -> dict[str, Any]:
        found = object_of(object_of(data.get("actor")).get("account")).get(name)
        if not isinstance(found, dict):
            raise SourceQueryRejected(
                f"{client.endpoint.title} gave no result for account {self.account_id}.",
                next_step="Check that the account exists in this region and that the key may see it.",
            )
        return found

    def resolve_entity(self, application: str) -> str:
        """Look up the GUID of the one APM application that has a name or an application id.

        :param application: name, or numeric application id.
        :raises SourceQueryRejected: none has it, or several have; the message names them.
        """
        try:
            text = literal(application)
        except ValueError as error:
            raise SourceQueryRejected(f"the application {error}.", next_step="Give its entity GUID instead.") from error
        field = "domainId" if application.isdigit() else "name"
        asked = {"query": f"domain = 'APM' AND {field} = {text}"}
        data = self.graphql(nerdgraph.ENTITY_SEARCH_QUERY, asked)
        results = object_of(object_of(object_of(data.get("actor")).get("entitySearch")).get("results"))
        entities = [entity for entity in map(object_of, list_of(results.get("entities"))) if entity.get("guid")]
        if len(entities) == 1:
            return str(entities[0]["guid"])
        if not entities:
            raise SourceQueryRejected(
                f"New Relic (connection {self.conn_id!r}) has no application {application!r}.",
                next_step="Check its name, and whether it has reported to this account.",
            )
        named = ", ".join(f"{entity.get('name')} ({entity['guid']})" for entity in entities[:10])
        raise SourceQueryRejected(
            f"New Relic (connection {self.conn_id!r}) has {len(entities)} applications {application!r}: {named}.",
            next_step="Give the GUID of the one to mark.",
        )

    def mark_deployment(
        self,
        *,
        version: str,
        application: str | None = None,
        entity_guid: str | None = None,
        description: str = "",
        user: str = "",
        group_id: str = "",
        attributes: Mapping[str, str | int | float | bool] | None = None,
        changelog: str | None = None,
        commit: str | None = None,
        deep_link: str | None = None,
        timestamp: datetime | None = None,
        deployment_type: str = "Canary",
        api: Literal["nerdgraph", "rest_v2"] = "nerdgraph",
    ) -> str:
        """Record a deployment on an application's charts.

        A marker is sent again only where the first surely was not recorded.

        :param version: what was deployed.
        :param application: its name or application id; or
        :param entity_guid: its entity GUID, which needs no look-up.
        :param description: shown with the marker; its first 100 characters as the title.
        :param user: who deployed.
        :param group_id: what markers of one run have in common.
        :param attributes: anything else to keep with it.
        :param changelog: text or URL of what changed.
        :param commit: of the version.
        :param deep_link: URL of the deployment's page.
        :param timestamp: when it happened, aware, within 24 hours of now; now by default.
        :param deployment_type: one of :data:`DEPLOYMENT_TYPES`.
        :param api: ``rest_v2`` needs the numeric application id, keeps neither type nor attributes, and ends on
            31 July 2027.
        :returns: the marker's id.
        :raises SourceQueryRejected: a value is wrong, or New Relic did not record the marker.
        :raises SourceError: as of the class.
        """
        if timestamp is not None and timestamp.tzinfo is None:
            raise self._wrong_marker("timestamp has no time zone")
        if api == "rest_v2":
            deployment = _without_empty(
                revision=version,
                changelog=changelog,
                description=description,
                user=user,
                timestamp=timestamp and timestamp.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            )
            return self._mark_over_rest(application, deployment)
        if api != "nerdgraph":
            raise self._wrong_marker(f"api is {api!r}, expected 'nerdgraph' or 'rest_v2'")
        if deployment_type not in DEPLOYMENT_TYPES:
            raise self._wrong_marker(
                f"deployment_type is {deployment_type!r}, expected one of {', '.join(DEPLOYMENT_TYPES)}"
            )
        entity = self._entity_query(application, entity_guid)
        fields = _without_empty(version=version, changelog=changelog, commit=commit, deepLink=deep_link)
        event = _without_empty(
            categoryAndTypeData={
                "kind": {"category": "Deployment", "type": deployment_type},
                "categoryFields": {"deployment": fields},
            },
            entitySearch={"query": entity},
            user=user,
            shortDescription=description[:100],
            description=description,
            groupId=group_id,
            timestamp=timestamp and int(timestamp.timestamp() * 1000),
            customAttributes=dict(attributes or {}),
        )
        rules = {"validationFlags": ["FAIL_ON_FIELD_LENGTH"]}
        asked = {"changeTrackingEvent": event, "dataHandlingRules": rules}
        with self.get_conn() as client:
            data = self.graphql(nerdgraph.CREATE_EVENT_MUTATION, asked, repeatable=False, client=client)
        created = object_of(data.get("changeTrackingCreateEvent"))
        messages = [client.endpoint.redact.line(message) for message in list_of(created.get("messages"))]
        return self._marker_in(created, messages, version)

    def _entity_query(self, application: str | None, entity_guid: str | None) -> str:
        if not (entity_guid or application):
            raise self._wrong_marker("neither application nor entity_guid is given")
        guid = entity_guid or self.resolve_entity(str(application))
        try:
            return f"id = {literal(guid)}"
        except ValueError as error:
            raise self._wrong_marker(f"the entity GUID {error}") from error

    def _marker_in(self, created: Mapping[str, Any], messages: Sequence[str], version: str) -> str:
        for message in messages:
            log.warning("New Relic on the marker of %s: %s", version, message)
        marker = object_of(created.get("changeTrackingEvent")).get("changeTrackingId")
        if not marker:
            raise SourceQueryRejected(
                f"New Relic (connection {self.conn_id!r}) did not record the marker of {version}: "
                f"{'; '.join(messages) or 'it gave no id and no reason'}.",
                next_step="Correct the marker's values; the deployment continues without it.",
            )
        return str(marker)

    def _mark_over_rest(self, application: str | None, deployment: Mapping[str, Any]) -> str:
        if not application or not application.isdigit():
            raise self._wrong_marker("the REST v2 API needs the numeric application id as application")
        path = f"/v2/applications/{application}/deployments.json"
        with self.get_conn() as client:
            content = client.json(Request("POST", path, {"deployment": deployment}), repeatable=False)
        made = content.get("deployment") if isinstance(content, Mapping) else None
        return str(made.get("id", "")) if isinstance(made, Mapping) else ""

    def _wrong_marker(self, reason: str) -> SourceQueryRejected:
        return SourceQueryRejected(
            f"the deployment marker for New Relic (connection {self.conn_id!r}) is wrong: {reason}.",
            next_step="Correct its values; nothing was sent.",
        )

    def test_connection(self) -> tuple[bool, str]:
        """Check the key and the account, by asking whose key it is and counting the newest transactions.

        :returns: whether it worked, and a sentence.
        """
        try:
            data = self.graphql(nerdgraph.USER_QUERY, {})
            user = object_of(object_of(data.get("actor")).get("user")).get("email") or "this key's user"
            found = self.nrql(_NEWEST)
        except SourceError as error:
            return False, str(error)
        row = found[0] if found else {}
        transactions = recent(int(number_of(row.get("number")) or 0), "transaction", row.get("newest"))
        return True, f"The key is of {user}, who may query account {self.account_id} of New Relic: {transactions}."


def _unfinished(found: Mapping[str, Any]) -> bool:
    progress = object_of(found.get("queryProgress"))
    return progress.get("completed") is False and bool(progress.get("queryId"))


def _rows(value: Any) -> list[dict[str, Any]]:
    """Rows of a field that is a list, or one object, or null."""
    items: Sequence[Any] = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, dict)]


def _without_empty(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, "", {})}
