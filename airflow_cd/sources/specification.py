"""What is wrong with a source as an author specified it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from airflow_cd.durations import DurationField
from airflow_cd.errors import SourceQueryRejected


def refuse(mistakes: list[str]) -> None:
    """Raise what is wrong with a source's specification.

    :param mistakes: one sentence each; none is fine.
    :raises SourceQueryRejected: there is one.
    """
    if mistakes:
        raise SourceQueryRejected("; ".join(mistakes) + ".", next_step="Correct the source in the pipeline's file.")


def mistakes_of_texts(**texts: object) -> Iterator[str]:
    """What is wrong with fields that must hold a text.

    :param texts: by the name of the field.
    """
    for name, text in texts.items():
        if not isinstance(text, str) or not text.strip():
            yield f"{name}: {text!r} is empty or not a text"


def mistakes_of_durations(**durations: Any) -> Iterator[str]:
    """What is wrong with durations; a ``bucket`` is a second or longer.

    :param durations: by the name of the field.
    """
    for name, length in durations.items():
        wrong = DurationField.mistake(length, name, least="1s" if name == "bucket" else 0)
        if wrong:
            yield wrong
        elif name == "bucket" and isinstance(length, timedelta) and length % timedelta(seconds=1):
            yield "bucket: it must be a whole number of seconds"
