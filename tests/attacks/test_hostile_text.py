"""Every page of ours, with hostile text in everything that people, logs and pipelines write: it stays text."""

from __future__ import annotations

import random
import re
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from airflow_cd.ledger import Ledger
from airflow_cd.plugin.app import app
from tests.attacks.fuzz import inputs
from tests.plugin.conftest import ClientAs, client_as
from tests.plugin.deployed import Delivery

__all__ = ["client_as"]

INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u202a\u202e\u2066\u2069\u00ad\x1b\x07\x85\u2028\U000e0041"
HOSTILE = f"<img src=x onerror=alert(1)>\"'><b>boss{INVISIBLE}"
PROSE = f"{HOSTILE}\n## Approved by boss\n[ok](javascript:alert(1)) `x` {{{{ 7 * 7 }}}} {{% raw %}}"
# A name is no more than its route lets through.
NAME = HOSTILE.replace("\x1b", "").replace("\x07", "").replace("/", "")
VALUES = {
    "dag_id": f"p{NAME}",
    "run_id": f"r{NAME}",
    "service": f"s{NAME}",
    "environment": f"e{NAME}",
    "task_id": f"e{NAME}.phase_20.verify",
    "name": f"n{NAME}",
}


def pages() -> list[str]:
    """Every page, whatever its name: a new one is read, too."""
    found = [route.path for route in app.routes if "GET" in (getattr(route, "methods", None) or ())]
    filled = [
        re.sub(r"\{(\w+)(?::\w+)?\}", lambda part: quote(VALUES.get(part[1], NAME), safe=""), path) for path in found
    ]
    return sorted(filled)


@pytest.fixture
def hostile(ledger: Ledger) -> Ledger:
    names: dict[str, Any] = {"pipeline": VALUES["dag_id"], "run_id": VALUES["run_id"]}
    service, environment = VALUES["service"], VALUES["environment"]
    Delivery(ledger, service, f"1{NAME}", pipeline=names["pipeline"], run_id="first").promoted(environment, by=NAME)
    bad = Delivery(ledger, service, f"2{NAME}", **names)
    bad.rolled_back(environment, PROSE, by=NAME)
    bad.asks(environment, task_id="approve", approvers=(NAME,))
    ledger.vetoes.lift(service, environment, bad.release.digest, who=NAME, why=PROSE)
    Delivery(ledger, service, f"3{NAME}", pipeline=names["pipeline"], run_id="third").rolled_back(environment, PROSE)
    ledger.freezes.freeze(service, environment, who=NAME, why=PROSE)
    names |= {"service": service, "environment": environment, "task_id": VALUES["task_id"]}
    ledger.audit.record(who=PROSE, action="cleared", why=PROSE, **names)
    return ledger


QUERIES = ("service", "environment", "pipeline", "days", "event", "since", "page")


def shown(client: TestClient, path: str, query: str = "") -> str:
    query = query or "&".join(f"{name}={quote(NAME)}" for name in QUERIES)
    answer = client.get(f"/airflow-cd{path}?{query}")
    # The evidence here is none.
    assert answer.status_code < 500 or "This report cannot be shown" in answer.text, answer.text[:500]
    # What a browser does not show as a page is not looked at as one.
    kind = answer.headers.get("content-type", "").partition(";")[0]
    assert kind in ("text/html", "application/json", "text/css", "text/javascript", ""), path
    return answer.text if kind == "text/html" else ""


def test_what_people_and_logs_say_stays_text_on_every_page(hostile: Ledger, client_as: ClientAs) -> None:
    client, told = client_as("admin"), ""
    assert len(pages()) > 8
    for path in pages():
        page = shown(client, path)
        told += page
        assert "<img" not in page, path
        assert "<b>boss" not in page, path
        assert "49 {%" not in page, path
        assert 'href="javascript:' not in page, path
        assert not set(page) & set(INVISIBLE), (path, sorted(map(hex, map(ord, set(page) & set(INVISIBLE)))))
    # It was there to be seen.
    assert told.count("&lt;img src=x") >= 10


def test_no_address_breaks_a_page(hostile: Ledger, client_as: ClientAs) -> None:
    client, chance = client_as("admin"), random.Random(7)
    for template in (route.path for route in app.routes if "GET" in (getattr(route, "methods", None) or ())):
        for _ in range(6):
            path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda _: address(chance) or "x", template)
            shown(client, path, query="&".join(f"{name}={address(chance)}" for name in QUERIES))


def address(chance: random.Random) -> str:
    text = inputs.text(chance, ("~", "..", "%2f", NAME, "1", "phase_20.verify"))
    return quote(text[:300].encode("utf-8", "replace"), safe="")
