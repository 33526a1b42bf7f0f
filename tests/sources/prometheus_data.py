"""What a Prometheus would have scraped in four hours, of instances that serve, start, fail and go."""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Callable

from airflow_cd.verification.samples import Window
from tests.sources.metric_servers import Scraped

SCRAPE = 15.0
END = (math.floor(time.time() / 3600) - 1) * 3600.0  # a whole hour, some time ago
BEGIN = END - 4 * 3600.0


def moment(seconds: float) -> dt.datetime:
    """So many seconds after the beginning of the last ten minutes."""
    return dt.datetime.fromtimestamp(END - 600.0 + seconds, dt.timezone.utc)


WINDOW = Window(moment(0), moment(600))


def scrapes(begin: float, end: float, offset: float = 3.0) -> list[float]:
    return [at for at in (BEGIN + offset + n * SCRAPE for n in range(int(4 * 3600 / SCRAPE))) if begin <= at < end]


def otel(scraped: Scraped, instance: str, *, begin: float = BEGIN, reset: float | None = None) -> None:
    """Two requests a second, half of them in less than 100 ms; every tenth fails."""
    base, labels = "http_server_request_duration_seconds", {"instance": instance, "job": "shop"}
    for code, share in (("200", 0.9), ("500", 0.1)):
        own = {**labels, "http_response_status_code": code, "http_route": "/cart"}

        def counted(at: float, rate: float, share: float = share) -> float:
            since = reset if reset is not None and at >= reset else begin
            return math.floor((at - since) * rate * share)

        times = scrapes(begin, END)
        scraped.add(f"{base}_count", [(at, counted(at, 2.0)) for at in times], **own)
        scraped.add(f"{base}_sum", [(at, counted(at, 2.0) * 0.1) for at in times], **own)
        for bound, rate in (("0.1", 1.0), ("0.25", 2.0), ("+Inf", 2.0)):
            scraped.add(f"{base}_bucket", [(at, counted(at, rate)) for at in times], **own, le=bound)


def odd(scraped: Scraped) -> None:
    """Exporters that nobody has seen before."""
    # Half of the requests fail, and who says so does it in words of its own.
    for instance, good, bad in (
        ("words-1", {"status": "success"}, {"status": "error"}),
        ("other-1", {"http_code": "200"}, {"http_code": "500"}),
        ("both-1", {"status": "2xx", "code": "200"}, {"status": "5xx", "code": "500"}),
        ("phrase-1", {"status": "200 OK"}, {"status": "503 Service Unavailable"}),
    ):
        for told in (good, bad):
            halves = [(at, math.floor(at - BEGIN)) for at in scrapes(BEGIN, END)]
            scraped.add("http_requests_total", halves, instance=instance, job="told", **told)
    # What is left without an answer; nothing has had one yet.
    for code, rate in (("2xx", 0.0), ("5xx", 0.0), ("other", 1.0)):
        hung = [(at, math.floor((at - BEGIN) * rate)) for at in scrapes(BEGIN, END)]
        scraped.add("http_requests_total", hung, instance="hung-1", job="hung", code=code)
    for port in ("8080", "9100"):
        scraped.add(
            "process_cpu_seconds_total", [(at, at - BEGIN) for at in scrapes(BEGIN, END)], instance=f"two-1:{port}"
        )
    gateways = [(at, at - BEGIN) for at in scrapes(BEGIN, END)]
    scraped.add("istio_requests_total", gateways, pod="way-1", reporter="waypoint", response_code="200")
    # The same durations, in buckets of other ends.
    for instance, ends in (("fine-1", (0.05, 0.1, 0.2, 0.3, 0.5)), ("coarse-1", (0.1, 0.5))):
        own = {"instance": instance, "job": "ends", "http_response_status_code": "200"}
        base, all_of_them = "http_server_request_duration_seconds", [(at, at - BEGIN) for at in scrapes(BEGIN, END)]
        scraped.add(f"{base}_count", all_of_them, **own)
        for end in (*ends, math.inf):
            short = [(at, number if end >= 0.2 else 0.0) for at, number in all_of_them]
            scraped.add(f"{base}_bucket", short, **own, le=str(end).replace("inf", "+Inf"))


