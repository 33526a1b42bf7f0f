"""The page of one environment: what runs there, what is vetoed or frozen, and how it is reached."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_cd.ledger import Ledger
from airflow_cd.plugin.environment import routes
from airflow_cd.targets.base import Instance, Track
from tests.plugin.build_com_run import PLACES
from tests.plugin.conftest import ClientAs
from tests.plugin.deployed import Delivery
from tests.plugin.environment.scene import HOSTILE, NEW, OLD, PLACE, RELEASES, deploy
from tests.plugin.served import served


def test_it_says_what_runs_and_what_every_release_to_go_back_to_would_change(
    promoted: Ledger, client_as: ClientAs, rollback_dag: Any
) -> None:
    rollback_dag()
    page = client_as("admin").get(PLACE).text
    assert "shop 1.2 runs in production." in page
    first, second = (page.index(f'value="{RELEASES[version].digest[7:]}"') for version in ("1.1", "1.0"))
    assert first < second
    assert "checked" in page[first : first + 160]
    assert "checked" not in page[second : second + 160]
    assert NEW.digest[7:] not in page
    for now, would_be in (
        ("shop:1.2", "shop:1.1"),
        ("8", "4"),
        ("(not given)", "&lt;script&gt;alert(1)&lt;/script&gt;"),
    ):
        assert f"<code>{now}</code>" in page
        assert f"<code>{would_be}</code>" in page
    assert HOSTILE not in page


def test_what_ran_before_the_first_deployment_is_offered_by_that_name(
    ledger: Ledger, client_as: ClientAs, rollback_dag: Any
) -> None:
    rollback_dag()
    first = deploy(ledger, "1.2")
    first.previous = dict.fromkeys(first.previous, OLD)
    first.promoted("production")
    page = client_as("admin").get(PLACE).text
    choice = page[page.index(f'value="{OLD.digest[7:]}"') :]
    assert "checked" in choice[:160]
    assert "what ran here before the first deployment, which began" in choice[:600]
    assert "by nobody named" not in choice[:600]


@pytest.fixture
def reconfigured(ledger: Ledger) -> Ledger:
    """Replicas of 1.2 in production, and beside them a canary that has the same version and another configuration."""
    plan = {"production": {"target": {"type": "elsewhere.Nomad", "conn_id": "nomad_eu", "environment": "shop-eu"}}}
    ledger.runs.begin("shop", "run-again", datetime.now(timezone.utc), plan=plan)
    delivery = Delivery(ledger, "shop", "1.2", run_id="run-again")
    delivery.release = replace(NEW, configuration={"workers": 2, "password": "hunter-2-hunter"})
    delivery.previous = {f"web-{number}": NEW for number in range(3)}
    delivery.canary("production", 20)
    stable = Instance("", "1.2", NEW.artifact, {"workers": 8}, track=Track.STABLE, weight=32.0)
    canary = replace(
        stable, name="web-c1", configuration=delivery.release.configuration, track=Track.CANARY, weight=4.0
    )
    waits = replace(canary, name="web-c2", health="starting", message=f"no node has room {HOSTILE}", weight=0.0)
    here = [replace(stable, name=f"web-{number}") for number in range(3)]
    ledger.instances.record("shop", "production", [canary, waits, *here], datetime.now(timezone.utc))
    return ledger


def test_replicas_are_shown_by_track_with_shares_weights_and_what_keeps_them(
    reconfigured: Ledger, client_as: ClientAs
) -> None:
    page = client_as("viewer").get(PLACE).text
    canary, stable = page.split('class="card group ')[1:]
    assert canary.startswith("canary")
    assert "<b>2</b> 40 %" in canary
    assert "<b>4 %</b> by weight" in canary
    assert "<b>3</b> 60 %" in stable
    assert "<b>96 %</b> by weight" in stable
    assert "web-c2</strong>: no node has room &lt;script&gt;" in canary
    assert "web-c1</strong>" not in canary
    assert canary.index('<th scope="row">web-c1<') < canary.index('<th scope="row">web-c2<')


def test_what_is_said_of_healthy_instances_is_a_warning_once_and_makes_nothing_bad(
    ledger: Ledger, client_as: ClientAs
) -> None:
    deploy(ledger, "1.2").promoted("production")
    said = "web started again 3 times, last because it was killed: it used more memory than its limit (OOMKilled)"
    stable = Instance("", "1.2", NEW.artifact, NEW.configuration, track=Track.STABLE)
    here = [replace(stable, name=f"web-{number}", message=f"an autoscaler came {HOSTILE}") for number in range(5)]
    killed = replace(stable, name="web-killed", message=said)
    quiet = replace(stable, name="web-quiet")
    ledger.instances.record("shop", "production", [*here, killed, quiet], datetime.now(timezone.utc))
    page = client_as("viewer").get(PLACE).text
    group = page.split('class="card group ')[1]
    assert f"<strong>web-killed</strong>: {said}" in group
    assert group.count("an autoscaler came &lt;script&gt;") == 1
    assert "<strong>web-0, web-1, web-2 and 2 more</strong>: an autoscaler came" in group
    assert group.count("WARNING") == 2
    assert "<strong>web-quiet" not in group
    assert HOSTILE not in page
    assert 'class="banner good"' in page


def test_revisions_are_not_counted_but_weighed(ledger: Ledger, client_as: ClientAs) -> None:
    target = {
        "type": "airflow_cd.targets.aws_lambda.target.LambdaTarget",
        "conn_id": "aws",
        "environment": "shop",
        "function": "shop",
    }
    ledger.runs.begin("shop", "run-1.2", datetime.now(timezone.utc), plan={"production": {"target": target}})
    deploy(ledger, "1.2").canary("production")
    old = Instance("7", "1.1", OLD.artifact, OLD.configuration, track=Track.STABLE, weight=80.0)
    new = Instance("8", "1.2", NEW.artifact, NEW.configuration, track=Track.CANARY, weight=20.0)
    ledger.instances.record("shop", "production", [old, new], datetime.now(timezone.utc))
    page = client_as("viewer").get(PLACE).text
    assert "Lambda: <strong>shop:live</strong>, connection aws" in page
    canary, stable = page.split('class="card group ')[1:]
    assert "<b>20 %</b> by weight" in canary
    assert "<b>80 %</b> by weight" in stable
    assert "Every revision" in stable
    assert "50 %" not in page
    run = client_as("viewer").get("/airflow-cd/run/shop/run-1.2").text
    assert "on 1 revision, 20 % of the requests" in run
    assert "1 of 2 instance" not in run


def test_what_a_version_does_not_say_is_said_everywhere_and_secrets_nowhere(
    reconfigured: Ledger, client_as: ClientAs
) -> None:
    page = client_as("viewer").get(PLACE).text
    assert "shop 1.2 (password (not given) → a secret" in page
    assert "workers 8 → 2) is being" not in page
    assert re.search(r"password a secret[^<]*, workers 2", page)
    assert "workers 8" in page
    assert '<th scope="row">configuration: workers</th>' in page
    assert "hunter" not in page
    overview = client_as("viewer").get("/airflow-cd/deployments").text
    assert "workers 8 → 2" in overview
    assert "hunter" not in overview


def test_it_says_how_the_environment_is_reached(reconfigured: Ledger, client_as: ClientAs) -> None:
    client = client_as("viewer")
    assert "Nomad: <strong>shop-eu</strong>, connection nomad_eu" in client.get(PLACE).text
    assert "Nomad: shop-eu" in client.get("/airflow-cd/deployments").text
    assert "Nomad: shop-eu" in client.get("/airflow-cd/run/shop/run-again").text


def test_while_something_is_deployed_it_looks_more_often(
    reconfigured: Ledger, client_as: ClientAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "is_over", lambda pipeline, run_id: False)
    assert 'data-live="2"' in client_as("viewer").get(PLACE).text


def test_instances_with_names_of_their_own_are_shown_by_what_they_run(ledger: Ledger, client_as: ClientAs) -> None:
    deploy(ledger, "1.1").promoted("production")
    deploy(ledger, "1.2").canary("production")
    here = [
        Instance("a", "1.1", OLD.artifact, OLD.configuration),
        Instance("b", "1.1", OLD.artifact, OLD.configuration),
        Instance("c", "1.2", NEW.artifact, NEW.configuration),
        Instance("d", "1.2", NEW.artifact, NEW.configuration, drained=True),
    ]
    ledger.instances.record("shop", "production", here, datetime.now(timezone.utc))
    new, old = client_as("viewer").get(PLACE).text.split('class="card group ')[1:]
    assert new.startswith("new")
    assert "<b>33.3 %</b>" in new
    assert "<b>66.7 %</b>" in old
    assert "NO REQUESTS" in new


def test_a_veto_is_lifted_with_a_reason_and_the_release_may_be_deployed_again(
    promoted: Ledger, client_as: ClientAs
) -> None:
    bad = deploy(promoted, "1.3")
    bad.rolled_back("production", f"4 new exceptions {HOSTILE}")
    digest = bad.release.digest
    client = client_as("user")
    assert HOSTILE not in client.get(PLACE).text
    refused = client.post(f"{PLACE}/lift", data={"digest": digest, "why": ""})
    assert (refused.status_code, "A reason is missing" in refused.text) == (400, True)
    assert promoted.vetoes.in_force("shop", "production", bad.release)
    done = client.post(f"{PLACE}/lift", data={"digest": digest, "why": "a false alarm"}, follow_redirects=False)
    assert done.headers["location"] == f"{PLACE}#vetoes"
    assert promoted.vetoes.in_force("shop", "production", bad.release) is None
    page = client.get(PLACE).text
    assert "user-1" in page
    assert "a false alarm" in page


def test_who_may_edit_one_pipeline_lifts_no_veto_of_another(promoted: Ledger, client_as: ClientAs) -> None:
    bad = deploy(promoted, "1.3", pipeline="other")
    bad.rolled_back("production", "errors rose")
    answer = client_as("user").post(f"{PLACE}/lift", data={"digest": bad.release.digest, "why": "please"})
    assert answer.status_code == 400
    assert promoted.vetoes.in_force("shop", "production", bad.release)


def test_what_was_taken_back_after_its_promotion_reads_so(promoted: Ledger, client_as: ClientAs) -> None:
    [last] = promoted.deployments.matching("shop", "production", limit=1)
    back = deploy(promoted, "1.1", pipeline="shop-rollback")
    back.promoted("production", rolls_back=last.id)
    page = client_as("viewer").get(PLACE).text
    assert "shop 1.1 runs in production." in page
    banner, history = page.split("</section>")[0], page.split('id="history"')[1]
    assert "Rolled back to 1.1" in banner
    assert "romoted" not in banner
    assert "<td>rolled back to 1.1</td>" in history
    assert promoted.vetoes.in_force("shop", "production", NEW)


def test_an_environment_nobody_deployed_to_is_not_found(client_as: ClientAs) -> None:
    assert client_as("viewer").get(PLACE).status_code == 404


@pytest.mark.browser
def test_a_person_chooses_sees_what_changes_and_rolls_back(
    promoted: Ledger, client_as: ClientAs, rollback_dag: Any, airflow: list[dict[str, Any]], browser: Any
) -> None:
    rollback_dag()
    client = client_as("user")
    with served(client.app) as address:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.add_cookies([{"name": "_token", "value": client.cookies["_token"], "url": address}])
        page = context.new_page()
        page.goto(address + PLACE)
        previews = page.locator(".preview:visible")
        assert previews.count() == 1
        assert "shop:1.1" in previews.inner_text()
        page.get_by_label("1.0", exact=False).first.check()
        assert "shop:1.0" in previews.inner_text()
        page.get_by_label("Reason").first.fill("checkout is slow")
        page.get_by_role("button", name="Roll back now").click()
        page.wait_for_url("**/run/shop-rollback/**")
        context.close()
    [asked] = airflow
    assert asked["conf"]["release"] == RELEASES["1.0"].digest[7:]


@pytest.mark.browser
def test_what_was_written_comes_back_and_what_was_chosen_does_not(
    promoted: Ledger, client_as: ClientAs, rollback_dag: Any, browser: Any
) -> None:
    rollback_dag()
    client = client_as("user")
    with served(client.app) as address:
        context = browser.new_context()
        context.add_cookies([{"name": "_token", "value": client.cookies["_token"], "url": address}])
        page = context.new_page()
        page.goto(address + PLACE)
        offered = page.locator("[name=release]").evaluate_all("all => all.map(one => [one.value, one.checked])")
        page.get_by_label("1.0", exact=False).first.check()
        page.get_by_label("Reason").first.fill("checkout is slow")
        page.reload()
        assert page.get_by_label("Reason").first.input_value() == "checkout is slow"
        again = page.locator("[name=release]").evaluate_all("all => all.map(one => [one.value, one.checked])")
        assert again == offered
        assert offered[:2] == [[OLD.digest[7:], True], [RELEASES["1.0"].digest[7:], False]]
        context.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1180, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_fits_whatever_was_written(
    promoted: Ledger, client_as: ClientAs, rollback_dag: Any, browser: Any, width: int, scheme: str
) -> None:
    rollback_dag()
    bad = deploy(promoted, "1.3")
    bad.rolled_back("production", f"{HOSTILE} {'x' * 300}")
    client = client_as("user")
    with served(client.app) as address:
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        context.add_cookies([{"name": "_token", "value": client.cookies["_token"], "url": address}])
        page = context.new_page()
        page.goto(address + PLACE)
        page.get_by_text("Lift the veto").click()
        if folder := os.environ.get("AIRFLOW_CD_SHOTS"):
            page.screenshot(path=f"{folder}/environment-{width}-{scheme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        context.close()


@pytest.fixture
def delivers_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_cd.plugin.environment.routes.shape_of", lambda dag: PLACES if dag == "shop" else {})


def test_an_environment_is_frozen_and_the_freeze_lifted_with_a_reason(
    promoted: Ledger, client_as: ClientAs, delivers_here: None
) -> None:
    client = client_as("user")
    assert "FROZEN" not in client.get(PLACE).text
    refused = client.post(f"{PLACE}/freeze", data={"why": " "})
    assert (refused.status_code, "A reason is missing" in refused.text) == (400, True)
    done = client.post(f"{PLACE}/freeze", data={"why": f"holidays {HOSTILE}"}, follow_redirects=False)
    assert done.headers["location"] == f"{PLACE}#freeze"
    page = client.get(PLACE).text
    assert HOSTILE not in page
    assert "by user-1: holidays" in page.split('id="frozen"')[1].split("</p>")[0]
    client.post(f"{PLACE}/freeze", data={"why": "they are over", "lift": "yes"})
    assert "FROZEN" not in client.get(PLACE).text
    assert [record.action for record in promoted.audit.actions()] == ["lift freeze", "freeze"]


def test_who_may_edit_another_pipeline_freezes_nothing_here(
    promoted: Ledger, client_as: ClientAs, delivers_here: None
) -> None:
    answer = client_as("user").post(f"{PLACE.replace('/shop/shop/', '/other/shop/')}/freeze", data={"why": "please"})
    assert answer.status_code == 400
    assert promoted.freezes.in_force("shop", "production") is None
