"""The sources and hooks against the local New Relic and Sumo Logic servers, over telemetry files written here."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import random
from pathlib import Path

import pytest

from airflow_cd.demo import new_relic, sumo_logic
from airflow_cd.errors import SourceQueryRejected, SourceUnauthorized
from airflow_cd.hooks.new_relic import NewRelicHook
from airflow_cd.hooks.sumo_logic import SumoLogicHook
from airflow_cd.sources import NewRelicMetrics, NewRelicQuery, SumoLogicLogs
from airflow_cd.sources.contract import LogSourceContract, MetricSourceContract
from airflow_cd.verification.samples import Metric, Window
from tests.tiers import starts

HOSTS = ("shop-1", "shop-2", "shop-3")
LENGTH = dt.timedelta(seconds=40)
TRACEBACK = '\nTraceback (most recent call last):\n  File "pay.py", line 3, in pay\nValueError: card'


class Telemetry:
    """What a fleet of three would have left behind in the last minute; kept to compare answers with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        end = dt.datetime.now(dt.timezone.utc).replace(microsecond=0) - dt.timedelta(seconds=10)
        self.window = Window(end - LENGTH, end)
        self.transactions: dict[str, list[dict[str, object]]] = {}
        chance = random.Random(7)
        for host in HOSTS:
            self._write(host, chance)

    def _write(self, host: str, chance: random.Random) -> None:
        rows, lines = [], []
        for number in range(int(LENGTH.total_seconds()) * 4):
            moment = self.window.since + dt.timedelta(milliseconds=250 * number + chance.randrange(200))
            failed = number % 10 == 0
            rows.append(
                {
                    "timestamp": round(moment.timestamp() * 1000),
                    "appName": "shop",
                    "environment": "production",
                    "host": host,
                    "name": chance.choice(["WebTransaction/cart", "WebTransaction/checkout"]),
                    "duration": round(chance.uniform(0.05, 0.3), 4),
                    "error": failed,
                    "error.class": "ValueError" if failed else None,
                    "httpResponseCode": "500" if failed else "200",
                    "version": "1.0",
                }
            )
            stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
            text = f"ERROR shop.pay - failed {number}{TRACEBACK}" if failed else f"INFO shop.cart - request {number}"
            lines.append(f"{stamp} {text}\n")
        self.transactions[host] = rows
        for kind, ending, content in (
            ("transactions", "jsonl", "".join(json.dumps(row) + "\n" for row in rows)),
            ("logs", "log", "".join(lines)),
        ):
            path = self.folder / kind / "production" / f"{host}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")


@pytest.fixture(scope="module")
def telemetry(tmp_path_factory):
    return Telemetry(tmp_path_factory.mktemp("telemetry"))


@pytest.fixture(scope="module")
@starts("server")
def new_relic_server(telemetry):
    server = new_relic.start(telemetry.folder, port=0)
    yield server
    server.stop()


@pytest.fixture(scope="module")
@starts("server")
def sumo_server(telemetry):
    quick = {"start_delay": 0.02, "gather_seconds": 0.05}
    server = sumo_logic.start(telemetry.folder, port=0, rate_limit=1000, message_limit=150, **quick)
    yield server
    server.stop()


@pytest.fixture
def nr(new_relic_server, connect):
    extra = {"account_id": new_relic_server.account_id}
    connect("nr", conn_type="new_relic", host=new_relic_server.url, password=new_relic_server.api_key, extra=extra)
    connect("nr_wrong", conn_type="new_relic", host=new_relic_server.url, password="NRAK-WRONG", extra=extra)
    return new_relic_server


@pytest.fixture
def sumo(sumo_server, connect):
    key = {"login": sumo_server.access_id, "password": sumo_server.access_key}
    connect("sumo", conn_type="sumo_logic", host=sumo_server.url, **key)
    connect("sumo_moved", conn_type="sumo_logic", host=sumo_server.wrong_url, **key)
    connect("sumo_wrong", conn_type="sumo_logic", host=sumo_server.url, login=sumo_server.access_id, password="x")
    return sumo_server


class _Where:
    @pytest.fixture
    def window(self, telemetry):
        return telemetry.window

    @pytest.fixture
    def instances(self):
        return HOSTS


