from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cd.demo.sumo_logic.query import parse
from airflow_cd.demo.sumo_logic.query_text import QueryError


def row(host: str, category: str, raw: str, time_ms: int) -> dict[str, str]:
    return {"_sourcehost": host, "_sourcecategory": category, "_raw": raw, "_messagetime": str(time_ms), "_size": "1"}


ROWS = [
    row("shop-1", "production/shop", "INFO shop - GET /product 200", 0),
    row("shop-1", "production/shop", "ERROR shop - Card declined for order 17", 30_000),
    row("shop-2", "production/shop", "ERROR shop - ValueError: no errors here", 61_000),
    row("shop-3", "staging/shop", "WARN shop - slow query\nTraceback (most recent call last)", 62_000),
]


def found(query: str) -> list[int]:
    return [ROWS.index(message) for message in parse(query).messages(ROWS)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("*", [0, 1, 2, 3]),
        ("_sourceCategory=production/shop", [0, 1, 2]),
        ("_sourceCategory=PRODUCTION/*", [0, 1, 2]),
        ('_sourceCategory="staging/shop"', [3]),
        ("_sourcecategory!=production/shop", [3]),
        ("_sourceHost=shop-1", [0, 1]),
        ('_sourceCategory=production/shop _sourceHost in ("shop-2", "shop-3")', [2]),
        ('_sourceHost in ("shop-1","shop-3") and not error', [0, 3]),
        ("_sourceHost=shop-1 OR _sourceHost=shop-3", [0, 1, 3]),
        ("(_sourceHost=shop-1 OR _sourceHost=shop-3) AND shop", [0, 1, 3]),
        ("error", [1, 2]),
        ("err", []),
        ("err*", [1, 2]),
        ("*error", [1, 2]),
        ('"card declined"', [1]),
        ("!error !warn", [0]),
        ("NOT (error OR warn)", [0]),
        ("error AND declined OR slow", [1, 3]),
        ("/product", [0]),
        ("_index=sumologic_default error", [1, 2]),
        ("_index=other", []),
        ("_nothing=x", []),
        ("", [0, 1, 2, 3]),
        ("error | limit 1", [1]),
        ('* | where _sourceHost = "shop-1"', [0, 1]),
        ('* | where _sourceHost != "shop-1" and _raw matches "*value*"', [2]),
        ('* | where _sourceHost in ("shop-3") or !(_raw matches "*shop*")', [3]),
        ('* | where _sourceHost not in ("shop-3")', [0, 1, 2]),
        ("* | where _messagetime >= 61000 | limit 5", [2, 3]),
        ('* // a comment "\n', [0, 1, 2, 3]),
    ],
)
def test_searches(query: str, expected: list[int]) -> None:
    assert found(query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("* | count", [{"_count": "4"}]),
        ("error | count as errors", [{"errors": "2"}]),
        (
            "* | count by _sourceHost",
            [
                {"_sourcehost": "shop-1", "_count": "2"},
                {"_sourcehost": "shop-2", "_count": "1"},
                {"_sourcehost": "shop-3", "_count": "1"},
            ],
        ),
        ("* | count(*) as n by _sourceCategory | where n > 1", [{"_sourcecategory": "production/shop", "n": "3"}]),
        ("* | count _sourceCategory | limit 1", [{"_sourcecategory": "production/shop", "_count": "3"}]),
        (
            "!staging _sourceHost!=shop-3 | timeslice 1m | count by _timeslice, _sourceHost | sort by _timeslice asc",
            [
                {"_timeslice": "0", "_sourcehost": "shop-1", "_count": "2"},
                {"_timeslice": "60000", "_sourcehost": "shop-2", "_count": "1"},
            ],
        ),
    ],
)
def test_aggregates(query: str, expected: list[dict[str, str]]) -> None:
    parsed = parse(query)
    assert parsed.is_aggregate
    assert parsed.records(parsed.messages(ROWS)) == expected


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ('error "unclosed', "Unclosed quote"),
        ("(error", "Unexpected end"),
        ("error)", "Unexpected token ')'"),
        ("AND error", "Unexpected token 'AND'"),
        ('* | parse "x" as y', "Unexpected operator 'parse'"),
        ("* |", "Unexpected end"),
        ("* | limit many", "limit needs a number"),
        ("* | timeslice soon", "timeslice needs a span"),
        ("* | where", "Unexpected end"),
        ("* | where _raw ~ 5", "Unexpected token '~'"),
        ("* | count by", "Unexpected end"),
        ("_sourceHost in (", "Unexpected end"),
    ],
)
def test_what_cannot_be_understood_is_said(query: str, problem: str) -> None:
    with pytest.raises(QueryError, match=re.escape(problem)):
        parse(query)


@given(st.text(max_size=60))
def test_any_text_is_understood_or_refused(text: str) -> None:
    with contextlib.suppress(QueryError):
        parse(text).messages(ROWS)
