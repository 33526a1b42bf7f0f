"""The account the server answers for: its credentials, limits, entities and events."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from airflow_cd.demo.new_relic.nrql import (
    All,
    AnyOf,
    Comparison,
    Condition,
    Expression,
    Literal,
    Membership,
    Not,
    NrqlError,
)
from airflow_cd.demo.new_relic.nrql_functions import Event, predicate
from airflow_cd.demo.new_relic.nrql_parser import parse_condition
from airflow_cd.demo.telemetry import Transaction, TransactionReader
from airflow_cd.errors import AirflowCdError

ACCOUNT_ID = 1234567
API_KEY = "NRAK-DEMO00000000000000000000000"
APPLICATION_ID = 42
APPLICATION_NAME = "shop"
USER_EMAIL = "demo@example.com"


@dataclass(frozen=True)
class Settings:
    """What can be turned on and off.

    :param concurrent: requests to NerdGraph at a time for each key; one more is answered 429.
    :param queries_per_minute: NRQL queries for the account.
    :param query_seconds: how long a NRQL query pretends to take.
    :param ingest_delay: seconds until a transaction can be queried.
    :param error_delay: the same for a transaction that failed, where that is more.
    :param bad_key_status: HTTP status for a wrong key; NerdGraph uses 200 and 401.
    """

    concurrent: int = 25
    queries_per_minute: int = 3000
    query_seconds: float = 0.0
    ingest_delay: float = 0.0
    error_delay: float = 0.0
    bad_key_status: int = 200

    def __post_init__(self) -> None:
        if self.concurrent < 1 or self.queries_per_minute < 1:
            raise ValueError("concurrent and queries_per_minute must be at least 1")
        if min(self.query_seconds, self.ingest_delay, self.error_delay) < 0:
            raise ValueError("query_seconds, ingest_delay and error_delay cannot be negative")
        if self.bad_key_status not in {200, 401, 403}:
            raise ValueError("bad_key_status must be 200, 401 or 403")


@dataclass(frozen=True)
class Entity:
    """An APM application as New Relic's entity platform knows it."""

    account_id: int
    application_id: int
    name: str

    @property
    def guid(self) -> str:
        """Base 64 of ``account|domain|type|domain id``, unpadded."""
        plain = f"{self.account_id}|APM|APPLICATION|{self.application_id}"
        return base64.b64encode(plain.encode()).decode().rstrip("=")

    def attributes(self) -> Event:
        """What an entity search can ask for."""
        return {
            "id": self.guid,
            "guid": self.guid,
            "name": self.name,
            "domain": "APM",
            "type": "APPLICATION",
            "domainId": str(self.application_id),
            "accountId": str(self.account_id),
            "reporting": "true",
        }


@dataclass
class Account:
    """One account with its applications, transactions and markers.

    :param applications: name of each application by its id.
    :param wall: seconds since 1970.
    """

    reader: TransactionReader
    account_id: int = ACCOUNT_ID
    api_key: str = API_KEY
    applications: Mapping[int, str] = field(default_factory=lambda: {APPLICATION_ID: APPLICATION_NAME})
    settings: Settings = field(default_factory=Settings)
    wall: Callable[[], float] = time.time
    markers: dict[str, list[Event]] = field(default_factory=lambda: {"ChangeTrackingEvent": [], "Deployment": []})

    def entities(self) -> list[Entity]:
        """Every application, in the order of its name."""
        entities = [Entity(self.account_id, number, name) for number, name in self.applications.items()]
        return sorted(entities, key=lambda entity: (entity.name, entity.application_id))

    def search(self, query: str) -> list[Entity]:
        """Entities that fit an entity search query (``=``, ``IN``, ``LIKE``, ``AND`` …).

        :raises NrqlError: when the query cannot be understood.
        """
        if not query.strip():
            raise NrqlError("The entity search query is empty")
        holds = predicate(_in_texts(parse_condition(query)))
        return [entity for entity in self.entities() if holds(entity.attributes())]

    def events(self, kind: str, since_ms: float, until_ms: float) -> list[Event] | None:
        """Events of a type in ``since <= timestamp < until``, oldest first; None for a type there is not."""
        if kind in self.markers:
            found = [event for event in self.markers[kind] if since_ms <= event["timestamp"] < until_ms]
            return sorted(found, key=lambda event: event["timestamp"])
        if kind != "Transaction":
            return None
        self.reader.refresh()
        now, read = self.wall() * 1000, self.reader.index.between(since_ms, until_ms)
        return [self._event(transaction) for transaction in read if self._found_at(transaction) <= now]

    def _found_at(self, transaction: Transaction) -> float:
        """When a transaction can be queried, epoch milliseconds."""
        delay = self.settings.ingest_delay
        if transaction.attributes.get("error"):
            delay = max(delay, self.settings.error_delay)
        return transaction.arrival_ms + delay * 1000

    def _event(self, transaction: Transaction) -> Event:
        """A transaction with what New Relic's agent and collector add to it."""
        event = transaction.attributes
        if "timestamp" not in event:
            event |= {"timestamp": transaction.time_ms, "transactionType": "Web"}
            number = next((number for number, name in self.applications.items() if name == event.get("appName")), None)
            if number is not None:
                event |= {"appId": number, "entityGuid": self.guid(number)}
        return event

    def guid(self, application_id: int) -> str:
        """The entity GUID of an application."""
        return Entity(self.account_id, application_id, "").guid


def _in_texts(condition: Condition) -> Condition:
    """The condition with numbers as texts: an entity search takes ids with and without quotes."""
    if isinstance(condition, (All, AnyOf)):
        return replace(condition, conditions=tuple(_in_texts(part) for part in condition.conditions))
    if isinstance(condition, Not):
        return Not(_in_texts(condition.condition))
    if isinstance(condition, Comparison):
        return replace(condition, right=_text(condition.right))
    if isinstance(condition, Membership):
        return replace(condition, choices=tuple(_text(choice) for choice in condition.choices))
    return condition


def _text(expression: Expression) -> Expression:
    if isinstance(expression, Literal) and isinstance(expression.value, int):
        return Literal(str(expression.value).lower())
    return expression


def parse_applications(texts: list[str]) -> dict[int, str]:
    """Applications from ``id=name`` arguments.

    :raises AirflowCdError: naming the argument that is wrong.
    """
    applications: dict[int, str] = {}
    for text in texts:
        number, separator, name = text.partition("=")
        if not separator or not number.isdigit() or not name.strip():
            raise AirflowCdError(
                f"the application {text!r} cannot be read.", next_step="Write it as id=name, for example 42=shop."
            )
        applications[int(number)] = name.strip()
    return applications
