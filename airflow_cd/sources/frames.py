"""The data frames that sources return: the right columns and types, also when nothing was found."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from airflow_cd.verification.samples import (
    FURTHER_LOG_COLUMNS,
    FURTHER_METRIC_COLUMNS,
    LOG_COLUMNS,
    METRIC_COLUMNS,
    Metric,
)

if TYPE_CHECKING:
    import pandas as pd

_TIME = "datetime64[ns, UTC]"


def metric_frame(rows: Iterable[tuple[Any, str, str, str, float, int]]) -> pd.DataFrame:
    """Make the frame of a :class:`~airflow_cd.verification.samples.MetricSample`.

    :param rows: for each bucket, instance, metric and group that has data: the bucket's start (aware), the instance's
        name, the metric's name, the group (``""`` for none), the value and the number of requests.
    :returns: the rows sorted by time, instance, metric and group; columns ``time`` (datetime64[ns, UTC]),
        ``instance``, ``metric``, ``group`` (str), ``value`` (float64), ``count`` (int64).
    """
    return _frame(rows, METRIC_COLUMNS, {"value": "float64", "count": "int64"}, ["time", "instance", "metric", "group"])


def partly_counted_metric_frame(rows: Iterable[tuple[Any, str, str, str, float, float]]) -> pd.DataFrame:
    """Make the frame of a source that does not always know of how many requests a value is.

    :param rows: as of :func:`metric_frame`; the number of requests is NaN where it is not known.
    :returns: the frame of :func:`metric_frame`, whose ``count`` is a float64.
    """
    types = {"value": "float64", "count": "float64"}
    return _frame(rows, METRIC_COLUMNS, types, ["time", "instance", "metric", "group"])


def spread_metric_frame(
    rows: Iterable[tuple[Any, str, str, str, float, float, float]], *, counted: bool = True
) -> pd.DataFrame:
    """Make the frame of a source that knows how far the measurements in a bucket scatter.

    :param rows: as of :func:`metric_frame`, and then the standard deviation of the bucket's measurements, in the
        metric's unit; NaN where that is not known.
    :param counted: whether it always knows of how many requests a value is; True by default, else that is as of
        :func:`partly_counted_metric_frame`.
    :returns: the frame of :func:`metric_frame` with the column ``deviation`` (float64).
    """
    types = {"value": "float64", "count": "int64" if counted else "float64", "deviation": "float64"}
    columns = (*METRIC_COLUMNS, *FURTHER_METRIC_COLUMNS)
    return _frame(rows, columns, types, ["time", "instance", "metric", "group"])


def requests_of(metric: Metric, value: float, measured: float = math.nan) -> float:
    """How many requests a value is of, NaN where nobody knows: measurements of a duration; of numbers what they count.

    :param metric: of the value.
    :param value: as it was read.
    :param measured: how many measurements it is of; NaN by default.
    """
    if metric.kind == "latency":
        return measured if measured > 0 else math.nan
    if metric.kind == "throughput":
        return value if value > 0 else math.nan
    return math.nan if metric.kind in ("errors", "share", "apdex") else 1.0


def log_frame(rows: Iterable[tuple[Any, str, str]]) -> pd.DataFrame:
    """Make the frame of a :class:`~airflow_cd.verification.samples.LogSample`.

    :param rows: for each record: its time (aware), the instance's name and the whole message.
    :returns: the rows sorted by time, otherwise in the order given; columns ``time`` (datetime64[ns, UTC]),
        ``instance``, ``message`` (str).
    """
    return _frame(rows, LOG_COLUMNS, {}, ["time"])


def identified_log_frame(rows: Iterable[tuple[Any, str, str, str, Any]]) -> pd.DataFrame:
    """Make the frame of a source that tells records apart and says when it received them.

    :param rows: as of :func:`log_frame`, and then the record's id (``""`` where it has none) and when the source
        received it (aware; None where that is not known).
    :returns: the frame of :func:`log_frame` with the columns ``id`` (str) and ``received`` (datetime64[ns, UTC]).
    """
    import pandas as pd

    frame = _frame(rows, (*LOG_COLUMNS, *FURTHER_LOG_COLUMNS), {"received": "object"}, ["time"])
    frame["received"] = pd.to_datetime(frame["received"], utc=True).dt.as_unit("ns")
    return frame


def _frame(
    rows: Iterable[Sequence[Any]], columns: Sequence[str], types: dict[str, str], order: list[str]
) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(list(rows), columns=list(columns))
    frame["time"] = pd.to_datetime(frame["time"], utc=True).astype(_TIME)
    texts = {name: "str" for name in columns if name != "time" and name not in types}
    ordered: pd.DataFrame = frame.astype({**types, **texts}).sort_values(order, kind="stable", ignore_index=True)
    return ordered