def appearing(scraped: Scraped) -> None:
    """Processes that have served a request a second for hours, and whose series appear at a time of their own."""
    at_last = END - 150.0

    def add(begin: float, until: float, count: Callable[[float], float], **labels: str) -> None:
        samples = [(at, count(at)) for at in scrapes(begin, until)]
        scraped.add("http_requests_total", samples, job="appearing", **labels)

    def served(at: float) -> float:
        return math.floor(at - BEGIN)

    for instance in ("back-1", "days-1", "first-1", "other-route-1"):
        add(BEGIN, END, served, instance=instance, code="200", route="/")
    # An exporter that forgets what is idle: one more error after 22 minutes, and after more than an hour.
    for instance, until in (("back-1", END - 1500.0), ("days-1", END - 3600.0 - 900.0)):
        add(BEGIN, until, lambda _: 500.0, instance=instance, code="500", route="/")
        add(at_last, END, lambda _: 501.0, instance=instance, code="500", route="/")
    # The first errors there have ever been; elsewhere those of one route end just then.
    add(at_last, END, lambda _: 45.0, instance="first-1", code="500", route="/")
    add(BEGIN, at_last, lambda _: 2.0, instance="other-route-1", code="500", route="/a")
    add(at_last, END, lambda _: 3.0, instance="other-route-1", code="500", route="/b")
    # A young process that nobody asks for much, and that fails all at once.
    add(END - 1800.0, END, lambda at: (at - END + 1800.0) // 60, instance="burst-1", code="200", route="/")
    add(at_last, END, lambda _: 300.0, instance="burst-1", code="500", route="/")
    # The same process under another label of its target.
    for role, begin, until in (("canary", BEGIN, at_last), ("stable", at_last, END)):
        add(begin, until, served, instance="renamed-1", code="200", role=role)
        add(begin, until, lambda _: 400.0, instance="renamed-1", code="500", role=role)
    # Another process, which the label of its target tells as well.
    add(BEGIN, at_last, served, instance="replaced-1", code="200", version="1")
    add(BEGIN, at_last, lambda _: 2.0, instance="replaced-1", code="500", version="1")
    add(at_last, END, lambda at: math.floor(at - at_last) + 10.0, instance="replaced-1", code="200", version="2")
    add(at_last, END, lambda _: 7.0, instance="replaced-1", code="500", version="2")
    # Another one, of which more is asked at once than of the one before in all its life.
    for code, held in (("200", 60.0), ("500", 50.0)):
        add(at_last - 120.0, at_last, lambda _, held=held: held, instance="soon-1", code=code, version="1")
    add(at_last, END, lambda at: math.floor(at - at_last) + 100.0, instance="soon-1", code="200", version="2")
    add(at_last, END, lambda _: 20.0, instance="soon-1", code="500", version="2")
    # It fails as soon as it is asked for anything, and is gone.
    add(at_last - 30.0, at_last + 10.0, lambda _: 3.0, instance="died-1", code="200")
    add(at_last, at_last + 10.0, lambda _: 5.0, instance="died-1", code="500")
    # Nobody could scrape it for ten minutes.
    for begin, until in ((BEGIN, at_last - 600.0), (at_last, END)):
        add(begin, until, served, instance="away-1", code="200")
    # The last sample of one bucket is no number, and the durations of another are none any more.
    times = scrapes(BEGIN, END)
    once = [(at, math.nan if abs(at - at_last + 12.0) < 2 else served(at)) for at in times]
    scraped.add("http_requests_total", once, job="appearing", instance="nan-1", code="200")
    add(BEGIN, END, served, instance="nan-1", code="500")
    base, own = "http_server_request_duration_seconds", {"instance": "unmeasured-1", "http_response_status_code": "200"}
    scraped.add(f"{base}_count", [(at, served(at)) for at in times], **own)
    scraped.add(f"{base}_sum", [(at, math.nan) for at in times], **own)
    # Its durations too are told under another label.
    renamed = Scraped()
    otel(renamed, "turned-1")
    for name, labels, samples in renamed.series:
        scraped.add(name, [one for one in samples if one[0] < at_last], **labels, role="canary")
        scraped.add(name, [one for one in samples if one[0] >= at_last], **labels, role="stable")


def everything() -> Scraped:
    scraped = Scraped()
    otel(scraped, "shop-1:8080")
    otel(scraped, "shop-2:8080", reset=END - 300.0 - 7.0)
    otel(scraped, "shop.3+(a)|b\\c")
    otel(scraped, "shopX3+(a)|b\\c")
    # Its counters say that it has run for hours, when it is scraped for the first time.
    otel(scraped, "old-1:8080", begin=BEGIN)
    for place, (name, labels, samples) in enumerate(scraped.series):
        if labels["instance"] == "old-1:8080":
            scraped.series[place] = (name, labels, [(at, value) for at, value in samples if at >= END - 330.0])
    # Two servers scrape the same, and one is scraped by two jobs.
    for replica in ("a", "b"):
        of_one = {"instance": "pair-1", "code": "200", "prometheus_replica": replica}
        scraped.add("http_requests_total", [(at, at - BEGIN) for at in scrapes(BEGIN, END)], **of_one)
    for job in ("shop", "shop-pods"):
        of_one = {"instance": "jobs-1", "code": "200", "job": job}
        scraped.add("http_requests_total", [(at, at - BEGIN) for at in scrapes(BEGIN, END)], **of_one)
    odd(scraped)
    appearing(scraped)
    # It has failed three times before it is scraped for the first time, and never again.
    late = scrapes(END - 240.0, END)
    scraped.add("http_requests_total", [(at, 5.0 + n) for n, at in enumerate(late)], instance="new-1", code="200")
    scraped.add("http_requests_total", [(at, 3.0) for at in late], instance="new-1", code="500")
    # It was replaced in the middle of the window; nothing marks its series as stale.
    for pod, until in (("gone-1", END - 300.0), ("stays-1", END)):
        levels = [(at, 5e8) for at in scrapes(BEGIN, until)]
        scraped.add("container_memory_working_set_bytes", levels, pod=pod, container="shop")
    for instance, level in (("shop-1:8080", 40.0), ("shop-2:8080", 50.0)):
        times = scrapes(BEGIN, END)
        scraped.add("queue_depth", [(at, level) for at in times], instance=instance, job="shop")
        scraped.add("shard_depth", [(at, level) for at in times], instance=instance, shard="a")
        scraped.add("shard_depth", [(at, level) for at in times], instance=instance, shard="b")
        scraped.add("empty_ratio", [(at, float("nan")) for at in times], instance=instance)
        if instance == "shop-1:8080":
            scraped.add("empty_ratio", [(at, 0.5) for at in times], instance="shop-3:8080")
        waits = [(at, float("inf") if n % 2 else 1.0) for n, at in enumerate(times)]
        scraped.add("wait_seconds", waits, instance=instance)
    return scraped
