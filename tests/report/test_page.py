"""The report: what it says first, that it needs nothing else, and that nothing from outside becomes markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from airflow_cd.errors import VerificationError
from airflow_cd.report import words
from airflow_cd.report.figures import chart, dots, interval_figure, threshold_of, unit_of
from airflow_cd.report.order import worst_first
from airflow_cd.report.page import render_report
from airflow_cd.report.report import ManualAction, Outcome, Report
from airflow_cd.verification.lag import SeenLag
from airflow_cd.verification.throttling import Throttling
from airflow_cd.verification.verdict import Event, EventKind, MetricResult, Performance, Reason, Verdict
from tests.pace import pace
from tests.report import samples

VOID = {"meta", "br", "link", "input"}
DIRECTIONS = ("higher_is_worse", "lower_is_worse", "either")
INLINE = {"a", "b", "code", "span", "strong"}


class Page(HTMLParser):
    """Tags with their attributes, the text, and the ids and links of a page; fails on tags that do not nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self._text: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.attributes += attrs
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in VOID:
            self._open.append(tag)
        if tag not in INLINE:
            self._text.append(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self._text.append(data)

    @property
    def text(self) -> str:
        return "".join(self._text)


def text_of(report: Report) -> str:
    page = render_report(report)
    return " ".join(Page(page[page.index("<body>") : page.index("</html>")]).text.split())


# -- what it says --------------------------------------------------------------------------------------------------


def test_the_verdict_stands_first_then_what_was_new_and_done_and_whether_it_is_safe() -> None:
    text = text_of(samples.story())
    places = [
        text.index(words)
        for words in (
            "FAIL 4 events are unknown: GiftCardBalanceError",
            "shop 1.2 on 2 instances of production, phase_20",
            "What was new? 4 events",
            "What was done? Rolled back to shop 1.1",
            "Is it safe now? Yes",
            "To verdict 27.0 s",
            "To safe 0.41 s",
            "To restored 2.9 s",
            "Logs FAIL",
            "Metrics PASS",
        )
    ]
    assert places == sorted(places)
    assert "<title>FAIL: shop 1.2 in production, phase_20</title>" in render_report(samples.story())


def test_a_red_event_shows_its_record_its_place_and_its_counts() -> None:
    text = text_of(samples.story())
    for words_ in (
        "GiftCardBalanceError: balance of card 7731 is None",
        "in shop.gift_cards.redeem ‹ shop.web.handle",
        "canary 5 control 0 baseline 0 expected 0",
        "shop-production-01 3, shop-production-02 2",
        "08:14:09 to 08:14:33 UTC",
    ):
        assert words_ in text


def test_what_it_rests_on_is_there() -> None:
    text = text_of(samples.story())
    for words_ in (
        '_sourceCategory=production/shop AND _sourceHost in ("shop-production-01")',
        "SELECT average(duration) FROM Transaction WHERE appName = 'shop'",
        "shop 1.0, 2026-11-20, shop 1.1, 2026-11-21",
        "configuration: inventory_timeout_ms 500 800",
        "configuration: gift_cards (not given) true",
        "ada: approve change 4711, tested in staging",
    ):
        assert words_ in text
    assert "currency" not in text


def test_how_late_a_source_was_is_said() -> None:
    story = samples.story()
    late = SeenLag(records=2114, typical=41.0, longest=92.5, late=17, reported=True, waited=116.0)
    text = text_of(replace(story, evidence=replace(story.judgement, lags={"Sumo Logic shop": late})))
    assert "Lag of Sumo Logic shop" in text
    for words_ in ("up to 92.5 s later", "within 41 s", "17 after", "waits 116 s"):
        assert words_ in text


def test_how_often_a_source_told_to_wait_is_said_beside_its_lag() -> None:
    story = samples.story()
    name = "Sumo Logic shop"
    lag = SeenLag(records=20, typical=1.0, longest=2.0, late=0, reported=True, waited=5.0)
    said = Throttling(3, 12.5, "4 calls in 1 s")
    text = text_of(replace(story, evidence=replace(story.judgement, lags={name: lag}, throttling={name: said})))
    assert "Rate limit of Sumo Logic shop" in text
    assert "it told to wait 3 times, 12.5 s in all; it states a limit of 4 calls in 1 s." in text


def test_what_happened_is_told_in_the_order_of_time() -> None:
    text = text_of(samples.story())
    steps = text[text.index("What was done", text.index("Metrics PASS")) : text.index("What changed")]
    order = ["ada: approve", "deploy 5.6 s", "mark", "first bad moment", "verdict FAIL", "drain 0.39 s", "restore"]
    places = [steps.index(step) for step in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (
            samples.good(),
            ("PASS 2114 records", "No risks", "Promoted shop 1.2", "Yes The release runs everywhere"),
        ),
        (
            samples.slow(),
            (
                "3 worse metrics",
                "The rollback to shop 1.1 failed",
                "an attempt to deploy the release failed",
                "No: act now shop-production-02 does not come up",
                "To restored –",
                "SOURCE New Relic: 429",
                "NOTE New Relic: 3 buckets",
                "No logs were watched.",
            ),
        ),
        (
            samples.undecided(),
            (
                "INCONCLUSIVE The canary logged nothing",
                "Undecided",
                "Held where it is",
                "Nothing ran here before.",
            ),
        ),
        (samples.story(outcome=Outcome("rolling_back", "")), ("Not yet The canary gets no more requests.",)),
        (samples.story(outcome=Outcome("running", "")), ("Drained the canary", "Not wholly")),
        (samples.story(outcome=Outcome("promoted", "ada did.")), ("A person answers for it", "ada did.")),
        (samples.story(outcome=Outcome("thinking", "hm")), ("thinking", "Unknown hm")),
    ],
)
def test_every_outcome_has_its_answer(report: Report, expected: tuple[str, ...]) -> None:
    text = text_of(report)
    for words_ in expected:
        assert words_ in text


