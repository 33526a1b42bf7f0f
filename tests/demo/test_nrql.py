from __future__ import annotations

import contextlib
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cd.demo.new_relic.nrql import NrqlError
from airflow_cd.demo.new_relic.nrql_engine import Answer, run
from airflow_cd.demo.new_relic.nrql_functions import percentiles
from airflow_cd.demo.new_relic.nrql_parser import parse

START = 1_700_000_000_000
WINDOW = f"SINCE {START} UNTIL {START + 60_000}"
EVENTS: list[dict[str, Any]] = [
    {
        "timestamp": START + second * 1000,
        "duration": second / 100,
        "host": f"shop-{second % 3}",
        "name": "checkout" if second % 2 else "search",
        "error": second % 10 == 0,
        "error.class": "ValueError" if second % 10 == 0 else None,
        "httpResponseCode": "500" if second % 10 == 0 else "200",
    }
    for second in range(60)
]


def events(kind: str, since: float, until: float) -> list[dict[str, Any]] | None:
    if kind != "Transaction":
        return None
    return [event for event in EVENTS if since <= event["timestamp"] < until]


def ask(query: str, now: float = START / 1000 + 60) -> Answer:
    return run(parse(query), events, now)


def one(select: str, where: str = "", window: str = WINDOW) -> Any:
    (row,) = ask(f"SELECT {select} AS x FROM Transaction {where} {window}").results
    return row["x"]


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("count(*)", 60),
        ("count(`error.class`)", 6),
        ("average(duration)", 0.295),
        ("average(duration) * 1000", 295.0),
        ("average(duration * 1000)", 295.0),
        ("sum(duration)", 17.7),
        ("min(duration)", 0.0),
        ("max(duration)", 0.59),
        ("uniqueCount(host)", 3),
        ("percentage(count(*), WHERE error IS TRUE)", 10.0),
        ("filter(count(*), WHERE name = 'checkout' AND error = false)", 30),
        ("rate(count(*), 1 minute)", 60.0),
        ("rate(count(*), 1 second)", 1.0),
        ("latest(host)", "shop-2"),
        ("count(*) / 0", None),
    ],
)
def test_aggregates(select: str, expected: Any) -> None:
    assert one(select) == pytest.approx(expected) if isinstance(expected, float) else one(select) == expected


@pytest.mark.parametrize(
    ("condition", "number"),
    [
        ("host = 'shop-1'", 20),
        ("host != 'shop-1'", 40),
        ("host IN ('shop-0', 'shop-1')", 40),
        ("host NOT IN ('shop-0', 'shop-1')", 20),
        ("name LIKE 'check%'", 30),
        ("name NOT LIKE '%out'", 30),
        ("name LIKE 'check'", 0),
        ("`error.class` IS NULL", 54),
        ("error.class IS NOT NULL", 6),
        ("error IS TRUE", 6),
        ("error", 6),
        ("error = 'true'", 6),
        ("NOT error", 54),
        ("duration >= 0.5", 10),
        ("duration < 0.1 OR duration >= 0.5", 20),
        ("duration < 0.1 OR duration >= 0.5 AND error", 11),
        ("(duration < 0.1 OR duration >= 0.5) AND error", 2),
        ("(duration * 100) > 50", 9),
        ("httpResponseCode = '500'", 6),
        ("httpResponseCode > 499", 0),
        ("numeric(httpResponseCode) > 499", 6),
        ("name RLIKE r'check.*'", 30),
        ("missing != 'a'", 60),
        ("missing = 'a'", 0),
        ("host = 'it\\'s'", 0),
    ],
)
def test_conditions(condition: str, number: int) -> None:
    assert one("count(*)", f"WHERE {condition}") == number


