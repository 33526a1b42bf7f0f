"""The records of the logger benchmark are what the loggers would write."""

from __future__ import annotations

import json

import pytest

from benchmarks.logger_formats import NEW, NEWS, OLD, RECORDS
from benchmarks.logger_layouts import LAYOUTS, Layout

BY_NAME = {layout.logger: layout for layout in LAYOUTS}


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.logger)
def test_only_the_canary_holds_the_new_record(layout: Layout) -> None:
    start = NEWS.split("{", maxsplit=1)[0]

    assert not any(start in line for line in OLD.records(layout))
    assert sum(start in line for line in NEW.records(layout, NEWS, 2)) == 1
    assert len(NEW.records(layout)) in (RECORDS, 2 * RECORDS)


@pytest.mark.parametrize("name", [name for name, layout in BY_NAME.items() if layout.layout.startswith("{{")])
def test_json_layouts_are_json(name: str) -> None:
    for line in NEW.records(BY_NAME[name], NEWS, 2):
        assert isinstance(json.loads(line), dict)


def test_a_ruby_record_has_the_letter_of_its_level() -> None:
    line = next(line for line in NEW.records(BY_NAME["Ruby Logger"], NEWS, 2) if "Ledger" in line)

    assert line.startswith("E, [2026-03-04T")
    assert " ERROR -- : " in line
