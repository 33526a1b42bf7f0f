"""Panics and fatal errors of Go."""

from __future__ import annotations

import re

from airflow_cd.verification.logs.traces.trace import StackTrace, nearest, reason

BEGINS = re.compile(
    r"panic: |fatal error: |http: panic serving |goroutine \d+ \[|SIG[A-Z]+: |.*\bpanic: \S.*\[recovered\]"
)
FRAME = re.compile(r"^([\w./*()\[\]-]+\.[\w.*()\[\]-]+)\(.*\)$")
MORE = re.compile(
    r"^(?:\s|$|created by |exit status |goroutine |\[signal |panic: |panic\(|PC=|\[originating from|\[?recovered"
    r"|rax |rip |r\d+ |cs |eflags )"
)
_REASON = re.compile(r"(panic|fatal error|SIG[A-Z]+): (?:serving \S+: )?(.*)|http: (panic) serving \S+: (.*)")
_HIDDEN = re.compile(r"^(?:panic|runtime\.|testing\.|net/http\.|created by)")


def read(lines: list[str]) -> StackTrace | None:
    """The reason, and the functions of the goroutine that failed.

    :param lines: of the record.
    """
    if not any(line.startswith("goroutine ") for line in lines):
        return None
    found = next((match for line in lines if (match := _REASON.search(line))), None)
    kind = ((found[1] or found[3]) if found else "") or "panic"
    why = reason(re.sub(r"\s*\[recovered\].*", "", (found[2] or found[4] or "") if found else ""))
    frames: list[tuple[str, str]] = []
    first = True
    for line in lines:
        if line.startswith("goroutine "):
            if not first and frames:
                break  # the others only wait
            first = False
        match = FRAME.match(line)
        if match and not first and match[1] != "panic":
            frames.append((match[1], match[1]))
    return StackTrace((f"{kind}: {why}" if why else kind,), nearest(frames))
