"""The Deployments page: what stands where, only for who may read it, and text that stays text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from airflow_cd.cli import main
from airflow_cd.ledger import Freeze, Ledger
from airflow_cd.ledger.overview import EnvironmentSummary, OpenQuestion, VetoInForce
from airflow_cd.plugin.dag_runs.order import environment_depths
from airflow_cd.plugin.deployments import first_steps, overview
from airflow_cd.plugin.deployments.order import delivery_order, in_order
from airflow_cd.plugin.deployments.overview import places_of
from airflow_cd.plugin.deployments.survey import Survey, Wanted, choose, survey
from airflow_cd.targets import BUILT_IN
from tests.chromium import PATIENCE
from tests.plugin.build_com_run import PIPELINE, PLACES
from tests.plugin.conftest import ClientAs
from tests.plugin.deployed import Delivery

PAGE = "/airflow-cd/deployments"
HOSTILE = '<script>alert("x")</script><img src=//evil.test/x>'
AT = datetime(2026, 3, 1, tzinfo=timezone.utc)


def _text(page: str) -> str:
    """What a person reads, in one line."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def _row(page: str, service: str) -> str:
    rows = [row for row in page.split('<tr role="row">') if f'role="rowheader">{service}<' in row]
    assert len(rows) == 1
    return rows[0]


@pytest.fixture
def shown(client_as: ClientAs) -> Any:
    client = client_as("viewer")

    def look(query: str = "") -> str:
        answer = client.get(PAGE + query)
        assert answer.status_code == 200
        return answer.text

    return look


# What stands where.


def test_an_empty_ledger_is_said_to_be_one(shown: Any) -> None:
    assert "Nothing has been deployed yet" in shown()
    assert "No service matches" in shown("?service=shop")


def test_whoever_has_deployed_nothing_is_told_what_to_do_first(shown: Any, client_as: ClientAs, ledger: Ledger) -> None:
    page = shown()
    steps = [page.index(step) for step in ("Create a connection", "Copy this pipeline", "Run the check")]
    assert steps == sorted(steps)
    assert 'data-airflow href="/connections"' in page
    assert first_steps.PIPELINE in unescape(page)
    # And nothing that would lead nowhere.
    assert "Filter" not in page
    Delivery(ledger, "shop", "1.0.0").promoted("dev")
    assert "Create a connection" not in shown()


def test_the_pipeline_to_copy_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / first_steps.FILE
    file.write_text(first_steps.PIPELINE, encoding="utf-8")
    code = main(["check", str(file)])
    assert code == 0, capsys.readouterr()
    assert {way.name.partition("_")[0] for way in first_steps.WAYS} == set(BUILT_IN)


def test_pipelines_that_have_not_deployed_are_named(shown: Any, metadata: None) -> None:
    from airflow.models.dag import DagModel, DagTag
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    names = {"orders": False, "orders-rollback": False, "old": True}
    with create_session() as session:
        session.merge(DagBundleModel(name="tests"))
        session.flush()
        for name, stale in names.items():
            given = {"bundle_name": "tests", "fileloc": "x.py", "timetable_type": "", "is_stale": stale}
            session.merge(DagModel(dag_id=name, tags=[DagTag(name="airflow-cd")], **given))
    try:
        page = shown()
    finally:
        with create_session() as session:
            session.query(DagTag).filter(DagTag.dag_id.in_(names)).delete()
            session.query(DagModel).filter(DagModel.dag_id.in_(names)).delete()
    assert 'data-airflow href="/dags/orders">orders</a>.' in page


