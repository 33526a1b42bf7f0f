from __future__ import annotations

import datetime as dt

import pytest

from airflow_cd.errors import SourceQueryRejected, SourceUnauthorized
from airflow_cd.sources import SumoLogicLogs
from airflow_cd.sources.contract import LogSourceContract
from airflow_cd.verification.samples import FURTHER_LOG_COLUMNS, LOG_COLUMNS, Window
from tests.hooks.vendor_servers import ACCESS_ID, ACCESS_KEY, Answer, Asked, SumoServer, serving, sumo_message

BEGIN = dt.datetime(2026, 11, 23, 5, tzinfo=dt.timezone.utc)
BEGIN_MS = int(BEGIN.timestamp() * 1000)
WINDOW = Window(BEGIN, BEGIN + dt.timedelta(minutes=1))
HOSTS = ["shop-1", "shop-2"]


class FilteringServer(SumoServer):
    """Reads the hosts of a query, as far as the source writes them."""

    def __call__(self, asked: Asked) -> Answer:
        if asked.method == "POST":
            everything, query = self.messages, asked.body["query"]
            if " | count by " in query:
                field = query.rpartition(" ")[2].lower()
                found = everything if "prod/storefront" in query else []
                self.records = [{field: value} for value in sorted({m.get(field, "") for m in found})]
                return super().__call__(asked)
            self.messages = [m for m in everything if f'_sourceHost="{m["_sourcehost"]}"' in query]
            try:
                return super().__call__(asked)
            finally:
                self.messages = everything
        return super().__call__(asked)


@pytest.fixture
def server(connect):
    made = FilteringServer(
        [
            sumo_message(
                BEGIN_MS + second * 1000 + 7, f"INFO record {second}\n  of {host}", host, 100 * second + number
            )
            for second in range(60)
            for number, host in enumerate(HOSTS, 1)
        ],
        states=(),
    )
    with serving(made) as url:
        connect("sumo_logic_default", conn_type="sumo_logic", host=url, login=ACCESS_ID, password=ACCESS_KEY)
        yield made


class TestContract(LogSourceContract):
    @pytest.fixture(params=[100_000, 40])
    def source(self, server, request):
        server.pause_at = request.param
        return SumoLogicLogs("_sourceCategory=prod/storefront")

    @pytest.fixture
    def broken(self, connect):
        with serving(lambda _: Answer(401, {"code": "unauthorized", "message": "no"})) as url:
            connect("broken", conn_type="sumo_logic", host=url, login="a", password="b")
            yield SumoLogicLogs("q", conn_id="broken")

    @pytest.fixture
    def window(self):
        return WINDOW

    @pytest.fixture
    def instances(self):
        return HOSTS


