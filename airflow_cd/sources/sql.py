"""Business metrics out of a database: what authors write in a DAG, and how they are read."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_cd.durations import DurationField
from airflow_cd.errors import SourceQueryRejected, SourceRejected
from airflow_cd.sources.absence import why_nothing
from airflow_cd.sources.buckets import Buckets, utc_now
from airflow_cd.sources.specification import (
    as_metric,
    mistakes_of_durations,
    mistakes_of_metric,
    mistakes_of_texts,
    refuse,
)
from airflow_cd.sources.sql_absence import Look, explained
from airflow_cd.sources.sql_errors import not_answered, not_reached
from airflow_cd.sources.sql_times import LocalTimes, Placed
from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.verification.samples import Metric, MetricSample, Window

if TYPE_CHECKING:
    import sqlalchemy as sa

_LISTED = re.compile(r"\bIN\s*\(?\s*:instances\b\s*\)?", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"(?<![:\w]):(since|until|instances)\b")
_COLUMNS = ("time", "instance")
_LONGEST = 80
_IN_ZONE = "SET LOCAL TIME ZONE '{}'"
_DRIVERS = {"postgres": "postgresql+psycopg2", "sqlite": "sqlite", "mysql": "mysql"}


@keeps_misspelt_keywords
@dataclass(frozen=True)
class SqlMetrics:
    """One metric out of a database that Airflow has a connection to: orders a minute, a queue that is a table.

    :param query: a SELECT with the columns ``time`` and ``instance``, and ``value``, ``group`` and ``count`` where
        there are any, for ``time >= :since AND time < :until``; without ``value`` each row is one event. ``instance IN
        :instances`` may stand in it.
    :param metric: what the number is and how a change in it is judged: a :class:`Metric`, or a name that says it.
    :param conn_id: Airflow connection of any database.
    :param zone: time zone of times that say none, and in which the window is given then, such as ``Europe/Berlin``; by
        default times have zones, or are UTC.
    :param bucket: width of a bucket; one minute by default. Numbers are summed over it, levels are averaged.
    :param delay: how long after an event its row can usually be read: until it is committed, and copied to a replica;
        10 seconds by default.
    :param name: what reports call the source; ``SQL <metric>`` by default.
    """

    query: str
    metric: Metric | str
    conn_id: str
    zone: str = ""
    bucket: DurationField = DurationField("1m")  # noqa: RUF009 - a descriptor
    delay: DurationField = DurationField("10s")  # noqa: RUF009 - a descriptor
    name: str = ""

    whole_buckets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"SQL {getattr(self.metric, 'name', self.metric)}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        found = [*mistakes_of_texts(query=self.query, conn_id=self.conn_id)]
        found += mistakes_of_durations(bucket=self.bucket, delay=self.delay)
        found += mistakes_of_metric(self.metric)
        given = set(_PLACEHOLDER.findall(str(self.query)))
        found += [f"query: :{name} is missing" for name in ("since", "until") if name not in given]
        if ";" in str(self.query).rstrip().rstrip(";"):
            found.append("query: one statement alone can be read")
        try:
            self._zone()
        except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
            found.append(f"zone: {self.zone!r} is not the name of a time zone")
        return [f"{type(self).__name__}({self.name!r}): {mistake}" for mistake in found]

    def read(self, window: Window, instances: Sequence[str]) -> MetricSample:
        """Read the metric of some instances over a window.

        :param window: half-open, aware.
        :param instances: their names, in any order; each counts once.
        :raises SourceQueryRejected: this specification is wrong, the query is rejected, or a column is missing.
        :raises SourceUnauthorized: the database refuses the login, or what the query reads.
        :raises SourceRejected: there is no such connection or database, or nothing that reads it.
        :raises SourceUnavailable: the database cannot be reached.
        """
        from airflow_cd.sources.frames import partly_counted_metric_frame

        refuse(self.mistakes())
        metric = as_metric(self.metric)
        names = sorted(set(instances))
        now = utc_now()
        buckets = Buckets.of(window, self.bucket, now - self.delay)
        rows: list[Any] = []
        warnings: list[str] = []
        if names and buckets.number:
            with self._connected() as connection:
                looked = Window(buckets.first, buckets.until)
                placed = self._times.placed(self._rows(connection, looked, names), looked, now)
                found = placed.rows
                rows = list(self._summed(found, buckets, names, metric))
                if without := len(found) - sum(str(one["instance"]) in names for one in found):
                    warnings.append(f"{without} rows are of other instances.")
                warnings += self._astray(found, buckets)
                if placed.twice:
                    warnings.append(self._shown_twice(placed))
                elif silent := sorted(set(names) - {row[1] for row in rows}):
                    warnings += why_nothing(silent, lambda: explained(self._look(connection), looked, silent))
        shown = f"{self.query.strip()} -- {buckets.first.isoformat()} to {buckets.until.isoformat()}"
        return MetricSample(partly_counted_metric_frame(rows), (metric,), shown, buckets.width, tuple(warnings))

    def instances(self, window: Window) -> list[str]:
        """Which instances have rows.

        :param window: when.
        :raises SourceError: as of :meth:`read`.
        """
        refuse(self.mistakes())
        if "instances" in _PLACEHOLDER.findall(self.query):
            return []
        now = utc_now()
        buckets = Buckets.of(window, self.bucket, now - self.delay)
        looked = Window(buckets.first, buckets.until)
        with self._connected() as connection:
            found = self._times.placed(self._rows(connection, looked), looked, now).rows
        return sorted({str(one["instance"]) for one in found if one["instance"] is not None})

    def _zone(self) -> tzinfo:
        return ZoneInfo(self.zone) if self.zone else timezone.utc

    @property
    def _times(self) -> LocalTimes:
        return LocalTimes(self._zone())

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        import sqlalchemy as sa

        engine = self._engine()
        try:
            try:
                connection = engine.connect()
            except sa.exc.SQLAlchemyError as error:
                raise not_reached(error, self.conn_id) from None
            with connection:
                if connection.dialect.name == "postgresql":
                    self._set_zone(connection)
                yield connection
        finally:
            engine.dispose()

    def _set_zone(self, connection: sa.Connection) -> None:
        """Else a column without a zone is compared as if it were in that of the session."""
        import sqlalchemy as sa

        try:
            connection.execute(sa.text(_IN_ZONE.format(self._zone())))
        except sa.exc.SQLAlchemyError:  # what speaks its protocol, and has no such statement
            connection.rollback()

    def _rows(
        self,
        connection: sa.Connection,
        window: Window,
        names: Sequence[str] | None = None,
        most: int | None = None,
    ) -> list[Mapping[str, Any]]:
        """What the query returns, of all instances where no names are given, and of those alone if it asks for them."""
        import sqlalchemy as sa

        text = self.query.strip().rstrip(";")
        if names is None:
            text = _LISTED.sub("IS NOT NULL", text)
        statement = sa.text(text)
        # Text is compared with text there, and a zone behind it makes it another one.
        naive = bool(self.zone) or connection.dialect.name == "sqlite"
        since, until = self._times.bounds(window) if naive else (window.since, window.until)
        given: dict[str, Any] = {"since": since, "until": until}
        if "instances" in _PLACEHOLDER.findall(text):
            statement = statement.bindparams(sa.bindparam("instances", expanding=True))
            given["instances"] = list(names or ())
        try:
            answer = connection.execute(statement, given)
            columns = [str(name).lower() for name in answer.keys()]  # noqa: SIM118 - of the rows, not of a dict
            if missing := [name for name in _COLUMNS if name not in columns]:
                raise SourceQueryRejected(
                    f"{self.name}: the query returns no column {' and '.join(missing)}, only {', '.join(columns)}.",
                    next_step="Name them, SELECT placed_at AS time, host AS instance, amount AS value.",
                )
            rows = answer.all() if most is None else answer.fetchmany(most)
            answer.close()
        except sa.exc.SQLAlchemyError as error:
            raise not_answered(error, self.conn_id) from None
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def _look(self, connection: sa.Connection) -> Look:
        def look(since: datetime, until: datetime, names: Sequence[str] | None, most: int | None) -> Iterator[Any]:
            for row in self._rows(connection, Window(since, until), names, most):
                yield str(row["instance"]), row["time"]

        return look

    def _engine(self) -> sa.Engine:
        """By the hook of the database's provider; where that is not installed, by what the connection says."""
        import sqlalchemy as sa
        from airflow.sdk import BaseHook

        from airflow_cd.http.connection import ConnectionSettings
        from airflow_cd.http.family import SOURCE

        ConnectionSettings.read(self.conn_id, SOURCE)  # which says in our words that there is none
        connection = BaseHook.get_connection(self.conn_id)
        try:
            made: sa.Engine = BaseHook.get_hook(self.conn_id).get_sqlalchemy_engine()
        except Exception as error:  # noqa: BLE001 - whatever a provider raises, or none that is there
            driver = _DRIVERS.get(connection.conn_type or "")
            if driver is None:
                kind = type(error).__name__
                raise SourceRejected(
                    f"connection {self.conn_id!r} ({connection.conn_type}) is no database to be read here: {kind}.",
                    next_step="Install Airflow's provider of that database, and check the type of the connection.",
                ) from None
        else:
            return made
        return sa.create_engine(
            sa.URL.create(
                driver,
                connection.login,
                connection.password,
                connection.host if driver != "sqlite" else None,
                connection.port,
                connection.schema if driver != "sqlite" else connection.host,
            )
        )

    def _summed(
        self, found: Sequence[Mapping[str, Any]], buckets: Buckets, names: Sequence[str], metric: Metric
    ) -> Iterator[tuple[datetime, str, str, str, float, float]]:
        values: dict[tuple[str, str, int], list[tuple[float, float]]] = {}
        for row in found:
            moment, instance = self._times.instant(row["time"]), str(row["instance"])
            if moment is None:
                raise SourceQueryRejected(
                    f"{self.name}: {row['time']!r} in the column time is not a time.", next_step="Correct the query."
                )
            value = self._value(row["value"]) if "value" in row else 1.0
            if instance in names and buckets.first <= moment < buckets.until and value is not None:
                place = (instance, str(row.get("group") or ""), (moment - buckets.first) // buckets.width)
                values.setdefault(place, []).append((value, _number(row.get("count")) or math.nan))
        for (instance, group, number), own in values.items():
            counts = [count for _, count in own if not math.isnan(count)]
            value = sum(value for value, _ in own)
            if not metric.adds_up_over_time:
                # What few requests say weighs as little as they are.
                weighed = len(counts) == len(own) and sum(counts) > 0
                value = sum(one * count for one, count in own) / sum(counts) if weighed else value / len(own)
            yield (buckets.start(number), instance, metric.name, group, value, sum(counts) if counts else math.nan)

    def _astray(self, found: Sequence[Mapping[str, Any]], buckets: Buckets) -> Iterator[str]:
        """What is said of rows whose time is not the one that the query compares with the window."""
        moments = [moment for row in found if (moment := self._times.instant(row["time"])) is not None]
        outside = [moment for moment in moments if not buckets.first <= moment < buckets.until]
        if outside:
            yield (
                f"{len(outside)} of {len(found)} rows were left out: the column time says {outside[0].isoformat()}, "
                "which is not in the window that was asked for. Return the time that is compared with :since, in the "
                "same zone."
            )

    def _shown_twice(self, placed: Placed) -> str:
        return (
            f"{placed.twice} rows were left out: clocks of {self.zone} are set back in that night and show "
            f"{str(placed.example)[:16]} twice, and nothing says which of the two is meant. Times with a zone, or in "
            "UTC, are read in such an hour, too."
        )

    def _value(self, value: Any) -> float | None:
        number = _number(value)
        if number is None and value is not None and not _is_nan(value):
            raise SourceQueryRejected(
                f"{self.name}: {str(value)[:_LONGEST]!r} in the column value is not a number, but a "
                f"{type(value).__name__}.",
                next_step="Correct the query: amount::numeric AS value, EXTRACT(EPOCH FROM took) * 1000 AS value.",
            )
        return number


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _is_nan(value: Any) -> bool:
    """Whether something is a number that is not finite, such as ``Infinity`` of a database."""
    try:
        return not math.isfinite(float(value))
    except (TypeError, ValueError):
        return False