def test_a_promoted_release_with_its_verdict_and_who_brought_it(shown: Any, ledger: Ledger) -> None:
    delivery = Delivery(ledger, "shop", "1.0.0")
    delivery.promoted("dev", by="ada")
    done = delivery.promoted("production", "PASS", by="grace")
    row = _row(shown(), "shop")
    dev, production = row.split("<td")[1:]
    assert "not verified" in dev
    assert "/report/" not in dev
    assert "by ada" in _text(dev)
    assert "VERIFIED" in production
    assert 'href="/airflow-cd/report/shop/run-1.0.0/production.phase_100.verify"' in production
    assert 'data-airflow href="/dags/shop/runs/run-1.0.0"' in production
    assert f"since {done.settled_at:%Y-%m-%d %H:%M} by grace" in _text(production)


def test_a_promotion_in_spite_of_a_verdict_is_not_called_verified(shown: Any, ledger: Ledger) -> None:
    Delivery(ledger, "shop", "1.0.0").promoted("production", "FAIL")
    row = _text(_row(shown(), "shop"))
    assert "VERIFIED" not in row
    assert "FAIL" in row
    assert "promoted anyway" in row


def test_a_running_canary_stands_beside_the_release_it_would_replace(shown: Any, ledger: Ledger) -> None:
    Delivery(ledger, "shop", "1.0.0").promoted("production", "PASS")
    Delivery(ledger, "shop", "1.1.0").canary("production", 20, "PASS", final=False)
    row = _row(shown(), "shop")
    assert re.search(r"1\.0\.0 .* VERIFIED .* CANARY 1\.1\.0 .* VERIFYING .* phase_20, 20 % of production", _text(row))
    assert "/report/shop/run-1.1.0/production.phase_20.verify" in row


def test_a_release_is_not_verified_while_a_later_phase_is_still_watched(shown: Any, ledger: Ledger) -> None:
    delivery = Delivery(ledger, "shop", "1.1.0")
    deployment = delivery.canary("production", 20, "PASS")
    assert re.search(r"CANARY 1\.1\.0 .* PASSED SO FAR .* phase_20, 20 %", _text(_row(shown(), "shop")))
    token = delivery.leases["production"].token
    ledger.phases.start(deployment.id, "phase_100", share=100, instances=["web-1"], token=token)
    for final, expected in ((None, "VERIFYING"), (False, "VERIFYING"), (True, "PASSED SO FAR")):
        if final is not None:
            ledger.verdicts.record(deployment.id, "phase_100", token=token, verdict="PASS", evidence={}, final=final)
        row = _text(_row(shown(), "shop"))
        assert re.search(rf"DEPLOYING 1\.1\.0 .* {expected} .* phase_100, 100 %", row)
        assert "VERIFIED" not in row
    ledger.settlement.promote(deployment.id, token=token, outcome="all good")
    assert "1.1.0 , the run in Airflow VERIFIED" in _text(_row(shown(), "shop"))


def test_a_persons_rollback_is_not_called_promoted_nor_unverified(shown: Any, ledger: Ledger) -> None:
    Delivery(ledger, "shop", "1.0.0").promoted("production", "PASS")
    bad = Delivery(ledger, "shop", "1.1.0").promoted("production", "PASS")
    back = Delivery(ledger, "shop", "1.0.0", pipeline="shop-rollback", run_id="back")
    opened = back.open("production", rolls_back=bad.id)
    assert "ROLLING BACK TO 1.0.0" in _text(_row(shown(), "shop"))
    token = back.leases["production"].token
    ledger.settlement.promote(opened.id, token=token, outcome="ada rolled 1.1.0 back to 1.0.0: slow")
    row = _text(_row(shown(), "shop"))
    assert re.search(r"1\.0\.0 .*rolled back to it since", row)
    assert "promoted" not in row
    assert "not verified" not in row


def test_a_canary_that_nothing_has_judged_leads_to_no_report(shown: Any, ledger: Ledger) -> None:
    Delivery(ledger, "shop", "1.1.0").canary("production")
    assert "CANARY" in shown()
    assert "/report/" not in shown()


