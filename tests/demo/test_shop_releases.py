"""What the releases do differently, page by page, without processes around them."""

from __future__ import annotations

import itertools
import json
import logging
import random
import re
import time
from collections.abc import Iterator, Sequence

import pytest

from airflow_cd.demo.shop.artifacts import load
from airflow_cd.demo.shop.releases.v1_0 import QuerySyntaxError, Shop
from airflow_cd.demo.shop.web import Request, Response
from airflow_cd.demo.traffic import DECK, Visit, visit, visits

NEW_IN_1_2 = {"InvalidOperation", "KeyError", "AttributeError", "UnicodeEncodeError"}
KNOWN = {"CarrierUnavailable"}
ONE_OF_EACH = [visit(kind, random.Random(kind)) for kind in DECK]


def open_shop(version: str, **configuration: object) -> Shop:
    shop = load(f"shop:{version}")("shop-test-01", configuration)
    shop.database.typical = 0.0
    return shop


def ask(shop: Shop, wanted: Visit) -> Response:
    body = json.dumps(wanted.form).encode() if wanted.form is not None else b""
    request = Request.parse(wanted.method, wanted.path, body)
    return shop.find(request)[1](request)


def logged(
    shop: Shop, wanted: Sequence[Visit], caplog: pytest.LogCaptureFixture
) -> Iterator[tuple[str, logging.LogRecord]]:
    """The records of these visits, each with the kind of the visit."""
    for one in wanted:
        caplog.clear()
        with caplog.at_level(logging.INFO):
            try:
                ask(shop, one)
            except QuerySyntaxError:
                logging.getLogger("shop.web").exception("unhandled exception")
        for record in caplog.records:
            yield one.kind, record


def exceptions(shop: Shop, caplog: pytest.LogCaptureFixture) -> set[str]:
    return {
        record.exc_info[0].__name__
        for _, record in logged(shop, ONE_OF_EACH, caplog)
        if record.exc_info and record.exc_info[0]
    }


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.3"])
def test_good_and_slow_releases_log_known_exceptions_only(version: str, caplog: pytest.LogCaptureFixture) -> None:
    assert exceptions(open_shop(version), caplog) == {*KNOWN, "QuerySyntaxError"}


def test_1_2_logs_exactly_four_more_exceptions_and_answers_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    shop = open_shop("1.2")
    assert exceptions(shop, caplog) - exceptions(open_shop("1.1"), caplog) == NEW_IN_1_2
    rare = {"gift card", "return", "wish list", "admin export"}
    assert {ask(shop, wanted).status for wanted in ONE_OF_EACH if wanted.kind in rare} == {200}
    for kind, record in logged(shop, [one for one in ONE_OF_EACH if one.kind in rare], caplog):
        if record.exc_info:
            assert record.levelname == "ERROR", kind
            assert "v1_2.py" in logging.Formatter().formatException(record.exc_info)


def test_each_new_exception_comes_from_a_path_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    found = [
        (kind, record.exc_info[0].__name__)
        for kind, record in logged(open_shop("1.2"), ONE_OF_EACH, caplog)
        if record.exc_info and record.exc_info[0] and record.exc_info[0].__name__ in NEW_IN_1_2
    ]
    assert sorted(found) == [
        ("admin export", "UnicodeEncodeError"),
        ("gift card", "InvalidOperation"),
        ("return", "KeyError"),
        ("wish list", "AttributeError"),
    ]


def test_1_1_looks_different_and_says_one_thing_more(caplog: pytest.LogCaptureFixture) -> None:
    def templates(version: str) -> set[str]:
        return {f"{record.name} {record.msg}" for _, record in logged(open_shop(version), ONE_OF_EACH, caplog)}

    home = Visit("home", "GET", "/")
    assert ask(open_shop("1.0"), home).title != ask(open_shop("1.1"), home).title
    assert {line.split()[0] for line in templates("1.1") - templates("1.0")} == {
        "shop.recommendations",
        "shop.checkout",
    }


