from __future__ import annotations

import math
import random

import pytest

from airflow_cd.verification.logs.layout import lay_out
from airflow_cd.verification.verdict import Event, EventKind
from tests.pace import pace


def _event(template: str) -> Event:
    return Event(f"{hash(template):x}"[-12:], EventKind.KNOWN, "info", False, template)


def _distance(one: Event, other: Event) -> float:
    return math.dist((one.x, one.y), (other.x, other.y))


_ORDERS = [f"INFO shop.order - order <*> was {word} by the customer" for word in ("placed", "paid", "changed")]
_DISKS = [f"WARN kernel: disk <*> {word} sector failure, retrying" for word in ("read", "write", "seek")]
_MAILS = [f"mail queue {word} flushed" for word in ("in", "out", "late")]


def test_like_events_lie_near_each_other() -> None:
    events = lay_out([_event(template) for template in _ORDERS + _DISKS + _MAILS])
    orders, disks = events[:3], events[3:6]
    inside = max(_distance(one, other) for group in (orders, disks) for one in group for other in group)
    across = min(_distance(one, other) for one in orders for other in disks)
    assert inside < across


def test_the_picture_is_the_same_in_any_order() -> None:
    events = [Event(str(number), EventKind.KNOWN, "info", False, text) for number, text in enumerate(_ORDERS + _DISKS)]
    shuffled = random.Random(1).sample(events, len(events))
    assert sorted(lay_out(shuffled), key=lambda event: event.id) == lay_out(events)


@pytest.mark.parametrize("templates", [[], ["a"], ["a", "b"], ["", " ", "\n"], ["same"] * 40, ["a", "b", "c"]])
def test_any_number_of_events_has_places_inside(templates: list[str]) -> None:
    events = lay_out(
        [Event(str(number), EventKind.KNOWN, "info", False, text) for number, text in enumerate(templates)]
    )
    assert [event.template for event in events] == templates
    assert all(0 <= event.x <= 1 and 0 <= event.y <= 1 for event in events)


def test_equal_messages_do_not_hide_each_other() -> None:
    events = lay_out([Event(str(number), EventKind.KNOWN, "info", False, "same thing <*>") for number in range(40)])
    assert len({(event.x, event.y) for event in events}) == 40


def _family(number: int, size: int) -> list[str]:
    """Variants of a message that has no word in common with those of another family."""
    rng = random.Random(number)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(9)]
    return [
        " ".join([*words[: variant % 9], "retried", *words[variant % 9 :], words[variant // 9]])
        for variant in range(size)
    ]


@pytest.mark.parametrize(("families", "size"), [(3, 4), (12, 5), (40, 20)])
def test_most_neighbours_are_of_the_same_family(families: int, size: int) -> None:
    templates = [(number, text) for number in range(families) for text in _family(number, size)]
    events = lay_out([Event(f"{at}", EventKind.KNOWN, "info", False, text) for at, (_, text) in enumerate(templates)])
    alike = 0
    for position, event in enumerate(events):
        others = (other for other in range(len(events)) if other != position)
        nearest = min(
            others, key=lambda other: math.hypot(2.5 * (events[other].x - event.x), events[other].y - event.y)
        )
        alike += templates[nearest][0] == templates[position][0]
    assert alike >= 0.8 * len(events)


@pytest.mark.parametrize("many", [20, 300, 2000])
def test_no_two_risks_are_at_the_same_place_even_on_a_phone(many: int) -> None:
    """Dots with a number are 20 pixels wide; the picture is about 310 by 330 pixels on a phone."""
    templates = [f"ERROR order <*> failed: {word}Error" for word in ("Key", "Type", "Value", "Attribute", "Index")] * 3
    risks = [Event(f"r{at}", EventKind.UNKNOWN, "error", True, text) for at, text in enumerate(templates)]
    rest = [text for number in range(many // 20) for text in _family(number, 20)]
    events = lay_out([*risks, *(Event(f"k{at}", EventKind.KNOWN, "info", False, text) for at, text in enumerate(rest))])
    places = [(310 * event.x, 330 * event.y) for event in events if event.risk]
    assert min(math.dist(one, other) for at, one in enumerate(places) for other in places[:at]) > 10


@pytest.mark.parametrize("families", [5, 25])
def test_new_events_leave_the_known_ones_where_they_were(families: int) -> None:
    known = [
        Event(f"k{at}", EventKind.KNOWN, "info", False, text)
        for at, text in enumerate(text for number in range(families) for text in _family(number, 8))
    ]
    new = [Event(f"n{at}", EventKind.UNKNOWN, "error", True, f"ERROR {at} boom in checkout") for at in range(4)]
    before, after = lay_out(known), lay_out([*new, *known])
    moved = sorted(_distance(one, other) for one, other in zip(before, after[len(new) :], strict=True))
    assert moved[len(moved) // 2] < 0.05
    places = [(event.x, event.y) for event in after]
    assert len(set(places)) == len(places)


def test_two_thousand_events_take_no_long_time() -> None:
    rng = random.Random(0)
    words = [f"word{number}" for number in range(300)]
    events = [
        Event(str(number), EventKind.KNOWN, "info", False, " ".join(rng.choices(words, k=12))) for number in range(2000)
    ]
    placed: list[Event] = []
    assert pace(lambda: placed.extend(lay_out(events)), times=1) < 100  # about 14 on an idle core
    assert len(placed) == 2000
