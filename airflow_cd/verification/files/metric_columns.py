"""Which column of a file of metrics is what, whatever an exporter or a dashboard calls it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_cd.errors import VerificationError
from airflow_cd.verification.files.opening import InputFile, named
from airflow_cd.verification.metrics.names.reading import read_name
from airflow_cd.wording import first_of

if TYPE_CHECKING:
    import pandas as pd

FORMATS = (
    "Give CSV or Parquet with the columns time, metric and value (instance, group and count where there are), "
    "or with a time and a column for each metric."
)
"""What a file of metrics may look like, as errors say it."""

_NAMES: dict[str, Sequence[str]] = {
    "time": (
        *("time", "timestamp", "ts", "datetime", "date_time", "date", "_time", "time_stamp", "timestamp_utc"),
        *("time_generated", "timegenerated", "end_time", "window_end", "start_time", "window_start", "interval_start"),
        *("bucket_start", "epoch", "unixtime", "unix_time", "epoch_ms", "timestamp_ms", "minute", "datum"),
    ),
    "instance": (
        *("instance", "host", "hostname", "host_name", "pod", "pod_name", "k8s_pod_name", "kubernetes_pod_name"),
        *("service_instance_id", "instance_id", "instanceid", "instance_name", "node", "node_name", "server"),
        *("server_name", "container", "container_name", "container_id", "replica", "machine", "task_id"),
        *("entity", "entity_name", "entity_id", "entity_guid", "vm", "vm_name", "dyno", "alloc_id", "task_arn"),
    ),
    "group": ("group", "transaction", "endpoint", "route", "path", "operation"),
    "metric": ("metric", "metric_name", "metricname", "__name__", "_name_", "series", "_field", "counter_name"),
    "value": ("value", "_value", "metric_value", "val", "counter_value"),
    "count": ("count", "samples", "sample_count", "samplecount"),
}
# Columns that hold names of metrics where what they hold reads like one.
_MAYBE_METRICS = ("name", "label", "measurement", "target", "legend", "item", "indicator", "kpi", "signal", "id")
# Beside the name of a metric, what else a row may say of its measurements.
_SPREADS: dict[str, Sequence[str]] = {
    "le": ("le",),
    "mean": ("mean", "avg", "average"),
    "sum": ("sum", "total"),
    "squares": ("sum_squares", "sum_of_squares", "sumsq", "sum_sq"),
    "deviation": ("deviation", "stddev", "std", "std_dev"),
}
_INSTANCE = re.compile(r"(?i).+[_.](?:pod|pod_?name|instance|instance_?id|host|hostname|replica)")
_QUANTILE = re.compile(r"(?i)p\d{2}(?:[._]\d+)?|median")
_IN_BRACKETS = re.compile(r"\s*[(\[][^)\]]*[)\]]\s*$")
_CAPITALS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_TELLS_WHAT = re.compile(
    r"(?i)(.*[_.])?(code|status|status_?class|code_?class|outcome|result|state|mode|quantile|percentile|statistic|"
    r"rcode|reason|kind|cause|exception|(?:is_)?error|severity|level|event|verdict|disposition|success|failed|ok)"
)
_CLOCK = re.compile(r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s*[AaPp][Mm])?")
_MOST_LABELS = 200  # different values: more are no label of a metric but an id


def columns_of(file: InputFile, table: pd.DataFrame) -> dict[str, Any]:
    """The columns by what they are: ``time``, ``instance``, ``group``, ``metric``, ``value``, ``count`` and spreads.

    :param file: which file, as errors name it.
    :param table: as it was read.
    :raises airflow_cd.errors.VerificationError: there are no times, or a metric has no values.
    """
    by_name = _by_name(table.columns)
    found = _roles(by_name)
    if "time" in found and found["time"] != by_name.get("date") and "date" in by_name:
        clock = table[found["time"]].astype(str).str.strip()
        if clock.str.fullmatch(_CLOCK).all():
            found["date"] = by_name["date"]
    if "time" not in found:
        raise VerificationError(
            f"{named(file.path)} has no column of times (its columns: {listed(table.columns)}).",
            next_step=f"Call it one of {', '.join(_NAMES['time'][:7])}. {FORMATS}",
        )
    if "metric" not in found and "value" in found:
        maybe = (by_name[name] for name in _MAYBE_METRICS if name in by_name)
        named_so = next((name for name in maybe if name not in found.values() and _reads_as_metrics(table, name)), None)
        found |= {} if named_so is None else {"metric": named_so}
    if "metric" in found and not _says_values(found, by_name):
        if _is_text(table, found["metric"]):
            raise VerificationError(
                f"{named(file.path)} has a column {found['metric']}, but none that is called value "
                f"(its columns: {listed(table.columns)}).",
                next_step=FORMATS,
            )
        found.pop("metric")
    if "metric" in found:
        found |= _spread_columns(by_name)
        if "value" not in found and "mean" in found:
            found["value"] = found.pop("mean")
    return found


def _reads_as_metrics(table: pd.DataFrame, name: Any) -> bool:
    """Whether a column of text names what is measured: most of its texts read as metrics of a kind."""
    if not _is_text(table, name):
        return False
    texts = [str(text) for text in table[name].dropna().unique()[: _MOST_LABELS + 1]]
    readings = [read_name(text) for text in texts if len(texts) <= _MOST_LABELS]
    known = [reading.kind != "gauge" or reading.direction != "either" for reading in readings]
    return bool(known) and 2 * sum(known) > len(known)


def _roles(by_name: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that are known by their names."""
    found = {}
    for role, names in _NAMES.items():
        name = next((name for name in names if name in by_name), None)
        if name is None and role == "instance":
            name = next((name for name in by_name if _INSTANCE.fullmatch(name)), None)
        if name is not None:
            found[role] = by_name[name]
    return found


