"""From NRQL text to its tree: a tokenizer and a recursive descent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
    Moment,
    Not,
    NrqlError,
    Order,
    Query,
    Selected,
    Truth,
)

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|//[^\n]*)
    |(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<raw>r'(?:[^'\\]|\\.)*')
    |(?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<quoted>`[^`]+`)
    |(?P<word>[A-Za-z_][\w.]*)
    |(?P<symbol><=|>=|!=|<>|[=<>(),*+\-/:])""",
    re.VERBOSE | re.DOTALL,
)

_UNITS = {"SECOND": 1.0, "MINUTE": 60.0, "HOUR": 3600.0, "DAY": 86400.0, "WEEK": 604800.0}
_UNITS |= {f"{unit}S": seconds for unit, seconds in _UNITS.items()}
_CLAUSES = ("SELECT", "FROM", "WHERE", "FACET", "LIMIT", "SINCE", "UNTIL", "TIMESERIES", "ORDER", "WITH", "EXTRAPOLATE")
_RESERVED = {*_CLAUSES, "AND", "OR", "NOT", "IN", "LIKE", "RLIKE", "IS", "AS", "BY", "ASC", "DESC"}
_COMPARISONS = {"=", "!=", "<>", "<", "<=", ">", ">="}
_REFUSED = {"COMPARE", "SLIDE", "HAVING", "JOIN", "OFFSET", "PREDICT"}


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int

    @property
    def upper(self) -> str:
        return self.text.upper() if self.kind == "word" else ""


def parse(text: str) -> Query:
    """The tree of a query.

    :raises NrqlError: with the line and position of what was not expected.
    """
    return _Parser(text).query()