def test_a_verification_that_still_watches_says_so() -> None:
    judgement = replace(samples.judgement(samples.ordinary(5)), verdict=Verdict.INCONCLUSIVE, final=False, decided="")
    text = text_of(samples.story(evidence=judgement, outcome=Outcome("running", "")))
    assert "WATCHING" in text
    assert "Is it safe now? Being watched" in text
    assert "verdict INCONCLUSIVE" not in text


def test_a_person_who_acted_after_the_verdict_is_named_at_the_top() -> None:
    marked = ManualAction("grace", "marked verify success", samples.at(60), "known")
    text = text_of(samples.story(manual_actions=[marked]))
    assert text.index("grace: marked verify success") < text.index("To verdict")


def test_rare_red_dots_are_never_smaller_than_their_number() -> None:
    events = [*samples.ordinary(1900), *samples.planted()]
    placed = dots(events)
    assert all(dot.radius >= 10 for dot, event in zip(placed, events, strict=True) if event.risk)
    assert all(0 <= dot.x <= 100 and 0 <= dot.y <= 100 for dot in placed)


def test_the_area_of_a_dot_is_its_count() -> None:
    big, half = (
        Event(str(count), EventKind.KNOWN, "info", False, "x", counts={"canary": count}) for count in (400, 100)
    )
    first, second = dots([big, half])
    assert first.radius == pytest.approx(2 * second.radius)


def test_every_dot_has_its_details_and_every_link_its_place() -> None:
    reports = (samples.story(), samples.good(), samples.slow(), samples.undecided(), samples.files())
    for report in (*reports, samples.large(300, 30)):
        page = Page(render_report(report))
        assert len(page.ids) == len(set(page.ids))
        assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    story = Page(render_report(samples.story()))
    assert [link for link in story.links if link == "#event-c0ffee00"]
    assert sum(tag == "circle" and "r" in attributes for tag, attributes in story.tags) > 50


def test_an_event_keeps_its_anchor_when_others_come() -> None:
    few, many = samples.story(evidence=samples.judgement(samples.planted()[2:])), samples.story()
    for report in (few, many):
        [details] = re.findall(r'<article[^>]* id="(event-c0ffee02)"', render_report(report))
        assert details
    twice = samples.planted()
    twice[1:3] = [replace(twice[1], id=twice[0].id), replace(twice[2], id='" x')]
    ids = Page(render_report(samples.story(evidence=samples.judgement(twice)))).ids
    assert [name for name in ids if name.startswith("event-")] == [
        "event-c0ffee00",
        "event-number-2",
        "event-number-3",
        "event-c0ffee03",
    ]


def test_what_nearly_nobody_asked_for_comes_after_what_is_pooled_over_groups() -> None:
    thin = Reason("few_requests", "3 requests on the canary are fewer than 50.")
    results = [
        replace(samples.metric("response_time", "GET /rare", 0.9, Verdict.INCONCLUSIVE), reason=thin),
        replace(
            samples.metric("response_time", "GET /never", 0.0, Verdict.INCONCLUSIVE),
            reason=replace(thin, code="no_data"),
        ),
        samples.metric("response_time", "GET /usual", 0.1),
        samples.metric("response_time", "", 0.01),
        replace(samples.metric("apdex", "", 0.0, Verdict.INCONCLUSIVE), reason=thin),
        samples.metric("response_time", "GET /unsure", 0.3, Verdict.INCONCLUSIVE),
        samples.metric("response_time", "GET /slow", 0.5, Verdict.FAIL),
    ]
    shown = [(result.name, result.group) for result in sorted(results, key=worst_first)]
    assert shown == [
        ("response_time", "GET /slow"),
        ("response_time", "GET /unsure"),
        ("apdex", ""),
        ("response_time", ""),
        ("response_time", "GET /rare"),
        ("response_time", "GET /never"),
        ("response_time", "GET /usual"),
    ]


