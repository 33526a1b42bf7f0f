"""Metrics in CSV and Parquet files, long or wide, as the rows that verification judges.

*Long* is one row for each time, instance, metric and group, with the columns of
:data:`~airflow_cd.verification.samples.METRIC_COLUMNS`; *wide* is one row for each time (and instance, and group), with
a column for each metric. ``instance``, ``group`` and ``count`` may be left out of either. Long rows may say more of
what they hold: ``sum`` and ``count`` instead of ``value``, ``sum_squares`` or ``stddev``, ``p50``, ``p95``, and ``le``
of a histogram's buckets.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_cd.errors import VerificationError
from airflow_cd.verification.files.metric_columns import (
    FORMATS,
    columns_of,
    constants_of,
    labels_of,
    listed,
    quantiles_of,
    tells_what,
)
from airflow_cd.verification.files.metric_times import times_of
from airflow_cd.verification.files.metric_values import mostly_numbers, numbers_of, with_decimal_commas, with_thousands
from airflow_cd.verification.files.opening import InputFile, Progress, named, opened, peeked, refuse_binary

if TYPE_CHECKING:
    import pandas as pd

_DELIMITERS = ",;\t|"
_MOST_ALIKE = 1_000
_NOT_A_HEADER = re.compile(rb"(?:sep=.|#.*|\s*)\r?")


@dataclass(frozen=True)
class MetricTable:
    """What the files of one side hold.

    :param frame: columns :data:`~airflow_cd.verification.samples.METRIC_COLUMNS`; ``count`` is NaN where unknown.
    :param metrics: names of the metrics, in the order of the files.
    :param notes: what was left out or taken for granted, one sentence each.
    :param labels: columns that made the groups, where none is known to name groups or instances.
    :param constants: columns of text that hold one value, by their names.
    """

    frame: pd.DataFrame
    metrics: Sequence[str]
    notes: Sequence[str] = field(default=())
    labels: Sequence[str] = field(default=())
    constants: Mapping[str, str] = field(default_factory=dict)


def read_metrics(file: InputFile, progress: Progress | None = None) -> MetricTable:
    """Read a file of metrics, CSV or Parquet, long or wide; its rows are counted in ``file.records``.

    :param file: which file.
    :param progress: called with the number of bytes of each read.
    :raises airflow_cd.errors.VerificationError: it cannot be read, a column is missing, or a cell is not a time or not
        a number.
    """
    table = _table(file, progress)
    columns = columns_of(file, table)
    table = table.assign(**{columns["time"]: times_of(file, _with_dates(table, columns))})
    found = _of_long(file, table, columns) if "metric" in columns else _of_wide(file, table, columns)
    file.records = len(table)
    return _with_gaps_noted(file, found)


def _table(file: InputFile, progress: Progress | None) -> pd.DataFrame:
    with opened(file.path, progress) as stream:
        head = peeked(stream)
        table = _parquet(file, stream) if head.startswith(b"PAR1") else _csv(file, stream, head)
    if table.empty:
        raise VerificationError(f"{named(file.path)} holds no rows.", next_step=FORMATS)
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
    lines = head.split(b"\n")
    skipped = 0
    while skipped < len(lines) - 1 and _NOT_A_HEADER.fullmatch(lines[skipped]) and lines[skipped + 1].strip():
        skipped += 1
    first = lines[skipped].decode("utf-8", "replace")
    delimiter = max(_DELIMITERS, key=first.count)
    _check_names(file, first.split(delimiter))
    try:
        table = pd.read_csv(
            stream,
            skiprows=skipped,
            sep=delimiter,
            decimal="," if delimiter == ";" else ".",
            encoding_errors="replace",
            skipinitialspace=True,
            low_memory=False,
        )
        _check_width(file, table, delimiter)
        return with_thousands(table) if delimiter == ";" else with_decimal_commas(table)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        text = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        raise VerificationError(f"{named(file.path)} is not readable as CSV: {text}.", next_step=FORMATS) from error


def _check_names(file: InputFile, names: Sequence[str]) -> None:
    """Refuse a header that is none: telling alike names apart takes time that grows with the square of their number."""
    name, times = Counter(names).most_common(1)[0]
    if times > _MOST_ALIKE:
        raise VerificationError(
            f"{named(file.path)}, row 1 has the name {name.strip()[:80]!r} {times} times or more.",
            next_step="Give every column a name of its own in the first row.",
        )


def _check_width(file: InputFile, table: pd.DataFrame, delimiter: str) -> None:
    """Refuse a table whose rows have more values than its header: pandas takes the first ones for names of rows."""
    more = table.index.nlevels
    if table.index.name is not None or isinstance(table.index, _counted_rows()):
        return
    if delimiter == "," and table.iloc[:, -more:].isna().all(axis=None):
        return  # commas at the ends of rows
    commas = " Decimal commas need another sign between the values, such as a semicolon." if delimiter == "," else ""
    raise VerificationError(
        f"{named(file.path)}, row 1 has {len(table.columns) + more} values, the header {len(table.columns)}.{commas}",
        next_step="Write as many values as there are names in the header, or numbers with commas in quotes.",
    )


def _counted_rows() -> type:
    import pandas as pd

    return pd.RangeIndex


def _of_long(file: InputFile, table: pd.DataFrame, columns: dict[str, str]) -> MetricTable:
    import pandas as pd

    numbers = {
        role: numbers_of(file, table[columns[role]])
        for role in ("value", "count", "sum", "squares", "deviation")
        if role in columns
    }
    plain = _texts(table, columns["metric"], "")
    if (plain == "").any():
        at = int((plain == "").to_numpy().argmax())
        raise VerificationError(
            f"{named(file.path)}, row {at + 1}: the metric has no name.", next_step="Fill it in, or leave the row out."
        )
    labels, constants = labels_of(table, columns), constants_of(table, columns)
    names, groups = _told_apart(table, columns, labels)
    frame = pd.DataFrame(
        {
            "time": table[columns["time"]],
            "instance": _texts(table, columns.get("instance"), file.name),
            "metric": plain + names,
            "group": groups,
            "value": numbers.get("value", float("nan")),
            "count": numbers.get("count", float("nan")),
        }
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
    for name in quantiles_of(table.columns):
        of = plain + "." + str(name).strip().lower().replace("median", "p50") + names
        one = frame.assign(metric=of, value=numbers_of(file, table[name])).drop(
            columns=["deviation", "le"], errors="ignore"
        )
        parts.append(one[one["value"].notna()])
    whole = pd.concat(parts or [frame], ignore_index=True)
    found = MetricTable(whole, list(dict.fromkeys(whole["metric"])))
    return replace(found, labels=_names_of(labels, columns), constants=constants)


def _of_wide(file: InputFile, table: pd.DataFrame, columns: dict[str, str]) -> MetricTable:
    import pandas as pd

    labels = labels_of(table, columns)
    used = {*(columns[role] for role in ("time", "date", "instance", "group", "count") if role in columns), *labels}
    metrics: list[Any] = []
    texts: list[Any] = []
    for name in table.columns:
        if name not in used:
            numeric = pd.api.types.is_numeric_dtype(table[name]) or mostly_numbers(table[name])
            (metrics if numeric else texts).append(name)
    if not metrics:
        raise VerificationError(
            f"{named(file.path)} has no column of numbers beside the time (its columns: {listed(table.columns)}).",
            next_step=FORMATS,
        )
    constants = constants_of(table, columns)
    notes = [f"{file.name}: column {name} holds text and is not a metric." for name in texts]
    names, groups = _told_apart(table, columns, labels)
    parts = [
        pd.DataFrame(
            {
                "time": table[columns["time"]],
                "instance": _texts(table, columns.get("instance"), file.name),
                "metric": str(name).strip() + names,
                "group": groups,
                "value": numbers_of(file, table[name], str(name)),
                "count": numbers_of(file, table[columns["count"]]) if "count" in columns else float("nan"),
            }
        )
        for name in metrics
    ]
    whole = pd.concat(parts, ignore_index=True)
    return MetricTable(whole, list(dict.fromkeys(whole["metric"])), notes, _names_of(labels, columns), constants)


def _names_of(labels: Sequence[Any], columns: Mapping[str, Any]) -> list[str]:
    """The labels that are all there is of groups and instances."""
    if {"group", "instance"} & columns.keys():
        return []
    return [str(label).strip() for label in labels if not tells_what(label)]


def _with_dates(table: pd.DataFrame, columns: Mapping[str, Any]) -> pd.Series[Any]:
    """The column of times, behind its dates where these stand in a column of their own."""
    times: pd.Series[Any] = table[columns["time"]]
    if "date" not in columns:
        return times
    joined_up: pd.Series[Any] = table[columns["date"]].astype(str).str.strip() + " " + times.astype(str).str.strip()
    return joined_up


def _told_apart(table: pd.DataFrame, columns: Mapping[str, Any], labels: Sequence[Any]) -> tuple[Any, Any]:
    """What is put behind the names of metrics, and the groups: by them rows of one time and instance differ.

    A label that says what is counted (a status) makes another metric, any other (a queue) a group.
    """
    groups = _texts(table, columns.get("group"), "")
    own = [label for label in labels if tells_what(label)]
    for label in labels:
        if label not in own:
            text = _texts(table, label, "")
            groups = text if isinstance(groups, str) else (groups + " " + text).str.strip()
    if not own:
        return "", groups
    pairs = [str(label).strip() + '="' + _texts(table, label, "").str.removesuffix(".0") + '"' for label in own]
    inside = pairs[0]
    for pair in pairs[1:]:
        inside = inside + "," + pair
    return "{" + inside + "}", groups


def _with_gaps_noted(file: InputFile, table: MetricTable) -> MetricTable:
    """The table with a note of how many of its values are missing."""
    missing = int(table.frame["value"].isna().sum())
    if not missing:
        return table
    file.troubles = {**(file.troubles or {}), "empty": missing}
    note = f"{file.name}: {missing:,} of {len(table.frame):,} values are missing and were left out."
    return replace(table, notes=[*table.notes, note])


def _texts(table: pd.DataFrame, column: str | None, default: str) -> Any:
    if column is None:
        return default
    texts = table[column]
    return texts.astype(str).str.strip().where(texts.notna(), "")
