"""From raw log records to counts for each signature: the part of profiling that sees every line."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from airflow_cd.verification.masking import (
    blank_numbers,
    blank_numbers_column,
    has_polars,
    mask_column,
    mask_line,
    refine,
    without_marks,
)
from airflow_cd.verification.profile import SAMPLE_LENGTH, Signature, Tally
from airflow_cd.verification.records import (
    LONGEST_RECORD,
    MAY_CONTINUE,
    join_lines,
    severity_of,
    stack_trace,
    unfold_json,
)

if TYPE_CHECKING:
    import pandas as pd

_LINES_OF_PLAIN_RECORD = 3  # so many lines tell a multi-line record without a stack trace from others
_MAY_CONTINUE = re.compile(MAY_CONTINUE)

Row = tuple[int | None, str, str]  # milliseconds since 1970, instance, record


def count_records(
    messages: Iterable[str | bytes | None] | pd.DataFrame, instance: str = ""
) -> tuple[dict[Signature, Tally], dict[str, int]]:
    """Count records by signature.

    :returns: the tallies, and how many records were ``undecodable``, ``too_long`` or ``empty``.
    """
    if hasattr(messages, "columns"):
        times, instances, texts = _columns(messages)
    else:
        texts = list(messages)
        times, instances = None, None
    troubles: dict[str, int] = {}
    cleaned = [_clean(text, troubles) for text in texts]
    if any(_MAY_CONTINUE.match(text) for text in cleaned if text):
        cleaned, times, instances = _joined(cleaned, times, instances)
    counter = _count_fast if has_polars() else _count_slowly
    tallies = counter(cleaned, times, instances if instances is not None else [instance] * len(cleaned))
    return tallies, troubles


def _columns(frame: Any) -> tuple[list[int | None], list[str], list[Any]]:
    import pandas as pd

    stamps = pd.to_datetime(frame["time"], utc=True, errors="coerce").astype("datetime64[ms, UTC]")
    known = stamps.notna().to_numpy()
    raw = stamps.astype("int64").to_numpy()
    times = [int(value) if there else None for value, there in zip(raw, known, strict=True)]
    return times, [str(name) for name in frame["instance"]], frame["message"].to_list()


def _clean(text: Any, troubles: dict[str, int]) -> str:
    """The record as usable text, ``""`` when there is none; what was wrong with it is counted."""
    if type(text) is not str:
        if isinstance(text, (bytes, bytearray)):
            text = bytes(text).decode("utf-8", "replace")
        elif isinstance(text, str):
            text = str(text)
        else:  # None, NaN
            text = ""
    if not text.isascii():
        text = without_marks(text)
    if not text.isascii() and ("\ufffd" in text or any("\ud800" <= char <= "\udfff" for char in text)):
        _count(troubles, "undecodable")
        text = text.encode("utf-8", "replace").decode()
    if len(text) > LONGEST_RECORD:
        _count(troubles, "too_long")
        text = text[:LONGEST_RECORD]
    if text[:1] == "{":
        text = unfold_json(text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text[-1:] == "\n":
        text = text.rstrip("\n")
    if not text or text.isspace():
        _count(troubles, "empty")
        return ""
    return text


def _count(troubles: dict[str, int], trouble: str) -> None:
    troubles[trouble] = troubles.get(trouble, 0) + 1


def _joined(
    texts: list[str], times: list[int | None] | None, instances: list[str] | None
) -> tuple[list[str], list[int | None] | None, list[str] | None]:
    """Join the lines of records, of each instance by itself."""
    by_instance: dict[str, list[int]] = {}
    for position in range(len(texts)):
        by_instance.setdefault(instances[position] if instances is not None else "", []).append(position)
    kept: list[int] = []
    records: list[str] = []
    for positions in by_instance.values():
        for start, record in join_lines([texts[position] for position in positions]):
            kept.append(positions[start])
            records.append(record)
    return (
        records,
        None if times is None else [times[position] for position in kept],
        None if instances is None else [instances[position] for position in kept],
    )


def _count_slowly(texts: list[str], times: list[int | None] | None, instances: list[str]) -> dict[Signature, Tally]:
    """One record after the other, with :mod:`re`."""
    line_signature = functools.lru_cache(maxsize=None)(_line_signature)
    trace_signature = functools.lru_cache(maxsize=None)(_record_signature)
    tallies: dict[Signature, Tally] = {}
    for position, text in enumerate(texts):
        if not text:
            continue
        signature = trace_signature(blank_numbers(text)) if "\n" in text else line_signature(mask_line(text))
        time = times[position] if times is not None else None
        sample = text[:SAMPLE_LENGTH]
        tallies.setdefault(signature, Tally()).add(Tally({instances[position]: 1}, time, time, (sample,)))
    return tallies


def _count_fast(texts: list[str], times: list[int | None] | None, instances: list[str]) -> dict[Signature, Tally]:
    """All records at once, with polars; equal to :func:`_count_slowly`."""
    import polars as pl

    frame = pl.DataFrame(
        {
            "text": pl.Series(texts, dtype=pl.String),
            "time": pl.Series(times if times is not None else [None] * len(texts), dtype=pl.Int64),
            "instance": pl.Series(instances, dtype=pl.String),
        }
    ).filter(pl.col("text") != "")
    tallies: dict[Signature, Tally] = {}
    several = pl.col("text").str.contains("\n", literal=True)
    for part, key, signature_of in (
        (frame.filter(~several), mask_column(pl.col("text")), _line_signature),
        (frame.filter(several), blank_numbers_column(pl.col("text")), _record_signature),
    ):
        if part.is_empty():
            continue
        sample = pl.col("text").str.head(SAMPLE_LENGTH)
        grouped = (
            part.with_columns(key=key, text=sample)
            .group_by("key", "instance")
            .agg(
                pl.len(),
                pl.col("time").min().alias("first"),
                pl.col("time").max().alias("last"),
                pl.col("text").min().alias("least"),
                pl.col("text").max().alias("most"),
            )
        )
        signatures: dict[str, Signature] = {}
        for masked, instance, count, first, last, least, most in grouped.iter_rows():
            if masked not in signatures:
                signatures[masked] = signature_of(masked)
            tally = Tally({instance: count}, first, last, tuple(sorted({least, most})))
            tallies.setdefault(signatures[masked], Tally()).add(tally)
    return tallies


def _line_signature(masked: str) -> Signature:
    return Signature.of_line(refine(masked))


def _record_signature(text: str) -> Signature:
    """The signature of a record of several lines whose numbers are blanked."""
    trace = stack_trace(text)
    if trace is not None:
        return Signature.of_trace(severity_of(text, exception=True), trace.classes, trace.frames)
    beginning = text.split("\n")[:_LINES_OF_PLAIN_RECORD]
    return Signature.of_line("\n".join(refine(mask_line(line)) for line in beginning))
