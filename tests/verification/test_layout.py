from __future__ import annotations

import math
import random
import time

import pytest

from airflow_cd.verification.layout import placed
from airflow_cd.verification.verdict import Event, EventKind


def _event(template: str) -> Event:
    return Event(f"{hash(template):x}"[-12:], EventKind.KNOWN, "info", False, template)


def _distance(one: Event, other: Event) -> float:
    return math.dist((one.x, one.y), (other.x, other.y))


_ORDERS = [f"INFO shop.order - order <*> was {word} by the customer" for word in ("placed", "paid", "changed")]
_DISKS = [f"WARN kernel: disk <*> {word} sector failure, retrying" for word in ("read", "write", "seek")]
_MAILS = [f"mail queue {word} flushed" for word in ("in", "out", "late")]


def test_like_events_lie_near_each_other() -> None:
    events = placed([_event(template) for template in _ORDERS + _DISKS + _MAILS])
    orders, disks = events[:3], events[3:6]
    inside = max(_distance(one, other) for group in (orders, disks) for one in group for other in group)
    across = min(_distance(one, other) for one in orders for other in disks)
    assert inside < across


def test_the_picture_is_the_same_in_any_order() -> None:
    events = [Event(str(number), EventKind.KNOWN, "info", False, text) for number, text in enumerate(_ORDERS + _DISKS)]
    shuffled = random.Random(1).sample(events, len(events))
    assert sorted(placed(shuffled), key=lambda event: event.id) == placed(events)


@pytest.mark.parametrize("templates", [[], ["a"], ["a", "b"], ["", " ", "\n"], ["same"] * 40, ["a", "b", "c"]])
def test_any_number_of_events_has_places_inside(templates: list[str]) -> None:
    events = placed([Event(str(number), EventKind.KNOWN, "info", False, text) for number, text in enumerate(templates)])
    assert [event.template for event in events] == templates
    assert all(0 <= event.x <= 1 and 0 <= event.y <= 1 for event in events)


def test_equal_messages_do_not_hide_each_other() -> None:
    events = placed([Event(str(number), EventKind.KNOWN, "info", False, "same thing <*>") for number in range(40)])
    assert len({(event.x, event.y) for event in events}) == 40


def test_two_thousand_events_take_no_long_time() -> None:
    rng = random.Random(0)
    words = [f"word{number}" for number in range(300)]
    events = [
        Event(str(number), EventKind.KNOWN, "info", False, " ".join(rng.choices(words, k=12))) for number in range(2000)
    ]
    placed(events[:10])
    began = time.process_time()
    assert len(placed(events)) == 2000
    assert time.process_time() - began < 8  # 1.5 s on an idle core
