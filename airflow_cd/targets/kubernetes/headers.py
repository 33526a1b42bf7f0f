"""Rules of an HTTPRoute by which requests with a header reach a canary, whatever its weight is.

Before each rule that sends requests to the stable pods' Service stands one with the same matches and the header as
well, which sends them to the canary's Service. Among rules of one path and method a gateway prefers the one with more
headers, then the one with more query parameters, then the first ("HTTPRouteRule.matches" of the Gateway API), so where
another rule of the route would win over the one that is there and not over the one that is added, none can be added.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import Object
from airflow_cd.targets.kubernetes.names import HEADER, canary_of
from airflow_cd.targets.kubernetes.rules import copied_to, mirrors_of

MOST_RULES, MOST_MATCHES, MOST_HEADERS = 16, 128, 16
"""Limits of the Gateway API: rules and matches of a route, headers of a match."""
_ANY: Object = {"path": {"type": "PathPrefix", "value": "/"}}
"""What a rule without matches matches."""
_OF_ONE_RULE = ("name",)
"""What of a rule no second one has."""


def theirs(route: Object, service: str, header: str) -> list[Object]:
    """The rules of a route without those that were added for requests with a header.

    :param route: the HTTPRoute.
    :param service: name of the stable pods' Service.
    :param header: ``Name: value``, ``""`` for none; rules of another one that was asked for before are told apart too.
    """
    added = {header, _written(route)} - {""}
    return [one for one in _rules(route) if not _is_added(one, service, added)]


def set_rules(route: Object, service: str, header: str) -> None:
    """Add the rules for requests with a header.

    :param route: the HTTPRoute, without such rules; it is changed.
    :param service: name of the stable pods' Service.
    :param header: ``Name: value``.
    """
    route["metadata"].setdefault("annotations", {})[HEADER] = header
    route["spec"]["rules"] = [one for rule in _rules(route) for one in (*_added(rule, service, header), rule)]


def drop_rules(route: Object, service: str, header: str) -> None:
    """Take the rules for requests with a header away.

    :param route: the HTTPRoute; it is changed.
    :param service: name of the stable pods' Service.
    :param header: as of :func:`theirs`.
    """
    left = theirs(route, service, header)
    if len(left) < len(_rules(route)):
        route["spec"]["rules"] = left
    (route["metadata"].get("annotations") or {}).pop(HEADER, None)


def has_rules(route: Object, service: str, header: str) -> bool:
    """Whether every rule that sends requests to a Service has one for requests with this very header.

    :param route: the HTTPRoute.
    :param service: name of the stable pods' Service.
    :param header: ``Name: value``.
    """
    left = theirs(route, service, header)
    wanted = sum(_serves(one, service) for one in left)
    return _written(route) == header and len(_rules(route)) - len(left) == wanted


def is_undone(route: Object, service: str) -> bool:
    """Whether rules were added and somebody else has taken them away.

    :param route: the HTTPRoute.
    :param service: name of the stable pods' Service.
    """
    written = _written(route)
    return bool(written) and not has_rules(route, service, written)


def require_room(route: Object, service: str, header: str) -> None:
    """Refuse a route that cannot be given rules for requests with a header; changes nothing.

    :param route: the HTTPRoute.
    :param service: name of the stable pods' Service.
    :param header: ``Name: value``.
    :raises TargetRejected: says what is in the way.
    """
    rules = theirs(route, service, header)
    if why := _in_the_way(rules, service, header):
        raise TargetRejected(
            f"HTTPRoute {route['metadata']['name']} cannot send requests with {header!r} to a canary: {why}.",
            state="nothing was changed.",
            next_step="Name another header, put this right in the route, or leave header out.",
        )


# -- inside ------------------------------------------------------------------------------------------------------------


def _rules(route: Object) -> list[Object]:
    return list(route["spec"].get("rules") or ())


def _written(route: Object) -> str:
    """The header of the rules that were added last; ``""`` where there are to be none."""
    return str((route["metadata"].get("annotations") or {}).get(HEADER, ""))


def _named(header: str) -> tuple[str, str]:
    name, _, value = header.partition(":")
    return name.strip(), value.strip()


def _matches(rule: Object) -> list[Object]:
    return list(rule.get("matches") or (_ANY,))


def _headers(match: Object) -> dict[str, Object]:
    """By name: of several of one name the first counts, and case does not."""
    return {one["name"].lower(): one for one in reversed(match.get("headers") or ())}


def _is_exact(header: Object) -> bool:
    return bool(header.get("type", "Exact") == "Exact")


def _has(match: Object, header: str) -> bool:
    name, value = _named(header)
    found = _headers(match).get(name.lower())
    return found is not None and found["value"] == value and _is_exact(found)


def _serves(rule: Object, service: str) -> bool:
    return any(one["name"] == service for one in rule.get("backendRefs") or ())


def _is_added(rule: Object, service: str, headers: set[str]) -> bool:
    to = [one["name"] for one in rule.get("backendRefs") or ()]
    only = to == [canary_of(service)]
    return only and any(all(_has(match, header) for match in _matches(rule)) for header in headers)


def _added(rule: Object, service: str, header: str) -> Iterator[Object]:
    """The rule to stand before another, if that sends requests to the Service."""
    mine = next((one for one in rule.get("backendRefs") or () if one["name"] == service), None)
    if mine is None:
        return
    name, value = _named(header)
    more = {"type": "Exact", "name": name, "value": value}
    added = copy.deepcopy({key: part for key, part in rule.items() if key not in _OF_ONE_RULE})
    added["matches"] = [
        {**match, "headers": [*(match.get("headers") or ()), dict(more)]} for match in copy.deepcopy(_matches(rule))
    ]
    # One that is reached by requests themselves needs no copies of them.
    copied = [one for one in mirrors_of(added) if copied_to(one) == canary_of(service)]
    if copied:
        added["filters"] = [one for one in added["filters"] if one not in copied]
    backend = {key: part for key, part in copy.deepcopy(mine).items() if key != "weight"}
    added["backendRefs"] = [{**backend, "name": canary_of(service)}]
    yield added


def _in_the_way(rules: list[Object], service: str, header: str) -> str:
    """What keeps rules from being added, as the end of a sentence; ``""`` for nothing."""
    name = _named(header)[0]
    mine = [rule for rule in rules if _serves(rule, service)]
    for number, rule in enumerate(rules, 1):
        if any(name.lower() in _headers(match) for match in _matches(rule)):
            return f"rule {number} matches {name} already"
        if rule in mine and any(len(match.get("headers") or ()) >= MOST_HEADERS for match in _matches(rule)):
            return f"rule {number} has a match with {MOST_HEADERS} headers, the most that there can be"
    if (count := len(rules) + len(mine)) > MOST_RULES:
        return f"it would have {count} rules, and there can be {MOST_RULES}"
    matches = sum(len(_matches(rule)) for rule in (*rules, *mine))
    if matches > MOST_MATCHES:
        return f"it would have {matches} matches, and there can be {MOST_MATCHES}"
    for number, rule in enumerate(rules):
        for other, their in enumerate(rules):
            if _serves(rule, service) and not _serves(their, service) and _overtakes(rule, their, other < number):
                return f"requests that rule {other + 1} takes from rule {number + 1} would be taken from it"
    return ""


def _overtakes(rule: Object, other: Object, first: bool) -> bool:
    """Whether a header more lets a rule win requests that the other one wins now.

    :param rule: the one that it would be added to.
    :param other: of the same route.
    :param first: whether the other one stands before it.
    """
    return any(
        _meet(one, their) and (*_rank(one), 0) < (*_rank(their), first) < (*_rank(one, 1), 1)
        for one in _matches(rule)
        for their in _matches(other)
    )


def _meet(one: Object, other: Object) -> bool:
    """Whether a request can fit both of two matches, neither of which is preferred for its path or method."""
    if (one.get("path") or _ANY["path"]) != (other.get("path") or _ANY["path"]):
        return False
    if one.get("method") != other.get("method"):
        return False
    ours, others = _headers(one), _headers(other)
    both = [(ours[name], others[name]) for name in ours.keys() & others.keys()]
    return not any(_is_exact(a) and _is_exact(b) and a["value"] != b["value"] for a, b in both)


def _rank(match: Object, more: int = 0) -> tuple[int, int]:
    """What decides between matches of one path and method: the number of headers, then that of query parameters."""
    return len(match.get("headers") or ()) + more, len(match.get("queryParams") or ())
