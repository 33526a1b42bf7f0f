"""The rules of an HTTPRoute: the weights of a Service and its canary's, and copies of requests for the canary."""

from __future__ import annotations

from airflow_cd.hooks.kubernetes import Object
from airflow_cd.instances import WHOLE
from airflow_cd.targets.kubernetes.names import WEIGHT, canary_of


def mirrors_of(rule: Object) -> list[Object]:
    """The filters of a rule that copy requests.

    :param rule: of an HTTPRoute.
    """
    return [one for one in rule.get("filters") or () if one.get("type") == "RequestMirror"]


def copied_to(mirror: Object) -> str:
    """The name of the backend that such a filter copies requests to.

    :param mirror: a filter of :func:`mirrors_of`.
    """
    return str(mirror["requestMirror"]["backendRef"]["name"])


def divided_already(route: Object, service: str) -> list[str]:
    """The backends among which a rule that has the Service divides requests already; none where the Service has all.

    :param route: the HTTPRoute.
    :param service: name of the stable pods' Service; its canary does not count.
    """
    for rule in route["spec"].get("rules") or ():
        served = [one["name"] for one in rule.get("backendRefs") or () if one.get("weight", 1)]
        others = [name for name in served if name != canary_of(service)]
        if service in others and len(others) > 1:
            return others
    return []


def keeps_sessions(route: Object, service: str) -> int:
    """The number, from 1, of a rule with the Service that lets sessions stay with a backend; 0 where none does.

    By the Gateway API they stay whatever the weights become (GEP-1619).

    :param route: the HTTPRoute.
    :param service: name of the stable pods' Service.
    """
    for number, rule in enumerate(route["spec"].get("rules") or (), 1):
        if rule.get("sessionPersistence") and any(one["name"] == service for one in rule.get("backendRefs") or ()):
            return number
    return 0


def divide(route: Object, service: str, share: int | None, copies: int = 0) -> None:
    """Divide the requests of a route between a Service and its canary's, in every rule that names it.

    No rule is ever left with nothing but weights of 0.

    :param route: the HTTPRoute; it is changed.
    :param service: name of the stable pods' Service.
    :param share: percent of the canary; None takes its place away and gives the Service the weight it had.
    :param copies: percent of the requests that are copied to the canary; none by default.
    """
    meta = route["metadata"].setdefault("annotations", {})
    for number, rule in enumerate(route["spec"].get("rules") or ()):
        backends = rule.get("backendRefs") or []
        mine = next((one for one in backends if one["name"] == service), None)
        if mine is None:
            continue
        had = f"{WEIGHT}.{number}"
        others = [one for one in backends if one["name"] != canary_of(service)]
        _copy(rule, {**mine, "name": canary_of(service)}, copies)
        if share is None:
            # Without either its weight is its own: it was given back before.
            if had in meta or len(others) < len(backends):
                mine.pop("weight", None)
            if weight := meta.pop(had, ""):
                mine["weight"] = int(weight)
            rule["backendRefs"] = others
            continue
        if len(others) == len(backends):
            # With the canary beside it, the weight is ours, whichever number the rule had when it was noted.
            meta.setdefault(had, str(mine.get("weight", "")))
        mine["weight"] = WHOLE - share
        place = others.index(mine) + 1
        rule["backendRefs"] = [*others[:place], {**mine, "name": canary_of(service), "weight": share}, *others[place:]]


def _copy(rule: Object, backend: Object, copies: int) -> None:
    """Let a rule copy that percentage of its requests to a backend, or none; copies for others stay."""
    filters = rule.get("filters") or []
    mine = [one for one in mirrors_of(rule) if copied_to(one) == backend["name"]]
    kept = [one for one in filters if one not in mine]
    if copies:
        to = {name: backend[name] for name in ("group", "kind", "name", "namespace", "port") if name in backend}
        part = {"percent": copies} if copies < WHOLE else {}
        kept.append({"type": "RequestMirror", "requestMirror": {"backendRef": to, **part}})
    if kept or filters:
        rule["filters"] = kept
    if not kept and mine:
        rule.pop("filters")