class TestRead:
    def test_records(self, server):
        sample = SumoLogicLogs("_sourceCategory=prod/storefront | where x = 1").read(WINDOW, ["shop-2", "shop-1"])
        assert tuple(sample.frame.columns) == (*LOG_COLUMNS, *FURTHER_LOG_COLUMNS)
        first = sample.frame.iloc[0]
        assert (first["time"], first["message"]) == (
            BEGIN + dt.timedelta(milliseconds=7),
            f"INFO record 0\n  of {first['instance']}",
        )
        assert len(sample.frame) == 120
        assert sample.query == (
            '(_sourceCategory=prod/storefront) AND (_sourceHost="shop-1" OR _sourceHost="shop-2") | where x = 1'
        )
        assert server.asked[0].body["query"] == sample.query

    @pytest.mark.parametrize(
        ("source", "says"),
        [
            (
                SumoLogicLogs("_sourceCategory=prod/storefront | where x = 1"),
                "Nothing is known of shop-9: the field _sourceHost holds shop-1, shop-2.",
            ),
            (
                SumoLogicLogs("_sourceCategory=prod/storefront", instance_field="pod"),
                "No message has the field pod: name the one of the instances as instance_field.",
            ),
            (
                SumoLogicLogs("_sourceCategory=prod/storefrnot"),
                "Nothing that _sourceCategory=prod/storefrnot finds was logged in the hour before, of any instance.",
            ),
        ],
    )
    def test_names_that_are_not_there(self, server, source, says):
        assert source.read(WINDOW, ["shop-9"]).warnings == (says,)

    def test_truncation_and_warnings_come_through(self, server):
        server.messages = [sumo_message(BEGIN_MS + n, f"m{n}", "shop-1", n + 1) for n in range(30)]
        server.pause_at, server.warnings = 10, [["careful"]]
        sample = SumoLogicLogs("q").read(Window(BEGIN, BEGIN + dt.timedelta(seconds=1)), HOSTS)
        assert sample.truncated is True
        assert sample.warnings == ("careful",)
        assert len(sample.frame) == 10

    def test_a_message_without_a_time_is_not_dropped_silently(self, server):
        server.messages = [sumo_message(BEGIN_MS, "good", "shop-1", 1), sumo_message(BEGIN_MS, "bad", "shop-1", 2)]
        plain = server._page

        def page(what, job, asked):
            answer = plain(what, job, asked)
            for message in answer.body[what]:
                if message["map"]["_raw"] == "bad":
                    message["map"] = {**message["map"], "_messagetime": "never"}
            return answer

        server._page = page
        sample = SumoLogicLogs("q").read(WINDOW, HOSTS)
        assert list(sample.frame["message"]) == ["good"]
        assert sample.truncated is True
        assert sample.warnings == ("1 messages without a time were left out.",)

    def test_many_instances_take_several_searches(self, server):
        sample = SumoLogicLogs("q").read(WINDOW, [*HOSTS, *(f"zzz-{n}" for n in range(120))])
        assert len(sample.frame) == 120
        assert server.count("POST") == 2

    @pytest.mark.parametrize("name", ['a" OR *', "a*", "a?", "a\\", "", "a\nb"])
    def test_a_hostile_instance_is_refused(self, server, name):
        with pytest.raises(SourceQueryRejected, match="instance name"):
            SumoLogicLogs("q").read(WINDOW, ["shop-1", name])
        assert server.asked == []

    def test_a_mistake_that_was_let_through_is_not_sent(self, server):
        with pytest.raises(SourceQueryRejected, match="does not close"):
            SumoLogicLogs("a) OR (b").read(WINDOW, HOSTS)
        assert server.asked == []

    def test_the_vendors_refusal_comes_through(self, server):
        server.failures = [Answer(401, {"code": "unauthorized", "message": "no"})]
        with pytest.raises(SourceUnauthorized):
            SumoLogicLogs("q").read(WINDOW, HOSTS)


class TestSpecification:
    @pytest.mark.parametrize(
        ("query", "sent"),
        [
            ("error", '(error) AND (_sourceHost="a")'),
            ('"a | b" OR (c | d)', '("a | b" OR (c | d)) AND (_sourceHost="a")'),
            ("x | where y | limit 3", '(x) AND (_sourceHost="a") | where y | limit 3'),
            ("| where y", '(*) AND (_sourceHost="a") | where y'),
        ],
    )
    def test_the_hosts_stand_before_the_first_operator(self, query, sent):
        assert SumoLogicLogs(query).resolved(["a"]) == sent

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"query": " "}, "query: ' ' is empty"),
            ({"query": 'a "b'}, "does not close"),
            ({"query": "(a"}, "does not close"),
            ({"query": "a | count by _sourceHost"}, "'count by _sourceHost' aggregates"),
            ({"query": "a | timeslice 1m | sum(x) by _timeslice"}, "aggregates"),
            ({"conn_id": ""}, "conn_id"),
            ({"instance_field": "a=b OR c"}, "instance_field"),
            ({"delay": "later"}, "delay: 'later' is not a duration"),
        ],
    )
    def test_mistakes_are_named(self, fields, says):
        mistakes = SumoLogicLogs(**{"query": "q", **fields}).mistakes()
        assert says in "\n".join(mistakes)
        assert all(mistake.startswith("SumoLogicLogs(") for mistake in mistakes)

    def test_defaults(self):
        source = SumoLogicLogs("_sourceCategory=x")
        assert source.mistakes() == []
        assert source.name == "Sumo Logic _sourceCategory=x"
        assert SumoLogicLogs("count of errors | where counter > 1").mistakes() == []