def test_results_are_named_as_new_relic_names_them() -> None:
    (row,) = ask(
        "SELECT count(*), average(duration), percentile(duration, 50, 95), apdex(duration, t: 0.1), "
        f"max(duration) AS 'Top' FROM Transaction {WINDOW}"
    ).results
    assert row["count"] == 60
    assert row["average.duration"] == pytest.approx(0.295)
    assert set(row["percentile.duration"]) == {"50", "95"}
    assert row["apdex.duration"] == {"count": 60, "s": 11, "t": 30, "f": 19, "score": pytest.approx(26 / 60)}
    assert row["Top"] == 0.59


def test_apdex_alone_is_flattened_too() -> None:
    (row,) = ask(f"SELECT apdex(duration) FROM Transaction {WINDOW}").results
    assert row["score"] == row["apdex.duration"]["score"]


def test_facets_are_the_biggest_first_and_what_is_not_shown_is_other() -> None:
    answer = ask(f"SELECT count(*) FROM Transaction WHERE duration < 0.49 FACET host LIMIT 1 {WINDOW}")
    assert answer.results == [{"facet": "shop-0", "host": "shop-0", "count": 17}]
    assert (answer.total, answer.other, answer.facets) == ({"count": 49}, {"count": 32}, ["host"])


def test_several_facets_are_a_list() -> None:
    answer = ask(f"SELECT count(*) FROM Transaction FACET host, name {WINDOW}")
    assert {tuple(row["facet"]) for row in answer.results} == {
        (f"shop-{number}", name) for number in range(3) for name in ("checkout", "search")
    }
    assert all(row["count"] == 10 for row in answer.results)


