"""Change tracking: deployment markers, checked as New Relic checks them and stored as events NRQL can query."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_cd.demo.new_relic.account import Account, Entity
from airflow_cd.demo.new_relic.nrql import NrqlError

DAY_MS = 24 * 3600 * 1000
MAX_FIELD_LENGTH = 4096
"""New Relic's limit for a text attribute, characters."""

CATEGORIES: Mapping[str, frozenset[str]] = {
    "BUSINESS_EVENT": frozenset({"CONVENTION", "MARKETING_CAMPAIGN", "OTHER"}),
    "DEPLOYMENT": frozenset({"BASIC", "BLUE_GREEN", "CANARY", "OTHER", "ROLLING", "SHADOW"}),
    "DEPLOYMENT_LIFECYCLE": frozenset(
        {
            "ARTIFACT_COPY",
            "ARTIFACT_DELETION",
            "ARTIFACT_DEPLOYMENT",
            "ARTIFACT_MOVE",
            "BUILD_DELETION",
            "BUILD_PROMOTION",
            "BUILD_UPLOAD",
            "IMAGE_DELETION",
            "IMAGE_PROMOTION",
            "IMAGE_PUSH",
            "RELEASE_BUNDLE_CREATION",
            "RELEASE_BUNDLE_DELETION",
            "RELEASE_BUNDLE_SIGN",
        }
    ),
    "FEATURE_FLAG": frozenset({"BASIC"}),
    "OPERATIONAL": frozenset({"CRASH", "OTHER", "SCHEDULED_MAINTENANCE_PERIOD", "SERVER_REBOOT"}),
}


class ChangeRejected(Exception):
    """A marker New Relic would not take."""