def parse_condition(text: str) -> Condition:
    """The tree of a condition alone, as New Relic's entity search takes it.

    :raises NrqlError: with the line and position of what was not expected.
    """
    parser = _Parser(text)
    condition = parser.condition()
    parser.expect_end()
    return condition


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._tokenize())
        self._next = 0

    def _tokenize(self) -> Iterator[_Token]:
        position = 0
        while position < len(self._text):
            match = _TOKEN.match(self._text, position)
            if match is None:
                raise self._error(position, self._text[position])
            if match.lastgroup != "space":
                yield _Token(str(match.lastgroup), match.group(), position)
            position = match.end()
        yield _Token("end", "", len(self._text))

    def _error(self, position: int, found: str) -> NrqlError:
        line = self._text.count("\n", 0, position) + 1
        column = position - (self._text.rfind("\n", 0, position) + 1) + 1
        what = f"unexpected '{found}'" if found else "unexpected end of query"
        return NrqlError(f"NRQL Syntax Error: Error at line {line} position {column}, {what}")

    def _unexpected(self) -> NrqlError:
        return self._error(self._peek.position, self._peek.text)

    @property
    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._peek
        self._next += token.kind != "end"
        return token

    def _word(self, *words: str) -> str:
        """Take the next token if it is one of the key words."""
        if self._peek.upper in words:
            return self._take().upper
        return ""

    def _symbol(self, *symbols: str) -> str:
        if self._peek.kind == "symbol" and self._peek.text in symbols:
            return self._take().text
        return ""

    def _expect_symbol(self, symbol: str) -> None:
        if not self._symbol(symbol):
            raise self._unexpected()

    def expect_end(self) -> None:
        """Nothing may follow."""
        if self._peek.kind != "end":
            raise self._unexpected()

    # Clauses

    def query(self) -> Query:
        """SELECT and FROM in either order, then the other clauses in any."""
        found: dict[str, Any] = {}
        while self._peek.kind != "end":
            token = self._peek
            clause = self._word(*_CLAUSES)
            if token.upper in _REFUSED:
                raise NrqlError(f"NRQL Syntax Error: {token.upper} is not supported by this server")
            if not clause or (clause in found and clause not in {"WITH", "WHERE"}):
                raise self._error(token.position, token.text)
            found.setdefault(clause, True)
            self._clause(clause, found)
        if "FROM" not in found or "SELECT" not in found:
            raise self._unexpected()
        query = Query(events=found["events"], selected=found["selected"], star=found["star"])
        names = ("where", "facets", "limit", "since", "until", "timeseries", "order", "timezone")
        return replace(query, **{name: found[name] for name in names if name in found})

    def _clause(self, clause: str, found: dict[str, Any]) -> None:
        if clause == "SELECT":
            found["star"] = bool(self._symbol("*"))
            found["selected"] = () if found["star"] else self._selection()
        elif clause == "FROM":
            found["events"] = (self._name(), *self._more_names())
        elif clause == "WHERE":
            condition = self.condition()
            found["where"] = All((found["where"], condition)) if "where" in found else condition
        elif clause == "FACET":
            found["facets"] = self._selection()
        elif clause == "LIMIT":
            found["limit"] = -1 if self._word("MAX") else self._whole_number()
        elif clause in {"SINCE", "UNTIL"}:
            found[clause.lower()] = self._moment()
        elif clause == "TIMESERIES":
            found["timeseries"] = self._word("AUTO", "MAX") or (self._span() if self._peek.kind == "number" else "AUTO")
        elif clause == "ORDER":
            found["order"] = self._order()
        elif clause == "WITH":
            self._timezone(found)

    def _selection(self) -> tuple[Selected, ...]:
        selected = [self._selected()]
        while self._symbol(","):
            selected.append(self._selected())
        return tuple(selected)

    def _selected(self) -> Selected:
        expression = self._sum()
        if not self._word("AS"):
            return Selected(expression)
        if self._peek.kind == "string":
            return Selected(expression, _unquote(self._take().text))
        return Selected(expression, self._name())

    def _more_names(self) -> tuple[str, ...]:
        names = []
        while self._symbol(","):
            names.append(self._name())
        return tuple(names)

    def _name(self) -> str:
        if self._peek.kind == "quoted":
            return self._take().text[1:-1]
        if self._peek.kind != "word" or self._peek.upper in _RESERVED:
            raise self._unexpected()
        return self._take().text

    def _whole_number(self) -> int:
        token = self._peek
        if token.kind != "number" or not token.text.isdigit():
            raise self._unexpected()
        return int(self._take().text)

    def _span(self) -> float:
        """``5 minutes`` in seconds."""
        amount = float(self._take().text)
        unit = _UNITS.get(self._peek.upper)
        if unit is None or amount <= 0:
            raise self._unexpected()
        self._take()
        return amount * unit

    def _moment(self) -> Moment:
        token = self._peek
        if token.kind == "string":
            self._take()
            return Moment(token.text, literal=_unquote(token.text))
        word = self._word("NOW", "TODAY", "YESTERDAY")
        if word:
            return Moment(word, seconds_ago=0.0) if word == "NOW" else Moment(word, literal=word)
        if token.kind != "number":
            raise self._unexpected()
        following = self._tokens[self._next + 1]
        if following.upper not in _UNITS:
            self._take()
            return Moment(token.text, literal=float(token.text))
        seconds = self._span()
        if not self._word("AGO"):
            raise self._unexpected()
        return Moment(f"{token.text} {following.upper} AGO", seconds_ago=seconds)

    def _order(self) -> Order:
        if not self._word("BY"):
            raise self._unexpected()
        expression = self._sum()
        return Order(expression, self._word("ASC", "DESC") != "ASC")

    def _timezone(self, found: dict[str, Any]) -> None:
        if not self._word("TIMEZONE") or self._peek.kind != "string":
            raise self._unexpected()
        found["timezone"] = _unquote(self._take().text)

    # Conditions

    def condition(self) -> Condition:
        """A condition; NOT binds closest, then AND, then OR."""
        either = [self._conjunction()]
        while self._word("OR"):
            either.append(self._conjunction())
        return either[0] if len(either) == 1 else AnyOf(tuple(either))

    def _conjunction(self) -> Condition:
        every = [self._negation()]
        while self._word("AND"):
            every.append(self._negation())
        return every[0] if len(every) == 1 else All(tuple(every))

    def _negation(self) -> Condition:
        if self._word("NOT"):
            return Not(self._negation())
        return self._nested_condition() or self._predicate()

    def _nested_condition(self) -> Condition | None:
        """A condition in parentheses; None when the parentheses belong to an expression."""
        start = self._next
        if not self._symbol("("):
            return None
        try:
            condition = self.condition()
            self._expect_symbol(")")
        except NrqlError:
            self._next = start
            return None
        if self._peek.kind == "symbol" and self._peek.text in _COMPARISONS | {"*", "/", "+", "-"}:
            self._next = start
            return None
        return condition

    def _predicate(self) -> Condition:
        left = self._sum()
        operator = self._symbol(*_COMPARISONS)
        if operator:
            return Comparison("!=" if operator == "<>" else operator, left, self._sum())
        if self._word("IS"):
            negated = bool(self._word("NOT"))
            expected = self._word("NULL", "TRUE", "FALSE")
            if not expected:
                raise self._unexpected()
            return Is(left, {"NULL": None, "TRUE": True, "FALSE": False}[expected], negated)
        negated = bool(self._word("NOT"))
        if self._word("IN"):
            return Membership(left, self._choices(), negated)
        kind = self._word("LIKE", "RLIKE")
        if kind:
            if self._peek.kind not in {"string", "raw"}:
                raise self._unexpected()
            return Match(left, _unquote(self._take().text), kind == "RLIKE", negated)
        if negated or isinstance(left, Literal):
            raise self._unexpected()
        return Truth(left)

    def _choices(self) -> tuple[Expression, ...]:
        self._expect_symbol("(")
        choices = [self._sum()]
        while self._symbol(","):
            choices.append(self._sum())
        self._expect_symbol(")")
        return tuple(choices)

    # Expressions

    def _sum(self) -> Expression:
        left = self._product()
        while operator := self._symbol("+", "-"):
            left = Arithmetic(operator, left, self._product())
        return left

    def _product(self) -> Expression:
        left = self._factor()
        while operator := self._symbol("*", "/"):
            left = Arithmetic(operator, left, self._factor())
        return left

    def _factor(self) -> Expression:
        token = self._peek
        if self._symbol("-"):
            return Arithmetic("-", Literal(0), self._factor())
        if self._symbol("("):
            inner = self._sum()
            self._expect_symbol(")")
            return inner
        if token.kind == "number":
            self._take()
            return Literal(int(token.text) if token.text.isdigit() else float(token.text))
        if token.kind in {"string", "raw"}:
            self._take()
            return Literal(_unquote(token.text))
        if token.upper in {"TRUE", "FALSE", "NULL"}:
            self._take()
            return Literal({"TRUE": True, "FALSE": False, "NULL": None}[token.upper])
        name = self._name()
        if token.kind == "word" and self._symbol("("):
            return self._call(name)
        return Attribute(name)

    def _call(self, function: str) -> Call:
        if self._symbol("*"):
            self._expect_symbol(")")
            return Call(function, star=True)
        arguments: list[Expression] = []
        named: list[tuple[str, Expression]] = []
        where: Condition | None = None
        span: float | None = None
        while not self._symbol(")"):
            following = self._tokens[min(self._next + 1, len(self._tokens) - 1)]
            if self._word("WHERE"):
                where = self.condition()
            elif self._peek.kind == "word" and following.text == ":":
                name = self._take().text
                self._take()
                named.append((name, self._sum()))
            elif self._peek.kind == "number" and following.upper in _UNITS:
                span = self._span()
            else:
                arguments.append(self._sum())
            if not self._symbol(",") and self._peek.text != ")":
                raise self._unexpected()
        return Call(function, tuple(arguments), tuple(named), where, span=span)


def _unquote(text: str) -> str:
    """The content of a string; a raw one keeps its backslashes."""
    if text.startswith("r'"):
        return text[2:-1]
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