@pytest.mark.parametrize(
    ("restored", "said"), [(True, "ROLLED BACK"), (False, "ROLLBACK FAILED"), (None, "ROLLING BACK")]
)
def test_a_rollback_with_its_outcome(shown: Any, ledger: Ledger, restored: bool | None, said: str) -> None:
    Delivery(ledger, "shop", "1.0.0").promoted("production")
    Delivery(ledger, "shop", "1.1.0").rolled_back("production", "4 unknown events", restored=restored)
    row = _text(_row(shown(), "shop"))
    assert re.search(rf"1\.0\.0 .* {said} 1\.1\.0 .* FAIL .* 4 unknown events", row)
    assert ("VETOED" in row) is (restored is True)


def test_a_veto_stands_until_it_is_lifted(shown: Any, ledger: Ledger) -> None:
    Delivery(ledger, "shop", "1.1.0").rolled_back("production", "bad")
    Delivery(ledger, "shop", "1.2.0").promoted("production")
    [veto] = ledger.vetoes.of("shop", "production")
    assert f"VETOED 1.1.0 {veto.digest[7:15]}" in _text(shown())
    ledger.vetoes.lift("shop", "production", veto.digest, who="ada", why="it was the database")
    assert "VETOED" not in shown()


def test_a_freeze_stands_at_its_environment_until_it_is_lifted(shown: Any, ledger: Ledger) -> None:
    Delivery(ledger, "shop", "1.0.0").promoted("production")
    Delivery(ledger, "cart", "2.0.0").promoted("production")
    for environment in ("production", "edu"):
        ledger.freezes.freeze("shop", environment, who="ada", why=f"the holidays {HOSTILE}")
    ledger.freezes.freeze("nothing-of-it", "production", who="ada", why="the holidays")
    row = _row(shown(), "shop")
    assert row.count(">FROZEN</span>") == 2
    assert f"by ada: the holidays {HOSTILE}" in _text(row)
    assert _text(shown("?state=frozen")).count("by ada: the holidays") == 2
    assert "cart" not in shown("?state=frozen")
    assert "nothing-of-it" not in shown()
    ledger.freezes.lift("shop", "production", who="bob", why="they are over")
    assert _row(shown(), "shop").count(">FROZEN</span>") == 1


def test_a_question_stands_at_its_environment_and_leads_to_its_page(shown: Any, ledger: Ledger) -> None:
    delivery = Delivery(ledger, "shop", "1.0.0", run_id="manual__2026-01-01T00:00:00+00:00")
    delivery.promoted("dev")
    delivery.asks("production", approvers=("bob", "carol"))
    dev, production = _row(shown(), "shop").split("<td")[1:]
    assert "WAITING" not in dev
    assert 'href="/airflow-cd/approval/shop/manual__2026-01-01T00%3A00%3A00%2B00%3A00/approve"' in production
    assert "WAITING Deploy shop 1.0.0 to production? for bob or carol since" in _text(production)
    ledger.questions.answer("shop", delivery.run_id, "approve", option="Approve", who="bob", why="")
    assert "WAITING" not in shown()


def test_a_question_of_no_environment_stands_at_its_service(shown: Any, ledger: Ledger) -> None:
    delivery = Delivery(ledger, "shop", "1.0.0", pipeline="storefront")
    delivery.promoted("dev")
    delivery.asks(approvers=())
    service = _row(shown(), "shop").split("<td")[0]
    assert "WAITING Deploy shop 1.0.0 to the next stage? for anyone who may edit the run" in _text(service)


def test_a_run_that_is_over_waits_for_nobody(shown: Any, ledger: Ledger) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType

    delivery = Delivery(ledger, "shop", "1.0.0")
    delivery.promoted("dev")
    delivery.asks("production")
    assert "WAITING" in shown()
    run = DagRun(dag_id="shop", run_id=delivery.run_id, run_type=DagRunType.MANUAL, run_after=AT, state="failed")
    with create_session() as session:
        session.add(run)
    try:
        assert "WAITING" not in shown()
    finally:
        with create_session() as session:
            session.delete(session.merge(run))


