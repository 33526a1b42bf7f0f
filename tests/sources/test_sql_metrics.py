"""Business metrics out of a real PostgreSQL, where this machine has one, and out of SQLite."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
import sqlalchemy as sa

from airflow_cd.errors import SourceQueryRejected, SourceRejected, SourceUnavailable
from airflow_cd.sources import SqlMetrics
from airflow_cd.sources.contract import MetricSourceContract
from airflow_cd.verification.samples import Metric, Window

BEGIN = dt.datetime(2026, 11, 23, 5, tzinfo=dt.timezone.utc)
WINDOW = Window(BEGIN, BEGIN + dt.timedelta(minutes=10))
HOSTS = ["shop-1", "shop-2"]
ORDERS = Metric("orders", "count", "lower_is_worse", "orders")
QUERY = "SELECT placed_at AS time, host AS instance FROM orders WHERE placed_at >= :since AND placed_at < :until"


def at(seconds: float) -> dt.datetime:
    return BEGIN + dt.timedelta(seconds=seconds)


def filled(engine: sa.Engine, *, zoned: bool) -> None:
    metadata = sa.MetaData()
    orders = sa.Table(
        "orders",
        metadata,
        sa.Column("placed_at", sa.DateTime(timezone=zoned)),
        sa.Column("host", sa.String(20)),
        sa.Column("amount", sa.Float),
        sa.Column("country", sa.String(2)),
    )
    metadata.create_all(engine)
    rows = [
        {
            "placed_at": at(second) if zoned else at(second).replace(tzinfo=None),
            "host": host,
            "amount": 10.0 + second % 3,
            "country": "de" if second % 2 else "fr",
        }
        for second in range(0, 600, 5)
        for host in (*HOSTS, "other")
    ]
    with engine.begin() as connection:
        connection.execute(orders.insert(), rows)
    engine.dispose()


@pytest.fixture
def sqlite(tmp_path, connect):
    path = tmp_path / "shop.db"
    filled(sa.create_engine(f"sqlite:///{path}"), zoned=False)
    connect("shop_db", conn_type="sqlite", host=str(path))


@pytest.fixture
def postgresql(postgres_server, connect):
    from tests import postgres

    url = sa.make_url(postgres.create_database(postgres_server, "shop"))
    filled(sa.create_engine(url), zoned=True)
    connect("shop_db", conn_type="postgres", host=url.host, port=url.port, login=url.username, schema=url.database)
    yield
    postgres.execute(postgres_server, "DROP DATABASE shop")


class _Contract(MetricSourceContract):
    @pytest.fixture
    def broken(self, source):
        return SqlMetrics(QUERY.replace("orders", "ordres"), ORDERS, "shop_db")

    @pytest.fixture
    def window(self):
        return WINDOW

    @pytest.fixture
    def instances(self):
        return HOSTS


class TestSqlite(_Contract):
    @pytest.fixture
    def source(self, sqlite):
        return SqlMetrics(QUERY, ORDERS, "shop_db", zone="UTC")


class TestPostgresql(_Contract):
    @pytest.fixture
    def source(self, postgresql):
        return SqlMetrics(QUERY + " AND host IN :instances", ORDERS, "shop_db")


def test_numbers_are_summed_and_levels_averaged(sqlite):
    query = QUERY.replace("instance", 'instance, amount AS value, country AS "group"')
    levels = SqlMetrics(query, Metric("amount", "gauge", "either"), "shop_db", zone="UTC", bucket="5m")
    frame = levels.read(WINDOW, ["shop-1"]).frame
    assert len(frame) == 4
    assert set(frame["group"]) == {"de", "fr"}
    assert frame["value"].between(10.9, 11.1).all()
    orders = SqlMetrics(QUERY, "orders", "shop_db", zone="UTC", bucket="5m").read(WINDOW, ["shop-1"]).frame
    assert list(orders["value"]) == [60.0, 60.0]


def test_odd_offsets_neither_lose_nor_repeat(sqlite):
    source = SqlMetrics(QUERY, ORDERS, "shop_db", zone="UTC")
    whole = source.read(WINDOW, HOSTS).frame
    ends = [0, 37, 201, 600]
    parts = [source.read(Window(at(begin), at(end)), HOSTS).frame for begin, end in itertools.pairwise(ends)]
    assert sum(part["value"].sum() for part in parts) == whole["value"].sum() == 240.0


def test_a_column_in_another_zone(tmp_path, connect):
    engine = sa.create_engine(f"sqlite:///{tmp_path}/zoned.db")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE orders (placed_at TEXT, host TEXT)")
        connection.exec_driver_sql("INSERT INTO orders VALUES ('2026-11-23 06:00:30.000000', 'shop-1')")
    engine.dispose()
    connect("shop_db", conn_type="sqlite", host=f"{tmp_path}/zoned.db")
    source = SqlMetrics(QUERY, ORDERS, "shop_db", zone="Europe/Berlin")
    assert list(source.read(WINDOW, HOSTS).frame["time"]) == [BEGIN]


class TestWords:
    def test_a_table_that_is_not_there(self, sqlite):
        with pytest.raises((SourceQueryRejected, SourceUnavailable), match=r"'shop_db'.*no such table: ordres"):
            SqlMetrics(QUERY.replace("orders", "ordres"), ORDERS, "shop_db", zone="UTC").read(WINDOW, HOSTS)

    def test_a_column_that_is_missing(self, sqlite):
        with pytest.raises(SourceQueryRejected, match="no column instance, only time, host"):
            SqlMetrics(QUERY.replace(" AS instance", ""), ORDERS, "shop_db", zone="UTC").read(WINDOW, HOSTS)

    def test_a_database_that_is_not_there(self, connect):
        connect("shop_db", conn_type="postgres", host="127.0.0.1", port=1, login="a", password="hidden", schema="b")
        with pytest.raises(SourceUnavailable, match="'shop_db' cannot be asked") as raised:
            SqlMetrics(QUERY, ORDERS, "shop_db").read(WINDOW, HOSTS)
        assert "hidden" not in str(raised.value)

    def test_a_connection_that_is_none(self, connect):
        connect("files", conn_type="fs")
        with pytest.raises(SourceRejected, match=r"'files' \(fs\) is no database"):
            SqlMetrics(QUERY, ORDERS, "files").read(WINDOW, HOSTS)

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"query": "SELECT 1"}, ":since is missing"),
            ({"query": QUERY + "; DROP TABLE orders"}, "one statement alone"),
            ({"zone": "Mars"}, "not the name of a time zone"),
            ({"metric": 3}, "neither a Metric nor a name"),
        ],
    )
    def test_mistakes(self, fields, says):
        made = SqlMetrics(**{"query": QUERY, "metric": ORDERS, "conn_id": "shop_db", **fields})
        assert says in "\n".join(made.mistakes())
