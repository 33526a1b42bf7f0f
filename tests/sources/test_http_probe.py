"""A probe asks every instance, and what an instance answers is the instance's own."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from airflow_cd.errors import SourceQueryRejected, SourceRejected
from airflow_cd.sources import HttpProbe
from airflow_cd.sources.contract import MetricSourceContract
from airflow_cd.verification.samples import Window

_OF = ("instance", "value", "count")
BEGIN = dt.datetime(2026, 11, 23, 5, tzinfo=dt.timezone.utc)
WINDOW = Window(BEGIN, BEGIN + dt.timedelta(minutes=2))

numbers = itertools.count(1)


class Shop:
    """An instance: answers what a test wants, and remembers what it was asked."""

    def __init__(self) -> None:
        self.status, self.content, self.asked = (
            200,
            b'{"status": "up", "checks": [{"ok": true}]}',
            list[dict[str, Any]](),
        )
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                asked = {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body}
                shop.asked.append(asked)
                self.send_response(shop.status)
                self.send_header("Content-Length", str(len(shop.content)))
                self.end_headers()
                self.wfile.write(shop.content)

            do_POST = do_GET  # noqa: N815 - as the server calls it

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_address[1]}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def shops() -> Iterator[dict[str, Shop]]:
    made = {"shop-1": Shop(), "shop-2": Shop()}
    yield made
    for shop in made.values():
        shop.stop()


@pytest.fixture
def probe(shops: dict[str, Shop]) -> Callable[..., HttpProbe]:
    """A probe of both, by a name of its own: what is found is kept by what was asked."""

    def made(**given: Any) -> HttpProbe:
        addresses = {name: shop.address for name, shop in shops.items()}
        return HttpProbe(
            "http://{instance}/checkout?sku=1",
            **{"name": f"checkout {next(numbers)}", "addresses": addresses, "every": "0s", **given},
        )

    return made


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let it be so many seconds after the beginning of the window."""

    def be(seconds: float) -> None:
        now = BEGIN + dt.timedelta(seconds=seconds)
        for module in ("probe", "probing"):
            monkeypatch.setattr(f"airflow_cd.sources.{module}.utc_now", lambda: now)

    return be


class TestContract(MetricSourceContract):
    @pytest.fixture
    def source(self, probe, at):
        asking = probe()
        for second in range(1, 121, 4):
            at(second)
            asking.read(WINDOW, ["shop-1", "shop-2"])
        at(600)
        return asking

    @pytest.fixture
    def broken(self, probe):
        return probe(conn_id="nobody_made_it")

    @pytest.fixture
    def window(self):
        return WINDOW

    @pytest.fixture
    def instances(self):
        return ["shop-1", "shop-2"]


def found(probe: HttpProbe, at: Callable[[float], None], names: tuple[str, ...] = ("shop-1", "shop-2")) -> Any:
    """What one look finds."""
    at(5)
    probe.read(WINDOW, names)
    at(600)
    return probe.read(WINDOW, names)


def failures(sample: Any) -> dict[str, tuple[float, int]]:
    rows = sample.frame[sample.frame["metric"].str.endswith("failures")]
    return {
        row.instance: (row.value, row.count)
        for row in rows.drop(columns="count").assign(count=rows["count"]).itertuples()
    }


WRONG = [
    ({}, {"status": 500}, "answers 500, not 200"),
    ({"status": [200, 404]}, {"status": 302}, "answers 302, not 200 or 404"),
    ({"contains": "in stock"}, {"content": b"sold out"}, "its answer does not hold 'in stock'"),
    ({"matches": r"total: \d+"}, {"content": b"total: -"}, r"nothing in its answer matches 'total: \\d+'"),
    ({"json": {"status": "up"}}, {"content": b'{"status": "down"}'}, "status is not 'up'"),
    ({"json": {"checks.0.ok": True}}, {"content": b'{"checks": [{"ok": 1}]}'}, "checks.0.ok is not True"),
    ({"json": {"queue.depth": 0}}, {"content": b'{"queue": {}}'}, "its answer has no queue.depth"),
    ({"json": {"status": "up"}}, {"content": b"<html>"}, "its answer is not JSON"),
]


