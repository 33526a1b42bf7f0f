"""Metrics in CSV and Parquet files, long or wide, as the rows that verification judges.

*Long* is one row for each time, instance, metric and group, with the columns of
:data:`~airflow_cd.verification.samples.METRIC_COLUMNS`; *wide* is one row for each time (and instance, and group), with
a column for each metric. ``instance``, ``group`` and ``count`` may be left out of either. Long rows may say more of
what they hold: ``sum`` and ``count`` instead of ``value``, ``sum_squares`` or ``stddev``, ``p50``, ``p95``, and ``le``
of a histogram's buckets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from airflow_cd.errors import VerificationError
from airflow_cd.verification.files.opening import InputFile, Progress, named, opened, peeked, refuse_binary

if TYPE_CHECKING:
    import pandas as pd

_NAMES = {
    "time": ("time", "timestamp", "ts", "datetime", "date", "@timestamp", "_time"),
    "instance": ("instance", "host", "hostname", "pod", "node", "server", "container"),
    "group": ("group", "transaction", "endpoint", "route", "path", "operation"),
    "metric": ("metric", "metric_name", "__name__"),
    "value": ("value",),
    "count": ("count", "samples"),
}
# Beside the name of a metric, what else a row may say of its measurements.
_SPREADS = {
    "le": ("le",),
    "mean": ("mean", "avg", "average"),
    "sum": ("sum", "total"),
    "squares": ("sum_squares", "sum_of_squares", "sumsq", "sum_sq"),
    "deviation": ("deviation", "stddev", "std", "std_dev"),
}
_QUANTILE = re.compile(r"(?i)p\d{2}(?:[._]\d+)?|median")
_YEARS = (1970, 2261)
_DELIMITERS = ",;\t|"
# Seconds, milliseconds, microseconds and nanoseconds since 1970 of this century differ by their size alone.
_EPOCHS: tuple[tuple[Literal["s", "ms", "us", "ns"], float, float], ...] = (
    ("s", 1e8, 1e11),
    ("ms", 1e11, 1e14),
    ("us", 1e14, 1e17),
    ("ns", 1e17, 1e20),
)
_FORMATS = (
    "Give CSV or Parquet with the columns time, metric and value (instance, group and count where there are), "
    "or with a time and a column for each metric."
)


@dataclass(frozen=True)
class MetricTable:
    """What the files of one side hold.

    :param frame: columns :data:`~airflow_cd.verification.samples.METRIC_COLUMNS`; ``count`` is NaN where unknown.
    :param metrics: names of the metrics, in the order of the files.
    :param notes: what was left out or taken for granted, one sentence each.
    """

    frame: pd.DataFrame
    metrics: Sequence[str]
    notes: Sequence[str] = field(default=())


def read_metrics(file: InputFile, progress: Progress | None = None) -> MetricTable:
    """Read a file of metrics, CSV or Parquet, long or wide; its rows are counted in ``file.records``.

    :param file: which file.
    :param progress: called with the number of bytes of each read.
    :raises airflow_cd.errors.VerificationError: it cannot be read, a column is missing, or a cell is not a time or not
        a number.
    """
    table = _table(file, progress)
    columns = _columns(file, table)
    times = _times(file, table[columns["time"]])
    table = table.assign(**{columns["time"]: times})
    found = _of_long(file, table, columns) if "metric" in columns else _of_wide(file, table, columns)
    file.records = len(table)
    return _with_gaps_noted(file, found)


def joined(tables: Sequence[MetricTable]) -> MetricTable:
    """Several tables as one.

    :param tables: of the files of one side.
    """
    import pandas as pd

    frame = pd.concat([table.frame for table in tables], ignore_index=True)
    names = list(dict.fromkeys(name for table in tables for name in table.metrics))
    return MetricTable(frame, names, [note for table in tables for note in table.notes])


def _table(file: InputFile, progress: Progress | None) -> pd.DataFrame:
    with opened(file.path, progress) as stream:
        head = peeked(stream)
        table = _parquet(file, stream) if head.startswith(b"PAR1") else _csv(file, stream, head)
    if table.empty:
        raise VerificationError(f"{named(file.path)} holds no rows.", next_step=_FORMATS)
    return table


def _parquet(file: InputFile, stream: Any) -> pd.DataFrame:
    import pandas as pd
    import polars as pl

    try:
        frame = pl.read_parquet(stream.read())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise VerificationError(
            f"{named(file.path)} is not a readable Parquet file: {error}.",
            next_step="Write it again, or give it as CSV.",
        ) from error
    columns = {}
    for name in frame.columns:
        column = frame[name]
        if isinstance(column.dtype, pl.Datetime):
            column = column.dt.convert_time_zone("UTC") if column.dtype.time_zone else column
            column = column.dt.replace_time_zone(None)
        columns[name] = pd.Series(column.to_numpy() if column.dtype.is_numeric() else column.to_list())
        if isinstance(frame[name].dtype, pl.Datetime):
            columns[name] = pd.Series(column.to_numpy()).astype("datetime64[ns]")
    table: pd.DataFrame = pd.DataFrame(columns)
    return table


def _csv(file: InputFile, stream: Any, head: bytes) -> pd.DataFrame:
    import pandas as pd

    refuse_binary(file.path, head)
    first = head.split(b"\n", 1)[0].decode("utf-8", "replace")
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        return pd.read_csv(
            stream,
            sep=delimiter,
            decimal="," if delimiter == ";" else ".",
            encoding_errors="replace",
            skipinitialspace=True,
            low_memory=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        text = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        raise VerificationError(f"{named(file.path)} is not readable as CSV: {text}.", next_step=_FORMATS) from error


def _columns(file: InputFile, table: pd.DataFrame) -> dict[str, str]:
    """The columns by what they are."""
    by_name = {str(column).strip().strip('"').lower(): column for column in reversed(table.columns)}
    found = {}
    for role, names in _NAMES.items():
        name = next((name for name in names if name in by_name), None)
        if name is not None:
            found[role] = by_name[name]
    if "time" not in found:
        raise VerificationError(
            f"{named(file.path)} has no column of times (its columns: {_listed(table.columns)}).",
            next_step=f"Call it one of {', '.join(_NAMES['time'])}. {_FORMATS}",
        )
    if "metric" in found:
        found |= _spread_columns(by_name)
        if "value" not in found and "mean" in found:
            found["value"] = found.pop("mean")
    if "metric" in found and not {"value", "sum"} & found.keys() and not _quantiles(by_name):
        raise VerificationError(
            f"{named(file.path)} has a column {found['metric']}, but none that is called value "
            f"(its columns: {_listed(table.columns)}).",
            next_step=_FORMATS,
        )
    return found


def _spread_columns(by_name: dict[str, Any]) -> dict[str, Any]:
    """The columns that say how measurements within a row scatter, by what they are."""
    named = {role: next((name for name in names if name in by_name), None) for role, names in _SPREADS.items()}
    return {role: by_name[name] for role, name in named.items() if name is not None}


def _quantiles(by_name: Iterable[Any]) -> list[Any]:
    return [name for name in by_name if _QUANTILE.fullmatch(str(name).strip())]


def _times(file: InputFile, column: pd.Series) -> pd.Series:
    """The column as times in UTC; a time without a zone is taken for UTC."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column):
        parsed = pd.to_datetime(column, utc=True)
    elif pd.api.types.is_numeric_dtype(column):
        size = float(column.abs().max())
        unit = next((unit for unit, low, high in _EPOCHS if low <= size < high), None)
        parsed = pd.Series(pd.NaT, index=column.index)
        if unit is not None:
            parsed = pd.to_datetime(column, utc=True, errors="coerce", unit=unit)
    else:
        parsed = pd.to_datetime(column.astype(str).str.strip(), format="ISO8601", utc=True, errors="coerce")
    wrong = parsed.isna() | ~parsed.dt.year.between(*_YEARS)
    if wrong.any():
        at = int(wrong.to_numpy().argmax())
        more = f" ({int(wrong.sum()):,} such rows)" if wrong.sum() > 1 else ""
        raise VerificationError(
            f"{named(file.path)}, row {at + 1}: {_quoted(column.iloc[at])} is not a time{more}.",
            next_step="Write times like 2026-11-23T08:14:05Z, or as seconds or milliseconds since 1970.",
        )
    return parsed