def test_text_from_people_and_logs_is_text(shown: Any, ledger: Ledger) -> None:
    Delivery(ledger, f"a{HOSTILE}", f"1{HOSTILE}").promoted(f"env{HOSTILE}", by=HOSTILE)
    Delivery(ledger, f"a{HOSTILE}", f"2{HOSTILE}").rolled_back(f"env{HOSTILE}", HOSTILE + "\x1b\u202e")
    waiting = Delivery(ledger, "b", f"3{HOSTILE}", run_id=f'"><{HOSTILE}')
    waiting.asks(f"env{HOSTILE}", approvers=(HOSTILE,))
    page = shown(f"?service={HOSTILE}") + shown()
    assert page.count("<script") == 2  # ours, on both
    assert "<img" not in page
    assert "\u202e" not in page
    assert _text(page).count(HOSTILE) >= 8


# Who sees what.


def test_only_pipelines_that_the_reader_may_read_are_shown(
    shown: Any, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.app import get_auth_manager

    Delivery(ledger, "shop", "1.0.0").promoted("production")
    Delivery(ledger, "shop", "6.6.6", pipeline="secret").promoted("production")
    Delivery(ledger, "shop", "1.1.0").canary("production")
    hidden = Delivery(ledger, "vault", "9.9.9", pipeline="secret")
    hidden.rolled_back("production", "bad")
    hidden.asks("staging")
    asked = []

    def filter_authorized_dag_ids(self: Any, *, dag_ids: set[str], user: Any, **_: Any) -> set[str]:
        asked.append(user.get_name())
        return dag_ids - {"secret"}

    monkeypatch.setattr(type(get_auth_manager()), "filter_authorized_dag_ids", filter_authorized_dag_ids)
    page = shown()
    assert set(asked) == {"viewer-1"}
    for word in ("vault", "secret", "9.9.9", "6.6.6", "staging"):
        assert word not in page
    assert "1.1.0" in page
    # Saying that 1.0.0 still runs would be a lie.
    assert "A pipeline that you may not read has deployed here, too." in page


def test_a_service_of_hidden_pipelines_alone_is_not_there() -> None:
    standings = [EnvironmentSummary("shop", "dev", 1, "mine"), EnvironmentSummary("shop", "production", 2, "theirs")]
    standings.append(EnvironmentSummary("vault", "production", 3, "theirs"))
    seen = survey(standings, [VetoInForce("vault", "attic", "1", "sha256:1", AT, "mine", "run")], [], {"mine"})
    assert set(seen.states) == {"shop"}
    assert seen.environments == {"dev", "production"}
    places = places_of(standings, [], [], {"mine"})
    assert set(places) == {"shop"}
    assert places["shop"]["production"].hidden
    freezes = [Freeze("shop", name, AT, "ada", "holidays") for name in ("dev", "edu", "production")]
    freezes.append(Freeze("vault", "production", AT, "ada", "holidays"))
    frozen = places_of(standings, [], [], {"mine"}, freezes)["shop"]
    assert [name for name, place in frozen.items() if place.freeze] == ["dev", "edu"]
    assert survey(standings, [], [], {"mine"}, "production", freezes).states == {"shop": 0}
    assert places["shop"]["production"].promoted == 0
    assert not places["shop"]["dev"].hidden


# Finding things.


def _question(pipeline: str, *environments: str, service: str = "") -> OpenQuestion:
    return OpenQuestion(pipeline, "run", "approve", service, environments, "Deploy?", (), AT, None)


def _seen(environment: str = "") -> Survey:
    return survey(
        [
            EnvironmentSummary("cart", "production", 1, "cart"),
            EnvironmentSummary("Shop", "dev", 2, "shop", 3, "shop", "running"),
            EnvironmentSummary("Shop", "production", 4, "shop", 5, "shop", "rolled_back"),
        ],
        [VetoInForce("Shop", "production", "1", "sha256:1", AT, "shop", "run")],
        [_question("cart", "staging", service="cart"), _question("new")],
        {"cart", "shop", "new"},
        environment,
    )


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), ["cart", "new", "Shop"]),
        (Wanted(text="SHO"), ["Shop"]),
        (Wanted(text="%"), []),
        (Wanted(environment="dev"), ["Shop"]),
        (Wanted(environment="production"), ["cart", "Shop"]),
        (Wanted(state="waiting"), ["cart", "new"]),
        (Wanted(state="waiting", environment="production"), []),
        (Wanted(state="in_progress"), ["Shop"]),
        (Wanted(state="failed", environment="dev"), []),
        (Wanted(state="failed", environment="production"), ["Shop"]),
        (Wanted(state="vetoed"), ["Shop"]),
    ],
)
def test_choosing(wanted: Wanted, expected: list[str]) -> None:
    assert choose(_seen(wanted.environment), wanted)[0] == expected


