"""The served report: what a person can say on it, take back, download, sort and find."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import pytest
from fastapi.testclient import TestClient

from airflow_cd.ledger import Ledger, open_ledger
from airflow_cd.plugin.report.events import arranged
from airflow_cd.plugin.report.page import file_name
from airflow_cd.report.page import render_report
from airflow_cd.report.report import Report
from airflow_cd.report.views import columns_of, events_of
from airflow_cd.verification.verdict import Feedback, Verdict
from tests.pace import pace
from tests.plugin.conftest import ClientAs
from tests.plugin.report.report_world import RUN, TASK, address, deployed, good_one, judged, told, watching
from tests.report import samples
from tests.report.test_page import Page

RED = "c0ffee00"
BECAUSE = "it is caught & retried <b>"


@pytest.fixture
def client(client_as: ClientAs) -> TestClient:
    return client_as("user")


def page_of(client: TestClient, query: str = "", **more: Any) -> str:
    answer = client.get(address() + query, **more)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    return answer.text


def text(source: str) -> str:
    return " ".join(Page(source.replace("<!doctype html>", "")).text.split())


def form(**changes: str) -> dict[str, str]:
    return {"event": RED, "says": "not_a_risk", "where": "here", "why": BECAUSE, **changes}


def details_of(source: str, event_id: str = RED) -> str:
    return re.search(rf'<article[^>]*id="event-{event_id}".*?</article>', source, re.DOTALL).group()  # type: ignore[union-attr]


def send(client: TestClient, what: str, data: dict[str, str]) -> Any:
    return client.post(f"{address()}/{what}", data=data, follow_redirects=False)


# -- what is said of an event ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("says", ["not_a_risk", "not_a_risk_at_any_frequency", "always_a_risk", "default"])
@pytest.mark.parametrize(("where", "environment"), [("here", "production"), ("everywhere", None)])
def test_what_a_person_says_is_in_the_ledger_as_the_command_would_write_it(
    client: TestClient, ledger: Ledger, says: str, where: str, environment: str | None
) -> None:
    told(ledger)
    answer = send(client, "feedback", form(says=says, where=where))
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{address()}#event-{RED}"
    [said] = ledger.feedback.in_force("shop", "production")
    event = samples.planted()[0]
    assert (said.event_id, said.says, said.environment, said.who, said.why) == (
        RED,
        says,
        environment,
        "user-1",
        BECAUSE,
    )
    assert (said.template, said.sample) == (event.template, event.samples[-1])
    [action] = ledger.audit.actions()
    assert (action.who, action.action, action.why) == ("user-1", "feedback", BECAUSE)


def test_it_stands_with_the_event_and_is_taken_back_with_a_reason(client: TestClient, ledger: Ledger) -> None:
    told(ledger)
    assert "not a risk" not in text(details_of(page_of(client))).split("Give feedback")[0]
    send(client, "feedback", form())
    source = page_of(client)
    shown = text(details_of(source))
    assert f"not a risk user-1, {_day(ledger)}" in shown
    assert f"in production: {BECAUSE}" in shown
    assert "Given after this verdict" in shown
    assert "<td>unknown, not a risk</td>" in source
    [said] = ledger.feedback.in_force("shop", "production")

    answer = send(client, "undo", {"number": str(said.id), "event": RED, "why": "it was not retried"})
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{address()}#event-{RED}"
    assert ledger.feedback.in_force("shop", "production") == []
    shown = text(details_of(page_of(client)))
    assert "Given after" not in shown
    assert "Feedback history (1)" in shown
    assert "undone by user-1" in shown
    assert "it was not retried" in shown


def _day(ledger: Ledger) -> str:
    [said] = ledger.feedback.in_force("shop", "production")
    return f"{said.at:%Y-%m-%d %H:%M:%S} UTC"


def test_what_holds_here_outranks_what_holds_everywhere_and_both_are_told(client: TestClient, ledger: Ledger) -> None:
    told(ledger)
    send(client, "feedback", form(says="always_a_risk", why="here it is"))
    send(client, "feedback", form(where="everywhere", why="elsewhere it is none"))
    shown = text(details_of(page_of(client)))
    assert "always a risk user-1" in shown.split("Feedback history (2)")[0]
    assert "in force, but overridden" in shown
    here = next(said for said in ledger.feedback.history("shop", "production") if said.environment)
    send(client, "undo", {"number": str(here.id), "event": RED, "why": "no"})
    before = text(details_of(page_of(client))).split("Feedback history")[0]
    assert "in every environment: elsewhere it is none" in before


def test_what_the_verdict_went_by_is_told_apart_from_what_counts_now(client: TestClient, ledger: Ledger) -> None:
    said = ledger.feedback.record("shop", RED, "not_a_risk", who="ada", why="known", environment="production")
    red, *others = samples.planted()
    forgiven = replace(red, risk=False, feedback=said.statement.feedback)
    told(
        ledger,
        [forgiven, *others, replace(samples.ordinary(1)[0], feedback=Feedback("expected", "the pipeline", "new"))],
    )
    shown = text(details_of(page_of(client)))
    assert "not a risk ada" in shown
    assert "after this verdict" not in shown
    assert "This verdict took into account" not in shown
    foreseen = text(details_of(page_of(client), samples.ordinary(1)[0].id))
    assert "This verdict took into account: expected the pipeline: new" in foreseen
    assert "undone since" not in foreseen
    ledger.feedback.undo(said.id, who="bob", why="seen again")
    shown = text(details_of(page_of(client)))
    assert "This verdict took into account: not a risk ada" in shown
    assert "(undone since)" in shown
    assert "undone by bob" in shown


def test_feedback_on_an_event_with_parameters_is_found_on_its_parts(client: TestClient, ledger: Ledger) -> None:
    event = samples.planted()[0]
    part = replace(event, id="feed", template=event.template.replace("<*>", "twice"))
    ledger.feedback.record("shop", RED, "not_a_risk", who="ada", why="known", template=event.template)
    told(ledger, [part])
    assert "not a risk ada" in text(details_of(page_of(client), "feed"))


def test_a_form_sent_twice_is_meant_once(client: TestClient, ledger: Ledger) -> None:
    told(ledger)
    for _ in range(2):
        assert send(client, "feedback", form()).status_code == 303
    [first] = ledger.feedback.history("shop")
    send(client, "undo", {"number": str(first.id), "event": RED, "why": "no"})
    send(client, "feedback", form())
    assert len(ledger.feedback.in_force("shop", "production")) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"why": " \n"}, "A reason is missing"),
        ({"why": "x" * 4001}, "4001 characters"),
        ({"event": "nothing"}, "no such event"),
        ({"says": "fine"}, "does not say what the event is"),
        ({"where": "staging"}, "does not say what the event is"),
    ],
)
def test_what_is_not_taken_is_said_and_what_was_written_is_kept(
    client: TestClient, ledger: Ledger, changes: dict[str, str], words: str
) -> None:
    told(ledger)
    sent = form(says="always_a_risk", where="everywhere") | changes
    answer = send(client, "feedback", sent)
    assert answer.status_code == 400
    assert words in answer.text
    assert "Nothing was recorded" in answer.text or "nothing was recorded" in answer.text
    assert ledger.feedback.history("shop") == []
    if sent["event"] == RED:
        kept = details_of(answer.text)
        assert 'role="alert"' in kept
        if sent["says"] != "fine":
            assert '<option value="always_a_risk" selected>' in kept
        assert sent["why"].strip().replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in kept
    else:
        assert BECAUSE in text(answer.text)
    assert "data-live" not in answer.text


def test_what_cannot_be_undone_is_said(client: TestClient, ledger: Ledger) -> None:
    told(ledger)
    elsewhere = ledger.feedback.record("billing", RED, "not_a_risk", who="eve", why="hm")
    staging = ledger.feedback.record("shop", RED, "not_a_risk", who="eve", why="hm", environment="staging")
    done = ledger.feedback.record("shop", RED, "not_a_risk", who="eve", why="hm", environment="production")
    ledger.feedback.undo(done.id, who="eve", why="hm")
    for number, words in (
        (elsewhere.id, "There is no feedback number"),
        (staging.id, "There is no feedback number"),
        (done.id, "was undone already, by eve"),
        (done.id + 1, "There is no feedback number"),
        ("²", "There is no feedback number"),
        ("", "There is no feedback number"),
    ):
        answer = send(client, "undo", {"number": str(number), "event": RED, "why": "mine to say"})
        assert answer.status_code == 400
        assert words in answer.text
    assert not any(said.undoes in (elsewhere.id, staging.id) for said in ledger.feedback.history("shop"))
    assert len(ledger.feedback.in_force("billing", "production")) == 1


def test_a_task_that_judged_nothing_takes_nothing(client: TestClient, ledger: Ledger) -> None:
    assert "No report yet" in page_of(client)
    assert 'data-live="5"' in page_of(client)
    assert send(client, "feedback", form()).status_code == 404
    assert send(client, "baseline", {"choice": "all", "why": "x"}).status_code == 404
    assert ledger.feedback.history("shop") == []


def test_who_may_only_look_sees_what_was_said_and_no_form(client_as: ClientAs, ledger: Ledger) -> None:
    told(ledger)
    send(client_as("user"), "feedback", form())
    good_one_choice(client_as("user"))
    source = page_of(client_as("viewer"))
    assert 'method="post"' not in source
    assert "Give feedback" not in source
    assert BECAUSE in text(source)
    assert "pinned to the control alone" in text(source)
    assert send(client_as("viewer"), "feedback", form()).status_code == 403


def good_one_choice(client: TestClient) -> None:
    assert send(client, "baseline", {"choice": "control", "why": "a new start"}).status_code == 303


# -- the baseline ----------------------------------------------------------------------------------------------------


def test_a_baseline_is_pinned_reset_and_both_are_taken_back(client: TestClient, ledger: Ledger) -> None:
    taught = good_one(ledger, "1.0")
    told(ledger)
    assert "is compared with the baseline that its pipeline sets" in text(page_of(client))
    assert f'<option value="{taught.id}">1.0 alone ({taught.id[:8]})</option>' in page_of(client)
    for choice, words in (
        ("previous", "pinned to the previous good deployment"),
        (taught.id, f"pinned to 1.0 alone ({taught.id[:8]})"),
        ("reset", "reset: it is learned anew from later promotions"),
    ):
        answer = send(client, "baseline", {"choice": choice, "why": f"because {choice}"})
        assert (answer.status_code, answer.headers["location"]) == (303, f"{address()}#baseline")
        now = text(page_of(client)).split("What the next canary is compared with")[1]
        assert f"is {words}. user-1" in now
        assert f"because {choice}" in now
    last = ledger.baselines.choice("shop", "production")
    assert last is not None
    stale = send(client, "baseline/undo", {"number": str(last.id - 1), "why": "no"})
    assert stale.status_code == 400
    assert "changed since" in stale.text
    assert send(client, "baseline/undo", {"number": str(last.id), "why": "too early"}).status_code == 303
    standing = ledger.baselines.choice("shop", "production")
    assert standing is not None
    assert standing.choice == taught.id
    assert "undoes the reset; user-1" in text(page_of(client))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"choice": "previous", "why": ""}, "A reason is missing"),
        ({"choice": "9.9", "why": "kept <i>"}, "no such deployment of shop was promoted here"),
        ({"choice": "", "why": "kept <i>"}, "must be one of"),
    ],
)
def test_a_baseline_that_cannot_be_is_refused(
    client: TestClient, ledger: Ledger, data: dict[str, str], words: str
) -> None:
    told(ledger)
    answer = send(client, "baseline", data)
    assert answer.status_code == 400
    assert words in text(answer.text)
    assert data["why"].replace("<", "&lt;").replace(">", "&gt;") in answer.text
    assert ledger.baselines.history("shop", "production") == []


# -- files, life, table ----------------------------------------------------------------------------------------------


def test_the_report_is_downloaded_as_a_file_that_needs_nothing(client: TestClient, ledger: Ledger) -> None:
    told(ledger)
    whole = client.get(f"{address()}/html")
    assert whole.headers["content-disposition"] == (
        'attachment; filename="verification_shop_1.2_production_phase-20_FAIL_202611230814.html"'
    )
    assert whole.text == render_report(Report.from_dict(client.get(f"{address()}/json").json()))
    assert not {"script", "link", "form"} & {tag for tag, _ in Page(whole.text).tags}
    assert "content-disposition" not in client.get(f"{address()}/json").headers
    kept = client.get(f"{address()}/json?download")
    assert kept.headers["content-disposition"].endswith('FAIL_202611230814.json"')
    assert kept.json()["service"] == "shop"
    for ending in ("html", "json"):
        assert client.get(f"{address('production.phase_100.verify')}/{ending}").status_code == 404


def test_a_file_name_holds_nothing_that_a_header_or_a_disk_could_trip_over() -> None:
    report = samples.story(service='sh"op\r\nX: y/../é', environment="../..")
    assert re.fullmatch(r"[\w.-]+", file_name(report, "html"), re.ASCII)
    assert ".." not in file_name(report, "html")


def test_the_page_looks_again_while_something_may_change(client: TestClient, ledger: Ledger) -> None:
    deployment, token = deployed(ledger)
    judged(ledger, deployment, token, watching(samples.ordinary(4)))
    first = page_of(client)
    assert 'data-live="5"' in first
    assert 'data-announce="WATCHING' in first
    judged(ledger, deployment, token, samples.judgement(samples.planted()))
    assert 'data-live="15"' in page_of(client)
    ledger.settlement.begin_rollback(deployment.id, token=token, outcome="4 unknown events")
    assert 'data-live="5"' in page_of(client)
    ledger.settlement.finish_rollback(deployment.id, token=token, restored=True, outcome="4 unknown events")
    assert "data-live" not in page_of(client)


def test_the_served_page_says_all_that_the_file_says(client: TestClient, ledger: Ledger) -> None:
    told(ledger)
    served, alone = Page(page_of(client)), Page(client.get(f"{address()}/html").text)
    assert set(alone.ids) - {"evidence"} <= set(served.ids)
    assert len(served.ids) == len(set(served.ids))
    inside = {link.removeprefix("#") for link in served.links if link.startswith("#")}
    assert inside <= set(served.ids)
    outside = {link for link in served.links if not link.startswith("#")}
    assert all(link.startswith(("/airflow-cd/", "/dags/")) for link in outside)


def rows(source: str) -> list[tuple[str, bool]]:
    body = source.split('id="events"')[1].split("<tbody>")[1].split("</tbody>", maxsplit=1)[0]
    return [(number, "hidden" in tag) for tag, number in re.findall(r'<tr([^>]*)><td class="n">(\d+)', body)]


def test_the_table_is_sorted_and_searched_without_a_script(client: TestClient, ledger: Ledger) -> None:
    told(ledger)
    usual = rows(page_of(client))
    assert [number for number, _ in usual] == [str(number) for number in range(1, 51)]
    counts = [int(count.replace(",", "")) for count in _cells(page_of(client, "?sort=canary"), 5)]
    assert counts == sorted(counts, reverse=True)
    source = page_of(client, "?sort=-canary")
    assert _cells(source, 5)[0] == "0"
    assert 'aria-sort="ascending"' in source
    assert "?sort=canary&amp;find=#events" in source
    assert _cells(page_of(client, "?sort=severity"), 4)[:4] == ["error"] * 4
    found = rows(page_of(client, "?find=GIFTcard"))
    assert [number for number, hidden in found if not hidden] == ["1"]
    assert ">1 of 50</output>" in page_of(client, "?find=GIFTcard")
    for odd in ("?sort=nothing", "?sort=-", "?sort=&find="):
        assert rows(page_of(client, odd)) == usual


def _cells(source: str, column: int) -> list[str]:
    body = source.split('id="events"')[1].split("<tbody>")[1].split("</tbody>", maxsplit=1)[0]
    return [re.findall(r"<td[^>]*>(.*?)</td>", row)[column - (column > 0) + 0] for row in body.split("</tr>")[:-1]]


def test_every_column_sorts() -> None:
    judgement = samples.judgement([*samples.ordinary(60), *samples.planted()])
    events = events_of(judgement)
    for column in columns_of(judgement, events):
        forth = arranged(events, [column], {}, column.name, "")
        back = arranged(events, [column], {}, f"-{column.name}", "")
        assert forth.rows != back.rows
        assert {forth.aria_sort(column), back.aria_sort(column)} == {"ascending", "descending"}


# -- that nothing from outside becomes markup ------------------------------------------------------------------------


def everything_said(client: TestClient, ledger: Ledger, poison: str) -> list[str]:
    """The pages of a report in which the poison is in all that came from logs, people and addresses."""
    sent = poison.replace("\ud800", "")
    events = [
        replace(
            event,
            template=event.template + poison,
            samples=[sample + poison for sample in event.samples],
            exception=f"{event.exception}{poison}",
        )
        for event in samples.planted()
    ]
    told(ledger, events, reasons=[replace(samples.judgement(events).reasons[0], text=poison)])
    for says in ("always_a_risk", "not_a_risk"):
        assert send(client, "feedback", form(says=says, why=sent)).status_code == 303
    [said] = ledger.feedback.in_force("shop", "production")
    assert send(client, "undo", {"number": str(said.id), "event": RED, "why": sent}).status_code == 303
    assert send(client, "baseline", {"choice": "control", "why": sent}).status_code == 303
    return [
        page_of(client),
        page_of(client, f"?{urlencode({'find': f'zzz{sent}', 'sort': sent, 'event': sent})}"),
        send(client, "feedback", form(says=sent, why=sent)).text,
        send(client, "undo", {"event": RED, "number": sent, "why": sent}).text,
        send(client, "feedback", form(event=sent, why=sent)).text,
        send(client, "baseline", {"choice": f"zzz{sent}", "why": sent}).text,
    ]


HARMLESS: list[Page] = []
"""The same pages with a word that is no poison, made once."""


@pytest.mark.parametrize("poison", samples.HOSTILE, ids=range(len(samples.HOSTILE)))
def test_hostile_text_changes_no_tag_and_no_attribute(
    client: TestClient, ledger: Ledger, poison: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned = everything_said(client, ledger, poison)
    if not HARMLESS:
        monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN", f"sqlite:///{tmp_path}/clean.db")
        HARMLESS.extend(map(Page, everything_said(client, open_ledger(), " (harmless)")))
    for source, harmless in zip(poisoned, HARMLESS, strict=True):
        page = Page(source)
        assert page.tags == harmless.tags
        assert page.ids == harmless.ids
        assert {urlsplit(link)[:3] for link in page.links} == {urlsplit(link)[:3] for link in harmless.links}
        assert not [name for name, _ in page.attributes if name.startswith("on") or name == "autofocus"]
        assert not set("\x1b\x00\u202e\u2066\x85") & set(source)


# -- that it bears much ----------------------------------------------------------------------------------------------


def test_two_thousand_events_make_a_page_that_can_be_borne(client: TestClient, ledger: Ledger) -> None:
    large = samples.large(2000, 200).stored_judgement
    deployment, token = deployed(ledger)
    ledger.verdicts.record(deployment.id, "phase_20", token=token, verdict="FAIL", evidence=large, final=True)
    for number in range(40):
        ledger.feedback.record("shop", f"other{number}", "not_a_risk", who="ada", why="x", template=f"job {number} <*>")
    assert pace(lambda: page_of(client)) < 50  # about 10 on an idle core
    source = page_of(client)
    assert len(source.encode()) < 6_000_000
    tags = len(Page(source).tags)
    assert tags < 70_000
    assert source.count("<textarea") == 5
    asked = page_of(client, "?event=00000010")
    assert "<textarea" in details_of(asked, "00000010")


def test_a_report_of_another_version_is_no_riddle(client: TestClient, ledger: Ledger) -> None:
    deployment, token = deployed(ledger)
    ledger.verdicts.record(deployment.id, "phase_20", token=token, verdict="FAIL", evidence={"x": 1}, final=True)
    answer = client.get(address())
    assert answer.status_code == 500
    assert "not a stored judgement" in answer.text


def test_the_verdict_of_a_look_tells_what_counts_at_the_next(client: TestClient, ledger: Ledger) -> None:
    deployment, token = deployed(ledger)
    judged(ledger, deployment, token, replace(watching(samples.planted()), verdict=Verdict.INCONCLUSIVE))
    send(client, "feedback", form())
    assert "It counts from the next look on." in text(details_of(page_of(client)))
    assert (RUN, TASK) == ("manual__2026-11-23T08:10:00+00:00", "production.phase_20.verify")


def test_a_verification_that_waits_for_a_person_leads_to_its_question(ledger: Ledger, client_as: ClientAs) -> None:
    told(ledger)
    where = address().removeprefix("/airflow-cd/report/")
    pipeline, run_id, task_id = (unquote(part) for part in where.split("/"))
    question = ledger.questions.ask(
        pipeline=pipeline,
        run_id=run_id,
        task_id=task_id,
        options=["Roll back", "Go on"],
        approvers=(),
        subject="Roll shop 1.2 back?",
        body="",
        deadline=None,
    )
    page = client_as("viewer").get(address()).text
    assert question.subject in page
    assert f'href="/airflow-cd/approval/{where}"' in page
    ledger.questions.answer(pipeline, run_id, task_id, option="Go on", who="ada", why="")
    assert question.subject not in client_as("viewer").get(address()).text
