"""What every source must do, as tests to run against your own.

Subclass :class:`MetricSourceContract` or :class:`LogSourceContract` in a test module, with fixtures for the source, a
window and instances::

    class TestOurMetrics(MetricSourceContract):
        @pytest.fixture
        def source(self): return OurMetrics(app="shop")

        @pytest.fixture
        def window(self): return Window(since, until)

        @pytest.fixture
        def instances(self): return ["shop-1", "shop-2"]

The window must lie wholly in the past, be an even number of buckets long, and hold data of every instance in both of
its halves. The fixture ``broken``, a source like it that cannot be read, may be overridden as well. Needs pytest.
"""

# ruff: noqa: S101 - assertions are what a test-suite is made of

from __future__ import annotations

import pickle
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_cd.errors import SourceError, SourceQueryRejected
from airflow_cd.verification.samples import (
    FURTHER_LOG_COLUMNS,
    FURTHER_METRIC_COLUMNS,
    LOG_COLUMNS,
    METRIC_COLUMNS,
    LogSample,
    LogSource,
    MetricSample,
    MetricSource,
    Window,
)

_HOSTILE = ("x' OR 'a'='a", 'x" OR *', "x\\", "x) OR (1=1", "x\nSELECT")


class _SourceContract:
    """What sources of both kinds must do.

    :cvar columns: of the frame, in order.
    :cvar further: columns that it may have as well, behind them.
    :cvar compared: columns by which one read is compared with another.
    """

    columns: Sequence[str] = ()
    further: Sequence[str] = ()
    compared: Sequence[str] = ()

    @pytest.fixture
    def source(self) -> Any:
        """The source under test."""
        raise pytest.UsageError("a source's contract needs a fixture `source`")

    @pytest.fixture
    def broken(self) -> Any:
        """A source like it that cannot be read (wrong credentials, say); None, the default, where there is none."""
        return None

    @pytest.fixture
    def window(self) -> Window:
        """A past window that holds data of every instance in both of its halves."""
        raise pytest.UsageError("a source's contract needs a fixture `window`")

    @pytest.fixture
    def instances(self) -> Sequence[str]:
        """Two instances or more that have data."""
        raise pytest.UsageError("a source's contract needs a fixture `instances`")

    def _rows(self, sample: Any) -> list[tuple[Any, ...]]:
        frame = sample.frame[list(self.compared)]
        if "count" in frame:
            frame = frame.assign(count=frame["count"].fillna(-1))  # NaN is equal to nothing
        return sorted(frame.itertuples(index=False, name=None))

    def test_specification_is_deterministic(self, source: Any) -> None:
        """It is equal to its copy, has the same ``repr``, and finds no mistake in itself."""
        copy = pickle.loads(pickle.dumps(source))  # noqa: S301 - our own bytes
        assert copy == source
        assert repr(copy) == repr(source)
        assert isinstance(source.name, str)
        assert source.name
        assert isinstance(source.delay, timedelta)
        assert getattr(source, "mistakes", list)() == []

    def test_frame_has_the_columns(self, source: Any, window: Window, instances: Sequence[str]) -> None:
        """Columns, their order and their types are right, and nothing is missing in them."""
        frame = source.read(window, instances).frame
        assert tuple(frame.columns[: len(self.columns)]) == tuple(self.columns)
        assert set(frame.columns[len(self.columns) :]) <= set(self.further)
        assert len(frame) > 0
        assert str(frame["time"].dt.tz) == "UTC"
        assert not frame[[name for name in self.columns if name != "count"]].isna().any().any()
        assert set(frame["instance"]) == set(instances)

    def test_nothing_found_is_an_empty_frame(self, source: Any, window: Window, instances: Sequence[str]) -> None:
        """An instance without data, no instance and no time give an empty frame of the same types."""
        full = source.read(window, instances).frame
        for sample in (
            source.read(window, ["no-such-instance"]),
            source.read(window, []),
            source.read(Window(window.since, window.since), instances),
        ):
            assert len(sample.frame) == 0
            assert list(sample.frame.dtypes) == list(full.dtypes)

    def test_an_instance_that_nobody_knows_is_said(self, source: Any, window: Window) -> None:
        """Where there is nothing, because a name is wrong perhaps, a warning says so."""
        warnings = source.read(window, ["no-such-instance"]).warnings
        assert warnings
        assert all(isinstance(warning, str) and warning.strip() for warning in warnings)

    def test_only_the_window_is_read(self, source: Any, window: Window, instances: Sequence[str]) -> None:
        """Every row lies in the half-open window."""
        frame = source.read(window, instances).frame
        assert frame["time"].min() >= window.since
        assert frame["time"].max() < window.until

    def test_windows_that_touch_neither_lose_nor_repeat(
        self, source: Any, window: Window, instances: Sequence[str]
    ) -> None:
        """Both halves of a window together hold what the whole holds."""
        middle = window.since + window.length / 2
        halves = [Window(window.since, middle), Window(middle, window.until)]
        parts = [row for half in halves for row in self._rows(source.read(half, instances))]
        assert sorted(parts) == self._rows(source.read(window, instances))

    def test_odd_windows_in_any_order_neither_lose_nor_repeat(
        self, source: Any, window: Window, instances: Sequence[str]
    ) -> None:
        """What overlapping windows at odd offsets hold, asked for twice and out of order, is what the whole holds."""
        bucket = getattr(source, "bucket", None)
        if bucket is not None and not self._on_a_grid(source, window, instances, bucket):
            pytest.skip("its buckets begin where a window does")
        whole = self._rows(source.read(window, instances))
        cuts = [window.since + window.length * part for part in (0.0, 0.137, 0.1371, 0.5023, 0.731, 1.0)]
        found: dict[tuple[Any, ...], int] = {}
        for begin, end in [(4, 5), (0, 2), (2, 3), (1, 4), (2, 3), (3, 5)]:
            rows = self._rows(source.read(Window(cuts[begin], cuts[end]), instances))
            assert all(cuts[begin] <= row[0] < cuts[end] for row in rows)
            for row in set(rows):
                assert found.setdefault(row, rows.count(row)) == rows.count(row)
        assert sorted(row for row, number in found.items() for _ in range(number)) == whole

    def _on_a_grid(self, source: Any, window: Window, instances: Sequence[str], bucket: timedelta) -> bool:
        """Whether its buckets begin at the same times wherever a window begins."""
        shifted = Window(window.since + bucket / 3, window.until)
        wanted = {row[0] for row in self._rows(source.read(window, instances))}
        return {row[0] for row in self._rows(source.read(shifted, instances))} <= wanted

    def test_each_instance_is_read_alone(self, source: Any, window: Window, instances: Sequence[str]) -> None:
        """What instances have one by one is what they have together; order and repetition do not matter."""
        alone = [row for instance in instances for row in self._rows(source.read(window, [instance]))]
        together = source.read(window, [*reversed(instances), instances[0]])
        assert sorted(alone) == self._rows(together)

    def test_reading_again_gives_the_same(self, source: Any, window: Window, instances: Sequence[str]) -> None:
        """A past window does not change."""
        first, second = source.read(window, instances), source.read(window, instances)
        assert self._rows(first) == self._rows(second)
        assert first.query == second.query
        assert first.query

    @pytest.mark.parametrize("name", _HOSTILE)
    def test_an_instance_name_is_not_part_of_the_query(self, source: Any, window: Window, name: str) -> None:
        """A hostile name finds nothing, or is refused."""
        try:
            sample = source.read(window, [name])
        except SourceQueryRejected:
            return
        assert len(sample.frame) == 0

    def test_failures_are_the_sources_own(self, broken: Any, window: Window, instances: Sequence[str]) -> None:
        """A source that cannot be read raises a SourceError, never an empty sample."""
        if broken is None:
            pytest.skip("no broken source is given")
        with pytest.raises(SourceError) as raised:
            broken.read(window, instances)
        assert raised.value.what
        assert raised.value.next_step