class TestNewRelicMetrics(_Where, MetricSourceContract):
    @pytest.fixture
    def source(self, nr):
        return NewRelicMetrics(app="shop", conn_id="nr", bucket="5s", delay="1s", where="environment = 'production'")

    @pytest.fixture
    def broken(self, nr):
        return NewRelicMetrics(app="shop", conn_id="nr_wrong")

    def test_numbers_are_those_of_the_files(self, nr, telemetry):
        source = NewRelicMetrics(app="shop", conn_id="nr", bucket="5s", group_by="")
        frame = source.read(telemetry.window, HOSTS).frame
        for host in HOSTS:
            rows = telemetry.transactions[host]
            mine = frame[frame["instance"] == host]
            by = {name: mine[mine["metric"] == name] for name in mine["metric"].unique()}
            assert by["throughput"]["value"].sum() == len(rows)
            assert by["error_rate"]["value"].sum() == sum(bool(row["error"]) for row in rows)
            times = by["response_time"]
            mean = (times["value"] * times["count"]).sum() / times["count"].sum()
            assert mean == pytest.approx(1000 * sum(float(str(row["duration"])) for row in rows) / len(rows), rel=1e-3)
            assert by["apdex"]["value"].between(0.5, 1).all()
            assert (by["response_time.p95"]["value"].to_numpy() >= times["value"].to_numpy()).all()

    def test_windows_between_the_seconds(self, nr, telemetry):
        source = NewRelicMetrics(app="shop", conn_id="nr", bucket="5s", metrics=("throughput",), group_by="")
        cuts = [dt.timedelta(seconds=second) for second in (0, 7.3, 7.9, 21.25, 40)]
        moments = [telemetry.window.since + cut for cut in cuts]
        read = [
            source.read(Window(since, until), HOSTS).frame["value"].sum()
            for since, until in itertools.pairwise(moments)
        ]
        assert sum(read) == sum(map(len, telemetry.transactions.values()))


class TestNewRelicQuery(_Where, MetricSourceContract):
    @pytest.fixture
    def source(self, nr):
        text = "SELECT percentage(count(*), WHERE error IS true) FROM Transaction WHERE appName = 'shop'"
        return NewRelicQuery(text, Metric("failing", "gauge", unit="%"), conn_id="nr", bucket="10s")

    @pytest.fixture
    def broken(self, nr):
        return NewRelicQuery("SELECT average(duration) FROM Transaction", Metric("x", "gauge"), conn_id="nr_wrong")


class TestSumoLogicLogs(_Where, LogSourceContract):
    @pytest.fixture
    def source(self, sumo):
        return SumoLogicLogs("_sourceCategory=production/shop", conn_id="sumo", delay="1s")

    @pytest.fixture
    def broken(self, sumo):
        return SumoLogicLogs("_sourceCategory=production/shop", conn_id="sumo_wrong")

    def test_every_record_once_and_whole(self, sumo, telemetry):
        """The server pauses at 150 of 480 messages, so the window has to be split."""
        source = SumoLogicLogs("_sourceCategory=production/shop", conn_id="sumo")
        sample = source.read(telemetry.window, HOSTS)
        assert len(sample.frame) == sum(map(len, telemetry.transactions.values()))
        assert sample.truncated is False
        failed = sample.frame[sample.frame["message"].str.contains("ERROR")]
        assert failed["message"].str.endswith("ValueError: card").all()
        assert len(failed) == 48

    def test_a_wrong_deployment_sends_us_to_the_right_one(self, sumo, telemetry):
        source = SumoLogicLogs("_sourceCategory=production/shop", conn_id="sumo_moved")
        assert len(source.read(telemetry.window, HOSTS[:1]).frame) == 160


class TestHooks:
    def test_test_buttons(self, nr, sumo):
        assert NewRelicHook("nr").test_connection()[0]
        assert SumoLogicHook("sumo").test_connection()[0]
        for hook in (NewRelicHook("nr_wrong"), SumoLogicHook("sumo_wrong")):
            worked, message = hook.test_connection()
            assert not worked
            assert "connection" in message

    def test_a_wrong_query(self, nr, sumo, telemetry):
        with pytest.raises(SourceQueryRejected):
            NewRelicHook("nr").nrql("SELEKT nothing")
        with pytest.raises(SourceQueryRejected):
            SumoLogicHook("sumo").search('(unclosed "', telemetry.window.since, telemetry.window.until)

    def test_markers_can_be_read_back(self, nr):
        hook = NewRelicHook("nr")
        marker = hook.mark_deployment(
            application="shop", version="1.2.0", user="ann", description="20 %", attributes={"phase": "phase_20"}
        )
        assert marker
        assert hook.mark_deployment(entity_guid=nr.entity_guid, version="1.2.1", deployment_type="Other") != marker
        found = hook.nrql("SELECT * FROM ChangeTrackingEvent SINCE 5 minutes ago LIMIT MAX")
        assert "1.2.0" in json.dumps(found)
        application = str(nr.application_id)
        assert hook.mark_deployment(application=application, version="1.2.2", user="ann", api="rest_v2")

    def test_an_application_nobody_knows(self, nr):
        with pytest.raises(SourceQueryRejected, match="has no application 'nothing'"):
            NewRelicHook("nr").mark_deployment(application="nothing", version="1")

    def test_a_wrong_key(self, nr):
        with pytest.raises(SourceUnauthorized):
            NewRelicHook("nr_wrong").nrql("SELECT count(*) FROM Transaction")

    def test_long_queries_are_waited_for(self, nr):
        assert NewRelicHook("nr").nrql("SELECT count(*) FROM Transaction SINCE 5 minutes ago", timeout=120)

    def test_aggregates(self, sumo, telemetry):
        query = "_sourceCategory=production/shop | count by _sourceHost"
        found = SumoLogicHook("sumo").records(query, telemetry.window.since, telemetry.window.until)
        assert {record["_sourcehost"]: int(record["_count"]) for record in found.records} == dict.fromkeys(HOSTS, 160)
