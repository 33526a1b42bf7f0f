"""Whether an error of Prometheus, or of what speaks its API, is the query's fault, or one of its server that passes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PASSING_TYPES = ("timeout", "canceled", "unavailable", "internal")
# Thanos and VictoriaMetrics answer 422 when a part of their stores is away, Prometheus when what it reads from is.
_AWAY = (
    *("unavailable", "deadline", "timed out", "timeout", "canceled", "cancelled", "shutting down", "try again"),
    *("connect", "refused", "reset by", "broken pipe", "eof", "no such host", "no route", "dial tcp", "tls handshake"),
    *("http status", "status code", "storage node", "too many open files", "outstanding", "concurrent"),
)
_TOO_MUCH = ("too many", "exceed", "maximum", "limit", "reduce the", "resourceexhausted", "larger than max")
_WRONG = (
    *("parse error", "cannot parse", "unparsed", "unknown func", "unexpected token", "unexpected number of args"),
    *("many-to-many", "many-to-one", "grouping labels must ensure", "duplicate series", "duplicate time series"),
    *("duplicate timeseries", "same labelset", "duplicated label", "invalid label", "invalid destination label"),
    *("invalid source label", "invalid regular expression", "invalid parameter", "overflows int64"),
    *("smoothing factor", "trend factor"),
)
_QUERY = re.compile(r'query="(?:[^"\\]|\\.)*"|\{[^{}]*\}')


def is_too_much(error: Mapping[str, Any], query: str) -> bool:
    """Whether the server wants fewer points or samples at a time.

    :param error: the answer's JSON.
    :param query: that was sent; what it holds says nothing of the error.
    """
    text = _text(error, query)
    return _any(_TOO_MUCH, text) and not _passes(error, text)


def is_wrong(error: Mapping[str, Any], status: int, query: str) -> bool:
    """Whether the query is at fault, so that asking it again cannot help; any other error may pass.

    :param error: the answer's JSON.
    :param status: of the answer.
    :param query: that was sent.
    """
    text = _text(error, query)
    if _kind(error) == "bad_data":
        return True
    return not _passes(error, text) and (status == 400 or _any((*_WRONG, *_TOO_MUCH), text))


def _passes(error: Mapping[str, Any], text: str) -> bool:
    return _kind(error) in _PASSING_TYPES or _any(_AWAY, text)


def _kind(error: Mapping[str, Any]) -> str:
    return str(error.get("errorType") or "").lower()


def _text(error: Mapping[str, Any], query: str) -> str:
    """What is said, without what the query itself holds: a metric may be called ``upstream_timeout_total``."""
    said = str(error.get("error") or "")
    return _QUERY.sub("", said.replace(query, "") if query else said).lower()


def _any(words: tuple[str, ...], text: str) -> bool:
    return any(word in text for word in words)
