"""Tokens of a Sumo Logic query, and the search expressions in front of its first pipe."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from airflow_cd.demo.sumo_logic.messages import Row

Test = Callable[[Row], bool]

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<symbol>!=|==|<=|>=|[()=,|!<>])
    |(?P<word>[^\s()=,|!<>"]+)""",
    re.VERBOSE | re.DOTALL,
)


class QueryError(Exception):
    """The query cannot be understood."""


@dataclass(frozen=True)
class Token:
    """A piece of the query; a ``string`` has its quotes removed."""

    kind: str
    text: str

    @property
    def lower(self) -> str:
        """The text of a bare word, lower case; empty for anything else."""
        return self.text.lower() if self.kind == "word" else ""

    def is_symbol(self, *symbols: str) -> bool:
        """Whether it is one of the symbols."""
        return self.kind == "symbol" and self.text in symbols


END = Token("end", "")


class Cursor:
    """Reads tokens one after another."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._next = 0

    def peek(self, ahead: int = 0) -> Token:
        """A token that is still to come."""
        position = self._next + ahead
        return self._tokens[position] if position < len(self._tokens) else END

    def take(self) -> Token:
        """The next token."""
        token = self.peek()
        self._next += 1
        return token

    def accept(self, *symbols: str) -> bool:
        """Take the next token if it is one of the symbols."""
        if self.peek().is_symbol(*symbols):
            self.take()
            return True
        return False

    def accept_word(self, *words: str) -> bool:
        """Take the next token if it is one of the words, in any case."""
        if self.peek().lower in words:
            self.take()
            return True
        return False

    def expect(self, symbol: str) -> None:
        """Take the symbol.

        :raises QueryError: when something else comes.
        """
        if not self.accept(symbol):
            raise self.unexpected()

    def unexpected(self) -> QueryError:
        """An error about the next token."""
        token = self.peek()
        return QueryError(f"Unexpected token '{token.text}'." if token is not END else "Unexpected end of query.")


def tokenize(text: str) -> list[list[Token]]:
    """Tokens of each part between pipes.

    :raises QueryError: for a quote that is not closed.
    """
    parts: list[list[Token]] = [[]]
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise QueryError(f"Unclosed quote at position {position + 1}.")
        position = match.end()
        if match.lastgroup == "space":
            continue
        if match.group() == "|":
            parts.append([])
        elif match.lastgroup == "string":
            parts[-1].append(Token("string", re.sub(r"\\(.)", r"\1", match.group()[1:-1], flags=re.DOTALL)))
        else:
            parts[-1].append(Token(str(match.lastgroup), match.group()))
    return parts


def wildcard(pattern: str) -> re.Pattern[str]:
    """A pattern in which ``*`` stands for anything and ``?`` for one character, in any case."""
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.compile(expression, re.DOTALL | re.IGNORECASE)


def search_expression(tokens: list[Token]) -> Test:
    """The keyword and metadata search in front of the first pipe; nothing finds everything.

    :raises QueryError: when it cannot be understood.
    """
    cursor = Cursor(tokens)
    if cursor.peek() is END:
        return lambda _row: True
    test = _either(cursor)
    if cursor.peek() is not END:
        raise cursor.unexpected()
    return test


def _either(cursor: Cursor) -> Test:
    tests = [_every(cursor)]
    while cursor.accept_word("or"):
        tests.append(_every(cursor))
    return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)


def _every(cursor: Cursor) -> Test:
    tests = [_one(cursor)]
    while True:
        together = cursor.accept_word("and")
        following = cursor.peek()
        if not together and (following is END or following.lower == "or" or following.is_symbol(")")):
            return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)
        tests.append(_one(cursor))


def _one(cursor: Cursor) -> Test:
    if cursor.accept("!") or cursor.accept_word("not"):
        inner = _one(cursor)
        return lambda row: not inner(row)
    if cursor.accept("("):
        inner = _either(cursor)
        cursor.expect(")")
        return inner
    token = cursor.peek()
    if token.kind not in {"word", "string"} or token.lower in {"and", "or"}:
        raise cursor.unexpected()
    cursor.take()
    if token.kind == "word" and cursor.peek().is_symbol("=", "!="):
        negated = cursor.take().text == "!="
        return _field(token.text, [_value(cursor)], negated)
    if token.text.startswith("_") and cursor.peek().lower == "in" and cursor.peek(1).is_symbol("("):
        cursor.take()
        return _field(token.text, values(cursor), negated=False)
    return _keyword(token)


def _value(cursor: Cursor) -> str:
    token = cursor.peek()
    if token.kind not in {"word", "string"}:
        raise cursor.unexpected()
    return cursor.take().text


def values(cursor: Cursor) -> list[str]:
    """``("a", "b")``.

    :raises QueryError: when something else comes.
    """
    cursor.expect("(")
    found = [_value(cursor)]
    while cursor.accept(","):
        found.append(_value(cursor))
    cursor.expect(")")
    return found


def _field(name: str, patterns: list[str], negated: bool) -> Test:
    if name.lower() in {"_index", "_view"}:
        known = any(wildcard(pattern).fullmatch("sumologic_default") for pattern in patterns)
        return lambda _row: known != negated
    key, expressions = name.lower(), [wildcard(pattern) for pattern in patterns]
    return lambda row: any(expression.fullmatch(row.get(key, "")) for expression in expressions) != negated


def _keyword(token: Token) -> Test:
    """A quoted phrase is found anywhere; a word only as a whole, ``*`` standing for more of it."""
    if token.kind == "string":
        phrase = token.text.lower()
        return lambda row: phrase in row["_raw"].lower()
    if token.text == "*":
        return lambda _row: True
    body = r"\w*".join(re.escape(part) for part in token.text.split("*"))
    expression = re.compile(rf"(?<!\w){body}(?!\w)", re.IGNORECASE)
    return lambda row: expression.search(row["_raw"]) is not None
