"""Numbers as dashboards write them: with a unit, with thousands set apart, or none at all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_cd.errors import VerificationError
from airflow_cd.verification.files.opening import InputFile, named
from airflow_cd.verification.metrics.names.reading import read_name

if TYPE_CHECKING:
    import pandas as pd

_MISSING = re.compile(r"(?i)\s*(|-+|–|—|\?|n/?a|nan|null|nil|none|undefined|no data|missing|<na>)\s*")
_NUMBER = re.compile(r"\s*([-+]?(?:\d[\d,  ']*)?\.?\d+(?:[eE][-+]?\d+)?)\s*([^\d\s].*?)?\s*")
_INFINITE = re.compile(r"(?i)\s*([-+]?)(?:inf|infinity|∞)\s*")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:[,  ']\d{3})+(?:\.\d+)?")
_POINTED = r"\s*[-+]?(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?\s*"  # 1.234,56
_COMMA = r"\s*[-+]?\d+(?:,\d+)?\s*"
_WHOLE_OR_THOUSANDS = r"\s*[-+]?\d+(?:,\d{3})?\s*"
_TIMES = {
    **dict.fromkeys(("ns", "nanoseconds"), 1e-9),
    **dict.fromkeys(("us", "µs", "μs", "microseconds"), 1e-6),
    **dict.fromkeys(("ms", "msec", "milliseconds"), 1e-3),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
}
_SIZES = {
    **dict.fromkeys(("b", "byte", "bytes"), 1.0),
    **{name: 1e3**power for power, names in enumerate(("kb", "mb", "gb", "tb"), 1) for name in (names, f"{names}s")},
    **{f"{letter}ib": 1024.0**power for power, letter in enumerate("kmgt", 1)},
}
_AMOUNTS = {"k": 1e3, "mil": 1e6, "m": 1e6, "bil": 1e9, "g": 1e9}
_PLAIN = re.compile(
    r"(?i)%|percent|(?:req|requests?|ops?|calls?|events?|msgs?|errors?|rows?|c|r|q)?(?:/|p)(?:s|sec|min|m|h)"
)
_OF_TIMES = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0}
_OF_SIZES = {"bytes": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9}


def numbers_of(file: InputFile, column: pd.Series[Any], metric: str = "") -> pd.Series[Any]:
    """The column as numbers, NaN where it is empty.

    Values that carry a unit (``850 ms``, ``1.2 GiB``) are turned into the unit that the metric's name gives, or else
    into seconds and bytes, so that rows and files in which a dashboard chose another unit stay comparable.

    :param file: which file, as errors name it.
    :param column: as it was read.
    :param metric: whose values they are; ``""`` for no single one.
    :raises airflow_cd.errors.VerificationError: a cell is no number.
    """
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = numbers.isna() & column.notna()
    if wrong.any():
        unit = read_name(metric).unit if metric else ""
        read = column[wrong].astype(str).map(lambda text: _number(text, unit))
        scaled = column[wrong].astype(str).map(_measured)
        if scaled.any() and (numbers[~wrong] != 0).any():
            # Of 850 beside "1.2 s" nobody knows whether it is seconds.
            read = read.where(~scaled, None)
        numbers = numbers.astype(float)
        bad = read.isna() & ~column[wrong].astype(str).str.fullmatch(_MISSING)
        numbers[wrong] = read.astype(float)
        if bad.any():
            at = int(column.index.get_loc(bad[bad].index[0]))  # type: ignore[arg-type]
            text = str(column.iloc[at])
            raise VerificationError(
                f"{named(file.path)}, row {at + 1}: {text[:40]!r} in column {column.name} is not a number.",
                next_step="Write plain numbers, or numbers with a known unit, and leave missing ones empty.",
            )
    return numbers.astype(float)


def with_thousands(table: pd.DataFrame) -> pd.DataFrame:
    """The table, its numbers without points between thousands where its decimals stand behind commas.

    :param table: as it was read, with decimal commas.
    """
    import pandas as pd

    texts = {name: table[name] for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])}
    pointed = {}
    for name, column in texts.items():
        filled = column.dropna().astype(str)
        if len(filled) and filled.str.contains(".", regex=False).any() and filled.str.fullmatch(_POINTED).all():
            pointed[name] = filled
    decimals = any(
        pd.api.types.is_float_dtype(column) and bool((column.dropna() % 1 != 0).any())
        for column in (table[name] for name in table.columns)
    ) or any(bool(filled.str.contains(",", regex=False).any()) for filled in pointed.values())
    if not decimals:
        return table  # nothing says that a point is no decimal one
    plain = {
        name: filled.str.replace(".", "", regex=False).str.replace(",", ".", regex=False).astype(float)
        for name, filled in pointed.items()
    }
    read: pd.DataFrame = table.assign(**{name: column.reindex(table.index) for name, column in plain.items()})
    return read


def with_decimal_commas(table: pd.DataFrame) -> pd.DataFrame:
    """The table, numbers with decimal commas (``"116,98"``, in quotes) as such, where none can stand for thousands.

    :param table: as it was read, with decimal points.
    """
    import pandas as pd

    plain = {}
    for name in table.columns:
        if pd.api.types.is_numeric_dtype(table[name]):
            continue
        filled = table[name].dropna().astype(str)
        if len(filled) and filled.str.fullmatch(_COMMA).all() and not filled.str.fullmatch(_WHOLE_OR_THOUSANDS).all():
            plain[name] = filled.str.replace(",", ".", regex=False).astype(float)
    read: pd.DataFrame = table.assign(**{name: column.reindex(table.index) for name, column in plain.items()})
    return read


def mostly_numbers(column: pd.Series[Any]) -> bool:
    """Whether most of a column are numbers, so that one that is none is a mistake and not a text.

    :param column: as it was read.
    """
    import pandas as pd

    filled = column.dropna()
    if not len(filled):
        return False
    texts = filled.astype(str)
    filled = filled[~texts.str.fullmatch(_MISSING)]
    if not len(filled):
        return False
    read = pd.to_numeric(filled, errors="coerce").notna()
    if read.mean() > 0.5:
        return True
    return bool((read | filled.astype(str).map(lambda text: _number(text, "") is not None)).mean() > 0.5)


def _number(text: str, unit: str) -> float | None:
    """A number with its unit in the unit of the metric; NaN for a sign that stands for none, None for a mistake."""
    if _MISSING.fullmatch(text):
        return float("nan")
    infinite = _INFINITE.fullmatch(text)
    if infinite:
        return float(f"{infinite[1]}inf")
    found = _NUMBER.fullmatch(text)
    if not found:
        return None
    digits = found[1]
    if re.search(r"[,  ']", digits):
        if not _THOUSANDS.fullmatch(digits.strip()):
            return None
        digits = re.sub(r"[,  ']", "", digits)
    scale = _scale(found[2] or "", unit)
    return None if scale is None else float(digits) * scale


def _measured(text: str) -> bool:
    """Whether a value carries a unit of time or size, so that another unit would be another number."""
    found = _NUMBER.fullmatch(text)
    return bool(found) and (found[2] or "").strip().lower() in {**_TIMES, **_SIZES}  # type: ignore[index]


def _scale(written: str, unit: str) -> float | None:
    """By what a value is multiplied; None for a unit that nobody knows."""
    name = written.strip().lower()
    if not name or _PLAIN.fullmatch(name):
        return 1.0
    for known, of_metric in ((_TIMES, _OF_TIMES), (_SIZES, _OF_SIZES)):
        if name in known:
            return known[name] / of_metric.get(unit, 1.0)
    return _AMOUNTS.get(name)
