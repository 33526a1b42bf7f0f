"""Times as files of metrics write them: ISO 8601, seconds since 1970 and their parts, dates of spreadsheets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_cd.errors import VerificationError
from airflow_cd.verification.files.opening import InputFile, named

if TYPE_CHECKING:
    import pandas as pd

_YEARS = (1970, 2261)
# Seconds, milliseconds, microseconds and nanoseconds since 1970 of this century differ by their size alone.
_EPOCHS: tuple[tuple[Literal["s", "ms", "us", "ns"], float, float], ...] = (
    ("s", 1e8, 1e11),
    ("ms", 1e11, 1e14),
    ("us", 1e14, 1e17),
    ("ns", 1e17, 1e20),
)
_DATES = ("%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%Y/%m/%d", "%Y.%m.%d", "%d-%m-%Y", "%m/%d/%y", "%d/%m/%y", "%d.%m.%y")
_NAMED_DATES = ("%d/%b/%Y", "%d-%b-%Y", "%d %b %Y", "%b %d %Y", "%d %B %Y", "%B %d %Y")
_CLOCKS = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p", "%I:%M:%S.%f %p")
_ZONE = re.compile(r"(?<=\d|M|m)\s*(?:Z|UTC|GMT|([+-]\d\d:?\d\d))(?:\s+(?:UTC|GMT|[A-Z]{3,4}|[+-]\d\d:?\d\d))?$")
_DAY = re.compile(r"^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,?\s+")
_YEAR = re.compile(r"(\d{4})[:T](?=\d)")
_FIRST = 50  # rows by which a form is chosen before all are read


def times_of(file: InputFile, column: pd.Series[Any]) -> pd.Series[Any]:
    """The column as times in UTC; a time without a zone is taken for UTC.

    Of ``03/04/2026`` nothing says which is the month: the day that makes the file's times lie closer together is
    taken, and the month before the day where both do.

    :param file: which file, as errors name it.
    :param column: as it was read.
    :raises airflow_cd.errors.VerificationError: a cell is no time.
    """
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
        texts = column.astype(str).str.strip()
        parsed = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
        if parsed.isna().any():
            other = _of_other_form(texts)
            parsed = parsed if other is None else other
    wrong = parsed.isna() | ~parsed.dt.year.between(*_YEARS)
    if wrong.any():
        at = int(wrong.to_numpy().argmax())
        more = f" ({int(wrong.sum()):,} such rows)" if wrong.sum() > 1 else ""
        text = str(column.iloc[at])
        raise VerificationError(
            f"{named(file.path)}, row {at + 1}: {text[:40]!r} is not a time{more}.",
            next_step="Write times like 2026-11-23T08:14:05Z, or as seconds or milliseconds since 1970.",
        )
    return parsed


def _of_other_form(texts: pd.Series[Any]) -> pd.Series[Any] | None:
    """Times in a form of spreadsheets, logs or programming languages; None where not all of them are in one."""
    import pandas as pd

    read = [_plain(text) for text in texts.astype(object)]
    plain, zones = (pd.Series(part, index=texts.index, dtype=object) for part in zip(*read, strict=True))
    found = []
    for form in _forms():
        first = pd.to_datetime(plain.iloc[:_FIRST], format=form, errors="coerce")
        if first.isna().any():
            continue
        whole = pd.to_datetime(plain + " " + zones, format=f"{form} %z", errors="coerce", utc=True)
        if whole.notna().all():
            found.append(whole)
    whole_iso = pd.to_datetime(plain + zones, format="ISO8601", errors="coerce", utc=True)
    if whole_iso.notna().all():
        found.append(whole_iso)
    return min(found, key=lambda times: times.max() - times.min(), default=None)


def _plain(text: object) -> tuple[str, str]:
    """A time without the name of its day and without signs between, and its zone."""
    text = _DAY.sub("", str(text))
    zone = _ZONE.search(text)
    words = _ZONE.sub("", text).replace(",", " ").split()
    return _YEAR.sub(r"\1 ", " ".join(words)), ((zone[1] if zone else None) or "+0000").replace(":", "")


def _forms() -> Sequence[str]:
    return [f"{date} {clock}" for date in (*_DATES, *_NAMED_DATES) for clock in _CLOCKS]