def test_a_report_of_files_speaks_of_files_and_of_no_deployment() -> None:
    source = render_report(samples.files())
    amounts = ("148 kB", "too long: 2", "2,114 records against 8,450")
    for text in ("<title>FAIL: new.log</title>", "logs/old.log", "Retried*", "What was compared?", *amounts):
        assert text in source
    for text in ("Is it safe now?", "What was done", "What changed", "ledger", '<th scope="col" class="n">Control'):
        assert text not in source


def test_many_reasons_do_not_bury_the_page() -> None:
    reasons = [Reason("metric_regressed", f"metric {number} rose") for number in range(40)]
    slow = samples.slow().judgement
    assert slow.performance is not None
    judgement = replace(slow, reasons=reasons, performance=replace(slow.performance, reasons=reasons))
    header = render_report(samples.story(evidence=judgement)).split("</header>")[0]
    assert "metric 4 rose" in header
    assert "metric 5 rose" not in header
    assert "and 35 more reasons" in header


# -- that it needs nothing else ------------------------------------------------------------------------------------


def test_it_is_one_page_without_script_or_address() -> None:
    source = render_report(samples.large(200, 20))
    page = Page(source)
    assert not {"script", "link", "img", "iframe", "object", "form", "base"} & {tag for tag, _ in page.tags}
    assert all(link.startswith("#") for link in page.links)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not re.search(r"url\(|@import|https?://", source)


def test_it_is_quick_and_of_bearable_size_when_there_is_much() -> None:
    report = samples.large(events=2000, metrics=200)
    assert pace(lambda: render_report(report)) < 20  # about 4 on an idle core
    assert len(render_report(report).encode()) < 5_000_000


# -- that nothing from outside becomes markup ----------------------------------------------------------------------


@pytest.mark.parametrize("poison", samples.HOSTILE, ids=range(len(samples.HOSTILE)))
@pytest.mark.parametrize("sample", [samples.story, samples.files])
def test_hostile_text_changes_no_tag_and_no_attribute(sample: Any, poison: str) -> None:
    report = sample()
    report = replace(report, actions=[replace(action, kind=f"{action.kind} (harmless)") for action in report.actions])
    clean = Page(render_report(samples.poisoned(report, " (harmless)")))
    source = render_report(samples.poisoned(report, poison))
    page = Page(source)
    assert page.tags == clean.tags
    assert page.links == clean.links
    source.encode()


def test_hostile_times_and_numbers_are_text_too() -> None:
    report = samples.story().as_dict()
    for entry in (*report["actions"], *report["human"]):
        for name in samples.TIMES & set(entry):
            entry[name] = samples.HOSTILE[1]
    for event in report["judgement"]["quality"]["events"]:
        event.update(first_seen=samples.HOSTILE[0], severity=samples.HOSTILE[1], x=None, y=float("nan"))
        event["counts"] = (
            {"canary": samples.HOSTILE[0], "control": None, "baseline": float("inf")} if event["risk"] else {}
        )
        event["instances"] = {}
    page = Page(render_report(Report.from_dict(report)))
    assert "img" not in {tag for tag, _ in page.tags}
    assert "script" not in {tag for tag, _ in page.tags}


def test_what_cannot_be_seen_is_shown() -> None:
    text = words.visible(samples.HOSTILE[-1])
    assert text == "␀␈␛[31mred␡⟨U+0085⟩⟨U+202E⟩gnp.exe⟨U+2066⟩⟨U+D800⟩⟨U+FEFF⟩\nnext"
    assert words.visible("plain\ttext\n") == "plain\ttext\n"


def test_a_template_in_a_log_line_is_not_run() -> None:
    report = samples.poisoned(samples.story(), samples.HOSTILE[4])
    assert "{{ 7 * 7 }}" in text_of(report)


# -- odd input -----------------------------------------------------------------------------------------------------


def test_a_report_of_another_schema_is_refused() -> None:
    with pytest.raises(VerificationError, match="schema 2"):
        Report.from_dict({**samples.story().as_dict(), "schema": 2})
    with pytest.raises(VerificationError, match="not a stored judgement"):
        render_report(samples.story(evidence={}))