def create_event(account: Account, wanted: Mapping[str, Any], flags: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Store a change tracking event.

    :param wanted: a ``ChangeTrackingCreateEventInput``.
    :param flags: validation flags.
    :returns: the event as NerdGraph shows it, and messages that accompany success.
    :raises ChangeRejected: it is not accepted.
    """
    data = wanted.get("categoryAndTypeData") or {}
    category, kind, custom = _category(data.get("kind") or {}, flags)
    fields = data.get("categoryFields") or {}
    details = _details(category, fields)
    entity = _one_entity(account, wanted["entitySearch"]["query"])
    attributes = _custom_attributes(wanted.get("customAttributes") or {})
    texts = {name: wanted.get(name) for name in ("description", "groupId", "shortDescription", "user")}
    messages: list[str] = []
    texts, details = (_checked_lengths(part, flags, messages) for part in (texts, details))
    event = {
        "changeTrackingId": str(uuid.uuid4()),
        "category": category.replace("_", " ").title(),
        "type": kind.replace("_", " ").title(),
        "categoryAndType": "CUSTOMER_DEFINED__CUSTOM" if custom else f"{category}__{kind}",
        "timestamp": _timestamp(wanted.get("timestamp")),
        **texts,
        **details,
    }
    stored = {**attributes, **event, "entity.guid": entity.guid, "entity.name": entity.name, "entityGuid": entity.guid}
    account.markers["ChangeTrackingEvent"].append({name: value for name, value in stored.items() if value is not None})
    shown = {**event, "customAttributes": attributes or None, "entity": entity_outline(entity)}
    return {**shown, "__typename": _type_name(category)}, messages


def create_deployment(account: Account, wanted: Mapping[str, Any], flags: Sequence[str]) -> dict[str, Any]:
    """Store a deployment of the older mutation.

    :param wanted: a ``ChangeTrackingDeploymentInput``.
    :returns: the deployment as NerdGraph shows it.
    :raises ChangeRejected: it is not accepted.
    """
    entity = next((entity for entity in account.entities() if entity.guid == wanted["entityGuid"]), None)
    if entity is None:
        raise ChangeRejected(f"Entity with guid {wanted['entityGuid']} was not found")
    if not wanted["version"].strip():
        raise ChangeRejected("The version must not be empty")
    names = ("changelog", "commit", "deepLink", "description", "groupId", "user", "version")
    texts = _checked_lengths({name: wanted.get(name) for name in names}, flags, [])
    deployment = {
        **texts,
        "deploymentId": str(uuid.uuid4()),
        "deploymentType": wanted.get("deploymentType") or "BASIC",
        "entityGuid": entity.guid,
        "timestamp": _timestamp(wanted.get("timestamp")),
    }
    _store_deployment(account, deployment, entity)
    return deployment


def create_rest_deployment(account: Account, application_id: int, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Store a deployment of REST v2, whose fields are already checked; ``timestamp`` is epoch milliseconds."""
    entity = next(entity for entity in account.entities() if entity.application_id == application_id)
    deployment = {
        "deploymentId": str(uuid.uuid4()),
        "deploymentType": "BASIC",
        "entityGuid": entity.guid,
        "version": wanted["revision"],
        **{name: wanted.get(name) for name in ("changelog", "description", "user", "timestamp")},
    }
    _store_deployment(account, deployment, entity)
    return deployment


def _store_deployment(account: Account, deployment: Mapping[str, Any], entity: Entity) -> None:
    stored = {**deployment, "entity.guid": entity.guid, "entity.name": entity.name}
    account.markers["Deployment"].append({name: value for name, value in stored.items() if value is not None})


def entity_outline(entity: Entity) -> dict[str, Any]:
    """An entity as NerdGraph's ``ApmApplicationEntityOutline`` shows it."""
    return {
        "__typename": "ApmApplicationEntityOutline",
        "accountId": entity.account_id,
        "applicationId": entity.application_id,
        "domain": "APM",
        "entityType": "APM_APPLICATION_ENTITY",
        "guid": entity.guid,
        "name": entity.name,
        "reporting": True,
        "type": "APPLICATION",
    }


def _type_name(category: str) -> str:
    known = {"DEPLOYMENT": "ChangeTrackingDeploymentEvent", "FEATURE_FLAG": "ChangeTrackingFeatureFlagEvent"}
    return known.get(category, "ChangeTrackingGenericEvent")


def _category(kind: Mapping[str, Any], flags: Sequence[str]) -> tuple[str, str, bool]:
    """Category and type in New Relic's spelling, and whether they are the customer's own."""
    if not kind:
        raise ChangeRejected("categoryAndTypeData.kind with a category and a type is required")
    category, name = (str(kind[key]).strip().upper().replace(" ", "_") for key in ("category", "type"))
    if name in CATEGORIES.get(category, frozenset()):
        return category, name, False
    if "ALLOW_CUSTOM_CATEGORY_OR_TYPE" in flags and category and name:
        return category, name, True
    raise ChangeRejected(
        f"'{kind['category']}' and '{kind['type']}' are not a known category and type; "
        "pass ALLOW_CUSTOM_CATEGORY_OR_TYPE to use your own"
    )


def _details(category: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What only one category has."""
    if category == "DEPLOYMENT":
        deployment = fields.get("deployment") or {}
        if not str(deployment.get("version") or "").strip():
            raise ChangeRejected("categoryFields.deployment.version is required for the category Deployment")
        return {name: deployment.get(name) for name in ("changelog", "commit", "deepLink", "version")}
    if category == "FEATURE_FLAG":
        flag = fields.get("featureFlag") or {}
        if not flag.get("featureFlagId"):
            raise ChangeRejected("categoryFields.featureFlag.featureFlagId is required for the category Feature Flag")
        return {"featureFlagId": flag["featureFlagId"]}
    return {}


def _one_entity(account: Account, query: str) -> Entity:
    try:
        found = account.search(query)
    except NrqlError as error:
        raise ChangeRejected(f"The entity search query is not valid: {error}") from None
    if len(found) != 1:
        raise ChangeRejected(f"The entity search query must return exactly one entity, it returned {len(found)}")
    return found[0]


def _timestamp(value: Any) -> int:
    now = int(time.time() * 1000)
    if value is None:
        return now
    if not isinstance(value, int) or isinstance(value, bool):
        raise ChangeRejected("The timestamp must be a number of milliseconds since the Unix epoch")
    if abs(value - now) > DAY_MS:
        raise ChangeRejected("The timestamp must be within 24 hours of now")
    return value


def _custom_attributes(attributes: Any) -> dict[str, Any]:
    if not isinstance(attributes, Mapping):
        raise ChangeRejected("customAttributes must be a map of names to values")
    for name, value in attributes.items():
        if not isinstance(value, (str, int, float, bool)):
            raise ChangeRejected(f"The custom attribute '{name}' must be a text, a number or a boolean")
    return dict(attributes)


def _checked_lengths(texts: Mapping[str, Any], flags: Sequence[str], messages: list[str]) -> dict[str, Any]:
    """Texts cut to the limit, each cut with a message; refused instead with ``FAIL_ON_FIELD_LENGTH``."""
    checked = dict(texts)
    for name, value in texts.items():
        if not isinstance(value, str) or len(value) <= MAX_FIELD_LENGTH:
            continue
        if "FAIL_ON_FIELD_LENGTH" in flags:
            raise ChangeRejected(f"The field '{name}' is longer than {MAX_FIELD_LENGTH} characters")
        checked[name] = value[:MAX_FIELD_LENGTH]
        messages.append(f"The field '{name}' was truncated to {MAX_FIELD_LENGTH} characters")
    return checked
