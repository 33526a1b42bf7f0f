"""From a masked record to what it is known by: the part of profiling that sees each distinct record."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_cd.verification.logs.headers.failures import reports_death, reports_failure, reports_server_error
from airflow_cd.verification.logs.headers.levels import NAMES, severity_of
from airflow_cd.verification.logs.headers.reader import read_header
from airflow_cd.verification.logs.headers.requests import read_request
from airflow_cd.verification.logs.masking import mask_line
from airflow_cd.verification.logs.refining import refine
from airflow_cd.verification.logs.signatures import Signature
from airflow_cd.verification.logs.traces.frames import begins_within
from airflow_cd.verification.logs.traces.reading import stack_trace

REST_OF_TRACE = "(frames of a stack trace whose beginning is not in the log)"
"""What such frames are known as: where a log begins says nothing about a release."""
_SERVER_ERROR = 500  # status from which on an answer is an error of the server
_LINES_OF_PLAIN_RECORD = 3  # so many lines tell a multi-line record without a stack trace from others


def signature_of_line(masked: str) -> Signature:
    """The signature of a record of one line: its level, and its message without the header.

    :param masked: the line after the first stage of masking.
    """
    header = read_header(masked)
    level = header.level
    request = read_request(header.message) or (None if header.message == masked else read_request(masked))
    if request is not None:
        message = refine(request.message)
        level = "error" if request.status >= _SERVER_ERROR else level
        return Signature.of_line(f"{NAMES[level]} {message}" if level else message)
    message = refine(header.message)
    unnoticed = level in (None, "debug", "info") and (reports_failure(message) or reports_server_error(message))
    if unnoticed or (level == "warning" and reports_death(message)):
        level = "error"
    return Signature.of_line(f"{NAMES[level]} {message}" if level else message)


def signature_of_record(text: str) -> Signature:
    """The signature of a record of several lines: of its stack trace, or else of its first lines.

    :param text: the record, its numbers blanked.
    """
    trace = stack_trace(text)
    if trace is not None and begins_within(text.split("\n")):
        return Signature.of_line(REST_OF_TRACE)
    if trace is not None:
        return Signature.of_trace(_severity_of_trace(text), trace.classes, trace.frames)
    first, *others = text.split("\n")[:_LINES_OF_PLAIN_RECORD]
    read = signature_of_line(mask_line(first.removeprefix("<0>")))  # a priority whose number is blanked
    template = "\n".join([read.template, *(refine(mask_line(line)) for line in others)])
    level = _level_of_lines(read, others)
    if level is None or (level == read.severity and read.stated):
        return Signature.of_line(template)
    stated = f"{NAMES[read.severity]} "
    return Signature.of_line(f"{NAMES[level]} {template.removeprefix(stated)}")


def _level_of_lines(first: Signature, others: Sequence[str]) -> str | None:
    level = first.severity if first.stated else None
    if level is None and others:  # java.util.logging states it on the second line
        level = read_header(mask_line(others[0])).level
    told = (line.strip() for line in others)
    if level in (None, "debug", "info") and any(reports_failure(line) or reports_server_error(line) for line in told):
        level = "error"
    return level


def _severity_of_trace(text: str) -> str:
    """A crash is an error at least, unless it was logged as a warning on purpose."""
    masked = mask_line(text.split("\n", 1)[0].removeprefix("<0>"))
    severity = read_header(masked).level or severity_of(refine(masked), exception=True)
    return "error" if severity in ("debug", "info") else severity