def test_what_may_be_missing_may_be_missing() -> None:
    report = samples.undecided().as_dict()
    for name in ("release", "previous", "actions", "human", "clocks", "outcome"):
        without = {key: value for key, value in report.items() if key != name}
        assert "INCONCLUSIVE" in text_of(Report.from_dict(without)), name
    judgement = replace(samples.judgement([]), performance=None, quality=None, reasons=[], canary=(), decided="")
    assert "No reason is recorded." in text_of(samples.story(evidence=judgement))


def test_charts_of_odd_series() -> None:
    metric = samples.metric("response_time", "", 0.5, Verdict.FAIL)
    assert chart(replace(metric, series={}), {}) is None
    lone = chart(replace(metric, series={"canary": [(samples.at(0), 5.0)]}), {})
    assert lone is not None
    assert lone.lines["canary"].startswith("M")
    assert lone.lines["control"] == ""
    broken = [(samples.at(0), None), ("yesterday", 1.0), (samples.at(2), 3.0), (samples.at(4), float("nan"))]
    odd = chart(replace(metric, series={"canary": broken}), {})  # type: ignore[dict-item]
    assert odd is not None
    assert odd.lines["canary"].count("L") == 1
    flat = chart(
        replace(metric, kind="errors", series={"canary": [(samples.at(second), 0.0) for second in range(9)]}), {}
    )
    assert flat is not None
    assert "nan" not in flat.lines["canary"]
    many = [(samples.at(second), 1.0) for second in range(5000)]
    dense = chart(replace(metric, series={"canary": many, "control": many}), {"decided": samples.at(2500)})
    assert dense is not None
    assert dense.lines["canary"].count("L") < 400
    assert dense.marks == [(pytest.approx(300, abs=1), "decided")]


def test_intervals() -> None:
    metric = samples.metric("response_time", "", 0.5, Verdict.FAIL)
    figure = interval_figure(metric)
    assert figure is not None
    assert figure.zero < figure.thresholds[0] < figure.low < figure.effect < figure.high <= 100
    lower = interval_figure(replace(metric, direction="lower_is_worse"))
    assert lower is not None
    assert lower.thresholds[0] < lower.zero
    open_end = interval_figure(replace(metric, interval=(0.4, None)))  # type: ignore[arg-type]
    assert open_end is not None
    assert open_end.high == open_end.effect
    assert interval_figure(replace(metric, effect=None)) is None


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "", "–"), (float("nan"), "ms", "–"), (0, "", "0"), (12.345, "ms", "12.3 ms"), (999.6, "", "1,000"),
        (1234567.8, "", "1,234,568"), (0.00123, "", "0.00123"), (0.034, "share", "3.4 %"), (3.0, "", "3"),
    ],
)  # fmt: skip
def test_numbers(value: Any, unit: str, text: str) -> None:
    assert words.number(value, unit) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.82, "+82 %"),
        (-0.031, "−3.1 %"),
        (0.0001, "±0 %"),
        (29.0, "30 times"),
        (2550.0, "over a thousand times"),
        (float("inf"), "–"),
    ],
)
def test_changes(value: float | None, text: str) -> None:
    assert words.change(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.414, "0.41 s"), (12.34, "12.3 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations(value: float | None, text: str) -> None:
    assert words.duration(value) == text


def test_units_and_thresholds_of_every_kind_of_metric() -> None:
    metric = samples.metric("x", "", 0.1)
    assert unit_of(metric) == "ms"
    assert unit_of(replace(metric, kind="errors", unit="errors")) == "share"
    assert unit_of(replace(metric, kind="apdex", unit="apdex")) == ""
    signs = {direction: threshold_of(replace(metric, direction=direction)) for direction in DIRECTIONS}
    assert list(signs.values()) == ["+20 %", "−20 %", "±20 %"]
    assert threshold_of(replace(metric, threshold=None)) == "–"


def test_the_file_says_itself_that_nothing_in_it_may_load_or_run() -> None:
    page = render_report(samples.story())
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)">', page)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "script-src" not in policy[1]
    # Before anything that it is to hold for.
    assert page.index(policy[0]) < page.index("<style>")


def test_a_number_of_the_release_as_a_whole_is_shown_without_a_control() -> None:
    checks = MetricResult(
        name="failed checks",
        group="",
        kind="count",
        unit="",
        direction="higher_is_worse",
        verdict=Verdict.FAIL,
        reason=Reason("threshold_crossed", "failed checks: 2, above the limit of 0."),
        canary={"mean": 2.0},
        compared_with="limits",
    )
    judged = replace(samples.judgement([]), performance=Performance(Verdict.FAIL, [checks.reason], [checks]))
    text = Page(render_report(replace(samples.story(), evidence=judged))).text
    assert "failed checks: 2, above the limit of 0." in text
    assert "failed checks 2, of the release as a whole: it is held against fixed limits" in text
    assert "could have seen" not in text
    assert "There are no points to draw" not in text