def test_noise_recurs_in_every_release(caplog: pytest.LogCaptureFixture) -> None:
    for version in ("1.0", "1.1", "1.2", "1.3"):
        levels = [record.levelname for _, record in logged(open_shop(version), ONE_OF_EACH, caplog)]
        assert levels.count("WARNING") == 2
        assert levels.count("ERROR") >= 2


def test_1_3_waits_longer_on_the_common_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    common = ["home", "catalogue", "product", "search", "basket"]
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)

    def seconds(version: str, wanted: Visit) -> float:
        shop = load(f"shop:{version}")("shop-test-01", {})
        waits.clear()
        for _ in range(50):
            ask(shop, wanted)
        return sum(waits)

    for one in ONE_OF_EACH:
        if one.kind in common:
            assert 1.5 < seconds("1.3", one) / seconds("1.1", one) < 2.1, one.kind
            assert 0.9 < seconds("1.2", one) / seconds("1.1", one) < 1.1, one.kind


VISITS = 50


def test_a_time_out_that_is_too_short_really_expires(caplog: pytest.LogCaptureFixture) -> None:
    shop = open_shop("1.1", inventory_timeout_ms=1)
    # On a machine that has no time for whoever waits, the answer may be there when the time is looked at.
    pages = (ask(shop, Visit("product", "GET", "/product/chair-017")) for _ in range(VISITS))
    page = next(page for page in pages if "Availability on request" in page.paragraphs)
    assert page.status == 200
    assert {record.exc_info[0] for record in caplog.records if record.exc_info} == {TimeoutError}

    def buy() -> None:
        for _ in range(VISITS):
            ask(shop, Visit("checkout", "POST", "/checkout", {"product": "chair-017", "card": "4111"}))

    with pytest.raises(TimeoutError):
        buy()


def test_configuration_shows_and_is_refused_when_it_is_nonsense() -> None:
    assert "Sale" in ask(open_shop("1.1", banner="Sale"), Visit("home", "GET", "/")).paragraphs
    with pytest.raises(ValueError, match="soon"):
        open_shop("1.1", inventory_timeout_ms="soon")


def test_pages_and_products_that_do_not_exist_are_404() -> None:
    shop = open_shop("1.1")
    assert ask(shop, Visit("", "GET", "/nowhere")).status == 404
    assert ask(shop, Visit("", "GET", "/product/none-000")).status == 404


def test_text_from_visitors_is_never_markup() -> None:
    page = ask(open_shop("1.0"), Visit("login", "POST", "/login", {"customer": "<script>alert(1)</script>"}))
    assert b"<script>" not in page.render("<b>")
    assert b"<b>" not in page.render("<b>")


def test_every_instance_gets_every_kind_in_every_forty_requests() -> None:
    instances, rounds = 10, 3
    stream = visits(instances)
    asked = [next(stream).kind for _ in range(instances * 40 * rounds)]
    assert sum(DECK.values()) == 40
    for turn in range(instances):
        of_instance = asked[turn::instances]
        for begin in range(0, len(of_instance) - 40, 7):
            assert {kind: of_instance[begin : begin + 40].count(kind) for kind in DECK} == dict(DECK)


@pytest.mark.parametrize("instances", [2, 8, 10])
def test_two_neighbours_see_a_rare_kind_well_before_one_of_them_sees_it_twice(instances: int) -> None:
    stream = visits(instances)
    asked = [next(stream).kind for _ in range(instances * 160)]
    for turn in range(instances - 1):
        seen = [round_ for round_ in range(160) if "gift card" in asked[round_ * instances + turn :][:2]]
        assert max(after - before for before, after in itertools.pairwise(seen)) <= 26


def test_the_same_seed_asks_the_same() -> None:
    def first(seed: str) -> list[Visit]:
        stream = visits(3, seed)
        return [next(stream) for _ in range(100)]

    assert first("a") == first("a")
    assert first("a") != first("b")


def test_transaction_names_are_words() -> None:
    shop = open_shop("1.2")
    names = {shop.find(Request.parse(one.method, one.path, b""))[0] for one in ONE_OF_EACH}
    assert len(names) >= 10
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)
