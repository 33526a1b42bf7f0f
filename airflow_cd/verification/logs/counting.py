"""From raw log records to counts for each signature: the part of profiling that sees every line."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_cd.verification.logs.block_masking import MaskedLines, mask_lines
from airflow_cd.verification.logs.headers.ansi import without_colours
from airflow_cd.verification.logs.headers.failures import answers_failure, tells_failure
from airflow_cd.verification.logs.headers.json_records import unfold_json
from airflow_cd.verification.logs.headers.levels import NAMES, severity_of
from airflow_cd.verification.logs.headers.prefixes import without_prefix
from airflow_cd.verification.logs.headers.reader import read_header
from airflow_cd.verification.logs.lines import Lines
from airflow_cd.verification.logs.masking import (
    GOES_ON,
    NOTES,
    VARIABLE,
    WILDCARD,
    blank_numbers,
    blank_numbers_column,
    has_polars,
    mask_line,
    without_marks,
)
from airflow_cd.verification.logs.refining import refine
from airflow_cd.verification.logs.signatures import SAMPLE_LENGTH, Signature, Tally
from airflow_cd.verification.logs.traces.joining import LONGEST_RECORD, MAY_JOIN, join_lines
from airflow_cd.verification.logs.traces.reading import stack_trace

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

_LINES_OF_PLAIN_RECORD = 3  # so many lines tell a multi-line record without a stack trace from others
_MAY_JOIN = re.compile(rf"^\s|{GOES_ON}$|{MAY_JOIN}")

_MOST_KEYS = 50_000  # masked texts kept apart before they are refined, which makes them fewer

_ByKey = dict[tuple[str, str], tuple[int, "int | None", "int | None", str, str]]
"""By masked text and instance: count, first and last time, the text of the first and of the last that was read."""


def count_records(
    messages: Iterable[str | bytes | None] | pd.DataFrame, instance: str = ""
) -> tuple[dict[Signature, Tally], dict[str, int]]:
    """Count records by signature.

    :param messages: as :meth:`~airflow_cd.verification.logs.profile.LogProfile.of` takes them.
    :param instance: which instance plain messages are of.
    :returns: the tallies, and how many records were ``undecodable``, ``too_long`` or ``empty``.
    """
    if hasattr(messages, "columns"):
        times, instances, texts = _columns(messages)
    else:
        texts = list(messages)
        times, instances = None, None
    troubles: dict[str, int] = {}
    cleaned = [clean_line(text, troubles) for text in texts]
    if any(_MAY_JOIN.search(text) for text in cleaned if text):
        cleaned, times, instances = _joined(cleaned, times, instances)
    records = [clean_record(text, troubles) for text in cleaned]
    counter = _count_fast if has_polars() else count_slowly
    return counter(records, times, instances if instances is not None else [instance] * len(records)), troubles


def _columns(frame: Any) -> tuple[list[int | None], list[str], list[Any]]:
    import pandas as pd

    stamps = pd.to_datetime(frame["time"], utc=True, errors="coerce").astype("datetime64[ms, UTC]")
    known = stamps.notna().to_numpy()
    raw = stamps.astype("int64").to_numpy()
    times = [int(value) if there else None for value, there in zip(raw, known, strict=True)]
    return times, [str(name) for name in frame["instance"]], frame["message"].to_list()


def read_again(tallies: Mapping[Signature, Tally]) -> dict[Signature, Tally]:
    """What an earlier version counted, by the signatures that this one gives to its samples.

    A signature whose samples are not whole, or that has none, keeps its stack trace or is read from its template.
    """
    again: dict[Signature, Tally] = {}
    for signature, tally in tallies.items():
        sample = next(iter(tally.samples), "")
        found: Signature | None = None
        if sample and len(sample) < SAMPLE_LENGTH:
            read, _ = count_records([sample])
            found = next(iter(read)) if len(read) == 1 else None
        if found is None:
            found = signature if signature.traced else _line_signature(signature.template.replace(WILDCARD, VARIABLE))
        again.setdefault(found, Tally()).add(tally)
    return again


def clean_line(text: Any, troubles: dict[str, int]) -> str:
    """A line, or a record that is whole, as usable text; ``""`` when there is none. What was wrong is counted.

    :param text: the line; bytes are decoded as UTF-8.
    :param troubles: counts, by kind of problem; added to.
    """
    if type(text) is not str:
        if isinstance(text, (bytes, bytearray)):
            text = bytes(text).decode("utf-8", "replace")
        elif isinstance(text, str):
            text = str(text)
        else:  # None, NaN
            text = ""
    text = without_prefix(without_colours(without_marks(text)))
    if not text.isascii() and ("\ufffd" in text or any("\ud800" <= char <= "\udfff" for char in text)):
        _count(troubles, "undecodable")
        text = text.encode("utf-8", "replace").decode()
    if text[:1] == "{" or ('{"' in text and text.rstrip()[-1:] == "}"):
        text = unfold(text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text[-1:] == "\n":
        text = text.rstrip("\n")
    return "" if text.isspace() else text


def unfold(text: str) -> str:
    """A JSON record, with or without a header of text before it, as text."""
    if text[:1] == "{":
        return unfold_json(text)
    at = text.find('{"')
    unfolded = unfold_json(text[at:])
    if unfolded == text[at:]:
        return text
    header = read_header(mask_line(text[:at] + "x"))
    if header.message.split(NOTES)[0] != "x":
        return text  # words stand before it: it is a part of their message
    stated = NAMES[header.level] + " " if header.level else ""
    return unfolded if read_header(mask_line(unfolded.split("\n", 1)[0])).level else stated + unfolded


def clean_record(text: str, troubles: dict[str, int]) -> str:
    """A record whose lines are joined, of which only the beginning is judged when it is too long.

    :param text: the record, its lines cleaned and joined.
    :param troubles: counts, by kind of problem; added to.
    """
    if not text:
        _count(troubles, "empty")
    elif len(text) > LONGEST_RECORD:
        _count(troubles, "too_long")
        text = text[:LONGEST_RECORD]
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


def count_slowly(texts: list[str], times: list[int | None] | None, instances: list[str]) -> dict[Signature, Tally]:
    """Count cleaned records one after the other, with :mod:`re`.

    :param texts: the records, cleaned; empty ones are passed over.
    :param times: in milliseconds since 1970, where known.
    :param instances: of each record.
    """
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
    """All records at once, with numpy and polars; equal to :func:`count_slowly`, but for samples."""
    several = [position for position, text in enumerate(texts) if "\n" in text]
    single = [position for position, text in enumerate(texts) if text and "\n" not in text]
    counts = Counts()

    def known_of(positions: list[int]) -> dict[str, Any]:
        known = None if times is None else [times[position] for position in positions]
        return {"times": known, "instances": [instances[position] for position in positions]}

    if several:
        counts.add_records([texts[position] for position in several], **known_of(several))
    if single:
        counts.add_lines(Lines.of([texts[position] for position in single]), **known_of(single))
    return counts.tallies()


class Counts:
    """Counts by masked text, portion by portion; needs polars."""

    def __init__(self) -> None:
        self._lines: _ByKey = {}
        self._records: _ByKey = {}
        self._tallies: dict[Signature, Tally] = {}

    def add_lines(
        self,
        lines: Lines,
        rows: np.ndarray | None = None,
        *,
        times: list[int | None] | None = None,
        instances: list[str] | None = None,
        masked: MaskedLines | None = None,
    ) -> None:
        """Count records of one line each.

        :param lines: the records, cleaned and not empty.
        :param rows: which of them to count, as flags; all without it.
        :param masked: the same lines after the first stage of masking, if they went through it already.
        :param times: in milliseconds, where known; ``instances`` likewise.
        """
        if rows is None or rows.any():
            self._add(self._lines, *mask_lines(lines, rows, masked), lines, times, instances)

    def add_masked(self, keys: pl.Series, rows: np.ndarray, lines: Lines) -> None:
        """Count records of one line each that are masked already.

        :param rows: the line of each.
        """
        if len(keys):
            self._add(self._lines, keys, rows, lines, None, None)

    def add_records(
        self, texts: list[str], *, times: list[int | None] | None = None, instances: list[str] | None = None
    ) -> None:
        """Count records of several lines each, at least one, given like those of :meth:`add_lines`."""
        import polars as pl

        keys = pl.DataFrame({"key": pl.Series(texts, dtype=pl.String)}).select(blank_numbers_column(pl.col("key")))
        self._add(self._records, keys["key"], np.arange(len(texts)), texts, times, instances)

    def tallies(self) -> dict[Signature, Tally]:
        """All that was counted, by signature."""
        for counted, signature_of in ((self._lines, _line_signature), (self._records, _record_signature)):
            signatures: dict[str, Signature] = {}
            for (key, instance), (count, first, last, oldest, newest) in counted.items():
                if key not in signatures:
                    signatures[key] = signature_of(key)
                tally = Tally({instance: count}, first, last, tuple(sorted({oldest, newest})))
                self._tallies.setdefault(signatures[key], Tally()).add(tally)
            counted.clear()
        return self._tallies

    def _add(
        self,
        counted: _ByKey,
        keys: pl.Series,
        rows: np.ndarray,
        texts: Lines | list[str],
        times: list[int | None] | None,
        instances: list[str] | None,
    ) -> None:
        import polars as pl

        frame = pl.DataFrame({"key": keys, "row": rows})
        row, time = pl.col("row"), pl.lit(None)
        if times is not None:
            frame = frame.with_columns(time=pl.Series(times, dtype=pl.Int64).gather(rows))
            time = pl.col("time")
        wanted = [pl.len(), time.min().alias("first"), time.max().alias("last")]
        wanted += [row.min().alias("oldest"), row.max().alias("newest")]
        by = ["key"]
        if instances is not None:
            frame = frame.with_columns(instance=pl.Series(instances, dtype=pl.String).gather(rows))
            by.append("instance")
        grouped = frame.group_by(by).agg(wanted)
        named = grouped["instance"].to_list() if instances is not None else [""] * len(grouped)
        columns = (grouped[name].to_list() for name in ("len", "first", "last"))
        samples = (_shortened(texts, grouped[name].to_numpy()) for name in ("oldest", "newest"))
        for key, instance, count, first, last, oldest, newest in zip(
            grouped["key"].to_list(), named, *columns, *samples, strict=True
        ):
            before = counted.get((key, instance))
            if before is not None:
                count, oldest = count + before[0], before[3]
                if times is not None:
                    first, last = _earlier(before[1], first), _later(before[2], last)
            counted[key, instance] = count, first, last, oldest, newest
        if len(counted) > _MOST_KEYS:
            self.tallies()


def _shortened(texts: Lines | list[str], rows: np.ndarray) -> list[str]:
    if isinstance(texts, Lines):
        return texts.beginnings_of(rows, SAMPLE_LENGTH)
    return [texts[row][:SAMPLE_LENGTH] for row in rows.tolist()]


def _earlier(one: int | None, other: int | None) -> int | None:
    return min((time for time in (one, other) if time is not None), default=None)


def _later(one: int | None, other: int | None) -> int | None:
    return max((time for time in (one, other) if time is not None), default=None)


def _line_signature(masked: str) -> Signature:
    header = read_header(masked)
    message = refine(header.message)
    level = header.level
    if level in (None, "debug", "info") and (tells_failure(message) or answers_failure(message)):
        level = "error"
    return Signature.of_line(f"{NAMES[level]} {message}" if level else message)


def _record_signature(text: str) -> Signature:
    """The signature of a record of several lines whose numbers are blanked."""
    trace = stack_trace(text)
    if trace is not None:
        severity = _severity_of_trace(text)
        return Signature.of_trace(severity, trace.classes, trace.frames)
    first, *others = text.split("\n")[:_LINES_OF_PLAIN_RECORD]
    first = first.removeprefix("<0>")  # a priority whose number is blanked
    read = _line_signature(mask_line(first))
    template = "\n".join([read.template, *(refine(mask_line(line)) for line in others)])
    level = read.severity if read.stated else None
    if level is None and others:  # java.util.logging states it on the second line
        level = read_header(mask_line(others[0])).level
    if level in (None, "debug", "info") and any(tells_failure(line.strip()) for line in others):
        level = "error"
    if level is None or (level == read.severity and read.stated):
        return Signature.of_line(template)
    stated = f"{NAMES[read.severity]} "
    return Signature.of_line(f"{NAMES[level]} {template.removeprefix(stated)}")


def _severity_of_trace(text: str) -> str:
    """A crash is an error at least, unless it was logged as a warning on purpose."""
    masked = mask_line(text.split("\n", 1)[0].removeprefix("<0>"))
    severity = read_header(masked).level or severity_of(refine(masked), exception=True)
    return "error" if severity in ("debug", "info") else severity
