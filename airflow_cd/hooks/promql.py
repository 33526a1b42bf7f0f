"""PromQL: what is put into a query is quoted, and what an author wrote is looked at before it is sent."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

INSTANCES, BUCKET = "{instances}", "{bucket}"
"""Places in an author's query: the matcher of the instances, and the width of a bucket (``30s``)."""

_INSTANCES_A_QUERY = 200
_LABEL = re.compile(r"[A-Za-z_]\w*\Z")
_NAME = re.compile(r"[A-Za-z_:][\w:]*\Z")
_STRING = r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^'\\]|\\.)*'" + r"|`[^`]*`"
_MATCHERS = re.compile(rf"\s*(?:[A-Za-z_]\w*\s*(?:=~|!~|!=|=)\s*(?:{_STRING})\s*(?:,\s*|\Z))*\Z")
_TOKEN = re.compile(rf"{_STRING}|[\[\](){{}}]", re.DOTALL)
_SELECTED = re.compile(r"(?<![\w:])([A-Za-z_:][\w:]*)\s*[{\[]")
_MATCHER = re.compile(rf"[A-Za-z_]\w*\s*(?:=~|!~|!=|=)\s*(?:{_STRING})", re.DOTALL)
_SELECTOR = re.compile(
    rf"{_STRING}|(?<![\w:])(?P<name>[A-Za-z_:][\w:]*)\s*(?:{{(?P<matchers>(?:{_STRING}|[^{{}}\"'`])*)}}|\[)", re.DOTALL
)
_CLOSING = {")": "(", "]": "[", "}": "{"}
_OPERATOR = re.compile(r"(?<=[\w\s])(=~|!~|!=|=)")
_OPPOSITE = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}
_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$])")


def quoted(text: str) -> str:
    """A text as PromQL quotes it.

    :param text: anything.
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def one_of(label: str, names: Collection[str], *, ports: bool = True) -> str:
    """The matcher of a label that holds one of these names.

    :param label: the label.
    :param names: as they are, whatever a regular expression would make of them.
    :param ports: whether a port may follow the name (``10.0.0.7:9090`` for ``10.0.0.7``).
    """
    listed = "|".join(_SPECIAL.sub(r"\\\1", name) for name in names)
    return f"{label}=~{quoted(f'({listed})(:[0-9]+)?' if ports else listed)}"


def instance_of(value: str, names: Collection[str]) -> str | None:
    """Which of the names a label's value is, with or without a port; None where it is none of them.

    :param value: of the label.
    :param names: of the instances.
    """
    if value in names:
        return value
    host, colon, port = value.rpartition(":")
    return host if colon and port.isdigit() and host in names else None


def batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """So many names at a time as fit into a query.

    :param names: of the instances.
    """
    for start in range(0, len(names), _INSTANCES_A_QUERY):
        yield names[start : start + _INSTANCES_A_QUERY]


def selector(name: str, *matchers: str) -> str:
    """The selector of a metric.

    :param name: of the metric.
    :param matchers: of labels; empty ones are left out.
    """
    return f"{name}{{{','.join(one.strip().rstrip(',') for one in matchers if one.strip())}}}"


def is_label(text: object) -> bool:
    """Whether a text is the name of a label.

    :param text: anything.
    """
    return isinstance(text, str) and _LABEL.match(text) is not None


def is_name(text: object) -> bool:
    """Whether a text is the name of a metric.

    :param text: anything.
    """
    return isinstance(text, str) and _NAME.match(text) is not None


def are_matchers(text: str) -> bool:
    """Whether a text holds matchers of labels and nothing else (``job="shop", code!~"4.."``).

    :param text: an author's.
    """
    return _MATCHERS.match(text) is not None


def is_balanced(query: str) -> bool:
    """Whether every quote, parenthesis, bracket and brace closes.

    :param query: an author's.
    """
    opened: list[str] = []
    for token in _TOKEN.finditer(query):
        if token[0] in _CLOSING:
            if not opened or opened.pop() != _CLOSING[token[0]]:
                return False
        elif token[0] in "([{":
            opened.append(token[0])
    rest = _TOKEN.sub("", query)
    return not opened and not any(quote in rest for quote in "\"'`")


def metrics_in(query: str) -> list[str]:
    """Names of the metrics that a query selects, as far as a brace or a bracket follows them.

    :param query: PromQL.
    """
    bare = re.sub(_STRING, '""', query)
    return list(dict.fromkeys(found[1] for found in _SELECTED.finditer(bare)))


def selectors_in(query: str) -> list[tuple[str, str]]:
    """Metrics that a query selects, as of :func:`metrics_in`, with their matchers but for that of the instances.

    :param query: PromQL.
    """
    found = _SELECTOR.finditer(query.replace(INSTANCES, ""))
    selected = ((one["name"], ", ".join(_MATCHER.findall(one["matchers"] or ""))) for one in found if one["name"])
    return list(dict.fromkeys(selected))


def labels_in(matchers: str) -> list[str]:
    """Names of the labels that matchers ask for.

    :param matchers: as :func:`are_matchers` takes them.
    """
    return [re.split(r"[\s=!]", one, maxsplit=1)[0] for one in _MATCHER.findall(matchers)]


def negated(matcher: str) -> str:
    """A matcher of what another one does not match, series without the label among it.

    :param matcher: one, as :func:`are_matchers` takes it.
    """
    return _OPERATOR.sub(lambda found: _OPPOSITE[found[1]], matcher, count=1)
