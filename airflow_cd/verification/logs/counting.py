"""From raw log records to counts for each signature: the part of profiling that sees every line."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_cd.verification.logs.block_masking import Keys, MaskedLines, mask_lines
from airflow_cd.verification.logs.cleaning import clean_line, clean_record
from airflow_cd.verification.logs.lines import Lines
from airflow_cd.verification.logs.masking import GOES_ON, blank_numbers, blank_numbers_column, has_polars, mask_line
from airflow_cd.verification.logs.recognition import signature_of_line, signature_of_record
from airflow_cd.verification.logs.signatures import SAMPLE_LENGTH, Signature, Tally
from airflow_cd.verification.logs.traces.joining import MAY_BEGIN, MAY_JOIN, join_lines

if TYPE_CHECKING:
    import pandas as pd

_MAY_JOIN = re.compile(rf"^\s|{GOES_ON}$|{MAY_JOIN}|{MAY_BEGIN}")
_LONG = 4_096  # characters from which on to look for it everywhere costs more than to join
_FEW = 10_000  # characters of all records up to which setting polars to work costs more than it saves
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
    if any(len(text) > _LONG or _MAY_JOIN.search(text) for text in cleaned if text):
        cleaned, times, instances = _joined(cleaned, times, instances)
    records = [clean_record(text, troubles) for text in cleaned]
    many = sum(map(len, records)) > _FEW
    counter = _count_fast if many and has_polars() else count_slowly
    return counter(records, times, instances if instances is not None else [instance] * len(records)), troubles


def _columns(frame: Any) -> tuple[list[int | None], list[str], list[Any]]:
    import pandas as pd

    stamps = pd.to_datetime(frame["time"], utc=True, errors="coerce").astype("datetime64[ms, UTC]")
    known = stamps.notna().to_numpy()
    raw = stamps.astype("int64").to_numpy()
    times = [int(value) if there else None for value, there in zip(raw, known, strict=True)]
    return times, [str(name) for name in frame["instance"]], frame["message"].to_list()


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
    line_signature = functools.lru_cache(maxsize=None)(signature_of_line)
    trace_signature = functools.lru_cache(maxsize=None)(signature_of_record)
    counted: dict[tuple[Signature, str], tuple[int, int | None, int | None, str, str]] = {}
    for position, text in enumerate(texts):
        if not text:
            continue
        signature = trace_signature(blank_numbers(text)) if "\n" in text else line_signature(mask_line(text))
        key, time = (signature, instances[position]), times[position] if times is not None else None
        sample = text[:SAMPLE_LENGTH]
        count, first, last, oldest, _ = counted.get(key, (0, None, None, sample, ""))
        counted[key] = count + 1, _earlier(first, time), _later(last, time), oldest, sample
    tallies: dict[Signature, Tally] = {}
    for (signature, instance), (count, first, last, oldest, newest) in counted.items():
        tally = Tally({instance: count}, first, last, tuple(sorted({oldest, newest})))
        tallies.setdefault(signature, Tally()).add(tally)
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
            self.add_masked(mask_lines(lines, rows, masked), lines, times=times, instances=instances)

    def add_masked(
        self,
        keys: Keys,
        lines: Lines,
        *,
        times: list[int | None] | None = None,
        instances: list[str] | None = None,
    ) -> None:
        """Count records of one line each that are masked already.

        :param keys: the records, masked.
        :param lines: that they are of, for samples; ``times`` and ``instances`` as for :meth:`add_lines`.
        """
        if len(keys.rows):
            self._add(self._lines, keys, lines, times, instances)

    def add_records(
        self, texts: list[str], *, times: list[int | None] | None = None, instances: list[str] | None = None
    ) -> None:
        """Count records of several lines each, at least one, given like those of :meth:`add_lines`."""
        import polars as pl

        blanked = pl.DataFrame({"key": pl.Series(texts, dtype=pl.String)}).select(blank_numbers_column(pl.col("key")))
        numbers = {key: number for number, key in enumerate(dict.fromkeys(blanked["key"]))}
        which = np.array([numbers[key] for key in blanked["key"]])
        keys = Keys(pl.Series(list(numbers), dtype=pl.String), which, np.arange(len(texts)))
        self._add(self._records, keys, texts, times, instances)

    def tallies(self) -> dict[Signature, Tally]:
        """All that was counted, by signature."""
        for counted, signature_of in ((self._lines, signature_of_line), (self._records, signature_of_record)):
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
        keys: Keys,
        texts: Lines | list[str],
        times: list[int | None] | None,
        instances: list[str] | None,
    ) -> None:
        import polars as pl

        rows = keys.rows
        frame = pl.DataFrame({"number": keys.numbers, "row": rows})
        row, time = pl.col("row"), pl.lit(None)
        if times is not None:
            frame = frame.with_columns(time=pl.Series(times, dtype=pl.Int64).gather(rows))
            time = pl.col("time")
        wanted = [pl.len(), time.min().alias("first"), time.max().alias("last")]
        wanted += [row.min().alias("oldest"), row.max().alias("newest")]
        by = ["number"]
        if instances is not None:
            frame = frame.with_columns(instance=pl.Series(instances, dtype=pl.String).gather(rows))
            by.append("instance")
        grouped = frame.group_by(by).agg(wanted)
        named = grouped["instance"].to_list() if instances is not None else [""] * len(grouped)
        columns = (grouped[name].to_list() for name in ("len", "first", "last"))
        samples = (_shortened(texts, grouped[name].to_numpy()) for name in ("oldest", "newest"))
        for key, instance, count, first, last, oldest, newest in zip(
            keys.distinct.gather(grouped["number"]).to_list(), named, *columns, *samples, strict=True
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
