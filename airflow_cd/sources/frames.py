"""The frames sources hand out: the right columns and types, also when nothing was found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from airflow_cd.verification.samples import LOG_COLUMNS, METRIC_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

_TIME = "datetime64[ns, UTC]"


def metric_frame(rows: Iterable[tuple[Any, str, str, str, float, int]]) -> pd.DataFrame:
    """Rows of time (aware), instance, metric, group, value and count, sorted, as a frame."""
    return _frame(rows, METRIC_COLUMNS, {"value": "float64", "count": "int64"}, ["time", "instance", "metric", "group"])


def log_frame(rows: Iterable[tuple[Any, str, str]]) -> pd.DataFrame:
    """Rows of time (aware), instance and message as a frame, sorted by time, otherwise in the order given."""
    return _frame(rows, LOG_COLUMNS, {}, ["time"])


def _frame(
    rows: Iterable[Sequence[Any]], columns: Sequence[str], types: dict[str, str], order: list[str]
) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(list(rows), columns=list(columns))
    frame["time"] = pd.to_datetime(frame["time"], utc=True).astype(_TIME)
    texts = {name: "str" for name in columns if name != "time" and name not in types}
    return frame.astype({**types, **texts}).sort_values(order, kind="stable", ignore_index=True)