def test_counts_are_those_of_every_state_whichever_is_chosen() -> None:
    _, counts = choose(_seen(), Wanted(state="waiting"))
    assert counts == {"": 3, "waiting": 2, "in_progress": 1, "failed": 1, "vetoed": 1, "frozen": 0}


@pytest.mark.parametrize(
    ("ways", "expected"),
    [
        ([], []),
        ([("production",), ("dev",), ("dev", "staging"), ("staging", "production")], ["dev", "staging", "production"]),
        # Regions in parallel get there now in this order, now in that.
        ([("dev", "us", "eu"), ("dev", "eu", "us"), ("us",)], ["dev", "eu", "us"]),
        ([("a", "b"), ("b", "c"), ("c", "a")], ["a", "b", "c"]),
    ],
)
def test_environments_come_in_the_order_deliveries_reach_them(ways: Any, expected: list[str]) -> None:
    assert delivery_order([("shop", way) for way in ways], lambda _: {}) == expected


def test_of_environments_side_by_side_the_name_decides_and_not_which_was_first() -> None:
    asked = []

    def depths(pipeline: str) -> dict[str, int]:
        asked.append(pipeline)
        return environment_depths(PLACES) if pipeline == PIPELINE else {}

    late = [(f"later-{number}", ("test", "dev", "staging")) for number in range(9)]
    ways = [("z", ("staging", "test")), (PIPELINE, ("test", "dev", "staging", "sandbox", "edu", "production")), *late]
    expected = ["dev", "test", "edu", "sandbox", "staging", "production"]
    assert delivery_order(ways, depths) == expected
    # One pipeline tells for a thousand that reach the same.
    assert asked == [PIPELINE]
    assert delivery_order(ways[:1], depths) == ["staging", "test"]


def test_environments_that_no_recent_run_reached_come_last() -> None:
    assert in_order({"old", "dev", "archive", "production"}, ["dev", "production"]) == [
        "dev",
        "production",
        "archive",
        "old",
    ]


def test_the_columns_are_in_delivery_order(shown: Any, ledger: Ledger) -> None:
    for service, version in (("shop", "1"), ("cart", "1")):
        delivery = Delivery(ledger, service, version)
        for environment in ("test", "production", "archive"):
            delivery.promoted(environment)
    assert re.findall(r'role="columnheader">([^<]+)<', shown()) == ["Service", "test", "production", "archive"]
    assert re.findall(r'role="columnheader">([^<]+)<', shown("?environment=archive")) == ["Service", "archive"]


def test_many_services_come_in_pages(shown: Any, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "PER_PAGE", 2)
    for service in "abcde":
        Delivery(ledger, service, "1").promoted("dev")
    first, last = shown("?service=&environment=dev"), shown("?environment=dev&page=3")
    assert "Services 1 to 2 of 5" in first
    assert 'rel="next" href="?environment=dev&amp;page=2"' in first
    assert "Previous" not in first
    assert "Services 5 to 5 of 5" in last
    assert "Next" not in last
    assert "Services 5 to 5 of 5" in shown("?environment=dev&page=99")
    assert "Services 1 to 2 of 5" in shown("?page=-1&state=nonsense")


