"""Business metrics out of a real PostgreSQL, where this machine has one, and out of SQLite."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from airflow_cd.errors import SourceQueryRejected, SourceRejected, SourceUnauthorized, SourceUnavailable
from airflow_cd.sources import SqlMetrics
from airflow_cd.sources.contract import MetricSourceContract
from airflow_cd.sources.sql_errors import not_reached
from airflow_cd.verification.samples import Metric, Window
from tests import postgres, tiers

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


def test_levels_weigh_by_what_they_are_of(tmp_path, connect):
    with other_table(tmp_path / "weighed.db", connect, "(placed_at TEXT, host TEXT, took REAL, requests REAL)") as run:
        for second, took, requests in ((10, 10.0, 99), (20, 1010.0, 1)):
            run(f"INSERT INTO orders VALUES ('{at(second):%Y-%m-%d %H:%M:%S}', 'shop-1', {took}, {requests})")
    query = QUERY.replace("instance", "instance, took AS value, requests AS count")
    latency = Metric("response_time", "latency", "higher_is_worse", "ms")
    frame = SqlMetrics(query, latency, "shop_db").read(WINDOW, HOSTS).frame
    assert [(row.value, row.count) for row in frame[["value", "count"]].itertuples(index=False)] == [(20.0, 100.0)]


@pytest.mark.parametrize(("metric", "value"), [("error_rate", 0.3), ("orders_per_second", 0.3), ("errors", 0.6)])
def test_parts_and_rates_are_not_added_up(tmp_path, connect, metric, value):
    with other_table(tmp_path / "parts.db", connect, "(placed_at TEXT, host TEXT, part REAL)") as run:
        for second, part in ((10, 0.2), (20, 0.4)):
            run(f"INSERT INTO orders VALUES ('{at(second):%Y-%m-%d %H:%M:%S}', 'shop-1', {part})")
    source = SqlMetrics(QUERY.replace("instance", "instance, part AS value"), metric, "shop_db")
    assert list(source.read(WINDOW, HOSTS).frame["value"]) == pytest.approx([value])


@pytest.mark.parametrize("zone", ["", "UTC"])
@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S+00:00"])
def test_no_row_on_a_seam_is_lost_however_texts_write_a_time(tmp_path, connect, form, zone):
    with other_table(tmp_path / "seams.db", connect) as run:
        for second in range(0, 600, 30):
            run(f"INSERT INTO orders VALUES ('{at(second).strftime(form)}', 'shop-1')")
    source = SqlMetrics(QUERY, ORDERS, "shop_db", zone=zone)
    parts = [source.read(Window(at(begin), at(begin + 300)), HOSTS).frame for begin in (0, 300)]
    assert [part["value"].sum() for part in parts] == [10.0, 10.0]


@pytest.fixture(scope="module")
def berlin(postgres_server):
    """A database whose sessions are in another zone than its columns."""
    url = sa.make_url(postgres.create_database(postgres_server, "berlin"))
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER DATABASE berlin SET timezone TO 'Europe/Berlin'")
        connection.exec_driver_sql(
            "CREATE TABLE orders AS SELECT moment AT TIME ZONE 'UTC' AS placed_at, moment AS zoned, 'shop-1' AS host, "
            "moment AT TIME ZONE 'Europe/Berlin' AS there, 10::money AS amount, '250 ms'::interval AS took "
            f"FROM generate_series('{at(0)}'::timestamptz, '{at(599)}', '30 s') AS moment"
        )
    engine.dispose()
    yield url
    postgres.execute(postgres_server, "DROP DATABASE berlin")


@pytest.fixture
def in_berlin(berlin, connect):
    parts = {"host": berlin.host, "port": berlin.port, "login": berlin.username, "schema": berlin.database}
    connect("shop_db", conn_type="postgres", **parts)


class TestAnotherSession:
    @pytest.mark.parametrize(
        ("column", "zone"),
        [("placed_at", ""), ("placed_at", "UTC"), ("zoned", ""), ("zoned", "UTC"), ("there", "Europe/Berlin")],
    )
    def test_its_zone_is_not_taken_for_that_of_the_column(self, in_berlin, column, zone):
        sample = SqlMetrics(QUERY.replace("placed_at", column), ORDERS, "shop_db", zone=zone).read(WINDOW, ["shop-1"])
        assert sample.frame["value"].sum() == 20
        assert sample.warnings == ()

    @pytest.mark.parametrize(
        ("column", "zone", "off"), [("there", "", "later"), ("placed_at", "Europe/Berlin", "earlier")]
    )
    def test_a_wrong_zone_is_said(self, in_berlin, column, zone, off):
        sample = SqlMetrics(QUERY.replace("placed_at", column), ORDERS, "shop_db", zone=zone).read(WINDOW, ["shop-1"])
        assert len(sample.frame) == 0
        assert f"there are some an hour {off}: where the column time holds local time" in sample.warnings[0]

    def test_a_time_that_is_not_the_one_compared_is_said(self, in_berlin):
        query = QUERY.replace("placed_at AS time", "there AS time").replace("placed_at", "zoned")
        [warning, *_] = SqlMetrics(query, ORDERS, "shop_db").read(WINDOW, ["shop-1"]).warnings
        assert "20 of 20 rows were left out: the column time says 2026-11-23T06:00:00+00:00" in warning

    @pytest.mark.parametrize(
        ("value", "says"), [("amount", r"'\$10.00' in the column value"), ("took", "timedelta"), ("host", "'shop-1'")]
    )
    def test_a_value_that_is_no_number(self, in_berlin, value, says):
        source = SqlMetrics(QUERY.replace("instance", f"instance, {value} AS value"), "amount", "shop_db")
        with pytest.raises(SourceQueryRejected, match=says):
            source.read(WINDOW, ["shop-1"])


def test_a_column_in_another_zone(tmp_path, connect):
    local_times(tmp_path / "zoned.db", connect, [at(3630)])
    source = SqlMetrics(QUERY, ORDERS, "shop_db", zone="Europe/Berlin")
    assert list(source.read(WINDOW, HOSTS).frame["time"]) == [BEGIN]


@contextlib.contextmanager
def other_table(path, connect, columns="(placed_at TEXT, host TEXT)"):
    """A table ``orders`` of its own; what it yields runs a statement."""
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE orders {columns}")
        yield connection.exec_driver_sql
    engine.dispose()
    connect("shop_db", conn_type="sqlite", host=str(path))


def local_times(path, connect, moments):
    with other_table(path, connect) as run:
        for moment in moments:
            run(f"INSERT INTO orders VALUES ('{moment:%Y-%m-%d %H:%M:%S.%f}', 'shop-1')")


class TestNothing:
    @pytest.mark.parametrize("condition", ["", " AND host IN :instances"])
    def test_an_instance_that_nobody_knows(self, sqlite, condition):
        source = SqlMetrics(QUERY + condition, ORDERS, "shop_db", zone="UTC")
        warnings = source.read(WINDOW, ["shop-1", "shop-9"]).warnings
        assert "Nothing is known of shop-9" in warnings[-1]
        assert "shop-2" in warnings[-1]
        assert "shop-1 " not in warnings[-1].partition(":")[0]

    def test_a_known_instance_that_is_quiet_is_not_unknown(self, sqlite):
        later = Window(at(660), at(1260))
        source = SqlMetrics(QUERY + " AND host IN :instances", ORDERS, "shop_db", zone="UTC")
        assert source.read(later, HOSTS).warnings == ()

    @pytest.mark.parametrize(("hours", "says"), [(1, "an hour later"), (-5, "5 hours earlier"), (5.5, "5.5 hours lat")])
    def test_a_column_in_local_time(self, tmp_path, connect, hours, says):
        local_times(tmp_path / "z.db", connect, [at(60 * minute + 3600 * hours) for minute in range(10)])
        sample = SqlMetrics(QUERY, ORDERS, "shop_db").read(WINDOW, HOSTS)
        assert not len(sample.frame)
        assert says in "".join(sample.warnings)
        assert "name its zone" in "".join(sample.warnings)

    def test_a_service_that_has_been_quiet_is_in_no_other_zone(self, tmp_path, connect):
        local_times(tmp_path / "z.db", connect, [at(-60 * minute) for minute in range(75, 400)])
        warnings = SqlMetrics(QUERY, ORDERS, "shop_db").read(WINDOW, HOSTS).warnings
        assert warnings == ("There is no row in the window and in the hour before, of any instance.",)


@pytest.fixture(scope="module")
@tiers.starts("postgres")
def asking_for_a_password():
    """The address of a server at which the role ``shop`` needs a password, and may read the table ``orders``."""
    if why := postgres.missing():
        tiers.unavailable("postgres", why)
    # The server runs as another user, which may not look into pytest's own folders.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        hba = Path(folder) / "pg_hba.conf"
        hba.write_text("host all shop 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n")
        hba.chmod(0o644)
        with postgres.Server({"hba_file": str(hba)}) as server:
            filled(sa.create_engine(server.url), zoned=True)
            postgres.execute(server.url, "CREATE ROLE shop LOGIN PASSWORD 'right'")
            postgres.execute(server.url, "CREATE TABLE secrets (placed_at timestamptz, host text)")
            postgres.execute(server.url, "GRANT SELECT ON orders TO shop")
            yield sa.make_url(server.url)


@pytest.mark.parametrize(
    ("wrong", "table", "error", "says", "mend"),
    [
        ({}, "orders", None, "", ""),
        ({"password": "wrong"}, "orders", SourceUnauthorized, "refuses the login", "Correct login and password"),
        ({"schema": "shpo"}, "orders", SourceRejected, 'has no such database.*"shpo"', "Correct the schema"),
        ({"port": 1}, "orders", SourceUnavailable, "cannot be reached", "Correct host and port"),
        ({}, "ordres", SourceQueryRejected, 'rejected the query.*"ordres"', "Correct the query"),
        ({}, "secrets", SourceUnauthorized, "does not let its login read this", "Grant SELECT"),
    ],
)
def test_each_wrong_setting_has_its_words(asking_for_a_password, connect, wrong, table, error, says, mend):
    url = asking_for_a_password
    fields = {"host": url.host, "port": url.port, "login": "shop", "password": "right", "schema": url.database}
    connect("shop_db", conn_type="postgres", **{**fields, **wrong})
    source = SqlMetrics(QUERY.replace("orders", table), ORDERS, "shop_db")
    if error is None:
        assert len(source.read(WINDOW, HOSTS).frame)
        return
    with pytest.raises(error, match=says) as raised:
        source.read(WINDOW, HOSTS)
    assert type(raised.value) is error
    assert mend in raised.value.next_step
    assert "right" not in str(raised.value)


@pytest.mark.parametrize(
    ("said", "error", "says"),
    [
        ((1045, "Access denied for user 'a'@'b'"), SourceUnauthorized, "refuses the login"),
        ((1049, "Unknown database 'shpo'"), SourceRejected, "has no such database"),
        ((2003, "Can't connect to MySQL server on 'b'"), SourceUnavailable, "cannot be reached"),
        ((1040, "Too many connections"), SourceUnavailable, "takes no connection"),
        (("server: FATAL:  sorry, too many clients already",), SourceUnavailable, "takes no connection"),
    ],
)
def test_words_of_drivers(said, error, says):
    found = not_reached(sa.exc.OperationalError("SELECT 1", {}, Exception(*said)), "shop_db")
    assert type(found) is error
    assert says in str(found)


class TestWords:
    def test_a_table_that_is_not_there(self, sqlite):
        with pytest.raises(SourceQueryRejected, match=r"'shop_db' rejected the query.*no such table: ordres"):
            SqlMetrics(QUERY.replace("orders", "ordres"), ORDERS, "shop_db", zone="UTC").read(WINDOW, HOSTS)

    def test_a_column_that_is_missing(self, sqlite):
        with pytest.raises(SourceQueryRejected, match="no column instance, only time, host"):
            SqlMetrics(QUERY.replace(" AS instance", ""), ORDERS, "shop_db", zone="UTC").read(WINDOW, HOSTS)

    def test_a_database_that_is_not_there(self, connect):
        connect("shop_db", conn_type="postgres", host="127.0.0.1", port=1, login="a", password="hidden", schema="b")
        with pytest.raises(SourceUnavailable, match="'shop_db' cannot be reached") as raised:
            SqlMetrics(QUERY, ORDERS, "shop_db").read(WINDOW, HOSTS)
        assert "hidden" not in str(raised.value)

    def test_a_file_that_is_not_there(self, connect):
        connect("shop_db", conn_type="sqlite", host="/no/such/folder/shop.db")
        with pytest.raises(SourceUnavailable, match="'shop_db' cannot be opened") as raised:
            SqlMetrics(QUERY, ORDERS, "shop_db").read(WINDOW, HOSTS)
        assert "Correct its path" in raised.value.next_step

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