def _of_long(file: InputFile, table: pd.DataFrame, columns: dict[str, str]) -> MetricTable:
    import pandas as pd

    numbers = {
        role: _numbers(file, table[columns[role]])
        for role in ("value", "count", "sum", "squares", "deviation")
        if role in columns
    }
    frame = pd.DataFrame(
        {
            "time": table[columns["time"]],
            "instance": _texts(table, columns.get("instance"), file.name),
            "metric": _texts(table, columns["metric"], ""),
            "group": _texts(table, columns.get("group"), ""),
            "value": numbers.get("value", float("nan")),
            "count": numbers.get("count", float("nan")),
        }
    )
    if (frame["metric"] == "").any():
        at = int((frame["metric"] == "").to_numpy().argmax())
        raise VerificationError(
            f"{named(file.path)}, row {at + 1}: the metric has no name.", next_step="Fill it in, or leave the row out."
        )
    if "le" in columns:
        frame["le"] = table[columns["le"]].where(table[columns["le"]].notna()).astype(str)
    if "sum" in numbers and "count" in numbers:
        frame["value"] = frame["value"].fillna(numbers["sum"] / numbers["count"].where(numbers["count"] > 0))
    if "deviation" in numbers:
        frame["deviation"] = numbers["deviation"]
    elif "squares" in numbers and "count" in numbers:
        square = numbers["squares"] / numbers["count"].where(numbers["count"] > 0) - frame["value"] ** 2
        frame["deviation"] = square.clip(lower=0.0) ** 0.5
    parts = [] if frame["value"].isna().all() else [frame]
    for name in _quantiles(table.columns):
        of = frame["metric"] + "." + str(name).strip().lower().replace("median", "p50")
        one = frame.assign(metric=of, value=_numbers(file, table[name])).drop(
            columns=["deviation", "le"], errors="ignore"
        )
        parts.append(one[one["value"].notna()])
    whole = pd.concat(parts or [frame], ignore_index=True)
    return MetricTable(whole, list(dict.fromkeys(whole["metric"])))