@pytest.mark.parametrize(("given", "answers", "said"), WRONG)
def test_an_answer_that_is_not_as_it_must_be_is_a_failure(probe, shops, at, given, answers, said):
    for name, value in answers.items():
        setattr(shops["shop-2"], name, value)
    good = {
        "contains": b"3 in stock, total: 17",
        "matches": b"total: 17",
        "json": b'{"status": "up", "checks": [{"ok": true}], "queue": {"depth": 0}}',
    }
    shops["shop-1"].content = next((content for name, content in good.items() if name in given), b"")
    sample = found(probe(**given), at)
    assert failures(sample) == {"shop-1": (0.0, 1), "shop-2": (1.0, 1)}
    assert sample.warnings == (f"shop-2: {said}.",)


def test_an_instance_that_cannot_be_reached_has_failed(probe, shops, at):
    address = shops["shop-2"].address
    shops["shop-2"].stop()
    sample = found(probe(addresses={"shop-1": shops["shop-1"].address, "shop-2": address}), at)
    assert failures(sample)["shop-2"] == (1.0, 1)
    assert sample.warnings == ("shop-2: cannot be reached.",)
    times = sample.frame[sample.frame["metric"].str.endswith("response time")]
    assert list(times["instance"]) == ["shop-1"], "what was not answered took no time"


def test_an_instance_that_takes_too_long_has_failed(probe, shops, at, monkeypatch):
    sample = found(probe(within="1ms"), at, ("shop-1",))
    assert failures(sample)["shop-1"][0] == 1.0
    assert "1ms" in sample.warnings[0] or "0.001 s" in sample.warnings[0]


def test_a_name_without_an_address_is_nobodys_failure(probe, at):
    sample = found(probe(addresses={}), at, ("no-such-host.invalid",))
    assert len(sample.frame) == 0
    assert "no address is known of no-such-host.invalid" in sample.warnings[0]


def test_everything_that_is_to_be_sent_is_sent(probe, shops, at, connect):
    connect("probe_key", conn_type="http", password="s3cret", extra={"headers": {"X-Tenant": "acme"}})
    asking = probe(method="post", body={"sku": 1}, headers={"X-Probe": "yes"}, conn_id="probe_key")
    sample = found(asking, at, ("shop-1",))
    asked = shops["shop-1"].asked[0]
    assert (asked["method"], asked["path"], asked["body"]) == ("POST", "/checkout?sku=1", {"sku": 1})
    assert asked["headers"]["Authorization"] == "Bearer s3cret"
    assert (asked["headers"]["X-Probe"], asked["headers"]["X-Tenant"]) == ("yes", "acme")
    assert "s3cret" not in f"{sample.query}{sample.warnings}{asking!r}"


def test_an_instance_is_asked_no_more_often_than_it_should(probe, shops, at):
    asking = probe(every="1h")
    for second in (1, 2, 3):
        at(second)
        asking.read(WINDOW, ["shop-1"])
    assert len(shops["shop-1"].asked) == 1


def test_a_name_stays_where_it_belongs(probe, shops, at):
    for name in ("shop@evil", "shop/../admin", "shop-1#", "a b", "x:y:z"):
        with pytest.raises(SourceQueryRejected, match="is no host"):
            probe().read(WINDOW, [name])
    path = HttpProbe(f"http://{shops['shop-1'].address}/of/{{instance}}", name=f"path {next(numbers)}")
    at(5)
    path.read(WINDOW, ["a/../b?c"])
    assert shops["shop-1"].asked[-1]["path"] == "/of/a%2F..%2Fb%3Fc"


MISTAKES = [
    ({"url": "shop/health"}, "is not the URL of an instance"),
    ({"url": "http://shop/health"}, r"\{instance\} is missing"),
    ({"url": "http://me:key@{instance}/"}, "credentials belong into a connection"),
    ({"method": "GETT"}, "is none of GET"),
    ({"status": 20}, "is no status code"),
    ({"status": []}, "is no status code"),
    ({"matches": "("}, "is not a regular expression"),
    ({"json": ["status"]}, "does not go from names to values"),
    ({"within": "soon"}, "within"),
    ({"bucket": "0s"}, "bucket"),
]


@pytest.mark.parametrize(("given", "said"), MISTAKES)
def test_mistakes_are_found_before_anything_is_asked(given, said):
    wrong = HttpProbe(**{"url": "http://{instance}/health", **given})
    with pytest.raises(SourceQueryRejected, match=said):
        wrong.read(WINDOW, ["shop-1"])


def test_a_connection_that_is_not_there_is_named(probe):
    with pytest.raises(SourceRejected, match="nobody_made_it"):
        probe(conn_id="nobody_made_it").read(WINDOW, ["shop-1"])
