"""What NRQL expressions and conditions mean for one event, and its aggregate functions for many."""

from __future__ import annotations

import operator
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import singledispatch
from typing import Any

from airflow_cd.demo.new_relic.nrql import (
    All,
    AnyOf,
    Arithmetic,
    Attribute,
    Call,
    Comparison,
    Condition,
    Expression,
    Is,
    Literal,
    Match,
    Membership,
    Not,
    NrqlError,
    Truth,
)

Event = dict[str, Any]
Predicate = Callable[[Event], bool]

APDEX_DEFAULT_T = 0.4
"""New Relic's threshold of ``apdex()`` without ``t:``, seconds."""

_AGGREGATES = {
    "apdex",
    "average",
    "count",
    "earliest",
    "filter",
    "latest",
    "max",
    "median",
    "min",
    "percentage",
    "percentile",
    "rate",
    "stddev",
    "sum",
    "uniquecount",
}


_ORDERINGS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def value_of(expression: Expression, event: Event) -> Any:
    """An expression's value for one event; None for what the event does not have."""
    if isinstance(expression, Attribute):
        return event.get(expression.name)
    if isinstance(expression, Literal):
        return expression.value
    if isinstance(expression, Arithmetic):
        return _calculate(expression.operator, value_of(expression.left, event), value_of(expression.right, event))
    if expression.function.lower() == "numeric" and len(expression.arguments) == 1:
        return _numeric(value_of(expression.arguments[0], event))
    raise NrqlError(f"NRQL Syntax Error: Unknown function {expression.function}() in this place")


def _reader(expression: Expression) -> Callable[[Event], Any]:
    """:func:`value_of` for one expression and many events."""
    if isinstance(expression, Attribute):
        name = expression.name
        return lambda event: event.get(name)
    if isinstance(expression, Literal):
        value = expression.value
        return lambda _event: value
    return lambda event: value_of(expression, event)


def _calculate(sign: str, left: Any, right: Any) -> float | None:
    if not _is_number(left) or not _is_number(right) or (sign == "/" and not right):
        return None
    result: float = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}[sign](left, right)
    return result