class MetricSourceContract(_SourceContract):
    """The contract of a source of metrics."""

    columns = METRIC_COLUMNS
    further = FURTHER_METRIC_COLUMNS
    compared = ("time", "instance", "metric", "group", "count")

    def test_is_a_metric_source(self, source: MetricSource, window: Window, instances: Sequence[str]) -> None:
        """Every metric that has rows is named; a bucket without requests has no row, and no row is there twice."""
        assert isinstance(source, MetricSource)
        sample = source.read(window, instances)
        assert isinstance(sample, MetricSample)
        assert set(sample.frame["metric"]) <= {metric.name for metric in sample.metrics}
        counts = sample.frame["count"]
        assert (counts[counts.notna()] > 0).all()
        assert sample.frame["value"].dtype == "float64"
        # Whole numbers, unless of some rows nobody knows how many requests they are of.
        assert counts.dtype in ("int64", "float64")
        assert not sample.frame.duplicated(["time", "instance", "metric", "group"]).any()
        assert timedelta(0) < sample.bucket <= window.length


class LogSourceContract(_SourceContract):
    """The contract of a source of log records."""

    columns = LOG_COLUMNS
    further = FURTHER_LOG_COLUMNS
    compared = LOG_COLUMNS

    def test_is_a_log_source(self, source: LogSource, window: Window, instances: Sequence[str]) -> None:
        """Records come oldest first and complete, and the sample is not marked as truncated."""
        assert isinstance(source, LogSource)
        sample = source.read(window, instances)
        assert isinstance(sample, LogSample)
        assert sample.frame["time"].is_monotonic_increasing
        assert sample.truncated is False
        assert all(isinstance(message, str) for message in sample.frame["message"])

    def test_ids_and_times_of_receipt_are_the_records_own(
        self, source: LogSource, window: Window, instances: Sequence[str]
    ) -> None:
        """Where it has them, an id belongs to one record for ever, and a record is not received before it is read."""
        first, second = (source.read(window, instances).frame for _ in range(2))
        if "id" in first.columns:
            given = first["id"][first["id"] != ""]
            assert given.is_unique
            assert list(second["id"]) == list(first["id"])
        if "received" in first.columns:
            assert str(first["received"].dt.tz) == "UTC"
            assert (first["received"].dropna() <= datetime.now(timezone.utc) + timedelta(minutes=1)).all()
