"""The stack trace in a record, whatever runtime wrote it."""

from __future__ import annotations

from airflow_cd.verification.logs.traces import frames, go, native, python, scripts
from airflow_cd.verification.logs.traces.trace import StackTrace

_READERS = (
    python.read,
    go.read,
    native.read_rust,
    native.read_eyre,
    native.read_zig,
    native.read_fortran,
    scripts.read_php,
    scripts.read_beam,
    scripts.read_ruby,
    scripts.read_nim,
    scripts.read_dart,
    scripts.read_haskell,
    scripts.read_lua,
    scripts.read_julia,
    scripts.read_perl,
    frames.read,
    native.read_terminated,
    frames.alone,
)


def stack_trace(text: str) -> StackTrace | None:
    """The stack trace in a record of several lines; None if there is none.

    :param text: the record, its lines joined by newlines.
    """
    lines = text.split("\n")
    return next((found for read in _READERS if (found := read(lines)) is not None), None)