def labels_of(table: pd.DataFrame, columns: Mapping[str, Any]) -> list[Any]:
    """The columns that tell apart rows of one time and instance: a status code, a route, a queue.

    :param table: as it was read.
    :param columns: what is known, as :func:`columns_of` has it.
    """
    keys = [columns[role] for role in ("time", "date", "instance", "group", "metric", "le") if role in columns]
    if not table.duplicated(keys).any():
        return []
    known = set(columns.values())
    labels = []
    for name in table.columns:
        if name in known or quantiles_of([name]):
            continue
        different = table[name].nunique(dropna=True)
        text = _is_text(table, name) or tells_what(name)
        if text and 2 <= different <= _MOST_LABELS:
            labels.append(name)
    return labels


def constants_of(table: pd.DataFrame, columns: Mapping[str, Any]) -> dict[str, str]:
    """The columns of text that hold one value, by it: nothing within the file says what they tell apart.

    :param table: as it was read.
    :param columns: what is known, as :func:`columns_of` has it.
    """
    known = set(columns.values())
    found = {}
    for name in table.columns:
        if name not in known and not tells_what(name) and _is_text(table, name):
            texts = table[name].dropna().unique()
            if len(texts) == 1:
                found[str(name).strip()] = str(texts[0]).strip()
    return found


def names_instances(label: Any) -> bool:
    """Whether a label tells instances apart, by its name.

    :param label: name of it.
    """
    name = _CAPITALS.sub("_", str(label).strip()).lower()
    return name in _NAMES["instance"] or _INSTANCE.fullmatch(name) is not None


def tells_what(label: Any) -> bool:
    """Whether a label says what is counted (a status, an outcome) rather than of what it is.

    :param label: name of its column.
    """
    return _TELLS_WHAT.fullmatch(_CAPITALS.sub("_", str(label).strip())) is not None


def quantiles_of(names: Iterable[Any]) -> list[Any]:
    """The columns that hold percentiles.

    :param names: of columns.
    """
    return [name for name in names if _QUANTILE.fullmatch(str(name).strip())]


def listed(columns: Iterable[Any]) -> str:
    """Names of columns as errors list them.

    :param columns: their names.
    """
    return first_of([str(name) for name in columns], 12)


def _by_name(columns: Iterable[Any]) -> dict[str, Any]:
    """Columns by their names as they are, and as they would be in small letters without units and other signs."""
    found: dict[str, Any] = {}
    plain: dict[str, Any] = {}
    for column in reversed(list(columns)):
        name = str(column).strip().strip('"')
        found[name.lower()] = column
        bare = _CAPITALS.sub("_", _IN_BRACKETS.sub("", name)).lower()
        plain[re.sub(r"[\s.\-/@]+", "_", bare).strip("_")] = column
    return {**plain, **found}


def _says_values(found: Mapping[str, Any], by_name: Mapping[str, Any]) -> bool:
    spread = _spread_columns(by_name)
    return "value" in found or bool({"sum", "mean"} & spread.keys()) or bool(quantiles_of(by_name))


def _spread_columns(by_name: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that say how measurements within a row scatter, by what they are."""
    named = {role: next((name for name in names if name in by_name), None) for role, names in _SPREADS.items()}
    return {role: by_name[name] for role, name in named.items() if name is not None}


def _is_text(table: pd.DataFrame, name: Any) -> bool:
    import pandas as pd

    filled = table[name].dropna()
    if pd.api.types.is_numeric_dtype(filled) or pd.api.types.is_datetime64_any_dtype(filled):
        return False
    return len(filled) > 0 and pd.to_numeric(filled, errors="coerce").notna().mean() <= 0.5
