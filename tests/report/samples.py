"""Reports to render: the story's bad release, and others with the same shape."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_cd.release import Release
from airflow_cd.report.report import Action, Clocks, ManualAction, Outcome, Report, ReportedRelease
from airflow_cd.verification.files.opening import InputFile
from airflow_cd.verification.files.verification import FilesToVerify, Verified
from airflow_cd.verification.verdict import (
    Event,
    EventKind,
    Judgement,
    MetricResult,
    Performance,
    Quality,
    Reason,
    Verdict,
)

BEGAN = datetime(2026, 11, 23, 8, 14, 5, 250_000, tzinfo=timezone.utc)
CANARY = ("shop-production-01", "shop-production-02")
CONTROL = tuple(f"shop-production-{number:02}" for number in range(3, 11))
OLD = Release("shop", "1.1", "shop:1.1", {"inventory_timeout_ms": 500, "currency": "EUR"})
NEW = Release("shop", "1.2", "shop:1.2", {"inventory_timeout_ms": 800, "currency": "EUR", "gift_cards": True})

TRACEBACK = """{time} ERROR shop.{where} - {what} failed for order 48213
Traceback (most recent call last):
  File "/srv/shop/web.py", line 88, in handle
    return handler(request)
  File "/srv/shop/{where}.py", line {line}, in {function}
    amount = self._{function}(order)
{exception}: {message}"""

PLANTED = (
    ("GiftCardBalanceError", "gift_cards", "redeem", "balance of card 7731 is None"),
    ("decimal.InvalidOperation", "shipping", "quote", "[<class 'decimal.ConversionSyntax'>]"),
    ("KeyError", "returns", "label", "'carrier_service_point'"),
    ("UnicodeEncodeError", "export", "write_row", "'latin-1' codec can't encode character '\\u20ac' in position 14"),
)


def at(seconds: float) -> str:
    return (BEGAN + timedelta(seconds=seconds)).isoformat()


def planted() -> list[Event]:
    events = []
    for number, (exception, where, function, message) in enumerate(PLANTED):
        sample = TRACEBACK.format(
            time=at(4 + number)[:23] + "Z", where=where, what=function, line=40 + number, function=function,
            exception=exception, message=message,
        )  # fmt: skip
        events.append(
            Event(
                id=f"c0ffee{number:02}",
                kind=EventKind.UNKNOWN,
                severity="error",
                risk=True,
                template=f"ERROR shop.{where} - {function} failed for order <*> {exception}",
                samples=[sample, sample.replace("48213", "48377")],
                exception=exception,
                frames=[f"shop.{where}.{function}", "shop.web.handle"],
                counts={"canary": 5 - number, "control": 0, "baseline": 0},
                instances={CANARY[0]: 3 - number // 2, CANARY[1]: 2 - number // 2},
                expected=0.0,
                first_seen=at(4 + number),
                last_seen=at(28),
                x=(0.62, 0.7, 0.66, 0.93)[number],
                y=(0.2, 0.26, 0.36, 0.7)[number],
            )
        )
    return events


def ordinary(count: int, seed: int = 1) -> list[Event]:
    """Known events with a few of the other kinds among them."""
    chance = random.Random(seed)
    kinds = [EventKind.KNOWN] * 20 + [EventKind.UNKNOWN, EventKind.UNEXPECTED_FREQUENCY, EventKind.WENT_SILENT]
    events = []
    for number in range(count):
        kind = kinds[number % len(kinds)]
        silent = kind is EventKind.WENT_SILENT
        records = 0 if silent else int(chance.lognormvariate(3, 1.4)) + 1
        template = (
            f"INFO shop.{chance.choice(['web', 'cart', 'search', 'stock'])} - step {number} of <*> done in <*> ms"
        )
        sample = f"2026-11-23T08:14:09.120Z {template.replace('<*>', '4711')}"
        events.append(
            Event(
                id=f"{number:08x}",
                kind=kind,
                severity=chance.choice(["info", "info", "warning"]),
                risk=False,
                template=template,
                samples=[] if silent else [sample] * 3,
                counts={"canary": records, "control": records * 4, "baseline": records * 5.1},
                instances={} if silent else {CANARY[0]: records // 2, CANARY[1]: records - records // 2},
                expected=None if kind is EventKind.UNKNOWN else 12.0 if silent else records * 1.02,
                p_value=None if kind is EventKind.UNKNOWN else 0.4,
                first_seen="" if silent else at(chance.uniform(0, 3)),
                last_seen="" if silent else at(29),
                x=min(1.0, max(0.0, chance.gauss((0.15, 0.35, 0.5)[number % 3], 0.07))),
                y=min(1.0, max(0.0, chance.gauss((0.7, 0.3, 0.75)[number % 3], 0.1))),
            )
        )
    return events


def metric(name: str, group: str, effect: float, verdict: Verdict = Verdict.PASS, seed: int = 3) -> MetricResult:
    chance = random.Random(f"{name}{group}{seed}")
    base = chance.uniform(8, 30)
    points = [(at(2 * step), base * (1 + 0.12 * math.sin(step / 3) + chance.gauss(0, 0.05))) for step in range(30)]
    return MetricResult(
        name=name,
        group=group,
        kind="latency",
        unit="ms",
        direction="higher_is_worse",
        verdict=verdict,
        reason=Reason("metric_regressed" if verdict is Verdict.FAIL else "no_regression",
                      f"{name} {group}: {effect:+.0%}, {base * (1 + effect):.1f} ms against {base:.1f} ms."),
        effect=effect,
        interval=(effect - 0.09, effect + 0.11),
        threshold=0.2,
        smallest_detectable=0.14,
        canary={"mean": base * (1 + effect), "requests": 312, "buckets": 30},
        control={"mean": base, "requests": 1240, "buckets": 30},
        series={
            "canary": [(time, value * (1 + effect) * chance.gauss(1, 0.03)) for time, value in points],
            "control": points,
        },
        instances={CANARY[0]: base * (1 + effect) * 0.98, CANARY[1]: base * (1 + effect) * 1.02},
    )  # fmt: skip


GROUPS = ("", "WebTransaction/checkout", "WebTransaction/product", "WebTransaction/search", "WebTransaction/basket")


def performance(groups: Sequence[str] = GROUPS) -> Performance:
    results = [
        metric(name, group, effect)
        for group in groups
        for name, effect in (("response_time", 0.02), ("response_time.p95", -0.03))
    ]
    reason = Reason("no_regression", f"None of {len(results)} metrics is worse by 20 % or more; 312 canary requests.")
    query = "SELECT average(duration) FROM Transaction WHERE appName = 'shop' AND host IN ('shop-production-01')"
    return Performance(Verdict.PASS, [reason], results, {"New Relic shop": query})


def judgement(events: Sequence[Event]) -> Judgement:
    reason = Reason("unknown_events", "4 events are unknown: GiftCardBalanceError (5 times, 0.0 expected); "
                    "decimal.InvalidOperation (4 times, 0.0 expected); KeyError (3 times); and 1 more.")  # fmt: skip
    return Judgement(
        Verdict.FAIL,
        [reason],
        performance(),
        Quality(
            Verdict.FAIL,
            [reason],
            events,
            {"canary": 2114, "control": 8450, "baseline": 21007},
            ["shop 1.0, 2026-11-20", "shop 1.1, 2026-11-21"],
            {"Sumo Logic shop": '_sourceCategory=production/shop AND _sourceHost in ("shop-production-01")'},
        ),
        started=at(0),
        decided=at(31),
        first_bad=at(4),
        looks=12,
        canary=CANARY,
        control=CONTROL,
    )


def story(**changes: Any) -> Report:
    """The bad release, caught and rolled back."""
    report = Report(
        judgement([*ordinary(46), *planted()]),
        service="shop",
        pipeline="build_com",
        run_id="manual__2026-11-23T08:10:00+00:00",
        environment="production",
        phase="phase_20",
        release=ReportedRelease.of(NEW),
        previous=[ReportedRelease.of(OLD)],
        actions=[
            action("deploy", -9, -3.4, instances=list(CANARY), release="shop 1.2", share=20),
            action("mark", -3.2, -2.9, connection="new_relic_default", marker="MDEx"),
            action("drain", 31.01, 31.4, instances=list(CANARY)),
            action("deploy", 32.2, 33.7, instances=list(CANARY), release="shop 1.1"),
            action("restore", 33.8, 33.9, instances=list(CANARY)),
        ],
        clocks=Clocks(27.0, 0.41, 2.92),
        outcome=Outcome("rolled_back", "4 events are unknown, GiftCardBalanceError first."),
        manual_actions=[ManualAction("ada", "approve", at(-40), "change 4711, tested in staging")],
    )
    return replace(report, **changes)


def action(kind: str, began: float, ended: float | None, *, ok: bool | None = True, **detail: Any) -> Action:
    return Action(kind, ok, at(began), None if ended is None else at(ended), detail)


def good() -> Report:
    """A release that passed and was promoted."""
    passed = replace(judgement(ordinary(46)), verdict=Verdict.PASS, first_bad="", reasons=[
        Reason("nothing_new", "2114 records of the canary show no event that is a risk.")])  # fmt: skip
    assert passed.quality is not None
    passed = replace(passed, quality=replace(passed.quality, verdict=Verdict.PASS, reasons=passed.reasons))
    outcome = Outcome("promoted", "phase_100 passed.")
    return story(evidence=passed, outcome=outcome, clocks=Clocks(), actions=story().actions[:2])


def slow() -> Report:
    """Three slow transactions and nothing new in the logs; the rollback did not finish."""
    groups = [f"WebTransaction/kind {number}" for number in range(7)]
    results = [
        metric("response_time", group, 0.8 if number < 3 else 0.03, Verdict.FAIL if number < 3 else Verdict.PASS)
        for number, group in enumerate(groups)
    ]
    results.append(replace(metric("apdex", "", 0.01, Verdict.INCONCLUSIVE), effect=None, interval=None, series={}))
    reason = Reason("metric_regressed", "response_time of 3 transactions rose by 80 % (threshold 20 %).")
    failed = Judgement(
        Verdict.FAIL, [reason], Performance(Verdict.FAIL, [reason], results), None,
        at(0), at(44), at(2), 9, CANARY, CONTROL, ["New Relic: 429 Too Many Requests (1 of 9 reads)"],
        ["New Relic: 3 buckets hold no request."],
    )  # fmt: skip
    text = "shop-production-02 does not come up on shop 1.1: exited with 1; the others run shop 1.1."
    actions = [
        *story().actions[:3],
        action("deploy", 45, 75, ok=False, error=text),
        action("page", 75.2, None, ok=None),
    ]
    outcome = Outcome("rollback_failed", text)
    return story(evidence=failed, outcome=outcome, actions=actions, clocks=Clocks(42.0, 0.38, None))


def undecided() -> Report:
    """No data at all, on an environment that was empty before."""
    reason = Reason("no_data", "The canary logged nothing where about 2100 records were to be expected.")
    none = Judgement(
        Verdict.INCONCLUSIVE, [reason], Performance(Verdict.INCONCLUSIVE, [Reason("no_data", "No request was seen.")]),
        Quality(Verdict.INCONCLUSIVE, [reason]), at(0), at(600), "", 60, CANARY, (),
    )  # fmt: skip
    return story(
        evidence=none, previous=[], actions=[], manual_actions=[], clocks=Clocks(), outcome=Outcome("running", "")
    )


def files() -> Report:
    """A verification of plain files that failed: of no deployment."""
    failed = replace(judgement([*ordinary(16), *planted()]), canary=["new.log"], control=[], first_bad="",
                     warnings=["new.log: 2 records were too long: they are judged by their beginning."])  # fmt: skip
    assert failed.quality is not None
    failed = replace(failed, quality=replace(failed.quality, records={"canary": 2114, "control": 0, "baseline": 8450}))
    read = [
        InputFile("logs/old.log", "baseline", "logs", "old.log", 148_141, 2114, {}),
        InputFile("logs/new.log", "canary", "logs", "new.log", 148_141, 2114, {"too_long": 2}),
    ]
    return Report.of_files(Verified(failed, read, FilesToVerify(expected=["Retried*"])))


def large(events: int = 2000, metrics: int = 200) -> Report:
    groups = [f"WebTransaction/kind {number}" for number in range(metrics // 2)]
    whole = replace(judgement([*ordinary(events - 4), *planted()]), performance=performance(groups))
    return story(evidence=whole)


HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(2)'>",
    "' autofocus onfocus=alert(3) x='",
    "</pre></style></title><svg onload=alert(4)>",
    "{{ 7 * 7 }}{% raw %}<b>",
    "<!-- ]]> -->",
    "&lt;i&gt; &#60;u>",
    "\x00\x08\x1b[31mred\x7f\x85\u202egnp.exe\u2066\ud800\ufeff\r\nnext",
)
KEPT = {
    "verdict",
    "kind",
    "direction",
    "state",
    "severity",
    "decided",
    "started",
    "first_bad",
    "first_seen",
    "last_seen",
}
TIMES = {"began", "ended", "when"}


def poisoned(report: Report, poison: str) -> Report:
    """The report with the poison at the end of every string that is not one of a few fixed words."""
    return Report.from_dict(_poisoned(report.as_dict(), poison))


def _poisoned(value: Any, poison: str, name: str = "") -> Any:
    if isinstance(value, dict):
        return {
            (key + poison if name in ("configuration", "queries", "instances", "detail") else key): _poisoned(
                content, poison, key
            )
            for key, content in value.items()
        }
    if isinstance(value, list):
        # Points of a chart are pairs of a time and a value.
        return (
            [_poisoned(content, poison, name) for content in value]
            if name not in ("canary", "control") or not (value and isinstance(value[0], list))
            else value
        )
    if isinstance(value, str) and name not in KEPT | TIMES:
        return value + poison
    return value
