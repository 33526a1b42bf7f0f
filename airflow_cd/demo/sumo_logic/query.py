"""A Sumo Logic query: what it searches for, and the operators its results are piped through."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from airflow_cd.demo.sumo_logic.messages import Row
from airflow_cd.demo.sumo_logic.query_text import (
    END,
    Cursor,
    QueryError,
    Test,
    Token,
    search_expression,
    tokenize,
    values,
    wildcard,
)

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Step = Callable[[list[Row]], list[Row]]


@dataclass(frozen=True)
class Query:
    """A query ready to run.

    :param before: operators up to the aggregation; all of them when there is none.
    :param after: the aggregation and what follows it; empty without one.
    :param keys: fields the aggregation groups by.
    :param value: the field it computes.
    """

    search: Test
    before: tuple[Step, ...]
    after: tuple[Step, ...] = ()
    keys: tuple[str, ...] = ()
    value: str = "_count"

    @property
    def is_aggregate(self) -> bool:
        """Whether it yields records beside messages."""
        return bool(self.after)

    def messages(self, rows: Iterable[Row]) -> list[Row]:
        """Messages found, in the order given."""
        found = [row for row in rows if self.search(row)]
        for step in self.before:
            found = step(found)
        return found

    def records(self, messages: list[Row]) -> list[Row]:
        """The aggregated messages."""
        for step in self.after:
            messages = step(messages)
        return messages


def parse(text: str) -> Query:
    """Understand a query.

    :raises QueryError: saying what is not understood.
    """
    search, *operators = tokenize(text)
    before: list[Step] = []
    after: list[Step] = []
    keys: tuple[str, ...] = ()
    value = "_count"
    for tokens in operators:
        cursor = Cursor(tokens)
        name = cursor.take().lower
        if name == "count" and not after:
            step, keys, value = _count(cursor)
            after.append(step)
        else:
            (after or before).append(_operator(name, cursor))
        if cursor.peek() is not END:
            raise cursor.unexpected()
    return Query(search_expression(search), tuple(before), tuple(after), keys, value)


def _operator(name: str, cursor: Cursor) -> Step:
    if name == "where":
        test = _any_of(cursor)
        return lambda rows: [row for row in rows if test(row)]
    if name == "limit":
        number = cursor.take().text
        if not number.isdigit():
            raise QueryError(f"Unexpected token '{number}': limit needs a number.")
        return lambda rows: rows[: int(number)]
    if name == "timeslice":
        return _timeslice(cursor)
    if name in {"sort", "order"}:
        return _sort(cursor)
    raise QueryError(f"Unexpected operator '{name}'." if name else "Unexpected end of query.")


def _count(cursor: Cursor) -> tuple[Step, tuple[str, ...], str]:
    """``count [as name] [by field, …]``; the old ``count field`` counts by the field too."""
    if cursor.accept("("):
        cursor.accept_word("*")
        cursor.expect(")")
    value = "_count"
    if cursor.accept_word("as"):
        value = cursor.take().text.lower()
    keys: list[str] = []
    if cursor.accept_word("by") or cursor.peek().kind == "word":
        keys.append(_name(cursor))
        while cursor.accept(","):
            keys.append(_name(cursor))
    fields = tuple(keys)

    def step(rows: list[Row]) -> list[Row]:
        groups: dict[tuple[str, ...], int] = {}
        for row in rows:
            group = tuple(row.get(key, "") for key in fields)
            groups[group] = groups.get(group, 0) + 1
        if not fields:
            return [{value: str(len(rows))}]
        ordered = sorted(groups.items(), key=lambda item: (-item[1], item[0]))
        return [{**dict(zip(fields, group, strict=True)), value: str(number)} for group, number in ordered]

    return step, fields, value


def _name(cursor: Cursor) -> str:
    if cursor.peek().kind != "word":
        raise cursor.unexpected()
    return cursor.take().text.lower()


def _timeslice(cursor: Cursor) -> Step:
    """Adds ``_timeslice``, the start of the slice a message lies in, epoch milliseconds."""
    cursor.accept_word("by")
    match = re.fullmatch(r"(\d+)([smhd])", cursor.take().lower)
    if match is None or int(match[1]) == 0:
        raise QueryError("timeslice needs a span such as 1m.")
    width = int(match[1]) * _UNITS[match[2]] * 1000

    def step(rows: list[Row]) -> list[Row]:
        return [{**row, "_timeslice": str(int(row["_messagetime"]) // width * width)} for row in rows]

    return step


def _sort(cursor: Cursor) -> Step:
    cursor.accept_word("by")
    key = _name(cursor)
    ascending = cursor.accept_word("asc")
    if not ascending:
        cursor.accept_word("desc")
    return lambda rows: sorted(rows, key=lambda row: _comparable(row.get(key, "")), reverse=not ascending)


def _comparable(text: str) -> tuple[int, float, str]:
    try:
        return (0, float(text), "")
    except ValueError:
        return (1, 0.0, text)


# Conditions of where


def _any_of(cursor: Cursor) -> Test:
    tests = [_all_of(cursor)]
    while cursor.accept_word("or"):
        tests.append(_all_of(cursor))
    return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)


def _all_of(cursor: Cursor) -> Test:
    tests = [_negation(cursor)]
    while cursor.accept_word("and"):
        tests.append(_negation(cursor))
    return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)


def _negation(cursor: Cursor) -> Test:
    if cursor.accept("!") or cursor.accept_word("not"):
        inner = _negation(cursor)
        return lambda row: not inner(row)
    if cursor.accept("("):
        inner = _any_of(cursor)
        cursor.expect(")")
        return inner
    return _comparison(cursor)


def _comparison(cursor: Cursor) -> Test:
    key = _name(cursor)
    negated = cursor.accept_word("not")
    if cursor.accept_word("in"):
        choices = values(cursor)
        return lambda row: (row.get(key, "") in choices) != negated
    if cursor.accept_word("matches"):
        expression = wildcard(_operand(cursor))
        return lambda row: (expression.fullmatch(row.get(key, "")) is not None) != negated
    operator = cursor.peek().text
    if negated or not cursor.accept("=", "==", "!=", "<", "<=", ">", ">="):
        raise cursor.unexpected()
    operand = _comparable(_operand(cursor))
    tests: dict[str, Callable[[tuple[int, float, str]], bool]] = {
        "=": lambda value: value == operand,
        "==": lambda value: value == operand,
        "!=": lambda value: value != operand,
        "<": lambda value: value < operand,
        "<=": lambda value: value <= operand,
        ">": lambda value: value > operand,
        ">=": lambda value: value >= operand,
    }
    return lambda row: tests[operator](_comparable(row.get(key, "")))


def _operand(cursor: Cursor) -> str:
    token: Token = cursor.peek()
    if token.kind not in {"word", "string"}:
        raise cursor.unexpected()
    return cursor.take().text


def describe(keys: Sequence[str], value: str) -> list[dict[str, object]]:
    """The fields of an aggregate's records."""
    types = {"_timeslice": "long"}
    grouped: list[dict[str, object]] = [
        {"name": key, "fieldType": types.get(key, "string"), "keyField": True} for key in keys
    ]
    return [*grouped, {"name": value, "fieldType": "int", "keyField": False}]