# In a browser.


@pytest.fixture
def open_page(browser: Any, client_as: ClientAs) -> Iterator[Any]:
    """Open the page in a browser; gives the page and what went wrong on it."""
    client, contexts = client_as("viewer"), []

    def opened(width: int, scheme: str) -> tuple[Any, list[str]]:
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        contexts.append(context)
        page, trouble = context.new_page(), []

        def answer(route: Any) -> None:
            address = route.request.url
            if not address.startswith("http://airflow.test/"):
                trouble.append(address)
            got = client.get(address.removeprefix("http://airflow.test"))
            route.fulfill(status=got.status_code, body=got.content, headers=dict(got.headers))

        page.route("**/*", answer)
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.goto(f"http://airflow.test{PAGE}")
        return page, trouble

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_screen(open_page: Any, ledger: Ledger, width: int, scheme: str) -> None:
    for service, version in (("shop", "1.0.0"), ("s" * 240, "1." + "0" * 200)):
        delivery = Delivery(ledger, service, version)
        for environment in ("dev", "staging", "production"):
            delivery.promoted(environment, "PASS")
    Delivery(ledger, "shop", "1.1.0").rolled_back("staging", "x" * 400)
    canary = Delivery(ledger, "shop", "1.2.0")
    canary.canary("production")
    canary.asks("production")
    for number in range(9):
        Delivery(ledger, "shop", "1.0.0").promoted(f"region-{number}")
    page, trouble = open_page(width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert trouble == []
    assert page.get_by_role("table").get_by_role("rowheader", name="shop", exact=True).is_visible()
    assert page.get_by_role("link", name="Deploy shop 1.2.0 to production?").is_visible()
    page.get_by_role("searchbox", name="Service").fill("nothing like it")
    page.keyboard.press("Enter")
    page.get_by_text("No service matches.").wait_for(timeout=PATIENCE)
    page.get_by_role("link", name="Show all of them").click()
    page.get_by_role("rowheader", name="shop", exact=True).wait_for(timeout=PATIENCE)


@pytest.mark.browser
def test_six_environments_are_seen_at_once_in_airflows_frame(open_page: Any, ledger: Ledger) -> None:
    delivery = Delivery(ledger, "storefront-frontend", "1.0.0")
    for environment in ("dev", "test", "edu", "sandbox", "staging", "production"):
        delivery.promoted(environment, "PASS", by="release-manager@example.com")
    Delivery(ledger, "storefront-frontend", "1.1.0").rolled_back("staging", "error rate 3.1 % against 0.2 %")
    later = Delivery(ledger, "storefront-frontend", "1.2.0-rc.3+build.20261124.7")
    later.canary("production", 20, "PASS", final=False)
    later.asks("production", approvers=("release-managers", "bob"))
    page, _ = open_page(1180, "light")  # what Airflow's navigation leaves of 1280
    place = page.get_by_role("cell", name="1.2.0-rc.3").bounding_box()
    assert place["width"] > 100
    assert place["x"] + place["width"] <= 1180
    assert page.evaluate("(table => table.scrollWidth - table.clientWidth)(document.querySelector('#table'))") == 0


@pytest.mark.browser
def test_it_stays_up_to_date_by_itself(open_page: Any, ledger: Ledger) -> None:
    Delivery(ledger, "shop", "1.0.0").promoted("production")
    page, trouble = open_page(1280, "light")
    Delivery(ledger, "shop", "1.1.0").canary("production")
    page.get_by_text("CANARY").wait_for(timeout=PATIENCE)
    assert (
        page.get_by_role("status").inner_text().endswith("1 in progress, 0 failed, 0 with a vetoed release, 0 frozen.")
    )
    assert trouble == []
