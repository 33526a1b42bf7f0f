"""Other names are no news, other reasons are: by what the place says and by how its values grow."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_quality
from airflow_cd.verification.verdict import EventKind


def _is_news(known: Sequence[str], new: str) -> bool:
    others = [f"INFO parcel {number} weighed" for number in range(100)]
    quality = judge_quality(LogProfile.of([*others, new]), None, [LogProfile.of([*others, *known])])
    return any(event.kind is EventKind.UNKNOWN for event in quality.events)


def _all(message: str, *values: str, times: int = 8) -> list[str]:
    return [message.format(n=number, value=value) for number in range(times) for value in values]


@pytest.mark.parametrize(
    ("known", "new"),
    [
        (_all("ERROR bill {n} for {value} is overdue", "Orla", "Finn Byrne", "Mae"), "Sean Og Kelly"),
        (
            _all('ERROR nothing found for "{value}" on page {n}', "tin cup", "oar", "wool hat", "rope"),
            "left hand glove",
        ),
        (_all("ERROR [tenant={value}] limit reached at {n}", "brook"), "meadow"),
        (_all("ERROR boats.{value}.log - sail {n} is worn", "sloop", "ketch", "yawl"), "cutter"),
        (_all("ERROR nothing to eat for user {value} at {n}", "orla", "finn"), "tess"),
        (_all("ERROR no route to {value}: the pass is snowed in", "Alm", "Berg", "Tal", "See"), "Joch"),
        (
            _all("ERROR cannot pack {value} into box {n}", "oil, tea", "tea, rye, oil", "rye, oil", "oil"),
            "oil, rye, tea, jam",
        ),
        (
            _all(
                'ERROR note {n} was not printed: "{value}"',
                "the door was shut and so nobody came in",
                "rain",
                "our dog likes your soup more than you think",
            ),
            "please ring twice when you come by again next week",
        ),
        (
            _all("ERROR token {value} is stale", "qWeRtYuIoPaSdFgHjKlZxCvB==", "mNbVcXzLkJhGfDsAqWeRtYu/=="),
            "PoIuYtReWqAsDfGhJkL+ZxCv==",
        ),
    ],
    ids=[
        "customers",
        "search texts",
        "tenants",
        "loggers",
        "two users",
        "before a colon",
        "lists",
        "long texts",
        "base64",
    ],
)
def test_another_name_is_no_news(known: list[str], new: str) -> None:
    message = known[-1]
    values = ("Mae", "rope", "brook", "yawl", "finn", "See", "oil", "our dog likes your soup more than you think")
    value = next(part for part in (*values, "mNbVcXzLkJhGfDsAqWeRtYu/==") if part in message)
    assert not _is_news(known, message.replace(value, new))


@pytest.mark.parametrize(
    ("known", "new"),
    [
        ("ERROR tide table of Monday 3 June is torn", "ERROR tide table of Friday, 5 July is torn"),
        ("ERROR no tide on Sunday", "ERROR no tide on Thursday"),
        ("ERROR chart C:\\sea\\north.map is torn", "ERROR chart E:\\lakes\\deep\\4.map is torn"),
    ],
)
def test_days_and_paths_are_values_from_the_first_on(known: str, new: str) -> None:
    assert not _is_news([known], new)


@pytest.mark.parametrize(
    ("message", "values", "new"),
    [
        ("WARN job {n} ended, reason={value}", ("Done", "Moved", "Paused", "Merged", "Split", "Late"), "Evaporated"),
        ("INFO vote {n} outcome={value}", ("won", "tied", "open", "void", "late"), "forged"),
        (
            "ERROR save of {n} failed: {value}",
            ("disk busy", "row gone", "lock held", "key twice", "page torn"),
            "index rotten",
        ),
        ("WARN bill {n} {value} by the bank", ("declined", "returned", "delayed", "queried", "amended"), "seized"),
        ("INFO valve {n} is {value} now", ("open", "shut"), "jammed"),
        ("ERROR call failed, code = {value} after {n}", ("Lost", "Gone", "Late", "Cut", "Dim"), "Burnt"),
        ("WARN gate {n}: state from {value}", ("SHUT to AJAR", "AJAR to WIDE", "WIDE to SHUT"), "AJAR to MELTED"),
        ("ERROR lift {n} stopped with code {value}", ("0x80070005", "0x1"), "0x8007000E"),
        ("INFO letter {n} sent, smtp_code={value}", ("250", "550"), "421"),
        ('INFO told {{"n": {n}, "code": "None", "status": "{value}"}}', ("Free", "Taken", "Left", "Due"), "Sunk"),
    ],
    ids=["reason", "outcome", "after failed:", "verb", "state", "code", "states", "hexadecimal", "named code", "JSON"],
)
def test_another_thing_that_happened_is_news(message: str, values: tuple[str, ...], new: str) -> None:
    assert _is_news(_all(message, *values), message.format(n=3, value=new))


def test_a_name_known_from_other_messages_is_no_news() -> None:
    boats = ("Alma", "Bora", "Cleo", "Dido", "Enya", "Fram")
    known = [*_all("INFO boat {value} left quay {n}", *boats), *_all("ERROR mast {value} broke off", "Alma")]
    assert not _is_news(known, "ERROR mast Cleo broke off")
    assert _is_news(known, "ERROR mast Hull broke off")


@pytest.mark.parametrize(
    ("known", "new", "news"),
    [
        ("WARN boat came late quay=7 crew=4", "WARN boat came late quay=7 crew=4 tide=low pier=3", False),
        ("WARN boat came late quay=7 crew=4", "WARN boat came late quay=9", False),
        ("WARN boat came late quay=7 crew=4", "WARN boat came late quay=7 reason=mutiny", True),
        ("WARN boat came late quay=7 crew=4", "WARN boat sank today quay=7 crew=4 tide=low", True),
        ("WARN boat came late side=port crew=4", "WARN boat came late side=lee crew=4 tide=low", True),
    ],
)
def test_other_fields_beside_a_message_are_no_news_unless_they_say_what_happened(
    known: str, new: str, news: bool
) -> None:
    assert _is_news([known], new) is news


def test_a_name_that_tells_of_trouble_is_news() -> None:
    assert _is_news(
        _all("ERROR order {n} of {value} is held", "Orla", "Finn", "Mae"), "ERROR order 3 of deadlock is held"
    )


def test_reasons_that_keep_coming_new_are_no_news() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    known = [f"WARN note {number} reason={letters[number]}{letters[25 - number]}x" for number in range(26)]
    assert not _is_news(known, "WARN note 3 reason=quz")


def test_slots_do_not_depend_on_the_order_of_records() -> None:
    known = _all("ERROR bill {n} for {value} is overdue", "Orla", "Finn Byrne", "Mae")
    canary = [f"ERROR bill 7 for {name} is overdue" for name in ("Sean Og Kelly", "Una", "Mae")]
    first = judge_quality(LogProfile.of(canary), None, [LogProfile.of(known)])
    other = judge_quality(LogProfile.of(canary[::-1]), None, [LogProfile.of(known[::-1])])
    assert [event.id for event in first.events] == [event.id for event in other.events]
    assert [event.counts["baseline"] for event in first.events] == [24.0]


@pytest.mark.parametrize(
    "message", ["ERROR {value} typed a wrong word at {n}", "ERROR {value}: the gate is shut at {n}"]
)
def test_a_message_may_begin_with_a_name_at_any_level(message: str) -> None:
    known = _all(message, "orla", "finn", "tess", "mae", "joch", "brook", "sean", "alma", "berit", "cord", "dora")
    assert not _is_news(known, message.format(n=4, value="hanna"))


@pytest.mark.parametrize(
    ("message", "values", "new"),
    [
        ("ERROR no pilot at '{value}' for ferry {n}", ("Alm", "Oster Tal"), "Wiek"),
        ("ERROR flag {value} has no owner at {n}", ("red-sail", "new-rope"), "long-oar"),
        ("ERROR toll of {value} is {n} s late", ("DKK/SEK", "EUR/NOK"), "GBP/ISK"),
        ("ERROR chart {value} at {n} is torn", ("in/north.map", "out/south.map"), "in/old/east.map"),
        ("ERROR request GET {value}?page={n}, fault: no tide", ("/sea/7/tide", "/lake/7/tide"), "/bay/7/tide"),
        ("ERROR <td>{value}</td><td>{n} no ticket</td>", ("orla", "finn", "tess", "mae"), "sean"),
        ("ERROR {value}/wrong berth {n}", ("orla", "finn", "tess", "mae"), "sean"),
        ("ERROR {value} has no berth at {n}", ("North Line", "Wiek", "Oster Ferries", "Blue Buoy Ltd"), "Tern Lines"),
        ("ERROR link to {value} is cut at {n}", ("10.4.0.7:443",), "[2001:db8::7]:443"),
    ],
    ids=["quotes", "compound", "pair", "path", "route", "table", "slash", "firms", "addresses"],
)
def test_a_name_shows_by_its_form_and_what_encloses_it(message: str, values: tuple[str, ...], new: str) -> None:
    assert not _is_news(_all(message, *values), message.format(n=4, value=new))


@pytest.mark.parametrize(
    ("message", "values", "new"),
    [
        ("ERROR pod of ferry {n} died, reason='{value}'", ("Evicted", "Drained"), "SunkAtSea"),
        ("ERROR crossing {n} state became {value}", ("on-time", "well-behind"), "ran-aground"),
        ("ERROR sailing {n} ended '{value}'", ("late", "early"), "failed"),
    ],
)
def test_what_happened_is_news_in_quotes_and_in_compound_words_too(
    message: str, values: tuple[str, ...], new: str
) -> None:
    assert _is_news(_all(message, *values), message.format(n=4, value=new))
