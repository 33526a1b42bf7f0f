"""Access logs are known by method, route and status, whoever asked; what answers 5xx is an error."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from airflow_cd.verification.logs.headers.requests import status_in
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_quality
from airflow_cd.verification.verdict import Verdict

# Each layout with a client, a route and a status to fill in.
LAYOUTS = {
    "combined": '{client} - ann [04/Feb/2025:06:07:08 +0100] "GET {route}?q=1 HTTP/1.1" {status} 5 "-" "A/{client}"',
    "vhost": 'www.example:443 {client} - - [04/Feb/2025:06:07:08 +0100] "GET {route} HTTP/2.0" {status} 5 "-" "x y"',
    "uvicorn": 'INFO:     {client}:4000 - "GET {route} HTTP/1.1" {status} Whatever',
    "envoy": '[2025-02-04T06:07:08.9Z] "GET {route} HTTP/1.1" {status} - via_upstream - "-" 0 9 1 1 "-" "curl/8" "x1"',
    "haproxy": (
        "Feb  4 06:07:08 lb haproxy[7]: {client}:4000 [04/Feb/2025:06:07:08.9] in~ out/w1 0/0/1/2/3 {status} 9 - - "
        '---- 1/1/0/0/0 0/0 "GET {route} HTTP/1.1"'
    ),
    "alb": (
        "h2 2025-02-04T06:07:08.9Z app/lb/50d {client}:4000 10.0.0.1:80 0.0 0.1 0.0 {status} {status} 3 4 "
        '"GET https://w.example:443{route} HTTP/2.0" "curl/8" - - arn:aws:x "Root=1-2" "-" "-" 0'
    ),
    "iis": "2025-02-04 06:07:08 10.0.0.5 GET {route} - 443 - {client} Mozilla/5.0+(X) - {status} 0 0 12",
    "uwsgi": (
        "[pid: 7|app: 0|req: 1/2] {client} () {{40 vars in 700 bytes}} [Tue Feb  4 06:07:08 2025] GET {route} => "
        "generated 9 bytes in 3 msecs (HTTP/1.1 {status}) 3 headers in 99 bytes (1 switches on core 0)"
    ),
    "morgan": "GET {route} {status} 3.141 ms - 15",
    "sanic": "[2025-02-04 06:07:08 +0000] - (sanic.access)[INFO][{client}:4000]: GET http://w.test{route}  {status} 9",
    "nestjs": "[Nest] 7  - 02/04/2025, 6:07:08 AM     LOG [HTTP] GET {route} {status} 9 - Mozilla/5.0 {client}",
    "quarkus": (
        "2025-02-04 06:07:08,900 INFO  [io.qua.htt.access-log] (executor-thread-7) {client} - - "
        '04/Feb/2025:06:07:08 +0000 "GET {route} HTTP/1.1" {status} 9'
    ),
    "litespeed": '"{client} - - [04/Feb/2025:06:07:08 +0000] "GET {route} HTTP/1.1" {status} 9"',
    "elb": (
        "2025-02-04T06:07:08.9Z shop {client}:4000 10.0.0.1:80 0.0 0.1 0.0 {status} {status} 0 9 "
        '"GET http://w.example:80{route} HTTP/1.1" "curl/8" - -'
    ),
    "iis, all fields": (
        "2025-02-04 06:07:08 W3SVC1 web-9 10.0.0.5 GET {route} - 80 - {client} HTTP/1.1 Mozilla/5.0 - - w.example "
        "{status} 0 0 9 9 12"
    ),
    "koa": "  --> GET {route} {status} 12ms 3.4kb",
    "akka": "[INFO] [02/04/2025 06:07:08.900] [k-akka.actor.default-dispatcher-7] GET {route} => {status} in 9 ms",
    "gin": '[GIN] 2025/02/04 - 06:07:08 | {status} |      91.5µs |      {client} | GET      "{route}"',
    "fiber": "06:07:08 | {status} |      9.15ms | {client} | GET     | {route} | -",
    "chi": (
        '2025/02/04 06:07:08 [web/aB3dE-000042] "GET http://w.example{route} HTTP/1.1" '
        "from {client}:4000 - {status} 9B in 1ms"
    ),
    "hypercorn": (
        "[2025-02-04 06:07:08 +0000] [7] [INFO] {client}:4000 - - [04/Feb/2025:06:07:08 +0000] "
        '"GET {route} 1.1" {status} 9 "-" "x"'
    ),
    "s3": (
        "79a59df900b949e5 baskets [04/Feb/2025:06:07:08 +0000] {client} - 3E57427F3EXAMPLE REST.GET.OBJECT a.png "
        '"GET {route} HTTP/1.1" {status} - 9 9 1 1 "-" "x" -'
    ),
    "cloudfront": (
        "2025-02-04\t06:07:08\tFRA50-C1\t999\t{client}\tGET\td111.cloudfront.example\t{route}\t{status}\t-\tcurl/8\t-\t-"
    ),
}


def _lines(layout: str, *status: int, routes: Sequence[str] = ("/basket",), number: int = 120) -> list[str]:
    return [
        LAYOUTS[layout].format(
            client=f"10.1.{at % 7}.{at}", route=routes[at % len(routes)], status=status[at % len(status)]
        )
        for at in range(number)
    ]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_status_alone_makes_a_request_another_event(layout: str) -> None:
    ok, broken = LogProfile.of(_lines(layout, 200)), LogProfile.of(_lines(layout, 503))
    assert [(one.template.removeprefix("INFO "), one.severity) for one in ok.tallies] == [("GET /basket 200", "info")]
    assert [(one.template, one.severity) for one in broken.tallies] == [("ERROR GET /basket 503", "error")]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_route_that_answers_503_now_fails_the_release(layout: str) -> None:
    routes = ("/basket", "/till")
    before, after = _lines(layout, 200, 302, 200), _lines(layout, 200, 302, 503, routes=routes)
    assert judge_quality(LogProfile.of(after), None, [LogProfile.of(before)]).verdict is Verdict.FAIL
    again = _lines(layout, 302, 200, 200)
    assert judge_quality(LogProfile.of(again), None, [LogProfile.of(before)]).verdict is Verdict.PASS


def test_squid_is_known_by_what_became_of_a_request() -> None:
    line = "1738648028.123     45 10.0.0.1 TCP_MISS/{} 999 GET http://far.example/{} - HIER_DIRECT/10.9.9.9 text/html"
    profile = LogProfile.of([line.format(status, at) for at, status in enumerate((200, 200, 504))])
    assert {one.template: tally.count for one, tally in profile.tallies.items()} == {
        "GET 200 TCP_MISS": 2,
        "ERROR GET 504 TCP_MISS": 1,
    }


def test_a_status_counts_where_no_route_is_logged() -> None:
    lines = ["06:07:08.900 [info] Sent {} in 9ms", '{{"path": "/basket", "response_code": {}, "duration": 9}}']
    for line in lines:
        before, after = (
            LogProfile.of([line.format(200 if at % 3 else status) for at in range(120)]) for status in (302, 502)
        )
        assert judge_quality(after, None, [before]).verdict is Verdict.FAIL
        assert judge_quality(before, None, [before]).verdict is Verdict.PASS


def test_refusals_weigh_once_they_are_much_of_all_requests() -> None:
    before = LogProfile.of(_lines("combined", *[200] * 39, 401, number=400))
    much = LogProfile.of(_lines("combined", 200, 200, 200, 401, number=400))
    little = LogProfile.of(_lines("combined", *[200] * 24, 401, number=400))
    assert judge_quality(much, None, [before]).verdict is Verdict.FAIL
    assert judge_quality(little, None, [before]).verdict is Verdict.PASS


def test_a_scanner_that_finds_nothing_is_no_failure() -> None:
    before = _lines("combined", 200, number=400)
    scan = [
        LAYOUTS["combined"].format(client="10.9.9.9", route=f"/{name}.php", status=404) for name in ("a", "wp", "x")
    ]
    assert judge_quality(LogProfile.of([*before, *scan]), None, [LogProfile.of(before)]).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("template", "status"),
    [
        ("GET /a 404", 404),
        ("ERROR POST <*> 502 UF", 502),
        ("INFO handled status=201", 201),
        ("INFO request_id=<*> Sent 404 in <*>", 404),
        ("INFO Sent 404 parcels", None),
        ("{response_code=502}", 502),
        ("waited <*> 500", None),
        ("GET in line 200 <*> done", None),
    ],
)
def test_a_status_is_read_where_a_request_was_answered(template: str, status: int | None) -> None:
    assert status_in(template) == status
