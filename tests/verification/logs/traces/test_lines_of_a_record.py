"""Records whose level and message stand on different lines."""

from __future__ import annotations

import io
import json

import pytest

from airflow_cd.verification.files.logs import profile_stream
from airflow_cd.verification.logs.profile import LogProfile

PAYARA = (
    "[2031-05-06T07:00:{second:02}.1+0000] [Payara 5.2] [{level}] [] [shop.Cards] [levelValue: 800] [[\n  {message}]]\n"
)


def _templates(text: str, **options: int) -> dict[str, int]:
    profile = profile_stream(io.BytesIO(text.encode()), **options)
    assert profile.counts() == LogProfile.of(text.split("\n")).counts()
    return {one.template: count for one, count in profile.counts().items()}


@pytest.mark.parametrize("block", [80, 8_000_000])
def test_a_json_object_over_several_lines(block: int) -> None:
    records = [{"level": "info", "msg": f"card {number} sold"} for number in range(30)]
    records.append({"level": "error", "msg": "no card left"})
    text = "\n".join(json.dumps(record, indent=2) for record in records)
    assert _templates(text, block=block) == {"INFO card <*> sold": 30, "ERROR no card left": 1}


def test_a_brace_that_opens_no_record_leaves_its_lines_alone() -> None:
    text = "{\n  no object\n07:00:10 ERROR no card left\n07:00:11 INFO card sold"
    counts = _templates(text)
    assert counts["ERROR no card left"] == 1
    assert counts["INFO card sold"] == 1


@pytest.mark.parametrize("block", [150, 8_000_000])
def test_a_message_behind_the_brackets_of_payara(block: int) -> None:
    text = "\n".join(PAYARA.format(second=number, level="INFO", message="card sold") for number in range(50))
    text += "\n" + PAYARA.format(second=59, level="SEVERE", message="no card left")
    severities = {one.severity: one.template for one in profile_stream(io.BytesIO(text.encode()), block=block).tallies}
    assert severities["error"].endswith("no card left")
    _templates(text, block=block)


def test_a_message_below_its_header() -> None:
    lines = [f"2031-05-06 07:00:{number:02} INFO\n  card {number} sold" for number in range(40)]
    lines.append("2031-05-06 07:00:59 ERROR shop.Cards\n    no card left")
    counts = _templates("\n".join(lines))
    assert counts == {"INFO card <*> sold": 40, "ERROR shop.Cards no card left": 1}


def test_what_is_not_indented_is_not_the_message_of_a_short_one() -> None:
    counts = _templates("2031-05-06 07:00:10 ERROR shop.Cards\nsold a card")
    assert counts == {"ERROR shop.Cards": 1, "sold a card": 1}
