"""Which header a log's lines begin with, as it is said in a line."""

from __future__ import annotations

import pytest

from airflow_cd.verification.files.formats import MOST_LINES, log_format

READ: dict[str, tuple[str, str]] = {
    "Spring Boot": (
        "2026-03-01T10:00:00.123Z  INFO 4711 --- [nio-8080-exec-1] c.acme.billing.Invoices   : invoice 12 sent",
        "Spring Boot header (time, level, process, thread, logger)",
    ),
    "logback": (
        "10:00:00.123 [main] WARN  com.acme.App -- slow start",
        "header (time, level, thread, logger)",
    ),
    "Python": ("2026-03-01 10:00:00,123 - billing.mail - INFO - sent", "header (time, level, logger)"),
    "Python's root logger": ("ERROR:billing.mail:not sent", "Python logging header (level, logger)"),
    "JSON": (
        '{"ts": "2026-03-01T10:00:00Z", "level": "warn", "msg": "slow start"}',
        "JSON header (time, level, message)",
    ),
    "JSON without a level": ('{"ts": "2026-03-01T10:00:00Z", "msg": "hi"}', "JSON header (time, message)"),
    "syslog": ("Mar  1 10:00:00 web-1 sshd[123]: accepted a key", "syslog (RFC 3164) header (time, host, program)"),
    "klog": ("W0301 10:00:00.123456       1 watch.go:12] slow", "klog header (time, level, thread, file)"),
    "nginx": ("2026/03/01 10:00:00 [error] 12#12: *3 open() failed", "nginx error log header (time, level, process)"),
    "an access log": (
        '10.1.2.3 - - [01/Mar/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 12',
        "access log header (time, host)",
    ),
    "logfmt": ('time="2026-03-01T10:00:00Z" level=info msg="sent"', "logfmt header (time, level)"),
    "a pod": ("2026-03-01T10:00:00.1Z stdout F 10:00:00 INFO sent", "header (time, level) behind Kubernetes's prefix"),
    "nothing": ("sent the invoice to somebody", "no header that is recognised"),
}


@pytest.mark.parametrize("case", READ)
def test_a_header_is_named_with_what_was_read_of_it(case: str) -> None:
    line, said = READ[case]
    found = log_format(f"{line}\n{line}\n".encode(), whole=True)
    assert found.text == said
    assert (found.records, found.without) == (2, 2 if case == "nothing" else 0)


def test_what_has_no_header_is_counted_and_shown() -> None:
    found = log_format(b"2026-03-01 10:00:00 INFO sent\nCOWS GO MOO\n2026-03-01 10:00:00 sent again\n", whole=True)
    assert (found.text, found.records, found.without) == ("header (time, level)", 3, 1)
    assert found.example == "COWS GO MOO"


def test_the_lines_of_a_stack_trace_miss_no_header() -> None:
    text = (
        "2026-03-01 10:00:00 ERROR not sent\nTraceback (most recent call last):\n"
        '  File "a.py", line 3, in send\n    raise KeyError(1)\nKeyError: 1\n2026-03-01 10:00:00 INFO sent\n'
    )
    found = log_format(text.encode(), whole=True)
    assert (found.records, found.without) == (2, 0)


def test_of_a_long_file_the_beginning_is_looked_at_and_no_line_that_may_be_cut() -> None:
    line = b"2026-03-01 10:00:00 INFO sent\n"
    assert log_format(line * 3 + b"2026-03", whole=False).without == 0
    assert log_format(line * (MOST_LINES + 50), whole=True).records == MOST_LINES


def test_an_empty_file_has_none() -> None:
    assert log_format(b"", whole=True).text == "no header that is recognised"