def test_facet_and_timeseries_have_lists_as_totals() -> None:
    answer = ask(f"SELECT count(*) FROM Transaction FACET host TIMESERIES 30 seconds LIMIT 2 {WINDOW}")
    assert [row["beginTimeSeconds"] for row in answer.results] == [START // 1000, START // 1000 + 30] * 2
    assert [row["endTimeSeconds"] for row in answer.results] == [START // 1000 + 30, START // 1000 + 60] * 2
    assert isinstance(answer.total, list)
    assert isinstance(answer.other, list)
    assert [row["count"] for row in answer.total] == [30, 30]
    assert [row["count"] for row in answer.other] == [10, 10]


def test_empty_buckets_are_null() -> None:
    rows = ask(
        "SELECT count(*), average(duration), percentile(duration, 95), apdex(duration, t: 0.1) FROM Transaction "
        f"TIMESERIES 1 minute SINCE {START} UNTIL {START + 120_000}"
    ).results
    assert rows[1]["count"] == 0
    assert rows[1]["average.duration"] is None
    assert rows[1]["percentile.duration"] == {"95": None}
    assert rows[1]["apdex.duration"]["score"] is None


def test_the_last_bucket_ends_with_the_window() -> None:
    rows = ask(f"SELECT count(*) FROM Transaction TIMESERIES 25 seconds {WINDOW}").results
    assert [row["count"] for row in rows] == [25, 25, 10]
    assert rows[-1]["endTimeSeconds"] == START // 1000 + 60


@pytest.mark.parametrize(("width", "buckets"), [("MAX", 366), ("AUTO", 60), ("", 60), ("1 second", 60)])
def test_number_of_buckets(width: str, buckets: int) -> None:
    assert len(ask(f"SELECT count(*) FROM Transaction TIMESERIES {width} {WINDOW}").results) == buckets


def test_rows_are_the_newest_first_and_a_hundred_by_default() -> None:
    rows = ask(f"SELECT * FROM Transaction {WINDOW}").results
    assert [row["timestamp"] for row in rows] == sorted((event["timestamp"] for event in EVENTS), reverse=True)
    assert "error.class" not in rows[0]
    assert ask(f"SELECT host, duration FROM Transaction LIMIT 1 {WINDOW}").results == [
        {"host": "shop-2", "duration": 0.59, "timestamp": START + 59_000}
    ]
    ordered = ask(f"SELECT duration FROM Transaction ORDER BY duration ASC LIMIT MAX {WINDOW}").results
    assert ordered[0]["duration"] == 0.0


def test_ten_facets_by_default() -> None:
    many = ask(f"SELECT count(*) FROM Transaction FACET duration {WINDOW}")
    assert len(many.results) == 10
    assert len(ask(f"SELECT count(*) FROM Transaction FACET duration LIMIT MAX {WINDOW}").results) == 60


@pytest.mark.parametrize(
    ("window", "number"),
    [
        ("", 60),
        ("SINCE 30 seconds ago", 30),
        ("SINCE 1 minute ago UNTIL 30 seconds ago", 30),
        ("SINCE '2023-11-14 22:13:30'", 50),
        ("SINCE '2023-11-14T22:13:30Z' UNTIL NOW", 50),
        ("SINCE '2023-11-14 23:13:30' WITH TIMEZONE 'Europe/Berlin'", 50),
        (f"SINCE {START // 1000 + 10}", 50),
        ("SINCE TODAY", 60),
    ],
)
def test_time_windows(window: str, number: int) -> None:
    assert one("count(*)", window=window) == number


def test_the_window_is_told() -> None:
    answer = ask("SELECT count(*) FROM Transaction SINCE 5 minutes ago")
    assert (answer.since, answer.until) == ("5 MINUTES AGO", "NOW")
    assert answer.end_ms - answer.begin_ms == 300_000
    assert ask("SELECT count(*) FROM Transaction").since == "60 MINUTES AGO"


def test_an_event_type_there_is_not_is_a_message() -> None:
    answer = ask("FROM PageView SELECT count(*)")
    assert answer.results == [{"count": 0}]
    assert "PageView" in answer.messages[0]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("SELECT count(*) FORM Transaction", "Error at line 1 position 17, unexpected 'FORM'"),
        ("SELECT count(*)\nFROM Transaction HAVING x", "HAVING is not supported"),
        ("SELECT count(*) FROM Transaction WHERE host = 'x", "Error at line 1 position 47"),
        ("SELECT count(*) FROM Transaction WHERE", "unexpected end of query"),
        ("SELECT count(*)", "unexpected end of query"),
        ("SELECT nonsense(duration) FROM Transaction", "Unknown function nonsense()"),
        ("SELECT count(*), host FROM Transaction", "cannot be selected together"),
        ("SELECT * FROM Transaction TIMESERIES", "FACET and TIMESERIES are not supported on events"),
        ("SELECT count(*) FROM Transaction SINCE 1 day ago TIMESERIES 1 minute", "exceeds the maximum of 366"),
        ("SELECT count(*) FROM Transaction SINCE 1 minute ago UNTIL 1 hour ago", "SINCE must be before UNTIL"),
        ("SELECT count(*) FROM Transaction SINCE 'soon'", "'soon' is not a time"),
        ("SELECT count(*) FROM Transaction LIMIT 9999", "LIMIT cannot exceed"),
        ("SELECT count(*) FROM Transaction COMPARE WITH 1 day ago", "COMPARE is not supported"),
        ("SELECT filter(count(*)) FROM Transaction", "needs a WHERE"),
        ("SELECT percentile(duration, 'x') FROM Transaction", "numbers from 0 to 100"),
    ],
)
def test_what_cannot_be_understood_is_said(query: str, problem: str) -> None:
    with pytest.raises(NrqlError, match=re.escape(problem)):
        ask(query)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 100))
def test_percentiles_lie_between_the_extremes(numbers: list[float], rank: float) -> None:
    (value,) = percentiles(numbers, [rank]).values()
    assert value is not None
    assert min(numbers) <= value <= max(numbers)


@given(st.text(max_size=60))
def test_any_text_is_understood_or_refused(text: str) -> None:
    with contextlib.suppress(NrqlError):
        parse(f"SELECT count(*) FROM Transaction {text}")