def _of_wide(file: InputFile, table: pd.DataFrame, columns: dict[str, str]) -> MetricTable:
    import pandas as pd

    used = {columns[role] for role in ("time", "instance", "group", "count") if role in columns}
    metrics: list[Any] = []
    texts: list[Any] = []
    for name in table.columns:
        if name not in used:
            numeric = pd.api.types.is_numeric_dtype(table[name]) or _mostly_numbers(table[name])
            (metrics if numeric else texts).append(name)
    if not metrics:
        raise VerificationError(
            f"{named(file.path)} has no column of numbers beside the time (its columns: {_listed(table.columns)}).",
            next_step=_FORMATS,
        )
    notes = [f"{file.name}: column {name} holds text and is not a metric." for name in texts]
    parts = [
        pd.DataFrame(
            {
                "time": table[columns["time"]],
                "instance": _texts(table, columns.get("instance"), file.name),
                "metric": str(name).strip(),
                "group": _texts(table, columns.get("group"), ""),
                "value": _numbers(file, table[name]),
                "count": _numbers(file, table[columns["count"]]) if "count" in columns else float("nan"),
            }
        )
        for name in metrics
    ]
    return MetricTable(pd.concat(parts, ignore_index=True), [str(name).strip() for name in metrics], notes)


def _with_gaps_noted(file: InputFile, table: MetricTable) -> MetricTable:
    """The table with a note of how many of its values are missing."""
    missing = int(table.frame["value"].isna().sum())
    if not missing:
        return table
    file.troubles = {**(file.troubles or {}), "empty": missing}
    note = f"{file.name}: {missing:,} of {len(table.frame):,} values are missing and were left out."
    return MetricTable(table.frame, table.metrics, [*table.notes, note])


def _texts(table: pd.DataFrame, column: str | None, default: str) -> Any:
    if column is None:
        return default
    texts = table[column]
    return texts.astype(str).str.strip().where(texts.notna(), "")


def _numbers(file: InputFile, column: pd.Series) -> pd.Series:
    """The column as numbers, NaN where it is empty."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = numbers.isna() & column.notna() & (column.astype(str).str.strip() != "")
    if wrong.any():
        at = int(wrong.to_numpy().argmax())
        raise VerificationError(
            f"{named(file.path)}, row {at + 1}: {_quoted(column.iloc[at])} in column {column.name} is not a number.",
            next_step="Write plain numbers without units, and leave missing ones empty.",
        )
    return numbers.astype(float)


def _mostly_numbers(column: pd.Series) -> bool:
    """Whether most of a column are numbers, so that one that is none is a mistake and not a text."""
    import pandas as pd

    filled = column.dropna()
    return len(filled) > 0 and pd.to_numeric(filled, errors="coerce").notna().mean() > 0.5


def _quoted(value: Any) -> str:
    text = str(value)
    return repr(text if len(text) <= 40 else text[:39] + "…")


def _listed(columns: Any) -> str:
    names = [str(name) for name in columns]
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