def _numeric(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


@singledispatch
def predicate(condition: Condition) -> Predicate:
    """A condition as a function of an event.

    A missing attribute equals nothing: ``=``, ``<``, ``IN`` and ``LIKE`` are false for it, their negations true.
    """
    raise NrqlError(f"NRQL Syntax Error: {condition!r} is not a condition")


@predicate.register
def _(condition: All) -> Predicate:
    parts = [predicate(part) for part in condition.conditions]
    return lambda event: all(part(event) for part in parts)


@predicate.register
def _(condition: AnyOf) -> Predicate:
    parts = [predicate(part) for part in condition.conditions]
    return lambda event: any(part(event) for part in parts)


@predicate.register
def _(condition: Not) -> Predicate:
    inner = predicate(condition.condition)
    return lambda event: not inner(event)


@predicate.register
def _(condition: Truth) -> Predicate:
    return lambda event: value_of(condition.value, event) is True


@predicate.register
def _(condition: Is) -> Predicate:
    read = _reader(condition.value)

    def holds(event: Event) -> bool:
        value = read(event)
        return (value is condition.expected or _equal(value, condition.expected)) != condition.negated

    return holds


@predicate.register
def _(condition: Membership) -> Predicate:
    read = _reader(condition.value)
    choices = [_reader(choice) for choice in condition.choices]
    texts = {choice.value for choice in condition.choices if isinstance(choice, Literal)}

    def holds(event: Event) -> bool:
        value = read(event)
        if isinstance(value, str) and value in texts:
            return not condition.negated
        return any(_equal(value, choice(event)) for choice in choices) != condition.negated

    return holds


@predicate.register
def _(condition: Match) -> Predicate:
    if condition.regular:
        try:
            expression = re.compile(condition.pattern, re.DOTALL)
        except re.error as error:
            raise NrqlError(f"NRQL Syntax Error: {condition.pattern!r} is not a regular expression: {error}") from None
    else:
        expression = re.compile(".*".join(re.escape(part) for part in condition.pattern.split("%")), re.DOTALL)

    read = _reader(condition.value)

    def holds(event: Event) -> bool:
        value = read(event)
        return (value is not None and expression.fullmatch(str(value)) is not None) != condition.negated

    return holds


@predicate.register
def _(condition: Comparison) -> Predicate:
    left_of, right_of = _reader(condition.left), _reader(condition.right)
    if condition.operator in _ORDERINGS:
        ordering = _ORDERINGS[condition.operator]

        def in_order(event: Event) -> bool:
            left, right = left_of(event), right_of(event)
            numbers = _is_number(left) and _is_number(right)
            return (numbers or (isinstance(left, str) and isinstance(right, str))) and ordering(left, right)

        return in_order
    expected = condition.operator == "="
    return lambda event: _equal(left_of(event), right_of(event)) == expected


def _equal(left: Any, right: Any) -> bool:
    if left is None or right is None:
        return False
    if type(left) is type(right):
        return bool(left == right)
    if isinstance(left, bool) or isinstance(right, bool):
        return str(left).lower() == str(right).lower()
    return bool(left == right)


def aggregates(expression: Expression) -> bool:
    """Whether an expression needs many events.

    :raises NrqlError: there is no such function.
    """
    if isinstance(expression, Arithmetic):
        return aggregates(expression.left) or aggregates(expression.right)
    if not isinstance(expression, Call):
        return False
    if expression.function.lower() in _AGGREGATES:
        return True
    if expression.function.lower() == "numeric":
        return False
    raise NrqlError(f"NRQL Syntax Error: Unknown function {expression.function}()")


def name_of(expression: Expression) -> str:
    """What New Relic calls an unnamed result (``average.duration``, ``count``)."""
    if isinstance(expression, Attribute):
        return expression.name
    if isinstance(expression, Literal):
        return str(expression.value)
    if isinstance(expression, Arithmetic):
        return f"{name_of(expression.left)} {expression.operator} {name_of(expression.right)}"
    if expression.arguments and not isinstance(expression.arguments[0], Literal):
        inner = name_of(expression.arguments[0])
        return (
            expression.function
            if expression.function.lower() in {"percentage", "filter"}
            else (f"{expression.function}.{inner}")
        )
    return expression.function


def aggregate(expression: Expression, events: Sequence[Event], seconds: float) -> Any:
    """An aggregate's value over events that cover so many seconds.

    None where there is nothing to compute it from; counts, sums and rates of nothing are 0.
    """
    if isinstance(expression, Arithmetic):
        left, right = (aggregate(side, events, seconds) for side in (expression.left, expression.right))
        return _calculate(expression.operator, left, right)
    if isinstance(expression, Literal):
        return expression.value
    if not isinstance(expression, Call):
        raise NrqlError("NRQL Syntax Error: attributes and aggregate functions cannot be selected together")
    return _aggregate_call(expression, events, seconds)


def _aggregate_call(call: Call, events: Sequence[Event], seconds: float) -> Any:
    function = call.function.lower()
    if function == "count":
        return len(events) if call.star or not call.arguments else len(_values(call, events))
    if function in {"filter", "percentage"}:
        return _conditional(call, events, seconds)
    if function == "rate":
        value = aggregate(_argument(call), events, seconds)
        return None if value is None or seconds <= 0 else value * (call.span or 1.0) / seconds
    values = _values(call, events)
    if function == "uniquecount":
        return len(set(values))
    if function in {"latest", "earliest"}:
        return (values[-1] if function == "latest" else values[0]) if values else None
    return _numeric_call(call, function, [value for value in values if _is_number(value)])


def _numeric_call(call: Call, function: str, numbers: Sequence[float]) -> Any:
    if function == "apdex":
        return _apdex(call, numbers)
    if function == "median":
        return percentiles(numbers, [50])
    if function == "percentile":
        return percentiles(numbers, [_rank(argument) for argument in call.arguments[1:]] or [95])
    return _summary(function, numbers)


def _summary(function: str, numbers: Sequence[float]) -> float | None:
    if function == "sum":
        return sum(numbers)
    if not numbers:
        return None
    summaries: Mapping[str, Callable[[Sequence[float]], float]] = {
        "average": statistics.fmean,
        "max": max,
        "min": min,
        "stddev": statistics.pstdev,
    }
    return summaries[function](numbers)


def _argument(call: Call) -> Expression:
    if not call.arguments:
        raise NrqlError(f"NRQL Syntax Error: {call.function}() needs an argument")
    return call.arguments[0]


def _values(call: Call, events: Sequence[Event]) -> list[Any]:
    read = _reader(_argument(call))
    return [value for event in events if (value := read(event)) is not None]


def _conditional(call: Call, events: Sequence[Event], seconds: float) -> Any:
    if call.where is None:
        raise NrqlError(f"NRQL Syntax Error: {call.function}() needs a WHERE argument")
    holds = predicate(call.where)
    part = aggregate(_argument(call), [event for event in events if holds(event)], seconds)
    if call.function.lower() == "filter":
        return part
    whole = aggregate(_argument(call), events, seconds)
    return 100.0 * part / whole if whole else None


def _apdex(call: Call, numbers: Sequence[float]) -> dict[str, Any]:
    """Satisfied below t, tolerating below 4 t, else frustrated (the Apdex standard)."""
    threshold = dict(call.named).get("t", Literal(APDEX_DEFAULT_T))
    if len(call.arguments) > 1:
        threshold = call.arguments[1]
    t = value_of(threshold, {})
    if not _is_number(t):
        raise NrqlError("NRQL Syntax Error: apdex() needs a number as t")
    satisfied = sum(number <= t for number in numbers)
    tolerating = sum(t < number <= 4 * t for number in numbers)
    total = len(numbers)
    score = (satisfied + tolerating / 2) / total if total else None
    return {"count": total, "f": total - satisfied - tolerating, "s": satisfied, "score": score, "t": tolerating}


def _rank(argument: Expression) -> float:
    rank = value_of(argument, {})
    if not _is_number(rank) or not 0 <= rank <= 100:
        raise NrqlError("NRQL Syntax Error: percentile() needs numbers from 0 to 100")
    return float(rank)


def percentiles(numbers: Sequence[float], ranks: Sequence[float]) -> dict[str, float | None]:
    """Percentiles by linear interpolation between the closest ranks, keyed as New Relic writes them (``"95"``)."""
    ordered = sorted(numbers)
    found: dict[str, float | None] = {}
    for rank in ranks:
        key = f"{rank:g}"
        if not ordered:
            found[key] = None
            continue
        position = rank / 100 * (len(ordered) - 1)
        below = int(position)
        above = min(below + 1, len(ordered) - 1)
        share = position - below
        between = ordered[below] * (1 - share) + ordered[above] * share
        found[key] = min(max(between, ordered[below]), ordered[above])
    return found
