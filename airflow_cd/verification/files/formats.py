"""Which header the lines of a log begin with, said in a line: a wrong reading shows before anyone trusts the verdict.

The names are for people. What is read is decided by :mod:`airflow_cd.verification.logs.headers` alone, line by line,
whatever a format is called; what it did not read is never said to have been.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from airflow_cd.verification.logs.cleaning import clean_line
from airflow_cd.verification.logs.headers.ansi import without_colours
from airflow_cd.verification.logs.headers.levels import LEVELS
from airflow_cd.verification.logs.headers.prefixes import without_prefix
from airflow_cd.verification.logs.headers.reader import read_header
from airflow_cd.verification.logs.masking import KEPT, NOTES, VARIABLE, mask_line, without_maybes
from airflow_cd.verification.logs.traces.joining import RecordJoiner

MOST_LINES = 400  # of the beginning of a file
_LONGEST_EXAMPLE = 60

# Name, what its lines look like, and the fields of its header beside time and level.
_FORMATS: Sequence[tuple[str, re.Pattern[str], Sequence[str]]] = [
    (name, re.compile(pattern), fields)
    for name, pattern, fields in (
        ("syslog (RFC 5424)", r"<\d{1,3}>1 ", ("host", "program", "process")),
        ("syslog (RFC 3164)", r"(?:<\d{1,3}>)?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ \S+:", ("host", "program")),
        ("Spring Boot", r"\S+[T ]\S+ +[A-Z]+ +\d+ --- (?:\[[^\]]*\] ?)+ *\S+ +:", ("process", "thread", "logger")),
        ("klog", r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ \S+:\d+\]", ("thread", "file")),
        ("logcat", r"(?:\d\d-\d\d \d\d:\d\d:\d\d\.\d+ +\d+ +\d+ )?[VDIWEF](?:/| +)\S+ *[(:]", ("process", "tag")),
        ("nginx error log", r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[\w+\] \d+#\d+:", ("process",)),
        ("Apache error log", r"\[\w{3} \w{3} \d\d [\d:.]+ \d{4}\] \[", ("module", "process")),
        ("access log", r'\S+ \S+ \S+ \[[^\]]+\] "[A-Z]+ ', ("host",)),
        ("Ruby Logger", r"[DIWEFA], \[\S+ #\d+\] +[A-Z]+ -- ", ("process", "program")),
        ("PostgreSQL", r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? \w+ \[\d+\]", ("process",)),
        ("Python logging", r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL):[\w.]+:", ("logger",)),
        ("logfmt", r"(?:[\w.@-]+=(?:\"[^\"]*\"|\S*) ){2}", ()),
    )
]
_PREFIXES = (("Kubernetes", re.compile(r"\S+ (?:stdout|stderr) [FP] ")), ("kubectl", re.compile(r"\[pod/")))
_PART = re.compile(r"\[[^\]]*\]|\([^)]*\)|\S+")
_CLOCK = re.compile(f"{VARIABLE}:{VARIABLE}")
_JSON_TIME = re.compile(r'"@?(?:time|ts|t|timestamp|date|datetime|asctime|instant)":', re.IGNORECASE)
_DOTTED = re.compile(r"[A-Za-z_$][\w$]*(?:\.[\w$]+)+[:-]?")


@dataclass(frozen=True)
class LogFormat:
    """How the beginning of a log was read.

    :param name: of the most frequent format; ``""`` for one without a name.
    :param fields: what its header holds, as far as it was read; empty for lines without a header.
    :param prefix: what put something before every line; ``""`` for nothing.
    :param records: how many records were looked at.
    :param without: how many of them have no header that is recognised.
    :param example: the first of those, shortened; ``""`` without any.
    """

    name: str = ""
    fields: Sequence[str] = ()
    prefix: str = ""
    records: int = 0
    without: int = 0
    example: str = ""

    @property
    def mute(self) -> bool:
        """Whether it is JSON that states levels and has no message that is recognised."""
        return self.name == "JSON" and "level" in self.fields and "message" not in self.fields

    @property
    def text(self) -> str:
        """The header in words."""
        if not self.fields:
            return "no header that is recognised"
        text = f"{self.name} header" if self.name else "header"
        behind = f" behind {self.prefix}'s prefix" if self.prefix else ""
        return f"{text} ({', '.join(self.fields)}){behind}"


def log_format(head: bytes, *, whole: bool) -> LogFormat:
    """How the beginning of a log is read.

    :param head: its first bytes.
    :param whole: whether that is all; else the last line is not looked at, as it may be cut.
    """
    raw = [line for line in head.decode("utf-8", "replace").splitlines()[: MOST_LINES + 1] if line.strip()]
    if not whole or len(raw) > MOST_LINES:
        raw = raw[:-1] or raw
    raw = [without_colours(line) for line in raw]
    prefix = next((name for name, pattern in _PREFIXES if raw and pattern.match(raw[0])), "")
    found: Counter[tuple[str, tuple[str, ...]]] = Counter()
    unread: list[str] = []
    for line in _first_lines([without_prefix(line) for line in raw]):
        name, fields = _read(line)
        if fields:
            found[name, fields] += 1
        else:
            unread.append(line)
    records = sum(found.values()) + len(unread)
    example = " ".join(unread[0].split())[:_LONGEST_EXAMPLE] if unread else ""
    if not found:
        return LogFormat(prefix=prefix, records=records, without=len(unread), example=example)
    names = Counter(name for (name, _), count in found.items() for _ in range(count))
    name = names.most_common(1)[0][0]
    # A field that only some records have belongs to the format, too: not each of them states a level.
    had = dict.fromkeys(field for (one, read), _ in found.most_common() if one == name for field in read)
    order = ("time", "level")
    shown = [field for field in order if field in had] + [field for field in had if field not in order]
    return LogFormat(name, tuple(shown), prefix, records, len(unread), example)


def _first_lines(lines: Sequence[str]) -> Iterator[str]:
    """The first line of each record; a JSON record as it is."""
    joiner = RecordJoiner()
    for line in lines:
        if _is_json(line):
            for _, record in joiner.finish():
                yield record.split("\n", 1)[0]
            yield line
        else:
            for record in joiner.feed([line]):
                yield record.split("\n", 1)[0]
    for _, record in joiner.finish():
        yield record.split("\n", 1)[0]


def _is_json(line: str) -> bool:
    return line[:1] == "{" and line.rstrip()[-1:] == "}"


def _read(line: str) -> tuple[str, tuple[str, ...]]:
    """Name of the format and the fields of a line's header; no fields where nothing is recognised."""
    if _is_json(line):
        unfolded = clean_line(line, {})
        level = read_header(mask_line(unfolded.split("\n", 1)[0])).level
        time = ("time",) if _JSON_TIME.search(line) else ()
        told = unfolded != line and line not in unfolded
        return "JSON", time + (("level",) if level else ()) + (("message",) if told else ())
    masked = without_maybes(mask_line(line))[0]
    header = read_header(masked)
    if header.level is None and not header.stamped:
        return "", ()
    read = (("time",) if header.stamped else ()) + (("level",) if header.level else ())
    for name, pattern, fields in _FORMATS:
        if pattern.match(line):
            return name, (*read, *fields)
    return "", (*read, *_others(masked.split(NOTES)[0], header.message.split(NOTES)[0]))


def _others(masked: str, message: str) -> tuple[str, ...]:
    """What stands in a header beside time and level."""
    words = message.split(" ")
    # A logger's name stays with the message; the rest of that is the end of the line.
    starts = (" ".join(words[number:]) for number in range(min(3, len(words))))
    rest = next((start for start in starts if start and masked.endswith(start)), "")
    header, names = masked[: len(masked) - len(rest)], words[: len(words) - len(rest.split(" "))]
    fields = []
    parts = _PART.findall(header)
    clocks = [number for number, part in enumerate(parts) if _CLOCK.search(part)]
    # Numbers up to the clock are its date.
    for part in parts[clocks[-1] + 1 if clocks else 0 :]:
        inner = part.strip("[]()<>|:;,- ")
        if inner.upper() in LEVELS or not inner:
            continue
        if _DOTTED.fullmatch(inner):
            fields.append("logger")
        elif set(inner) <= {VARIABLE, KEPT, "#"}:
            fields.append("process")
        elif part[0] == "[":
            fields.append("thread")
    if names or _DOTTED.match(rest):
        fields.append("logger")
    return tuple(dict.fromkeys(fields))
