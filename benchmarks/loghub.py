"""Labelled log systems as loghub publishes them: 2,000 lines each, with the template of every line."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.public_logs import LOGS

_ENDING = "_2k.log_structured.csv"
_CORRECTED = "_2k.log_structured_corrected.csv"


@dataclass(frozen=True)
class System:
    """One system's log.

    :param lines: messages without their headers.
    :param original: id of each line's template, as first published.
    :param corrected: each line's template as corrected later, parameters as ``<*>``; the first published one where a
        folder holds no correction.
    :param headers: what stands before each message in the raw log; all empty where that is not on this machine.
    """

    name: str
    lines: tuple[str, ...]
    original: tuple[str, ...]
    corrected: tuple[str, ...]
    headers: tuple[str, ...] = ()


def load(folder: Path) -> list[System]:
    """All systems in a folder, by name; raises SystemExit with a hint where there are none."""
    systems = [_system(path) for path in sorted(folder.glob("*" + _ENDING))]
    if not systems:
        raise SystemExit(f"{folder} holds no *{_ENDING}: give the folder of a loghub-2k download.")
    return systems


def _system(path: Path) -> System:
    rows = _rows(path)
    corrected = path.with_name(path.name.replace(_ENDING, _CORRECTED))
    better = _rows(corrected) if corrected.exists() else rows
    return System(
        name=path.name.removesuffix(_ENDING),
        lines=tuple(row["Content"] for row in rows),
        original=tuple(row["EventId"] for row in rows),
        corrected=tuple(row["EventTemplate"] for row in better),
        headers=_headers(path.name.removesuffix(_ENDING), [row["Content"] for row in rows]),
    )


def _headers(name: str, messages: Sequence[str]) -> tuple[str, ...]:
    raw = next((log for log in LOGS if log.system == name and log.file.exists()), None)
    if raw is None:
        print(f"({name} without its headers: python -m benchmarks.public_logs --get)")
        return ("",) * len(messages)
    return tuple(
        line[: line.rindex(message)] if message and message in line else ""
        for line, message in zip(raw.lines(), messages, strict=True)
    )


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def parameters_in(line: str, template: str) -> list[tuple[int, int]] | None:
    """Where the parameters of the template are in the line; None where the line is not of the template."""
    pattern = re.sub(r"(?:\\ )+", r"\\s+", re.escape(template)).replace(re.escape("<*>"), "(.*?)")
    match = re.fullmatch(pattern, line.strip(), re.DOTALL)
    if match is None:
        return None
    shift = len(line) - len(line.lstrip())
    return [(match.start(number) + shift, match.end(number) + shift) for number in range(1, (match.re.groups or 0) + 1)]


def grouping_accuracy(found: Sequence[object], true: Sequence[object]) -> tuple[float, float]:
    """Grouping accuracy and its F1 over groups (Jiang et al. 2024, "A large-scale evaluation for log parsing").

    :returns: share of lines whose group is exactly a true one; harmonic mean of the shares of found and of true
        groups that are exactly one of the other's.
    """
    ours, theirs = _groups(found), _groups(true)
    right = ours & theirs
    lines = sum(len(group) for group in right)
    return lines / len(true), 2 * len(right) / (len(ours) + len(theirs))


def _groups(labels: Sequence[object]) -> set[frozenset[int]]:
    members: dict[object, list[int]] = {}
    for position, label in enumerate(labels):
        members.setdefault(label, []).append(position)
    return {frozenset(group) for group in members.values()}
